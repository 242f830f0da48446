"""The embedded API answers what a real API server answered, exchange by exchange."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.local.api import Api, a_job

DATA = Path(__file__).parents[1] / "data"
EXCHANGES = sorted(path.stem for path in (DATA / "exchanges").glob("*.json"))

# What differs from server to server and from day to day.
_VOLATILE = ("uid", "resourceVersion", "creationTimestamp", "namespace")


def exchange(name: str) -> dict[str, Any]:
    found: dict[str, Any] = json.loads((DATA / "exchanges" / f"{name}.json").read_text())
    return found


def settled(body: Any, namespace: str) -> Any:
    """Return a body without what no two servers have in common."""
    if isinstance(body, dict):
        return {k: settled(v, namespace) for k, v in body.items() if k not in _VOLATILE}
    if isinstance(body, list):
        return [settled(item, namespace) for item in body]
    return body


def send(api: Api, request: dict[str, Any]) -> httpx.Response:
    headers = {name.lower(): value for name, value in request.get("headers", {}).items()}
    return api.http.request(
        request["method"],
        request["path"].replace("/kube-test/", f"/{api.namespace}/"),
        params=request.get("params"),
        content=json.dumps(request["body"]) if "body" in request else None,
        headers={"content-type": "application/json", **headers},
    )


def expect(name: str, response: httpx.Response, namespace: str) -> None:
    wanted = exchange(name)["response"]
    assert response.status_code == wanted["status"], response.text
    if isinstance(wanted["body"], str):
        assert response.text == wanted["body"]
    else:
        got, want = (settled(body, namespace) for body in (response.json(), wanted["body"]))
        if name == "create-generate-name":
            for body in (got, want):
                assert body["metadata"].pop("name").startswith("mnist-")
        assert got == want
        assert list(response.json()) == list(wanted["body"])
    for header, value in wanted["headers"].items():
        assert response.headers[header] == value


@pytest.mark.parametrize("name", [n for n in EXCHANGES if n != "create-again-409"])
def test_exchange(api: Api, name: str) -> None:
    expect(name, send(api, exchange(name)["request"]), api.namespace)


def test_a_name_twice(api: Api) -> None:
    request = exchange("create-again-409")["request"]
    send(api, request)
    expect("create-again-409", send(api, request), api.namespace)


def test_the_seed_request_is_accepted_as_it_is(api: Api) -> None:
    seed = json.loads((DATA / "seed-create.json").read_text())
    response = api.http.post(api.jobs, json=seed, params={"fieldValidation": "Strict"})
    assert response.status_code == 201
    assert set(response.json()["metadata"]) == {
        "creationTimestamp",
        "generation",
        "name",
        "namespace",
        "resourceVersion",
        "uid",
    }
    assert response.json()["spec"] == seed["spec"]
    assert "status" not in response.json()


def test_unknown_fields_are_dropped_silently_under_ignore(api: Api) -> None:
    manifest = a_job(spec={"nonsense": 1})
    response = api.http.post(api.jobs, json=manifest, params={"fieldValidation": "Ignore"})
    assert response.status_code == 201
    assert "warning" not in response.headers
    assert "nonsense" not in response.json()["spec"]


def test_keys_are_sorted_in_a_job(api: Api) -> None:
    response = api.http.post(api.jobs, json=a_job(suspend=True))
    assert (
        response.text == json.dumps(response.json(), sort_keys=True, separators=(",", ":")) + "\n"
    )


def test_pretty_indents(api: Api) -> None:
    response = api.http.post(api.jobs, json=a_job(), params={"pretty": "true"})
    assert response.text.startswith('{\n  "apiVersion": "kubeflow.org/v1",\n')


def test_a_dry_run_stores_nothing(api: Api) -> None:
    response = api.http.post(api.jobs, json=a_job(), params={"dryRun": "All"})
    assert response.status_code == 201
    assert response.json()["metadata"]["uid"]
    assert "resourceVersion" not in response.json()["metadata"]
    assert api.http.get(f"{api.jobs}/j").status_code == 404


def test_a_dry_run_of_a_name_that_is_taken_is_refused(api: Api) -> None:
    api.submit(a_job())
    response = api.http.post(api.jobs, json=a_job(), params={"dryRun": "All"})
    assert response.json()["reason"] == "AlreadyExists"


def test_a_body_that_is_no_json(api: Api) -> None:
    response = api.http.post(api.jobs, content=b"{not json")
    assert response.status_code == 400
    assert response.json()["reason"] == "BadRequest"
    assert "couldn't get version/kind; json parse error" in response.json()["message"]


def test_another_kind_is_refused(api: Api) -> None:
    response = api.http.post(api.jobs, json={**a_job(), "kind": "TFJob"})
    assert response.status_code == 400


def test_a_body_over_three_mebibytes(api: Api) -> None:
    body = b"x" * 3_145_729
    response = api.http.post(api.jobs, content=body)
    assert response.status_code == 413
    assert response.json() == {
        "kind": "Status",
        "apiVersion": "v1",
        "metadata": {},
        "status": "Failure",
        "message": "Request entity too large: limit is 3145728",
        "reason": "RequestEntityTooLarge",
        "code": 413,
    }


def test_an_object_that_etcd_would_not_take(api: Api) -> None:
    manifest = a_job(container={"env": [{"name": "X", "value": "x" * 1_900_000}]})
    response = api.http.post(api.jobs, json=manifest)
    assert response.status_code == 500
    assert response.json()["message"] == "etcdserver: request is too large"


def test_annotations_over_256_kibibytes(api: Api) -> None:
    manifest = a_job()
    manifest["metadata"]["annotations"] = {"note": "x" * 300_000}
    response = api.http.post(api.jobs, json=manifest)
    causes = response.json()["details"]["causes"]
    assert [(cause["reason"], cause["field"]) for cause in causes] == [
        ("FieldValueTooLong", "metadata.annotations"),
        ("FieldValueInvalid", "<nil>"),
    ]


def test_a_config_map_of_more_than_a_mebibyte(api: Api) -> None:
    big = {
        "apiVersion": "v1",
        "kind": "ConfigMap",
        "metadata": {"name": "big"},
        "data": {"main.py": "x" * 1_048_577},
    }
    response = api.http.post(api.core("configmaps"), json=big)
    assert response.status_code == 422
    assert response.json()["message"] == (
        'ConfigMap "big" is invalid: []: Too long: may not be more than 1048576 bytes'
    )


def test_methods_that_are_not_allowed(api: Api) -> None:
    response = api.http.post(api.core("services"), json={})
    assert response.status_code == 405
    assert response.json()["reason"] == "MethodNotAllowed"


@pytest.mark.parametrize("path", ["/", "/api/v2", "/apis/batch/v1/jobs", "/api/v1/nodes/x/y"])
def test_unknown_paths_are_plain_text(http: httpx.Client, path: str) -> None:
    response = http.get(path)
    assert (response.status_code, response.text) == (404, "404 page not found\n")
    assert response.headers["content-type"] == "text/plain; charset=utf-8"


def test_limit_and_continue_walk_through_a_list(api: Api) -> None:
    for name in "abcde":
        api.submit(a_job(name, spec={"runPolicy": {"suspend": True}}))
    seen, token = [], ""
    while True:
        page = api.http.get(api.jobs, params={"limit": 2, "continue": token}).json()
        seen.append([item["metadata"]["name"] for item in page["items"]])
        token = page["metadata"]["continue"]
        if not token:
            break
        assert page["metadata"]["remainingItemCount"] == 5 - sum(map(len, seen))
    assert seen == [["a", "b"], ["c", "d"], ["e"]]


@pytest.mark.parametrize(
    ("selector", "names"),
    [
        ("team=a", ["one"]),
        ("team==a,size=big", ["one"]),
        ("team!=a", ["three", "two"]),
        ("team in (a, b)", ["one", "two"]),
        ("team notin (a,b)", ["three"]),
        ("team", ["one", "two"]),
        ("!team", ["three"]),
        ("size in (big),team", ["one"]),
    ],
)
def test_label_selectors(api: Api, selector: str, names: list[str]) -> None:
    for name, labels in {
        "one": {"team": "a", "size": "big"},
        "two": {"team": "b"},
        "three": {},
    }.items():
        manifest = a_job(name, suspend=True)
        manifest["metadata"]["labels"] = labels
        api.submit(manifest)
    found = api.http.get(api.jobs, params={"labelSelector": selector}).json()["items"]
    assert [item["metadata"]["name"] for item in found] == names


def test_field_selectors(api: Api) -> None:
    for name in ("one", "two"):
        api.submit(a_job(name, suspend=True))
    params = {"fieldSelector": "metadata.name!=one"}
    found = api.http.get(api.jobs, params=params).json()["items"]
    assert [item["metadata"]["name"] for item in found] == ["two"]


def test_a_field_that_cannot_be_selected(api: Api) -> None:
    response = api.http.get(api.jobs, params={"fieldSelector": "spec.x=1"})
    assert (response.status_code, response.json()["reason"]) == (400, "BadRequest")


def test_merge_patch_changes_what_it_names(api: Api) -> None:
    job = api.submit(a_job(suspend=True))
    patched = api.patch("j", {"metadata": {"labels": {"a": "b"}}})
    assert patched["metadata"]["labels"] == {"a": "b"}
    assert patched["metadata"]["generation"] == 1
    assert patched["metadata"]["uid"] == job["metadata"]["uid"]
    assert patched["spec"] == job["spec"]
    patched = api.patch("j", {"spec": {"runPolicy": {"ttlSecondsAfterFinished": 5}}})
    assert patched["metadata"]["generation"] == 2
    patched = api.patch("j", {"spec": {"runPolicy": {"ttlSecondsAfterFinished": None}}})
    assert patched["spec"] == job["spec"]


def test_a_patch_that_changes_nothing_writes_nothing(api: Api) -> None:
    api.submit(a_job(suspend=True))
    api.wait("j", "Suspended")
    before = api.job("j")
    assert api.patch("j", {"spec": {"runPolicy": {"suspend": True}}}) == before


def test_a_patch_is_validated(api: Api) -> None:
    api.submit(a_job(suspend=True))
    response = api.http.patch(
        f"{api.jobs}/j",
        json={"spec": {"nprocPerNode": 2}},
        headers={"content-type": "application/merge-patch+json"},
    )
    assert response.status_code == 422


@pytest.mark.parametrize(
    "status",
    [
        "done",
        {"conditions": [{"type": "Failed"}]},
        {"completionTime": "yesterday"},
        {"startTime": "2026-01-01"},
        {"replicaStatuses": {"Master": {"active": "1"}}},
        {"replicaStatuses": []},
    ],
)
@pytest.mark.parametrize("method", ["PUT", "PATCH"])
def test_a_status_that_is_none_is_refused(api: Api, status: Any, method: str) -> None:
    api.submit(a_job(suspend=True))
    api.wait("j", "Suspended")
    before = api.job("j")
    body = {**before, "status": status} if method == "PUT" else {"status": status}
    media_type = "application/merge-patch+json" if method == "PATCH" else "application/json"
    response = api.http.request(
        method, f"{api.jobs}/j/status", json=body, headers={"content-type": media_type}
    )
    assert (response.status_code, response.json()["reason"]) == (422, "Invalid")
    assert api.job("j") == before


def test_a_client_may_write_a_status(api: Api) -> None:
    api.submit(a_job(suspend=True))
    api.wait("j", "Suspended")
    job = api.job("j")
    job["status"]["lastReconcileTime"] = "2026-01-01T00:00:00Z"
    assert api.http.put(f"{api.jobs}/j/status", json=job).json()["status"] == job["status"]


def test_put_needs_the_version_that_is_there(api: Api) -> None:
    api.submit(a_job(suspend=True))
    api.wait("j", "Suspended")
    job = api.job("j")
    stale = {**job, "metadata": {**job["metadata"], "resourceVersion": "1"}}
    response = api.http.put(f"{api.jobs}/j", json=stale)
    assert (response.status_code, response.json()["reason"]) == (409, "Conflict")
    job["metadata"]["labels"] = {"a": "b"}
    assert api.http.put(f"{api.jobs}/j", json=job).json()["metadata"]["labels"] == {"a": "b"}


def test_the_status_is_not_a_clients_to_create(api: Api) -> None:
    manifest = {**a_job(suspend=True), "status": {"startTime": "2020-01-01T00:00:00Z"}}
    assert "status" not in api.submit(manifest)


def test_deleting_answers_with_the_uid(api: Api) -> None:
    job = api.submit(a_job(suspend=True))
    assert api.http.delete(f"{api.jobs}/j").json() == {
        "kind": "Status",
        "apiVersion": "v1",
        "metadata": {},
        "status": "Success",
        "details": {
            "name": "j",
            "group": "kubeflow.org",
            "kind": "pytorchjobs",
            "uid": job["metadata"]["uid"],
        },
    }


def test_deleting_another_than_the_one_that_was_seen(api: Api) -> None:
    api.submit(a_job(suspend=True))
    response = api.http.request(
        "DELETE", f"{api.jobs}/j", json={"preconditions": {"uid": "another"}}
    )
    assert (response.status_code, response.json()["reason"]) == (409, "Conflict")


def test_delete_collection_honours_the_selector(api: Api) -> None:
    for name in ("one", "two"):
        manifest = a_job(name, suspend=True)
        manifest["metadata"]["labels"] = {"name": name}
        api.submit(manifest)
    gone = api.http.delete(api.jobs, params={"labelSelector": "name=one"}).json()
    assert [item["metadata"]["name"] for item in gone["items"]] == ["one"]
    left = api.http.get(api.jobs).json()["items"]
    assert [item["metadata"]["name"] for item in left] == ["two"]


@pytest.mark.parametrize(
    "path", ["/version", "/api", "/apis", "/apis/kubeflow.org", "/apis/kubeflow.org/v1", "/api/v1"]
)
def test_discovery(http: httpx.Client, path: str) -> None:
    assert http.get(path).status_code == 200


@pytest.mark.parametrize("path", ["/readyz", "/livez", "/healthz"])
def test_health(http: httpx.Client, path: str) -> None:
    assert http.get(path).text == "ok"
