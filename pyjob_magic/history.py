"""The history: what was submitted from here, and what became of it, whatever a cluster forgets.

One SQLite database, ``history/jobs.db`` in the user's state directory, which several kernels write
at once. It is never needed: where it cannot be written, that is said once and jobs run all the
same. What has to be read of it and cannot be is a `HistoryError`.
"""

from __future__ import annotations

import contextlib
import os
import sqlite3
import threading
import time
from collections.abc import Iterable, Iterator, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import Any

from pyjob_magic import records
from pyjob_magic._past import Entry, PastJob
from pyjob_magic._tables import some
from pyjob_magic.errors import HistoryError, OptionError
from pyjob_magic.keptlogs import KeptLogs, directory
from pyjob_magic.manifest import Manifest
from pyjob_magic.models import PyTorchJob
from pyjob_magic.records import AT_A_GLANCE
from pyjob_magic.streams import log as logger
from pyjob_magic.target import Target

Where = Mapping[str, str | None]

MOST_JOBS = 2_000
MOST_BYTES = 200 * 1024 * 1024

_VERSION = 1
_PATIENCE = 2.0  # seconds that another writer is waited for
_LOOK = 10  # jobs between two looks at how many bytes there are
_PART = 10  # of the jobs go, one in so many, where there are too many

# What is long comes last: whoever reads only what stands before does not read it.
_SCHEMA = """
CREATE TABLE jobs (
    number INTEGER PRIMARY KEY,
    uid TEXT NOT NULL UNIQUE,
    name TEXT NOT NULL,
    namespace TEXT NOT NULL,
    target TEXT NOT NULL,
    context TEXT NOT NULL,
    place TEXT NOT NULL,
    profile TEXT NOT NULL,
    notebook TEXT NOT NULL,
    asked TEXT NOT NULL,
    submitted TEXT NOT NULL,
    started TEXT NOT NULL DEFAULT '',
    ended TEXT NOT NULL DEFAULT '',
    deleted TEXT NOT NULL DEFAULT '',
    state TEXT NOT NULL DEFAULT '',
    points INTEGER NOT NULL DEFAULT 0,
    lines INTEGER NOT NULL DEFAULT 0,
    line TEXT NOT NULL,
    summary TEXT NOT NULL DEFAULT '',
    diagnosis TEXT NOT NULL DEFAULT '',
    source TEXT,
    manifest TEXT NOT NULL,
    series TEXT NOT NULL DEFAULT '[]',
    log TEXT NOT NULL DEFAULT '{}'
)"""
_STATE = """CASE WHEN state != '' THEN state WHEN deleted != '' THEN 'Deleted'
    ELSE 'Unknown' END"""
_GLANCE = ", ".join(f"{_STATE} AS state" if name == "state" else name for name in AT_A_GLANCE)
# Of two who have seen the end, each has what the other has missed: what says more is kept.
_OUTCOME = """
UPDATE jobs SET
    state = CASE WHEN :state != '' THEN :state ELSE state END,
    started = CASE WHEN :started != '' THEN :started ELSE started END,
    ended = CASE WHEN :ended != '' THEN :ended ELSE ended END,
    deleted = CASE WHEN deleted != '' THEN deleted ELSE :deleted END,
    summary = CASE WHEN length(:diagnosis) > length(diagnosis) THEN :summary ELSE summary END,
    diagnosis = CASE WHEN length(:diagnosis) > length(diagnosis) THEN :diagnosis ELSE diagnosis END,
    series = CASE WHEN :points > points THEN :series ELSE series END,
    points = max(:points, points),
    log = CASE WHEN :lines > lines THEN :log ELSE log END,
    lines = max(:lines, lines)
WHERE uid = :uid AND (
    :state NOT IN ('', state) OR :deleted > deleted AND deleted = '' OR :points > points
    OR :lines > lines OR length(:diagnosis) > length(diagnosis)
)"""


def path() -> Path:
    """Return where it is."""
    return directory().with_name("history") / "jobs.db"


# -- what happens, noted as far as that is possible ----------------------------------------------


def record(sent: Manifest, created: PyTorchJob, target: Target) -> None:
    """Keep a job that was just created; see `records.submitted`.

    It is written in the background: a slow disk keeps nobody waiting who submits. Python waits
    for that when it ends.
    """
    with _as_far_as_possible():
        if created.metadata.uid:
            row, me = records.submitted(sent, created, target), os.getpid()
            if me not in _writers:  # threads do not survive a fork
                _writers[me] = ThreadPoolExecutor(1, "pyjob-history")
            _last[me] = _writers[me].submit(_add, path(), row)


def _add(file: Path, row: records.Row) -> None:
    with _as_far_as_possible():
        _database(file).add(row)


