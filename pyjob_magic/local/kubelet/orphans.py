"""Orphans of runs whose shell was killed: they come to the API process, which ends them."""

from __future__ import annotations

import asyncio
import os
import signal

from pyjob_magic.local.kubelet.trees import become_subreaper, children, ended, send, session

_PATIENCE = 5.0  # seconds for an orphan to end

_expected: set[int] = set()  # children that somebody here waits for
_unending: set[int] = set()  # orphans that outlive SIGKILL: another user's, or held by the kernel
_taken_in = False


def take_in() -> None:
    """Have orphans among all descendants come to this process from now on."""
    global _taken_in
    _expected.update(children(os.getpid()))
    _taken_in = become_subreaper()


def expect(pid: int) -> None:
    """Take note of a child that leads a session of its own and is no orphan."""
    _expected.add(pid)


def forget(pid: int) -> None:
    """Take note that a child was waited for."""
    _expected.discard(pid)


async def end_orphans() -> None:
    """End and reap what has come here, and what comes as its children's orphans then."""
    _reap(_unending)
    found: set[int] = set()
    try:
        async with asyncio.timeout(_PATIENCE):
            while found := _orphans() - _unending:
                send(found, signal.SIGKILL)
                await asyncio.gather(*map(ended, found))
                _reap(found)
    except TimeoutError:
        _unending.update(found & _orphans())


def _orphans() -> set[int]:
    """Return the children that nobody expects. Helpers of ours stay in our session."""
    if not _taken_in:
        return set()
    own = session(0)
    return {pid for pid in children(os.getpid()) if session(pid) != own} - _expected


def _reap(pids: set[int]) -> None:
    """Let go of those that have ended; some may be gone already, reaped for another run."""
    for pid in pids & _orphans():
        os.waitpid(pid, os.WNOHANG)
    _unending.intersection_update(_orphans())
