"""Memory limits: a run that uses more than its container may is killed, all of it at once.

What counts is what a container could not give back: the anonymous and the shared memory that its
processes have in RAM, each page once, however many processes share it. Programs and libraries that
are mapped, hundreds of MiB for PyTorch, can be read again and do not count. What does not count
here, and does in a cgroup of Linux: files that no process maps but are kept in memory, such as
those in a memory-backed ``emptyDir``, memory of the kernel, huge pages, what is swapped out.
"""

from __future__ import annotations

import asyncio
import re
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

import psutil

from pyjob_magic.local.kubelet import cgroups
from pyjob_magic.local.kubelet.limits import limit
from pyjob_magic.local.kubelet.podstatus import OOM_KILLED
from pyjob_magic.local.kubelet.process import Process
from pyjob_magic.local.objects import Json

_INTERVAL = 0.1  # seconds between two looks, while there is anything to look at
_SHARE = 0.05  # of the time at most is spent on looking at all runs, and at one closely
_SHARE_WHEN_GROWN = 0.5  # of the time, for a close look at one that may use too much by now
_RESIDENT = re.compile(rb"^Rss(?:Anon|Shmem):\s+(\d+) kB", re.MULTILINE)
_PROPORTIONAL = re.compile(rb"^Pss_(?:Anon|Shmem):\s+(\d+) kB", re.MULTILINE)
_KIBI, _MEBI = 2**10, 2**20


@dataclass
class Watched:
    """A run with what it is allowed, and what the last close look has shown.

    Parameters
    ----------
    run, allowed
        The run, and how many bytes it may use.
    at_most, exactly
        How many it used then, by the quick look and by the close one.
    looked_at, cost
        When that was, and how long it took, in seconds.
    """

    run: Process
    allowed: int
    at_most: int = 0
    exactly: int = 0
    looked_at: float = 0.0
    cost: float = 0.0

    def deserves_a_close_look(self, at_most: int, now: float) -> bool:
        """Whether it may use too much, and the last close look is long enough ago."""
        if at_most <= self.allowed:
            return False
        grown = at_most - self.at_most > self.allowed - self.exactly
        return now >= self.looked_at + self.cost / (_SHARE_WHEN_GROWN if grown else _SHARE)


class MemoryGuard:
    """Looks after the runs that have a limit, as far as the kernel does not.

    Nothing at all goes on while there is none.
    """

    def __init__(self) -> None:
        self._watched: dict[Path, Watched] = {}
        self._task: asyncio.Task[None] | None = None

    @contextmanager
    def watching(self, run: Process, container: Json) -> Iterator[None]:
        """Hold a run to the limit of its container meanwhile, or see how the kernel does it."""
        allowed, group = limit(container, "memory"), run.group()
        if allowed is None:
            yield
        elif group is None:
            with self._supervising(run, int(allowed)):
                yield
        else:
            yield
            if cgroups.killed(group):
                _explain(run, int(allowed), int(allowed))
            cgroups.remove(group)

    @contextmanager
    def _supervising(self, run: Process, allowed: int) -> Iterator[None]:
        self._watched[run.directory] = Watched(run, allowed)
        if self._task is None or self._task.done():
            self._task = asyncio.create_task(self._watch())
        try:
            yield
        finally:
            self._watched.pop(run.directory, None)

    async def _watch(self) -> None:
        while self._watched:
            begun = time.perf_counter()
            suspects = await asyncio.to_thread(_suspects, tuple(self._watched.values()))
            cost = time.perf_counter() - begun
            for watched in suspects:
                await asyncio.to_thread(_look_closely, watched)
                if watched.exactly > watched.allowed and watched.run.directory in self._watched:
                    self._kill(watched)
            await asyncio.sleep(max(_INTERVAL, cost / _SHARE))

    def _kill(self, watched: Watched) -> None:
        del self._watched[watched.run.directory]
        _explain(watched.run, watched.exactly, watched.allowed)
        watched.run.kill()


def _explain(run: Process, used: int, allowed: int) -> None:
    run.explain(OOM_KILLED, f"used {_show(used)} of {_show(allowed)} allowed")


def _suspects(all_watched: Iterable[Watched]) -> list[Watched]:
    """Return the runs that use too much if no page is shared: those to look at closely."""
    now = time.monotonic()
    return [each for each in all_watched if each.deserves_a_close_look(at_most(each.run), now)]


def _look_closely(watched: Watched) -> None:
    """Find out what a run uses; for one of 10 GiB this takes some 0.2 s."""
    begun = time.monotonic()
    watched.at_most, watched.exactly = at_most(watched.run), exactly(watched.run)
    watched.looked_at, watched.cost = begun, time.monotonic() - begun


def at_most(run: Process) -> int:
    """Return how many bytes a run uses, shared pages counted for each of its processes."""
    return sum(map(_resident, run.members()))


def exactly(run: Process) -> int:
    """Return how many bytes a run uses, as exactly as this machine tells."""
    return sum(map(_proportional, run.members()))


def _resident(pid: int) -> int:
    amount = _read(f"/proc/{pid}/status", _RESIDENT)
    if amount is None:  # not Linux, or an old one; or it is gone
        with suppress(psutil.Error):
            return int(psutil.Process(pid).memory_info().rss)
    return amount or 0


def _proportional(pid: int) -> int:
    """Return what a process uses if it shares the cost of what it shares."""
    amount = _read(f"/proc/{pid}/smaps_rollup", _PROPORTIONAL)
    return _resident(pid) if amount is None else amount


def _read(path: str, pattern: re.Pattern[bytes]) -> int | None:
    """Return the sum of the amounts that `pattern` finds in a file of the kernel, if any."""
    with suppress(OSError), open(path, "rb") as file:
        if amounts := pattern.findall(file.read()):
            return sum(map(int, amounts)) * _KIBI
    return None


def _show(amount: int) -> str:
    """Return an amount in MiB, rounded up: never less than what is allowed."""
    return f"{-(-amount // _MEBI)}Mi"
