"""Events: what the parts of the embedded API say about an object."""

from __future__ import annotations

import time
import uuid

from pyjob_magic.local.objects import Json, seconds, timestamp
from pyjob_magic.local.resources import EVENTS
from pyjob_magic.local.store import Store

_KEEP_SECONDS = 3600.0  # how long events outlive their object; Kubernetes keeps all for an hour


class Recorder:
    """Write events; the same one again is counted instead of repeated."""

    def __init__(self, store: Store) -> None:
        self._store = store

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
        now = time.time()
        same = (component, kind, reason, message)
        for event in self._store.about(EVENTS, obj["metadata"]["uid"]):
            said = (event["source"].get("component"), *(event[k] for k in _SAME))
            if said == same:
                if not once:
                    event["count"] += 1
                    event["lastTimestamp"] = timestamp(now)
                    self._store.update(EVENTS, event)
                return
        self._store.create(EVENTS, _event(obj, component, kind, reason, message, now))

    def forget(self, uids: set[str]) -> None:
        """Remove old events of objects other than `uids`, those that still exist."""
        limit = time.time() - _KEEP_SECONDS
        with self._store.transaction():
            for event in self._store.objects(EVENTS):
                gone = event["involvedObject"].get("uid") not in uids
                if gone and seconds(event["lastTimestamp"]) < limit:
                    self._store.delete(EVENTS, event)


_SAME = ("type", "reason", "message")


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
