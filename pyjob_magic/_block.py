"""Pure: how a job fares, as the few lines that a terminal shows of it and draws again and again.

What comes from a job cannot steer the terminal: escape sequences are left out, and other control
characters are spelled out.
"""

from __future__ import annotations

import re
import textwrap
from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from itertools import accumulate
from unicodedata import category, east_asian_width

from pyjob_magic import _states
from pyjob_magic._card import Card
from pyjob_magic._tables import printable
from pyjob_magic.metrics import Progress
from pyjob_magic.models import Pod, read_time

MOST_REPLICAS = 8  # that have a line each; of more, only those that are not fine
_MOST_TROUBLED = 6
_SAID_ALREADY = ("Completed", "Error")  # by the phase
_BAR = 32  # characters
_SENTENCE = 3  # lines
_LONG = 2_000  # characters of a line that are looked at

_SGR = r"\x1b\[[0-9;:]{0,40}+m"
_COMMAND = r"\[[0-?]{0,40}+[ -/]{0,4}+[@-~]"
_STRING = r"[\]P_^X][^\x07\x1b]{0,4096}+(?:\x07|\x1b\\)?+"  # such as a title, or a link
_ESCAPE = re.compile(rf"\x1b(?:{_COMMAND}|{_STRING}|[ -/]?+[0-~])?+")
_COLOURS = {"waiting": "33", "running": "36", "ok": "32", "bad": "31", "idle": "2"}


