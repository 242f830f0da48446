"""What can be done with Kubernetes' own kinds: ConfigMaps, Secrets, Namespaces, Pods, Events."""

from __future__ import annotations

import base64
from typing import Any

import httpx
import pytest

from tests.data import read
from tests.local.api import Api, a_job
from tests.state import eventually

MERGE_PATCH = {"content-type": "application/merge-patch+json"}


def an_object(kind: str, name: str, **fields: Any) -> dict[str, Any]:
    return {"apiVersion": "v1", "kind": kind, "metadata": {"name": name}, **fields}


def post(api: Api, plural: str, obj: dict[str, Any], **params: str) -> httpx.Response:
    return api.http.post(api.core(plural), json=obj, params=params)


def patch(api: Api, path: str, change: dict[str, Any]) -> httpx.Response:
    return api.http.patch(path, json=change, headers=MERGE_PATCH)


def test_what_a_secret_holds_is_encoded(api: Api) -> None:
    """What is sent as `stringData` comes back as `data`."""
    secret = an_object("Secret", "s", stringData={"password": "köln"}, data={"user": "bWU="})

    stored = post(api, "secrets", secret).json()

    assert stored["type"] == "Opaque"
    assert "stringData" not in stored
    assert base64.b64decode(stored["data"]["password"]).decode() == "köln"
    assert stored["data"]["user"] == "bWU="


@pytest.mark.parametrize(
    ("kind", "fields"),
    [
        ("Secret", {"data": {"a": "not base64!"}}),
        ("Secret", {"data": {"a": 1}}),
        ("ConfigMap", {"data": {"a": 1}}),
        ("ConfigMap", {"data": ["a"]}),
        ("ConfigMap", {"binaryData": {"a": "%"}}),
    ],
)
def test_what_cannot_be_decoded_is_refused(api: Api, kind: str, fields: dict[str, Any]) -> None:
    response = post(api, f"{kind.lower()}s", an_object(kind, "x", **fields))

    assert response.status_code == 400
    expected = f'{kind} in version "v1" cannot be handled as a {kind}: '
    assert response.json()["message"].startswith(expected)


def test_unknown_fields_are_told(api: Api) -> None:
    obj = an_object("ConfigMap", "x", daat={})
    strict = post(api, "configmaps", obj, fieldValidation="Strict")
    assert strict.status_code == 400
    assert 'strict decoding error: unknown field "daat"' in strict.json()["message"]
    warned = post(api, "configmaps", obj, fieldValidation="Warn")
    assert (warned.status_code, "unknown field" in warned.headers["warning"]) == (201, True)


@pytest.mark.parametrize("key", ["../etc", "..", "a/b", "", "x" * 254])
def test_no_key_leads_out_of_its_directory(api: Api, key: str) -> None:
    for kind in ("ConfigMap", "Secret"):
        response = post(api, f"{kind.lower()}s", an_object(kind, "x", data={key: "YQ=="}))
        assert response.status_code == 422


def test_a_config_map_can_be_changed_and_labelled(api: Api) -> None:
    post(api, "configmaps", an_object("ConfigMap", "x", data={"a": "1"}))
    path = f"{api.core('configmaps')}/x"

    changed = patch(api, path, {"data": {"b": "2"}, "metadata": {"labels": {"l": "v"}}}).json()

    assert changed["data"] == {"a": "1", "b": "2"}
    assert changed["metadata"]["labels"] == {"l": "v"}
    assert "generation" not in changed["metadata"]
    del changed["data"]["a"]
    assert api.http.put(path, json=changed).json()["data"] == {"b": "2"}


def test_what_is_immutable_stays(api: Api) -> None:
    post(api, "configmaps", an_object("ConfigMap", "x", data={"a": "1"}, immutable=True))
    response = patch(api, f"{api.core('configmaps')}/x", {"data": {"a": "2"}})
    assert response.status_code == 422
    assert response.json()["details"]["causes"][0]["reason"] == "FieldValueForbidden"


def test_the_type_of_a_secret_stays(api: Api) -> None:
    post(api, "secrets", an_object("Secret", "s"))
    assert patch(api, f"{api.core('secrets')}/s", {"type": "other"}).status_code == 422


