"""How a pod fares, in a word."""

from __future__ import annotations

from typing import Any

import pytest

from pyjob_magic.local.apiserver.podcells import pod_cells
from pyjob_magic.local.objects import seconds

Json = dict[str, Any]
CREATED = "2026-01-01T00:00:00Z"
NOW = seconds(CREATED) + 300
UP: Json = {"running": {"startedAt": CREATED}}


def ended(code: int, reason: str = "", **more: Any) -> Json:
    return {"terminated": {"exitCode": code, **({"reason": reason} if reason else {}), **more}}


def waits(reason: str) -> Json:
    return {"waiting": {"reason": reason}}


def statuses(states: list[Json], **more: Any) -> list[Json]:
    return [
        {"name": f"c{n}", "state": state, "ready": "running" in state, **more}
        for n, state in enumerate(states)
    ]


def pod(
    phase: str = "Running",
    *states: Json,
    init: list[Json] | None = None,
    initialized: bool = False,
    ready: bool = False,
    deleted: bool = False,
    **status: Any,
) -> Json:
    """Return a pod whose containers are in the given states."""
    conditions = {"Initialized": initialized, "Ready": ready}
    spec = {"containers": [{"name": f"c{n}"} for n in range(len(states) or 1)]}
    if init is not None:
        spec["initContainers"] = [{"name": f"c{n}"} for n in range(len(init))]
        status["initContainerStatuses"] = statuses(init)
    return {
        "metadata": {
            "name": "p",
            "creationTimestamp": CREATED,
            **({"deletionTimestamp": CREATED} if deleted else {}),
        },
        "spec": spec,
        "status": {
            "phase": phase,
            "conditions": [{"type": k, "status": str(v)} for k, v in conditions.items()],
            "containerStatuses": statuses(list(states)),
            **status,
        },
    }


def cells(found: Json) -> list[str]:
    return [str(cell) for cell in pod_cells(found, NOW)]


@pytest.mark.parametrize(
    ("found", "ready", "status"),
    [
        (pod("Pending"), "0/1", "Pending"),
        (pod("Pending", waits("ContainerCreating")), "0/1", "ContainerCreating"),
        (pod("Pending", waits("PodInitializing"), init=[UP]), "0/1", "Init:0/1"),
        (pod("Pending", init=[ended(0), waits("PodInitializing")]), "0/1", "Init:1/2"),
        (pod("Pending", init=[waits("CrashLoopBackOff")]), "0/1", "Init:CrashLoopBackOff"),
        (pod("Pending", init=[ended(1, "Error")]), "0/1", "Init:Error"),
        (pod("Pending", init=[ended(2)]), "0/1", "Init:ExitCode:2"),
        (pod("Pending", init=[ended(137, signal=9)]), "0/1", "Init:Signal:9"),
        (pod("Pending", waits("PodInitializing"), init=[ended(0)]), "0/1", "PodInitializing"),
        (pod("Running", UP, init=[UP], initialized=True), "1/1", "Init:0/1"),
        (pod("Running", UP, ready=True), "1/1", "Running"),
        (pod("Running", {"running": {}}, ready=True), "1/1", "Running"),
        (pod("Running", waits("CrashLoopBackOff")), "0/1", "CrashLoopBackOff"),
        (pod("Running", ended(0, "Completed"), UP, ready=True), "1/2", "Running"),
        (pod("Running", ended(0, "Completed"), UP), "1/2", "NotReady"),
        (pod("Running", UP, ended(1, "Error")), "1/2", "Error"),
        (pod("Running", waits("CrashLoopBackOff"), ended(1, "Error")), "0/2", "CrashLoopBackOff"),
        (pod("Succeeded", ended(0, "Completed")), "0/1", "Completed"),
        (pod("Failed", ended(137, "OOMKilled")), "0/1", "OOMKilled"),
        (pod("Failed", ended(1, "Error")), "0/1", "Error"),
        (pod("Failed", ended(143, signal=15)), "0/1", "Signal:15"),
        (pod("Failed", ended(7)), "0/1", "ExitCode:7"),
        (pod("Failed", reason="Evicted"), "0/1", "Evicted"),
        (pod("Running", UP, ready=True, deleted=True), "1/1", "Terminating"),
        (pod("Running", UP, deleted=True, reason="NodeLost"), "1/1", "Unknown"),
        (pod("Failed", ended(1, "Error"), deleted=True), "0/1", "Error"),
    ],
)
def test_ready_and_status(found: Json, ready: str, status: str) -> None:
    """What ails the containers, rather than the phase."""
    assert cells(found)[1:3] == [ready, status]


def test_restarts_and_when_the_last_was() -> None:
    """Those of all containers are counted."""
    found = pod("Running", UP, UP)
    for entry, minute in zip(found["status"]["containerStatuses"], (1, 4), strict=True):
        finished = f"2026-01-01T00:0{minute}:50Z"
        entry |= {"restartCount": minute, "lastState": ended(1, finishedAt=finished)}
    assert cells(found)[3] == "5 (10s ago)"


def test_restarts_while_initialising() -> None:
    """Those of init containers count as long as they are what is waited for."""
    found = pod("Pending", waits("PodInitializing"), init=[waits("CrashLoopBackOff")])
    found["status"]["initContainerStatuses"][0]["restartCount"] = 2
    assert cells(found)[3] == "2"
    found["status"]["initContainerStatuses"][0]["state"] = ended(0)
    assert cells(found)[3] == "0"


def test_a_container_that_starts_before_and_stays() -> None:
    """It counts as one of the containers, and is not waited for to end."""
    found = pod("Running", UP, init=[UP], ready=True)
    found["spec"]["initContainers"][0]["restartPolicy"] = "Always"
    found["status"]["initContainerStatuses"][0] |= {"started": True, "restartCount": 3}
    assert cells(found)[1:4] == ["2/2", "Running", "3"]


def test_age_and_what_only_wide_output_shows() -> None:
    """Address, node, and where nothing is known, so much."""
    found = pod("Running", UP, podIPs=[{"ip": "127.0.0.1"}])
    assert cells(found)[4:] == ["5m", "127.0.0.1", "<none>", "<none>", "<none>"]
    found["spec"] |= {"nodeName": "here", "readinessGates": [{"conditionType": "Ready"}]}
    assert cells(found)[5:] == ["127.0.0.1", "here", "<none>", "0/1"]


def test_a_pod_that_nobody_has_looked_at() -> None:
    """A pod without any status has no word for it."""
    found = {"metadata": {"name": "p"}, "spec": {"containers": [{"name": "a"}]}}
    assert cells(found)[:5] == ["p", "0/1", "", "0", "<unknown>"]
