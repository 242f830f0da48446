"""When a log was printed, as far as it is known.

What a replica prints goes straight into its log, so that lines have no time of their own. Notes
beside the log say how long it was when it was last written to. A byte has the time of the first
note that counts it: that is never too early, and late by the time between two looks at most. What
was printed while nobody looked has the time of the last write before the next look.
"""

from __future__ import annotations

import struct
import sys
from bisect import bisect_left, bisect_right
from collections.abc import Iterable
from datetime import UTC, datetime
from typing import NamedTuple

MOST_NOTES = 65_536
_RECORD = struct.Struct("<QQ")
RECORD_BYTES = _RECORD.size
_RESOLUTION = 4096  # of notes that are many: one for each such part of their age
_RECENT = 120 * 1_000_000_000  # ns; who takes a log up again finds the times of before


class Note(NamedTuple):
    """A look at a log: when it was last written to, in ns since the epoch, and its bytes."""

    time: int
    size: int


class Times:
    """The times of one log.

    Parameters
    ----------
    notes
        Looks at the log, oldest first.
    """

    def __init__(self, notes: Iterable[Note] = ()) -> None:
        self._times: list[int] = []
        self._sizes: list[int] = []
        for note in notes:
            self.add(note)

    @property
    def size(self) -> int:
        """How many bytes were counted."""
        return self._sizes[-1] if self._sizes else 0

    def add(self, note: Note) -> None:
        """Take in another look; a log that was cut and a clock that was set back are borne."""
        while self._sizes and self._sizes[-1] > note.size:
            self._sizes.pop()
            self._times.pop()
        if not self._sizes or self._sizes[-1] < note.size:
            self._times.append(max((note.time, *self._times[-1:])))
            self._sizes.append(note.size)

    def of(self, offset: int) -> tuple[int, int]:
        """Return the time of the byte at `offset`, and the offset up to which others share it."""
        index = bisect_right(self._sizes, offset)
        if index < len(self._sizes):
            return self._times[index], self._sizes[index]
        return self._times[-1], sys.maxsize

    def since(self, time: int) -> int:
        """Return the offset of the first byte that was not printed before `time`."""
        index = bisect_left(self._times, time)
        return self._sizes[index - 1] if index else 0


def thinned(notes: list[Note]) -> list[Note]:
    """Leave out notes that are not recent and closer to each other than befits their age."""
    newest = notes[-1].time
    kept = [notes[-1]]
    for note in reversed(notes[:-1]):
        age = newest - note.time
        if kept[-1].time - note.time > (age / _RESOLUTION if age > _RECENT else 0):
            kept.append(note)
    return kept[::-1]


def stamped(chunk: bytes, offset: int, *, fresh: bool, times: Times) -> bytes:
    """Return a part of a log with its time before each line.

    Parameters
    ----------
    chunk, offset
        The part, and where in the log it begins.
    fresh
        Whether it begins with a new line.
    times
        The times of the log.
    """
    pieces, position = [], 0
    while position < len(chunk):
        time, until = times.of(offset + position)
        piece = chunk[position : until - offset]
        prefix = _rfc3339(time)
        pieces += [prefix if fresh else b"", piece[:-1].replace(b"\n", b"\n" + prefix), piece[-1:]]
        fresh = piece.endswith(b"\n")
        position += len(piece)
    return b"".join(pieces)


def pack(notes: Iterable[Note]) -> bytes:
    """Return notes as they are kept in a file."""
    return b"".join(_RECORD.pack(*note) for note in notes)


def unpack(data: bytes) -> list[Note]:
    """Invert `pack`; half a note at the end is none."""
    whole = len(data) - len(data) % RECORD_BYTES
    return [Note(*fields) for fields in _RECORD.iter_unpack(data[:whole])]


def _rfc3339(time: int) -> bytes:
    """Return a time as the kubelet writes it: with nine digits behind the seconds."""
    seconds, fraction = divmod(time, 1_000_000_000)
    moment = datetime.fromtimestamp(seconds, UTC)
    return f"{moment:%Y-%m-%dT%H:%M:%S}.{fraction:09d}Z ".encode()
