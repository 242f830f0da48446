"""The API process: one for each home, durable, and gone when it is told to go."""

from __future__ import annotations

import fcntl
import json
import os
import signal
import socket
import sqlite3
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor, wait
from contextlib import ExitStack, closing, contextmanager
from pathlib import Path
from typing import Any

import httpx
import psutil
import pytest

from pyjob_magic.errors import TargetError
from pyjob_magic.local import launcher, private
from pyjob_magic.local.home import Home
from pyjob_magic.local.resources import PODS
from pyjob_magic.local.store import Store
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


def pretend(home: Home, **facts: Any) -> None:
    """Change what the API has announced; in place, for it holds the lock of the file."""
    home.api_file.write_text(json.dumps({**json.loads(home.api_file.read_text()), **facts}))


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
        for _ in range(20)
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


def test_a_replica_that_was_about_to_start_is_started(own_home: Home) -> None:
    """The API was killed between the log, which it opens, and the process that writes it."""
    with running(own_home) as api:
        api.submit(a_job(code=SLEEP))
        api.wait_log("j-master-0", "up")
        uid = api.pod("j-master-0")["metadata"]["uid"]
        replicas = processes_with("PYJOB_POD_UID", uid)
    kill(own_home)
    for process in replicas:
        process.kill()
    run = own_home.pods / uid / "container-0/0"
    (run / "pid").unlink()
    (run / "log").write_bytes(b"")
    with running(own_home) as api:
        api.wait_log("j-master-0", "up")
        assert api.conditions("j")["Running"] == "True"
        assert api.pod("j-master-0")["status"]["containerStatuses"][0]["restartCount"] == 0


def test_the_log_of_a_pod_that_was_being_removed_is_kept(own_home: Home) -> None:
    """The API was killed when the pod was gone, and its log not yet put aside."""
    with running(own_home) as api:
        api.submit(a_job(code="print('said')"))
        api.wait("j", "Succeeded")
    kill(own_home)
    with closing(Store(own_home.database)) as store:
        store.delete(PODS, store.get(PODS, "default", "j-master-0"))
    with running(own_home) as api:
        eventually(lambda: not list(own_home.pods.iterdir()))
        assert api.log("j-master-0") == "said\n"


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


def test_stop_with_force_ends_the_jobs(own_home: Home) -> None:
    """A later API neither revives what ran nor starts what waited, and still has the logs."""
    too_much = {"resources": {"limits": {"nvidia.com/gpu": "64"}}}
    with running(own_home) as api:
        api.submit(a_job("runs", SLEEP, policy="OnFailure"))
        api.submit(a_job("waits", SLEEP, container=too_much))
        api.submit(a_job("rests", SLEEP, suspend=True))
        api.wait_log("runs-master-0", "up")
        eventually(lambda: "waits-master-0" in api.pods())
    assert launcher.stop(own_home, force=True)
    with running(own_home) as api:
        api.submit(a_job("next"))
        api.wait("next", "Succeeded")
        for name in ("runs", "waits"):
            status = api.job(name)["status"]
            (failed,) = [entry for entry in status["conditions"] if entry["type"] == "Failed"]
            message = f"PyTorchJob {name} was ended by pyjob-magic stop --force"
            assert (failed["reason"], failed["message"]) == ("PyTorchJobFailed", message)
            assert status["completionTime"]
            assert api.conditions(name).get("Running", "False") == "False"
            assert api.pod(f"{name}-master-0")["status"]["phase"] == "Failed"
        assert api.log("runs-master-0") == "up\n"
        (container,) = api.pod("runs-master-0")["status"]["containerStatuses"]
        assert container["state"]["terminated"]["exitCode"] == 137
        assert api.conditions("rests")["Suspended"] == "True"
        assert "Failed" not in api.conditions("rests")


def test_stop_with_force_ends_what_an_api_has_left(own_home: Home) -> None:
    with running(own_home) as api:
        api.submit(a_job(code=SLEEP))
        api.wait_log("j-master-0", "up")
    os.kill(pid(own_home), signal.SIGTERM)
    assert launcher.stop(own_home, force=True)
    eventually(lambda: not processes_with(VARIABLE, own_home.path))


