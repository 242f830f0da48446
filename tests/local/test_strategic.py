"""Strategic merge patch."""

from __future__ import annotations

import copy
import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pyjob_magic.local.apiserver import schemas
from pyjob_magic.local.apiserver.strategic import merge
from pyjob_magic.local.resources import CONFIG_MAPS, PODS, SERVICES
from pyjob_magic.local.status import StatusError
from tests.local.kubectl import needs_kubectl, patched
from tests.local.shapes import generated

Json = dict[str, Any]

POD: Json = {
    "apiVersion": "v1",
    "kind": "Pod",
    "metadata": {
        "name": "p",
        "labels": {"a": "1"},
        "finalizers": ["x/a", "x/b"],
        "ownerReferences": [{"apiVersion": "v1", "kind": "K", "name": "n", "uid": "u1"}],
    },
    "spec": {
        "containers": [
            {
                "name": "a",
                "image": "i",
                "args": ["one", "two"],
                "env": [{"name": "A", "value": "1"}, {"name": "B", "value": "2"}],
                "ports": [{"containerPort": 80}],
            },
            {"name": "b", "image": "j"},
        ],
        "volumes": [{"name": "v", "emptyDir": {}}],
        "tolerations": [{"key": "k"}],
        "nodeSelector": {"x": "y"},
    },
}


def merged(patch: Any) -> Json:
    return merge(schemas.of(PODS), POD, patch)


def containers(*patch: Json, **directives: Any) -> list[Json]:
    """Return the containers after a patch of them."""
    items: list[Json] = merged({"spec": {"containers": list(patch), **directives}})["spec"][
        "containers"
    ]
    return items


def name(item: Json) -> str:
    return str(item["name"])


def names(items: list[Json]) -> list[str]:
    return [name(item) for item in items]


def refusal(patch: Any) -> StatusError:
    with pytest.raises(StatusError) as refused:
        merged(patch)
    return refused.value


def test_items_merge_by_their_key() -> None:
    first, second = containers({"name": "a", "image": "new"})
    assert first == POD["spec"]["containers"][0] | {"image": "new"}
    assert second == POD["spec"]["containers"][1]


def test_new_items_come_before_those_that_were_there() -> None:
    assert names(containers({"name": "c"})) == ["c", "a", "b"]


def test_items_of_a_patch_come_in_its_order_and_the_others_where_they_were() -> None:
    assert names(containers({"name": "c"}, {"name": "b"})) == ["c", "a", "b"]


def test_an_item_is_deleted_by_a_directive() -> None:
    assert names(containers({"name": "a", "$patch": "delete"})) == ["b"]


def test_a_list_is_replaced_by_a_directive_in_it() -> None:
    assert containers({"$patch": "replace"}, {"name": "z", "env": None}) == [{"name": "z"}]


def test_an_order_is_set_for_items_that_are_not_changed() -> None:
    order = [{"name": "b"}, {"name": "a"}]
    assert names(containers(**{"$setElementOrder/containers": order})) == ["b", "a"]


def test_lists_without_a_merge_key_are_replaced() -> None:
    assert merged({"spec": {"tolerations": [{"key": "q"}]}})["spec"]["tolerations"] == [
        {"key": "q"}
    ]
    assert containers({"name": "a", "args": ["three"]})[0]["args"] == ["three"]


def test_a_merge_key_of_the_schema_comes_before_the_keys_of_the_list() -> None:
    things = {
        "type": "array",
        "items": {"type": "object"},
        "x-kubernetes-list-type": "map",
        "x-kubernetes-list-map-keys": ["name"],
        "x-kubernetes-patch-merge-key": "id",
    }
    shape = {"properties": {"things": things}}
    old, change = {"things": [{"name": "n", "id": 1}]}, {"things": [{"name": "m", "id": 1}]}
    assert merge(shape, old, change) == change


def test_ports_merge_by_their_number_alone() -> None:
    """Although they are told apart by their protocol, too: the first key is the merge key."""
    service = {"spec": {"ports": [{"port": 80, "protocol": "TCP"}]}}
    change = {"spec": {"ports": [{"port": 80, "protocol": "UDP"}]}}
    assert merge(schemas.of(SERVICES), service, change) == change