def note_outcome(job: PyTorchJob, **seen: Any) -> None:
    """Keep how a job that was submitted from here has ended; see `records.outcome`.

    It may be noted again and again: what says more is kept.
    """
    if not _exists():
        return
    with _as_far_as_possible():
        _database().write(_OUTCOME, records.outcome(job, **seen))


def note_ends(jobs: Iterable[PyTorchJob]) -> None:
    """Keep which of some jobs have ended, where nobody has seen that before."""
    ended = {job.metadata.uid: job for job in jobs if job.status.ended}
    if not ended or not _exists():
        return
    with _as_far_as_possible():
        for row in _database().read("SELECT uid FROM jobs WHERE state = ''"):
            if row["uid"] in ended:
                _database().write(_OUTCOME, records.outcome(ended[row["uid"]]))


def lacks_lines(uid: str) -> bool:
    """Whether a job was submitted from here, and no line of its log is kept."""
    found: list[dict[str, Any]] = []
    if _exists():
        with _as_far_as_possible():
            found = _database().read("SELECT 1 FROM jobs WHERE uid = ? AND lines = 0", [uid])
    return bool(found)


# -- what is kept --------------------------------------------------------------------------------


def entries(
    text: str = "", state: str = "", limit: int = -1, *, where: Where | None = None
) -> list[Entry]:
    """Return the jobs that were submitted from here, newest first.

    Parameters
    ----------
    text
        What their name, place, line, notebook or code contains, whatever the case of Latin letters.
    state
        How they have ended, such as ``Failed``.
    limit
        How many at most; all if it is negative.
    where
        What an `Entry` says, such as its ``namespace``; None is not looked at.

    Raises
    ------
    HistoryError
        If it cannot be read.
    """
    return [Entry(**row) for row in _select(_GLANCE, text, state, limit, where or {})]


def get(uid: str) -> PastJob | None:
    """Return a job with all that is kept of it; None if it is not there.

    Raises
    ------
    HistoryError
        If it cannot be read.
    """
    return next(iter(jobs(1, where={"uid": uid})), None)


def jobs(limit: int, *, where: Where) -> list[PastJob]:
    """Return jobs like `entries`, with all that is kept of them."""
    columns = f"{_GLANCE}, source, manifest, diagnosis, series, log"
    rows = _select(columns, "", "", limit, where)
    try:
        return [records.past(row) for row in rows]
    except (ValueError, TypeError, KeyError) as error:
        raise HistoryError(f"{path()} holds what was not written here: {error}") from None


def log(past: PastJob, replica: str | None = None, tail: int | None = None) -> str:
    """Return what is still known of a job's log; each line with its replica, if none is named.

    Raises
    ------
    OptionError
        If the job had no such replica.
    """
    names = past.manifest.replica_names
    if replica is not None and replica not in names:
        raise OptionError(
            "--replica", f"PyTorchJob {past.name!r} had no {replica!r}; it had {some(names)}"
        )
    text = ""
    for name in names if replica is None else [replica]:
        kept = KeptLogs(past.uid).read(name)  # all that was read, as long as that is kept
        lines = kept.lines() if kept else past.log.get(name, ())
        shown = lines if tail is None else lines[max(0, len(lines) - tail) :]
        start = f"[{name}] " if replica is None else ""
        text += "".join(f"{start}{line}\n" for line in shown)
    return text


def remove(uid: str) -> None:
    """Forget a job.

    Raises
    ------
    HistoryError
        If it cannot be forgotten.
    """
    if _exists():
        with _or_error():
            _database().write("DELETE FROM jobs WHERE uid = ?", [uid])


def _select(columns: str, text: str, state: str, limit: int, where: Where) -> list[dict[str, Any]]:
    if not _exists():
        return []
    said = {name: value for name, value in where.items() if value is not None}
    tests = [f"{name} = :{name}" for name in said if name in AT_A_GLANCE]
    if state:
        tests.append(f"{_STATE} = :state")
    if text:
        searched = "name || ' ' || namespace || ' ' || place || ' ' || line || ' ' || notebook"
        tests.append(f"instr(lower({searched} || ' ' || coalesce(source, '')), :text)")
    wanted = " AND ".join(tests) or "1"
    query = f"SELECT {columns} FROM jobs WHERE {wanted} ORDER BY number DESC LIMIT :limit"  # noqa: S608 - names of ours
    with _or_error():
        return _database().read(
            query, {**said, "state": state, "text": text.lower(), "limit": limit}
        )


# -- the database --------------------------------------------------------------------------------


