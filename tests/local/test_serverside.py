"""Server-side apply and the tracking of updates."""

from __future__ import annotations

import contextlib
import copy
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pyjob_magic.local.apiserver import schemas
from pyjob_magic.local.apiserver.fields import NONE, Fields, from_wire
from pyjob_magic.local.apiserver.managers import owned, read
from pyjob_magic.local.apiserver.serverside import FieldManager, settled
from pyjob_magic.local.apiserver.structure import parts
from pyjob_magic.local.apiserver.typed import compare
from pyjob_magic.local.resources import CONFIG_MAPS, JOBS, Resource
from pyjob_magic.local.status import StatusError
from tests.local.shapes import generated, structs, values

Json = dict[str, Any]


def manager(name: str, now: float = 0, subresource: str = "") -> FieldManager:
    return FieldManager(name, JOBS, schemas.of(JOBS), now, subresource)


def a_job(**spec: Any) -> Json:
    return {
        "apiVersion": "kubeflow.org/v1",
        "kind": "PyTorchJob",
        "metadata": {"name": "j"},
        "spec": spec,
    }


def a_master(*containers: Json, **pod: Any) -> Json:
    template = {"spec": {"containers": list(containers), **pod}}
    return {"pytorchReplicaSpecs": {"Master": {"template": template}}}


def of_master(job: Json) -> Json:
    spec: Json = job["spec"]["pytorchReplicaSpecs"]["Master"]["template"]["spec"]
    return spec


def stored(job: Json) -> Json:
    """Return a job as a server keeps it."""
    identity = {"uid": "u", "resourceVersion": "1", "generation": 1, "creationTimestamp": "t"}
    return {**job, "metadata": {**job["metadata"], **identity}}


def changed(job: Json, **spec: Any) -> Json:
    """Return a job with other fields of its spec; None removes one."""
    kept = {key: value for key, value in {**job["spec"], **spec}.items() if value is not None}
    return {**job, "spec": kept}


def entries(obj: Json) -> dict[tuple[str, str], Json]:
    """Return what each manager owns, by name and operation."""
    found = obj["metadata"].get("managedFields", [])
    return {(entry["manager"], entry["operation"]): entry["fieldsV1"] for entry in found}


def conflict(*arguments: Any, by: FieldManager) -> StatusError:
    with pytest.raises(StatusError) as refused:
        by.apply(*arguments)
    assert refused.value.code == 409
    return refused.value


def test_what_is_applied_first_is_the_object() -> None:
    job = a_job(nprocPerNode="2")
    created = manager("me").apply(None, job)
    assert created["metadata"].pop("managedFields") == [
        {
            "manager": "me",
            "operation": "Apply",
            "apiVersion": "kubeflow.org/v1",
            "time": "1970-01-01T00:00:00Z",
            "fieldsType": "FieldsV1",
            "fieldsV1": {"f:spec": {"f:nprocPerNode": {}}},
        }
    ]
    assert created == job


def test_what_was_there_before_the_first_apply_belongs_to_nobody_in_particular() -> None:
    live = stored(a_job(nprocPerNode="2", runPolicy={"suspend": True}))
    applied = manager("me").apply(live, a_job(nprocPerNode="2"))
    assert entries(applied) == {
        ("before-first-apply", "Update"): {
            "f:spec": {
                ".": {},
                "f:nprocPerNode": {},
                "f:runPolicy": {".": {}, "f:suspend": {}},
            }
        },
        ("me", "Apply"): {"f:spec": {"f:nprocPerNode": {}}},
    }


def test_identity_and_status_belong_to_nobody() -> None:
    live = stored(a_job(nprocPerNode="2")) | {"status": {"startTime": "2026-01-01T00:00:00Z"}}
    applied = {**a_job(nprocPerNode="2"), "status": {"startTime": "2027-01-01T00:00:00Z"}}
    applied["metadata"] |= {"uid": "u", "resourceVersion": "1", "labels": {"a": "1"}}
    result = manager("me").apply(live, applied)
    assert entries(result)["me", "Apply"] == {
        "f:metadata": {"f:labels": {"f:a": {}}},
        "f:spec": {"f:nprocPerNode": {}},
    }
    assert result["status"] == live["status"]
    assert "f:status" not in entries(result)["before-first-apply", "Update"]


