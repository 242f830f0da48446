"""`kubectl`, as it is: what it changes on the embedded API."""

from __future__ import annotations

import json
from typing import Any

import pytest

from tests.local.api import Api, a_job
from tests.local.kubectl import Kubectl, needs_kubectl
from tests.state import eventually

pytestmark = needs_kubectl

ENDLESS = "import time; print('up', flush=True); time.sleep(600)"


def text(job: dict[str, Any]) -> str:
    return json.dumps(job)


def test_from_creation_to_deletion(kubectl: Kubectl, api: Api) -> None:
    """Create, follow the log, wait for the end, delete: a job's whole life from a terminal."""
    code = "import os; print('rank', os.environ['RANK'])"
    created = kubectl("create", "--filename", "-", text=text(a_job(code=code, workers=1)))
    assert created == "pytorchjob.kubeflow.org/j created\n"

    done = kubectl("wait", "--for=condition=Succeeded", "pytorchjob/j", "--timeout=30s")
    assert done == "pytorchjob.kubeflow.org/j condition met\n"
    assert kubectl("logs", "j-worker-0") == "rank 1\n"

    assert "deleted" in kubectl("delete", "pytorchjob", "j", "--timeout=30s")
    eventually(lambda: kubectl("get", "pods,services,pytorchjobs", "--output", "name") == "")


def test_a_log_is_followed_to_its_end(kubectl: Kubectl, api: Api) -> None:
    code = "import time\nfor n in range(3): print(n, flush=True); time.sleep(0.2)"
    api.submit(a_job(code=code))
    api.wait_log("j-master-0", "0")
    assert kubectl("logs", "--follow", "j-master-0") == "0\n1\n2\n"


def test_the_log_of_the_run_before(kubectl: Kubectl, api: Api) -> None:
    """`--previous` after a restart in place; with times, if they are asked for."""
    code = (
        "import os, sys, time\n"
        "if not os.path.exists('seen'):\n"
        "    open('seen', 'w'); print('first'); sys.exit(1)\n"
        "print('second', flush=True); time.sleep(600)"
    )
    api.submit(a_job(code=code, policy="OnFailure"))
    api.wait_log("j-master-0", "second")
    assert kubectl("logs", "--previous", "j-master-0") == "first\n"
    assert kubectl("logs", "j-master-0", "--timestamps").endswith("Z second\n")


@pytest.mark.parametrize("side", ["client", "server"])
def test_a_dry_run_changes_nothing(kubectl: Kubectl, api: Api, side: str) -> None:
    made = kubectl("create", f"--dry-run={side}", "--filename", "-", text=text(a_job()))
    assert made == f"pytorchjob.kubeflow.org/j created ({side} dry run)\n".replace("(client ", "(")
    assert api.http.get(api.jobs).json()["items"] == []


@pytest.mark.parametrize(
    ("kind", "patch"),
    [
        ("json", [{"op": "replace", "path": "/spec/runPolicy/backoffLimit", "value": 7}]),
        ("merge", {"spec": {"runPolicy": {"backoffLimit": 7}}}),
    ],
)
def test_patches(kubectl: Kubectl, api: Api, kind: str, patch: Any) -> None:
    api.submit(a_job(suspend=True, backoffLimit=1))
    kubectl("patch", "pytorchjob", "j", "--type", kind, "--patch", json.dumps(patch))
    assert api.job("j")["spec"]["runPolicy"] == {"suspend": True, "backoffLimit": 7}


def test_lists_of_custom_resources_do_not_merge(kubectl: Kubectl, api: Api) -> None:
    """A real server refuses the patch that kubectl sends if no other is asked for."""
    api.submit(a_job(suspend=True))
    refused = kubectl.run("patch", "pytorchjob", "j", "--patch", '{"spec": {}}')
    assert "strategic-merge-patch+json is not supported" in refused.stderr


def test_labels_and_notes(kubectl: Kubectl, api: Api) -> None:
    api.submit(a_job(suspend=True))
    kubectl("label", "pytorchjob", "j", "team=a")
    kubectl("annotate", "pytorchjob", "j", "note=why")
    kubectl("label", "pytorchjob", "j", "team-")
    meta = api.job("j")["metadata"]
    assert (meta["labels"], meta["annotations"]) == ({}, {"note": "why"})


def test_scaling_changes_what_runs(kubectl: Kubectl, api: Api) -> None:
    api.submit(a_job(code=ENDLESS, workers=1))
    api.wait_log("j-worker-0", "up")
    kubectl("scale", "pytorchjob/j", "--replicas=2")
    api.wait_log("j-worker-1", "up")
    kubectl("scale", "pytorchjob/j", "--replicas=1")
    eventually(lambda: "j-worker-1" not in api.pods())
    refused = kubectl.run("scale", "pytorchjob/j", "--replicas=5", "--current-replicas=9")
    assert refused.returncode == 1


def test_deleting_with_its_replicas_first(kubectl: Kubectl, api: Api) -> None:
    api.submit(a_job(code=ENDLESS))
    api.wait_log("j-master-0", "up")
    kubectl("delete", "pytorchjob", "j", "--cascade=foreground", "--timeout=30s")
    assert api.pods() == {}


def test_what_the_server_refuses_is_said_in_its_words(kubectl: Kubectl) -> None:
    job = a_job()
    job["spec"]["pytorchReplicaSpecs"]["Master"]["replicas"] = 2
    refused = kubectl.run("create", "--filename", "-", text=text(job))
    assert "spec.pytorchReplicaSpecs[Master].replicas: Forbidden: must be 1" in refused.stderr


@pytest.mark.parametrize("command", ["create", "apply"])
def test_a_kind_that_is_not_served_is_named(kubectl: Kubectl, command: str) -> None:
    job = {**a_job(), "kind": "TFJob"}
    refused = kubectl.run(command, "--filename", "-", text=text(job))
    assert 'no matches for kind "TFJob" in version "kubeflow.org/v1"' in refused.stderr


def test_a_pod_that_is_applied_again_is_unchanged(kubectl: Kubectl) -> None:
    """And its differences are none, although the server has added much."""
    main = {"name": "main", "image": "example/any:1", "command": ["sleep", "600"]}
    pod = {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "p"}}
    pod |= {"spec": {"containers": [main], "terminationGracePeriodSeconds": 1}}
    for word in ("created", "unchanged"):
        said = kubectl("apply", "--filename", "-", text=text(pod))
        assert said == f"pod/p {word}\n"
    kubectl("wait", "--for=condition=Ready", "pod/p", "--timeout=20s")
    assert kubectl("diff", "--filename", "-", text=text(pod)) == ""
