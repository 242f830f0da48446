"""What a container's environment refers to: fields of its pod, keys of ConfigMaps."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import Any

from pyjob_magic.local.objects import Json
from pyjob_magic.quantity import Quantity

ConfigMaps = Callable[[str], Json | None]  # by name; None if there is none of it (yet)
_ENTRY = re.compile(r"metadata\.(?P<map>labels|annotations)\['(?P<key>[^']+)'\]")


class MissingError(Exception):
    """What is referred to does not exist, and is not optional."""


class References:
    """Resolve ``valueFrom`` and ``envFrom`` of one container of a pod.

    Secrets are not kept on this machine: what comes from one is left out.
    """

    def __init__(self, pod: Json, container: Json, config_map: ConfigMaps) -> None:
        self._pod = pod
        self._container = container
        self._config_map = config_map

    def value(self, source: Json) -> str | None:
        """Return the value of a ``valueFrom``; None leaves the variable out."""
        if ref := source.get("fieldRef"):
            return field(self._pod, ref["fieldPath"])
        if ref := source.get("resourceFieldRef"):
            return self._amount(ref)
        if ref := source.get("configMapKeyRef"):
            data = self._data(ref)
            value = None if data is None else data.get(ref["key"])
            if value is None and not ref.get("optional"):
                raise MissingError(f"couldn't find key {ref['key']} in ConfigMap {ref['name']}")
            return value
        return None

    def variables(self, source: Json) -> Mapping[str, str]:
        """Return the variables of an ``envFrom`` entry."""
        ref = source.get("configMapRef")
        data = self._data(ref) if ref else None
        prefix = source.get("prefix", "")
        return {prefix + key: value for key, value in (data or {}).items()}

    def _data(self, ref: Json) -> dict[str, str] | None:
        found = self._config_map(ref.get("name", ""))
        if found is None:
            if ref.get("optional"):
                return None
            raise MissingError(f'configmap "{ref.get("name", "")}" not found')
        data: dict[str, str] = found.get("data") or {}
        return data

    def _amount(self, ref: Json) -> str | None:
        kind, _, resource = ref["resource"].partition(".")
        amounts = (self._container.get("resources") or {}).get(kind) or {}
        if resource not in amounts:
            return None
        divisor = Quantity(ref.get("divisor") or 1).value or 1
        try:
            return str(-int(-Quantity(amounts[resource]).value // divisor))
        except ArithmeticError:
            raise ValueError(f"{amounts[resource]} cannot be divided by {divisor}") from None


def field(pod: Json, path: str) -> str | None:
    """Return a field of the pod, as the downward API names it."""
    if match := _ENTRY.fullmatch(path):
        return str((pod["metadata"].get(match["map"]) or {}).get(match["key"], ""))
    if path in ("status.podIP", "status.hostIP", "status.podIPs", "status.hostIPs"):
        return "127.0.0.1"
    value: Any = pod
    for name in path.split("."):
        value = value.get(name) if isinstance(value, dict) else None
    return None if value is None else str(value)
