"""What a card knows of logs: all lines in a temporary file, of which any part can be had at once.

A view is the lines of all replicas as they came, called ``""``, or those of one replica, called by
its name. Its lines are numbered from 0; the number of a line never changes.
"""

from __future__ import annotations

import gzip
import os
import tempfile
import threading
from array import array
from bisect import bisect_left, bisect_right
from collections import deque
from collections.abc import Iterator, Sequence
from itertools import accumulate
from typing import IO, NamedTuple

MOST_BYTES = 512 * 1024 * 1024
"""Of all lines; what is older than the latest of them is left out in the end."""
MOST_LINES = 20_000_000
"""Of these the latest half is kept at least: what a line takes of memory counts, too."""
LONGEST = 10_000
"""Characters of a line that are shown; a download has them all."""
MOST_FOUND = 10_000
"""Lines that a search counts."""
MOST_BEGUN = 500
"""Starts of replicas that are remembered, the latest."""

_PIECE = 1024 * 1024  # bytes that are read at once
_LEFT_OUT = "(no longer kept here)"

Numbered = tuple[int, str]
"""A line: the number of the replica that printed it, and its text."""


class Found(NamedTuple):
    """What a search has found."""

    number: int | None
    """Number of the line in the view; None if there is none."""
    matches: int
    """How many lines there are."""
    capped: bool
    """Whether there are more than were counted."""


