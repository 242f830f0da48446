"""Replicas: which have failed, when, and how."""

from __future__ import annotations

import re
import signal
from collections.abc import Sequence

from pyjob_magic.models import Event, Pod
from pyjob_magic.models.pod import ContainerState, StateTerminated

# Source: ``ExitedWithCode`` in ``pkg/controller.v1/common/pod.go``, training-operator v1.9.0.
_EXITED = re.compile(r"Pod: [^.\s]+\.(?P<pod>\S+) exited with code (?P<code>[0-9]+)")

_SUSPECTS = 32  # of hundreds: each costs a request


def failed(pods: Sequence[Pod]) -> list[Pod]:
    """Return the replicas that have failed, also those that never came to run."""
    return [
        pod
        for pod in pods
        if exit_code(pod) or (pod.status.phase == "Failed" and not ended_by_deletion(pod))
    ]


def suspects(pods: Sequence[Pod]) -> list[Pod]:
    """Return the replicas whose logs may tell why the job failed: the first ones that did.

    One that runs again is not among them: its log is that of the new run.
    """
    down = [pod for pod in failed(pods) if not _runs(pod)]
    return sorted(down, key=finished)[:_SUSPECTS]


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


def exit_code(pod: Pod) -> int | None:
    """Return the exit code of the container that trains; None while it has not ended."""
    ended = end(pod)
    return ended.exit_code if ended else None


def how(pod: Pod) -> str:
    """Return how a replica failed, such as ``exited with code 1``."""
    ended = end(pod)
    if ended is None:
        return ": ".join(filter(None, ["never ran", pod.status.reason, pod.status.message]))
    why = f" ({ended.reason})" if ended.reason not in (None, "Error", "Completed") else ""
    try:
        name = signal.Signals(ended.exit_code - 128).name
    except ValueError:
        return f"exited with code {ended.exit_code}{why}"
    return f"was ended by {name}{why}, exit code {ended.exit_code}"


def end(pod: Pod) -> StateTerminated | None:
    """Return how the container that trains ended, this time or, if it was restarted, last time."""
    container = pod.main_container
    if container is None:
        return None
    last = (container.last_state or ContainerState()).terminated
    return last if ended_by_deletion(pod) else container.state.terminated or last


def finished(pod: Pod) -> str:
    """Return when the container that trains ended, late if that is not known."""
    ended = end(pod)
    return (ended.finished_at if ended else None) or "9"


def _runs(pod: Pod) -> bool:
    container = pod.main_container
    return bool(container and container.state.running)


def ended_by_deletion(pod: Pod) -> bool:
    """Whether a pod was stopped because somebody, such as the operator, deleted it."""
    container = pod.main_container
    ended = container.state.terminated if container else None
    stopped = (128 + signal.SIGTERM, 128 + signal.SIGKILL)
    return bool(pod.metadata.deletion_timestamp and ended and ended.exit_code in stopped)
