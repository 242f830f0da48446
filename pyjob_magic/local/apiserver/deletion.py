"""How clients delete objects: what they may say about it, and what that comes to.

Source: ``k8s.io/apiserver`` ``pkg/registry/rest/delete.go``.
"""

from __future__ import annotations

from dataclasses import dataclass

from pyjob_magic.local.apiserver.namespaces import Namespaces
from pyjob_magic.local.control.controller import Controller
from pyjob_magic.local.control.garbage import BACKGROUND, FOREGROUND, ORPHAN, finalizers
from pyjob_magic.local.objects import Json, terminating
from pyjob_magic.local.resources import NAMESPACES, PODS, Resource
from pyjob_magic.local.status import StatusError, bad_request, conflict

_POLICIES = (BACKGROUND, FOREGROUND, ORPHAN)


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
    """Delete objects for clients.

    Parameters
    ----------
    controller
        Has the store and the garbage collector.
    namespaces
        Ends namespaces.
    """

    def __init__(self, controller: Controller, namespaces: Namespaces) -> None:
        self._store = controller.store
        self._garbage = controller.garbage
        self._namespaces = namespaces

    def delete(self, resource: Resource, obj: Json, options: DeleteOptions) -> Json:
        """Delete an object, or mark it if something holds it; return its last state."""
        if resource == NAMESPACES:
            return self._namespaces.end(obj)
        return self._garbage.delete(resource, obj, options.policy, options.grace)

    def remove_if_free(self, resource: Resource, obj: Json) -> Json:
        """Remove an object that is terminating and that no finalizer holds any longer."""
        held = resource in (PODS, NAMESPACES) or finalizers(obj) or not terminating(obj)
        return obj if held else self._store.delete(resource, obj)


def _policy_of_old(orphan: object) -> str:
    """Translate what clients said before there were policies."""
    return ORPHAN if orphan is True else BACKGROUND