class LogBook:
    """Keeps lines as they come; can be read while another thread adds to it.

    Of memory a line takes 14 bytes, whatever its length.

    Parameters
    ----------
    replicas
        Names of all replicas that may print.
    most_bytes, most_lines
        How much is kept: at least the latest half of so many bytes or lines.
    """

    def __init__(
        self,
        replicas: Sequence[str],
        most_bytes: int = MOST_BYTES,
        most_lines: int = MOST_LINES,
    ) -> None:
        self.replicas = tuple(replicas)
        self.problem = ""
        """Why lines are missing, if so."""
        self._numbers = {name: number for number, name in enumerate(self.replicas)}
        self._most_bytes, self._most_lines = most_bytes, most_lines
        self._lock = threading.RLock()
        self._parts = [_Part(len(self.replicas))]
        self._searched: tuple[str, str, int] | None = None  # view, text, total of the last search
        self._found: list[int] = []
        self._begun: deque[tuple[int, int, int]] = deque(maxlen=MOST_BEGUN)

    def add(self, replica: str, texts: Sequence[str], *, starts_again: bool = False) -> None:
        """Add lines that a replica has printed.

        Parameters
        ----------
        replica, texts
            Who has printed what.
        starts_again
            Whether they are the first ones since it was started again.
        """
        with self._lock:
            if starts_again:
                self._begun.append((self._numbers[replica], self.total(replica), self.total()))
            part = self._parts[-1]
            if part.size > self._most_bytes // 2 or part.count > self._most_lines // 2:
                part = self._begin_part()
            try:
                part.add(self._numbers[replica], texts)
            except OSError as error:
                self.problem = f"lines of the log are missing here: {error.strerror}"
                if part.size:  # another file may take what this one does not
                    self._begin_part()

    @property
    def size(self) -> int:
        """Bytes that it takes on the disk."""
        return sum(part.size for part in self._parts)

    def total(self, view: str = "") -> int:
        """Return how many lines a view has."""
        with self._lock:
            return self._parts[-1].total(self._who(view))

    def totals(self) -> dict[str, int]:
        """Return how many lines each replica has."""
        with self._lock:
            return {name: self.total(name) for name in self.replicas}

    def begun(self, view: str) -> list[int]:
        """Return the numbers of the lines that a replica printed first when it ran again."""
        who = self._who(view)
        with self._lock:
            return [whole if who < 0 else own for of, own, whole in self._begun if who in (-1, of)]

    def lines(self, view: str, start: int, count: int) -> list[Numbered]:
        """Return so many lines of a view from number `start` on, or as many as there are."""
        who = self._who(view)
        with self._lock:
            start, end = max(0, start), min(start + count, self.total(view))
            lines: list[Numbered] = []
            for part in self._parts:
                lines += part.lines(who, max(start, part.first(who)), min(end, part.total(who)))
            missing = max(0, end - start) - len(lines)
            return [(max(0, who), _LEFT_OUT)] * missing + lines

    def find(self, view: str, text: str, start: int, *, forward: bool = True) -> Found:
        """Return the next line that holds `text`, whatever the case of its Latin letters.

        Parameters
        ----------
        view
            Where to look.
        start
            The first line to look at; the search goes on behind the last line with the first.
        forward
            Whether to look at later lines.
        """
        with self._lock:
            search = (view, text, self.total(view))
            if search != self._searched:
                who = self._who(view)
                self._found = []
                for part in self._parts if text else ():
                    self._found += part.find(who, text, MOST_FOUND + 1 - len(self._found))
                self._searched = search
            found = self._found
        if not found:
            return Found(None, 0, capped=False)
        at = bisect_left(found, start) if forward else bisect_right(found, start) - 1
        capped = len(found) > MOST_FOUND
        return Found(found[at % len(found)], min(len(found), MOST_FOUND), capped)

    def last(self, view: str, size: int, end: int | None = None) -> int:
        """Return the number of the first of the last lines that `size` bytes hold, or of the last.

        Parameters
        ----------
        view
            Where to look.
        size
            Bytes that the lines may have together.
        end
            Number behind the last of them; without it, all lines there are.
        """
        who = self._who(view)
        with self._lock:
            start = end = self._end(view, end)
            for part in reversed(self._parts):
                while part.first(who) < start <= part.total(who):
                    size -= part.room(who, start - 1)
                    if size < 0 and start < end:
                        return start
                    start -= 1
        return start

    def pieces(self, view: str, start: int = 0, end: int | None = None) -> Iterator[bytes]:
        """Yield the text of a view, whole lines gzipped; in that of all each names its replica."""
        who, number, end = self._who(view), start, self._end(view, end)
        while number < end:
            with self._lock:
                lines, number = self._piece(who, number, end)
            if not lines:
                continue  # they were left out
            names = self.replicas
            text = "".join(
                f"{line}\n" if who >= 0 else f"[{names[of]}] {line}\n" for of, line in lines
            )
            yield gzip.compress(text.encode(), compresslevel=5)

    def close(self) -> None:
        """Give the room back; the lines are left out from now on."""
        with self._lock:
            self._parts = [_Part.after(self._parts[-1])]

    def _end(self, view: str, end: int | None) -> int:
        total = self.total(view)
        return total if end is None else min(end, total)

    def _piece(self, who: int, number: int, most: int) -> tuple[list[Numbered], int]:
        part = next(part for part in self._parts if number < part.total(who))
        start = max(number, part.first(who))
        if start >= min(most, part.total(who)):
            return [], start
        end = min(most, part.reach(who, start, _PIECE))
        return part.lines(who, start, end, longest=None), end

    def _begin_part(self) -> _Part:
        """Go on in an empty file; of those that are full only the last one is kept."""
        self._parts = [self._parts[-1], _Part.after(self._parts[-1])]
        return self._parts[-1]

    def _who(self, view: str) -> int:
        """Return the number of the replica whose view it is; -1 for that of all.

        Raises
        ------
        KeyError
            If there is none of that name.
        """
        return self._numbers[view] if view else -1


