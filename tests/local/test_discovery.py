"""What the server says of itself."""

from __future__ import annotations

from typing import Any

import httpx
import pytest

from tests.data import read

AGGREGATED = "application/json;g=apidiscovery.k8s.io;v={};as=APIGroupDiscoveryList"
Json = dict[str, Any]


def resources(http: httpx.Client, path: str) -> dict[str, Json]:
    """Return the entries of an APIResourceList by their names."""
    return {entry["name"]: entry for entry in http.get(path).json()["resources"]}


def test_the_resources_of_kubeflow_are_those_of_a_real_server(http: httpx.Client) -> None:
    """Whatever the order, which differs from server to server."""
    wanted = {entry["name"]: entry for entry in read("api-group.json")["body"]["resources"]}
    found = resources(http, "/apis/kubeflow.org/v1")
    for entry in (*found.values(), *wanted.values()):
        entry["verbs"].sort()
    assert found == wanted


def test_the_core(http: httpx.Client) -> None:
    """Short names, categories, subresources, and by what clients see another storage version."""
    found = resources(http, "/api/v1")
    assert found["pods"] == {
        "name": "pods",
        "singularName": "pod",
        "namespaced": True,
        "kind": "Pod",
        "verbs": found["pods"]["verbs"],
        "shortNames": ["po"],
        "categories": ["all"],
        "storageVersionHash": "xPOwRZ+Yhw8=",
    }
    assert found["services"]["categories"] == ["all"]
    assert found["configmaps"]["storageVersionHash"] == "qFsyl6wFWjQ="
    assert found["pods/log"]["verbs"] == ["get"]
    assert found["pods/status"]["verbs"] == ["get", "patch", "update"]
    assert found["namespaces"]["namespaced"] is found["nodes"]["namespaced"] is False


@pytest.mark.parametrize(
    ("group", "names"),
    [
        ("authorization.k8s.io", {"selfsubjectaccessreviews", "selfsubjectrulesreviews"}),
        ("authentication.k8s.io", {"selfsubjectreviews"}),
    ],
)
def test_reviews_can_be_created_and_nothing_else(
    http: httpx.Client, group: str, names: set[str]
) -> None:
    """They are not stored."""
    found = resources(http, f"/apis/{group}/v1")
    assert set(found) == names
    for entry in found.values():
        assert entry["verbs"] == ["create"]
        assert "storageVersionHash" not in entry


def test_groups_are_listed_and_found_one_by_one(http: httpx.Client) -> None:
    """With the version that is preferred, which is the only one."""
    listed = http.get("/apis").json()["groups"]
    assert [group["name"] for group in listed] == [
        "authentication.k8s.io",
        "authorization.k8s.io",
        "kubeflow.org",
    ]
    for group in listed:
        assert http.get(f"/apis/{group['name']}").json() == {
            "kind": "APIGroup",
            "apiVersion": "v1",
            **group,
        }
    assert http.get("/api").json() == {"kind": "APIVersions", "versions": ["v1"]}


@pytest.mark.parametrize("version", ["v2", "v2beta1"])
@pytest.mark.parametrize("path", ["/api", "/apis"])
def test_all_in_one_document(http: httpx.Client, path: str, version: str) -> None:
    """It tells what the documents of the single groups tell, in other words."""
    accept = AGGREGATED.format(version)
    response = http.get(path, headers={"accept": f"{accept},application/json"})
    assert response.headers["content-type"] == accept
    body = response.json()
    assert (body["kind"], body["apiVersion"]) == (
        "APIGroupDiscoveryList",
        f"apidiscovery.k8s.io/{version}",
    )
    for group in body["items"]:
        name = group["metadata"].get("name")
        found = resources(http, f"/apis/{name}/v1" if name else "/api/v1")
        assert {
            entry["resource"]: entry["verbs"] for entry in group["versions"][0]["resources"]
        } == {key: entry["verbs"] for key, entry in found.items() if "/" not in key}
        for entry in group["versions"][0]["resources"]:
            assert [f"{entry['resource']}/{part['subresource']}" for part in parts(entry)] == [
                key for key in found if key.startswith(f"{entry['resource']}/")
            ]
            for part in parts(entry):
                sub = found[f"{entry['resource']}/{part['subresource']}"]
                assert part["responseKind"]["kind"] == sub["kind"]
                assert part["responseKind"]["group"] == sub.get("group", name or "")


def parts(entry: Json) -> list[Json]:
    found: list[Json] = entry.get("subresources", [])
    return found


def test_what_a_client_has_already_is_not_sent_again(http: httpx.Client) -> None:
    """304 for the tag that came with the document."""
    headers = {"accept": AGGREGATED.format("v2")}
    first = http.get("/apis", headers=headers)
    again = http.get("/apis", headers={**headers, "if-none-match": first.headers["etag"]})
    assert (again.status_code, again.content) == (304, b"")
    assert again.headers["etag"] == first.headers["etag"]


@pytest.mark.parametrize("path", ["/version", "/api", "/apis", "/api/v1", "/apis/kubeflow.org/v1"])
def test_a_slash_at_the_end_makes_no_difference(http: httpx.Client, path: str) -> None:
    """The official client for Python puts one there."""
    assert http.get(f"{path}/").json() == http.get(path).json()


def test_a_form_that_discovery_has_not(http: httpx.Client) -> None:
    """Plain JSON is what else there is."""
    headers = {"accept": AGGREGATED.format("v3")}
    assert http.get("/apis", headers=headers).status_code == 406
    headers["accept"] += ",application/json"
    assert http.get("/apis", headers=headers).json()["kind"] == "APIGroupList"


@pytest.mark.parametrize("check", ["healthz", "livez", "readyz"])
def test_health_in_one_word_or_more(http: httpx.Client, check: str) -> None:
    """As probes and people ask for it."""
    assert http.get(f"/{check}").text == "ok"
    assert http.get(f"/{check}?verbose").text == f"[+]ping ok\n{check} check passed\n"


def test_the_version_is_one_that_clients_can_compare(http: httpx.Client) -> None:
    """That of the Kubernetes whose behaviour is shown."""
    version = http.get("/version").json()
    assert version["gitVersion"].startswith(f"v{version['major']}.{version['minor']}.0+pyjob-magic")
