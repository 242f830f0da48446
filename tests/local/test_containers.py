"""Containers of a pod: their order, their ends, what they say at their end."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from pyjob_magic.local.home import Home
from tests.local.api import Api, a_job
from tests.state import eventually

SAY = "import os; path = os.environ['PYJOB_ROOT'] + '/dev/termination-log'; "


def container(name: str, code: str, **fields: Any) -> dict[str, Any]:
    return {"name": name, "image": "i", "command": ["python", "-c", code], **fields}


def statuses(api: Api, key: str = "containerStatuses") -> dict[str, dict[str, Any]]:
    entries = api.pod("j-master-0")["status"].get(key) or []
    return {entry["name"]: entry for entry in entries}


def work(api: Api, home: Home) -> Path:
    uid: str = api.pod("j-master-0")["metadata"]["uid"]
    return home.pods / uid / "work"


def test_a_failed_init_container_fails_the_pod(api: Api) -> None:
    """Under Never; the containers it was to prepare have never run."""
    pod = {"initContainers": [container("prepare", "raise SystemExit(3)")]}
    api.submit(a_job(code="print('ran')", pod=pod))

    api.wait("j", "Failed")

    assert statuses(api)["pytorch"]["state"] == {"waiting": {"reason": "PodInitializing"}}
    init = statuses(api, "initContainerStatuses")["prepare"]
    assert (init["ready"], init["state"]["terminated"]["exitCode"]) == (False, 3)


def test_an_init_container_is_tried_again(api: Api) -> None:
    """Under OnFailure; the pod is pending meanwhile."""
    code = "import os; os.mkdir('again' if os.path.exists('once') else 'once')\n"
    fails = code + "raise SystemExit(not os.path.exists('again'))"
    pod = {"initContainers": [container("prepare", fails)]}
    api.submit(a_job(pod=pod, policy="OnFailure"))

    api.wait("j", "Succeeded")

    init = statuses(api, "initContainerStatuses")["prepare"]
    assert (init["ready"], init["restartCount"]) == (True, 1)
    assert init["lastState"]["terminated"]["exitCode"] == 1


SIDECAR = """
import os, signal, sys, time
signal.signal(signal.SIGTERM, lambda *_: (print("mains:", os.listdir("ended")), sys.exit(0)))
open("beside", "w").close()
while True: time.sleep(600)
"""
BESIDE = "import os, time\nwhile not os.path.exists('beside'): time.sleep(0.01)\n"


def test_a_sidecar_runs_beside_and_ends_last(api: Api) -> None:
    """The next init container finds it started, and no container is left when it has to end."""
    sidecar = container("side", SIDECAR, restartPolicy="Always")
    pod = {"initContainers": [sidecar, container("next", BESIDE + "os.mkdir('ended')")]}
    api.submit(a_job(code="open('ended/main', 'w')", pod=pod))

    api.wait("j", "Succeeded")

    assert api.log("j-master-0", container="side") == "mains: ['main']\n"
    entry = statuses(api, "initContainerStatuses")["side"]
    assert (entry["state"]["terminated"]["exitCode"], entry["ready"]) == (0, False)


def test_a_sidecar_that_does_not_end_is_killed(api: Api) -> None:
    """After the grace period of its pod, one second."""
    code = "import signal, time; signal.signal(15, signal.SIG_IGN); open('beside', 'w').close()\n"
    sidecar = container("side", code + "time.sleep(600)", restartPolicy="Always")
    api.submit(a_job(code=BESIDE, pod={"initContainers": [sidecar]}))

    api.wait("j", "Succeeded")

    entry = statuses(api, "initContainerStatuses")["side"]
    assert entry["state"]["terminated"]["exitCode"] == 137


def test_a_sidecar_is_restarted(api: Api, api_home: Home) -> None:
    """Whatever its exit code, and whatever the policy of the pod."""
    sidecar = container("side", "pass", restartPolicy="Always")
    code = "import os, time\nwhile not os.path.exists('go'): time.sleep(0.01)"
    api.submit(a_job(code=code, pod={"initContainers": [sidecar]}))
    eventually(lambda: api.pods())

    def restarted() -> bool:
        entries = statuses(api, "initContainerStatuses")
        return bool(entries) and entries["side"]["restartCount"] >= 2

    eventually(restarted)
    (work(api, api_home) / "go").touch()
    api.wait("j", "Succeeded")


def test_a_pod_with_sidecars_can_be_deleted(api: Api) -> None:
    """While they run and while they wait to run again."""
    sleeps = "import time; print('up', flush=True); time.sleep(600)"
    sidecars = [
        container("runs", sleeps, restartPolicy="Always"),
        container("fails", "raise SystemExit(1)", restartPolicy="Always"),
    ]
    api.submit(a_job(code=sleeps, pod={"initContainers": sidecars}))
    eventually(lambda: "j-master-0" in api.pods())
    api.wait_phase("j-master-0", "Running")

    api.http.delete(f"{api.jobs}/j")

    eventually(lambda: not api.pods())


@pytest.mark.parametrize(
    ("command", "code", "message"),
    [
        (["no-such-program"], 127, "executable file not found in $PATH"),
        (["/no/such/program"], 127, "no such file or directory"),
        (["/etc/passwd"], 126, "permission denied"),
        (["true", "\0"], 128, "null byte"),
    ],
)
def test_what_cannot_run_says_why(api: Api, command: list[str], code: int, message: str) -> None:
    """With the exit codes that shells have for it."""
    api.submit(a_job(command=command))

    api.wait("j", "Failed")

    state = statuses(api)["pytorch"]["state"]["terminated"]
    assert (state["reason"], state["exitCode"]) == ("ContainerCannotRun", code)
    assert message in state["message"]


def test_a_program_can_leave_a_message(api: Api) -> None:
    """In the file that Kubernetes has for it, below the pod's root."""
    api.submit(a_job(code=SAY + "open(path, 'w').write('no data'); raise SystemExit(1)"))

    api.wait("j", "Failed")

    assert statuses(api)["pytorch"]["state"]["terminated"]["message"] == "no data"