def test_a_pod_deleted_before_its_replica_is_known_again(
    own_home: Home, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A new API counts its GPUs first, which takes a while; who deletes meanwhile has to wait."""
    with running(own_home) as api:
        api.submit(a_job(code=SLEEP))
        api.wait_log("j-master-0", "up")
        replicas = processes_with("PYJOB_POD_UID", api.pod("j-master-0")["metadata"]["uid"])
    kill(own_home)
    slow = tmp_path / "nvidia-smi"
    slow.write_text(f"#!/bin/sh\nwhile [ ! -e {tmp_path}/go ]; do sleep 0.01; done\n")
    slow.chmod(0o755)
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
    monkeypatch.setenv("PATH", f"{tmp_path}:{os.environ['PATH']}")
    with running(own_home) as api, ThreadPoolExecutor() as pool:
        deleted = pool.submit(api.http.delete, f"{api.core('pods')}/j-master-0")
        wait([deleted], timeout=0.5)
        (tmp_path / "go").touch()
        assert deleted.result().status_code == 200
        eventually(lambda: not any(process.is_running() for process in replicas))


def test_who_asks_while_it_stops_gets_a_new_one(own_home: Home) -> None:
    """An API that ends gives open streams a second, and nobody is sent to it meanwhile."""
    with running(own_home) as api, ExitStack() as streams:
        params = {"watch": "true"}
        streams.enter_context(api.http.stream("GET", api.jobs, params=params))
        host, _, port = launcher.ensure_running(own_home).url.rpartition("/")[2].partition(":")
        os.kill(pid(own_home), signal.SIGTERM)
        eventually(lambda: not accepts(host, int(port)))
        with running(own_home) as fresh:
            assert fresh.http.get("/readyz").text == "ok"


def accepts(host: str, port: int) -> bool:
    try:
        socket.create_connection((host, port)).close()
    except ConnectionRefusedError:
        return False
    return True


def test_the_one_who_replaces_an_old_version_is_not_replaced(own_home: Home) -> None:
    launcher.ensure_running(own_home)
    pretend(own_home, version="0.0.0")
    code = (
        "import sys; from pyjob_magic.local import launcher; print('ready', flush=True); "
        "sys.stdin.read(); print(launcher.ensure_running().url)"
    )
    env = {**os.environ, VARIABLE: str(own_home.path)}
    pipes: dict[str, Any] = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "text": True}
    starters = [subprocess.Popen([sys.executable, "-c", code], env=env, **pipes) for _ in range(6)]
    for starter in starters:
        assert starter.stdout
        starter.stdout.readline()
    for starter in starters:
        assert starter.stdin
        starter.stdin.close()
    urls = set()
    for starter in starters:
        with starter:
            assert starter.stdout
            urls.add(starter.stdout.read().strip())
    assert urls == {launcher.ensure_running(own_home).url}


def test_a_replica_inherits_nothing_private(
    own_home: Home, monkeypatch: pytest.MonkeyPatch
) -> None:
    names = ["JUPYTERHUB_API_TOKEN", "JPY_API_TOKEN", "TORCHELASTIC_RUN_ID", "PET_NNODES", "RANK"]
    for name in (*names, "MINE"):
        monkeypatch.setenv(name, "of the kernel")
    with running(own_home) as api:
        api.submit(a_job(code="import os, json; print(json.dumps(dict(os.environ)))"))
        api.wait("j", "Succeeded")
        env = json.loads(api.log("j-master-0"))
    assert [name for name, value in env.items() if value == "of the kernel"] == ["MINE"]


def test_an_api_that_has_ended_is_no_zombie(own_home: Home) -> None:
    launcher.ensure_running(own_home)
    first = psutil.Process(pid(own_home))
    launcher.stop(own_home)

    def let_go() -> bool:
        launcher.ensure_running(own_home)
        return not psutil.pid_exists(first.pid)

    eventually(let_go)


def test_threads_that_let_go_of_an_ended_api_do_not_disturb_each_other() -> None:
    """Each watch asks for the API by itself when it has ended."""
    threads = 8
    together = threading.Barrier(threads)

    def reap(_: int) -> None:
        together.wait(10)
        launcher._reap()

    before = set(launcher._children)
    with ThreadPoolExecutor(threads) as pool:
        for _ in range(20):
            for _ in range(threads):
                child = subprocess.Popen(["true"])
                os.waitid(os.P_PID, child.pid, os.WEXITED | os.WNOWAIT)
                launcher._children.add(child.pid)
                child.returncode = 0  # or it would be waited for once more
            assert list(pool.map(reap, range(threads))) == [None] * threads

    assert launcher._children <= before


def test_a_process_with_many_open_files_can_start_it(own_home: Home) -> None:
    code = (
        "import os, resource\n"
        "_, most = resource.getrlimit(resource.RLIMIT_NOFILE)\n"
        "resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))\n"
        "files = [os.open(os.devnull, os.O_RDONLY) for _ in range(1100)]\n"
        "from pyjob_magic.local import launcher; print(launcher.ensure_running().url)"
    )
    env = {**os.environ, VARIABLE: str(own_home.path)}
    command = [sys.executable, "-c", code]
    started = subprocess.run(command, env=env, capture_output=True, text=True, check=False)
    assert started.stderr == ""
    assert started.stdout.strip() == launcher.ensure_running(own_home).url


@pytest.mark.parametrize("value", ["soon", "-1", "nan", "inf"])
def test_a_setting_that_is_none_is_named(
    own_home: Home, monkeypatch: pytest.MonkeyPatch, value: str
) -> None:
    monkeypatch.setenv("PYJOB_MAGIC_IDLE_SECONDS", value)
    with pytest.raises(TargetError, match=f"PYJOB_MAGIC_IDLE_SECONDS='{value}': must be a number"):
        launcher.ensure_running(own_home)


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
    os.close(own_home.announce({"url": "http://127.0.0.1:9"}))
    with running(own_home) as api:
        assert api.http.get("/readyz").text == "ok"


def test_an_idle_api_of_another_version_is_replaced(own_home: Home) -> None:
    launcher.ensure_running(own_home)
    first = pid(own_home)
    pretend(own_home, version="0.0.0", a_field_of_its_own=True)
    with running(own_home) as api:
        assert api.http.get("/readyz").text == "ok"
    assert pid(own_home) != first


def test_a_busy_api_of_another_version_is_replaced_when_it_is_idle(own_home: Home) -> None:
    with running(own_home) as api:
        api.submit(a_job(code=SLEEP))
        api.wait_log("j-master-0", "up")
        first = pid(own_home)
        pretend(own_home, version="0.0.0")
        with running(own_home) as later:
            assert later.conditions("j")["Running"] == "True"
        assert pid(own_home) == first
        api.http.delete(f"{api.jobs}/j")
        eventually(lambda: not api.pods())

    def replaced() -> bool:
        launcher.ensure_running(own_home)
        return pid(own_home) != first

    eventually(replaced)


def test_an_idle_api_costs_next_to_nothing(own_home: Home) -> None:
    """Less than 80 MB, and less than 0.5 % of a processor."""
    with running(own_home) as api:
        api.submit(a_job())
        api.wait("j", "Succeeded")
    process = psutil.Process(pid(own_home))
    seconds = 3.0
    time.sleep(0.5)  # the last pod is being swept away
    before = process.cpu_times()
    time.sleep(seconds)
    after = process.cpu_times()
    used = after.user + after.system - before.user - before.system
    assert used <= max(0.005 * seconds, 0.02)  # the clock ticks every 10 ms
    assert process.memory_info().rss < 80e6


def test_an_api_whose_kernel_is_gone_before_it_serves_ends(own_home: Home) -> None:
    """It waits for another one to end; then nobody would know of it."""
    code = "from pyjob_magic.local import launcher; launcher.ensure_running()"
    env = {**os.environ, VARIABLE: str(own_home.path)}
    other = private.lock_file(own_home.create().lock)
    fcntl.flock(other, fcntl.LOCK_EX)
    with subprocess.Popen([sys.executable, "-c", code], env=env) as kernel:
        (api,) = eventually(lambda: psutil.Process(kernel.pid).children())
        kernel.kill()
    api.wait(20)
    os.close(other)
    assert "whoever has started this process is gone" in own_home.log.read_text()


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


def test_a_replica_starts_no_api(own_home: Home, monkeypatch: pytest.MonkeyPatch) -> None:
    """It would sit in the tree of the replica, and end with it."""
    monkeypatch.setenv("PYJOB_POD_UID", "some")
    with pytest.raises(TargetError, match="a replica starts no API"):
        launcher.ensure_running(own_home)
