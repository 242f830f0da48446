"""The API process: one for each home, durable, and gone when it is told to go."""

from __future__ import annotations

import os
import signal
import sqlite3
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager

import httpx
import psutil
import pytest

from pyjob_magic.errors import TargetError
from pyjob_magic.local import launcher
from pyjob_magic.local.home import Home
from tests.local.api import Api, a_job
from tests.state import VARIABLE, eventually, processes_with

SLEEP = "import time; print('up', flush=True); time.sleep(600)"


@contextmanager
def running(home: Home) -> Iterator[Api]:
    endpoint = launcher.ensure_running(home)
    headers = {"Authorization": f"Bearer {endpoint.token}"}
    with httpx.Client(base_url=endpoint.url, headers=headers, timeout=30) as client:
        yield Api(client, "default")


def pid(home: Home) -> int:
    found = launcher.status(home)
    assert found is not None
    return found.pid


def kill(home: Home) -> None:
    """SIGKILL the API and wait until it is gone."""
    process = psutil.Process(pid(home))
    process.kill()
    eventually(lambda: launcher.status(home) is None)


def test_many_at_once_get_one_api(own_home: Home) -> None:
    code = "from pyjob_magic.local import launcher; print(launcher.ensure_running().url)"
    env = {**os.environ, VARIABLE: str(own_home.path)}
    starters = [
        subprocess.Popen([sys.executable, "-c", code], env=env, stdout=subprocess.PIPE, text=True)
        for _ in range(8)
    ]
    urls = {starter.communicate(timeout=60)[0] for starter in starters}
    assert len(urls) == 1
    mains = [p for p in processes_with(VARIABLE, own_home.path) if "--home" in p.cmdline()]
    assert [p.pid for p in mains] == [pid(own_home)]


def test_a_running_api_is_found_fast(own_home: Home) -> None:
    first = launcher.ensure_running(own_home)
    begun = time.perf_counter()
    for _ in range(10):
        assert launcher.ensure_running(own_home) == first
    assert (time.perf_counter() - begun) / 10 < 0.02


def test_the_launcher_is_light_to_import() -> None:
    code = (
        "import sys; import pyjob_magic.local.launcher; "
        "print([m for m in ('httpx', 'starlette', 'pydantic', 'uvicorn', 'psutil', 'asyncio')"
        " if m in sys.modules])"
    )
    result = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True
    )
    assert result.stdout.strip() == "[]"


def test_replicas_outlive_the_api_and_are_adopted(own_home: Home) -> None:
    wait = (
        "import os, time\nprint('up', flush=True)\n"
        "while not os.path.exists('go'): time.sleep(0.01)\n"
    )
    with running(own_home) as api:
        api.submit(a_job("lives", wait + "print('done')"))
        api.submit(a_job("ends", wait + "raise SystemExit(7)"))
        for name in ("lives", "ends"):
            api.wait_log(f"{name}-master-0", "up")
        uids = {name: pod["metadata"]["uid"] for name, pod in api.pods().items()}
        before = api.job("lives")["metadata"]["uid"]
    replicas = [p for uid in uids.values() for p in processes_with("PYJOB_POD_UID", uid)]
    kill(own_home)
    assert all(process.is_running() for process in replicas)
    (own_home.pods / uids["ends-master-0"] / "work" / "go").touch()
    eventually(lambda: (own_home.pods / uids["ends-master-0"] / "container-0/0/exit").exists())
    with running(own_home) as api:
        assert api.job("lives")["metadata"]["uid"] == before
        api.wait("ends", "Failed")
        status = api.pod("ends-master-0")["status"]["containerStatuses"][0]
        assert status["state"]["terminated"]["exitCode"] == 7
        assert api.conditions("lives")["Running"] == "True"
        (own_home.pods / uids["lives-master-0"] / "work" / "go").touch()
        api.wait("lives", "Succeeded")
        assert api.log("lives-master-0") == "up\ndone\n"
        assert api.pods()["lives-master-0"]["metadata"]["uid"] == uids["lives-master-0"]


