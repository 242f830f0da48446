"""What one replica went through: its pods one after the other, with all of their runs."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime

from pyjob_magic.diagnosis import ended_by_deletion
from pyjob_magic.models import ContainerStatus, Pod, read_time
from pyjob_magic.models.pod import StateTerminated
from pyjob_magic.timeline.spans import Mark, Row, Span, SpanKind, row

_ENDED: dict[str, SpanKind] = {"Succeeded": "succeeded", "Failed": "failed"}
_MOST_PODS = 30  # of one replica; those of before are forgotten
_MOST_RUNS = 60  # of one pod


class ReplicaHistory:
    """What was seen of a replica, also what its present pod no longer tells."""

    def __init__(self, name: str) -> None:
        self.name = name
        self._pods: dict[str, PodHistory] = {}  # by uid

    @property
    def pods(self) -> list[PodHistory]:
        """Its pods, oldest first."""
        return sorted(self._pods.values(), key=lambda pod: pod.created)

    def see(self, pod: Pod, now: datetime, *, deleted: bool) -> None:
        """Note what a pod tells."""
        uid = pod.metadata.uid or pod.name
        if uid not in self._pods:
            self._pods[uid] = PodHistory(read_time(pod.metadata.creation_timestamp) or now)
            if len(self._pods) > _MOST_PODS:
                del self._pods[next(iter(self._pods))]
        self._pods[uid].see(pod, now, deleted=deleted)

    def see_pulled(self, at: datetime, message: str, uid: str | None) -> None:
        """Note that the image of a pod was there; without a uid it is the present one's."""
        pod = self._pods.get(uid) if uid else next(reversed(self._pods.values()), None)
        if pod:
            pod.pulled = pod.pulled or Mark("pulled", at, message)

    def row(self, cuts: Sequence[datetime], warnings: Sequence[Mark], now: datetime) -> Row:
        """Return what it went through.

        Parameters
        ----------
        cuts
            Times at which no pod went on that was made before.
        warnings
            What was said about it.
        now
            The time.
        """
        pods, marks = self.pods, [*warnings]
        spans: list[Span] = []
        for number, pod in enumerate(pods):
            ends = [*cuts, *(after.created for after in pods[number + 1 : number + 2])]
            spans += pod.spans(min((at for at in ends if at >= pod.created), default=None))
            marks += pod.marks(again=number > 0)
        return row(self.name, spans, marks, now)


@dataclass
class _Run:
    """One run of the container that trains."""

    start: datetime
    number: int  # of restarts before it
    end: datetime | None = None
    kind: SpanKind = "running"
    how: str = "running"


def _order(run: _Run) -> tuple[datetime, int]:
    return run.start, run.number


