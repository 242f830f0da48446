"""The resources that the embedded API serves."""

from __future__ import annotations

from dataclasses import dataclass

from pyjob_magic.local.objects import Json

_READ = ("get", "list", "watch")
_REMOVE = ("delete", "deletecollection")
_WRITE = ("create", "patch", "update")


@dataclass(frozen=True)
class Resource:
    """A kind of object and where it lives.

    Parameters
    ----------
    plural
        The name in paths.
    kind
        The name in objects.
    group
        API group; empty for the core.
    verbs
        What can be done with it.
    short_names
        What ``kubectl`` also calls it.
    custom
        Whether it is a custom resource: its JSON has sorted keys and its items name their kind.
    namespaced
        Whether its objects live in a namespace.
    subresources
        What can be asked for below an object; those with ``status`` keep it apart from the rest.
    """

    plural: str
    kind: str
    group: str = ""
    verbs: tuple[str, ...] = _READ
    short_names: tuple[str, ...] = ()
    custom: bool = False
    namespaced: bool = True
    subresources: tuple[str, ...] = ()

    @property
    def api_version(self) -> str:
        """Group and version, as objects name it."""
        return f"{self.group}/v1" if self.group else "v1"

    @property
    def qualified(self) -> str:
        """The plural with its group, as messages name it."""
        return f"{self.plural}.{self.group}" if self.group else self.plural

    @property
    def root(self) -> str:
        """Where its paths begin."""
        return f"/apis/{self.group}/v1" if self.group else "/api/v1"

    def details(self, name: str = "") -> Json:
        """Return the ``details`` of a Status about the object `name`."""
        entries = {"name": name, "group": self.group, "kind": self.plural}
        return {key: value for key, value in entries.items() if value}

    def discovery(self) -> Json:
        """Return its entry in an APIResourceList."""
        entry: Json = {
            "name": self.plural,
            "singularName": self.kind.lower(),
            "namespaced": self.namespaced,
            "kind": self.kind,
            "verbs": sorted(self.verbs),
        }
        return entry | ({"shortNames": list(self.short_names)} if self.short_names else {})


JOBS = Resource(
    "pytorchjobs",
    "PyTorchJob",
    "kubeflow.org",
    (*_READ, *_REMOVE, *_WRITE),
    custom=True,
    subresources=("scale", "status"),
)
PODS = Resource(
    "pods",
    "Pod",
    verbs=(*_READ, *_REMOVE, *_WRITE),
    short_names=("po",),
    subresources=("log", "status"),
)
EVENTS = Resource("events", "Event", verbs=(*_READ, *_REMOVE, *_WRITE), short_names=("ev",))
CONFIG_MAPS = Resource(
    "configmaps", "ConfigMap", verbs=(*_READ, *_REMOVE, *_WRITE), short_names=("cm",)
)
SECRETS = Resource("secrets", "Secret", verbs=(*_READ, *_REMOVE, *_WRITE))
SERVICES = Resource(
    "services", "Service", verbs=(*_READ, *_REMOVE, "patch", "update"), short_names=("svc",)
)
NAMESPACES = Resource(
    "namespaces",
    "Namespace",
    verbs=(*_READ, "delete", *_WRITE),
    short_names=("ns",),
    namespaced=False,
)
NODES = Resource("nodes", "Node", short_names=("no",), namespaced=False)

STORED = (JOBS, PODS, EVENTS, CONFIG_MAPS, SECRETS, SERVICES, NAMESPACES, NODES)
