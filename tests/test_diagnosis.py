"""From replicas and the ends of their logs to what went wrong."""

from __future__ import annotations

from typing import Any

import pytest

from pyjob_magic.diagnosis import blamed, exit_code, failed, failed_first, how
from pyjob_magic.models import Event, Pod
from pyjob_magic.models.pod import ContainerState, StateTerminated

RESET = "RuntimeError: [../gloo/transport/tcp/pair.cc:547] Connection closed by peer [127.0.0.1]"


def a_pod(
    replica: str, code: int | None, finished: str = "2026-01-01T00:00:05Z", **end: Any
) -> Pod:
    kind, index = replica.split("-")
    terminated = {"exitCode": code, "finishedAt": finished, "reason": "Error", **end}
    state = {"running": {}} if code is None else {"terminated": terminated}
    return Pod.from_wire(
        {
            "metadata": {
                "name": f"job-{replica}",
                "labels": {
                    "training.kubeflow.org/replica-type": kind,
                    "training.kubeflow.org/replica-index": index,
                },
            },
            "spec": {"containers": []},
            "status": {
                "phase": "Running" if code is None else "Failed" if code else "Succeeded",
                "containerStatuses": [{"name": "pytorch", "state": state}],
            },
        }
    )


def test_the_earliest_failure_counts() -> None:
    """Times are compared, not the order of the replicas."""
    pods = [
        a_pod("master-0", 1, "2026-01-01T00:00:09Z"),
        a_pod("worker-0", 1, "2026-01-01T00:00:05Z"),
        a_pod("worker-1", 0, "2026-01-01T00:00:01Z"),
        a_pod("worker-2", None),
    ]

    first = failed_first(pods, {})

    assert first
    assert first.replica == "worker-0"


@pytest.mark.parametrize("finished", ["2026-01-01T00:00:05Z", "2026-01-01T00:00:06Z"])
def test_who_lost_a_peer_is_not_the_first(finished: str) -> None:
    """Replicas that complain of a closed connection died because of another one."""
    pods = [a_pod("master-0", 1), a_pod("worker-0", 1, finished)]
    logs = {"job-master-0": RESET, "job-worker-0": "ValueError: bad shape"}

    first = failed_first(pods, logs)

    assert first
    assert first.replica == "worker-0"


def test_who_was_stopped_has_not_failed() -> None:
    """Replicas that the operator removes after a failure end by a signal, in the same second."""
    stopped = a_pod("master-0", 143)
    stopped.metadata.deletion_timestamp = "2026-01-01T00:00:05Z"

    assert failed([stopped, a_pod("worker-0", 1)]) == [a_pod("worker-0", 1)]


def test_a_restarted_replica_has_failed_before() -> None:
    """The exit code of the last run counts where this one was only stopped."""
    pod = a_pod("master-0", 143)
    assert pod.status.container_statuses
    last = ContainerState(terminated=StateTerminated(exit_code=7))
    pod.status.container_statuses[0].last_state = last
    pod.metadata.deletion_timestamp = "2026-01-01T00:00:05Z"

    assert exit_code(pod) == 7


def an_event(kind: str, name: str, reason: str, message: str) -> Event:
    obj = {"kind": kind, "name": name}
    wire = {"involvedObject": obj, "reason": reason, "message": message, "type": "Warning"}
    return Event.from_wire(wire)


EXITED = [
    an_event("PyTorchJob", "j", "ExitedWithCode", "Pod: ns.j-master-0 exited with code 0"),
    an_event("PyTorchJob", "j", "ExitedWithCode", "Pod: ns.j-worker-1 exited with code 3"),
    an_event("PyTorchJob", "j", "ExitedWithCode", "Pod: ns.j-worker-0 exited with code 1"),
]
BACK_OFF = [an_event("Pod", "j-worker-2", "BackOff", "Back-off restarting failed container")]


@pytest.mark.parametrize(
    ("events", "found"),
    [
        (EXITED, ("worker-1", "exited with code 3")),
        (BACK_OFF, ("worker-2", "failed again and again")),
        (EXITED[:1], None),
    ],
)
def test_events_tell_who_failed_where_no_replica_is_left(
    events: list[Event], found: tuple[str, str] | None
) -> None:
    """The operator removes replicas, what it said of them stays."""
    assert blamed(events, "j") == found


def test_without_a_failure_nobody_is_named() -> None:
    """A job can fail without any replica to blame."""
    assert failed_first([a_pod("master-0", None), a_pod("worker-0", 0)], {}) is None


@pytest.mark.parametrize(
    ("pod", "text"),
    [
        (a_pod("master-0", 3), "exited with code 3"),
        (a_pod("master-0", 139), "was ended by SIGSEGV, exit code 139"),
        (
            a_pod("master-0", 137, reason="OOMKilled"),
            "was ended by SIGKILL (OOMKilled), exit code 137",
        ),
        (a_pod("master-0", 255), "exited with code 255"),
        (
            Pod.from_wire(
                {
                    "spec": {"containers": []},
                    "status": {"phase": "Failed", "reason": "Evicted", "message": "no room"},
                }
            ),
            "never ran: Evicted: no room",
        ),
    ],
)
def test_how_a_replica_failed(pod: Pod, text: str) -> None:
    """Exit codes above 128 are signals."""
    assert how(pod) == text
