"""What can happen to the state directory: it is said, nothing is lost by it, and jobs go on."""

from __future__ import annotations

import shutil
import sqlite3
import subprocess
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, suppress
from pathlib import Path

import httpx
import psutil
import pytest

from pyjob_magic.errors import TargetError
from pyjob_magic.local import launcher
from pyjob_magic.local.home import Home
from pyjob_magic.local.kubelet.marks import MARK
from tests.local.api import Api, a_job
from tests.local.test_launcher import kill, pid, running
from tests.state import VARIABLE, eventually, processes_with

# Ends with 7 as soon as there is a file, prints nothing until then.
WAITS = "import os, time\nwhile not os.path.exists({!r}): time.sleep(0.01)\nraise SystemExit(7)"


@pytest.fixture
def disk(own_home: Home) -> Iterator[Home]:
    """Lend a state directory on a disk of its own, of 4 MB."""
    mount = ["mount", "-t", "tmpfs", "-o", "size=4m,mode=0700", "tmpfs", str(own_home.path)]
    try:
        subprocess.run(mount, check=True, capture_output=True)
    except (OSError, subprocess.CalledProcessError) as error:
        pytest.skip(f"no small disk can be mounted here: {error}")
    try:
        yield own_home
    finally:
        make_room(own_home)
        launcher.stop(own_home, force=True)
        subprocess.run(["umount", "--lazy", own_home.path], check=True)


def fill(home: Home) -> None:
    """Leave no room on the disk of a state directory."""
    with (home.path / "filler").open("wb", buffering=0) as file, suppress(OSError):
        while True:
            file.write(bytes(4096))


def make_room(home: Home) -> None:
    (home.path / "filler").unlink(missing_ok=True)


def fails(api: Api) -> httpx.Response | None:
    """Create a job and return the answer if it is an error; the database may have some slack."""
    job = a_job(suspend=True)
    job["metadata"] = {"generateName": "j-", "annotations": {"text": "x" * 50_000}}
    response = api.http.post(api.jobs, json=job)
    return response if response.status_code >= 500 else None


def exit_code(api: Api, pod: str) -> int:
    (container,) = api.pod(pod)["status"]["containerStatuses"]
    code: int = container["state"]["terminated"]["exitCode"]
    return code


def replicas(api: Api, pod: str) -> list[psutil.Process]:
    return processes_with(MARK, api.pod(pod)["metadata"]["uid"])


def test_a_full_disk_is_said_and_goes_by(disk: Home, tmp_path: Path) -> None:
    """Jobs run on, their ends are known, and when there is room again all goes on by itself."""
    go = tmp_path / "go"
    with running(disk) as api:
        api.submit(a_job("ends", WAITS.format(str(go))))
        api.wait("ends", "Running")
        processes = replicas(api, "ends-master-0")
        fill(disk)
        failed = eventually(lambda: fails(api))
        assert failed.status_code == 507
        assert failed.json()["reason"] == "InternalError"
        assert failed.json()["message"] == (
            f"the disk that holds {disk.path} is full: free some space; jobs that run go on, "
            "and so does what waits"
        )
        assert all(process.is_running() for process in processes)
        assert api.conditions("ends")["Running"] == "True"
        go.touch()
        psutil.wait_procs(processes, 20)
        with pytest.raises(AssertionError):
            eventually(lambda: "Failed" in api.conditions("ends"), timeout=1.5)
        make_room(disk)
        api.wait("ends", "Failed")
        assert exit_code(api, "ends-master-0") == 7
        api.submit(a_job("next", "print('there is room')"))
        api.wait("next", "Succeeded")
        assert api.log("next-master-0") == "there is room\n"


def test_an_end_on_a_full_disk_is_known_to_a_later_api(disk: Home, tmp_path: Path) -> None:
    """An API that is killed meanwhile cannot be started again, and says why; the next one can."""
    go = tmp_path / "go"
    with running(disk) as api:
        api.submit(a_job("ends", WAITS.format(str(go))))
        api.wait("ends", "Running")
        processes = replicas(api, "ends-master-0")
    fill(disk)
    kill(disk)
    go.touch()
    psutil.wait_procs(processes, 20)
    with pytest.raises(TargetError, match=r"No space left on device; free some space there"):
        launcher.ensure_running(disk)
    make_room(disk)
    with running(disk) as api:
        api.wait("ends", "Failed")
        assert exit_code(api, "ends-master-0") == 7


def remounted(home: Home, mode: str) -> bool:
    command = ["mount", "-o", f"remount,{mode}", str(home.path)]
    return subprocess.run(command, capture_output=True, check=False).returncode == 0


def test_a_read_only_disk_is_said(disk: Home) -> None:
    with running(disk) as api:
        api.submit(a_job(suspend=True))
        api.wait("j", "Suspended")
    launcher.stop(disk)
    eventually(lambda: remounted(disk, "ro"))  # the API has still to leave it
    try:
        with pytest.raises(TargetError, match=r"Read-only file system; make it writable, or let"):
            launcher.ensure_running(disk)
    finally:
        assert remounted(disk, "rw")
    with running(disk) as api:
        assert api.conditions("j")["Suspended"] == "True"


@pytest.fixture
def with_a_job(own_home: Home) -> Home:
    """Lend the state directory of an API that was killed while a job ran."""
    with running(own_home) as api:
        api.submit(a_job(code="import time; print('up', flush=True); time.sleep(600)"))
        api.wait_log("j-master-0", "up")
    kill(own_home)
    return own_home


def everything(home: Home) -> dict[Path, bytes]:
    """Return what is in the database and the logs."""
    return {path: path.read_bytes() for path in (home.database, *home.pods.rglob("log"))}