def test_a_replica_that_vanished_with_its_shell_counts_as_killed(own_home: Home) -> None:
    with running(own_home) as api:
        api.submit(a_job(code=SLEEP))
        api.wait_log("j-master-0", "up")
        replicas = processes_with("PYJOB_POD_UID", api.pod("j-master-0")["metadata"]["uid"])
    kill(own_home)
    for process in replicas:
        process.kill()
    with running(own_home) as api:
        api.wait("j", "Failed")
        status = api.pod("j-master-0")["status"]["containerStatuses"][0]
        assert status["state"]["terminated"]["exitCode"] == 137


def test_sigterm_stops_the_api_but_not_the_training(own_home: Home) -> None:
    with running(own_home) as api:
        api.submit(a_job(code=SLEEP))
        api.wait_log("j-master-0", "up")
        replicas = processes_with("PYJOB_POD_UID", api.pod("j-master-0")["metadata"]["uid"])
    os.kill(pid(own_home), signal.SIGTERM)
    eventually(lambda: launcher.status(own_home) is None)
    assert all(process.is_running() for process in replicas)


def test_stop_refuses_while_a_job_is_active(own_home: Home) -> None:
    with running(own_home) as api:
        api.submit(a_job(code=SLEEP))
        api.wait_log("j-master-0", "up")
        with pytest.raises(TargetError, match=r"1 active job\(s\): default/j; --force ends them"):
            launcher.stop(own_home)
        assert api.conditions("j")["Running"] == "True"


def test_stop_with_force_leaves_nothing(own_home: Home) -> None:
    with running(own_home) as api:
        api.submit(a_job(code=SLEEP, workers=1))
        for pod in ("j-master-0", "j-worker-0"):
            api.wait_log(pod, "up")
    assert launcher.stop(own_home, force=True)
    eventually(lambda: not processes_with(VARIABLE, own_home.path))
    assert launcher.status(own_home) is None
    assert not launcher.stop(own_home)


def test_an_idle_api_stops_by_itself(own_home: Home, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PYJOB_MAGIC_IDLE_SECONDS", "0.5")
    with running(own_home) as api:
        api.submit(a_job())
        api.wait("j", "Succeeded")
    eventually(lambda: launcher.status(own_home) is None)
    with running(own_home) as api:
        assert api.log("j-master-0") == ""


def test_an_api_that_cannot_start_says_why(own_home: Home) -> None:
    own_home.create()
    own_home.database.write_text("this is no database" * 100)
    with pytest.raises(TargetError, match="file is not a database"):
        launcher.ensure_running(own_home)


def test_a_stale_announcement_is_not_believed(own_home: Home) -> None:
    own_home.create()
    own_home.announce("http://127.0.0.1:9", "0.0.0")
    with running(own_home) as api:
        assert api.http.get("/readyz").text == "ok"


def test_an_idle_api_of_another_version_is_replaced(own_home: Home) -> None:
    url, first = launcher.ensure_running(own_home).url, pid(own_home)
    own_home.announce(url, "0.0.0")
    with running(own_home) as api:
        assert api.http.get("/readyz").text == "ok"
    assert pid(own_home) != first


def test_a_pod_that_cannot_be_scheduled_keeps_nobody_back(own_home: Home) -> None:
    """A store of an earlier version may hold a pod whose amounts are none."""
    blocked = {"resources": {"limits": {"nvidia.com/gpu": "64"}}}
    with running(own_home) as api:
        api.submit(a_job("old", container=blocked))
        eventually(lambda: "old-master-0" in api.pods())
    kill(own_home)
    with closing(sqlite3.connect(own_home.database)) as db, db:
        db.execute("UPDATE objects SET json=replace(json, '\"64\"', '\"1e1.5\"')")
    with running(own_home) as api:
        api.submit(a_job("new"))
        api.wait("new", "Succeeded")
