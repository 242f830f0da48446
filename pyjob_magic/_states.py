"""Pure: how a job and its replicas fare, in a word and in one of five tones."""

from __future__ import annotations

from typing import Literal

from pyjob_magic.diagnosis import ended_by_deletion
from pyjob_magic.models import Pod, PyTorchJob

Tone = Literal["waiting", "running", "ok", "bad", "idle"]

_TONES: dict[str, Tone] = {
    "Running": "running",
    "Succeeded": "ok",
    "Failed": "bad",
    "Suspended": "idle",
    "Deleted": "idle",
}
_NO_TROUBLE = ("", "ContainerCreating", "PodInitializing")


def state(job: PyTorchJob) -> str:
    """Return the job's state in a word, also what was asked for and is still to be carried out."""
    current = job.status.state
    policy = job.spec.run_policy
    suspend = bool(policy and policy.suspend)
    if current == "Suspended" and not suspend:
        return "Resuming"
    if current in ("Created", "Running", "Restarting") and suspend:
        return "Suspending"
    return current


def state_tone(word: str) -> Tone:
    """Return the tone of a job's state."""
    return _TONES.get(word, "waiting")


def phase(pod: Pod) -> str:
    """Return how a replica fares: its phase, or that it is being stopped."""
    said = pod.status.phase or "Pending"
    going = pod.metadata.deletion_timestamp and said in ("Pending", "Running")
    return "Terminating" if going else said


def absent(*, ended: bool, seen: bool) -> str:
    """Return how a replica without a pod fares.

    Parameters
    ----------
    ended
        Whether the job has ended or is gone: then its running pods are removed.
    seen
        Whether there was a pod.
    """
    return "removed" if ended or seen else "not started"


def reason(pod: Pod) -> str:
    """Return the word of the cluster for why a replica waits or has ended."""
    container = pod.main_container
    if container is None:
        return pod.status.reason or ""
    ended, waiting = container.state.terminated, container.state.waiting
    return (ended.reason if ended else waiting.reason if waiting else pod.status.reason) or ""


def exit_code(pod: Pod) -> int | None:
    """Return the exit code of a replica that has ended and does not run again."""
    container = pod.main_container
    ended = container.state.terminated if container else None
    return ended.exit_code if ended else None


def pod_tone(pod: Pod) -> Tone:
    """Return the tone of a replica."""
    said = phase(pod)
    if said == "Terminating" or ended_by_deletion(pod):
        return "idle"
    if said in ("Succeeded", "Failed"):
        return _TONES[said]
    container = pod.main_container
    if container and container.state.waiting and reason(pod) not in _NO_TROUBLE:
        return "bad"
    return "running" if said == "Running" else "waiting"
