"""Pure: a timeline as HTML: a table with a bar in each row, drawn to scale as SVG.

Where pages are stripped of style and drawings, as on GitHub, names and times are left. So no text
stands inside of a drawing.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from pyjob_magic._tables import duration, leaf, swatch
from pyjob_magic.timeline import RUNS, Row, Span, SpanKind, spent

_MOST_REPLICAS = 32
_MOST_FAILED = 12  # of more replicas than that
_MOST_SPANS = 150  # of all rows together
_WIDTH = 1000

# Seen on white as on black; runs are also higher than what comes before them.
_COLOURS: dict[SpanKind, str] = {
    "suspended": "#8b949e",
    "queued": "#b08d4f",
    "scheduling": "#d18a1c",
    "preparing": "#a678cf",
    "running": "#2f81e8",
    "succeeded": "#2c974b",
    "failed": "#d1303d",
    "stopped": "#7c8590",
    "backoff": "#d9808a",
}
_WORDS: dict[SpanKind, str] = {
    "suspended": "suspended",
    "queued": "queued",
    "scheduling": "waiting for a node",
    "preparing": "preparing",
    "running": "running",
    "succeeded": "succeeded after",
    "failed": "failed after",
    "stopped": "stopped after",
    "backoff": "backing off",
}


def where_time_went(row: Row, now: datetime) -> list[tuple[SpanKind, str]]:
    """Return what took how long, in words: ``queued 12 s``, ``succeeded after 3 min``."""
    return [
        (kind, _told(kind, count, seconds))
        for kind, (count, seconds) in spent(row.spans, now).items()
    ]


def _told(kind: SpanKind, count: int, seconds: float) -> str:
    if kind == "failed" and count > 1:
        return f"failed {count} times, after {duration(seconds)} in all"
    return f"{_WORDS[kind]} {duration(seconds)}"


def gantt(rows: Sequence[Row], now: datetime) -> str:
    """Return the rows of a timeline, the job first, as a table; nothing if nothing has begun.

    Of more replicas than fit, only those that have failed are shown, and how many there are.
    """
    job, replicas = rows[0], rows[1:]
    shown, note = [*replicas], ""
    if len(replicas) > _MOST_REPLICAS:
        failed = [row for row in replicas if any(span.kind == "failed" for span in row.spans)]
        shown = failed[:_MOST_FAILED]
        which = f", {len(failed)} of which failed" if failed else ""
        note = f"{len(replicas)} replicas{which}"
    begun = [row for row in [job, *shown] if row.spans]
    if not begun:
        return ""
    spans = [span for row in begun for span in row.spans]
    scale = _Scale(min(s.start for s in spans), max(s.end or now for s in spans), now)
    most = max(3, _MOST_SPANS // len(begun))
    body = "".join(_table_row(row, scale, most) for row in begun)
    extra = f"<tr><th scope='row'></th><td></td><td>{leaf(note)}</td></tr>" if note else ""
    caption = f"<caption>Timeline, from {scale.start:%H:%M:%S} UTC</caption>"
    return f"<table class='pyjob-gantt'>{caption}<tbody>{body}{extra}{scale.axis()}</tbody></table>"


class _Scale:
    """Where a time stands on the bars."""

    def __init__(self, start: datetime, end: datetime, now: datetime) -> None:
        self.start, self.now = start, now
        self.length = max(1.0, (end - start).total_seconds())

    def x(self, at: datetime) -> float:
        return round(_WIDTH * (at - self.start).total_seconds() / self.length, 1)

    def axis(self) -> str:
        parts = (0, 0.5, 1) if self.length >= 10 else (0, 1)  # half of which are whole seconds
        times = [duration(self.length * part) for part in parts]
        labels = "".join(f"<i data-mark='{time}'></i>" for time in times)
        return f"<tr><th></th><td><span class='pyjob-x'>{labels}</span></td><td></td></tr>"


def _table_row(row: Row, scale: _Scale, most: int) -> str:
    told = where_time_went(row, scale.now)
    words = " ".join(f"{swatch(_COLOURS[kind])} {leaf(text)}" for kind, text in told)
    label = leaf(f"{row.name}: {', '.join(text for _, text in told)}")
    drawn = "".join(_bar(span, scale) for span in row.spans[-most:])
    bar = (
        f"<svg viewBox='0 0 {_WIDTH} 12' preserveAspectRatio='none' width='100%' height='12' "
        f"role='img' aria-label='{label}'>{drawn}</svg>"
    )
    title = leaf("\n".join(span.title for span in row.spans[-6:]), 600)
    name = f"<th scope='row'>{leaf(row.name, 80)}</th>"
    return f"<tr>{name}<td title='{title}'>{bar}</td><td>{words}</td></tr>"


def _bar(span: Span, scale: _Scale) -> str:
    start, end = scale.x(span.start), scale.x(span.end or scale.now)
    y, height = (0, 12) if span.kind in RUNS else (4, 4)
    # A gap tells two runs apart; a run that was over at once is seen all the same.
    width = max(3.0, round(end - start - 1, 1))
    x = min(start, _WIDTH - width)
    fill = _COLOURS[span.kind]
    return f"<rect x='{x:g}' y='{y}' width='{width:g}' height='{height}' fill='{fill}'/>"
