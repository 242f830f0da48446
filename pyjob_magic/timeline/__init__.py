"""Pure: from a job, its pods and events, seen again and again, to rows of what took how long.

What is seen once is remembered: later states tell neither of earlier runs nor of pods that are
gone, and a resumed job has forgotten when it was started first.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from datetime import datetime

from pyjob_magic.models import Event, Pod, PyTorchJob, read_time
from pyjob_magic.timeline.jobs import JobHistory
from pyjob_magic.timeline.pods import ReplicaHistory
from pyjob_magic.timeline.spans import RUNS, Mark, MarkKind, Row, Span, SpanKind, spent

__all__ = ["RUNS", "Mark", "MarkKind", "Row", "Span", "SpanKind", "Timeline", "spent"]

_MOST_WARNINGS = 20  # of the job, and of each replica


class Timeline:
    """What a job and its replicas went through.

    Parameters
    ----------
    job
        The job as it was first seen.
    """

    def __init__(self, job: PyTorchJob) -> None:
        self._name = job.name
        self._asked_for = job.replica_names
        self._job = JobHistory(job)
        self._replicas = {name: ReplicaHistory(name) for name in job.replica_names}
        self._warnings: dict[str, deque[Mark]] = {}  # by replica; the job's by "job"
        self._heard: dict[str | None, int | None] = {}  # events by uid, with their counts

    def see_job(self, job: PyTorchJob, now: datetime) -> None:
        """Note what the job tells."""
        self._job.see(job, now)

    def see_pod(self, pod: Pod, now: datetime, *, deleted: bool = False) -> None:
        """Note what a replica tells; `deleted` says that this was the last of it."""
        name = pod.replica
        history = self._replicas.get(name)
        if history is None:  # an elastic job has more of them than it was submitted with
            history = self._replicas[name] = ReplicaHistory(name)
        history.see(pod, now, deleted=deleted)

    def see_events(self, events: Sequence[Event]) -> None:
        """Note what was said about the job and its replicas."""
        for event in events:
            key = event.metadata.uid or event.metadata.name
            if (key and self._heard.get(key) == event.count and key in self._heard) or not (
                at := read_time(event.time)
            ):
                continue
            self._heard[key] = event.count
            about = event.involved_object
            name = (about.name or "").removeprefix(f"{self._name}-")
            if event.reason == "Pulled" and name in self._replicas:
                first = read_time(event.first_timestamp) or at
                self._replicas[name].see_pulled(first, event.message or "", about.uid)
            elif event.type == "Warning":
                row = name if name in self._replicas else "job"
                title = ": ".join(filter(None, [event.reason, event.message]))
                marks = self._warnings.setdefault(row, deque(maxlen=_MOST_WARNINGS))
                marks.append(Mark("warning", at, title))

    def see_gone(self, now: datetime) -> None:
        """Note that the job was deleted, and its replicas with it."""
        self._job.see_gone(now)

    @property
    def all_ran(self) -> datetime | None:
        """Since when all replicas that the job was submitted with ran; None if they never did."""
        firsts = [
            min((pod.first_run for pod in self._replicas[name].pods if pod.first_run), default=None)
            for name in self._asked_for
        ]
        ran = [first for first in firsts if first]
        return max(ran) if ran and len(ran) == len(firsts) else None

    def rows(self, now: datetime) -> list[Row]:
        """Return a row for the job and one for each replica, in the order of their names."""
        pods = [history.pods for history in self._replicas.values()]
        rows = [self._job.row(pods, self._warnings.get("job", ()), now)]
        for name, history in self._replicas.items():
            rows.append(history.row(self._job.clearings, self._warnings.get(name, ()), now))
        return rows
