"""The garbage collector: what holds an object that is deleted, and what goes with it.

Source: ``pkg/controller/garbagecollector`` of Kubernetes; ``k8s.io/apiserver``
``pkg/registry/rest/delete.go``.
"""

from __future__ import annotations

import time
from collections.abc import Callable

from pyjob_magic.local.objects import Json, owners, terminating, timestamp
from pyjob_magic.local.resources import PODS, STORED, Resource
from pyjob_magic.local.store import Change, Store

BACKGROUND, FOREGROUND, ORPHAN = "Background", "Foreground", "Orphan"
DEPENDENTS = tuple(resource for resource in STORED if resource.namespaced)
_HELD_BY_DEPENDENTS = "foregroundDeletion"


class Garbage:
    """Delete objects with what depends on them, when nothing holds them any more.

    Parameters
    ----------
    store
        Where they are.
    delete_pod
        Ends a pod, within so many seconds, and then deletes it; returns its state.
    """

    def __init__(self, store: Store, delete_pod: Callable[[Json, float | None], Json]) -> None:
        self._store = store
        self._delete_pod = delete_pod
        self._waiting: dict[str, tuple[Resource, str, str]] = {}  # for their dependents; by uid
        store.subscribe(self._changed)

    def delete(
        self,
        resource: Resource,
        obj: Json,
        policy: str = BACKGROUND,
        grace: float | None = None,
    ) -> Json:
        """Delete an object, or mark it if something holds it; return its last state.

        Parameters
        ----------
        resource, obj
            The object as stored.
        policy
            What becomes of its dependents: they go after it (Background) or before it
            (Foreground), or they stay (Orphan).
        grace
            Seconds that a pod gets; None for what it asks for.
        """
        if resource == PODS:
            return self._delete_pod(obj, grace)
        with self._store.transaction():
            if policy == ORPHAN:
                self._release(obj["metadata"]["uid"])
            elif policy == FOREGROUND and not terminating(obj):
                obj["metadata"]["finalizers"] = [*finalizers(obj), _HELD_BY_DEPENDENTS]
            obj = self._mark_or_remove(resource, obj)
        if _HELD_BY_DEPENDENTS in finalizers(obj):
            self._wait_for_dependents(resource, obj)
            self.collect(obj["metadata"]["uid"])
            self._finish(obj["metadata"]["uid"])
        return obj

    def collect(self, uid: str) -> None:
        """Delete what depends on an object that is gone, or goes."""
        for resource in DEPENDENTS:
            for obj in self._store.owned(resource, uid):
                if not terminating(obj):
                    self.delete(resource, obj)

    def resume(self) -> None:
        """Go on with what was to be deleted when this process began, or could not write."""
        for resource in DEPENDENTS:
            for obj in self._store.objects(resource):
                if terminating(obj) and _HELD_BY_DEPENDENTS in finalizers(obj):
                    self._wait_for_dependents(resource, obj)
        for uid in tuple(self._waiting):
            self.collect(uid)
            self._finish(uid)

    def _mark_or_remove(self, resource: Resource, obj: Json) -> Json:
        meta = obj["metadata"]
        if not finalizers(obj):
            return self._store.delete(resource, obj)
        if terminating(obj):
            return obj
        meta |= {"deletionTimestamp": timestamp(time.time()), "deletionGracePeriodSeconds": 0}
        if "generation" in meta:
            meta["generation"] += 1
        return self._store.update(resource, obj)

    def _release(self, uid: str) -> None:
        """Let dependents be, without an owner."""
        for resource in DEPENDENTS:
            for obj in self._store.owned(resource, uid):
                references = obj["metadata"]["ownerReferences"]
                obj["metadata"]["ownerReferences"] = [r for r in references if r.get("uid") != uid]
                self._store.update(resource, obj)

    def _wait_for_dependents(self, resource: Resource, owner: Json) -> None:
        meta = owner["metadata"]
        self._waiting[meta["uid"]] = resource, meta["namespace"], meta["name"]

    def _changed(self, change: Change) -> None:
        if change.type == "DELETED" and self._waiting:
            for uid in owners(change.object):
                self._finish(uid)

    def _finish(self, uid: str) -> None:
        """Let go of an owner that waited for its dependents, if none is left."""
        if uid not in self._waiting or any(self._store.owned(r, uid) for r in DEPENDENTS):
            return
        resource, namespace, name = self._waiting[uid]
        owner = self._store.find(resource, namespace, name)
        if owner is not None and owner["metadata"]["uid"] == uid:
            rest = [held for held in finalizers(owner) if held != _HELD_BY_DEPENDENTS]
            owner["metadata"]["finalizers"] = rest
            if rest:
                self._store.update(resource, owner)
            else:
                self._store.delete(resource, owner)
        del self._waiting[uid]  # only now: what cannot be stored is tried again


def finalizers(obj: Json) -> list[str]:
    """Return what holds an object."""
    return obj["metadata"].get("finalizers") or []