def test_a_message_is_of_its_own_run(api: Api) -> None:
    """That of the run before is in lastState, and is not read again."""
    code = SAY + "n = len(os.listdir('.')); open(str(n), 'w')\n"
    code += "if n == 0: open(path, 'w').write('first'); raise SystemExit(1)"
    api.submit(a_job(code=code, policy="OnFailure"))

    api.wait("j", "Succeeded")

    entry = statuses(api)["pytorch"]
    assert entry["lastState"]["terminated"]["message"] == "first"
    assert "message" not in entry["state"]["terminated"]


def test_the_end_of_the_log_can_be_the_message(api: Api) -> None:
    """At most 2048 bytes and 80 lines of it, and only of what has failed."""
    policy = {"terminationMessagePolicy": "FallbackToLogsOnError"}
    lines = "print(*range(100), sep=os.linesep); raise SystemExit(1)"
    api.submit(a_job("j", "import os; " + lines, container=policy))
    api.submit(a_job("done", "print('fine')", container=policy))

    api.wait("j", "Failed")
    api.wait("done", "Succeeded")

    message = statuses(api)["pytorch"]["state"]["terminated"]["message"]
    assert message.split() == [str(n) for n in range(20, 100)]
    (done,) = api.pod("done-master-0")["status"]["containerStatuses"]
    assert "message" not in done["state"]["terminated"]


def test_every_end_names_its_container(api: Api) -> None:
    """The id of a run is its pod's, the container's and its number."""
    code = "import os, sys; n = len(os.listdir('.')); open(str(n), 'w'); sys.exit(n < 1)"
    api.submit(a_job(code=code, policy="OnFailure"))

    api.wait("j", "Succeeded")

    entry, uid = statuses(api)["pytorch"], api.pod("j-master-0")["metadata"]["uid"]
    assert entry["containerID"] == f"pyjob://{uid}/container-0/1"
    assert entry["state"]["terminated"]["containerID"] == entry["containerID"]
    assert entry["lastState"]["terminated"]["containerID"] == f"pyjob://{uid}/container-0/0"
