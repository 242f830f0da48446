"""Files that are for one user alone, and locks on them that go when their holder goes."""

from __future__ import annotations

import errno
import fcntl
import os
import stat
from contextlib import suppress
from pathlib import Path


class NotOursError(OSError):
    """A file or directory that may be somebody else's."""


def own_directory(path: Path) -> None:
    """Make a directory of mode 0700; one that exists becomes ours alone.

    Raises
    ------
    NotOursError
        If it belongs to another user, or cannot be closed to others.
    """
    path.mkdir(mode=0o700, parents=True, exist_ok=True)
    for found in (path.lstat(), path.stat()):  # a link, and where it leads to
        _check_owner(path, found)
    if _open_to_others(path.stat()):
        path.chmod(0o700)
    if _open_to_others(path.stat()):  # not every file system knows modes
        raise NotOursError(f"{path} is open to other users and cannot be closed to them")


def read(path: Path) -> str:
    """Return what is in a file that is ours alone.

    Raises
    ------
    NotOursError
        If it belongs to another user, or is a link to elsewhere.
    """
    handle = _open(path)
    with os.fdopen(handle, encoding="utf-8") as file:
        return file.read()


def write(path: Path, text: str) -> None:
    """Replace a file, or make it, mode 0600."""
    os.close(write_locked(path, text))


def write_locked(path: Path, text: str) -> int:
    """Replace a file and return a descriptor: as long as it is open, the file counts as locked."""
    new = path.with_name(f".{path.name}.new")
    handle = os.open(new, os.O_RDWR | os.O_CREAT | os.O_TRUNC | os.O_NOFOLLOW, 0o600)
    try:
        fcntl.flock(handle, fcntl.LOCK_EX)
        with os.fdopen(handle, "w", encoding="utf-8", closefd=False) as file:
            file.write(text)
        new.replace(path)
    except BaseException:
        os.close(handle)
        new.unlink(missing_ok=True)
        raise
    return handle


def read_locked(path: Path) -> str | None:
    """Return what is in a file that a living process has written and locked; None if none has."""
    try:
        handle = _open(path)
    except FileNotFoundError:
        return None
    with os.fdopen(handle, encoding="utf-8") as file:
        return file.read() if _held(handle) else None


def lock_file(path: Path) -> int:
    """Open a file to lock it; make it if it does not exist."""
    return os.open(path, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW, 0o600)


def is_locked(path: Path) -> bool:
    """Whether a living process holds the lock of a file."""
    try:
        handle = os.open(path, os.O_RDWR)
    except OSError:
        return False
    try:
        return _held(handle)
    finally:
        os.close(handle)


def _held(handle: int) -> bool:
    try:
        fcntl.flock(handle, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    return False


def _open(path: Path) -> int:
    try:
        handle = os.open(path, os.O_RDONLY | os.O_NOFOLLOW)
    except OSError as error:
        if error.errno == errno.ELOOP:
            raise NotOursError(f"{path} is a link to elsewhere: remove it") from None
        raise
    try:
        found = os.fstat(handle)
        _check_owner(path, found)
        if _open_to_others(found):
            with suppress(OSError):
                os.fchmod(handle, 0o600)
    except BaseException:
        os.close(handle)
        raise
    return handle


def _check_owner(path: Path, found: os.stat_result) -> None:
    if found.st_uid != os.geteuid():
        raise NotOursError(f"{path} belongs to user {found.st_uid}, not to {os.geteuid()}")


def _open_to_others(found: os.stat_result) -> bool:
    return bool(stat.S_IMODE(found.st_mode) & 0o077)
