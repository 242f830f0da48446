"""Namespaces: made when something is put into them, gone when they are empty.

That of a cluster with the admission plugin ``NamespaceAutoProvision``: on one machine with one
user there is nothing to keep apart, so nobody has to ask for a namespace first.
"""

from __future__ import annotations

import time

from pyjob_magic.local.apiserver import intake
from pyjob_magic.local.control.controller import Controller
from pyjob_magic.local.control.garbage import DEPENDENTS, finalizers
from pyjob_magic.local.objects import Json, terminating, timestamp
from pyjob_magic.local.resources import EVENTS, NAMESPACES
from pyjob_magic.local.status import StatusError
from pyjob_magic.local.store import Change

_CONTENT = tuple(resource for resource in DEPENDENTS if resource != EVENTS)


class Namespaces:
    """The namespaces of a store.

    Parameters
    ----------
    controller
        Has the store, and the garbage collector for what is in them.
    """

    def __init__(self, controller: Controller) -> None:
        self._store = controller.store
        self._garbage = controller.garbage
        self._ending: set[str] = set()
        self._store.subscribe(self._changed)
        controller.on_charge.append(self._take_over)

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
        """Delete a namespace: first what is in it, then itself; return its last state."""
        meta = namespace["metadata"]
        if not terminating(namespace):
            meta |= {"deletionTimestamp": timestamp(time.time()), "deletionGracePeriodSeconds": 0}
            namespace["status"] = {"phase": "Terminating"}
            namespace = self._store.update(NAMESPACES, namespace)
        self._end_content(meta["name"])
        return namespace

    def _take_over(self) -> None:
        """Go on where the API process before this one stopped."""
        self.provide("default")
        for namespace in self._store.objects(NAMESPACES):
            if terminating(namespace):
                self._end_content(namespace["metadata"]["name"])

    def _end_content(self, name: str) -> None:
        self._ending.add(name)
        for resource in _CONTENT:
            for obj in self._store.objects(resource, name):
                if not terminating(obj):
                    self._garbage.delete(resource, obj)
        self._remove_if_empty(name)

    def _changed(self, change: Change) -> None:
        if change.namespace in self._ending and change.type == "DELETED":
            self._remove_if_empty(change.namespace)
        elif change.resource == NAMESPACES.plural and change.type == "MODIFIED":
            name = change.object["metadata"]["name"]  # a finalizer may have been taken off
            if name in self._ending:
                self._remove_if_empty(name)

    def _remove_if_empty(self, name: str) -> None:
        if any(next(self._store.objects(resource, name), None) for resource in _CONTENT):
            return
        found = self._store.find(NAMESPACES, "", name)
        if found is not None and finalizers(found):
            return
        for event in self._store.objects(EVENTS, name):  # what went last was remarked, too
            self._store.delete(EVENTS, event)
        if found is not None:
            self._store.delete(NAMESPACES, found)
        self._ending.discard(name)
