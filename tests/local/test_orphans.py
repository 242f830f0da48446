"""Whatever happens to the shell of a run and to the API, nothing of the run is left."""

from __future__ import annotations

from pathlib import Path

import psutil

from pyjob_magic.local import launcher
from pyjob_magic.local.home import Home
from tests.local.api import Api, a_job
from tests.local.hiding import HIDE, STAY, UNTIL_GO, gone, hidden
from tests.local.test_launcher import SLEEP, kill, running
from tests.state import eventually


def pod_directory(home: Home, api: Api) -> Path:
    uid: str = api.pod("j-master-0")["metadata"]["uid"]
    return home.pods / uid


def start(home: Home, api: Api, code: str) -> tuple[psutil.Process, list[psutil.Process]]:
    """Run a job that hides a process; return its shell and that process."""
    api.submit(a_job(code=HIDE + "hide()\n" + code))
    api.wait_log("j-master-0", "up")
    directory = pod_directory(home, api)
    shell = psutil.Process(int((directory / "container-0/0/pid").read_text()))
    return shell, hidden(directory / "work")


def test_the_api_ends_what_a_killed_shell_has_left(api: Api, api_home: Home) -> None:
    """An orphan in a session of its own, without environment, says nothing of where it is from."""
    shell, processes = start(api_home, api, STAY)

    shell.kill()

    api.wait("j", "Failed")
    eventually(lambda: gone(processes))
    assert not any(map(psutil.Process.is_running, processes))  # the API has reaped it


def test_a_killed_shell_does_no_harm_to_other_jobs(api: Api, api_home: Home) -> None:
    """Those who lead other runs are no orphans."""
    shell, _ = start(api_home, api, STAY)
    api.submit(a_job("other", SLEEP))
    api.wait_log("other-master-0", "up")

    shell.kill()

    api.wait("j", "Failed")
    assert api.pod("other-master-0")["status"]["phase"] == "Running"


def test_a_run_ends_whole_while_no_api_lives(own_home: Home) -> None:
    """And the next API knows the exit code."""
    with running(own_home) as api:
        shell, processes = start(own_home, api, UNTIL_GO + "os._exit(3)")
        directory = pod_directory(own_home, api)
    kill(own_home)

    (directory / "work" / "go").touch()

    eventually(lambda: gone([shell, *processes]))
    with running(own_home) as api:
        api.wait("j", "Failed")
        (status,) = api.pod("j-master-0")["status"]["containerStatuses"]
        assert status["state"]["terminated"]["exitCode"] == 3


def test_stop_with_force_ends_what_hides(own_home: Home) -> None:
    """Also what an API before has started."""
    with running(own_home) as api:
        _, processes = start(own_home, api, STAY)
    kill(own_home)

    launcher.stop(own_home, force=True)

    assert gone(processes)


def test_the_next_api_ends_what_a_killed_shell_has_left(own_home: Home) -> None:
    """Its orphans do not come to an API that has not started it."""
    with running(own_home) as api:
        shell, processes = start(own_home, api, STAY)
    kill(own_home)

    with running(own_home) as api:
        assert api.conditions("j")["Running"] == "True"
        shell.kill()
        api.wait("j", "Failed")

    assert gone(processes)
