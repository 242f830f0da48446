"""`kubectl apply` and `kubectl patch`, as they are, on the embedded API."""

from __future__ import annotations

import json
from typing import Any

from tests.local.api import a_job
from tests.local.kubectl import Kubectl, needs_kubectl

pytestmark = needs_kubectl

Json = dict[str, Any]


def a_manifest(team: str = "", **spec: Any) -> str:
    job = a_job(suspend=True, spec=spec)
    job["metadata"]["labels"] = {"team": team} if team else {}
    return json.dumps(job)


def the_job(kubectl: Kubectl) -> Json:
    found = kubectl("get", "pytorchjob", "j", "--output=json", "--show-managed-fields")
    job: Json = json.loads(found)
    return job


def managers(obj: Json) -> set[tuple[str, str]]:
    return {(one["manager"], one["operation"]) for one in obj["metadata"]["managedFields"]}


def test_client_side_apply_creates_changes_and_removes(kubectl: Kubectl) -> None:
    kubectl("apply", "-f", "-", text=a_manifest("a", nprocPerNode="2"))
    kubectl("apply", "-f", "-", text=a_manifest(nprocPerNode="3"))
    job = the_job(kubectl)
    assert job["spec"]["nprocPerNode"] == "3"
    assert not job["metadata"].get("labels")


def test_server_side_apply_again_changes_nothing(kubectl: Kubectl) -> None:
    apply = ("apply", "--server-side", "-f", "-")
    assert kubectl(*apply, text=a_manifest("a")) == "pytorchjob.kubeflow.org/j serverside-applied\n"
    first = the_job(kubectl)
    kubectl(*apply, text=a_manifest("a"))
    again = the_job(kubectl)
    assert again["metadata"]["resourceVersion"] == first["metadata"]["resourceVersion"]
    assert managers(again) == {("kubectl", "Apply")}


def test_conflicts_are_told_and_can_be_forced(kubectl: Kubectl) -> None:
    kubectl("apply", "--server-side", "-f", "-", text=a_manifest(nprocPerNode="2"))
    other = ("apply", "--server-side", "--field-manager=other", "-f", "-")
    refused = kubectl.run(*other, text=a_manifest(nprocPerNode="3"))
    assert refused.returncode == 1
    conflict = 'Apply failed with 1 conflict: conflict with "kubectl": .spec.nprocPerNode'
    assert conflict in refused.stderr
    kubectl(*other, "--force-conflicts", text=a_manifest(nprocPerNode="3"))
    assert the_job(kubectl)["spec"]["nprocPerNode"] == "3"


def test_going_over_to_server_side_apply_loses_nothing_of_others(kubectl: Kubectl) -> None:
    """Kubectl takes over what it applied from the client's side, and removes what it drops."""
    kubectl("apply", "-f", "-", text=a_manifest("a", nprocPerNode="2"))
    kubectl("label", "pytorchjob", "j", "mine=yes")
    kubectl("apply", "--server-side", "-f", "-", text=a_manifest(nprocPerNode="3"))
    job = the_job(kubectl)
    assert job["spec"]["nprocPerNode"] == "3"
    assert job["metadata"]["labels"] == {"mine": "yes"}


def test_what_kubectl_changes_is_tracked_after_the_first_apply(kubectl: Kubectl) -> None:
    kubectl("apply", "--server-side", "-f", "-", text=a_manifest(nprocPerNode="2"))
    patch = [{"op": "replace", "path": "/spec/nprocPerNode", "value": "3"}]
    kubectl("patch", "pytorchjob", "j", "--type=json", "-p", json.dumps(patch))
    kubectl("label", "pytorchjob", "j", "a=b")
    job = the_job(kubectl)
    assert job["spec"]["nprocPerNode"] == "3"
    assert managers(job) == {
        ("kubectl", "Apply"),
        ("kubectl-patch", "Update"),
        ("kubectl-label", "Update"),
    }


def test_a_patch_that_cannot_be_applied_says_why(kubectl: Kubectl) -> None:
    kubectl("apply", "-f", "-", text=a_manifest(nprocPerNode="2"))
    patch = [{"op": "test", "path": "/spec/nprocPerNode", "value": "9"}]
    refused = kubectl.run("patch", "pytorchjob", "j", "--type=json", "-p", json.dumps(patch))
    assert "testing value /spec/nprocPerNode failed" in refused.stderr


def test_kinds_of_kubernetes_are_applied_and_merged(kubectl: Kubectl) -> None:
    """And tell who owns what of them, as custom resources do."""
    config_map = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "c"}}
    text = json.dumps({**config_map, "data": {"a": "1", "b": "2"}})
    kubectl("apply", "--server-side", "-f", "-", text=text)
    kubectl("patch", "configmap", "c", "-p", json.dumps({"data": {"$retainKeys": ["a"]}}))
    found = kubectl("get", "configmap", "c", "--output=json", "--show-managed-fields")
    obj = json.loads(found)
    assert obj["data"] == {"a": "1"}
    assert managers(obj) == {("kubectl", "Apply")}
