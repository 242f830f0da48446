"""The timekeeper: notes a few times a second how the logs of running containers grow.

The notes of a log are in the file ``times`` beside it. While no container runs, nothing is done.

Whoever stamps lines that are newer than the last note has another one made first. So a line has the
same time whenever it is read, which readers rely on that take a log up where it broke.
"""

from __future__ import annotations

import asyncio
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from io import FileIO
from pathlib import Path

from pyjob_magic.local.kubelet.logtimes import (
    MOST_NOTES,
    RECORD_BYTES,
    Note,
    Times,
    pack,
    thinned,
    unpack,
)

_INTERVAL = 0.2  # seconds between two looks
_SHORTEST = 0.02  # the same where somebody follows a log with the times of its lines
_FEW = 64  # notes that are read first to find the new ones


class Timekeeper:
    """One task for all logs that may grow."""

    def __init__(self) -> None:
        self._ledgers: dict[Path, _Ledger] = {}
        self._task: asyncio.Task[None] | None = None

    @contextmanager
    def watching(self, log: Path) -> Iterator[None]:
        """Keep the times of a log for as long as its container runs."""
        self._ledgers[log] = _Ledger(log)
        if self._task is None:
            self._task = asyncio.create_task(self._look())
        try:
            yield
        finally:
            # What comes after the last look has the time at which the log was last written to.
            del self._ledgers[log]

    async def extend(self, times: Times, log: FileIO, size: int) -> None:
        """Bring the `times` of an open log up to date, so that they count its first `size` bytes.

        What is not noted yet is noted now, unless the log does not grow any more.
        """
        while times.size < size and (ledger := self._ledgers.get(Path(log.name))):
            with suppress(OSError):
                if (pause := ledger.looked + _SHORTEST - time.monotonic()) <= 0:
                    ledger.look()
                for note in ledger.after(times.size):
                    times.add(note)
            if pause <= 0:
                break
            if times.size < size:
                await asyncio.sleep(pause)
        if times.size < size:  # nobody watches it any more, maybe only since a moment ago
            for note in _all(log):
                if note.size > times.size:
                    times.add(note)

    async def _look(self) -> None:
        while self._ledgers:
            for ledger in tuple(self._ledgers.values()):
                with suppress(OSError):  # a full disk costs times, not logs
                    ledger.look()
            await asyncio.sleep(_INTERVAL)
        self._task = None


class _Ledger:
    """The file with the notes of one log; it is written only when the log has grown."""

    def __init__(self, log: Path) -> None:
        self._log = log
        self._path = _path(log)
        notes = _read(self._path)
        self._count = len(notes)
        self._size = notes[-1].size if notes else 0
        self.looked = -_INTERVAL  # when it was looked at for the last time, of `time.monotonic`

    def look(self) -> None:
        self.looked = time.monotonic()
        note = look(self._log)
        if note.size == self._size:
            return
        if self._count >= MOST_NOTES:
            self._thin_out()
        self._append(note)
        self._size = note.size

    def after(self, size: int) -> list[Note]:
        """Return the notes that count more than `size` bytes."""
        if self._size <= size:
            return []
        count = _FEW
        while True:
            first = max(0, self._count - count)
            notes = _read(self._path, first)
            if first == 0 or notes[0].size <= size:
                return [note for note in notes if note.size > size]
            count *= 8

    def _append(self, note: Note) -> None:
        # At a place of its own: half a note that a full disk or a kill has left is overwritten.
        handle = os.open(self._path, os.O_WRONLY | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            written = os.pwrite(handle, pack([note]), self._count * RECORD_BYTES)
        finally:
            os.close(handle)
        self._count += written // RECORD_BYTES

    def _thin_out(self) -> None:
        kept = thinned(_read(self._path))
        new = self._path.with_suffix(".new")
        new.write_bytes(pack(kept))
        new.replace(self._path)
        self._count = len(kept)


def times(log: FileIO) -> Times:
    """Return what is known about the times of an open log."""
    return Times(_all(log))


def noted(log: FileIO) -> Times:
    """Return what was noted about the times of an open log; see `Timekeeper.extend`."""
    return Times(_read(_path(Path(log.name))))


def _all(log: FileIO) -> list[Note]:
    """Return what was noted about an open log, and how it is now."""
    return [*_read(_path(Path(log.name))), look(log.fileno())]


def look(log: Path | int) -> Note:
    """Return how a log, given as its path or as a file descriptor, is now."""
    stat = os.stat(log)
    return Note(stat.st_mtime_ns, stat.st_size)


def _path(log: Path) -> Path:
    return log.with_name("times")


def _read(path: Path, first: int = 0) -> list[Note]:
    try:
        with path.open("rb") as file:
            file.seek(first * RECORD_BYTES)
            return unpack(file.read())
    except OSError:  # there are none yet, or they are lost
        return []