def test_status_is_applied_through_its_subresource() -> None:
    live = manager("me").apply(None, a_job(nprocPerNode="2"))
    applied = a_job(nprocPerNode="9") | {"status": {"startTime": "2026-01-01T00:00:00Z"}}
    result = manager("operator", subresource="status").apply(live, applied)
    assert result["spec"] == live["spec"]
    assert result["status"] == applied["status"]
    entry = result["metadata"]["managedFields"][1]
    assert (entry["manager"], entry["subresource"]) == ("operator", "status")
    assert entry["fieldsV1"] == {"f:status": {"f:startTime": {}}}


def test_an_apply_that_changes_nothing_returns_the_same_object() -> None:
    """Not even a time changes, so that the resourceVersion stays."""
    live = manager("me", now=1).apply(None, a_job(nprocPerNode="2"))
    assert manager("me", now=2).apply(live, a_job(nprocPerNode="2")) is live


def test_an_apply_that_changes_something_sets_its_time() -> None:
    live = manager("me", now=1).apply(None, a_job(nprocPerNode="2"))
    result = manager("me", now=2).apply(live, a_job(nprocPerNode="3"))
    assert result["metadata"]["managedFields"][0]["time"] == "1970-01-01T00:00:02Z"


def test_what_is_not_applied_any_more_is_removed() -> None:
    """Fields, items of lists with all that is in them, and maps that are empty then."""
    first = a_job(nprocPerNode="2", **a_master({"name": "a", "image": "i"}, {"name": "b"}))
    first["metadata"] |= {"labels": {"x": "1"}, "finalizers": ["x/a", "x/b"]}
    second = a_job(**a_master({"name": "a", "image": "i"}))
    second["metadata"] |= {"finalizers": ["x/b"]}
    live = manager("me").apply(None, first)
    live["spec"]["pytorchReplicaSpecs"]["Master"]["replicas"] = 1  # a default: nobody's
    result = manager("me").apply(live, second)
    assert result["metadata"]["finalizers"] == ["x/b"]
    assert "labels" not in result["metadata"]
    assert "nprocPerNode" not in result["spec"]
    assert of_master(result)["containers"] == [{"name": "a", "image": "i"}]
    assert result["spec"]["pytorchReplicaSpecs"]["Master"]["replicas"] == 1


def test_what_another_manager_owns_stays() -> None:
    both = a_job(nprocPerNode="2")
    live = manager("other").apply(manager("me").apply(None, both), both)
    result = manager("me").apply(live, a_job())
    assert result["spec"] == both["spec"]
    assert set(entries(result)) == {("other", "Apply"), ("me", "Apply")}
    assert entries(result)["me", "Apply"] == {"f:spec": {}}


def test_items_that_another_manager_added_stay() -> None:
    live = manager("me").apply(None, a_job(**a_master({"name": "a"})))
    live = manager("other").apply(live, a_job(**a_master({"name": "b"})))
    result = manager("me").apply(live, a_job(**a_master({"name": "c"})))
    assert of_master(result)["containers"] == [{"name": "b"}, {"name": "c"}]


def test_equal_values_are_shared() -> None:
    live = manager("me").apply(None, a_job(nprocPerNode="2"))
    result = manager("other").apply(live, a_job(nprocPerNode="2"))
    assert entries(result)["me", "Apply"] == entries(result)["other", "Apply"]


def test_another_value_is_a_conflict() -> None:
    live = manager("me").apply(None, a_job(nprocPerNode="2"))
    body = conflict(live, a_job(nprocPerNode="3"), by=manager("other")).body
    assert body["reason"] == "Conflict"
    assert body["message"] == (
        'Apply failed with 1 conflict: conflict with "me": .spec.nprocPerNode'
    )
    assert body["details"]["causes"] == [
        {
            "reason": "FieldManagerConflict",
            "message": 'conflict with "me"',
            "field": ".spec.nprocPerNode",
        }
    ]


def test_conflicts_are_told_manager_by_manager() -> None:
    live = manager("me").apply(None, a_job(nprocPerNode="2", **a_master({"name": "a"})))
    image = a_master({"name": "a", "image": "i"})
    live = manager("edit").update(live, changed(live, **image))
    wanted = a_job(nprocPerNode="3", **a_master({"name": "a", "image": "other"}))
    assert str(conflict(live, wanted, by=manager("third"))) == (
        "Apply failed with 2 conflicts: "
        'conflicts with "edit" using kubeflow.org/v1:\n'
        "- .spec.pytorchReplicaSpecs.Master.template.spec"
        '.containers[name="a"].image\n'
        'conflicts with "me":\n'
        "- .spec.nprocPerNode"
    )


