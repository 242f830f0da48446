"""Watches: the changes of a resource as they come, one JSON line each."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

from pyjob_magic.local.resources import Resource
from pyjob_magic.local.selectors import Selector
from pyjob_magic.local.status import StatusError
from pyjob_magic.local.store import Change, Store
from pyjob_magic.local.wire import in_order, render

_BOOKMARK_EVERY = 60.0
_LONGEST = 3600.0


async def watch(
    store: Store,
    resource: Resource,
    namespace: str,
    selector: Selector | None,
    *,
    since: int | None,
    timeout: float | None,
    bookmarks: bool,
) -> AsyncIterator[bytes]:
    """Yield the lines of a watch until it times out.

    Parameters
    ----------
    store, resource, namespace, selector
        What to watch; an empty namespace is all of them.
    since
        Yield what happened after this resourceVersion; None yields first what there is.
    timeout
        Seconds until it ends.
    bookmarks
        Whether to tell the resourceVersion from time to time.
    """
    loop, wake = asyncio.get_running_loop(), asyncio.Event()

    def notice(change: Change) -> None:
        if change.resource == resource.plural:
            wake.set()

    store.subscribe(notice)
    try:
        deadline = loop.time() + (_LONGEST if timeout is None else min(timeout, _LONGEST))
        if since is None:
            since = store.version
            for obj in store.objects(resource, namespace):
                if selector is None or selector(obj):
                    yield _line("ADDED", render(in_order(resource, obj)))
        while True:
            wake.clear()
            try:
                changes = store.changes(resource, namespace, since)
            except StatusError as error:
                yield _line("ERROR", render(error.body))
                return
            for change in changes:
                if line := _tell(store, change, selector):
                    yield line
            if changes:
                since = changes[-1].version
                continue
            since = store.version
            left = deadline - loop.time()
            if left <= 0:
                break
            try:
                await asyncio.wait_for(wake.wait(), min(left, _BOOKMARK_EVERY))
            except TimeoutError:
                if bookmarks:
                    yield _bookmark(resource, store.version)
    finally:
        store.unsubscribe(notice)


def _tell(store: Store, change: Change, selector: Selector | None) -> bytes:
    """Return the line of a change as the selector sees it; empty if it sees none."""
    text = change.json.encode()
    if selector is None:
        return _line(change.type, text)
    before = store.before(change) if change.type == "MODIFIED" else None
    was = change.type != "ADDED" and selector(before or change.object)
    now = change.type != "DELETED" and selector(change.object)
    if not was and not now:
        return b""
    return _line("MODIFIED" if was and now else "ADDED" if now else "DELETED", text)


def _line(kind: str, obj: bytes) -> bytes:
    return b'{"type":"%s","object":%s}\n' % (kind.encode(), obj.rstrip())


def _bookmark(resource: Resource, version: int) -> bytes:
    obj = {
        "kind": resource.kind,
        "apiVersion": resource.api_version,
        "metadata": {"resourceVersion": str(version), "creationTimestamp": None},
    }
    return _line("BOOKMARK", render(obj))
