"""Events: what the parts of the embedded API say about an object.

What is said again is counted; of many things that differ in their message only, the later ones
are said together; after an hour all is forgotten. So a job that crashes all night long leaves a
bounded number of events.

Source: ``tools/record/events_cache.go`` of ``k8s.io/client-go``, whose limits these are. Its
limit to the rate of events is left out: it would lose some of those of a large job.
"""

from __future__ import annotations

import asyncio
import time
import uuid
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass

from pyjob_magic.local.control.faults import contained
from pyjob_magic.local.objects import Json, seconds, timestamp
from pyjob_magic.local.resources import EVENTS
from pyjob_magic.local.store import Store

_KEEP_SECONDS = 3600.0  # as an API server does
_LEAST_SECONDS = 5.0  # between two rounds, whatever went wrong with one
_ROUND_SECONDS = 60.0  # how late an event may be forgotten, so that many go at once
_MOST = 10_000  # events of all objects; then the oldest are forgotten early
_MOST_SIMILAR = 10
_COMBINED = "(combined from similar events): "

_Group = tuple[str, str, str, str]  # uid of the object, component, type, reason
_Key = tuple[_Group, str]  # and the message


@dataclass(frozen=True, slots=True)
class _Said:
    """Where an event is stored, and when it was said last."""

    namespace: str
    name: str
    last: float


class Recorder:
    """Write events; the same one again is counted instead of repeated.

    Parameters
    ----------
    store
        Where they are kept; nobody else writes events there.
    """

    def __init__(self, store: Store) -> None:
        self._store = store
        self._said: dict[_Key, _Said] = {}  # what was said last is last
        self._similar: Counter[_Group] = Counter()
        self._something = asyncio.Event()
        for event in sorted(store.objects(EVENTS), key=lambda event: str(event["lastTimestamp"])):
            if key := _key(event):
                self._note(key, event, seconds(event["lastTimestamp"]))

    def record(
        self, obj: Json, component: str, kind: str, reason: str, message: str, once: bool = False
    ) -> None:
        """Say something about `obj`.

        Parameters
        ----------
        obj
            The object, with its kind.
        component
            Who says it, such as ``kubelet``.
        kind, reason, message
            Normal or Warning, one word, the sentence.
        once
            Say nothing if it has been said.
        """
        now, group = time.time(), (obj["metadata"]["uid"], component, kind, reason)
        key = group, message
        if key not in self._said and self._similar[group] >= _MOST_SIMILAR - 1:
            key, message = (group, _COMBINED), _COMBINED + message
        event = self._find(key)
        if event is None:
            event = self._store.create(EVENTS, _event(obj, component, kind, reason, message, now))
        elif once:
            return
        else:
            again = {"count": event["count"] + 1, "lastTimestamp": timestamp(now)}
            event = self._store.update(EVENTS, {**event, **again, "message": message})
        self._note(key, event, now)
        if len(self._said) > _MOST:
            self._forget(next(iter(self._said)))

    async def expire(self, then: Callable[[], None]) -> None:
        """Forget each event when its time has come, until cancelled.

        Parameters
        ----------
        then
            Called when some were forgotten: what still holds can be said again.
        """
        while True:
            await self._something.wait()
            oldest = next(iter(self._said.values()))
            due = oldest.last + _KEEP_SECONDS + _ROUND_SECONDS
            await asyncio.sleep(max(_LEAST_SECONDS, due - time.time()))
            with contained():
                self.forget(time.time())
                then()

    def forget(self, now: float) -> None:
        """Forget what was said last an hour before `now`, or earlier."""
        limit = now - _KEEP_SECONDS
        for key in [key for key, said in self._said.items() if said.last <= limit]:
            self._forget(key)

    def _find(self, key: _Key) -> Json | None:
        """Return the event as stored; a transaction that failed may have taken it back."""
        said = self._said.get(key)
        return self._store.find(EVENTS, said.namespace, said.name) if said else None

    def _note(self, key: _Key, event: Json, last: float) -> None:
        """Remember that an event was said, after all others."""
        if self._said.pop(key, None) is None:
            self._similar[key[0]] += 1
        meta = event["metadata"]
        self._said[key] = _Said(meta["namespace"], meta["name"], last)
        self._something.set()

    def _forget(self, key: _Key) -> None:
        if event := self._find(key):
            self._store.delete(EVENTS, event)
        del self._said[key]
        self._similar[key[0]] -= 1
        if not self._similar[key[0]]:
            del self._similar[key[0]]
        if not self._said:
            self._something.clear()


def _key(event: Json) -> _Key | None:
    """Return what identifies an event that is stored; None for one that a client has written."""
    about = (event.get("involvedObject") or {}).get("uid")
    component = (event.get("source") or {}).get("component", "")
    if not (about and component):
        return None
    message = _COMBINED if event["message"].startswith(_COMBINED) else event["message"]
    return (about, component, event["type"], event["reason"]), message


def _event(obj: Json, component: str, kind: str, reason: str, message: str, now: float) -> Json:
    meta = obj["metadata"]
    return {
        "kind": "Event",
        "apiVersion": "v1",
        "metadata": {
            "name": f"{meta['name']}.{time.time_ns():x}",
            "namespace": meta["namespace"],
            "uid": str(uuid.uuid4()),
            "resourceVersion": "",
            "creationTimestamp": timestamp(now),
        },
        "involvedObject": {
            "kind": obj["kind"],
            "namespace": meta["namespace"],
            "name": meta["name"],
            "uid": meta["uid"],
            "apiVersion": obj["apiVersion"],
            "resourceVersion": meta["resourceVersion"],
        },
        "reason": reason,
        "message": message,
        "source": {"component": component},
        "firstTimestamp": timestamp(now),
        "lastTimestamp": timestamp(now),
        "count": 1,
        "type": kind,
        "eventTime": None,
        "reportingComponent": component,
        "reportingInstance": "",
    }
