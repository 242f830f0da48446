"""Logs: what a run of a container has printed, and goes on to print."""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncIterator, Callable
from io import FileIO
from os.path import exists

from pyjob_magic.local.apiserver.logoptions import LogOptions
from pyjob_magic.local.kubelet.kubelet import Kubelet
from pyjob_magic.local.kubelet.logtimes import Times, stamped
from pyjob_magic.local.kubelet.process import Process
from pyjob_magic.local.kubelet.timekeeper import Timekeeper, noted, times
from pyjob_magic.local.objects import Json, containers
from pyjob_magic.local.status import bad_request

_CHUNK = 256 * 1024
_SHORTEST_LOOK, _LONGEST_LOOK = 0.002, 0.04  # seconds between two looks at a quiet log


def choose(kubelet: Kubelet, pod: Json, options: LogOptions) -> Process | None:
    """Return the run whose log is meant; None if the pod has no place yet.

    Raises
    ------
    StatusError
        400, if the container does not exist, is not named or has not started.
    """
    name, container = pod["metadata"]["name"], _container(pod, options.container)
    if not pod["spec"].get("nodeName"):
        return None
    status = _status(pod, container)
    state = status.get("state", {})
    # A run that the pod does not tell of yet would be taken for the one before it.
    last = status.get("restartCount", 0)
    runs = [
        run
        for run in kubelet.runs(pod["metadata"]["uid"], container, pod)
        if int(run.directory.name) <= last and run.started
    ]
    if options.previous:
        waits = "waiting" in state  # then the last one is over, and another follows it
        before = [run for run in runs if waits or int(run.directory.name) < last]
        if not before:
            raise bad_request(
                f'previous terminated container "{container["name"]}" in pod "{name}" not found'
            )
        return before[-1]
    if not runs:
        reason = state.get("waiting", {}).get("reason", "ContainerCreating")
        raise bad_request(
            f'container "{container["name"]}" in pod "{name}" is waiting to start: {reason}'
        )
    return runs[-1]


async def stream(run: Process, options: LogOptions, timekeeper: Timekeeper) -> AsyncIterator[bytes]:
    """Yield a log: what there is, and if it is followed what comes, until the run has ended."""
    with run.log.open("rb", buffering=0) as file:
        file.seek(await asyncio.to_thread(_start, file, options))
        stamper = None
        if options.timestamps:
            stamper = _Stamper(file, await asyncio.to_thread(noted, file), timekeeper)
        left = options.limit_bytes
        async for chunk in _chunks(file, run, follow=options.follow):
            text = await stamper.stamp(chunk) if stamper else chunk
            yield text if left is None else text[:left]
            if left is not None and (left := left - len(text)) <= 0:
                return


async def _chunks(file: FileIO, run: Process, *, follow: bool) -> AsyncIterator[bytes]:
    """Yield what is in the file from where it stands, and what comes."""
    wait, over = _SHORTEST_LOOK, _end_of(run)
    while True:
        last_look = not follow or over()
        while chunk := file.read(_CHUNK):
            wait = _SHORTEST_LOOK
            yield chunk
            await asyncio.sleep(0)  # others have requests, too
        if last_look:
            return
        await asyncio.sleep(wait)
        wait = min(wait * 1.5, _LONGEST_LOOK)


def _end_of(run: Process) -> Callable[[], bool]:
    """Return a function that tells whether nothing more will be printed."""
    log, pid = (str(run.directory / name) for name in ("log", "pid"))

    def over() -> bool:
        # In the order of what is usual; the log of a pod that is gone is elsewhere, or gone, too.
        if run.over() or not exists(log):
            return True
        return exists(pid) and not run.alive()

    return over


class _Stamper:
    """Writes before each line when it was printed; from where the file stands."""

    def __init__(self, file: FileIO, times: Times, timekeeper: Timekeeper) -> None:
        self._file = file
        self._times = times
        self._timekeeper = timekeeper
        self._offset = file.tell()
        self._fresh = True

    async def stamp(self, chunk: bytes) -> bytes:
        """Return what was read next with its times."""
        await self._timekeeper.extend(self._times, self._file, self._offset + len(chunk))
        text = stamped(chunk, self._offset, fresh=self._fresh, times=self._times)
        self._offset += len(chunk)
        self._fresh = chunk.endswith(b"\n")
        return text


def _start(file: FileIO, options: LogOptions) -> int:
    """Return the offset of the first byte that is asked for."""
    start = 0
    if options.tail_lines is not None:
        start = tail(file, options.tail_lines)
    if options.since is not None:
        start = max(start, next_line(file, times(file).since(options.since)))
    return start


def tail(file: FileIO, lines: int) -> int:
    """Return the offset of the last `lines` lines."""
    size = position = file.seek(0, os.SEEK_END)
    while lines and position:
        position -= (length := min(_CHUNK, position))
        file.seek(position)
        # A newline at the very end ends the last line, not one before it.
        chunk = file.read(length)[: size - 1 - position]
        if (found := chunk.count(b"\n")) >= lines:
            at = len(chunk)
            for _ in range(lines):
                at = chunk.rfind(b"\n", 0, at)
            return position + at + 1
        lines -= found
    return position


def next_line(file: FileIO, offset: int) -> int:
    """Return the offset of the first line that begins at `offset` or behind it."""
    if not offset:
        return 0
    position = file.seek(offset - 1)
    while chunk := file.read(_CHUNK):
        if (at := chunk.find(b"\n")) >= 0:
            return position + at + 1
        position += len(chunk)
    return position


def _status(pod: Json, container: Json) -> Json:
    """Return how a container fares as its pod tells it; empty if it does not."""
    status = pod.get("status") or {}
    entries = [
        *(status.get("initContainerStatuses") or ()),
        *(status.get("containerStatuses") or ()),
    ]
    return next((dict(entry) for entry in entries if entry["name"] == container["name"]), {})


def _container(pod: Json, name: str | None) -> Json:
    """Return the container that is named, or the only one; init containers have to be named."""
    names = [container["name"] for container in pod["spec"]["containers"]]
    if name is None:
        if len(names) > 1:
            known = " ".join(container["name"] for container in containers(pod))
            raise bad_request(
                f"a container name must be specified for pod {pod['metadata']['name']}, "
                f"choose one of: [{known}]"
            )
        name = names[0]
    for container in containers(pod):
        if container["name"] == name:
            return container
    raise bad_request(f"container {name} is not valid for pod {pod['metadata']['name']}")
