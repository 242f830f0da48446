"""What a notebook and a terminal show as tables: as aligned text and as HTML.

Whatever comes from a job is escaped where it is put in.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterable, Sequence
from datetime import datetime
from functools import cache
from html import escape
from importlib.resources import files
from typing import Protocol, TypeVar, overload

from pyjob_magic.findings import Finding
from pyjob_magic.metrics import Series
from pyjob_magic.models import Event, PyTorchJob, ReplicaSpec, read_time

Rows = list[tuple[str, ...]]


class _HasManifest(Protocol):
    manifest: PyTorchJob


class _Past(Protocol):
    @property
    def name(self) -> str: ...
    @property
    def namespace(self) -> str: ...
    @property
    def place(self) -> str: ...
    @property
    def state(self) -> str: ...
    @property
    def asked(self) -> str: ...
    @property
    def submitted(self) -> str: ...
    @property
    def started(self) -> str: ...
    @property
    def ended(self) -> str: ...


T = TypeVar("T")
J = TypeVar("J", bound=_HasManifest)
P = TypeVar("P", bound=_Past)


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
        return "\n".join(columns([self.head, *rows])) if rows else self.empty

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self._items!r})"

    def _repr_mimebundle_(self, **_: object) -> dict[str, str]:
        rows = self.rows()
        html = html_table(rows, self.head) if rows else f"<p>{escape(self.empty)}</p>"
        return {"text/plain": str(self), "text/html": framed(html)}


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


class HistoryTable(Table[P]):
    """Jobs that were submitted from here, one in each row, newest first."""

    head = ("submitted (UTC)", "name", "target / namespace", "state", "duration", "asked for")
    empty = "no jobs were submitted from here, as far as the history goes"

    def rows(self) -> Rows:
        """Return what is shown of each job."""
        return [_past_row(past) for past in self]


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
        table = html_table(self.rows(), self.head, marks)
        return {"text/plain": str(self), "text/html": framed(table + role)}


ROLE_HEAD = "The Role to ask for:"


def replica_counts(job: PyTorchJob) -> str:
    """Return how many replicas are asked for: ``1 Master + 2 Workers``."""
    counts = {
        kind: 1 if spec.replicas is None else spec.replicas
        for kind, spec in job.spec.pytorch_replica_specs.items()
    }
    return " + ".join(
        f"{count} {kind}{'' if count == 1 else 's'}" for kind, count in counts.items()
    )


def asked(job: PyTorchJob) -> str:
    """Return what is asked for: ``1 Master + 2 Workers, each 2 CPU, 4Gi, 1 nvidia.com/gpu``."""
    specs = job.spec.pytorch_replica_specs
    amounts = {kind: _amounts(spec) for kind, spec in specs.items()}
    if len({*amounts.values()}) > 1:
        each = ", ".join(f"{kind} {said}" for kind, said in amounts.items() if said)
    else:
        said = next(iter(amounts.values()), "")
        each = f"each {said}" if said and len(job.replica_names) > 1 else said
    return ", ".join(filter(None, [replica_counts(job), each]))


def _amounts(spec: ReplicaSpec) -> str:
    containers = spec.template.spec.containers
    main = next((each for each in containers if each.name == "pytorch"), None)
    resources = main.resources if main else None
    amounts = (resources.limits or resources.requests or {}) if resources else {}
    words = {"cpu": " CPU", "memory": ""}
    return ", ".join(f"{amount}{words.get(key, f' {key}')}" for key, amount in amounts.items())


def _past_row(past: _Past) -> tuple[str, ...]:
    submitted = read_time(past.submitted)
    return (
        f"{submitted:%Y-%m-%d %H:%M}" if submitted else "",
        past.name,
        f"{past.place} / {past.namespace}",
        past.state,
        span(read_time(past.started), read_time(past.ended)),
        past.asked,
    )


def _job_row(job: PyTorchJob, now: datetime) -> tuple[str, ...]:
    status = job.status
    start, end = read_time(status.start_time), status.ended_at if status.ended else now
    return (
        job.name,
        status.state,
        replica_counts(job),
        span(read_time(job.metadata.creation_timestamp), now),
        span(start, end),
    )


def _event_row(event: Event) -> tuple[str, ...]:
    times = f" x{event.count}" if (event.count or 1) > 1 else ""
    seen = read_time(event.time)
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


def leaf(text: str, most: int = 500) -> str:
    """Return a stranger's text as HTML of at most about so many characters, which it is all of."""
    return escape(printable(cut(text, most)))


def swatch(colour: str) -> str:
    """Return a square of a colour, to stand before the word for what has it."""
    return f"<span aria-hidden='true' style='color:{colour}'>■</span>"


def cut(text: str, most: int) -> str:
    """Return the beginning of a text, and a sign if that is not all."""
    return text if len(text) <= most else f"{text[: most - 1]}…"


def some(names: Sequence[str]) -> str:
    """Return names as a person lists them, not all of hundreds."""
    return ", ".join(names if len(names) <= 6 else [*names[:2], "...", names[-1]])


def span(start: datetime | None, end: datetime | None) -> str:
    """Return the time between two moments as people say it: ``90 s``, ``12 min``, ``3 h``."""
    return "" if start is None or end is None else duration((end - start).total_seconds())


def duration(length: float) -> str:
    """Return seconds as people say them."""
    seconds = max(0, round(length))
    for unit, size in (("d", 86_400), ("h", 3_600), ("min", 60)):
        if seconds >= 2 * size:
            return f"{seconds // size} {unit}"
    return f"{seconds} s"


def columns(rows: Sequence[Sequence[str]]) -> list[str]:
    """Align rows; control characters become visible, so that none can rewrite a terminal."""
    clean = [[printable(cell) for cell in row] for row in rows]
    widths = [max(map(len, column)) for column in zip(*clean, strict=True)]
    return [
        "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip()
        for row in clean
    ]


def printable(text: str) -> str:
    """Return a text whose control characters, bidirectional ones too, are spelled out."""
    return "".join(c if c.isprintable() else repr(c)[1:-1] for c in text)


def html_table(
    rows: Sequence[Sequence[str]], head: Sequence[str] = (), marks: Sequence[str] = ()
) -> str:
    """Return a table; `marks` are the attributes of its rows, where they have any."""
    top = "".join(f"<th scope='col'>{escape(cell)}</th>" for cell in head)
    body = "".join(map(_row, rows, marks or [""] * len(rows)))
    return f"<table>{f'<thead><tr>{top}</tr></thead>' if head else ''}<tbody>{body}</tbody></table>"


def _row(cells: Sequence[str], attributes: str) -> str:
    first, *others = cells
    rest = "".join(f"<td>{_cell(cell)}</td>" for cell in others)
    return f"<tr{attributes}><th scope='row'>{_cell(first)}</th>{rest}</tr>"


def _cell(text: str) -> str:
    return escape(printable(text))


def framed(content: str, attributes: str = "") -> str:
    """Return HTML with the style that it needs; `attributes` are those of its outermost tag."""
    return f"<style>{_css()}</style><div class='pyjob'{attributes}>{content}</div>"


@cache
def _css() -> str:
    return files("pyjob_magic").joinpath("static/card.css").read_text()
