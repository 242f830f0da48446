"""What a pod refers to: its own fields, keys of ConfigMaps and of Secrets.

Source: ``pkg/kubelet/kubelet_pods.go`` and ``pkg/fieldpath`` of Kubernetes.
"""

from __future__ import annotations

import base64
import math
import re
from collections.abc import Callable, Mapping
from typing import Any

from pyjob_magic.local.kubelet import machine
from pyjob_magic.local.kubelet.environment import LOOPBACK, is_variable
from pyjob_magic.local.objects import Json, containers, labels, notes
from pyjob_magic.local.resources import CONFIG_MAPS, SECRETS, Resource
from pyjob_magic.quantity import Quantity

Find = Callable[[Resource, str], Json | None]  # by name; None if there is none of it (yet)
_ENTRY = re.compile(r"metadata\.(?P<map>labels|annotations)\['(?P<key>[^']+)'\]")
_QUOTED = {"\\": r"\\", '"': r"\"", "\n": r"\n", "\r": r"\r", "\t": r"\t"}


class MissingError(Exception):
    """What is referred to does not exist, and is not optional."""


class References:
    """Resolve ``valueFrom`` and ``envFrom`` of one container of a pod.

    Attributes
    ----------
    skipped
        Sentences about keys that cannot be variables.
    """

    def __init__(self, pod: Json, container: Json, find: Find) -> None:
        self._pod = pod
        self._container = container
        self._find = find
        self.skipped: list[str] = []

    def value(self, source: Json) -> str | None:
        """Return the value of a ``valueFrom``; None leaves the variable out."""
        if ref := source.get("fieldRef"):
            return field(self._pod, ref["fieldPath"])
        if ref := source.get("resourceFieldRef"):
            return amount(self._pod, ref, self._container)
        if ref := source.get("configMapKeyRef"):
            return self._key(CONFIG_MAPS, ref)
        if ref := source.get("secretKeyRef"):
            return self._key(SECRETS, ref)
        return None

    def variables(self, source: Json) -> Mapping[str, str]:
        """Return the variables of an ``envFrom`` entry."""
        prefix, variables = source.get("prefix") or "", {}
        for word, resource in (("configMapRef", CONFIG_MAPS), ("secretRef", SECRETS)):
            if ref := source.get(word):
                found = texts(resource, contents(self._find, resource, ref))
                variables = {prefix + key: text for key, text in found.items()}
                self._skip(word.removesuffix("Ref"), ref, variables)
        return {name: text for name, text in variables.items() if is_variable(name)}

    def _skip(self, kind: str, ref: Json, variables: Mapping[str, str]) -> None:
        bad = sorted(name for name in variables if not is_variable(name))
        if bad:
            where = f"{kind} {self._pod['metadata']['namespace']}/{ref.get('name', '')}"
            self.skipped.append(
                f"Keys [{', '.join(bad)}] from the EnvFrom {where} were skipped since they are "
                "considered invalid environment variable names."
            )

    def _key(self, resource: Resource, ref: Json) -> str | None:
        value = texts(resource, contents(self._find, resource, ref)).get(ref["key"])
        if value is None and not ref.get("optional"):
            where = f"{resource.kind} {self._pod['metadata']['namespace']}/{ref.get('name', '')}"
            raise MissingError(f"couldn't find key {ref['key']} in {where}")
        return value


def contents(find: Find, resource: Resource, ref: Json, key: str = "name") -> Json:
    """Return the ConfigMap or the Secret that is referred to; an empty one if it is optional.

    Raises
    ------
    MissingError
        If there is none.
    """
    name = ref.get(key) or ""
    found = find(resource, name)
    if found is None and not ref.get("optional"):
        raise MissingError(f'{resource.kind.lower()} "{name}" not found')
    return found or {}


def texts(resource: Resource, obj: Json) -> dict[str, str]:
    """Return what a ConfigMap or a Secret holds for variables; bytes that are no text are kept."""
    if resource == SECRETS:
        return {key: data.decode(errors="surrogateescape") for key, data in files(obj).items()}
    return dict(obj.get("data") or {})


def files(obj: Json) -> dict[str, bytes]:
    """Return what a ConfigMap or a Secret holds for files."""
    if obj.get("kind") == SECRETS.kind:
        return _decoded(obj.get("data"))
    plain = {key: text.encode() for key, text in (obj.get("data") or {}).items()}
    return plain | _decoded(obj.get("binaryData"))


def _decoded(data: Mapping[str, str] | None) -> dict[str, bytes]:
    return {key: base64.b64decode(text) for key, text in (data or {}).items()}


def field(pod: Json, path: str) -> str | None:
    """Return a field of the pod, as the downward API names it."""
    if match := _ENTRY.fullmatch(path):
        return str((pod["metadata"].get(match["map"]) or {}).get(match["key"], ""))
    if path in ("metadata.labels", "metadata.annotations"):
        return _listed(labels(pod) if path == "metadata.labels" else notes(pod))
    if path in ("status.podIP", "status.hostIP", "status.podIPs", "status.hostIPs"):
        return LOOPBACK
    value: Any = pod
    for name in path.split("."):
        value = value.get(name) if isinstance(value, dict) else None
    return None if value is None else str(value)


def _listed(entries: Mapping[str, str]) -> str:
    """Return labels or annotations as a file lists them."""
    quoted = re.compile("|".join(map(re.escape, _QUOTED)))
    return "\n".join(
        f'{key}="{quoted.sub(lambda match: _QUOTED[match[0]], text)}"'
        for key, text in sorted(entries.items())
    )


def amount(pod: Json, ref: Json, container: Json | None = None) -> str:
    """Return an amount of a container's resources, rounded up to whole divisors.

    What has no limit may use all that this machine has.
    """
    if name := ref.get("containerName"):
        container = next((each for each in containers(pod) if each["name"] == name), None)
    kind, _, resource = ref["resource"].partition(".")
    resources = (container or {}).get("resources") or {}
    limits = {**machine.capacity(0), **(resources.get("limits") or {})}
    requests = {**(resources.get("limits") or {}), **(resources.get("requests") or {})}
    given = (limits if kind == "limits" else requests).get(resource, 0)
    divisor = Quantity(ref.get("divisor") or 1).value or 1
    return str(math.ceil(Quantity(str(given)).value / divisor))