def test_lists_of_no_type_are_owned_as_one() -> None:
    live = manager("me").apply(None, a_job(**a_master({"name": "a", "args": ["x"]})))
    wanted = a_job(**a_master({"name": "a", "args": ["x", "y"]}))
    message = str(conflict(live, wanted, by=manager("other")))
    assert message.endswith('.containers[name="a"].args')


def test_a_forced_apply_takes_fields_over() -> None:
    live = manager("me").apply(None, a_job(nprocPerNode="2", runPolicy={"suspend": True}))
    result = manager("other").apply(live, a_job(nprocPerNode="3"), force=True)
    assert result["spec"] == {"nprocPerNode": "3", "runPolicy": {"suspend": True}}
    assert entries(result) == {
        ("me", "Apply"): {"f:spec": {"f:runPolicy": {"f:suspend": {}}}},
        ("other", "Apply"): {"f:spec": {"f:nprocPerNode": {}}},
    }


def test_a_manager_that_has_lost_everything_is_gone() -> None:
    live = manager("me").apply(None, a_job(nprocPerNode="2"))
    result = manager("other").apply(live, a_job(nprocPerNode="3"), force=True)
    assert set(entries(result)) == {("other", "Apply")}


def test_nulls_count_as_absent() -> None:
    job = a_job(nprocPerNode=None, **a_master({"name": "a", "args": None}))
    job["metadata"]["creationTimestamp"] = None
    assert manager("me").apply(None, job)["spec"] == a_job(**a_master({"name": "a"}))["spec"]


def test_what_is_passed_in_is_not_changed() -> None:
    live = stored(a_job(nprocPerNode="2", **a_master({"name": "a"})))
    wanted = a_job(nprocPerNode=None, **a_master({"name": "a", "image": "i"}))
    before = copy.deepcopy((live, wanted))
    manager("me").apply(live, wanted, force=True)
    manager("me").update(manager("me").apply(live, wanted), live)
    assert (live, wanted) == before


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (None, "must be an object"),
        ({"apiVersion": "kubeflow.org/v2"}, "invalid object type: kubeflow.org/v2"),
        ({"kind": "MPIJob"}, "Kind=MPIJob"),
        ({"metadata": None}, "metadata must be an object"),
        ({"metadata": {"managedFields": []}}, "metadata.managedFields must be nil"),
        ({"spec": {"nprocpernode": "2"}}, r"\(/j; kubeflow.org/v1, Kind=PyTorchJob\): .*not decl"),
        ({"spec": {"nprocPerNode": 2}}, r"\.spec\.nprocPerNode: .*must be of type string"),
        ({"spec": "text"}, r"\.spec: .*must be of type object"),
        ({"spec": a_master({"image": "i"})}, "each element of the list needs its own name"),
        ({"spec": a_master({"name": "a"}, {"name": "a"})}, "needs its own name"),
    ],
    ids=str,
)
def test_what_cannot_be_applied_is_refused(change: Any, message: str) -> None:
    applied = change if change is None else a_job() | change
    with pytest.raises(StatusError, match=message) as refused:
        manager("me").apply(None, applied)
    assert refused.value.code == 400


def test_all_problems_are_told() -> None:
    with pytest.raises(StatusError, match=r"errors:\n  \.spec\.a: .*\n  \.spec\.b: "):
        manager("me").apply(None, a_job(a=1, b=2))


def test_malformed_claims_of_an_object_count_as_none() -> None:
    live = stored(a_job(nprocPerNode="2"))
    live["metadata"]["managedFields"] = [{"manager": 5}]
    result = manager("me").apply(live, a_job(nprocPerNode="2"))
    assert set(entries(result)) == {("before-first-apply", "Update"), ("me", "Apply")}


def test_objects_without_a_status_of_their_own_are_applied_whole() -> None:
    config_map = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "c"}}
    me = FieldManager("me", CONFIG_MAPS, schemas.of(CONFIG_MAPS), 0)
    live = me.apply(None, {**config_map, "data": {"a": "1", "b": "2"}})
    assert entries(live)["me", "Apply"] == {"f:data": {"f:a": {}, "f:b": {}}}
    assert me.apply(live, {**config_map, "data": {"b": "2"}})["data"] == {"b": "2"}


