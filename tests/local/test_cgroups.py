"""Where the API may make control groups, the kernel keeps memory limits."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import suppress
from functools import partial
from pathlib import Path

import pytest

from pyjob_magic.local import launcher
from pyjob_magic.local.home import Home
from tests.local.api import Api, a_job
from tests.local.hiding import UNTIL_GO
from tests.local.test_launcher import kill, running
from tests.local.test_memory import GROW, LIMIT, on_tmpfs, terminated
from tests.state import eventually

MOUNT = Path("/sys/fs/cgroup")


@pytest.fixture
def delegated() -> Iterator[Path]:
    """Lend a control group to a process that may divide it."""
    if not (MOUNT / "cgroup.controllers").exists():
        pytest.skip("this machine has no control groups of version 2")
    group = MOUNT / f"pyjob-test-{os.getpid()}"
    try:
        (MOUNT / "cgroup.subtree_control").write_text("+memory")
        group.mkdir()
    except OSError as error:
        pytest.skip(f"no control group can be made here: {error}")
    yield group
    for path in (*filter(Path.is_dir, group.iterdir()), group):
        eventually(partial(removed, path))


def removed(group: Path) -> bool:
    with suppress(OSError):
        group.rmdir()
    return not group.exists()


@pytest.fixture
def grouped(own_home: Home, delegated: Path) -> Iterator[Home]:
    """Run an API alone in a control group of its own."""
    command = [sys.executable, "-m", "pyjob_magic.local", "--home", str(own_home.create().path)]
    enter = f'echo $$ >{delegated}/cgroup.procs; exec "$@"'
    with subprocess.Popen(["/bin/sh", "-c", enter, "sh", *command]) as process:
        eventually(lambda: launcher.status(own_home))
        yield own_home
        launcher.stop(own_home, force=True)
        process.wait()


def run_directory(home: Home, api: Api) -> Path:
    uid: str = api.pod("j-master-0")["metadata"]["uid"]
    return home.pods / uid / "container-0" / "0"


def test_the_kernel_kills_what_uses_too_much(grouped: Home) -> None:
    """The whole group of the run, which is gone afterwards."""
    with running(grouped) as api:
        api.submit(a_job(code=GROW, container=LIMIT))
        api.wait("j", "Failed")

        state = terminated(api)
        assert (state["reason"], state["exitCode"]) == ("OOMKilled", 137)
        assert state["message"] == "used 100Mi of 100Mi allowed"
        assert not Path((run_directory(grouped, api) / "cgroup").read_text()).exists()


def test_a_run_within_its_limit_ends_by_itself(grouped: Home) -> None:
    """What it has written to files is given back when memory runs short."""
    if on_tmpfs(grouped.path):
        pytest.skip("the temporary directory is in memory, and so is what is written there")
    code = "file = open('big', 'wb'); [file.write(bytes(2**20)) for _ in range(200)]"
    with running(grouped) as api:
        api.submit(a_job(code=code, container=LIMIT))
        api.wait("j", "Succeeded")

        assert (run_directory(grouped, api) / "cgroup").exists()


def test_no_api_has_to_live_for_that(grouped: Home) -> None:
    """The next one, in no group of its own, says why."""
    with running(grouped) as api:
        code = "import os, time\n" + UNTIL_GO + GROW
        api.submit(a_job(code=code, container=LIMIT))
        api.wait_log("j-master-0", "up")
        directory = run_directory(grouped, api)
    kill(grouped)
    (directory.parents[1] / "work" / "go").touch()
    group = Path((directory / "cgroup").read_text())
    eventually(lambda: not (group / "cgroup.procs").read_text())

    with running(grouped) as api:
        api.wait("j", "Failed")
        assert terminated(api)["reason"] == "OOMKilled"
        eventually(lambda: not group.exists())
