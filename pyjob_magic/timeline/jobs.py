"""What the job itself went through, as its conditions tell and told."""

from __future__ import annotations

import re
from collections.abc import Generator, Iterable, Iterator, Sequence
from datetime import datetime, timedelta

from pyjob_magic.models import Condition, PyTorchJob, read_time
from pyjob_magic.timeline.pods import PodHistory
from pyjob_magic.timeline.spans import Mark, Row, Span, SpanKind, row

# Source: ``ReconcileJobs`` in ``pkg/controller.v1/common/job.go``, training-operator v1.9.0.
_LIMIT = re.compile("backoff limit|deadline")
_QUEUE = "kueue.x-k8s.io/queue-name"


class JobHistory:
    """What was seen of a job, also what its present status no longer tells.

    A resumed job has another start time, one that restarts no longer says that it ran: each
    change is noted with its time when it is first seen.
    """

    def __init__(self, job: PyTorchJob) -> None:
        self.created = read_time(job.metadata.creation_timestamp)
        self._queue = (job.metadata.labels or {}).get(_QUEUE, "")
        self._changes: dict[tuple[datetime, SpanKind], str] = {}  # to their titles
        self._admitted: dict[datetime, None] = {}
        self._end: tuple[datetime, SpanKind, str] | None = None
        self._cleans = False

    @property
    def clearings(self) -> list[datetime]:
        """When the operator has removed all replicas that were there."""
        suspensions = [at for at, kind in self._changes if kind == "suspended"]
        return [*suspensions, self._end[0]] if self._end and self._cleans else suspensions

    def see(self, job: PyTorchJob, now: datetime) -> None:
        """Note what the job tells as it is now."""
        self.created = self.created or read_time(job.metadata.creation_timestamp) or now
        conditions = {each.type: each for each in job.status.conditions or []}
        start = read_time(job.status.start_time)
        suspended = conditions.get("Suspended")
        if not self._changes:
            self._see_beginning(self.created, start, suspended)
        if suspended and suspended.status != "True":
            self._note(suspended, "queued", self._queued)
        if start and start not in self._admitted:
            self._admitted[start] = None
            self._changes.setdefault((start, "scheduling"), "waits for its replicas' nodes")
        self._see_running(conditions, start)
        if (restarting := conditions.get("Restarting")) and restarting.status == "True":
            self._note(restarting, "backoff", restarting.message or "restarts")
        if suspended and suspended.status == "True":
            self._note(suspended, "suspended", "suspended")
        if job.status.ended and self._end is None:
            current = job.status.current
            at = job.status.ended_at or now
            good = job.status.state == "Succeeded"
            message = (current.message if current else None) or job.status.state
            self._end = at, "succeeded" if good else "failed", message
            policy = job.spec.run_policy
            kept = policy is None or policy.clean_pod_policy in (None, "None")
            self._cleans = not kept or _LIMIT.search(message) is not None

    def see_gone(self, now: datetime) -> None:
        """Note that it was deleted."""
        self._end = self._end or (now, "stopped", "deleted")
        self._cleans = True

    @property
    def _queued(self) -> str:
        return f"waits in the queue {self._queue}" if self._queue else "waits for the operator"

    def _see_beginning(
        self, created: datetime, start: datetime | None, suspended: Condition | None
    ) -> None:
        """Note how it began: queues of Kueue, and people, have jobs suspended from the start."""
        before_start = suspended and (start is None or suspended.status != "True")
        if before_start and not self._queue:
            self._changes[created, "suspended"] = "suspended"
        else:
            self._changes[created, "queued"] = self._queued

    def _see_running(self, conditions: dict[str, Condition], start: datetime | None) -> None:
        running, suspended = conditions.get("Running"), conditions.get("Suspended")
        if running is None:
            return
        if running.reason != "PyTorchJobSuspended":  # its time is that of its beginning
            self._note(running, "running", "running")
        elif start and suspended and suspended.status == "True" and not self._ran_since(start):
            self._changes[start, "running"] = "ran; since when is not known"

    def _ran_since(self, start: datetime) -> bool:
        return any(kind == "running" and at >= start for at, kind in self._changes)

    def _note(self, condition: Condition, kind: SpanKind, title: str) -> None:
        if since := _since(condition):
            self._changes.setdefault((since, kind), title)

    def row(
        self, replicas: Sequence[Sequence[PodHistory]], warnings: Iterable[Mark], now: datetime
    ) -> Row:
        """Return what it went through; its `replicas` tell when they had their nodes."""
        return row("job", self._spans(replicas), [*self._marks(), *warnings], now)

    def _spans(self, replicas: Sequence[Sequence[PodHistory]]) -> Iterator[Span]:
        changes = sorted(self._changes.items(), key=lambda item: item[0][0])
        over = self._end[0] if self._end else None
        starts = [at for (at, _), _ in changes[1:]]
        kinds: list[SpanKind | None] = [kind for (_, kind), _ in changes[1:]]
        told = False  # whether it is told already that it ran
        for ((at, kind), title), end, after in zip(
            changes, [*starts, over], [*kinds, None], strict=False
        ):
            if kind == "scheduling":
                told = yield from self._starting(at, end, title, replicas)
            elif kind == "running" and at == end and told:
                continue
            elif kind == "running":
                yield Span(self._ran(after), at, end, title)
            elif kind == "suspended" and self._queue:
                yield Span("queued", at, end, self._queued)
            else:
                yield Span(kind, at, end, title)

    def _ran(self, after: SpanKind | None) -> SpanKind:
        """Return how a time of running ended, by what came after it."""
        if after is None:
            return self._end[1] if self._end else "running"
        # That it ran twice without a pause means that nobody saw the pause.
        return "failed" if after in ("backoff", "running") else "stopped"

    def _starting(
        self,
        start: datetime,
        end: datetime | None,
        title: str,
        replicas: Sequence[Sequence[PodHistory]],
    ) -> Generator[Span, None, bool]:
        """Yield how its replicas came to run: until the last has its node, and from then on.

        Return whether they ran too briefly for a condition to tell, and that is told here.
        """
        times = [_latest(pods, start, end) for pods in replicas]
        placed = [pod.scheduled for pod in times if pod and pod.scheduled]
        ran = [pod.first_run for pod in times if pod and pod.first_run]
        everywhere = len(placed) == len(replicas) and placed
        ready = max(start, *placed) if everywhere else None
        yield Span("scheduling", start, ready or end, title)
        if ready:
            yield Span("preparing", ready, end, "its replicas are prepared")
        too_brief = self._end is not None and end == self._end[0]
        if too_brief and ran:
            yield Span(self._ran(None), max(start, min(ran)), end, "ran")
        return bool(too_brief and ran)

    def _marks(self) -> Iterator[Mark]:
        if self.created:
            yield Mark("submitted", self.created, "submitted")
        for at in self._admitted:
            yield Mark("admitted", at, "admitted")
        for at, kind in self._changes:
            if kind == "running":
                yield Mark("started", at, "running")
            elif kind == "backoff":
                yield Mark("restarted", at, self._changes[at, kind])
        if self._end:
            at, _, message = self._end
            yield Mark("ended", at, message)


def _since(condition: Condition | None) -> datetime | None:
    return read_time(condition.last_transition_time) if condition else None


def _latest(pods: Sequence[PodHistory], start: datetime, end: datetime | None) -> PodHistory | None:
    """Return the last pod of a replica that was made in a time of which we know whole seconds."""
    start -= timedelta(seconds=1)
    made = [pod for pod in pods if pod.created >= start and (end is None or pod.created <= end)]
    return made[-1] if made else None
