"""The OpenAPI documents: what clients read before they write."""

from __future__ import annotations

import json
from collections.abc import Iterator
from importlib import resources
from typing import Any

import httpx
import pytest

from pyjob_magic.local.apiserver import operations
from pyjob_magic.local.apiserver.catalogue import groups
from pyjob_magic.local.apiserver.logoptions import LogOptions
from pyjob_magic.local.resources import PODS

Json = dict[str, Any]
INDEX = "/openapi/v3"
GROUPS = [found[0].root.lstrip("/") for found in groups().values()]
METHODS = ("get", "post", "put", "patch", "delete")
# Whose inside is Kubernetes' or an autoscaler's own, and stays without sentences.
FOREIGN = (
    "spec.elasticPolicy.metrics.",
    "spec.pytorchReplicaSpecs.template.",
    "status.replicaStatuses.labelSelector.",
)


@pytest.fixture(scope="module", params=GROUPS)
def document(http: httpx.Client, request: pytest.FixtureRequest) -> Json:
    return read(http, request.param)


def read(http: httpx.Client, group: str) -> Json:
    response = http.get(f"{INDEX}/{group}")
    assert response.status_code == 200, response.text
    found: Json = response.json()
    return found


def walk(value: Any) -> Iterator[Json]:
    """Yield every object in a document."""
    if isinstance(value, dict):
        yield value
    for item in value.values() if isinstance(value, dict) else value:
        if isinstance(item, dict | list):
            yield from walk(item)


def calls(document: Json) -> Iterator[tuple[str, str, Json]]:
    """Yield the path, the method and the description of each operation."""
    for path, entry in document["paths"].items():
        for method in METHODS:
            if method in entry:
                yield path, method, entry[method]


def test_the_index_leads_to_every_document(http: httpx.Client) -> None:
    """Each address holds the hash of the document, and what is there may be kept."""
    index = http.get(INDEX).json()["paths"]
    assert sorted(index) == sorted(GROUPS)
    for entry in index.values():
        response = http.get(entry["serverRelativeURL"])
        assert response.status_code == 200
        assert response.headers["cache-control"] == "public, immutable"
        assert response.json()["openapi"].startswith("3.0.")


def test_a_hash_of_before_leads_to_the_one_of_now(http: httpx.Client) -> None:
    """301, so that a client's stale index does no harm."""
    address = http.get(INDEX).json()["paths"]["api/v1"]["serverRelativeURL"]
    response = http.get(f"{INDEX}/api/v1", params={"hash": "AB"})
    assert (response.status_code, response.headers["location"]) == (301, address)


def test_without_a_hash_a_document_is_asked_for_each_time(http: httpx.Client) -> None:
    """But sent only if the client has not got it."""
    first = http.get(f"{INDEX}/api/v1")
    assert "cache-control" not in first.headers
    headers = {"if-none-match": first.headers["etag"]}
    assert http.get(f"{INDEX}/api/v1", headers=headers).status_code == 304
    headers = {"if-none-match": '"AB"'}
    assert http.get(f"{INDEX}/api/v1", headers=headers).status_code == 200


def test_a_group_that_is_not_served(http: httpx.Client) -> None:
    """404, as a Status."""
    response = http.get(f"{INDEX}/apis/apps/v1")
    assert (response.status_code, response.json()["reason"]) == (404, "NotFound")


def test_documents_are_json(http: httpx.Client) -> None:
    """Who wants only protobuf gets nothing, who would like it gets JSON."""
    protobuf = "application/com.github.proto-openapi.spec.v3@v1.0+protobuf"
    assert http.get(INDEX, headers={"accept": protobuf}).status_code == 406
    either = f"{protobuf},application/json"
    assert http.get(INDEX, headers={"accept": either}).status_code == 200


def test_every_reference_leads_somewhere(document: Json) -> None:
    """Inside of the document."""
    for entry in walk(document):
        if "$ref" in entry:
            _, *path = entry["$ref"].split("/")
            target = document
            for name in path:
                target = target[name]


def test_operations_have_names_of_their_own(document: Json) -> None:
    """Generators make functions of them."""
    names = [operation["operationId"] for _, _, operation in calls(document)]
    assert len(names) == len(set(names))


def test_path_parameters_are_those_of_the_path(document: Json) -> None:
    """Each is described once."""
    for path, entry in document["paths"].items():
        named = [parameter["name"] for parameter in entry.get("parameters", ())]
        assert [f"{{{name}}}" for name in named] == [
            part for part in path.split("/") if part.startswith("{")
        ]


