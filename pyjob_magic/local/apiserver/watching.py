"""Watches: the changes of a resource as they come, one JSON line each."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass

from pyjob_magic.local.apiserver.selectors import Selector
from pyjob_magic.local.apiserver.wire import in_order, render
from pyjob_magic.local.objects import Json
from pyjob_magic.local.resources import Resource
from pyjob_magic.local.status import StatusError
from pyjob_magic.local.store import Change, Store

_BOOKMARK_EVERY = 60.0
_LONGEST = 3600.0


@dataclass(frozen=True)
class Watch:
    """What is watched, and how it is told.

    Parameters
    ----------
    resource, namespace, selector
        Whose changes; an empty namespace is all of them.
    show
        Brings an object, at a time, into the form that is wanted; None for as it is.
    since
        Tell what happened after this resourceVersion; None for what there is, first.
    timeout
        Seconds until it ends.
    bookmarks
        Whether to tell the resourceVersion from time to time.
    marks_start
        Whether to tell when all that there was has been told.
    """

    resource: Resource
    namespace: str
    selector: Selector | None
    show: Callable[[Json, float], Json] | None = None
    since: int | None = None
    timeout: float | None = None
    bookmarks: bool = False
    marks_start: bool = False

    @property
    def _from_start(self) -> bool:
        return self.since is None or self.marks_start

    async def lines(self, store: Store) -> AsyncIterator[bytes]:
        """Yield a line for each change until the time is over."""
        wake = asyncio.Event()

        def notice(change: Change) -> None:
            if change.resource == self.resource.plural:
                wake.set()

        store.subscribe(notice)
        try:
            since = store.version if self._from_start else self.since or 0
            for line in self._start(store):
                yield line
            async for line in self._changes(store, since, wake):
                yield line
        except StatusError as error:
            yield _line("ERROR", render(error.body))
        finally:
            store.unsubscribe(notice)

    def _start(self, store: Store) -> list[bytes]:
        """Return the lines about what there is, if it is asked for."""
        lines = []
        if self._from_start:
            for obj in store.objects(self.resource, self.namespace):
                if self.selector is None or self.selector(obj):
                    lines.append(self._tell("ADDED", in_order(self.resource, obj)))
        if self.marks_start:
            lines.append(self._bookmark(store, annotations={"k8s.io/initial-events-end": "true"}))
        return lines

    async def _changes(self, store: Store, since: int, wake: asyncio.Event) -> AsyncIterator[bytes]:
        loop = asyncio.get_running_loop()
        longest = _LONGEST if self.timeout is None else min(self.timeout, _LONGEST)
        deadline = loop.time() + longest
        while True:
            wake.clear()
            changes = store.changes(self.resource, self.namespace, since)
            for change in changes:
                if line := self._line(store, change):
                    yield line
            if changes:
                since = changes[-1].version
                continue
            since = store.version
            left = deadline - loop.time()
            if left <= 0:
                return
            try:
                await asyncio.wait_for(wake.wait(), min(left, _BOOKMARK_EVERY))
            except TimeoutError:
                if self.bookmarks:
                    yield self._bookmark(store)

    def _line(self, store: Store, change: Change) -> bytes:
        """Return the line of a change as the selector sees it; empty if it sees none."""
        kind = change.type
        if self.selector is not None:
            before = store.before(change) if kind == "MODIFIED" else None
            was = kind != "ADDED" and self.selector(before or change.object)
            now = kind != "DELETED" and self.selector(change.object)
            if not was and not now:
                return b""
            kind = "MODIFIED" if was and now else "ADDED" if now else "DELETED"
        if self.show is None:
            return _line(kind, change.json.encode())
        return self._tell(kind, change.object)

    def _tell(self, kind: str, obj: Json) -> bytes:
        return _line(kind, render(self.show(obj, time.time()) if self.show else obj))

    def _bookmark(self, store: Store, **metadata: Json) -> bytes:
        told = {"resourceVersion": str(store.version), "creationTimestamp": None, **metadata}
        kind, version = self.resource.kind, self.resource.api_version
        return self._tell("BOOKMARK", {"kind": kind, "apiVersion": version, "metadata": told})


def _line(kind: str, obj: bytes) -> bytes:
    return b'{"type":"%s","object":%s}\n' % (kind.encode(), obj.rstrip())