def test_objects_that_nobody_applied_are_not_tracked() -> None:
    live = stored(a_job(nprocPerNode="2"))
    assert manager("edit").update(live, changed(live, nprocPerNode="3")) == stored(
        a_job(nprocPerNode="3")
    )


def test_an_update_moves_what_it_changes_to_its_manager() -> None:
    live = manager("me", now=1).apply(None, a_job(nprocPerNode="2", runPolicy={"suspend": True}))
    result = manager("edit", now=2).update(live, changed(live, nprocPerNode="3"))
    assert entries(result) == {
        ("me", "Apply"): {"f:spec": {"f:runPolicy": {"f:suspend": {}}}},
        ("edit", "Update"): {"f:spec": {"f:nprocPerNode": {}}},
    }
    times = [entry["time"] for entry in result["metadata"]["managedFields"]]
    assert times == ["1970-01-01T00:00:01Z", "1970-01-01T00:00:02Z"]


def test_updates_of_one_manager_add_up() -> None:
    live = manager("me").apply(None, a_job(nprocPerNode="2"))
    live = manager("edit").update(live, changed(live, nprocPerNode="3"))
    live = manager("edit").update(live, changed(live, runPolicy={"suspend": True}))
    assert entries(live)["edit", "Update"] == {
        "f:spec": {"f:nprocPerNode": {}, "f:runPolicy": {".": {}, "f:suspend": {}}}
    }


def test_an_update_that_removes_something_takes_it_from_all() -> None:
    live = manager("me").apply(None, a_job(nprocPerNode="2", runPolicy={"suspend": True}))
    live = manager("other").apply(live, a_job(nprocPerNode="2"))
    result = manager("edit").update(live, changed(live, nprocPerNode=None))
    assert entries(result) == {("me", "Apply"): {"f:spec": {"f:runPolicy": {"f:suspend": {}}}}}


def test_an_update_that_changes_nothing_changes_no_claim() -> None:
    live = manager("me", now=1).apply(None, a_job(nprocPerNode="2"))
    assert manager("edit", now=2).update(live, copy.deepcopy(live)) == live


def test_updates_of_the_status_are_those_of_the_subresource() -> None:
    live = manager("me").apply(None, a_job(nprocPerNode="2"))
    new = live | {"status": {"startTime": "2026-01-01T00:00:00Z"}}
    result = manager("operator", subresource="status").update(live, new)
    entry = result["metadata"]["managedFields"][1]
    assert entry["subresource"] == "status"
    assert entry["fieldsV1"] == {"f:status": {".": {}, "f:startTime": {}}}


@pytest.mark.parametrize("reset", [[], [{}]])
def test_an_update_may_reset_the_claims(reset: list[Json]) -> None:
    live = manager("me").apply(None, a_job(nprocPerNode="2"))
    new = copy.deepcopy(live)
    new["metadata"]["managedFields"] = reset
    assert "managedFields" not in manager("edit").update(live, new)["metadata"]


@pytest.mark.parametrize("sent", [None, "x", [{"manager": 5}], [{"operation": "Apply"}]], ids=str)
def test_an_update_without_well_formed_claims_keeps_them(sent: Any) -> None:
    live = manager("me").apply(None, a_job(nprocPerNode="2"))
    new = copy.deepcopy(live)
    new["metadata"]["managedFields"] = sent
    assert manager("edit").update(live, new) == live


def test_an_update_may_change_the_claims() -> None:
    live = manager("me").apply(None, a_job(nprocPerNode="2"))
    new = copy.deepcopy(live)
    new["metadata"]["managedFields"][0]["manager"] = "other"
    assert set(entries(manager("edit").update(live, new))) == {("other", "Apply")}


def test_the_claims_cannot_be_changed_through_a_subresource() -> None:
    live = manager("me").apply(None, a_job(nprocPerNode="2"))
    new = copy.deepcopy(live)
    new["metadata"]["managedFields"] = []
    assert manager("edit", subresource="status").update(live, new) == live


def test_an_object_is_settled_when_nothing_but_a_time_changed() -> None:
    old = manager("me", now=1).apply(None, a_job(nprocPerNode="2"))
    later = manager("me", now=2).apply(None, a_job(nprocPerNode="2"))
    assert settled(old, later) is old
    other = manager("me", now=2).apply(None, a_job(nprocPerNode="3"))
    assert settled(old, other) is other
    assert settled(None, other) is other