def test_a_replica_can_be_labelled_but_not_changed(api: Api) -> None:
    api.submit(a_job(code="import time; time.sleep(600)"))
    api.wait("j", "Running")
    path = f"{api.core('pods')}/j-master-0"

    assert patch(api, path, {"metadata": {"labels": {"a": "b"}}}).status_code == 200
    assert api.pod("j-master-0")["metadata"]["labels"]["a"] == "b"
    assert patch(api, path, {"spec": {"restartPolicy": "Always"}}).status_code == 422
    noted = next(iter(api.pod("j-master-0")["metadata"]["annotations"]))
    assert patch(api, path, {"metadata": {"annotations": {noted: "1"}}}).status_code == 422


def test_a_namespace_is_made_when_something_is_put_into_it(api: Api) -> None:
    place = f"/api/v1/namespaces/{api.namespace}-new"
    assert api.http.get(place).status_code == 404
    api.http.post(f"{place}/configmaps", json=an_object("ConfigMap", "x"))
    assert api.http.get(place).json()["status"]["phase"] == "Active"
    assert api.http.delete(place).status_code == 200
    assert api.http.get(place).status_code == 404


def test_a_namespace_can_be_asked_for(api: Api) -> None:
    name = f"{api.namespace}-own"
    namespaces = "/api/v1/namespaces"
    made = api.http.post(namespaces, json=an_object("Namespace", name))
    assert made.json()["metadata"]["labels"] == {"kubernetes.io/metadata.name": name}
    assert "namespace" not in made.json()["metadata"]
    assert api.http.post(namespaces, json=an_object("Namespace", name)).status_code == 409
    assert api.http.post(namespaces, json=an_object("Namespace", "A.b")).status_code == 422
    assert api.http.delete(f"{namespaces}/{name}").status_code == 200


def test_events_can_be_written_about_what_is_in_the_namespace(api: Api) -> None:
    about = {"kind": "PyTorchJob", "name": "j", "namespace": api.namespace}
    event = an_object("Event", "e", involvedObject=about, reason="Said", type="Normal")
    assert post(api, "events", event).status_code == 201
    assert api.events("j") == [("Normal", "Said", "")]
    elsewhere = an_object("Event", "f", involvedObject={**about, "namespace": "other"})
    assert post(api, "events", elsewhere).status_code == 422


def test_scale_is_the_number_of_workers(api: Api) -> None:
    api.submit(a_job(workers=2, suspend=True))
    path = f"{api.jobs}/j/scale"

    scale = api.http.get(path).json()
    assert (scale["apiVersion"], scale["kind"]) == ("autoscaling/v1", "Scale")
    assert scale["spec"] == {"replicas": 2}

    assert patch(api, path, {"spec": {"replicas": 3}}).json()["spec"] == {"replicas": 3}
    specs = api.job("j")["spec"]["pytorchReplicaSpecs"]
    assert (specs["Worker"]["replicas"], specs["Master"]["replicas"]) == (3, 1)

    scale = api.http.get(path).json()
    scale["spec"]["replicas"] = 1
    assert api.http.put(path, json=scale).status_code == 200
    assert api.http.put(path, json=scale).status_code == 409  # of an older version now


@pytest.mark.parametrize("replicas", [-1, "2", 1.5, 2**31])
def test_a_scale_that_is_none_is_refused(api: Api, replicas: Any) -> None:
    api.submit(a_job(workers=2, suspend=True))
    response = patch(api, f"{api.jobs}/j/scale", {"spec": {"replicas": replicas}})
    assert response.status_code == 422


def test_no_workers_by_scaling_is_what_the_webhook_denies(api: Api) -> None:
    api.submit(a_job(workers=2, suspend=True))
    response = patch(api, f"{api.jobs}/j/scale", {"spec": {"replicas": 0}})
    assert (response.status_code, response.json()["reason"]) == (403, "Forbidden")


def test_a_job_without_workers_has_no_scale(api: Api) -> None:
    api.submit(a_job(suspend=True))
    assert api.http.get(f"{api.jobs}/j/scale").status_code == 404


