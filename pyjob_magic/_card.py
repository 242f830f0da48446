"""What a notebook and a terminal show of a job: functions from data to text and HTML.

Nothing here asks an API or the clock. Whatever comes from a job is escaped where it is put in.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from functools import cache
from html import escape
from importlib.resources import files
from typing import Protocol, TypeVar, overload

from pyjob_magic import diagnosis
from pyjob_magic.diagnosis import Diagnosis
from pyjob_magic.findings import Finding
from pyjob_magic.metrics import Progress, Series
from pyjob_magic.models import Event, JobStatus, Pod, PyTorchJob
from pyjob_magic.timeline import Timeline

Rows = list[tuple[str, ...]]


class _HasManifest(Protocol):
    manifest: PyTorchJob


T = TypeVar("T")
J = TypeVar("J", bound=_HasManifest)


@dataclass(frozen=True)
class Card:
    """A job as it was at one moment; shows itself as text and as HTML.

    Parameters
    ----------
    job
        The job as the API returned it.
    target
        The target it lives on, as people are told it.
    pods, events
        Its replicas and what was said about it, where they were asked for.
    diagnosis
        Why it waits or failed, where that is known.
    """

    job: PyTorchJob
    target: str
    pods: Sequence[Pod] = ()
    events: Sequence[Event] = field(default=())
    diagnosis: Diagnosis | None = None
    timeline: Timeline | None = None
    series: Sequence[Series] = ()
    progress: Progress | None = None
    log_tail: Sequence[tuple[str, str]] = ()
    log_total: int = 0
    yaml: str = ""
    card_id: str = ""
    now: datetime | None = None

    def history(self, now: datetime) -> Timeline:
        """Return what was seen of the job, at least what it tells by itself."""
        if self.timeline:
            return self.timeline
        seen = Timeline(self.job)
        seen.see_job(self.job, now)
        for pod in self.pods:
            seen.see_pod(pod, now)
        seen.see_events(self.events)
        return seen

    @property
    def open_command(self) -> str:
        """What to type to see the job live."""
        return f"%pytorchjob show {self.job.name}"

    def __str__(self) -> str:
        head = f"PyTorchJob {self.job.name}: {self.job.status.state} ({self._place})"
        parts = [_printable(head)]
        parts += [f"  {line}" for line in _columns(metadata(self.job))]
        parts += [f"  {_printable(note)}" for note in self.notes]
        if self.pods:
            parts += ["", *(f"  {line}" for line in _columns([REPLICA_HEAD, *replicas(self.pods)]))]
        if self._traceback:
            lines = map(_printable, [self._traceback_head, *self._traceback.splitlines()])
            parts += ["", *(f"  {line}" for line in lines)]
        return "\n".join(parts)

    def _repr_html_(self) -> str:
        state = self.job.status.state
        badge = f"<span class='pyjob-badge pyjob-{escape(state.lower())}'>{escape(state)}</span>"
        head = (
            f"<strong>{escape(self.job.name)}</strong> {badge} <small>{escape(self._place)}</small>"
        )
        notes = "".join(f"<p class='pyjob-warning'>{escape(note)}</p>" for note in self.notes)
        pods = _table(replicas(self.pods), REPLICA_HEAD) if self.pods else ""
        if self._traceback:
            notes += (
                f"<details><summary>{escape(self._traceback_head)}</summary>"
                f"<pre>{escape(self._traceback)}</pre></details>"
            )
        return _framed(f"<header>{head}</header>{notes}{_table(metadata(self.job))}{pods}")

    def _repr_mimebundle_(self, **_: object) -> dict[str, str]:
        return {"text/plain": str(self), "text/html": self._repr_html_()}

    @property
    def _place(self) -> str:
        return f"{self.target} / {self.job.metadata.namespace or 'default'}"

    @property
    def _traceback(self) -> str:
        return self.diagnosis.traceback if self.diagnosis else ""

    @property
    def _traceback_head(self) -> str:
        return f"Traceback of {self.diagnosis.replica}" if self.diagnosis else ""

    @property
    def notes(self) -> list[str]:
        """What a reader should know first: why it failed, and what the target could not honour."""
        current = self.job.status.current
        failed = [current.message] if current and current.type == "Failed" else []
        if self.diagnosis:
            failed = [str(self.diagnosis)]
        if current and current.type == "Succeeded":
            failed += [
                f"{pod.replica} {diagnosis.how(pod)}; the job succeeds with its Master all the same"
                for pod in diagnosis.failed(self.pods)
            ]
        warnings = [event for event in self.events if event.type == "Warning"]
        matter = _lasting if self.job.status.ended or self.diagnosis else _first_hand
        told = [event.message for event in warnings if matter(event)]
        return [*dict.fromkeys(note for note in failed + told if note)]


def _first_hand(event: Event) -> bool:
    """Whether nobody else has said it: the operator repeats what its pods suffer from."""
    return not (_by_operator(event) and (event.message or "").startswith("Error pod "))


def _lasting(event: Event) -> bool:
    """Whether it matters beside a diagnosis, and at the end: what the target could not honour."""
    return event.involved_object.kind == "PyTorchJob" and not _by_operator(event)


def _by_operator(event: Event) -> bool:
    return (event.source or {}).get("component") == "pytorchjob-controller"


class Table(Sequence[T], ABC):
    """A sequence that shows itself as aligned text and as an HTML table."""

    head: tuple[str, ...]
    empty: str

    def __init__(self, items: Iterable[T]) -> None:
        self._items = list(items)

    @abstractmethod
    def rows(self) -> Rows:
        """Return what is shown of each item."""

    @overload
    def __getitem__(self, index: int) -> T: ...

    @overload
    def __getitem__(self, index: slice) -> list[T]: ...

    def __getitem__(self, index: int | slice) -> T | list[T]:
        return self._items[index]

    def __len__(self) -> int:
        return len(self._items)

    def __str__(self) -> str:
        rows = self.rows()
        return "\n".join(_columns([self.head, *rows])) if rows else self.empty

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self._items!r})"

    def _repr_mimebundle_(self, **_: object) -> dict[str, str]:
        rows = self.rows()
        html = _table(rows, self.head) if rows else f"<p>{escape(self.empty)}</p>"
        return {"text/plain": str(self), "text/html": _framed(html)}


class JobTable(Table[J]):
    """The jobs of a namespace, one in each row.

    Parameters
    ----------
    jobs
        Handles on the jobs.
    now
        The time that ages are counted from.
    """

    head = ("name", "state", "replicas", "age", "duration")
    empty = "no PyTorchJobs here"

    def __init__(self, jobs: Iterable[J], now: datetime) -> None:
        super().__init__(jobs)
        self._now = now

    def rows(self) -> Rows:
        """Return what is shown of each job."""
        return [_job_row(job.manifest, self._now) for job in self]


class EventTable(Table[Event]):
    """Events, one in each row."""

    head = ("time (UTC)", "type", "reason", "object", "message")
    empty = "no events"

    def rows(self) -> Rows:
        """Return what is shown of each event."""
        return [_event_row(event) for event in self]


class MetricTable(Table[Series]):
    """What the replicas of a job have measured, one metric of one replica in each row."""

    head = ("metric", "replica", "values", "last", "min", "max", "up to")
    empty = "no metrics in the logs: print lines such as loss=0.5, or objects of JSON"

    def __init__(self, series: Iterable[Series]) -> None:
        super().__init__(sorted(series, key=lambda each: each.name))

    def rows(self) -> Rows:
        """Return what is shown of each metric."""
        return [_metric_row(series) for series in self]

    def to_dict(self) -> dict[str, list[str] | list[float]]:
        """Return all values by column, as `pandas.DataFrame` and others take them."""
        each = [(series, point) for series in self for point in series.points]
        return {
            "replica": [series.replica for series, _ in each],
            "name": [series.name for series, _ in each],
            "axis": [str(series.axis) for series, _ in each],
            "step": [point.step for _, point in each],
            "value": [point.value for _, point in each],
        }


class FindingTable(Table[Finding]):
    """What a look at a target has found, one thing in each row, with the Role that is missing."""

    head = ("", "check", "found", "what to do")
    empty = "nothing was looked at"

    def __init__(self, findings: Iterable[Finding], role: str = "") -> None:
        super().__init__(findings)
        self.role = role

    def rows(self) -> Rows:
        """Return what is shown of each finding; its state is a word, not a colour alone."""
        return [(f.state, f.check, f.found, f.remedy) for f in self]

    def __str__(self) -> str:
        role = f"\n\n{ROLE_HEAD}\n\n{self.role.rstrip()}" if self.role else ""
        return super().__str__() + role

    def _repr_mimebundle_(self, **_: object) -> dict[str, str]:
        role = f"<p>{escape(ROLE_HEAD)}</p><pre>{escape(self.role)}</pre>" if self.role else ""
        marks = [f" class='pyjob-found-{finding.state}'" for finding in self]
        table = _table(self.rows(), self.head, marks)
        return {"text/plain": str(self), "text/html": _framed(table + role)}


ROLE_HEAD = "The Role to ask for:"


def metadata(job: PyTorchJob) -> Rows:
    """Return the metadata that the API gave the job, and what it asks for."""
    meta = job.metadata
    wire = [
        ("name", meta.name),
        ("namespace", meta.namespace),
        ("uid", meta.uid),
        ("creationTimestamp", meta.creation_timestamp),
        ("generation", meta.generation),
        ("resourceVersion", meta.resource_version),
        ("selfLink", meta.self_link),
        ("replicas", replica_counts(job)),
    ]
    return [(name, str(value)) for name, value in wire if value is not None]


def replica_counts(job: PyTorchJob) -> str:
    """Return how many replicas are asked for: ``1 Master + 2 Workers``."""
    counts = {
        kind: 1 if spec.replicas is None else spec.replicas
        for kind, spec in job.spec.pytorch_replica_specs.items()
    }
    return " + ".join(
        f"{count} {kind}{'' if count == 1 else 's'}" for kind, count in counts.items()
    )


REPLICA_HEAD = ("replica", "phase", "restarts", "exit code", "reason")


def replicas(pods: Sequence[Pod]) -> Rows:
    """Return how each replica fares."""
    return [_replica_row(pod) for pod in pods]


def _replica_row(pod: Pod) -> tuple[str, ...]:
    container = pod.main_container
    if container is None:
        return pod.replica, pod.status.phase or "", "", "", pod.status.reason or ""
    ended, waiting = container.state.terminated, container.state.waiting
    return (
        pod.replica,
        pod.status.phase or "",
        str(container.restart_count),
        str(ended.exit_code) if ended else "",
        (ended.reason if ended else waiting.reason if waiting else None) or "",
    )


def _job_row(job: PyTorchJob, now: datetime) -> tuple[str, ...]:
    status = job.status
    start = _time(status.start_time)
    end = _time(status.completion_time) or (_time(_since(status)) if status.ended else now)
    return (
        job.name,
        status.state,
        replica_counts(job),
        span(_time(job.metadata.creation_timestamp), now),
        span(start, end),
    )


def _since(status: JobStatus) -> str | None:
    """Return since when the job is as it is: a permanent ExitCode failure has no other end."""
    return status.current.last_transition_time if status.current else None


def _event_row(event: Event) -> tuple[str, ...]:
    times = f" x{event.count}" if (event.count or 1) > 1 else ""
    seen = _time(event.time)
    return (
        f"{seen:%H:%M:%S}" if seen else "",
        event.type or "",
        f"{event.reason or ''}{times}",
        event.involved_object.name or "",
        event.message or "",
    )


def _metric_row(series: Series) -> tuple[str, ...]:
    values = [point.value for point in series.finite]
    last = series.points[-1]
    return (
        series.name,
        series.replica,
        str(len(series.points)),
        f"{last.value:.6g}",
        f"{min(values):.6g}" if values else "",
        f"{max(values):.6g}" if values else "",
        "" if series.axis == "ordinal" else f"{series.axis} {last.step:.10g}",
    )


def span(start: datetime | None, end: datetime | None) -> str:
    """Return the time between two moments as people say it: ``90 s``, ``12 min``, ``3 h``."""
    if start is None or end is None:
        return ""
    seconds = max(0, round((end - start).total_seconds()))
    for unit, size in (("d", 86_400), ("h", 3_600), ("min", 60)):
        if seconds >= 2 * size:
            return f"{seconds // size} {unit}"
    return f"{seconds} s"


def _time(text: str | None) -> datetime | None:
    return datetime.fromisoformat(text) if text else None


def _columns(rows: Sequence[Sequence[str]]) -> list[str]:
    """Align rows; control characters become visible, so that none can rewrite a terminal."""
    clean = [[_printable(cell) for cell in row] for row in rows]
    widths = [max(map(len, column)) for column in zip(*clean, strict=True)]
    return [
        "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip()
        for row in clean
    ]


def _printable(text: str) -> str:
    return "".join(c if c.isprintable() else repr(c)[1:-1] for c in text)


def _table(rows: Rows, head: Sequence[str] = (), marks: Sequence[str] = ()) -> str:
    """Return a table; `marks` are the attributes of its rows, where they have any."""
    top = "".join(f"<th scope='col'>{escape(cell)}</th>" for cell in head)
    body = "".join(map(_row, rows, marks or [""] * len(rows)))
    return f"<table>{f'<thead><tr>{top}</tr></thead>' if head else ''}<tbody>{body}</tbody></table>"


def _row(cells: Sequence[str], attributes: str) -> str:
    first, *others = cells
    rest = "".join(f"<td>{escape(cell)}</td>" for cell in others)
    return f"<tr{attributes}><th scope='row'>{escape(first)}</th>{rest}</tr>"


def _framed(content: str) -> str:
    return f"<style>{_css()}</style><div class='pyjob'>{content}</div>"


@cache
def _css() -> str:
    return files("pyjob_magic").joinpath("static/card.css").read_text()
