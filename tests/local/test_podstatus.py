"""The status of a pod, in the words of a kubelet."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from pyjob_magic.local.kubelet.podstatus import Run, conditions, killed, phase, runs, terminated
from pyjob_magic.local.kubelet.process import Process

NOW = "2026-11-23T12:00:00Z"
RUNNING = {"running": {"startedAt": NOW}}
BACK_OFF = {"waiting": {"reason": "CrashLoopBackOff"}}


def ended(code: int) -> dict[str, Any]:
    return {"terminated": {"exitCode": code}}


def pod(policy: str = "Never", init: int = 0, main: int = 1, sidecars: int = 0) -> dict[str, Any]:
    """Return a pod with so many containers: main-0, init-0, sidecar-0 and so on."""
    first = [{"name": f"init-{n}"} for n in range(init)]
    beside = [{"name": f"sidecar-{n}", "restartPolicy": "Always"} for n in range(sidecars)]
    containers = [{"name": f"main-{n}"} for n in range(main)]
    spec = {"restartPolicy": policy, "initContainers": [*beside, *first], "containers": containers}
    return {"metadata": {"uid": "u"}, "spec": spec}


def a_pod(
    states: list[dict[str, Any]], before: Sequence[dict[str, Any]] = (), **shape: Any
) -> tuple[list[Run], list[Run]]:
    """Return the runs of a pod in these states; None leaves a run as it is at first."""
    first, main = runs(pod(main=len(states), **shape))
    for run, state in zip([*first, *main], [*before, *states], strict=True):
        if state:
            run.state = state
        if state is BACK_OFF:
            run.last_state = ended(1)
    return first, main


@pytest.mark.parametrize(
    ("states", "policy", "expected"),
    [
        ([{}], "Never", "Pending"),
        ([RUNNING, {}], "Never", "Pending"),
        ([RUNNING, RUNNING], "Never", "Running"),
        ([RUNNING, ended(1)], "Never", "Running"),
        ([BACK_OFF], "OnFailure", "Running"),
        ([ended(1)], "OnFailure", "Running"),
        ([ended(0)], "Always", "Running"),
        ([ended(0), ended(0)], "OnFailure", "Succeeded"),
        ([ended(0), ended(1)], "Never", "Failed"),
    ],
)
def test_the_phase_follows_the_containers(
    states: list[dict[str, Any]], policy: str, expected: str
) -> None:
    """One that has never run keeps its pod pending, one that will run again keeps it running."""
    assert phase(*a_pod(states, policy=policy)) == expected


@pytest.mark.parametrize(
    ("init", "policy", "expected"),
    [
        ({}, "Never", "Pending"),
        (RUNNING, "Never", "Pending"),
        (ended(0), "Never", "Pending"),
        (ended(1), "Never", "Failed"),
        (BACK_OFF, "OnFailure", "Pending"),
    ],
)
def test_a_pod_is_pending_until_it_is_initialized(
    init: dict[str, Any], policy: str, expected: str
) -> None:
    """Only what is not tried again makes it fail."""
    assert phase(*a_pod([{}], [init], init=1, policy=policy)) == expected


@pytest.mark.parametrize(
    ("sidecar", "main", "expected"),
    [
        (RUNNING, RUNNING, "Running"),
        (BACK_OFF, RUNNING, "Running"),
        (RUNNING, ended(0), "Running"),
        (ended(143), ended(0), "Succeeded"),
        (ended(0), ended(1), "Failed"),
    ],
)
def test_sidecars_do_not_decide(
    sidecar: dict[str, Any], main: dict[str, Any], expected: str
) -> None:
    """How they end does not matter; that they run does."""
    assert phase(*a_pod([main], [sidecar], sidecars=1)) == expected


def test_what_waits_for_init_containers_says_so() -> None:
    """As `kubectl get pods` shows it."""
    first, main = runs(pod(init=1))

    for run in (*first, *main):
        assert run.status()["state"] == {"waiting": {"reason": "PodInitializing"}}
    (alone,) = runs(pod())[1]
    assert alone.status()["state"] == {"waiting": {"reason": "ContainerCreating"}}


def test_an_init_container_is_ready_when_it_is_done() -> None:
    """The others are ready as long as they run."""
    (init,), (main,) = a_pod([RUNNING], [ended(0)], init=1)

    assert (init.init_status()["ready"], init.init_status()["started"]) == (True, False)
    assert (main.status()["ready"], main.status()["started"]) == (True, True)


def test_containers_have_ids_once_they_have_run() -> None:
    """Each run has its own."""
    _, (first, second) = a_pod([RUNNING, {}])
    first.restarts = 2

    assert first.status()["containerID"] == "pyjob://u/container-0/2"
    assert "containerID" not in second.status()


def said(states: tuple[list[Run], list[Run]], old: Any = ()) -> dict[str, tuple[str, str, str]]:
    status = {"phase": phase(*states)}
    return {
        entry["type"]: (entry["status"], entry.get("reason", ""), entry.get("message", ""))
        for entry in conditions(status, *states, NOW, old)
    }


def test_conditions_name_what_is_missing() -> None:
    """Which containers are not ready, which init containers are not done."""
    assert said(a_pod([{}], [RUNNING], init=1)) == {
        "PodReadyToStartContainers": ("True", "", ""),
        "Initialized": (
            "False",
            "ContainersNotInitialized",
            "containers with incomplete status: [init-0]",
        ),
        "Ready": ("False", "ContainersNotReady", "containers with unready status: [main-0]"),
        "ContainersReady": (
            "False",
            "ContainersNotReady",
            "containers with unready status: [main-0]",
        ),
        "PodScheduled": ("True", "", ""),
    }


def test_a_pod_that_has_ended_is_not_ready() -> None:
    """And says how it has ended."""
    done = said(a_pod([ended(0)], [ended(0)], init=1))
    failed = said(a_pod([ended(1)]))

    assert done["Ready"] == ("False", "PodCompleted", "")
    assert done["Initialized"] == ("True", "PodCompleted", "")
    assert failed["Ready"] == failed["ContainersReady"] == ("False", "PodFailed", "")


def test_a_sidecar_that_restarts_does_not_undo_initialization() -> None:
    """The containers have started, after all."""
    assert said(a_pod([RUNNING], [BACK_OFF], sidecars=1))["Initialized"][0] == "True"
    assert said(a_pod([{}], [BACK_OFF], sidecars=1))["Initialized"][0] == "False"


def test_a_condition_keeps_its_time_until_it_changes() -> None:
    """What is said about it may change."""
    states = a_pod([{}, {}])
    old = conditions({"phase": "Pending"}, *states, "before", ())
    states[1][0].state = RUNNING

    new = conditions({"phase": "Pending"}, *states, "after", old)

    assert {entry["lastTransitionTime"] for entry in new} == {"before"}
    assert new[2]["message"] == "containers with unready status: [main-1]"


def a_run(directory: Path) -> Process:
    run = Process(directory / "container-0" / "3", "u", "c")
    run.directory.mkdir(parents=True)
    return run


@pytest.mark.parametrize(("code", "reason"), [(0, "Completed"), (3, "Error"), (None, "Error")])
def test_an_end_has_a_reason(tmp_path: Path, code: int | None, reason: str) -> None:
    """A code that nobody knows counts as killed."""
    state = terminated(a_run(tmp_path), code)["terminated"]

    assert (state["exitCode"], state["reason"]) == (137 if code is None else code, reason)
    assert state["containerID"] == "pyjob://u/container-0/3"
    assert "message" not in state


@pytest.mark.parametrize(("code", "reason"), [(137, "OOMKilled"), (0, "Completed")])
def test_what_ended_before_it_was_killed_was_not_killed(
    tmp_path: Path, code: int, reason: str
) -> None:
    """The decision to kill it came too late."""
    run = a_run(tmp_path)
    run.explain("OOMKilled", "used 2Gi of 1Gi allowed")

    assert terminated(run, code)["terminated"]["reason"] == reason


def test_all_that_ran_in_a_killed_pod_has_ended() -> None:
    """Its sidecars, too; what has ended before keeps its code."""
    first, main = a_pod([RUNNING, ended(0)], [RUNNING], sidecars=1)
    status = {
        "phase": "Running",
        "initContainerStatuses": [run.init_status() for run in first],
        "containerStatuses": [run.status() for run in main],
    }

    after = killed(status, "why", NOW)

    entries = after["initContainerStatuses"] + after["containerStatuses"]
    codes = [entry["state"]["terminated"]["exitCode"] for entry in entries]
    assert codes == [137, 137, 0]
    assert (after["phase"], after["message"]) == ("Failed", "why")
    assert not any(entry["ready"] or entry["started"] for entry in entries[:2])
