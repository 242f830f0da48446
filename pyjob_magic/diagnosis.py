"""Pure: from a job, its pods and the ends of their logs to what went wrong."""

from __future__ import annotations

import re
import signal
from collections.abc import Mapping, Sequence

from pyjob_magic.models import Event, Pod
from pyjob_magic.models.pod import ContainerState, StateTerminated

# Source: ``ExitedWithCode`` in ``pkg/controller.v1/common/pod.go``, training-operator v1.9.0.
_EXITED = re.compile(r"Pod: [^.\s]+\.(?P<pod>\S+) exited with code (?P<code>[0-9]+)")

LOG_LINES = 20
"""How much of the log of a replica that failed is shown."""

# What a rank says that dies because another one has gone away.
_PEER_LOST = re.compile(
    r"Connection (closed by|reset by) (remote )?peer|Broken pipe|recvValue failed"
    r"|DistNetworkError|DistStoreError|Socket Timeout|remote process exited"
)


def failed_first(pods: Sequence[Pod], log_ends: Mapping[str, str]) -> Pod | None:
    """Return the replica that failed by itself and first, or None if none failed.

    Parameters
    ----------
    pods
        The replicas of the job.
    log_ends
        The last lines of their logs, by name of the pod.

    When one rank dies the others lose their connection to it and die within milliseconds, while
    Kubernetes tells times in whole seconds. So those that complain of a lost peer come last.
    """
    return min(
        failed(pods),
        key=lambda pod: (bool(_PEER_LOST.search(log_ends.get(pod.name, ""))), _finished(pod)),
        default=None,
    )


def failed(pods: Sequence[Pod]) -> list[Pod]:
    """Return the replicas that have failed, also those that never came to run."""
    return [
        pod
        for pod in pods
        if exit_code(pod) or (pod.status.phase == "Failed" and not _ended_by_deletion(pod))
    ]


def blamed(events: Sequence[Event], job: str) -> tuple[str, str] | None:
    """Return the replica that the events hold responsible, and how it failed; None if none.

    Parameters
    ----------
    events
        What was said about the job and its replicas, oldest first.
    job
        Name of the job, which the names of its pods begin with.
    """
    for event in events:
        code = _EXITED.search(event.message or "")
        if code and code["code"] != "0":
            return code["pod"].removeprefix(f"{job}-"), f"exited with code {code['code']}"
    restarted = next((event for event in events if event.reason == "BackOff"), None)
    if restarted is None:
        return None
    name = restarted.involved_object.name or ""
    return name.removeprefix(f"{job}-"), "failed again and again"


def last_trouble(events: Sequence[Event]) -> str:
    """Return what kept the replicas from running when they were last heard of, or nothing."""
    of_pods = (event for event in reversed(events) if event.involved_object.kind == "Pod")
    return next((event.message or "" for event in of_pods if event.type == "Warning"), "")


def exit_code(pod: Pod) -> int | None:
    """Return the exit code of the container that trains; None while it has not ended."""
    ended = _end(pod)
    return ended.exit_code if ended else None


def how(pod: Pod) -> str:
    """Return how a replica failed, such as ``exited with code 1``."""
    ended = _end(pod)
    if ended is None:
        return ": ".join(filter(None, ["never ran", pod.status.reason, pod.status.message]))
    why = f" ({ended.reason})" if ended.reason not in (None, "Error", "Completed") else ""
    try:
        name = signal.Signals(ended.exit_code - 128).name
    except ValueError:
        return f"exited with code {ended.exit_code}{why}"
    return f"was ended by {name}{why}, exit code {ended.exit_code}"


def _end(pod: Pod) -> StateTerminated | None:
    """Return how the container that trains ended, this time or, if it was restarted, last time."""
    container = pod.main_container
    if container is None:
        return None
    last = (container.last_state or ContainerState()).terminated
    return last if _ended_by_deletion(pod) else container.state.terminated or last


def _ended_by_deletion(pod: Pod) -> bool:
    """Whether a pod was stopped because somebody, such as the operator, deleted it."""
    container = pod.main_container
    ended = container.state.terminated if container else None
    stopped = (128 + signal.SIGTERM, 128 + signal.SIGKILL)
    return bool(pod.metadata.deletion_timestamp and ended and ended.exit_code in stopped)


def _finished(pod: Pod) -> str:
    ended = _end(pod)
    return (ended.finished_at if ended else None) or "9"
