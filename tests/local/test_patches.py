"""JSON Merge Patch and JSON Patch."""

from __future__ import annotations

import copy
import json
from collections.abc import Iterator
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pyjob_magic.local.apiserver import patches
from pyjob_magic.local.apiserver.patches import apply_operations
from pyjob_magic.local.status import StatusError
from tests.local.kubectl import needs_kubectl, patched
from tests.local.shapes import generated

Json = dict[str, Any]
Path = tuple[Any, ...]

keys = st.sampled_from(["a", "b", "/", "~", "0", ""])
CONFIG_MAP: Json = {
    "apiVersion": "v1",
    "kind": "ConfigMap",
    "metadata": {"name": "c", "labels": {"a": "1", "x/y": "2"}, "finalizers": ["x/a", "x/b"]},
    "data": {"k": "v", "~": "tilde"},
}


def operation(kind: str, path: str, **members: Any) -> Json:
    return {"op": kind, "path": path, **members}


def refusal(target: Json, operations: Any) -> StatusError:
    with pytest.raises(StatusError) as refused:
        apply_operations(target, operations)
    return refused.value


def test_operations_are_applied_in_their_order() -> None:
    patch = [
        operation("add", "/a", value=[]),
        operation("add", "/a/-", value=1),
        operation("add", "/a/0", value=0),
        operation("copy", "/b", **{"from": "/a"}),
        operation("replace", "/a/1", value=9),
        operation("move", "/c", **{"from": "/a/1"}),
        operation("test", "/c", value=9),
        operation("remove", "/a"),
    ]
    assert apply_operations({}, patch) == {"b": [0, 1], "c": 9}


def test_neither_the_object_nor_the_patch_is_changed() -> None:
    """Also where later operations change what earlier ones have put in."""
    target, patch = {"a": {"b": 1}}, [operation("add", "/c", value={}), operation("add", "/c/d")]
    before = copy.deepcopy((target, patch))
    apply_operations(target, patch)
    assert (target, patch) == before


def test_a_copy_shares_nothing_with_its_source() -> None:
    patch = [operation("copy", "/b", **{"from": "/a"}), operation("add", "/b/x", value=1)]
    assert apply_operations({"a": {}}, patch) == {"a": {}, "b": {"x": 1}}


def test_one_is_not_true() -> None:
    assert refusal({"a": 1}, [operation("test", "/a", value=True)]).code == 422


@pytest.mark.parametrize(
    "patch",
    [None, 5, "x", {"op": "add"}, [5], [None], [[]], [{"op": 5}], [{"op": "add", "path": 5}]],
    ids=str,
)
def test_what_is_no_patch_is_malformed(patch: Any) -> None:
    assert refusal({}, patch).code == 400


@pytest.mark.parametrize(
    "one",
    [
        {},
        {"op": "add"},
        operation("nope", "/a"),
        operation("add", "", value={}),
        operation("add", "a", value=1),
        operation("remove", "/x"),
        operation("remove", ""),
        operation("add", "/x/y/z", value=1),
        operation("add", "/s/y", value=1),
        operation("add", "/l/3", value=1),
        operation("add", "/l/-4", value=1),
        operation("add", "/l/x", value=1),
        operation("add", f"/l/{'9' * 5000}", value=1),
        operation("add", "/l/\u0663", value=1),
        operation("replace", "/l/-", value=1),
        operation("replace", "/l/2", value=1),
        operation("move", "/a"),
        operation("move", "/a", **{"from": "/x"}),
        operation("move", "/o/b", **{"from": "/o"}),
        operation("copy", "/a", **{"from": "/l/2"}),
        operation("replace", "", value=[]),
        operation("replace", ""),
    ],
    ids=str,
)
def test_what_cannot_be_applied_is_unprocessable(one: Json) -> None:
    assert refusal({"s": "text", "l": [1, 2], "o": {}}, [one]).code == 422


def test_a_failed_test_quotes_no_value() -> None:
    """The object may be a Secret."""
    message = str(refusal({"data": {"p": "hunter2"}}, [operation("test", "/data/p", value="x")]))
    assert "/data/p" in message
    assert "hunter2" not in message


def test_too_many_operations_are_too_large() -> None:
    patch = [operation("test", "", value={})]
    assert apply_operations({}, patch * 10_000) == {}
    assert refusal({}, patch * 10_001).code == 413


def test_copies_of_copies_are_limited() -> None:
    """Each doubles the object; after twenty-two it would have 40 million parts."""
    bomb = [operation("copy", "/x/-", **{"from": "/x"})] * 22
    assert refusal({"x": ["ten bytes"]}, bomb).code == 422


def test_nulls_in_a_merge_patch_remove() -> None:
    target = {"a": {"b": 1, "c": 2}}
    assert patches.merge(target, {"a": {"b": None, "d": {"e": None}}}) == {"a": {"c": 2, "d": {}}}


json_values = st.recursive(
    st.none() | st.booleans() | st.integers(0, 3) | st.sampled_from("xyz"),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(keys, inner, max_size=3),
    max_leaves=8,
)


