"""How values are put together: which parts of one are merged, and owned, one by one.

An OpenAPI schema tells: the fields of an object, unless it is atomic, and the items of a list
that is a map or a set. Each part has a path element, written as in ``managedFields``: ``f:name``
for a field, ``k:{"name":"x"}`` for the item of a map, ``v:"x"`` for that of a set. Everything
else is one whole: scalars, atomic objects, lists of no such type, and lists that do not keep to
their type because an item has no key or is there twice.

Source: ``sigs.k8s.io/structured-merge-diff`` ``typed``; ``k8s.io/kube-openapi``
``pkg/schemaconv``.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any, NamedTuple

from pyjob_magic.local.objects import Json


class Part(NamedTuple):
    """A part of a value.

    Parameters
    ----------
    schema
        What is known about it; empty if nothing.
    named
        Whether it is a field that the schema names, not one of any number.
    value
        What it is.
    """

    schema: Json
    named: bool
    value: Any


def parts(schema: Json, value: Any) -> dict[str, Part] | None:
    """Return the parts of a value by their path elements; None if it is one whole."""
    if isinstance(value, dict) and schema.get("x-kubernetes-map-type") != "atomic":
        return {
            (element := f"f:{name}"): Part(*descend(schema, element), item)
            for name, item in value.items()
        }
    if isinstance(value, list) and is_associative(schema):
        return _items(schema, value)
    return None


def is_associative(schema: Json) -> bool:
    """Whether the schema is that of a list whose items are told apart by what is in them."""
    return schema.get("x-kubernetes-list-type") in ("map", "set")


def descend(schema: Json, element: str) -> tuple[Json, bool]:
    """Return the schema of the part at a path element, and whether that schema names it."""
    if not element.startswith("f:"):
        return schema.get("items", {}), False
    name = element.removeprefix("f:")
    if (field := schema.get("properties", {}).get(name)) is not None:
        return field, True
    others = schema.get("additionalProperties")
    return (others if isinstance(others, dict) else {}), False


def assemble(like: Any, values: Mapping[str, Any]) -> Any:
    """Put the parts of an object or list together again; `like` is one of the same kind."""
    if isinstance(like, list):
        return list(values.values())
    return {element.removeprefix("f:"): value for element, value in values.items()}


def canonical(value: Any) -> str:
    """Return JSON that is the same for equal values."""
    return json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False)


def same(one: Any, other: Any) -> bool:
    """Whether two JSON values are equal; to Python, 1 and true are, too."""
    return one == other and canonical(one) == canonical(other)


def copied(value: Any) -> Any:
    """Return a copy of a JSON value that shares nothing with it."""
    return json.loads(json.dumps(value))


def _items(schema: Json, items: list[Any]) -> dict[str, Part] | None:
    found: dict[str, Part] = {}
    for item in items:
        element = _element(schema, item)
        if element is None or element in found:
            return None
        found[element] = Part(*descend(schema, element), item)
    return found


def _element(schema: Json, item: Any) -> str | None:
    """Return the path element of an item; None if it can have none."""
    if schema["x-kubernetes-list-type"] == "set":
        return f"v:{canonical(item)}" if _is_scalar(item) else None
    if not isinstance(item, dict):
        return None
    fields = schema.get("items", {}).get("properties", {})
    keys = {
        name: item.get(name, fields.get(name, {}).get("default"))
        for name in schema.get("x-kubernetes-list-map-keys", ())
    }
    return f"k:{canonical(keys)}" if keys and all(map(_is_scalar, keys.values())) else None


def _is_scalar(value: Any) -> bool:
    return isinstance(value, str | int | float)
