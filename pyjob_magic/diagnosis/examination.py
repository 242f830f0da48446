"""The evidence weighed: one sentence on why a job waits or failed."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime

from pyjob_magic.diagnosis.failures import Failure, failed_first
from pyjob_magic.diagnosis.replicas import blamed, suspects
from pyjob_magic.diagnosis.rules import Rule, Verdict, brief, judge
from pyjob_magic.diagnosis.waiting import explain_event, explain_waiting
from pyjob_magic.models import Event, Pod, PyTorchJob

# Source: ``ReconcileJobs`` in ``pkg/controller.v1/common/job.go``, training-operator v1.9.0.
_LIMITS = (
    Rule(
        r"active longer than specified deadline",
        "the job had not ended after {deadline} s and was stopped",
        "give it more time with --timeout",
    ),
    Rule(
        r"reached the specified backoff limit",
        "its containers have failed as often as --backoff-limit {backoff} allows",
        "correct what makes them fail, or allow more with --backoff-limit",
    ),
)


@dataclass(frozen=True)
class Diagnosis:
    """Why a job waits or failed; as text one sentence.

    Parameters
    ----------
    summary
        What happened, and in which replica.
    advice
        What to do; empty where the summary says that.
    replica
        The replica that it began with, such as ``worker-1``; None if it is none.
    traceback
        Where its program failed; empty if that is not known.
    cell_line
        The line of the cell where it did, as the editor counts: ``%%pytorchjob`` is the first.
    """

    summary: str
    advice: str = ""
    replica: str | None = None
    traceback: str = ""
    cell_line: int | None = None

    def __str__(self) -> str:
        return "; ".join(filter(None, [self.summary, self.advice]))


def diagnose(
    job: PyTorchJob,
    pods: Sequence[Pod],
    events: Sequence[Event],
    log_ends: Mapping[str, str],
    now: datetime,
    *,
    below_magic: bool = True,
) -> Diagnosis | None:
    """Return why a job waits or failed; None if nothing is wrong, or nothing is known.

    Parameters
    ----------
    job, pods, events
        The job, its replicas, and what was said about them, oldest first.
    log_ends
        The last lines of the logs of replicas that failed, by name of the pod.
    now
        The time.
    below_magic
        Whether its code stood in a cell below the line of the magic.
    """
    if job.status.state in ("Succeeded", "Suspended"):
        return None
    if not job.status.ended:
        down = suspects(pods)
        if first := failed_first(down, log_ends):
            return _of_failure(job, Failure.of(first, log_ends.get(first.name, "")), below_magic)
        waiting = explain_waiting(job, pods, events, now)
        return Diagnosis(*waiting[1], replica=waiting[0] or None) if waiting else None
    failure, limit = _failure(job, pods, events, log_ends), _limit(job)
    if failure:
        found = _of_failure(job, failure, below_magic)
        return replace(found, summary=f"{found.summary}; {limit.says}") if limit else found
    trouble = explain_event(job, events)
    if limit and trouble:
        return Diagnosis(f"{limit.says}; before that {trouble.says}", trouble.advice)
    message = job.status.current.message if job.status.current else None
    said = limit or (Verdict(brief(message)) if message and trouble else None)
    return Diagnosis(*said) if said else None


def _failure(
    job: PyTorchJob,
    pods: Sequence[Pod],
    events: Sequence[Event],
    log_ends: Mapping[str, str],
) -> Failure | None:
    if first := failed_first(pods, log_ends):
        return Failure.of(first, log_ends.get(first.name, ""))
    if found := blamed(events, job.name):
        replica, how = found
        return Failure(replica, how, log=log_ends.get(f"{job.name}-{replica}", ""))
    return None


def _of_failure(job: PyTorchJob, failure: Failure, below_magic: bool) -> Diagnosis:
    traceback = failure.traceback
    frame = traceback.frame if traceback else None
    line = frame.line + below_magic if frame else None
    place = f"line {line} of the {'cell' if below_magic else 'code'}"
    source = f": {brief(frame.source, 100)}" if frame and frame.source else ""
    verdict = failure.explain(job.name, f" ({place}{source})" if frame else "")
    text = traceback.text if traceback else ""
    return Diagnosis(*verdict, replica=failure.replica, traceback=text, cell_line=line)


def _limit(job: PyTorchJob) -> Verdict | None:
    """Return which limit the operator has stopped the job at, if it was one."""
    policy, current = job.spec.run_policy, job.status.current
    facts = {
        "deadline": str(policy.active_deadline_seconds if policy else ""),
        "backoff": str(policy.backoff_limit if policy else ""),
    }
    return judge(_LIMITS, current.message or "", facts) if current else None
