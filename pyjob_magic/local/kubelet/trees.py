"""Trees of processes: who descends from whom, and where orphans go.

A subreaper gets the orphans among its descendants, in place of the init process of the machine. So
whatever a program starts stays in the tree below the shell that leads its run, also what forks
twice, opens a session of its own and throws its environment away.
"""

from __future__ import annotations

import asyncio
import ctypes
import os
import sys
from collections.abc import Iterable
from contextlib import suppress

import psutil

_SET_CHILD_SUBREAPER = 36  # PR_SET_CHILD_SUBREAPER: kept by exec, not inherited by children
# Found before any fork: a child must not look for libraries.
_prctl = getattr(ctypes.CDLL(None), "prctl", None) if sys.platform == "linux" else None
_LISTED = os.path.exists(f"/proc/self/task/{os.getpid()}/children")


def become_subreaper() -> bool:
    """Make this process a subreaper; False where there is no such thing."""
    return _prctl is not None and _prctl(_SET_CHILD_SUBREAPER, 1, 0, 0, 0) == 0


def descendants(pid: int) -> set[int]:
    """Return all that descend from a process, zombies included, itself not."""
    found: set[int] = set()
    if _LISTED:
        new = {pid}
        while new := {child for parent in new for child in children(parent)} - found:
            found |= new
    else:
        with suppress(psutil.Error):
            found = {child.pid for child in psutil.Process(pid).children(recursive=True)}
    return found


def children(pid: int) -> list[int]:
    """Return the children of a process, as the kernel lists them: one list for each thread."""
    found: list[int] = []
    with suppress(OSError):  # it may go while we look
        for task in os.listdir(f"/proc/{pid}/task"):
            with open(f"/proc/{pid}/task/{task}/children") as file:
                found += map(int, file.read().split())
    return found


def in_sessions(sessions: set[int]) -> set[int]:
    """Return the processes of these sessions."""
    return {pid for pid in psutil.pids() if session(pid) in sessions} if sessions else set()


def session(pid: int) -> int:
    """Return the session of a process; 0 if it is gone."""
    try:
        return os.getsid(pid)
    except OSError:
        return 0


def send(pids: Iterable[int], number: int) -> None:
    """Send a signal to processes; those that are gone or another user's do not get it."""
    for pid in pids:
        with suppress(ProcessLookupError, PermissionError):
            os.kill(pid, number)


async def ended(pid: int) -> None:
    """Wait until a process has ended; it need not be a child."""
    try:
        handle = os.pidfd_open(pid)
    except ProcessLookupError:
        return
    except (AttributeError, OSError):  # not Linux, or an old one
        with suppress(psutil.NoSuchProcess):  # it may go between two looks
            while psutil.Process(pid).status() != psutil.STATUS_ZOMBIE:
                await asyncio.sleep(0.05)
        return
    loop, over = asyncio.get_running_loop(), asyncio.Event()
    loop.add_reader(handle, over.set)
    try:
        await over.wait()
    finally:
        loop.remove_reader(handle)
        os.close(handle)
