"""The live form of the card in a terminal: a few lines that are drawn anew in their place."""

from __future__ import annotations

import os
import shutil
import threading
import time
from collections import defaultdict, deque
from contextlib import suppress
from datetime import UTC, datetime
from typing import TextIO

from pyjob_magic import diagnosis
from pyjob_magic._block import Block, coloured, plain
from pyjob_magic._card import Card
from pyjob_magic._readings import Readings
from pyjob_magic.errors import PyJobError
from pyjob_magic.job import LINGER, Job
from pyjob_magic.logs import Follower, LogLine
from pyjob_magic.models import JobStatus

_APART = 0.2  # seconds between two pictures
_MOST_WAITING = 5_000  # lines that wait to be printed; whoever prints faster waits
_HIDE, _SHOW = "\x1b[?25l", "\x1b[?25h"  # the cursor
_CUT, _WRAP = "\x1b[?7l", "\x1b[?7h"  # what is too long for a line
_CLEAR_LINE, _CLEAR_BELOW = "\x1b[K", "\x1b[J"


def can_redraw(out: TextIO) -> bool:
    """Whether `out` is a terminal that can change what it has shown."""
    return out.isatty() and os.environ.get("TERM", "dumb") != "dumb"


class LiveBlock:
    """Shows how a job fares as long as it is waited for.

    Only its thread writes, so that an interrupt finds the terminal in order.

    Parameters
    ----------
    job
        The job.
    card
        What is known of it already.
    out
        The terminal.
    follow
        Whether all that the replicas print is shown, above.
    """

    def __init__(self, job: Job, card: Card, out: TextIO, *, follow: bool = False) -> None:
        self._job = job
        self._card = card
        self._out = out
        self._follow = follow
        self._follower = Follower(
            job.client, job.manifest, tail=None if follow else diagnosis.READ_LINES
        )
        self._readings = Readings()
        self._ends: dict[str, deque[str]] = defaultdict(lambda: deque(maxlen=diagnosis.READ_LINES))
        self._last: dict[str, str] = {}  # what each replica has printed last, the latest at the end
        self._told: set[str] = set()
        self._seen: set[str] = set()  # replicas that had a pod
        self._waiting: list[str] = []  # to be printed above
        self._drawn: list[str] = []
        self._ended = False
        self._news = threading.Condition()

    def wait(self, timeout: float | None = None) -> JobStatus:
        """Block until the job has ended, as `Job.wait`; leave its last state on the terminal."""
        drawing = threading.Thread(target=self._draw_again, name="pyjob-terminal", daemon=True)
        drawing.start()
        try:
            self._look()
            for lines in self._follower.batches(
                timeout=timeout, linger=LINGER, on_change=self._look, on_note=self._note
            ):
                self._take(lines)
            self._look()
            ends = {name: "\n".join(end) for name, end in self._ends.items()}
            series = self._readings.series
            return self._job.conclude(self._follower, ends, timeout, series=series)
        finally:
            with self._news:
                self._ended = True
                self._news.notify_all()
            drawing.join()

    def _look(self) -> None:
        with suppress(PyJobError):
            card = self._job.card()
            with self._news:
                self._card = card
                self._seen |= {pod.replica for pod in card.pods}
                self._tell(card)

    def _tell(self, card: Card) -> None:
        """Print what is new, but for what stands in the block and what the error will say."""
        current = card.job.status.current
        said = {str(card.diagnosis), current.message if current else None}
        for note in card.notes:
            if note not in said | self._told:
                self._told.add(note)
                self._waiting.append(plain(note))

    def _note(self, sentence: str) -> None:
        with self._news:
            self._waiting.append(plain(sentence))

    def _take(self, lines: list[LogLine]) -> None:
        if not lines:
            return
        replica, texts = lines[0].replica, [line.text for line in lines]
        self._ends[replica].extend(texts)
        printed = [coloured(str(line)) for line in lines] if self._follow else []
        with self._news:
            self._last.pop(replica, None)
            self._last[replica] = texts[-1]
            self._readings.take(replica, texts, time.time())
            self._news.wait_for(lambda: not self._is_full)
            self._waiting += printed
            if self._is_full:
                self._news.notify_all()

    @property
    def _is_full(self) -> bool:
        return len(self._waiting) >= _MOST_WAITING

    # -- the thread that draws ----------------------------------------------------------------

    def _draw_again(self) -> None:
        ended = False
        while not ended:
            with self._news:
                self._news.wait_for(lambda: self._ended or self._is_full, _APART)
                ended = self._ended  # what came last is drawn, too
            with suppress(OSError, ValueError):  # the terminal is gone
                self._draw()

    def _draw(self) -> None:
        columns, rows = shutil.get_terminal_size()
        partial = self._follower.partial()
        with self._news:
            printed, self._waiting = self._waiting, []
            self._news.notify_all()
            names = self._job.replica_names
            now = datetime.now(UTC)
            block = Block(
                self._card,
                names,
                {**self._last, **partial},
                self._readings.progress(names, partial, now.timestamp()),
                self._seen,
            )
        lines = block.lines(now, columns, rows, colours="NO_COLOR" not in os.environ)
        if lines == self._drawn and not printed:
            return
        up = f"\x1b[{len(self._drawn)}A" if self._drawn else ""
        above = "".join(f"{line}{_CLEAR_LINE}\n" for line in printed)
        drawn = "".join(f"{line}{_CLEAR_LINE}\n" for line in lines)
        text = f"{_HIDE}\r{up}{above}{_CUT}{drawn}{_WRAP}{_CLEAR_BELOW}{_SHOW}"
        encoding = self._out.encoding or "utf-8"
        self._out.write(text.encode(encoding, "replace").decode(encoding))
        self._out.flush()
        self._drawn = lines
