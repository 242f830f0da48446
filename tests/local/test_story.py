"""The life of jobs as a real API server told it: what is read, changed, watched and deleted."""

from __future__ import annotations

import json
from typing import Any

import httpx
import pytest

from tests.data import read
from tests.local.api import Api, a_job
from tests.local.test_contract import send, settled

# What the operator adds here, and the recorded server without one did not.
_OPERATOR = "status"


def recorded(name: str) -> dict[str, Any]:
    found: dict[str, Any] = read(f"story/{name}.json")
    return found


def tell(api: Api, name: str, **changes: Any) -> httpx.Response:
    """Send a recorded request; `changes` replace parts of it."""
    return send(api, {**recorded(name)["request"], **changes})


def begin(api: Api) -> None:
    """Create the job that the story is about, and two others."""
    assert send(api, read("exchanges/create.json")["request"]).status_code == 201
    assert tell(api, "create-pretty").status_code == 201


def live(api: Api, name: str, **metadata: str) -> dict[str, Any]:
    """Return a recorded body with the identity of the job that is there."""
    body: dict[str, Any] = recorded(name)["request"]["body"]
    kept = {key: api.job("pytorch-test")["metadata"][key] for key in ("uid", "resourceVersion")}
    kept["namespace"] = api.namespace
    return {**body, "metadata": {**body["metadata"], **kept, **metadata}}


def same(got: Any, want: Any, api: Api, *, status: bool = False) -> None:
    got, want = (settled(body, api.namespace) for body in (got, want))
    if not status:
        got, want = without_status(got), without_status(want)
    assert got == want


def without_status(body: Any) -> Any:
    if isinstance(body, dict) and body.get("kind") != "Status":
        return {k: without_status(v) for k, v in body.items() if k != _OPERATOR}
    return [without_status(item) for item in body] if isinstance(body, list) else body


@pytest.mark.parametrize("name", ["read", "list-field-selector", "patch-merge", "delete"])
def test_exchange(api: Api, name: str) -> None:
    begin(api)
    response = tell(api, name)
    wanted = recorded(name)["response"]
    assert response.status_code == wanted["status"], response.text
    same(response.json(), wanted["body"], api)


def test_pretty(api: Api) -> None:
    response = tell(api, "create-pretty")
    same(response.json(), recorded("create-pretty")["response"]["body"], api)
    assert response.text.startswith('{\n  "apiVersion": "kubeflow.org/v1",\n')


def test_a_page_says_where_to_go_on(api: Api) -> None:
    begin(api)
    api.submit({**a_job("zz", suspend=True)})
    got, want = tell(api, "list").json(), recorded("list")["response"]["body"]
    assert list(got) == list(want)
    assert set(got["metadata"]) == set(want["metadata"])
    assert [item["metadata"]["name"] for item in got["items"]] == ["pretty", "pytorch-test"]
    assert got["metadata"]["remainingItemCount"] == 1


def test_a_written_status_is_what_comes_back(api: Api) -> None:
    begin(api)
    tell(api, "patch-merge")
    api.wait("pytorch-test", "Suspended")
    response = tell(api, "status-put", body=live(api, "status-put"))
    assert response.status_code == 200, response.text
    same(response.json(), recorded("status-put")["response"]["body"], api, status=True)


def test_replacing_what_has_changed_is_a_conflict(api: Api) -> None:
    begin(api)
    body = live(api, "replace-conflict-409", resourceVersion="1")
    response = tell(api, "replace-conflict-409", body=body)
    assert response.status_code == 409
    assert response.json() == recorded("replace-conflict-409")["response"]["body"]


def test_deleting_all_answers_with_what_there_was(api: Api) -> None:
    begin(api)
    response = tell(api, "delete-collection")
    want = recorded("delete-collection")["response"]["body"]
    assert (response.status_code, list(response.json())) == (200, list(want))
    names = [item["metadata"]["name"] for item in response.json()["items"]]
    assert names == ["pretty", "pytorch-test"]
    assert api.http.get(api.jobs).json()["items"] == []


def test_the_log_of_no_container(api: Api) -> None:
    begin(api)
    api.wait("pytorch-test", "Created")
    response = tell(api, "log-bad-container-400")
    assert response.status_code == 400
    assert response.json() == recorded("log-bad-container-400")["response"]["body"]


def test_a_pod_without_a_node_has_no_log(api: Api) -> None:
    request = json.loads(json.dumps(read("exchanges/create.json")["request"]))
    for spec in request["body"]["spec"]["pytorchReplicaSpecs"].values():
        spec["template"]["spec"]["containers"][0]["resources"] = {"limits": {"memory": "900Ti"}}
    assert send(api, request).status_code == 201
    api.wait("pytorch-test", "Created")
    response = tell(api, "log-unscheduled-204")
    assert (response.status_code, response.content) == (204, b"")


def test_a_watch_tells_creation_change_and_deletion(api: Api) -> None:
    version = api.http.get(api.jobs).json()["metadata"]["resourceVersion"]
    lines = recorded("watch")["response"]["lines"]
    created = lines[0]["object"]
    manifest = {k: v for k, v in created.items() if k != "metadata"}
    manifest["metadata"] = {"name": created["metadata"]["name"]}
    manifest["spec"] = {**manifest["spec"], "runPolicy": {"suspend": True}}
    api.submit(manifest)
    api.wait("watched", "Suspended")
    api.patch("watched", {"metadata": {"labels": {"a": "b"}}})
    api.http.delete(f"{api.jobs}/watched")

    params = {**recorded("watch")["request"]["params"], "resourceVersion": version}
    params["timeoutSeconds"] = 1
    with api.http.stream("GET", api.jobs, params=params) as response:
        told = [json.loads(line) for line in response.iter_lines()]

    kinds = [line["type"] for line in told]
    assert list(dict.fromkeys(kinds)) == [line["type"] for line in lines]
    assert told[-2]["object"]["metadata"]["labels"] == {"a": "b"}
    versions = [int(line["object"]["metadata"]["resourceVersion"]) for line in told]
    assert versions[:-1] == sorted(set(versions))


def test_a_watch_from_before_the_history_is_told_so(api: Api) -> None:
    """Or from a version that does not exist yet; either way one ERROR line, and the end."""
    want = recorded("watch-too-old-410")["response"]["lines"][0]
    params = {"watch": "true", "resourceVersion": "999999999999"}
    response = api.http.get(api.jobs, params=params)
    (line,) = response.text.splitlines()
    got = json.loads(line)
    assert response.status_code == 200
    assert got["type"] == want["type"] == "ERROR"
    same_fields = ("kind", "status", "reason", "code")
    assert [got["object"][k] for k in same_fields] == [want["object"][k] for k in same_fields]
