"""From ``kubectl apply`` on the client's side to that on the server's side, and back."""

from __future__ import annotations

import json
from typing import Any

import pytest

from pyjob_magic.local.apiserver import schemas
from pyjob_magic.local.apiserver.serverside import FieldManager
from pyjob_magic.local.resources import CONFIG_MAPS
from pyjob_magic.local.status import StatusError

Json = dict[str, Any]

ANNOTATION = "kubectl.kubernetes.io/last-applied-configuration"


def manager(name: str) -> FieldManager:
    return FieldManager(name, CONFIG_MAPS, schemas.of(CONFIG_MAPS), 0)


def a_map(**data: str) -> Json:
    return {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "c"}, "data": data}


def live(last: str, **data: str) -> Json:
    """Return a ConfigMap that ``kubectl apply`` has made."""
    obj = a_map(**data)
    obj["metadata"] |= {"annotations": {ANNOTATION: last, "mine": "1"}}
    return obj


def last(obj: Json) -> Json:
    found: Json = json.loads(obj["metadata"]["annotations"][ANNOTATION])
    return found


def test_kubectl_does_not_conflict_with_what_it_applied_from_the_client() -> None:
    obj = live(json.dumps(a_map(a="1")), a="1")
    assert manager("kubectl").apply(obj, a_map(a="2"))["data"] == {"a": "2"}
    with pytest.raises(StatusError, match="conflict with"):
        manager("other").apply(obj, a_map(a="2"))


def test_kubectl_conflicts_with_what_others_have_changed_since() -> None:
    obj = live(json.dumps(a_map(a="1", b="1")), a="1", b="changed")
    with pytest.raises(StatusError, match=r"1 conflict: .*: \.data\.b"):
        manager("kubectl").apply(obj, a_map(a="2", b="2"))


def test_what_kubectl_applied_from_the_client_is_told_from_the_rest() -> None:
    """So that kubectl, when it takes over what is its own, takes nothing else."""
    obj = live(json.dumps(a_map(a="1", b="1")), a="1", b="changed", c="1")
    entries = manager("other").apply(obj, a_map(d="1"))["metadata"]["managedFields"]
    assert {entry["manager"]: entry["fieldsV1"]["f:data"] for entry in entries} == {
        "kubectl-client-side-apply": {".": {}, "f:a": {}},
        "before-first-apply": {"f:b": {}, "f:c": {}},
        "other": {"f:d": {}},
    }


def test_what_kubectl_applies_is_noted_for_the_client() -> None:
    obj = manager("kubectl").apply(live(json.dumps(a_map(a="1")), a="1"), a_map(a="2"))
    assert last(obj) == a_map(a="2")
    assert obj["metadata"]["annotations"]["mine"] == "1"
    assert manager("kubectl").apply(obj, a_map(a="2")) is obj


def test_nothing_is_noted_where_nothing_was() -> None:
    assert "annotations" not in manager("kubectl").apply(a_map(), a_map(a="1"))["metadata"]


def test_what_others_apply_is_not_noted() -> None:
    obj = manager("other").apply(live(json.dumps(a_map(a="1")), a="1"), a_map(b="2"))
    assert last(obj) == a_map(a="1")


def test_the_note_does_not_contain_itself() -> None:
    wanted = a_map(a="2")
    wanted["metadata"] |= {"annotations": {ANNOTATION: "x", "mine": "2"}}
    obj = manager("kubectl").apply(live("{}", a="1"), wanted, force=True)
    assert last(obj)["metadata"]["annotations"] == {"mine": "2"}


def test_what_is_too_long_for_a_note_is_not_noted() -> None:
    obj = manager("kubectl").apply(live("{}"), a_map(a="x" * 300_000))
    assert obj["metadata"]["annotations"] == {"mine": "1"}


@pytest.mark.parametrize("note", ["", "{", "[]", "5", "null", "[" * 5000])
def test_a_note_that_makes_no_sense_tells_nothing(note: str) -> None:
    with pytest.raises(StatusError, match="conflict with"):
        manager("kubectl").apply(live(note, a="1"), a_map(a="2"))
