"""What a notebook and a terminal show of a job: from data to text and HTML without any script.

Nothing here asks an API or the clock. Whatever comes from a job is escaped where it is put in.
"""

from __future__ import annotations

import shlex
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from html import escape

from pyjob_magic import _sections, _states, diagnosis
from pyjob_magic._charts import chart, grouped
from pyjob_magic._gantt import gantt, where_time_went
from pyjob_magic._sections import REPLICA_HEAD
from pyjob_magic._tables import (
    Rows,
    columns,
    cut,
    framed,
    html_table,
    leaf,
    printable,
    replica_counts,
    span,
)
from pyjob_magic.diagnosis import Diagnosis
from pyjob_magic.metrics import Progress, Series
from pyjob_magic.models import Event, Pod, PyTorchJob, read_time
from pyjob_magic.timeline import Timeline

_ROOM = 90_000  # bytes of HTML beside the style
_MOST_NOTES = 12
_MOST_CHARTS = 6


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
    timeline
        What was seen of it before; without it, what the other things tell.
    series, progress
        What it has measured, and how far it says that it has come.
    metrics_note
        What there is to know of how they were read.
    log_tail, log_total
        The last lines of its log, each with its replica, and how many there are.
    yaml
        Its manifest.
    card_id
        What a live card knows this one by, to take its place.
    now
        The moment; without it, nothing is said of how long things took.
    """

    job: PyTorchJob
    target: str
    pods: Sequence[Pod] = ()
    events: Sequence[Event] = ()
    diagnosis: Diagnosis | None = None
    timeline: Timeline | None = None
    series: Sequence[Series] = ()
    progress: Progress | None = None
    metrics_note: str = ""
    log_tail: Sequence[tuple[str, str]] = ()
    log_total: int = 0
    yaml: str = ""
    card_id: str = ""
    now: datetime | None = None

    def __str__(self) -> str:
        head = f"PyTorchJob {self.job.name}: {self.state} ({self._place})"
        parts = [printable(cut(head, 500))]
        parts += [f"  {line}" for line in columns(metadata(self.job))]
        if self.progress:
            parts += [f"  {printable(_sections.progress_text(self.progress))}"]
        if self.now and (
            spent := where_time_went(self.history(self.now).rows(self.now)[0], self.now)
        ):
            parts += [f"  {', '.join(text for _, text in spent)}"]
        parts += [f"  {printable(note)}" for note in self.notes]
        if self.pods:
            summary = _sections.replica_summary(self.pods)
            rows = _sections.replicas(self.pods)
            table = columns([REPLICA_HEAD, *rows]) if rows else []
            parts += ["", *(f"  {printable(line)}" for line in filter(None, [summary, *table]))]
        if self._traceback:
            lines = [self._traceback_head, *self._traceback.splitlines()]
            parts += ["", *(f"  {printable(line)}" for line in lines)]
        return "\n".join(parts)

    def _repr_html_(self) -> str:
        room, parts = _ROOM, []
        for part in self._parts():
            room -= len(part.encode(errors="replace"))
            if room < 0:
                parts.append("<p>There is more than a notebook should hold.</p>")
                break
            parts.append(part)
        mark = f" data-pyjob-card='{escape(self.card_id)}'" if self.card_id else ""
        return framed("".join(parts), mark)

    def _parts(self) -> Iterator[str]:
        """Yield the parts of the card as HTML, what matters most first."""
        tone = _states.state_tone(self.state)
        yield (
            f"<header><strong>{leaf(self.job.name, 253)}</strong> "
            f"<span class='pyjob-badge pyjob-{tone}'>{leaf(self.state)}</span> "
            f"<small>{leaf(self._place)}{self._age}</small></header>"
        )
        for note in self.notes[:_MOST_NOTES]:
            yield f"<p class='pyjob-warning'>{leaf(note, 600)}</p>"
        if self._traceback:
            yield _sections.traceback(self._traceback_head, self._traceback)
        if self.progress:
            yield _sections.progress_bar(self.progress)
        yield html_table([(key, cut(value, 500)) for key, value in metadata(self.job)])
        if self.pods:
            if summary := _sections.replica_summary(self.pods):
                yield f"<p>{leaf(summary)}</p>"
            if rows := _sections.replicas(self.pods):
                yield html_table(rows, REPLICA_HEAD)
        if self.now:
            yield gantt(self.history(self.now).rows(self.now), self.now)
        yield self._drawings()
        if self.log_tail:
            yield _sections.log(self.log_tail, self.log_total)
        if self.events:
            yield _sections.events(self.events)
        if self.yaml:
            yield _sections.manifest(self.yaml)
        if self.now:
            moment = f"As of {self.now:%Y-%m-%d %H:%M:%S} UTC"
            live = f"<code>{leaf(self.open_command)}</code> shows it live"
            yield f"<p class='pyjob-open'>{moment}; {live}.</p>"

    def _drawings(self) -> str:
        groups = grouped(self.series)
        drawn = "".join(map(chart, groups[:_MOST_CHARTS]))
        more = len(groups) - _MOST_CHARTS
        notes = [f"{more} more metrics; job.metrics() has them all"] if more > 0 else []
        notes += [self.metrics_note] if drawn and self.metrics_note else []
        said = "".join(f"<p class='pyjob-note'>{leaf(note)}.</p>" for note in notes)
        return f"<div class='pyjob-charts'>{drawn}</div>{said}" if drawn else said

    def _repr_mimebundle_(self, **_: object) -> dict[str, str]:
        return {"text/plain": str(self), "text/html": self._repr_html_()}

    @property
    def state(self) -> str:
        """How the job fares in a word."""
        return _states.state(self.job)

    @property
    def open_command(self) -> str:
        """What to type to see the job live."""
        return f"%pytorchjob show {shlex.quote(self.job.name)}"

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
    def _age(self) -> str:
        submitted, status = read_time(self.job.metadata.creation_timestamp), self.job.status
        age = span(submitted, status.ended_at if status.ended else self.now)
        return f" · {age}" if age else ""

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
    return not (_by_operator(event) and "Error pod " in (event.message or ""))


def _lasting(event: Event) -> bool:
    """Whether it matters beside a diagnosis, and at the end: what the target could not honour."""
    return event.involved_object.kind == "PyTorchJob" and not _by_operator(event)


def _by_operator(event: Event) -> bool:
    return (event.source or {}).get("component") == "pytorchjob-controller"


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
