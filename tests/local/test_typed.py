"""What objects claim, how they differ and merge."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pyjob_magic.local.apiserver.fields import NONE, Fields, text, to_wire
from pyjob_magic.local.apiserver.typed import claimed, compare, merge, misfits, with_named, without
from tests.local.shapes import ANYTHING, generated, shapes, values

Json = dict[str, Any]

STRING = {"type": "string"}
SHAPE: Json = {
    "type": "object",
    "properties": {
        "name": STRING,
        "args": {"type": "array", "items": STRING},
        "tags": {"type": "array", "items": STRING, "x-kubernetes-list-type": "set"},
        "labels": {"type": "object", "additionalProperties": STRING},
        "selector": {
            "type": "object",
            "additionalProperties": STRING,
            "x-kubernetes-map-type": "atomic",
        },
        "ports": {
            "type": "array",
            "x-kubernetes-list-type": "map",
            "x-kubernetes-list-map-keys": ["port", "protocol"],
            "items": {
                "type": "object",
                "properties": {
                    "port": {"type": "integer"},
                    "protocol": {"type": "string", "default": "TCP"},
                    "name": STRING,
                },
            },
        },
        "options": ANYTHING,
    },
}


def paths(fields: Fields) -> list[str]:
    return [text(path) for path in fields.paths()]


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ({"name": "x"}, [".name"]),
        ({"args": ["a", "b"]}, [".args"]),
        ({"tags": ["b", "a"]}, ['.tags[="a"]', '.tags[="b"]']),
        ({"labels": {"a": "1"}}, [".labels.a"]),
        ({"labels": {}}, [".labels"]),
        ({"selector": {"a": "1"}}, [".selector"]),
        ({"options": {"a": {"b": [1]}}}, [".options.a", ".options.a.b"]),
        ({"unknown": {"a": 1}}, [".unknown", ".unknown.a"]),
        (
            {"ports": [{"port": 80, "name": "x"}]},
            [
                '.ports[port=80,protocol="TCP"]',
                '.ports[port=80,protocol="TCP"].name',
                '.ports[port=80,protocol="TCP"].port',
            ],
        ),
    ],
    ids=str,
)
def test_what_is_applied_claims_its_leaves_and_the_places_without_a_name(
    value: Json, expected: list[str]
) -> None:
    assert paths(claimed(SHAPE, value)) == expected


@pytest.mark.parametrize(
    ("old", "new", "added", "modified", "removed"),
    [
        ({"name": "x"}, {"name": "y"}, [], [".name"], []),
        ({}, {"name": "y"}, [".name"], [], []),
        ({"name": "x"}, {}, [], [], [".name"]),
        ({"args": ["a"]}, {"args": ["a", "b"]}, [], [".args"], []),
        ({"tags": ["a"]}, {"tags": ["b"]}, ['.tags[="b"]'], [], ['.tags[="a"]']),
        ({"tags": ["a", "b"]}, {"tags": ["b", "a"]}, [], [], []),
        ({}, {"labels": {"a": "1"}}, [".labels", ".labels.a"], [], []),
        ({"labels": {}}, {"labels": {"a": "1"}}, [".labels.a"], [], []),
        ({"selector": {"a": "1"}}, {"selector": {}}, [], [".selector"], []),
        ({"options": 1}, {"options": True}, [], [".options"], []),
        ({"options": {"a": 1}}, {"options": "text"}, [], [".options"], [".options.a"]),
        ({"options": {}}, {"options": []}, [], [".options"], []),
    ],
    ids=str,
)
def test_changes_are_told_field_by_field(
    old: Json, new: Json, added: list[str], modified: list[str], removed: list[str]
) -> None:
    assert [paths(part) for part in compare(SHAPE, old, new)] == [added, modified, removed]


def test_a_list_that_does_not_keep_to_its_type_is_one_whole() -> None:
    lists: list[Any] = [[{"name": "x"}], [{"port": 1}, {"port": 1}], [5], [{"port": {}}]]
    for ports in lists:
        assert paths(claimed(SHAPE, {"ports": ports})) == [".ports"]
        assert list(misfits(SHAPE, {"ports": ports})) == [
            ".ports: each element of the list needs its own port, protocol"
        ]
    assert list(misfits(SHAPE, {"tags": ["a", None]})) == [
        ".tags: each element of the list needs its own value"
    ]
    assert not list(misfits(SHAPE, {"tags": ["a"], "ports": [{"port": 1}], "args": ["a", "a"]}))


@pytest.mark.parametrize(
    ("live", "applied", "expected"),
    [
        ({"name": "x", "args": ["a"]}, {"args": ["b"]}, {"name": "x", "args": ["b"]}),
        ({"labels": {"a": "1"}}, {"labels": {"b": "2"}}, {"labels": {"a": "1", "b": "2"}}),
        ({"labels": {"a": "1"}}, {"labels": {}}, {"labels": {"a": "1"}}),
        ({"selector": {"a": "1"}}, {"selector": {"b": "2"}}, {"selector": {"b": "2"}}),
        ({"options": {"a": 1}}, {"options": "text"}, {"options": "text"}),
        (
            {"ports": [{"port": 1, "name": "x"}, {"port": 2}]},
            {"ports": [{"port": 2, "protocol": "TCP"}, {"port": 1, "protocol": "UDP"}]},
            {
                "ports": [
                    {"port": 1, "name": "x"},
                    {"port": 2, "protocol": "TCP"},
                    {"port": 1, "protocol": "UDP"},
                ]
            },
        ),
    ],
    ids=str,
)
def test_objects_merge_part_by_part(live: Json, applied: Json, expected: Json) -> None:
    assert merge(SHAPE, live, applied) == expected


@pytest.mark.parametrize(
    ("live", "applied", "expected"),
    [
        ("abc", "cab", "cab"),
        ("axb", "ab", "axb"),
        ("axb", "ba", "xba"),
        ("xa", "na", "xna"),
        ("ax", "an", "axn"),
        ("", "ab", "ab"),
        ("ab", "", "ab"),
    ],
)
def test_items_come_in_the_order_in_which_they_are_applied(
    live: str, applied: str, expected: str
) -> None:
    """The others stay before what they were before."""
    merged = merge(SHAPE, {"tags": list(live)}, {"tags": list(applied)})
    assert merged["tags"] == list(expected)


def test_a_place_is_removed_with_all_that_is_below_it() -> None:
    value = {"labels": {"a": "1", "b": "2"}, "ports": [{"port": 1, "name": "x"}, {"port": 2}]}
    gone = claimed(SHAPE, {"labels": {"a": ""}, "ports": [{"port": 1}]})
    assert without(SHAPE, value, gone) == {"labels": {"b": "2"}, "ports": [{"port": 2}]}


def test_named_places_are_those_above_what_is_claimed() -> None:
    fields = with_named(SHAPE, claimed(SHAPE, {"labels": {"a": "1"}}))
    assert to_wire(fields) == {"f:labels": {".": {}, "f:a": {}}}


@generated
@given(st.data())
def test_applied_values_are_in_what_was_merged(data: st.DataObject) -> None:
    shape = data.draw(shapes())
    live, applied = data.draw(values(shape)), data.draw(values(shape))
    merged = merge(shape, live, applied)
    assert merge(shape, merged, applied) == merged
    assert compare(shape, merged, applied).taken & claimed(shape, applied) == NONE


@generated
@given(st.data())
def test_what_is_equal_has_no_changes_and_what_has_none_is_equal(data: st.DataObject) -> None:
    """But for the order of items that have a key of their own."""
    shape = data.draw(shapes())
    old, new = data.draw(values(shape)), data.draw(values(shape))
    assert not compare(shape, old, old).any
    if not compare(shape, old, new).any:
        assert claimed(shape, old) == claimed(shape, new)


@generated
@given(st.data())
def test_what_is_added_one_way_is_removed_the_other(data: st.DataObject) -> None:
    shape = data.draw(shapes())
    old, new = data.draw(values(shape)), data.draw(values(shape))
    there, back = compare(shape, old, new), compare(shape, new, old)
    assert (there.added, there.modified, there.removed) == (back.removed, back.modified, back.added)
