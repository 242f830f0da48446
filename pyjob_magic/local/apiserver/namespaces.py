"""Namespaces: made when something is put into them, gone when they are empty.

That of a cluster with the admission plugin ``NamespaceAutoProvision``: on one machine with one
user there is nothing to keep apart, so nobody has to ask for a namespace first.
"""

from __future__ import annotations

from pyjob_magic.local.apiserver import intake
from pyjob_magic.local.objects import Json, terminating
from pyjob_magic.local.resources import EVENTS, NAMESPACES, STORED
from pyjob_magic.local.status import StatusError
from pyjob_magic.local.store import Change, Store

_CONTENT = tuple(resource for resource in STORED if resource.namespaced and resource != EVENTS)


class Namespaces:
    """The namespaces of a store.

    Parameters
    ----------
    store
        Where they are, with all that is in them.
    """

    def __init__(self, store: Store) -> None:
        self._store = store
        self._ending = {
            namespace["metadata"]["name"]
            for namespace in store.objects(NAMESPACES)
            if terminating(namespace)
        }
        self.provide("default")
        store.subscribe(self._changed)
        for name in tuple(self._ending):
            self._remove_if_empty(name)

    def provide(self, name: str) -> None:
        """Make a namespace if it does not exist.

        Raises
        ------
        StatusError
            403, if it is being deleted.
        """
        found = self._store.find(NAMESPACES, "", name)
        if found is None:
            namespace = {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name}}
            intake.new_object(NAMESPACES, namespace, "", "Ignore")
            self._store.create(NAMESPACES, namespace)
        elif terminating(found):
            message = f"unable to create new content in namespace {name}: it is being terminated"
            raise StatusError(403, "Forbidden", message)

    def end(self, namespace: Json) -> Json:
        """Take note that a namespace is terminating; return its last state."""
        name = namespace["metadata"]["name"]
        namespace["status"] = {"phase": "Terminating"}
        self._ending.add(name)
        ended = self._store.update(NAMESPACES, namespace)
        self._remove_if_empty(name)
        return ended

    def _changed(self, change: Change) -> None:
        if change.type == "DELETED" and change.namespace in self._ending:
            self._remove_if_empty(change.namespace)

    def _remove_if_empty(self, name: str) -> None:
        if any(next(self._store.objects(resource, name), None) for resource in _CONTENT):
            return
        for event in self._store.objects(EVENTS, name):  # what went last was remarked, too
            self._store.delete(EVENTS, event)
        self._ending.discard(name)
        if found := self._store.find(NAMESPACES, "", name):
            self._store.delete(NAMESPACES, found)
