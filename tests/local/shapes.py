"""Generated schemas, and values that keep to them."""

from __future__ import annotations

from typing import Any

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st

Json = dict[str, Any]

# How long an example takes says more about the machine than about what is tested.
generated = settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])

ANYTHING: Json = {"x-kubernetes-preserve-unknown-fields": True}
_SCALARS: list[Json] = [{"type": "string"}, {"type": "integer"}]
_NAMES = st.sampled_from("abc")
_WORDS = st.sampled_from("xyz")
_NUMBERS = st.integers(1, 3)


def shapes() -> st.SearchStrategy[Json]:
    """Return schemas of all kinds: structs, maps, lists of each type, atomic and unknown ones."""
    return st.recursive(st.sampled_from([*_SCALARS, ANYTHING]), _composed, max_leaves=6)


def structs() -> st.SearchStrategy[Json]:
    """Return schemas of objects with named fields."""
    return st.dictionaries(_NAMES, shapes(), min_size=1, max_size=3).map(
        lambda fields: {"type": "object", "properties": fields}
    )


def values(shape: Json) -> st.SearchStrategy[Any]:
    """Return values of a schema."""
    kind = shape.get("type")
    if kind == "string":
        return _WORDS
    if kind == "integer":
        return _NUMBERS
    if kind == "array":
        return _lists(shape)
    if "properties" in shape:
        fields = {name: values(inner) for name, inner in shape["properties"].items()}
        return st.fixed_dictionaries({}, optional=fields)
    if "additionalProperties" in shape:
        return st.dictionaries(_NAMES, values(shape["additionalProperties"]), max_size=2)
    return st.recursive(
        _WORDS | _NUMBERS,
        lambda inner: st.lists(inner, max_size=2) | st.dictionaries(_NAMES, inner, max_size=2),
        max_leaves=4,
    )


def _composed(inner: st.SearchStrategy[Json]) -> st.SearchStrategy[Json]:
    fields = st.dictionaries(_NAMES, inner, min_size=1, max_size=3)
    atomic = st.sampled_from([{}, {}, {"x-kubernetes-map-type": "atomic"}])
    return st.one_of(
        st.builds(
            lambda named, more: {"type": "object", "properties": named, **more}, fields, atomic
        ),
        st.builds(
            lambda each, more: {"type": "object", "additionalProperties": each, **more},
            inner,
            atomic,
        ),
        inner.map(lambda item: {"type": "array", "items": item}),
        st.just({"type": "array", "items": _SCALARS[0], "x-kubernetes-list-type": "set"}),
        fields.map(_map_list),
    )


def _map_list(fields: Json) -> Json:
    keys = {"name": {"type": "string"}, "port": {"type": "integer", "default": 80}}
    return {
        "type": "array",
        "items": {"type": "object", "properties": {**fields, **keys}, "required": ["name"]},
        "x-kubernetes-list-type": "map",
        "x-kubernetes-list-map-keys": ["name", "port"],
    }


def _lists(shape: Json) -> st.SearchStrategy[list[Any]]:
    kind = shape.get("x-kubernetes-list-type")
    if kind == "set":
        return st.lists(_WORDS, unique=True, max_size=3)
    if kind is None:
        return st.lists(values(shape["items"]), max_size=2)
    fields = {name: values(inner) for name, inner in shape["items"]["properties"].items()}
    items = st.fixed_dictionaries({"name": fields.pop("name")}, optional=fields)
    return st.lists(items, max_size=3, unique_by=lambda item: (item["name"], item.get("port", 80)))
