"""Sets of fields and their wire form."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pyjob_magic.local.apiserver.fields import NONE, Fields, from_wire, text, to_wire
from tests.local.shapes import generated

elements = st.sampled_from(
    [
        "f:a",
        "f:",
        "f:x/y",
        "f:.",
        'k:{"name":"x"}',
        'k:{"name":"x","port":80}',
        'v:"x"',
        "v:1",
        "i:0",
    ]
)
sets = st.recursive(
    st.just(Fields(True)),
    lambda inner: st.builds(Fields.of, st.booleans(), st.dictionaries(elements, inner, max_size=3)),
    max_leaves=6,
).map(lambda fields: Fields(False, fields.below))


@generated
@given(sets)
def test_sets_survive_the_wire(fields: Fields) -> None:
    assert from_wire(to_wire(fields)) == fields


@generated
@given(sets, sets)
def test_sets_combine_like_sets_of_paths(one: Fields, other: Fields) -> None:
    first, second = set(one.paths()), set(other.paths())
    assert set((one | other).paths()) == first | second
    assert set((one & other).paths()) == first & second
    assert set((one - other).paths()) == first - second


@generated
@given(sets, sets)
def test_what_nothing_is_left_of_is_empty(one: Fields, other: Fields) -> None:
    """However deep it was: what is equal also looks equal."""
    assert one - (one | other) == NONE
    assert (one | other) - other == one - other


def test_a_place_with_parts_is_marked_by_a_dot() -> None:
    wire: dict[str, Any] = {"f:a": {".": {}, "f:b": {}}, "f:c": {"f:d": {}}}
    assert list(from_wire(wire).paths()) == [("f:a",), ("f:a", "f:b"), ("f:c", "f:d")]


def test_elements_of_unknown_types_are_left_out() -> None:
    assert from_wire({"x:1": {}, "f:a": {}}) == from_wire({"f:a": {}})


def test_keys_are_equal_however_they_are_written() -> None:
    one, other = from_wire({'k:{"b": 1, "a":"\\u0078"}': {}}), from_wire({'k:{"a":"x","b":1}': {}})
    assert one == other


@pytest.mark.parametrize(
    "wire",
    [None, [], {"a": {}}, {"f": {}}, {"": {}}, {"f:a": 1}, {"k:x": {}}, {"k:1": {}}, {"i:x": {}}],
    ids=str,
)
def test_what_is_malformed_is_said_to_be(wire: Any) -> None:
    with pytest.raises(ValueError, match=r"."):
        from_wire(wire)


def test_paths_read_as_in_the_messages_of_kubernetes() -> None:
    path = ("f:spec", 'k:{"name":"x","port":80}', 'v:"y"', "i:0")
    assert text(path) == '.spec[name="x",port=80][="y"][0]'