def test_sets_are_united() -> None:
    assert merged({"metadata": {"finalizers": ["x/b", "x/c"]}})["metadata"]["finalizers"] == [
        "x/a",
        "x/b",
        "x/c",
    ]


def test_scalars_are_deleted_by_a_list_of_their_own() -> None:
    change = {"metadata": {"$deleteFromPrimitiveList/finalizers": ["x/a", "x/z"]}}
    assert merged(change)["metadata"]["finalizers"] == ["x/b"]


def test_keys_that_are_not_retained_are_removed() -> None:
    volume = {"name": "v", "$retainKeys": ["name", "hostPath"], "hostPath": {"path": "/x"}}
    change = {"spec": {"volumes": [volume]}}
    assert merged(change)["spec"]["volumes"] == [{"name": "v", "hostPath": {"path": "/x"}}]


@pytest.mark.parametrize(
    ("labels", "expected"),
    [
        ({"a": None, "b": "2"}, {"b": "2"}),
        ({"$patch": "replace", "b": "2"}, {"b": "2"}),
        ({"$patch": "delete"}, {}),
    ],
)
def test_maps_are_merged_replaced_and_emptied(labels: Json, expected: Json) -> None:
    assert merged({"metadata": {"labels": labels}})["metadata"]["labels"] == expected


def test_nulls_and_directives_do_not_enter_with_what_is_new() -> None:
    deleted = {"name": "z", "$patch": "delete"}
    affinity = {"a": None, "b": {"$patch": "delete"}, "$retainKeys": ["a"]}
    spec = merged({"spec": {"initContainers": [deleted, {"name": "n"}], "affinity": affinity}})[
        "spec"
    ]
    assert spec["initContainers"] == [{"name": "n"}]
    assert spec["affinity"] == {}


@pytest.mark.parametrize(
    "patch",
    [
        None,
        [],
        {"$patch": "merge"},
        {"spec": {"$retainKeys": "containers"}},
        {"spec": {"$retainKeys": ["volumes"], "containers": []}},
        {"spec": {"containers": [{"image": "i"}]}},
        {"spec": {"containers": ["a"]}},
        {"spec": {"containers": [{"name": "a", "$patch": "merge"}]}},
        {"spec": {"$setElementOrder/containers": {"name": "a"}}},
        {"spec": {"$setElementOrder/containers": [{"name": "b"}], "containers": [{"name": "n"}]}},
        {"spec": {"$setElementOrder/containers": [{"name": "b"}], "containers": None}},
        {"metadata": {"$deleteFromPrimitiveList/finalizers": "x/a"}},
        {"metadata": {"finalizers": [{"x": "a"}]}},
    ],
    ids=json.dumps,
)
def test_what_is_no_such_patch_is_malformed(patch: Any) -> None:
    assert refusal(patch).code == 400


def test_lists_of_lists_do_not_merge() -> None:
    assert refusal({"metadata": {"finalizers": [["x/a"]]}}).code == 422


def test_neither_the_object_nor_the_patch_is_changed() -> None:
    patch = {"spec": {"containers": [{"name": "a", "env": [{"name": "A", "$patch": "delete"}]}]}}
    before = copy.deepcopy((POD, patch))
    merged(patch)
    assert (POD, patch) == before


scalars = st.sampled_from(["1", "2"])
environment = st.lists(
    st.fixed_dictionaries(
        {"name": st.sampled_from("ABC")},
        optional={"value": scalars, "$patch": st.just("delete")},
    ),
    max_size=3,
    unique_by=name,
)
container_patches = st.lists(
    st.fixed_dictionaries(
        {"name": st.sampled_from("abc")},
        optional={
            "image": scalars | st.none(),
            "env": environment | st.none(),
            "args": st.lists(scalars),
            "$patch": st.sampled_from(["delete", "replace"]),
        },
    ),
    max_size=3,
    unique_by=name,
)
pod_patches = st.fixed_dictionaries(
    {},
    optional={
        "spec": st.fixed_dictionaries(
            {},
            optional={
                "containers": container_patches,
                "initContainers": container_patches,
                "nodeSelector": st.none() | st.dictionaries(scalars, scalars),
            },
        ),
        "metadata": st.fixed_dictionaries(
            {},
            optional={
                "finalizers": st.lists(st.sampled_from(["x/a", "x/b", "x/c"])),
                "$deleteFromPrimitiveList/finalizers": st.lists(st.sampled_from(["x/a", "x/b"])),
                "$setElementOrder/finalizers": st.just(["x/c", "x/b", "x/a"]),
                "labels": st.just({"$patch": "replace", "z": "1"}),
            },
        ),
    },
)