def a_pod(**spec: Any) -> dict[str, Any]:
    command = ["python", "-c", "print('alone')"]
    main = {"name": "main", "image": "example/any:1", "command": command}
    return an_object("Pod", "alone", spec={"containers": [main], **spec})


def with_main(**fields: Any) -> dict[str, Any]:
    """Return the spec of a pod whose container has further fields."""
    return {"containers": [{"name": "main", "image": "example/any:1", **fields}]}


def test_a_pod_of_no_job_runs(api: Api) -> None:
    created = post(api, "pods", a_pod(restartPolicy="Never"))

    assert created.status_code == 201, created.text
    assert created.json()["spec"]["terminationGracePeriodSeconds"] == 30
    api.wait_phase("alone", "Succeeded")
    assert api.log("alone") == "alone\n"


def test_a_pod_that_does_not_fit_says_so(api: Api) -> None:
    """As recorded, but for the words: it waits, and its status and an event say for what."""
    recorded = read("story/pod-create.json")
    response = api.http.post(api.core("pods"), json=recorded["request"]["body"])
    want = recorded["response"]["body"]
    same = ("spec", "status")
    assert response.status_code == 201
    assert [response.json()[k] for k in same] == [want[k] for k in same]

    unschedulable = read("story/pod-read-unschedulable.json")["response"]["body"]["status"]
    name = want["metadata"]["name"]
    pod = eventually(lambda: p if (p := api.pod(name))["status"].get("conditions") else None)
    told = pod["status"]["conditions"][0]
    for key in ("type", "status", "reason"):
        assert told[key] == unschedulable["conditions"][0][key]
    assert "nvidia.com/gpu" in told["message"]
    eventually(lambda: ("Warning", "FailedScheduling", told["message"]) in api.events(name))


def test_a_pod_cannot_say_which_gpus_are_its_own(api: Api) -> None:
    pod = a_pod()
    pod["metadata"]["annotations"] = {"pyjob-magic/gpus": "0"}
    response = post(api, "pods", pod)
    assert response.status_code == 422
    assert response.json()["details"]["causes"][0]["reason"] == "FieldValueForbidden"


@pytest.mark.parametrize(
    "spec",
    [
        {"containers": []},
        {"containers": [{"name": "main"}]},
        {"containers": [{"name": "No Label", "image": "x"}]},
        {"restartPolicy": "ExitCode"},
        with_main(imagePullPolicy="Sometimes"),
        with_main(volumeMounts=[{"name": "nowhere", "mountPath": "/x"}]),
        with_main(env=[{"name": "A=B", "value": "1"}]),
        with_main(env=[{"name": "A", "valueFrom": {"fieldRef": {"fieldPath": "metadata.nope"}}}]),
        with_main(resources={"limits": {"memory": "1Gi"}, "requests": {"memory": "2Gi"}}),
    ],
)
def test_a_pod_that_no_cluster_takes_is_refused(api: Api, spec: dict[str, Any]) -> None:
    response = post(api, "pods", a_pod(**spec))
    assert (response.status_code, response.json()["reason"]) == (422, "Invalid")


def test_kubernetes_own_kinds_need_not_be_named(api: Api) -> None:
    """Typed clients leave out what the path says; a PyTorchJob has to say it."""
    bare = {"metadata": {"name": "bare"}, "data": {"a": "b"}}
    stored = post(api, "configmaps", bare)
    assert (stored.status_code, stored.json()["kind"]) == (201, "ConfigMap")
    nameless = {key: value for key, value in a_job().items() if key not in ("apiVersion", "kind")}
    assert api.http.post(api.jobs, json=nameless).status_code == 400


def test_a_patch_that_is_only_tried_changes_nothing(api: Api) -> None:
    """Not even the nulls of what is stored."""
    post(api, "pods", a_pod(restartPolicy="Never"))
    before = api.wait_phase("alone", "Succeeded")
    path = f"{api.core('pods')}/alone"
    tried = api.http.patch(path, json={}, headers=MERGE_PATCH, params={"dryRun": "All"})
    assert tried.json()["status"] == before["status"]