def test_what_is_described_is_served_and_nothing_else(http: httpx.Client, document: Json) -> None:
    """Each method of each path is, or is refused as one that there is not."""
    for path, entry in document["paths"].items():
        url = path.format(namespace="nowhere", name="nothing")
        for method in METHODS:
            response = http.request(method, url)
            if method in entry:
                assert response.status_code != 405, (method, url)
                assert response.text != "404 page not found\n", (method, url)
                assert str(response.status_code) in entry[method]["responses"], (method, url)
            else:
                assert response.status_code == 405, (method, url)


def test_every_resource_is_described() -> None:
    """With a path for each verb and each subresource."""
    for found in groups().values():
        for resource in found:
            described = operations.paths(resource)
            actions = {
                operation["x-kubernetes-action"]
                for path, _, operation in calls({"paths": described})
                if not path.endswith(tuple(f"/{{name}}/{sub}" for sub in resource.subresources))
            }
            names = {"create": "post", "update": "put"}
            verbs = set(resource.verbs) - {"watch"}  # a parameter of the list
            assert actions == {names.get(verb, verb) for verb in verbs}
            for sub in resource.subresources:
                assert any(path.endswith(f"/{{name}}/{sub}") for path in described)


@pytest.mark.parametrize("parameter", ["fieldValidation", "dryRun", "fieldManager"])
def test_patches_say_which_parameters_they_take(http: httpx.Client, parameter: str) -> None:
    """Or kubectl would not dare to send them."""
    found = set()
    for group in GROUPS:
        for _, method, operation in calls(read(http, group)):
            named = {entry["name"] for entry in operation["parameters"]}
            if method == "patch" and parameter in named:
                found.add(operation["x-kubernetes-group-version-kind"]["kind"])
    assert {"PyTorchJob", "Scale", "Pod", "ConfigMap", "Secret", "Namespace"} <= found


def test_the_parameters_of_a_log_are_those_that_are_read() -> None:
    """All of them."""
    read_ones = set()

    class Watched(dict[str, str]):
        def get(self, name: str, default: Any = None) -> Any:
            read_ones.add(name)
            return default

    LogOptions.parse(Watched(), "p")
    (log,) = [path for path in operations.paths(PODS) if path.endswith("/log")]
    described = operations.paths(PODS)[log]["get"]["parameters"]
    assert {parameter["name"] for parameter in described} == read_ones


def test_custom_resources_take_no_strategic_patch(http: httpx.Client) -> None:
    """As with a cluster; for the others kubectl apply sends one if it may."""
    for group, expected in (("apis/kubeflow.org/v1", False), ("api/v1", True)):
        for _, method, operation in calls(read(http, group)):
            if method == "patch":
                types = operation["requestBody"]["content"]
                assert ("application/strategic-merge-patch+json" in types) is expected


def test_schemas_are_found_by_kind(http: httpx.Client) -> None:
    """By the mark that clients look for."""
    schemas = read(http, "apis/kubeflow.org/v1")["components"]["schemas"]
    marks = [schema.get("x-kubernetes-group-version-kind") for schema in schemas.values()]
    kind = {"group": "kubeflow.org", "version": "v1", "kind": "PyTorchJob"}
    assert marks.count([kind]) == 1


def fields(schema: Json, path: str = "") -> Iterator[tuple[str, str]]:
    """Yield the path and the sentence of each field, lists and maps being no step of a path."""
    for inner in ("items", "additionalProperties"):
        if isinstance(schema.get(inner), dict):
            yield from fields(schema[inner], path)
    for name, field in schema.get("properties", {}).items():
        place = f"{path}.{name}".lstrip(".")
        yield place, field.get("description", "")
        yield from fields(field, place)


def test_every_field_of_a_job_is_explained(http: httpx.Client) -> None:
    """In a sentence that fits into a line of a terminal, more or less."""
    schemas = read(http, "apis/kubeflow.org/v1")["components"]["schemas"]
    for path, sentence in fields(schemas["org.kubeflow.v1.PyTorchJob"]):
        assert sentence or path.startswith(FOREIGN), path
        assert len(sentence) <= 100, path


def test_no_sentence_is_about_nothing(http: httpx.Client) -> None:
    """Each finds its field in a document."""
    text = resources.files("pyjob_magic.local.apiserver").joinpath("descriptions.json").read_text()
    described: set[tuple[str, str]] = set()
    for group in GROUPS:
        for name, schema in read(http, group)["components"]["schemas"].items():
            kind = name.rpartition(".")[2]
            described |= {(kind, path) for path, sentence in fields(schema) if sentence}
            described |= {(kind, "")} if schema.get("description") else set()
    told = {(kind, path) for kind, sentences in json.loads(text).items() for path in sentences}
    assert {(kind, path) for kind, path in told if kind != "Object"} <= described