class _Database:
    """An open connection, which the threads of this process share.

    Raises
    ------
    OSError, sqlite3.Error
        As does each of its methods.
    """

    def __init__(self, file: Path) -> None:
        for folder in (file.parent.parent, file.parent):
            folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        with contextlib.suppress(FileExistsError):  # else it would be as open as the umask says
            os.close(os.open(file, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600))
        self.inode = file.stat().st_ino
        self._lock = threading.Lock()
        self._link = sqlite3.connect(
            file, timeout=_PATIENCE, isolation_level=None, check_same_thread=False
        )
        self._link.row_factory = sqlite3.Row
        self._prepare()

    def read(self, query: str, values: Any = ()) -> list[dict[str, Any]]:
        with self._lock:
            return [dict(row) for row in self._link.execute(query, values)]

    def write(self, statement: str, values: Any = ()) -> None:
        with self._lock:
            self._link.execute(statement, values)

    def add(self, row: Mapping[str, Any]) -> None:
        names = ", ".join(row)
        places = ", ".join(f":{name}" for name in row)
        insert = f"INSERT INTO jobs ({names}) VALUES ({places}) ON CONFLICT (uid) DO NOTHING"  # noqa: S608 - names of ours
        with self._lock:
            number = self._link.execute(insert, row).lastrowid or 0
            self._link.execute("DELETE FROM jobs WHERE number <= ?", [number - MOST_JOBS])
            if number % _LOOK == 0:
                self._make_room()

    def _make_room(self) -> None:
        """Let the oldest go, until there are not too many bytes."""
        oldest = "SELECT number FROM jobs ORDER BY number LIMIT 1 + (SELECT count(*) FROM jobs) / ?"
        deletion = f"DELETE FROM jobs WHERE number IN ({oldest})"  # noqa: S608 - no names
        while self._size() > MOST_BYTES and self._link.execute(deletion, [_PART]).rowcount:
            pass

    def _size(self) -> int:
        free, pages = self._one("PRAGMA freelist_count"), self._one("PRAGMA page_count")
        return (pages - free) * self._one("PRAGMA page_size")

    def _one(self, query: str) -> int:
        return int(self._link.execute(query).fetchone()[0])

    def _prepare(self) -> None:
        end = time.monotonic() + _PATIENCE
        while True:
            try:
                # Without WAL a reader would keep writers waiting, and each write wait for the disk.
                self._link.execute("PRAGMA journal_mode = WAL")
                self._link.execute("PRAGMA synchronous = NORMAL")
                self._make_table()
                return
            except sqlite3.OperationalError as error:
                # Who changes the mode is not waited for by SQLite itself.
                if "locked" not in str(error) or time.monotonic() > end:
                    raise
                time.sleep(0.01)

    def _make_table(self) -> None:
        if self._version() == 0:
            with self._link:
                self._link.execute("BEGIN IMMEDIATE")
                if self._version() == 0:  # and not made meanwhile
                    self._link.execute(_SCHEMA)
                    self._link.execute(f"PRAGMA user_version = {_VERSION}")
        if self._version() != _VERSION:
            raise sqlite3.DatabaseError("a newer version of pyjob_magic has written it")

    def _version(self) -> int:
        return self._one("PRAGMA user_version")


_opened: dict[tuple[Path, int], _Database] = {}
_noted: set[Path] = set()
_writers: dict[int, ThreadPoolExecutor] = {}  # by process, as each has one thread
_last: dict[int, Future[None]] = {}  # what is to be written last, by process


def _exists() -> bool:
    """Whether there is anything, also of what is still to be written."""
    if writing := _last.get(os.getpid()):
        writing.result()
    return os.path.exists(path())  # also where one may not look


def _database(file: Path | None = None) -> _Database:
    """Return the database; another one after a fork, and where somebody has removed the file."""
    file = file or path()
    key = (file, os.getpid())
    known = _opened.get(key)
    if known is None or not file.exists() or file.stat().st_ino != known.inode:
        _opened[key] = known = _Database(file)
    return known


@contextlib.contextmanager
def _as_far_as_possible() -> Iterator[None]:
    """Say once why it is not: a job that runs matters more than what is kept of it."""
    try:
        yield
    except Exception as error:
        if path() not in _noted:
            _noted.add(path())
            logger.warning(f"jobs are not kept in the history: {_said(error)}")


@contextlib.contextmanager
def _or_error() -> Iterator[None]:
    try:
        yield
    except (OSError, sqlite3.Error) as error:
        raise HistoryError(f"the history cannot be read: {_said(error)}") from None


def _said(error: Exception) -> str:
    reason = (isinstance(error, OSError) and error.strerror) or str(error)
    broken = type(error) is sqlite3.DatabaseError
    return f"{path()}: {reason}{'; move it away to begin a new one' if broken else ''}"