THINGS = Resource("things", "Thing", "example.com", custom=True, subresources=("status",))
THING = {"apiVersion": "example.com/v1", "kind": "Thing", "metadata": {"name": "t"}}


@st.composite
def things(draw: st.DrawFn, count: int) -> tuple[Json, list[Json]]:
    """Return a schema and objects of it."""
    spec, text = draw(structs()), {"type": "string"}
    metadata = {"type": "object", "properties": {"name": text}}
    fields = {"apiVersion": text, "kind": text, "metadata": metadata, "spec": spec}
    objects = [{**THING, "spec": draw(values(spec))} for _ in range(count)]
    return {"type": "object", "properties": fields}, objects


def by(name: str, shape: Json, now: float = 0) -> FieldManager:
    return FieldManager(name, THINGS, shape, now)


def claims_of(obj: Json) -> Fields:
    return owned(read(obj["metadata"].get("managedFields", []), THINGS.api_version))


def content(shape: Json, value: Any) -> Any:
    """Return a value without the order of items that have a key of their own.

    And without what is empty: to apply an empty list of such items claims nothing.
    """
    found = parts(shape, value)
    if found is None:
        return value
    inside = {element: content(part.schema, part.value) for element, part in found.items()}
    return {element: part for element, part in inside.items() if part not in ({}, [])}


@generated
@given(things(2))
def test_applying_twice_is_applying_once(drawn: tuple[Json, list[Json]]) -> None:
    shape, (live, wanted) = drawn
    once = by("me", shape).apply(live, wanted, force=True)
    assert by("me", shape, now=1).apply(once, wanted) is once


@generated
@given(things(3))
def test_what_is_applied_in_between_leaves_no_trace(drawn: tuple[Json, list[Json]]) -> None:
    """Unless that took something from others."""
    shape, (live, between, wanted) = drawn
    try:
        first = by("me", shape).apply(live, between)
    except StatusError:
        return  # it would take something
    there = by("me", shape).apply(first, wanted, force=True)
    straight = by("me", shape).apply(live, wanted, force=True)
    spec = shape["properties"]["spec"]
    assert content(spec, there["spec"]) == content(spec, straight["spec"])


@generated
@given(things(4))
def test_every_field_that_is_owned_is_there(drawn: tuple[Json, list[Json]]) -> None:
    shape, (live, one, other, updated) = drawn
    obj = by("a", shape).apply(live, one, force=True)
    for step in (
        by("b", shape).apply(obj, other, force=True),
        by("c", shape).update(obj, updated),
        by("a", shape).apply(by("b", shape).apply(obj, other, force=True), other, force=True),
    ):
        assert claims_of(step) - compare(shape, {}, step).added == NONE


@generated
@given(things(3))
def test_what_is_changed_belongs_to_who_changed_it(drawn: tuple[Json, list[Json]]) -> None:
    shape, (live, applied, updated) = drawn
    before = by("a", shape).apply(live, applied, force=True)
    after = by("b", shape).update(before, updated)
    changes = compare(shape, before, {**updated, "metadata": before["metadata"]})
    for entry in after["metadata"].get("managedFields", []):
        fields = from_wire(entry["fieldsV1"])
        assert fields == changes.taken if entry["manager"] == "b" else not fields & changes.any


anything = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=3),
    lambda inner: st.lists(inner, max_size=2) | st.dictionaries(st.text(max_size=3), inner),
    max_leaves=6,
)


@generated
@given(
    anything,
    st.sampled_from(
        ["metadata", "labels", "spec", "pytorchReplicaSpecs", "Master", "template", "containers"]
    ),
)
def test_nothing_breaks_an_apply(value: Any, where: str) -> None:
    """Whatever stands in a field, of what is applied or of what there is."""
    job = a_job(nprocPerNode="2", **a_master({"name": "a", "image": "i"}))
    job["metadata"]["labels"] = {"a": "1"}
    broken = replaced(job, where, value)
    with contextlib.suppress(StatusError):
        manager("me").apply(job, broken, force=True)
    if isinstance(broken["metadata"], dict):
        manager("me").apply(broken, job, force=True)
        manager("me").update(manager("me").apply(None, job), broken)


def replaced(value: Any, name: str, new: Any) -> Any:
    if isinstance(value, dict):
        return {key: new if key == name else replaced(v, name, new) for key, v in value.items()}
    return value
