"""The store: objects and their history in one SQLite database, one writer.

Every write gets a resourceVersion and an entry in the history, which watches read. The history
reaches back a bounded number of entries and bytes.
"""

from __future__ import annotations

import json
import logging
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pyjob_magic.local.objects import JOB_NAME, Json, controller_of, labels
from pyjob_magic.local.resources import JOBS, Resource
from pyjob_magic.local.status import exists, expired, not_found
from pyjob_magic.local.storage import StorageError, damaged, explained, foreign_version, removed

_VERSION = 1
_KEEP = 4096  # entries of the history
_KEEP_BYTES = 32 * 2**20
_SLACK = 8  # the history is cut when it has grown by one part in so many beyond that
_MOST_BYTES = _KEEP_BYTES + _KEEP_BYTES // _SLACK
_SCHEMA = (
    """
    CREATE TABLE objects (
        resource TEXT NOT NULL, namespace TEXT NOT NULL, name TEXT NOT NULL,
        uid TEXT NOT NULL, owner TEXT, about TEXT, json TEXT NOT NULL,
        PRIMARY KEY (resource, namespace, name)
    ) WITHOUT ROWID
    """,
    "CREATE INDEX by_owner ON objects (owner) WHERE owner IS NOT NULL",
    "CREATE INDEX by_about ON objects (about) WHERE about IS NOT NULL",
    """
    CREATE TABLE history (
        version INTEGER PRIMARY KEY AUTOINCREMENT,
        resource TEXT NOT NULL, namespace TEXT NOT NULL, uid TEXT NOT NULL,
        type TEXT NOT NULL, json TEXT NOT NULL
    )
    """,
    "CREATE INDEX by_uid ON history (uid, version)",
)

_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Change:
    """One entry of the history; `type` is ADDED, MODIFIED or DELETED."""

    version: int
    type: str
    resource: str
    namespace: str
    uid: str
    json: str

    @property
    def object(self) -> Json:
        """The object as it was written."""
        obj: Json = json.loads(self.json)
        return obj


