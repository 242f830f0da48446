"""How objects come into the store and change there: by creation, replacement and apply."""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import Any

from starlette.requests import Request

from pyjob_magic.local.apiserver import intake, managers, query, schemas
from pyjob_magic.local.apiserver.deletion import Deletion
from pyjob_magic.local.apiserver.namespaces import Namespaces
from pyjob_magic.local.apiserver.serverside import FieldManager, settled
from pyjob_magic.local.objects import Json
from pyjob_magic.local.resources import Resource
from pyjob_magic.local.status import bad_request, exists, not_found
from pyjob_magic.local.store import Store


@dataclass(frozen=True)
class Intent:
    """How a request wants to write.

    Parameters
    ----------
    manager
        Who changes the object.
    validation
        What is to be done about unknown fields: Ignore, Warn or Strict.
    dry
        Whether nothing is to be stored.
    force
        Whether an apply takes fields from other managers.
    """

    manager: str
    validation: str
    dry: bool
    force: bool = False

    @classmethod
    def of(cls, request: Request, options: str) -> Intent:
        """Read it from a request; `options` are what Kubernetes calls its parameters.

        Raises
        ------
        StatusError
            422 for parameters that are not allowed.
        """
        params, agent = request.query_params, request.headers.get("user-agent", "")
        manager = managers.of_update(params, agent, options=options)
        return cls(manager, query.field_validation(params), query.dry_run(params))

    @classmethod
    def of_apply(cls, request: Request) -> Intent:
        """Read it from a request to apply an object.

        Raises
        ------
        StatusError
            422 for parameters that are not allowed.
        """
        params = request.query_params
        manager, force = managers.of_apply(params)
        return cls(manager, query.field_validation(params), query.dry_run(params), force)


class Writes:
    """Write objects for clients.

    Parameters
    ----------
    store
        Where they go.
    namespaces
        Gives them a namespace.
    deletion
        Removes what an update lets go of.
    """

    def __init__(self, store: Store, namespaces: Namespaces, deletion: Deletion) -> None:
        self._store = store
        self._namespaces = namespaces
        self._deletion = deletion

    def create(
        self, resource: Resource, obj: Any, namespace: str, intent: Intent
    ) -> tuple[Json, list[str]]:
        """Store a new object; return it with warnings about what was sent."""
        warnings = intake.new_object(resource, obj, namespace, intent.validation)
        return self._add(resource, obj, namespace, intent), warnings

    def replace(
        self, resource: Resource, old: Json, new: Any, part: str, intent: Intent
    ) -> tuple[Json, list[str]]:
        """Store `new` in place of `old`: its status only, or all but its status.

        Returns
        -------
        tuple[Json, list[str]]
            The object as it is then, with warnings about what was sent.
        """
        warnings = intake.take_in(resource, new, intent.validation)
        merged = _updated(resource, old, new, part)
        managed = _manager(resource, part, intent).update(old, merged)
        return self._change(resource, old, settled(old, managed), intent), warnings

    def apply(
        self, resource: Resource, namespace: str, name: str, applied: Any, part: str, intent: Intent
    ) -> tuple[Json, bool]:
        """Apply an object on the server's side; return it, and whether it is new."""
        live = self._store.find(resource, namespace, name)
        if live is None and part == "status":
            raise not_found(resource, name)
        new = _manager(resource, part, intent).apply(live, applied, force=intent.force)
        if new.get("metadata", {}).get("name") != name:
            raise bad_request(f"the name of what is applied does not match the URL ({name})")
        if live is not None:
            return self._applied(resource, live, new, part, intent), False
        claims = new["metadata"].pop("managedFields", None)
        intake.new_object(resource, new, namespace, "Strict")
        if claims:
            new["metadata"]["managedFields"] = claims
        return self._add(resource, new, namespace, intent), True

    def _applied(
        self, resource: Resource, live: Json, new: Json, part: str, intent: Intent
    ) -> Json:
        if new is live:
            return live
        intake.take_in(resource, new, "Strict")
        merged = _updated(resource, live, new, part)
        claims = new["metadata"].get("managedFields")
        merged["metadata"] = {**merged["metadata"], "managedFields": claims}
        return self._change(resource, live, settled(live, merged), intent)

    def _add(self, resource: Resource, obj: Json, namespace: str, intent: Intent) -> Json:
        if intent.dry:
            if self._store.find(resource, namespace, obj["metadata"]["name"]) is not None:
                raise exists(resource, obj["metadata"]["name"])
            return obj
        intake.check_size(obj)
        with self._store.transaction():
            if namespace:
                self._namespaces.provide(namespace)
            return self._store.create(resource, obj)

    def _change(self, resource: Resource, old: Json, new: Json, intent: Intent) -> Json:
        if new == old or intent.dry:
            return new
        intake.check_size(new)
        with self._store.transaction():
            return self._deletion.remove_if_free(resource, self._store.update(resource, new))


def _updated(resource: Resource, old: Json, new: Json, part: str) -> Json:
    if part == "status":
        return intake.with_new_status(resource, old, new)
    return intake.with_new_spec(resource, old, new)


def _manager(resource: Resource, part: str, intent: Intent) -> FieldManager:
    subresource = "status" if part == "status" else ""
    return FieldManager(intent.manager, resource, schemas.of(resource), time.time(), subresource)
