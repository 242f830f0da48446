"""Pure: a job that was submitted from here, as the history knows it; its picture as text and HTML.

Whatever comes from a job is escaped where it is put in.
"""

from __future__ import annotations

import shlex
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property

from pyjob_magic import _sections, _states
from pyjob_magic._charts import chart, grouped
from pyjob_magic._tables import Rows, columns, cut, framed, html_table, leaf, printable, span
from pyjob_magic.diagnosis import Diagnosis
from pyjob_magic.edits import Wire
from pyjob_magic.manifest import read, to_yaml
from pyjob_magic.metrics import Series
from pyjob_magic.models import PyTorchJob, read_time
from pyjob_magic.payload import unpack
from pyjob_magic.withheld import missing

_MOST_CHARTS = 6
_LONG_LINE = 2_000


@dataclass(frozen=True)
class Entry:
    """What is known at a glance of a job that was submitted from here; times are RFC 3339.

    Parameters
    ----------
    uid
        What tells it from other jobs of its name.
    name, namespace
        As the API knew it.
    target, context, place
        Where it went: as typed behind ``--on`` and ``--context``, and as people are told it.
    profile, notebook
        What it was built with and where its code stood, where there was any.
    line
        What was typed behind ``%%pytorchjob``.
    asked
        What it asked for: ``1 Master + 2 Workers, each 2 CPU, 4Gi``.
    submitted, started, ended
        When; the last two are empty as long as that is not known.
    deleted
        When it was deleted from here, or seen to be deleted; else empty.
    state
        How it has ended; ``Deleted`` if it was deleted before, ``Unknown`` where nobody has looked.
    summary
        Why it failed, in a sentence.
    """

    uid: str
    name: str
    namespace: str
    target: str
    context: str
    place: str
    profile: str
    notebook: str
    line: str
    asked: str
    submitted: str
    started: str
    ended: str
    deleted: str
    state: str
    summary: str


@dataclass(frozen=True)
class PastJob(Entry):
    """A job that was submitted from here, with all that is kept of it.

    Parameters
    ----------
    source
        The code as it was typed; None if the job was not made from a cell.
    wire
        The manifest, as a JSON object without secret values.
    diagnosis
        Why it failed.
    series
        What it has measured, thinned to what a chart shows.
    log
        The last lines of some replicas; those that have failed come first.
    """

    source: str | None = None
    wire: Wire = field(default_factory=dict, repr=False)
    diagnosis: Diagnosis | None = None
    series: Sequence[Series] = field(default=(), repr=False)
    log: Mapping[str, Sequence[str]] = field(default_factory=dict, repr=False)

    @cached_property
    def manifest(self) -> PyTorchJob:
        """What was submitted; secret values are places to be filled in."""
        return read(self.wire)

    @property
    def moved(self) -> str | None:
        """The code, if it lay in a ConfigMap beside the manifest; else None."""
        for spec in self.manifest.spec.pytorch_replica_specs.values():
            for packed in filter(None, map(unpack, spec.template.spec.containers)):
                return self.source if packed[1] is None else None
        return None

    @property
    def missing(self) -> list[str]:
        """Names of the variables whose values were not kept."""
        return missing(self.wire)

    def __str__(self) -> str:
        head = f"PyTorchJob {self.name}: {self.state} ({self.place} / {self.namespace})"
        parts = [printable(cut(head, 500))]
        parts += [f"  {line}" for line in columns(self._facts)]
        parts += [f"  {printable(note)}" for note in self._notes]
        if self.diagnosis and self.diagnosis.traceback:
            parts += ["", f"  Traceback of {printable(self.diagnosis.replica or '')}"]
            parts += [f"  {printable(line)}" for line in self.diagnosis.traceback.splitlines()]
        tail = [printable(f"[{name}] {_sections.plain(text)}") for name, text in self._tail]
        parts += ["", *(f"  {line}" for line in tail)] if tail else []
        return "\n".join([*parts, "", *(f"  {line}" for line in columns(self._ways_back))])

    def _repr_html_(self) -> str:
        return framed("".join(self._parts()))

    def _repr_mimebundle_(self, **_: object) -> dict[str, str]:
        return {"text/plain": str(self), "text/html": self._repr_html_()}

    def _parts(self) -> Iterator[str]:
        tone = _states.state_tone(self.state)
        yield (
            f"<header><strong>{leaf(self.name, 253)}</strong> "
            f"<span class='pyjob-badge pyjob-{tone}'>{leaf(self.state)}</span> "
            f"<small>{leaf(f'{self.place} / {self.namespace}')}</small></header>"
        )
        for note in self._notes:
            yield f"<p class='pyjob-warning'>{leaf(note, 600)}</p>"
        if self.diagnosis and self.diagnosis.traceback:
            head = f"Traceback of {self.diagnosis.replica}"
            yield _sections.traceback(head, self.diagnosis.traceback)
        yield html_table(self._facts)
        groups = grouped(self.series)
        if drawn := "".join(map(chart, groups[:_MOST_CHARTS])):
            yield f"<div class='pyjob-charts'>{drawn}</div>"
        if self.log:
            yield _sections.log(self._tail, sum(map(len, self.log.values())))
        if self.source is not None:
            yield _sections.code(self.source)
        yield _sections.manifest(to_yaml(self.wire))
        ways = "<br>".join(f"<code>{leaf(line)}</code> {does}" for line, does in self._ways_back)
        yield f"<p class='pyjob-open'>From the history.<br>{ways}</p>"

    @property
    def _facts(self) -> Rows:
        """What was asked for, and when what happened."""
        secret = ", ".join(self.missing)
        said = [
            ("submitted", _shown(self.submitted)),
            ("ended", _shown(self.ended)),
            ("deleted", _shown(self.deleted)),
            ("duration", span(read_time(self.started), read_time(self.ended))),
            ("asked for", self.asked),
            ("line", f"%%pytorchjob {self.line}" if self.line else ""),
            ("notebook", self.notebook),
            ("profile", self.profile),
            ("not kept", f"the values of {secret}, which are secret" if secret else ""),
            ("uid", self.uid),
        ]
        return [(name, cut(value, _LONG_LINE)) for name, value in said if value]

    @property
    def _notes(self) -> list[str]:
        notes = [self.summary] if self.summary else []
        if self.state == "Unknown":
            notes.append("nobody has looked since it was submitted: how it ended is not known")
        return notes

    @property
    def _tail(self) -> list[tuple[str, str]]:
        """The last lines of all that is kept, a fair share of each replica."""
        share = max(5, _sections.LOG_LINES // max(1, len(self.log)))
        return [(name, line) for name, lines in self.log.items() for line in lines[-share:]]

    @property
    def _ways_back(self) -> list[tuple[str, str]]:
        context = ["--context", self.context] if self.context else []
        place = ["--on", self.target, *context, "-n", self.namespace]
        does = {"rerun": "runs it again", "cell": "brings its code back"}
        if self.source is None:
            del does["cell"]
        if self.log:
            does["logs"] = "prints all that is kept of its log"
        return [
            (f"%pytorchjob {verb} {shlex.join([self.name, *place])}", what)
            for verb, what in does.items()
        ]


def _shown(time: str) -> str:
    moment = read_time(time)
    return f"{moment:%Y-%m-%d %H:%M:%S} UTC" if moment else ""