class _Part:
    """Lines that follow each other, in a file of their own."""

    def __init__(self, replicas: int, bases: Sequence[int] | None = None) -> None:
        self._file: IO[bytes] | None = None  # as long as there is no line
        self._ends = array("Q")  # in bytes, of each line
        self._whose = array("H")  # number of its replica
        self._own = [array("I") for _ in range(replicas)]  # which lines are a replica's
        self._bases = bases or [0] * (replicas + 1)  # of each view before; that of all is the last

    @classmethod
    def after(cls, other: _Part) -> _Part:
        """Return an empty part that follows `other`."""
        replicas = len(other._own)
        return cls(replicas, [other.total(who) for who in [*range(replicas), -1]])

    @property
    def size(self) -> int:
        return self._ends[-1] if self._ends else 0

    @property
    def count(self) -> int:
        return len(self._ends)

    def first(self, who: int) -> int:
        """Return the number of the first line of a view."""
        return self._bases[who]

    def total(self, who: int) -> int:
        """Return the number behind the last line of a view."""
        return self._bases[who] + (len(self._ends) if who < 0 else len(self._own[who]))

    def add(self, who: int, texts: Sequence[str]) -> None:
        text = "\n".join(texts) + "\n"
        data = text.encode(errors="replace")
        ascii_only = len(data) == len(text)
        lengths = map(len, texts if ascii_only else [t.encode(errors="replace") for t in texts])
        size, before = self.size, len(self._ends)
        if self._file is None:
            self._file = tempfile.TemporaryFile(prefix="pyjob-log-", buffering=0)  # noqa: SIM115
        _write(self._file.fileno(), data, size)
        self._ends.extend(list(accumulate((n + 1 for n in lengths), initial=size))[1:])
        self._whose.extend([who] * len(texts))
        self._own[who].extend(range(before, len(self._ends)))

    def lines(
        self, who: int, start: int, end: int, longest: int | None = LONGEST
    ) -> list[Numbered]:
        """Return lines of a view from number `start` to before `end`."""
        base = self._bases[who]
        if start >= end:
            return []
        if who < 0:
            first, last = start - base, end - base
            data = self._read(self._begin(first), self._ends[last - 1])
            texts = data[:-1].split(b"\n")
            return [*zip(self._whose[first:last], (_shown(t, longest) for t in texts), strict=True)]
        return [
            (who, _shown(self._read(self._begin(at), self._ends[at] - 1), longest))
            for at in self._own[who][start - base : end - base]
        ]

    def reach(self, who: int, start: int, size: int) -> int:
        """Return the number behind the last line of a view within `size` bytes, or one more."""
        base = self._bases[who]
        first = start - base if who < 0 else self._own[who][start - base]
        last = bisect_right(self._ends, self._begin(first) + size)
        if who >= 0:
            last = bisect_left(self._own[who], last)
        return max(start + 1, base + last)

    def room(self, who: int, number: int) -> int:
        """Return how many bytes a line of a view takes."""
        index = number - self._bases[who]
        at = index if who < 0 else self._own[who][index]
        return self._ends[at] - self._begin(at)

    def find(self, who: int, text: str, most: int) -> list[int]:
        """Return the numbers in a view of the lines that hold `text`, of `most` lines at most."""
        needle, found, line = text.encode(errors="replace").lower(), list[int](), 0
        while line < len(self._ends) and len(found) < most:
            offset = self._begin(line)
            after = max(line + 1, bisect_right(self._ends, offset + _PIECE))
            data = self._read(offset, self._ends[after - 1]).lower()
            at = data.find(needle)
            while at >= 0 and len(found) < most:
                line = bisect_right(self._ends, offset + at)
                if who < 0 or self._whose[line] == who:
                    found.append(line)
                at = data.find(needle, self._ends[line] - offset)
            line = after
        if who < 0:
            return [self._bases[who] + line for line in found]
        return [self._bases[who] + bisect_left(self._own[who], line) for line in found]

    def _begin(self, line: int) -> int:
        return self._ends[line - 1] if line else 0

    def _read(self, start: int, end: int) -> bytes:
        assert self._file is not None
        return os.pread(self._file.fileno(), end - start, start)


def _write(file: int, data: bytes, offset: int) -> None:
    """Write all or raise; half of it does not count, as nobody knows of it."""
    view = memoryview(data)
    while view:
        written = os.pwrite(file, view, offset)
        view, offset = view[written:], offset + written


def _shown(text: bytes, longest: int | None) -> str:
    shown = text.decode(errors="replace")
    if longest is None or len(shown) <= longest:
        return shown
    return f"{shown[:longest]} … ({len(shown) - longest:,} characters more)"