@generated
@given(st.dictionaries(keys, json_values, min_size=1, max_size=3), st.data())
def test_operations_do_what_a_naive_model_does(target: Json, data: st.DataObject) -> None:
    expected: Any = target
    patch = []
    for _ in range(data.draw(st.integers(1, 4))):
        if not (places := list(paths(expected))):
            break
        kind = data.draw(st.sampled_from(["add", "remove", "replace", "copy", "move", "test"]))
        path, source = (data.draw(st.sampled_from(places)) for _ in range(2))
        if kind == "move" and path[: len(source)] == source:
            continue  # into itself
        value = found(expected, path) if kind == "test" else data.draw(json_values)
        one = operation(kind, pointer(path), value=value, **{"from": pointer(source)})
        if kind == "move" and not fits(without(expected, source), path):
            continue
        patch.append(one)
        expected = modelled(expected, kind, path, source, value)
    assert apply_operations(target, patch) == expected


def modelled(document: Any, kind: str, path: Path, source: Path, value: Any) -> Any:
    match kind:
        case "remove":
            return without(document, path)
        case "replace":
            return put(without(document, path), path, value)
        case "copy":
            return put(document, path, found(document, source))
        case "move":
            return put(without(document, source), path, found(document, source))
        case "add":
            return put(document, path, value)
    return document


def paths(value: Any) -> Iterator[Path]:
    entries = value.items() if isinstance(value, dict) else enumerate(value)
    for key, inner in entries:
        yield (key,)
        if isinstance(inner, dict | list):
            yield from ((key, *path) for path in paths(inner))


def pointer(path: Path) -> str:
    return "".join("/" + str(key).replace("~", "~0").replace("/", "~1") for key in path)


def found(value: Any, path: Path) -> Any:
    return found(value[path[0]], path[1:]) if path else value


def fits(value: Any, path: Path) -> bool:
    """Whether something can be put at a path that was one before something was removed."""
    try:
        holder = found(value, path[:-1])
    except (LookupError, TypeError):
        return False
    if isinstance(holder, list):
        return isinstance(path[-1], int) and path[-1] <= len(holder)
    return isinstance(holder, dict) and isinstance(path[-1], str)


def without(value: Any, path: Path) -> Any:
    key, *rest = path
    if isinstance(value, dict):
        kept = {name: inner for name, inner in value.items() if name != key}
        return {**kept, key: without(value[key], tuple(rest))} if rest else kept
    kept_items = [*value[:key], *value[key + 1 :]]
    return put(kept_items, (key,), without(value[key], tuple(rest))) if rest else kept_items


def put(value: Any, path: Path, new: Any) -> Any:
    key, *rest = path
    inner = put(value[key], tuple(rest), new) if rest else new
    if isinstance(value, dict):
        return {**value, key: inner}
    return [*value[:key], inner, *value[key + (1 if rest else 0) :]]


JSON_PATCHES: list[list[Json]] = [
    [operation("add", "/data/new", value="x"), operation("remove", "/data/k")],
    [operation("replace", "/data/absent", value="x")],
    [operation("test", "/data/absent", value=None), operation("add", "/data/q", value="y")],
    [operation("test", "/data/k", value="other")],
    [operation("add", "/metadata/labels/z")],
    [operation("remove", "/metadata/labels/x~1y"), operation("remove", "/data/~0")],
    [operation("remove", "/metadata/finalizers/-1")],
    [operation("add", "/metadata/finalizers/-1", value="x/c")],
    [operation("add", "/metadata/finalizers/+1", value="x/c")],
    [operation("add", "/metadata/finalizers/3", value="x/c")],
    [operation("copy", "/data/copy", **{"from": "/data/absent"})],
    [operation("move", "/data/moved", **{"from": "/data/absent"})],
    [operation("move", "/metadata/annotations", **{"from": "/metadata/labels"})],
    [operation("nope", "/data/k")],
]
MERGE_PATCHES: list[Any] = [
    {"data": {"k": None, "n": "x"}},
    {"metadata": {"finalizers": ["x/c"]}},
    {"data": None, "binaryData": {"x": "eA==", "y": None}},
    {"list": [1, None, {"a": 1}]},
]


@needs_kubectl
@pytest.mark.parametrize("patch", JSON_PATCHES, ids=json.dumps)
def test_json_patches_as_kubernetes_applies_them(patch: list[Json]) -> None:
    """Also where its library is more lenient than the RFC."""
    expected = patched(CONFIG_MAP, "json", patch)
    if expected is None:
        assert refusal(CONFIG_MAP, patch).code == 422
    else:
        assert apply_operations(CONFIG_MAP, patch) == expected


@needs_kubectl
@pytest.mark.parametrize("patch", MERGE_PATCHES, ids=json.dumps)
def test_merge_patches_as_kubernetes_applies_them(patch: Json) -> None:
    assert patches.merge(CONFIG_MAP, patch) == patched(CONFIG_MAP, "merge", patch)
