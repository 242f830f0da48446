"""Kept logs: what was seen of logs that a cluster forgets with its pods.

One file for each run of a replica, ``kept/<uid of the job>/<replica>/<uid of the pod>-<run>.log``
in the user's state directory, with the times of the lines: so whoever reads a log again knows what
is there already. One process writes a file at a time. What was kept is never needed: where it
cannot be written, it is not.
"""

from __future__ import annotations

import fcntl
import os
import shutil
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

from pyjob_magic.stamps import Batch, Position, StampedLines

MOST_OF_JOB = 256 * 1024 * 1024  # bytes
MOST_OF_ALL = 1024 * 1024 * 1024  # bytes
MOST_OF_RUN = 32 * 1024 * 1024  # bytes; a run has two files of half that size
LONGEST = 30 * 24 * 3600.0  # seconds


def directory() -> Path:
    """Return where they are: ``kept`` in the state directory of the user."""
    if chosen := os.environ.get("PYJOB_MAGIC_HOME"):
        return Path(chosen).expanduser().absolute() / "kept"
    state = os.environ.get("XDG_STATE_HOME") or "~/.local/state"
    return Path(state).expanduser().absolute() / "pyjob_magic" / "kept"


class Kept(NamedTuple):
    """What was seen of a replica's last run that has said something."""

    batch: Batch
    until: str
    """Time of the last line, RFC 3339."""

    def lines(self, tail: int | None = None) -> list[str]:
        """Return all lines, or the last ones."""
        return self.batch.last(tail).lines


@dataclass(frozen=True)
class KeptLogs:
    """The kept logs of one job.

    Parameters
    ----------
    uid
        Of the job.
    replicas
        How many share the space of the job.
    """

    uid: str
    replicas: int = 1

    @property
    def _place(self) -> Path:
        return directory() / _plain(self.uid)

    def read(self, replica: str) -> Kept | None:
        """Return what is kept of a replica; None if nothing is."""
        with suppress(OSError):
            files = sorted(self._runs(replica), key=lambda file: file.stat().st_mtime_ns)
            for file in reversed(files):
                lines = StampedLines()
                text = _read(file.with_suffix(".old")) + _read(file)
                batch = lines.feed(text)
                if batch.lines and lines.position:
                    return Kept(batch, lines.position.stamp)
        return None

    def open(self, replica: str, pod_uid: str, run: int) -> KeptRun:
        """Open the file of a run, and lock it.

        Raises
        ------
        OSError
            If it cannot be written; `BlockingIOError` if somebody else does so.
        """
        place = self._place / _plain(replica)
        if not self._place.exists():
            _tidy(directory())
        for path in (directory(), self._place, place):
            path.mkdir(mode=0o700, parents=True, exist_ok=True)
        most = min(MOST_OF_RUN, MOST_OF_JOB // max(1, self.replicas))
        return KeptRun(place / f"{_plain(pod_uid)}-{run:04d}.log", most // 2)

    def remove(self) -> None:
        """Forget the logs of the job."""
        with suppress(OSError):
            shutil.rmtree(self._place)

    def _runs(self, replica: str) -> list[Path]:
        return list((self._place / _plain(replica)).glob("*.log"))


class KeptRun:
    """The file of one run, which this process alone writes.

    Parameters
    ----------
    path
        The file.
    most
        How many bytes it may have, before it becomes the older half of what is kept.
    """

    def __init__(self, path: Path, most: int) -> None:
        self._path = path
        self._most = most
        flags = os.O_RDWR | os.O_CREAT | os.O_APPEND | os.O_NOFOLLOW | os.O_CLOEXEC
        self._file = os.open(path, flags, 0o600)
        try:
            fcntl.flock(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            self._size = os.fstat(self._file).st_size
            self._lines = StampedLines(self._last())
        except BaseException:
            os.close(self._file)
            raise

    def close(self) -> None:
        """Let others write."""
        os.close(self._file)

    def write(self, raw: str) -> None:
        """Append lines with their times, as far as they are not there already.

        Raises
        ------
        OSError
            If there is no space left, for example.
        """
        data = self._lines.feed(raw.encode()).raw.encode()
        if self._size and self._size + len(data) > self._most:
            self._turn_over()
        while data:
            written = os.write(self._file, data)
            self._size += written
            data = data[written:]

    def _turn_over(self) -> None:
        """Begin the file anew; what it held becomes the older half, in the place of the last."""
        old = self._path.with_suffix(".old")
        new = self._path.with_suffix(".new")
        shutil.copyfile(self._path, new)
        new.chmod(0o600)
        new.replace(old)
        os.ftruncate(self._file, 0)
        self._size = 0

    def _last(self) -> Position | None:
        """Return the position behind the last whole line of the file; cut off half a line."""
        data = os.pread(self._file, self._size, 0)
        self._size = data.rfind(b"\n") + 1
        os.ftruncate(self._file, self._size)
        lines = StampedLines()
        lines.feed(data[: self._size])
        return lines.position


class Keeper:
    """Keeps what is read of one pod, run after run, as long as that is possible.

    Parameters
    ----------
    logs
        The kept logs of its job.
    replica, pod_uid
        Whose log it is.
    note
        Takes the sentence that it is not possible.
    """

    def __init__(
        self, logs: KeptLogs, replica: str, pod_uid: str, note: Callable[[str], None]
    ) -> None:
        self._logs = logs
        self._replica = replica
        self._pod_uid = pod_uid
        self._note = note
        self._file: KeptRun | None = None
        self._run = -1
        self._failed = False

    def keep(self, run: int, raw: str) -> None:
        """Append lines of the run number `run`; nothing if another reader keeps them."""
        try:
            if run != self._run and not self._failed:
                self.close()
                self._run = run
                self._file = self._logs.open(self._replica, self._pod_uid, run)
            if self._file:
                self._file.write(raw)
        except BlockingIOError:
            pass
        except OSError as error:
            self._failed = True
            self.close()
            self._note(f"logs are not kept in {directory()}: {error.strerror or error}")

    def close(self) -> None:
        """Let others write."""
        if self._file:
            self._file.close()
            self._file = None


def _plain(name: str) -> str:
    """Check that a name, which a server has said, names no other directory."""
    if name in ("", ".", "..") or "/" in name or "\0" in name:
        raise OSError(f"{name!r} is no name for a file")
    return name


def _read(file: Path) -> bytes:
    try:
        return file.read_bytes()
    except FileNotFoundError:
        return b""


def _tidy(kept: Path) -> None:
    """Remove what is too old, and the oldest if it is too much."""
    oldest, left = time.time() - LONGEST, MOST_OF_ALL - MOST_OF_JOB
    with suppress(OSError):
        jobs = [(path, [file.stat() for file in path.rglob("*.*")]) for path in kept.iterdir()]
        changed = {path: max((s.st_mtime for s in stats), default=0.0) for path, stats in jobs}
        for path, stats in sorted(jobs, key=lambda job: changed[job[0]], reverse=True):
            left -= sum(stat.st_size for stat in stats)
            if left < 0 or changed[path] < oldest:
                shutil.rmtree(path, ignore_errors=True)