class PodHistory:
    """What was seen of one pod.

    Parameters
    ----------
    created
        When it was made.
    """

    def __init__(self, created: datetime) -> None:
        self.created = created
        self.scheduled: datetime | None = None
        self.pulled: Mark | None = None
        self._node = ""
        self._waits_for = ""
        self._runs: dict[str, _Run] = {}
        self._over: datetime | None = None
        self._phase = ""

    @property
    def first_run(self) -> datetime | None:
        """When its code was started for the first time."""
        return min((run.start for run in self._runs.values()), default=None)

    def see(self, pod: Pod, now: datetime, *, deleted: bool) -> None:
        """Note what the pod tells as it is now."""
        self._phase = pod.status.phase or ""
        self._node = pod.spec.node_name or self._node
        self.scheduled = self.scheduled or _scheduled(pod)
        container = pod.main_container
        if container:
            self._see_runs(container, by_deletion=ended_by_deletion(pod))
        waiting = container.state.waiting if container else None
        self._waits_for = (waiting.reason if waiting else None) or ""
        if self._over is None and (deleted or self._phase in ("Succeeded", "Failed")):
            self._over = self._end_of_code() or (None if deleted else _last_change(pod)) or now

    def _end_of_code(self) -> datetime | None:
        """Return when the last run ended for good; None if that is not told.

        Nobody does if the pod was evicted, or is gone with its node.
        """
        last = max(self._runs.values(), key=_order, default=None)
        good = self._phase in ("Succeeded", "Failed") or (last and last.kind == "stopped")
        return last.end if last and good else None

    def _see_runs(self, container: ContainerStatus, *, by_deletion: bool) -> None:
        state, last = container.state, container.last_state
        number = container.restart_count
        if last and last.terminated:
            before = number - 1 if state.running or state.terminated else number
            self._see_end(last.terminated, max(0, before), by_deletion=False)
        if state.running and (start := read_time(state.running.started_at)):
            key = container.container_id or str(start)
            self._runs.setdefault(key, _Run(start, number))
        if state.terminated:
            self._see_end(state.terminated, number, by_deletion=by_deletion)
        while len(self._runs) > _MOST_RUNS:
            del self._runs[next(iter(self._runs))]

    def _see_end(self, ended: StateTerminated, number: int, *, by_deletion: bool) -> None:
        end = read_time(ended.finished_at)
        start = read_time(ended.started_at)
        if start is None or start.year < 2000:  # one that could not be started has 1970, or none
            start = end
        if start is None:
            return
        run = self._runs.setdefault(ended.container_id or str(start), _Run(start, number))
        run.end = max(run.start, end or start)
        code, why = ended.exit_code, ended.reason
        run.kind = "stopped" if by_deletion else "failed" if code else "succeeded"
        told = f" ({why})" if why not in (None, "", "Error", "Completed") else ""
        run.how = f"{'stopped' if by_deletion else 'ended'}, exit code {code}{told}"

    def spans(self, cut: datetime | None) -> Iterator[Span]:
        """Yield what it went through; `cut` is when something else took its place."""
        over = min((at for at in (self._over, cut) if at), default=None)
        runs = sorted(self._runs.values(), key=_order)
        first = runs[0].start if runs else over
        reason = f": {self._waits_for}" if self._waits_for else ""
        yield Span("scheduling", self.created, self.scheduled or first, "waits for a node")
        if self.scheduled:
            where = f" on {self._node}" if self._node else ""
            why = "" if runs else reason
            yield Span("preparing", self.scheduled, first, f"is prepared{where}{why}")
        for run, after in zip(runs, [*runs[1:], None], strict=False):
            yield self._span(run, after, over)
            if run.end and after:
                yield Span("backoff", run.end, after.start, "waits to be restarted")
        if runs and runs[-1].end:  # where it ended for good, that takes no time
            yield Span("backoff", runs[-1].end, over, f"waits to be restarted{reason}")

    def _span(self, run: _Run, after: _Run | None, over: datetime | None) -> Span:
        ordinal = f"run {run.number + 1}" if run.number else "run"
        if run.end:
            return Span(run.kind, run.start, run.end, f"{ordinal} {run.how}")
        if after:
            return Span("stopped", run.start, after.start, f"{ordinal} ended; how was not seen")
        if over is None:
            return Span("running", run.start, None, f"{ordinal} goes on")
        kind = _ENDED.get(self._phase, "stopped")
        return Span(kind, run.start, max(run.start, over), f"{ordinal} {kind}")

    def marks(self, *, again: bool) -> Iterator[Mark]:
        """Yield what happened; the pod may have been made `again`, after another one."""
        if self.scheduled:
            yield Mark("scheduled", self.scheduled, f"scheduled to {self._node or 'a node'}")
        if self.pulled:
            yield self.pulled
        for run in sorted(self._runs.values(), key=_order):
            if run.number or again:
                count = f" (restart {run.number})" if run.number else ""
                yield Mark("restarted", run.start, f"started again{count}")
            else:
                yield Mark("started", run.start, "started")
        if self._over:
            yield Mark("ended", self._over, self._phase.lower() or "gone")


def _scheduled(pod: Pod) -> datetime | None:
    """Return when it got its node; older servers leave out the condition."""
    for condition in pod.status.conditions or []:
        if condition.get("type") == "PodScheduled" and condition.get("status") == "True":
            return read_time(condition.get("lastTransitionTime"))
    return read_time(pod.status.start_time)


def _last_change(pod: Pod) -> datetime | None:
    times = [read_time(each.get("lastTransitionTime")) for each in pod.status.conditions or []]
    return max(filter(None, times), default=None)