class Store:
    """Objects by resource, namespace and name.

    Objects that are handed out are the caller's own; a write stores what it is given.

    Parameters
    ----------
    path
        The database file; made if it does not exist.
    timeout
        Seconds to wait for another process that has locked the file.

    Raises
    ------
    StorageError
        If the database cannot be read, or is of another version; reading and writing may raise
        it, too.
    """

    def __init__(self, path: Path, timeout: float = 0.2) -> None:
        self.failing = False  # whether something is still to be written that could not be
        self.path = path
        self._listeners: list[Callable[[Change], None]] = []
        self._pending: list[Change] | None = None
        try:
            self._db = sqlite3.connect(path, timeout, isolation_level=None)
        except sqlite3.Error as error:
            raise explained(error, path) from error
        self._prepare()
        self._file = path.stat().st_ino
        newest = self._rows("SELECT seq FROM sqlite_sequence WHERE name='history'")
        self._version = newest[0][0] if newest else 0
        ((oldest,),) = self._rows("SELECT min(version) FROM history")
        self._oldest = self._version + 1 if oldest is None else oldest
        self._size = path.stat().st_size  # of the history; too much, for it takes time to measure

    @property
    def version(self) -> int:
        """The newest resourceVersion."""
        return self._version

    def gone(self) -> bool:
        """Whether the database has been removed, or replaced: what is written would be lost."""
        try:
            return self.path.stat().st_ino != self._file
        except OSError:
            return True

    def close(self) -> None:
        """Close the database; what was written is safe."""
        self._db.close()

    def subscribe(self, listener: Callable[[Change], None]) -> None:
        """Call `listener` with every change after it is committed."""
        self._listeners.append(listener)

    def unsubscribe(self, listener: Callable[[Change], None]) -> None:
        """Stop calling `listener`."""
        self._listeners.remove(listener)

    @contextmanager
    def transaction(self) -> Iterator[None]:
        """Make the writes inside one: all happen or none; may be nested."""
        if self._pending is not None:
            yield
            return
        before = self._version, self._oldest, self._size
        try:
            changes = self._begin()
            yield
            self._trim()
            self._rows("COMMIT")
        except BaseException as error:
            self.failing = self.failing or isinstance(error, StorageError)
            if self._db.in_transaction:  # SQLite itself rolls back when the disk is full
                with suppress(StorageError):
                    self._rows("ROLLBACK")
            self._version, self._oldest, self._size = before
            raise
        finally:
            self._pending = None
        for change in changes:
            for listener in tuple(self._listeners):
                self._tell(listener, change)

    def try_to_write(self) -> None:
        """Raise a `StorageError` if nothing can be written."""
        with self.transaction():
            self._rows(f"PRAGMA user_version={_VERSION}")

    def find(self, resource: Resource, namespace: str, name: str) -> Json | None:
        """Return the object, or None."""
        rows = self._rows(
            "SELECT json FROM objects WHERE resource=? AND namespace=? AND name=?",
            (resource.plural, namespace, name),
        )
        return json.loads(rows[0][0]) if rows else None

    def get(self, resource: Resource, namespace: str, name: str) -> Json:
        """Return the object.

        Raises
        ------
        StatusError
            404.
        """
        obj = self.find(resource, namespace, name)
        if obj is None:
            raise not_found(resource, name)
        return obj

    def objects(self, resource: Resource, namespace: str = "", after: str = "") -> Iterator[Json]:
        """Yield the objects by namespace and name: of one namespace, or all of them.

        Parameters
        ----------
        resource
            What to list.
        namespace
            Where; empty for everywhere.
        after
            Start behind this ``namespace/name``.
        """
        last_namespace, _, last_name = after.partition("/")
        rows = self._rows(
            "SELECT json FROM objects WHERE resource=? AND (?='' OR namespace=?)"
            " AND (namespace, name) > (?, ?) ORDER BY namespace, name",
            (resource.plural, namespace, namespace, last_namespace, last_name),
        )
        return (json.loads(row[0]) for row in rows)

    def owned(self, resource: Resource, uid: str) -> list[Json]:
        """Return the objects whose first owner (the controlling one, if any) is `uid`."""
        return self._where("owner", resource, uid)

    def job_of(self, pod: Json) -> Json | None:
        """Return the job that made a pod; None if it is gone, though another has its name."""
        name = labels(pod).get(JOB_NAME, "")
        job = self.find(JOBS, pod["metadata"]["namespace"], name)
        return job if job and job["metadata"]["uid"] == controller_of(pod) else None

    def create(self, resource: Resource, obj: Json) -> Json:
        """Store a new object and return it with its resourceVersion.

        Raises
        ------
        StatusError
            409, if the name is taken.
        """
        meta = obj["metadata"]
        if self.find(resource, meta.get("namespace", ""), meta["name"]) is not None:
            raise exists(resource, meta["name"])
        return self._write(resource, obj, "ADDED")

    def update(self, resource: Resource, obj: Json) -> Json:
        """Store an object in place of the one of its name and return it."""
        return self._write(resource, obj, "MODIFIED")

    def delete(self, resource: Resource, obj: Json) -> Json:
        """Remove an object and return its last state."""
        return self._write(resource, obj, "DELETED")

    def check(self, since: int) -> None:
        """Raise 410 if the history does not reach back to `since`."""
        if since < self._oldest - 1:
            raise expired(f"too old resource version: {since} ({self._oldest})")
        if since > self._version:
            raise expired(f"too large resource version: {since}, current: {self._version}")

    def changes(self, resource: Resource, namespace: str, since: int) -> list[Change]:
        """Return what has happened after the resourceVersion `since`, at most 1000 changes."""
        self.check(since)
        rows = self._rows(
            "SELECT version, type, resource, namespace, uid, json FROM history"
            " WHERE version>? AND resource=? AND (?='' OR namespace=?)"
            " ORDER BY version LIMIT 1000",
            (since, resource.plural, namespace, namespace),
        )
        return [Change(*row) for row in rows]

    def before(self, change: Change) -> Json | None:
        """Return the state of an object before a change, as far as the history knows it."""
        rows = self._rows(
            "SELECT json FROM history WHERE uid=? AND version<? ORDER BY version DESC LIMIT 1",
            (change.uid, change.version),
        )
        return json.loads(rows[0][0]) if rows else None

    def last(self, uid: str) -> Json | None:
        """Return the last state of an object that may be gone, as far as the history knows it."""
        rows = self._rows(
            "SELECT json FROM history WHERE uid=? ORDER BY version DESC LIMIT 1", (uid,)
        )
        return json.loads(rows[0][0]) if rows else None

    def _where(self, column: str, resource: Resource, uid: str) -> list[Json]:
        rows = self._rows(
            f"SELECT json FROM objects WHERE {column}=? AND resource=? ORDER BY name",  # noqa: S608 - ours
            (uid, resource.plural),
        )
        return [json.loads(row[0]) for row in rows]

    def _write(self, resource: Resource, obj: Json, change: str) -> Json:
        with self.transaction():
            self._version += 1
            meta = obj["metadata"]
            namespace = meta.get("namespace", "")  # cluster-scoped objects have none
            meta["resourceVersion"] = str(self._version)
            text = json.dumps(
                obj, ensure_ascii=True, separators=(",", ":"), sort_keys=resource.custom
            )
            place = (resource.plural, namespace, meta["name"])
            if change == "DELETED":
                self._rows("DELETE FROM objects WHERE resource=? AND namespace=? AND name=?", place)
            else:
                about = (obj.get("involvedObject") or {}).get("uid")
                self._rows(
                    "INSERT OR REPLACE INTO objects VALUES (?, ?, ?, ?, ?, ?, ?)",
                    (*place, meta["uid"], _owner(obj), about, text),
                )
            entry = Change(self._version, change, resource.plural, namespace, meta["uid"], text)
            self._rows(
                "INSERT INTO history (version, type, resource, namespace, uid, json)"
                " VALUES (?, ?, ?, ?, ?, ?)",
                (
                    entry.version,
                    entry.type,
                    entry.resource,
                    entry.namespace,
                    entry.uid,
                    entry.json,
                ),
            )
            self._size += len(text)
            assert self._pending is not None
            self._pending.append(entry)
        return obj

    def _trim(self) -> None:
        """Cut the history when it has grown well beyond what is kept of it."""
        oldest = self._oldest
        if self._version - oldest >= _KEEP + _KEEP // _SLACK:
            oldest = self._version - _KEEP
        if self._size > _MOST_BYTES:
            _, self._size = self._extent()
        if self._size > _MOST_BYTES:
            ((too_old,),) = self._rows(
                "SELECT max(version) FROM (SELECT version, sum(length(json))"
                " OVER (ORDER BY version DESC) AS size FROM history) WHERE size>?",
                (_KEEP_BYTES,),
            )
            oldest = max(oldest, too_old + 1)
        if oldest > self._oldest:
            self._rows("DELETE FROM history WHERE version<?", (oldest,))
            self._oldest, self._size = self._extent()

    def _extent(self) -> tuple[int, int]:
        """Return the first version in the history, and how many bytes it has; it is all ASCII."""
        ((oldest, size),) = self._rows("SELECT min(version), sum(length(json)) FROM history")
        return (self._version + 1, 0) if oldest is None else (oldest, size)

    def _prepare(self) -> None:
        """Set up the connection; make the tables of a new database."""
        self._rows("PRAGMA journal_mode=WAL")
        self._rows("PRAGMA synchronous=NORMAL")
        ((found,),) = self._rows("PRAGMA user_version")
        ((health,),) = self._rows("PRAGMA quick_check(1)")
        if health != "ok":
            raise damaged(self.path, " ".join(health.split()))
        if found not in (0, _VERSION):
            raise foreign_version(self.path, found, _VERSION)
        if found == 0:
            for statement in ("BEGIN", *_SCHEMA, f"PRAGMA user_version={_VERSION}", "COMMIT"):
                self._rows(statement)

    def _begin(self) -> list[Change]:
        """Begin a transaction and return the list that its changes go into."""
        if self.gone():
            raise removed(self.path)
        self._rows("BEGIN IMMEDIATE")
        self._pending = []
        return self._pending

    def _rows(self, statement: str, values: tuple[Any, ...] = ()) -> list[Any]:
        """Execute a statement and return its rows."""
        try:
            return self._db.execute(statement, values).fetchall()
        except sqlite3.Error as error:
            raise explained(error, self.path) from error

    def _tell(self, listener: Callable[[Change], None], change: Change) -> None:
        """Tell one listener of a change; what goes wrong there is no business of the others."""
        try:
            listener(change)
        except Exception:
            _log.exception("a change of %s/%s was not taken in", change.resource, change.uid)


def _owner(obj: Json) -> str | None:
    """Return the uid that an object is found by: its controller's, else its first owner's."""
    references = obj["metadata"].get("ownerReferences") or ()
    return controller_of(obj) or next((ref.get("uid") for ref in references), None)
