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


def row(name: str, spans: Iterable[Span], marks: Iterable[Mark]) -> Row:
    """Return a row in which nothing overlaps and nothing ends before it begins.

    Times come from several clocks and have whole seconds: what begins later in the list never
    begins earlier in time, and what another span follows has ended by then.
    """
    ordered: list[Span] = []
    for span in spans:
        start = span.start
        if ordered:
            before = ordered[-1]
            start = max(start, before.start)
            if before.end is None or before.end > start:
                ordered[-1] = replace(before, end=start)
        end = None if span.end is None else max(start, span.end)
        ordered.append(replace(span, start=start, end=end))
    kept = [span for span in ordered if span.kind in RUNS or span.start != span.end]
    return Row(name, kept, sorted(marks, key=lambda mark: mark.at))
