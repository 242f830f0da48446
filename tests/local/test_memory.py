"""Memory limits are kept, by real processes that really use the memory."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import psutil
import pytest

from pyjob_magic.local.home import Home
from pyjob_magic.local.kubelet.memory import MemoryGuard, Watched, at_most, exactly
from pyjob_magic.local.kubelet.process import Process
from tests.local.api import Api, a_job
from tests.local.hiding import HIDE, STAY, UP, gone, hidden
from tests.local.test_launcher import SLEEP, kill, running
from tests.state import eventually

MEBI = 2**20
GROW = """
import time
kept = []
for _ in range(40):
    kept.append(bytearray(10 * 2**20))
    time.sleep(0.01)
time.sleep(600)
"""
LIMIT = {"resources": {"limits": {"memory": "100Mi"}}}


def terminated(api: Api) -> dict[str, Any]:
    (status,) = api.pod("j-master-0")["status"]["containerStatuses"]
    state: dict[str, Any] = status["state"]["terminated"]
    return state


@contextmanager
def started(code: str, directory: Path) -> Iterator[Process]:
    """Run `code` until it says that it is up, and end it after the test."""
    run = Process(directory / "run", f"uid-of-{directory.name}", "c")
    run.start([sys.executable, "-c", code], {}, directory)
    try:
        eventually(lambda: "up" in run.log.read_text())
        yield run
    finally:
        run.kill()
        asyncio.run(run.wait())


def test_a_replica_that_uses_too_much_is_killed(api: Api) -> None:
    """Its state says why, and how much it was."""
    api.submit(a_job(code=GROW, container=LIMIT))

    api.wait("j", "Failed")

    state = terminated(api)
    assert (state["reason"], state["exitCode"]) == ("OOMKilled", 137)
    used, _, rest = state["message"].removeprefix("used ").partition("Mi ")
    assert 100 < int(used) < 400
    assert rest == "of 100Mi allowed"


def test_what_a_grandchild_uses_counts(api: Api, api_home: Home) -> None:
    """Also of one that hides; the whole tree is killed."""
    code = HIDE + f"import sys; hide((sys.executable, '-c', {GROW!r}))\n" + STAY
    api.submit(a_job(code=code, container=LIMIT))
    api.wait_log("j-master-0", "up")
    uid = api.pod("j-master-0")["metadata"]["uid"]
    processes = hidden(api_home.pods / uid / "work")

    api.wait("j", "Failed")

    assert terminated(api)["reason"] == "OOMKilled"
    assert gone(processes)


def on_tmpfs(path: Path) -> bool:
    mounts = {part.mountpoint: part.fstype for part in psutil.disk_partitions(all=True)}
    return mounts[max((m for m in mounts if path.is_relative_to(m)), key=len)] == "tmpfs"


def test_a_replica_within_its_limit_runs(api: Api, api_home: Home) -> None:
    """What it has mapped of files does not count."""
    if on_tmpfs(api_home.path):
        pytest.skip("the temporary directory is in memory, and so is what is mapped of it")
    code = "import mmap, os\n"
    code += "file = open('big', 'w+b'); file.truncate(200 * 2**20)\n"
    code += "mapped = mmap.mmap(file.fileno(), 0, prot=mmap.PROT_READ)\n"
    code += "print(sum(mapped[n] for n in range(0, len(mapped), 4096)))\n"
    code += "import time; time.sleep(0.5)"
    api.submit(a_job(code=code, container=LIMIT))

    api.wait("j", "Succeeded")

    assert api.log("j-master-0") == "0\n"


def test_it_is_killed_again_after_a_restart(api: Api) -> None:
    """As with any exit code of 137, its restart policy applies."""
    api.submit(a_job(code=GROW, container=LIMIT, policy="OnFailure"))

    def ends() -> list[dict[str, Any]]:
        pods = api.pods().values()
        entries = [e for pod in pods for e in pod["status"].get("containerStatuses") or ()]
        return [e["lastState"]["terminated"] for e in entries if e["restartCount"] > 0]

    (last,) = eventually(ends)
    assert (last["reason"], last["exitCode"]) == ("OOMKilled", 137)


def test_the_next_api_goes_on_watching(own_home: Home) -> None:
    """The memory grows after the API was killed."""
    waits = UP + "import os, time\nwhile not os.path.exists('go'): time.sleep(0.01)\n"
    with running(own_home) as api:
        api.submit(a_job(code=waits + GROW, container=LIMIT))
        api.wait_log("j-master-0", "up")
        uid = api.pod("j-master-0")["metadata"]["uid"]
    kill(own_home)
    (own_home.pods / uid / "work" / "go").touch()

    with running(own_home) as api:
        api.wait("j", "Failed")

        assert terminated(api)["reason"] == "OOMKilled"


def test_the_next_api_knows_why_it_was_killed(own_home: Home) -> None:
    """The API that killed it has not lived to say so."""
    with running(own_home) as api:
        api.submit(a_job(code=SLEEP, container=LIMIT))
        api.wait_log("j-master-0", "up")
        uid = api.pod("j-master-0")["metadata"]["uid"]
    kill(own_home)
    run = Process(own_home.pods / uid / "container-0" / "0", uid, "pytorch")
    run.explain("OOMKilled", "used 101Mi of 100Mi allowed")

    with running(own_home) as api:
        api.wait("j", "Failed")

        assert terminated(api)["message"] == "used 101Mi of 100Mi allowed"


def test_shared_pages_count_once(tmp_path: Path) -> None:
    """Workers that were forked share what their parent had read before."""
    code = "import os, time; kept = bytearray(b'x') * (50 * 2**20)\n"
    code += "if all(os.fork() for _ in range(4)): print('up', flush=True)\n"
    with started(code + "time.sleep(600)", tmp_path) as run:
        eventually(lambda: len(run.members()) == 5)

        assert at_most(run) > 250 * MEBI
        assert 50 * MEBI < exactly(run) < 100 * MEBI


@pytest.mark.parametrize(
    ("at_most", "now", "expected"),
    [
        (100, 999.0, False),  # it cannot use too much
        (151, 1.9, False),  # it uses what it used a second ago
        (151, 3.1, True),  # that is long enough ago
        (171, 1.1, False),  # more than it had left, but the look has just been
        (171, 1.3, True),
    ],
)
def test_a_close_look_is_taken_when_it_is_worth_it(
    tmp_path: Path, at_most: int, now: float, expected: bool
) -> None:
    """A run whose processes share pages: in second 1 it used 20 less than it may."""
    run = Process(tmp_path, "u", "c")
    watched = Watched(run, 100, at_most=150, exactly=80, looked_at=1.0, cost=0.1)
    assert watched.deserves_a_close_look(at_most, now) is expected


def test_the_first_close_look_is_taken_at_once(tmp_path: Path) -> None:
    """Nothing is known about the run before."""
    assert Watched(Process(tmp_path, "u", "c"), 100).deserves_a_close_look(101, 0.0)


def test_nothing_looks_where_there_is_no_limit(tmp_path: Path) -> None:
    """An API without such runs has nothing to do."""

    async def tasks(container: dict[str, Any]) -> int:
        with MemoryGuard().watching(run, container):
            return len(asyncio.all_tasks())

    with started(SLEEP, tmp_path) as run:
        assert asyncio.run(tasks({})) == 1
        assert asyncio.run(tasks({"resources": {"limits": {"cpu": "1"}}})) == 1
        assert asyncio.run(tasks(LIMIT)) == 2
