"""How objects are deleted: finalizers, dependents, preconditions.

Source: ``k8s.io/apiserver`` ``pkg/registry/rest/delete.go`` and the garbage collector of
``k8s.io/kubernetes`` ``pkg/controller/garbagecollector``.
"""

from __future__ import annotations

import time
from dataclasses import dataclass

from pyjob_magic.local.apiserver.namespaces import Namespaces
from pyjob_magic.local.control.controller import Controller
from pyjob_magic.local.objects import Json, owners, terminating, timestamp
from pyjob_magic.local.resources import NAMESPACES, PODS, STORED, Resource
from pyjob_magic.local.status import StatusError, bad_request, conflict
from pyjob_magic.local.store import Change

_FOREGROUND = "foregroundDeletion"
_POLICIES = ("Background", "Foreground", "Orphan")
_DEPENDENTS = tuple(resource for resource in STORED if resource.namespaced)


@dataclass(frozen=True)
class DeleteOptions:
    """What a client says about a deletion."""

    grace: float | None
    policy: str
    dry: bool
    preconditions: Json

    @classmethod
    def read(cls, body: Json, *, dry: bool) -> DeleteOptions:
        """Check and return the options of a body.

        Raises
        ------
        StatusError
            400 or 422.
        """
        grace = body.get("gracePeriodSeconds")
        if grace is not None and (type(grace) is not int or grace < 0):
            raise bad_request("gracePeriodSeconds must be a number that is not negative")
        policy = body.get("propagationPolicy") or _policy_of_old(body.get("orphanDependents"))
        if policy not in _POLICIES:
            message = f"DeleteOptions: propagationPolicy: {policy!r} is none of {_POLICIES}"
            raise StatusError(422, "Invalid", message)
        preconditions = body.get("preconditions") or {}
        if not isinstance(preconditions, dict):
            raise bad_request("preconditions must be an object")
        return cls(grace, policy, dry or body.get("dryRun") == ["All"], preconditions)

    def check(self, resource: Resource, obj: Json) -> None:
        """Refuse to delete another object than the one that was meant."""
        meta = obj["metadata"]
        for field, word in (("uid", "UID"), ("resourceVersion", "ResourceVersion")):
            wanted = self.preconditions.get(field)
            if wanted is not None and wanted != meta[field]:
                reason = (
                    f"Precondition failed: {word} in precondition: {wanted}, {word} in object "
                    f"meta: {meta[field]}"
                )
                raise conflict(resource, meta["name"], reason)


class Deletion:
    """Delete objects with what depends on them, when nothing holds them any more.

    Parameters
    ----------
    controller
        Has the store, and ends pods.
    namespaces
        Goes on when a namespace is being deleted.
    """

    def __init__(self, controller: Controller, namespaces: Namespaces) -> None:
        self._controller = controller
        self._store = controller.store
        self._namespaces = namespaces
        self._waiting: dict[str, tuple[Resource, str, str]] = {}  # owners, by their uid
        for resource in _DEPENDENTS:
            for obj in self._store.objects(resource):
                if _FOREGROUND in _finalizers(obj):
                    self._wait_for_dependents(resource, obj)
        self._store.subscribe(self._changed)

    def delete(self, resource: Resource, obj: Json, options: DeleteOptions) -> Json:
        """Delete an object, or mark it if something holds it; return its last state."""
        if resource == PODS:
            return self._controller.delete_pod(obj, options.grace)
        with self._store.transaction():
            if options.policy == "Orphan":
                self._release(obj["metadata"]["uid"])
            elif options.policy == "Foreground" and not terminating(obj):
                obj["metadata"]["finalizers"] = [*_finalizers(obj), _FOREGROUND]
            obj = self._mark_or_remove(resource, obj)
        if _FOREGROUND in _finalizers(obj):
            self._wait_for_dependents(resource, obj)
            self._end_dependents(obj["metadata"]["uid"])
            self._finish(obj["metadata"]["uid"])
        if resource == NAMESPACES:
            self._end_content(obj["metadata"]["name"])
            obj = self._namespaces.end(obj)
        return obj

    def remove_if_free(self, resource: Resource, obj: Json) -> Json:
        """Remove an object that is terminating and that no finalizer holds any longer."""
        held = resource in (PODS, NAMESPACES) or _finalizers(obj) or not terminating(obj)
        return obj if held else self._store.delete(resource, obj)

    def _mark_or_remove(self, resource: Resource, obj: Json) -> Json:
        meta = obj["metadata"]
        if not _finalizers(obj) and resource != NAMESPACES:
            return self._store.delete(resource, obj)
        if terminating(obj):
            return obj
        meta |= {"deletionTimestamp": timestamp(time.time()), "deletionGracePeriodSeconds": 0}
        if "generation" in meta:
            meta["generation"] += 1
        return self._store.update(resource, obj)

    def _release(self, uid: str) -> None:
        """Let dependents be, without an owner."""
        for resource in _DEPENDENTS:
            for obj in self._store.owned(resource, uid):
                references = obj["metadata"]["ownerReferences"]
                obj["metadata"]["ownerReferences"] = [r for r in references if r.get("uid") != uid]
                self._store.update(resource, obj)

    def _end_dependents(self, uid: str) -> None:
        for resource in _DEPENDENTS:
            for obj in self._store.owned(resource, uid):
                if not terminating(obj):
                    self.delete(resource, obj, _BACKGROUND)

    def _end_content(self, namespace: str) -> None:
        for resource in _DEPENDENTS:
            for obj in self._store.objects(resource, namespace):
                if not terminating(obj):
                    self.delete(resource, obj, _BACKGROUND)

    def _wait_for_dependents(self, resource: Resource, owner: Json) -> None:
        meta = owner["metadata"]
        self._waiting[meta["uid"]] = resource, meta.get("namespace", ""), meta["name"]

    def _changed(self, change: Change) -> None:
        if change.type == "DELETED" and self._waiting:
            for uid in owners(change.object):
                self._finish(uid)

    def _finish(self, uid: str) -> None:
        """Let go of an owner that waited for its dependents, if none is left."""
        if uid not in self._waiting or any(self._store.owned(r, uid) for r in _DEPENDENTS):
            return
        resource, namespace, name = self._waiting.pop(uid)
        owner = self._store.find(resource, namespace, name)
        if owner is not None and owner["metadata"]["uid"] == uid:
            rest = [held for held in _finalizers(owner) if held != _FOREGROUND]
            owner["metadata"]["finalizers"] = rest
            if not rest:
                self._store.delete(resource, owner)
            else:
                self._store.update(resource, owner)


def _finalizers(obj: Json) -> list[str]:
    return obj["metadata"].get("finalizers") or []


def _policy_of_old(orphan: object) -> str:
    """Translate what clients said before there were policies."""
    return "Orphan" if orphan is True else "Background"


_BACKGROUND = DeleteOptions(None, "Background", False, {})