@dataclass(frozen=True)
class Block:
    """A job at one moment.

    Parameters
    ----------
    card
        The job with its replicas and why it waits.
    replicas
        Names of all replicas.
    last
        What each has printed last, also if the line has not ended; the latest at the end.
    progress
        Who tells how far the job is, how far, and the seconds left as far as is known.
    seen
        Names of the replicas that had a pod.
    """

    card: Card
    replicas: Sequence[str]
    last: Mapping[str, str] = field(default_factory=dict)
    progress: tuple[str, Progress, float | None] | None = None
    seen: Collection[str] = ()

    def lines(self, now: datetime, width: int, height: int, *, colours: bool = True) -> list[str]:
        """Return the lines; none is wider than `width`, and they fit above the cursor.

        Parameters
        ----------
        now
            The time.
        width, height
            Columns and rows of the terminal.
        colours
            Whether words may be coloured.
        """
        rows = [self._head(now), *self._bar(width), *self._reason(width), *self._replicas()]
        return [_fitted(row, width, colours=colours) for row in rows[: max(1, height - 1)]]

    def _head(self, now: datetime) -> _Row:
        job = self.card.job
        created = read_time(job.metadata.creation_timestamp)
        passed = ((job.status.ended_at or now) - created).total_seconds() if created else 0
        state = _states.state(job)
        place = f"{self.card.target} / {job.metadata.namespace or 'default'}"
        return _Row(job.name, state, _states.state_tone(state), f"{clock(passed)}  {place}")

    def _bar(self, width: int) -> list[_Row]:
        if self.progress is None:
            return []
        _, heard, left = self.progress
        fraction = min(1.0, max(0.0, heard.fraction))
        count = "" if heard.total == 1 else f"{heard.done:g}/{heard.total:g}"
        told = "  ".join(filter(None, [f"{fraction:4.0%}", f"{heard.label} {count}".strip()]))
        if left is not None and fraction < 1 and not self.card.job.status.ended:
            told += f"  {clock(left)} left"
        full = round(fraction * (length := min(_BAR, max(4, width // 3))))
        state = _states.state(self.card.job)
        return [_Row("", "━" * full, _states.state_tone(state), f"{'─' * (length - full)} {told}")]

    def _reason(self, width: int) -> list[_Row]:
        """Return why the job waits; why it has failed is said by the error that follows."""
        if self.card.diagnosis is None or self.card.job.status.ended:
            return []
        said = plain(str(self.card.diagnosis))
        lines = textwrap.wrap(said, max(10, width - 2), max_lines=_SENTENCE, placeholder=" …")
        return [_Row(f"  {line}") for line in lines]

    def _replicas(self) -> list[_Row]:
        pods = {pod.replica: pod for pod in self.card.pods}
        if len(self.replicas) <= MOST_REPLICAS:
            return self._rows(self.replicas, pods)
        counts = Counter(self._phase(name, pods.get(name)) for name in self.replicas)
        counted = ", ".join(f"{count} {phase}" for phase, count in counts.most_common())
        rows = [_Row(f"  {len(self.replicas)} replicas: {counted}")]
        troubled = [name for name in self.replicas if _is_troubled(pods.get(name))]
        rows += self._rows(troubled[:_MOST_TROUBLED], pods)
        if len(troubled) > _MOST_TROUBLED:
            rows.append(_Row(f"  … and {len(troubled) - _MOST_TROUBLED} more of those"))
        latest = [*self.last.items()][-1:]
        return rows + [_Row(f"  [{name}] {_end(text)}") for name, text in latest]

    def _rows(self, names: Sequence[str], pods: Mapping[str, Pod]) -> list[_Row]:
        told = {name: self._told(name, pods.get(name)) for name in names}
        longest, widest = (max(map(len, texts), default=0) for texts in (told, told.values()))
        return [
            _Row(f"  {name:<{longest}}", f"{word:<{widest}}", _tone(pods.get(name)), end)
            for name, word in told.items()
            for end in [_end(self.last.get(name, ""))]
        ]

    def _phase(self, name: str, pod: Pod | None) -> str:
        if pod is not None:
            return _states.phase(pod)
        return _states.absent(ended=self.card.job.status.ended, seen=name in self.seen)

    def _told(self, name: str, pod: Pod | None) -> str:
        """Return how a replica fares: ``Failed (exit code 1)``, ``Pending (ImagePullBackOff)``."""
        said = _particulars(pod) if pod else []
        phase = self._phase(name, pod)
        return f"{phase} ({', '.join(said)})" if said else phase


@dataclass(frozen=True)
class _Row:
    """One line, of which a word may have a tone."""

    start: str
    word: str = ""
    tone: str = ""
    end: str = ""


def _tone(pod: Pod | None) -> str:
    return _states.pod_tone(pod) if pod else "idle"


def _particulars(pod: Pod) -> list[str]:
    container, code = pod.main_container, _states.exit_code(pod)
    restarts = container.restart_count if container else 0
    reason = _states.reason(pod)
    said = [reason] if reason and reason not in _SAID_ALREADY else []
    said += [f"exit code {code}"] if code else []
    said += [f"restarted {restarts} x" if restarts > 1 else "restarted"] if restarts else []
    return said


def _is_troubled(pod: Pod | None) -> bool:
    """Whether a replica is neither fine nor on its way."""
    if pod is None:
        return False
    return _tone(pod) == "bad" or (_tone(pod) == "waiting" and _states.reason(pod) != "")


def clock(seconds: float) -> str:
    """Return a time as clocks show it: ``0:07``, ``1:02:03``."""
    minutes, rest = divmod(max(0, round(seconds)), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02d}:{rest:02d}" if hours else f"{minutes}:{rest:02d}"


# -- text that is not ours -----------------------------------------------------------------------


def plain(text: str) -> str:
    """Return a text without escape sequences, and with control characters spelled out."""
    if text.isprintable():
        return text
    return printable((_ESCAPE.sub("", text) if "\x1b" in text else text).expandtabs())


def coloured(text: str) -> str:
    """Return a line that may colour its text and do nothing else."""
    if "\x1b" not in text:
        return plain(text)
    parts = re.split(f"({_SGR})", text)
    shown = "".join(part if index % 2 else plain(part) for index, part in enumerate(parts))
    return f"{shown}\x1b[0m" if len(parts) > 1 else shown


def _end(text: str) -> str:
    """Return what is shown of a line of a log beside other things."""
    return plain(text[:_LONG]).strip()


def _fitted(row: _Row, width: int, *, colours: bool) -> str:
    gap = "  " if row.start and row.word else ""
    before = f"{plain(row.start)}{gap}"
    word = plain(row.word)
    after = "" if not row.end else f"  {plain(row.end)}" if row.start else plain(row.end)
    line = _cut(before + word + after, width)
    if not (colours and row.tone and line.startswith(before + word)):
        return line.rstrip()
    colour = f"\x1b[{_COLOURS[row.tone]}m{word}\x1b[0m"
    return f"{before}{colour}{line[len(before) + len(word) :].rstrip()}"


def _cut(text: str, width: int) -> str:
    """Return what fits into so many columns."""
    reached = list(accumulate(map(_width, text)))
    if not reached or reached[-1] <= width:
        return text
    fits = sum(column < width for column in reached)
    return f"{text[:fits]}…"


def _width(character: str) -> int:
    """Return how many columns a character takes."""
    if character.isascii():
        return 1
    if category(character) in ("Mn", "Me"):
        return 0
    return 2 if east_asian_width(character) in "WF" else 1
