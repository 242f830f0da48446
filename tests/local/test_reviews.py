"""Who may do what."""

from __future__ import annotations

import os
import pwd
from typing import Any

import httpx
import pytest

from pyjob_magic.local.apiserver.catalogue import groups

Json = dict[str, Any]


def review(http: httpx.Client, kind: str, spec: Any = None, group: str = "") -> httpx.Response:
    group = group or "authorization.k8s.io"
    body = {"apiVersion": f"{group}/v1", "kind": kind, **({} if spec is None else {"spec": spec})}
    return http.post(f"/apis/{group}/v1/{kind.lower()}s", json=body)


def may(http: httpx.Client, **attributes: str) -> Json:
    response = review(http, "SelfSubjectAccessReview", {"resourceAttributes": attributes})
    assert response.status_code == 201, response.text
    status: Json = response.json()["status"]
    return status


@pytest.mark.parametrize(
    "attributes",
    [
        {"verb": "create", "group": "kubeflow.org", "resource": "pytorchjobs", "namespace": "any"},
        {"verb": "get", "resource": "pods", "subresource": "log", "name": "p"},
        {
            "verb": "patch",
            "group": "kubeflow.org",
            "resource": "pytorchjobs",
            "subresource": "scale",
        },
        {"verb": "*", "group": "*", "resource": "*"},
        {"verb": "list", "resource": "nodes", "version": "v1"},
    ],
    ids=lambda attributes: f"{attributes['verb']} {attributes['resource']}",
)
def test_what_is_served_may_be_done(http: httpx.Client, attributes: dict[str, str]) -> None:
    """In every namespace, to every object."""
    assert may(http, **attributes) == {"allowed": True}


@pytest.mark.parametrize(
    ("attributes", "what"),
    [
        ({"verb": "create", "group": "apps", "resource": "deployments"}, "deployments.apps"),
        ({"verb": "create", "resource": "pytorchjobs"}, "pytorchjobs"),
        ({"verb": "delete", "resource": "nodes"}, "nodes"),
        ({"verb": "create", "resource": "pods", "subresource": "exec"}, "pods/exec"),
        ({"verb": "list", "resource": "pods", "subresource": "log"}, "pods/log"),
        ({}, ""),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_what_is_not_served_cannot(
    http: httpx.Client, attributes: dict[str, str], what: str
) -> None:
    """And the answer says so."""
    verb = attributes.get("verb", "")
    reason = f'the embedded API does not serve "{verb}" on {what}'
    assert may(http, **attributes) == {"allowed": False, "reason": reason}


@pytest.mark.parametrize(
    ("path", "allowed"),
    [("/healthz", True), ("/apis/kubeflow.org", True), ("/metrics", False), ("/healthzz", False)],
)
def test_paths_that_are_no_resources(http: httpx.Client, path: str, allowed: bool) -> None:
    """Only reading is served there."""
    for verb, expected in (("get", allowed), ("post", False)):
        spec = {"nonResourceAttributes": {"path": path, "verb": verb}}
        body = review(http, "SelfSubjectAccessReview", spec).json()
        assert body["status"]["allowed"] is expected


def test_a_review_repeats_what_was_asked(http: httpx.Client) -> None:
    """As a real server does; it is not stored."""
    spec = {"resourceAttributes": {"verb": "get", "resource": "pods"}}
    assert review(http, "SelfSubjectAccessReview", spec).json() == {
        "kind": "SelfSubjectAccessReview",
        "apiVersion": "authorization.k8s.io/v1",
        "metadata": {},
        "spec": spec,
        "status": {"allowed": True},
    }


@pytest.mark.parametrize(
    "spec",
    [None, {}, {"resourceAttributes": {}, "nonResourceAttributes": {"path": "/", "verb": "get"}}],
)
def test_a_review_of_nothing_and_of_two_things(http: httpx.Client, spec: Any) -> None:
    """Neither can be answered."""
    response = review(http, "SelfSubjectAccessReview", spec)
    assert (response.status_code, response.json()["reason"]) == (422, "Invalid")


@pytest.mark.parametrize(
    "spec", ["x", [], 1, {"resourceAttributes": "x"}, {"resourceAttributes": {"verb": 1}}]
)
def test_a_review_that_is_none(http: httpx.Client, spec: Any) -> None:
    """Types are checked before anything is answered."""
    response = review(http, "SelfSubjectAccessReview", spec)
    assert (response.status_code, response.json()["reason"]) == (400, "BadRequest")


@pytest.mark.parametrize("body", [[], {"kind": "Pod", "apiVersion": "v1"}, {"kind": None}])
def test_a_body_of_another_kind(http: httpx.Client, body: Any) -> None:
    """It is refused, not guessed at."""
    path = "/apis/authorization.k8s.io/v1/selfsubjectrulesreviews"
    response = http.post(path, json=body)
    assert response.status_code == 400
    assert "is no SelfSubjectRulesReview" in response.json()["message"]


def test_a_body_that_does_not_say_its_kind(http: httpx.Client) -> None:
    """It is taken for what belongs here, as the official client for Python relies on."""
    path = "/apis/authorization.k8s.io/v1/selfsubjectrulesreviews"
    response = http.post(path, json={"spec": {"namespace": "a"}})
    assert (response.status_code, response.json()["kind"]) == (201, "SelfSubjectRulesReview")


def test_reviews_cannot_be_read(http: httpx.Client) -> None:
    """There is nothing to read."""
    response = http.get("/apis/authorization.k8s.io/v1/selfsubjectaccessreviews")
    assert (response.status_code, response.json()["reason"]) == (405, "MethodNotAllowed")


def test_the_rules_hold_all_that_is_served(http: httpx.Client) -> None:
    """Each resource with the verbs that it has."""
    body = review(http, "SelfSubjectRulesReview", {"namespace": "default"}).json()
    found = {
        (group, name): set(rule["verbs"])
        for rule in body["status"]["resourceRules"]
        for group in rule["apiGroups"]
        for name in rule["resources"]
    }
    for group, resources in groups().items():
        for resource in resources:
            assert found[group, resource.plural] == set(resource.verbs)
            assert {(group, f"{resource.plural}/{sub}") for sub in resource.subresources} <= set(
                found
            )
    assert body["spec"] == {}  # it is not repeated, in contrast to the other review
    assert body["status"]["incomplete"] is False


def test_rules_are_those_of_a_namespace(http: httpx.Client) -> None:
    """One has to be named."""
    response = review(http, "SelfSubjectRulesReview", {})
    assert response.json()["message"] == "no namespace on request"


def test_who_one_is(http: httpx.Client) -> None:
    """The user of this machine whose process answers."""
    body = review(http, "SelfSubjectReview", group="authentication.k8s.io").json()
    assert body["status"]["userInfo"]["username"] == pwd.getpwuid(os.getuid()).pw_name
    assert "system:masters" in body["status"]["userInfo"]["groups"]