@generated
@given(pod_patches)
def test_a_patch_that_was_applied_changes_nothing_more(patch: Json) -> None:
    try:
        once = merged(patch)
    except StatusError:
        return  # in no order
    assert merge(schemas.of(PODS), once, patch) == once


ORDER = "$setElementOrder/containers"
SPEC_PATCHES: dict[str, Json] = {
    "merged": {"containers": [{"name": "c", "image": "n"}, {"name": "a"}]},
    "deleted": {"containers": [{"name": "b", "$patch": "delete"}]},
    "deleted, new": {"containers": [{"name": "b", "$patch": "delete"}, {"name": "b"}]},
    "replaced": {"containers": [{"$patch": "replace"}, {"name": "z"}]},
    "nested": {"containers": [{"name": "a", "env": [{"name": "C"}, {"name": "A"}]}]},
    "ordered": {ORDER: [{"name": "b"}, {"name": "a"}]},
    "ordered, new": {ORDER: [{"name": "b"}, {"name": "n"}], "containers": [{"name": "n"}]},
    "out of order": {ORDER: [{"name": "b"}], "containers": [{"name": "n"}]},
    "without key": {"containers": [{"image": "x"}]},
    "port": {"containers": [{"name": "a", "ports": [{"containerPort": 80, "protocol": "UDP"}]}]},
    "retained": {"volumes": [{"name": "v", "$retainKeys": ["name"]}]},
    "not retained": {"nodeSelector": {"$retainKeys": ["x"], "z": "1"}},
    "emptied": {"nodeSelector": {"$patch": "delete"}},
    "atomic": {"tolerations": [{"key": "q"}]},
    "another type": {"containers": {"name": "a"}},
}
METADATA_PATCHES: dict[str, Json] = {
    "scalars": {"finalizers": ["x/c"], "$deleteFromPrimitiveList/finalizers": ["x/a"]},
    "ordered": {"$setElementOrder/finalizers": ["x/b", "x/a"]},
    "owners": {"ownerReferences": [{"uid": "u2", "kind": "Z"}, {"uid": "u1", "name": "m"}]},
    "new map": {"annotations": {"x": "y", "z": None}},
}


@needs_kubectl
@pytest.mark.parametrize(
    ("field", "patch"),
    [
        *(pytest.param("spec", patch, id=name) for name, patch in SPEC_PATCHES.items()),
        *(pytest.param("metadata", patch, id=name) for name, patch in METADATA_PATCHES.items()),
    ],
)
def test_pods_are_patched_as_kubernetes_does_it(field: str, patch: Json) -> None:
    expected = patched(POD, "strategic", {field: patch})
    if expected is None:
        assert refusal({field: patch}).code == 400
    else:
        assert merged({field: patch}) == expected


@needs_kubectl
@pytest.mark.parametrize(
    "data",
    [{"k": None, "n": "x"}, {"$patch": "replace", "n": "x"}, {"$retainKeys": ["k"], "k": "x"}],
    ids=json.dumps,
)
def test_config_maps_are_patched_as_kubernetes_does_it(data: Json) -> None:
    config_map = {
        "apiVersion": "v1",
        "kind": "ConfigMap",
        "metadata": {"name": "c"},
        "data": {"k": "v", "l": "w"},
    }
    expected = patched(config_map, "strategic", {"data": data})
    assert merge(schemas.of(CONFIG_MAPS), config_map, {"data": data}) == expected