def jobs_run(home: Home) -> bool:
    return any("sleep" in " ".join(words(p)) for p in processes_with(VARIABLE, home.path))


def words(process: psutil.Process) -> list[str]:
    """Return the command of a process; nothing if it has ended."""
    try:
        return process.cmdline()
    except psutil.Error:
        return []


def refused(home: Home) -> str:
    """Return why no API can be started; nothing changes by that, and jobs run on."""
    before = everything(home)
    with pytest.raises(TargetError) as error:
        launcher.ensure_running(home)
    assert everything(home) == before
    assert jobs_run(home)
    assert "\n" not in str(error.value)
    return str(error.value)


def closed(home: Home) -> None:
    """Have all of the database in one file."""
    with closing(sqlite3.connect(home.database)) as db:
        db.execute("PRAGMA wal_checkpoint(TRUNCATE)")


@pytest.mark.parametrize("start", [0, 4096, 12288], ids=["header", "schema", "middle"])
def test_a_damaged_database_is_left_as_it_is(with_a_job: Home, start: int) -> None:
    closed(with_a_job)
    whole = with_a_job.database.read_bytes()
    with with_a_job.database.open("r+b") as file:
        file.seek(start)
        file.write(b"damage" * 500)
    why = refused(with_a_job)
    assert f"{with_a_job.database} is damaged (" in why
    assert f"mv {with_a_job.path} {with_a_job.path}.damaged" in why
    with_a_job.database.write_bytes(whole)
    with running(with_a_job) as api:
        assert api.conditions("j")["Running"] == "True"


def test_a_database_of_the_future_is_left_as_it_is(with_a_job: Home) -> None:
    with closing(sqlite3.connect(with_a_job.database)) as db:
        db.execute("PRAGMA user_version=99")
    assert "is of version 99, this pyjob-magic reads version 1: use the" in refused(with_a_job)
    with closing(sqlite3.connect(with_a_job.database)) as db:
        db.execute("PRAGMA user_version=1")
    with running(with_a_job) as api:
        assert api.conditions("j")["Running"] == "True"


def test_replicas_whose_database_is_gone_are_left_alone(with_a_job: Home) -> None:
    """An empty database knows none of them; that is no reason to end them."""
    aside = with_a_job.path / "aside"
    aside.mkdir()
    for file in with_a_job.path.glob("state.db*"):
        file.rename(aside / file.name)
    with pytest.raises(TargetError, match=r"is empty, but .*pods holds replicas: put back"):
        launcher.ensure_running(with_a_job)
    assert jobs_run(with_a_job)
    for file in with_a_job.path.glob("state.db*"):
        file.unlink()
    for file in aside.iterdir():
        file.rename(with_a_job.path / file.name)
    with running(with_a_job) as api:
        assert api.conditions("j")["Running"] == "True"
        assert api.log("j-master-0") == "up\n"


def test_a_locked_database_is_said_and_goes_by(own_home: Home) -> None:
    with running(own_home) as api:
        with closing(sqlite3.connect(own_home.database, isolation_level=None)) as other:
            other.execute("BEGIN IMMEDIATE")
            response = api.http.post(api.jobs, json=a_job("first"))
            assert (response.status_code, response.json()["reason"]) == (503, "ServiceUnavailable")
            assert "is locked by another program: close it" in response.json()["message"]
        api.submit(a_job("second"))
        api.wait("second", "Succeeded")


def test_an_api_that_cannot_write_at_first_takes_over_later(with_a_job: Home) -> None:
    """What would need the replicas that it does not know yet waits for that."""
    with closing(sqlite3.connect(with_a_job.database, isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        with running(with_a_job) as api, ThreadPoolExecutor() as pool:
            deleted = pool.submit(api.http.delete, f"{api.core('pods')}/j-master-0")
            eventually(lambda: "is locked by another program" in with_a_job.log.read_text())
            assert api.log("j-master-0") == "up\n"
            other.execute("ROLLBACK")
            assert deleted.result().status_code == 200
            eventually(lambda: not jobs_run(with_a_job))


def test_a_job_whose_end_could_not_be_stored_goes_on(own_home: Home, tmp_path: Path) -> None:
    go = tmp_path / "go"
    with running(own_home) as api:
        api.submit(a_job("ends", WAITS.format(str(go))))
        api.wait("ends", "Running")
        processes = replicas(api, "ends-master-0")
        with closing(sqlite3.connect(own_home.database, isolation_level=None)) as other:
            other.execute("BEGIN IMMEDIATE")
            go.touch()
            psutil.wait_procs(processes, 20)
            eventually(lambda: "is locked by another program" in own_home.log.read_text())
        api.wait("ends", "Failed")
        assert exit_code(api, "ends-master-0") == 7


def test_a_removed_state_directory_is_noticed(own_home: Home) -> None:
    """What would be lost is not accepted; the API ends, jobs run on, the next one begins anew."""
    with running(own_home) as api:
        api.submit(a_job(code="import time; print('up', flush=True); time.sleep(600)"))
        api.wait_log("j-master-0", "up")
        old = psutil.Process(pid(own_home))
        processes = replicas(api, "j-master-0")
        shutil.rmtree(own_home.path)
        with suppress(httpx.TransportError):  # it may have ended already
            response = api.http.post(api.jobs, json=a_job("lost"))
            assert response.status_code == 500
            assert "has been removed or replaced" in response.json()["message"]
    old.wait(20)
    assert all(process.is_running() for process in processes)
    with running(own_home) as api:
        assert api.http.get(api.jobs).json()["items"] == []
    for process in processes:
        process.kill()
