"""Logs: what a run of a container has printed, and goes on to print."""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncIterator, Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from pyjob_magic.local import query
from pyjob_magic.local.kubelet import Kubelet
from pyjob_magic.local.objects import Json, ended
from pyjob_magic.local.process import Process
from pyjob_magic.local.resources import PODS
from pyjob_magic.local.status import bad_request
from pyjob_magic.local.store import Store
from pyjob_magic.local.volumes import containers

_CHUNK = 256 * 1024
_SHORTEST_LOOK, _LONGEST_LOOK = 0.002, 0.04  # seconds between two looks at a quiet log


@dataclass(frozen=True)
class LogOptions:
    """What of a log is asked for, and how."""

    container: str | None
    follow: bool
    previous: bool
    tail_lines: int | None
    limit_bytes: int | None

    @classmethod
    def parse(cls, params: Mapping[str, str]) -> LogOptions:
        """Read the query parameters."""
        return cls(
            container=params.get("container"),
            follow=query.flag(params, "follow"),
            previous=query.flag(params, "previous"),
            tail_lines=query.number(params, "tailLines"),
            limit_bytes=query.number(params, "limitBytes"),
        )


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
    runs = [run for run in kubelet.runs(pod["metadata"]["uid"], container, pod) if run.started]
    if options.previous:
        if len(runs) < 2:
            raise bad_request(
                f'previous terminated container "{container["name"]}" in pod "{name}" not found'
            )
        return runs[-2]
    if not runs:
        raise bad_request(
            f'container "{container["name"]}" in pod "{name}" is waiting to start: '
            "ContainerCreating"
        )
    return runs[-1]


async def stream(
    store: Store, pod: Json, run: Process, options: LogOptions
) -> AsyncIterator[bytes]:
    """Yield a log: what there is, and if it is followed what comes, until the run has ended."""
    over = _end_of(store, pod, run) if options.follow else _at_once
    async for chunk in _read(run, options, over):
        yield chunk


def stream_kept(run: Process, options: LogOptions) -> AsyncIterator[bytes]:
    """Yield the log of a run whose pod is gone: it is over, so there is nothing to follow."""
    return _read(run, options, _at_once)


def _at_once() -> bool:
    return True


async def _read(
    run: Process, options: LogOptions, over: Callable[[], bool]
) -> AsyncIterator[bytes]:
    left = options.limit_bytes
    with _open(run.log) as file:
        if options.tail_lines is not None:
            seek_tail(file, options.tail_lines)
        wait = _SHORTEST_LOOK
        while left is None or left > 0:
            last_look = over()
            while chunk := file.read(_CHUNK if left is None else min(left, _CHUNK)):
                left = None if left is None else left - len(chunk)
                wait = _SHORTEST_LOOK
                yield chunk
                await asyncio.sleep(0)
            if last_look:
                return
            await asyncio.sleep(wait)
            wait = min(wait * 1.5, _LONGEST_LOOK)


def seek_tail(file: BinaryIO, lines: int) -> None:
    """Move to the beginning of the last `lines` lines."""
    end = position = file.seek(0, os.SEEK_END)
    if not lines:
        return
    found = 0
    while position > 0:
        size = min(_CHUNK, position)
        position -= size
        file.seek(position)
        chunk = file.read(size)
        at = len(chunk)
        while (at := chunk.rfind(b"\n", 0, at)) >= 0:
            if position + at == end - 1:
                continue  # the end of the last line, not of one before it
            found += 1
            if found == lines:
                file.seek(position + at + 1)
                return
    file.seek(0)


def _open(path: Path) -> BinaryIO:
    return path.open("rb", buffering=0)


def _end_of(store: Store, pod: Json, run: Process) -> Callable[[], bool]:
    """Return a function that tells whether nothing more will be printed."""
    meta = pod["metadata"]

    def over() -> bool:
        if run.exit_code() is not None:
            return True
        if (run.directory / "pid").exists() and not run.alive():
            return True
        now = store.find(PODS, meta["namespace"], meta["name"])
        return now is None or now["metadata"]["uid"] != meta["uid"] or ended(now)

    return over


def _container(pod: Json, name: str | None) -> Json:
    names = [container["name"] for container in pod["spec"]["containers"]]
    if name is None:
        if len(names) > 1:
            raise bad_request(
                f"a container name must be specified for pod {pod['metadata']['name']}, "
                f"choose one of: [{' '.join(names)}]"
            )
        name = names[0]
    for container in containers(pod):
        if container["name"] == name:
            return container
    raise bad_request(f"container {name} is not valid for pod {pod['metadata']['name']}")
