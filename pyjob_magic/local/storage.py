"""What may be wrong with the database, and what to do about it."""

from __future__ import annotations

import errno
import sqlite3
from pathlib import Path

from pyjob_magic.local.status import StatusError

_DAMAGED = ("SQLITE_CORRUPT", "SQLITE_NOTADB", "SQLITE_FORMAT")
_UNKNOWN = "SQLITE_ERROR"


class StorageError(StatusError):
    """The state of the embedded API cannot be read or written; nothing of it is lost by that."""

    def __init__(self, message: str, code: int = 500, reason: str = "InternalError") -> None:
        super().__init__(code, reason, message)


def explained(error: sqlite3.Error, database: Path) -> StorageError:
    """Return the error that says what is wrong with a database, and what to do."""
    name = getattr(error, "sqlite_errorname", _UNKNOWN)
    if name == "SQLITE_FULL":
        return StorageError(
            f"the disk that holds {database.parent} is full: free some space; "
            "jobs that run go on, and so does what waits",
            507,
        )
    if name.startswith(("SQLITE_BUSY", "SQLITE_LOCKED")):
        return StorageError(
            f"{database} is locked by another program: close it", 503, "ServiceUnavailable"
        )
    if name.startswith(_DAMAGED):
        return damaged(database, str(error))
    return StorageError(
        f"{database} cannot be used: {error} ({name}): make it and its directory writable"
    )


def is_storage_trouble(error: BaseException) -> bool:
    """Whether something went wrong only because nothing can be written, for now."""
    if isinstance(error, BaseExceptionGroup):
        return all(map(is_storage_trouble, error.exceptions))
    full = isinstance(error, OSError) and error.errno in (errno.ENOSPC, errno.EDQUOT, errno.EROFS)
    return full or isinstance(error, StorageError)


def damaged(database: Path, why: str) -> StorageError:
    """Return the error for a database that SQLite cannot read."""
    return StorageError(
        f"{database} is damaged ({why}); nothing was deleted, and jobs that run go on: restore "
        f"it, or to begin anew {_move_aside(database)}"
    )


def foreign_version(database: Path, found: int, known: int) -> StorageError:
    """Return the error for a database that another version of the package has written."""
    return StorageError(
        f"{database} is of version {found}, this pyjob-magic reads version {known}: use the one "
        "that wrote it, or let PYJOB_MAGIC_HOME name another directory"
    )


def emptied(database: Path) -> StorageError:
    """Return the error for a database that knows nothing of the replicas that there are."""
    return StorageError(
        f"{database} is empty, but {database.with_name('pods')} holds replicas: put back the one "
        f"that belongs to them, or to begin anew {_move_aside(database)}"
    )


def removed(database: Path) -> StorageError:
    """Return the error for a database that is no longer where it was."""
    return StorageError(
        f"{database} has been removed or replaced: the embedded API stops, and the next request "
        "starts one for what is there now"
    )


def _move_aside(database: Path) -> str:
    home = database.parent
    return f"move the directory aside: mv {home} {home}.damaged"
