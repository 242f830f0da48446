"""Rows of a timeline: what lasted, and what happened."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Literal

SpanKind = Literal[
    "suspended",
    "queued",
    "scheduling",
    "preparing",
    "running",
    "succeeded",
    "failed",
    "stopped",
    "backoff",
]
"""What went on: ``running`` still does, the three behind it are runs that have ended so."""

MarkKind = Literal[
    "submitted", "admitted", "scheduled", "pulled", "started", "restarted", "ended", "warning"
]

RUNS: frozenset[SpanKind] = frozenset({"running", "succeeded", "failed", "stopped"})
"""Spans in which the code ran. Of no length they still count; waiting of no length was none."""


@dataclass(frozen=True)
class Span:
    """Something that lasted; `end` is None as long as it does."""

    kind: SpanKind
    start: datetime
    end: datetime | None
    title: str


@dataclass(frozen=True)
class Mark:
    """Something that happened at one moment."""

    kind: MarkKind
    at: datetime
    title: str


@dataclass(frozen=True)
class Row:
    """What the job, or one of its replicas, went through, oldest first."""

    name: str
    spans: list[Span] = field(default_factory=list)
    marks: list[Mark] = field(default_factory=list)


def row(name: str, spans: Iterable[Span], marks: Iterable[Mark], now: datetime) -> Row:
    """Return a row in which nothing overlaps and nothing ends before it begins.

    Times come from several clocks and have whole seconds: what begins later in the list never
    begins earlier in time, what another span follows has ended by then, and nothing is yet to be.
    """
    ordered: list[Span] = []
    for span in spans:
        start = min(span.start, now)
        if ordered:
            before = ordered[-1]
            start = max(start, before.start)
            if before.end is None or before.end > start:
                ordered[-1] = replace(before, end=start)
        end = None if span.end is None else max(start, min(span.end, now))
        ordered.append(replace(span, start=start, end=end))
    kept = [span for span in ordered if span.kind in RUNS or span.start != span.end]
    happened = (replace(mark, at=min(mark.at, now)) for mark in marks)
    return Row(name, kept, sorted(happened, key=lambda mark: mark.at))


def spent(spans: Iterable[Span], now: datetime) -> dict[SpanKind, tuple[int, float]]:
    """Return how often and how many seconds each kind of span lasted, in the order of the first."""
    found: dict[SpanKind, tuple[int, float]] = {}
    for span in spans:
        count, seconds = found.get(span.kind, (0, 0.0))
        lasted = ((span.end or now) - span.start).total_seconds()
        found[span.kind] = count + 1, seconds + max(0.0, lasted)
    return found
