"""Field managers, their entries in managedFields and their names in requests."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pyjob_magic.local.apiserver import managers
from pyjob_magic.local.apiserver.fields import Fields, from_wire
from pyjob_magic.local.apiserver.managers import APPLY, UPDATE, Claim, Manager
from pyjob_magic.local.status import StatusError
from tests.local.shapes import generated

Json = dict[str, Any]

ENTRY: Json = {
    "manager": "m",
    "operation": "Update",
    "apiVersion": "v1",
    "time": "2026-01-01T00:00:00Z",
    "fieldsType": "FieldsV1",
    "fieldsV1": {"f:data": {"f:a": {}}},
    "subresource": "status",
}


def some(*names: str) -> Fields:
    return from_wire({f"f:{name}": {} for name in names})


def test_entries_survive_the_wire() -> None:
    assert managers.write(managers.read([ENTRY], "v1")) == [ENTRY]


def test_entries_are_in_the_order_of_kubernetes() -> None:
    """Who applies comes first, then who came first, then by name and subresource."""
    claims = {
        Manager("a", UPDATE, "v1", "status"): Claim(some("x"), 20),
        Manager("a", UPDATE, "v1"): Claim(some("x"), 20),
        Manager("b", UPDATE, "v1"): Claim(some("x"), 10),
        Manager("c", UPDATE, "v1"): Claim(some("x"), 20.9),
        Manager("z", APPLY, "v1"): Claim(some("x"), 30),
    }
    written = [(one["manager"], one.get("subresource")) for one in managers.write(claims)]
    assert written == [("z", None), ("b", None), ("a", None), ("a", "status"), ("c", None)]


def test_entries_of_other_versions_are_left_out() -> None:
    assert managers.read([ENTRY | {"apiVersion": "v2"}], "v1") == {}


@pytest.mark.parametrize(
    "change",
    [
        {"operation": "Patch"},
        {"operation": None},
        {"fieldsType": "FieldsV2"},
        {"fieldsType": None},
        {"fieldsV1": {"x": {}}},
        {"fieldsV1": "x"},
        {"manager": 5},
        {"manager": "x" * 129},
        {"manager": "a\nb"},
        {"subresource": []},
        {"time": "soon"},
        {"time": 5},
        {"time": "0001-01-01T00:00:00"},
    ],
    ids=str,
)
def test_malformed_entries_are_said_to_be(change: Json) -> None:
    with pytest.raises(ValueError, match=r"."):
        managers.read([ENTRY | change], "v1")


@generated
@given(
    st.recursive(
        st.none() | st.booleans() | st.integers() | st.text(),
        lambda inner: st.lists(inner) | st.dictionaries(st.sampled_from([*ENTRY, "f:a"]), inner),
    )
)
def test_whatever_is_sent_is_read_or_malformed(entries: Any) -> None:
    try:
        claims = managers.read(entries, "v1")
    except ValueError:
        return
    assert managers.read(managers.write(claims), "v1") == claims


def test_the_oldest_updaters_are_put_together() -> None:
    claims = {Manager(f"m{n}", UPDATE, "v1"): Claim(some(f"f{n}"), n) for n in range(12)}
    applier = Manager("a", APPLY, "v1")
    capped = managers.capped({**claims, applier: Claim(some("x"), 0)})
    ancient = Manager("ancient-changes", UPDATE, "v1")
    assert set(capped) == {
        ancient,
        applier,
        *(Manager(f"m{n}", UPDATE, "v1") for n in range(3, 12)),
    }
    assert capped[ancient] == Claim(some("f0", "f1", "f2"), 2)
    more = managers.capped({**capped, Manager("new", UPDATE, "v1"): Claim(some("y"), 20)})
    assert more[ancient] == Claim(some("f0", "f1", "f2", "f3"), 3)


@pytest.mark.parametrize(
    ("params", "agent", "name"),
    [
        ({"fieldManager": "me"}, "kubectl/v1.32 (linux)", "me"),
        ({}, "kubectl/v1.32 (linux)", "kubectl"),
        ({"fieldManager": ""}, "py\x00thon", "python"),
        ({}, "é" * 100, "é" * 64),
        ({}, "", ""),
    ],
)
def test_updates_are_those_of_the_named_manager_or_else_of_the_user_agent(
    params: dict[str, str], agent: str, name: str
) -> None:
    assert managers.of_update(params, agent, options="UpdateOptions") == name


def test_an_apply_says_who_it_is_and_whether_it_insists() -> None:
    assert managers.of_apply({"fieldManager": "me"}) == ("me", False)
    assert managers.of_apply({"fieldManager": "me", "force": "true"}) == ("me", True)


@pytest.mark.parametrize(
    ("params", "message"),
    [
        ({}, "fieldManager: Required value: is required for apply patch"),
        (
            {"fieldManager": "x" * 129},
            "fieldManager: Too long: may not be more than 128 bytes",
        ),
        (
            {"fieldManager": "a\n"},
            'fieldManager: Invalid value: "a\\n": invalid character U+000A (at position 1)',
        ),
    ],
)
def test_an_apply_must_name_its_manager_well(params: dict[str, str], message: str) -> None:
    with pytest.raises(StatusError) as refused:
        managers.of_apply(params)
    assert refused.value.code == 422
    assert str(refused.value) == f'PatchOptions.meta.k8s.io "" is invalid: {message}'


def test_only_an_apply_may_insist() -> None:
    with pytest.raises(StatusError, match="force: Forbidden: may not be specified for non-apply"):
        managers.of_update({"force": "true"}, "", options="PatchOptions")
