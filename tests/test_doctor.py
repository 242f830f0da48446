"""A look at a target: every line holds, whatever the others meet."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import httpx
import pytest

from pyjob_magic import connect
from pyjob_magic.doctor import Report, examine
from pyjob_magic.findings import Finding
from pyjob_magic.rest import Rest
from pyjob_magic.target import Target

NOW = datetime(2026, 11, 24, 12, 0, 0, tzinfo=UTC)
REVIEWS = "/apis/authorization.k8s.io/v1/selfsubjectaccessreviews"

Answer = Callable[[httpx.Request], httpx.Response]


def a_report(answer: Answer) -> Report:
    target = Target("k8s", "https://server", transport=httpx.MockTransport(answer))
    return examine(target, "team-a", now=NOW)


def by_check(report: Report) -> dict[str, Finding]:
    return {finding.check: finding for finding in report.findings}


def a_server(request: httpx.Request) -> httpx.Response:
    """Answer as a cluster with the CRD in which everything is allowed and nothing is there."""
    path = request.url.path
    if path == REVIEWS:
        return httpx.Response(201, json={"status": {"allowed": True}})
    if path == "/apis/kubeflow.org/v1":
        return httpx.Response(200, json={"resources": [{"name": "pytorchjobs"}]})
    if path.endswith("selfsubjectreviews"):
        return httpx.Response(201, json={"status": {"userInfo": {"username": "ann"}}})
    if path == "/apis/kueue.x-k8s.io":
        return httpx.Response(200, json={"preferredVersion": {"groupVersion": "kueue.x-k8s.io/v1"}})
    if path.endswith("localqueues"):
        return httpx.Response(200, json={"items": [{"metadata": {"name": "gold"}}]})
    return httpx.Response(200, json={"gitVersion": "v1.31.2", "items": []})


def test_the_embedded_api_passes(home: Path) -> None:
    """Where jobs run, no check says otherwise, and nothing is left behind."""
    table = connect().doctor()

    assert {finding.state for finding in table} == {"ok"}, str(table)
    assert not connect().list()


def test_every_check_looks_once_at_a_good_server() -> None:
    """All that the server can tell is told."""
    found = by_check(a_report(a_server))

    assert found["who am I"].found == "ann"
    assert found["server version"].found == "v1.31.2"
    assert found["operator"].state == "unknown"
    assert (found["queues"].found, found["queues"].remedy) == ("gold", "--queue gold")
    assert {f.state for check, f in found.items() if check != "operator"} == {"ok"}


@pytest.mark.parametrize(
    "answer",
    [
        httpx.Response(403, json={"kind": "Status", "message": "not you", "code": 403}),
        httpx.Response(404, text="404 page not found"),
        httpx.Response(500, json={"kind": "Status", "message": "etcd is full", "code": 500}),
        httpx.Response(200, text="<html>Log in</html>"),
        httpx.Response(200, json=["no", "object"]),
        httpx.Response(200, json={"items": "none", "status": "well"}),
        httpx.ReadTimeout("timed out"),
    ],
)
@pytest.mark.parametrize("sick", ["selfsubject", "/secrets", "/nodes", "quotas", "leases", "/apis"])
def test_no_check_crashes_another(sick: str, answer: httpx.Response | Exception) -> None:
    """A part of the server that refuses, fails or answers nonsense costs its own line at most."""

    def serve(request: httpx.Request) -> httpx.Response:
        if sick not in request.url.path:
            return a_server(request)
        if isinstance(answer, Exception):
            raise answer
        return answer

    well = by_check(a_report(a_server))
    found = by_check(a_report(serve))

    assert found["server version"] == well["server version"]
    assert found["namespace"] == well["namespace"]
    assert {"who am I", "PyTorchJob resource", "operator", "may create jobs"} <= set(found)
    assert all("\n" not in finding.found for finding in found.values())


@pytest.mark.parametrize(
    ("answer", "words"),
    [
        (httpx.ConnectError("Connection refused"), "Connection refused"),
        (httpx.Response(502, text="bad gateway"), "bad gateway"),
    ],
)
def test_nothing_more_is_asked_of_what_does_not_answer(
    answer: httpx.Response | Exception, words: str
) -> None:
    """One line says so, at once."""
    asked: list[str] = []

    def serve(request: httpx.Request) -> httpx.Response:
        asked.append(request.url.path)
        if isinstance(answer, Exception):
            raise answer
        return answer

    report = a_report(serve)

    assert [finding.check for finding in report.findings] == ["target", "reachable"]
    assert report.findings[1].state == "fail"
    assert words in report.findings[1].found
    assert asked == ["/version"]


def test_what_is_not_allowed_is_in_the_role() -> None:
    """Also where the server gives no reason; what is allowed is left out."""

    def serve(request: httpx.Request) -> httpx.Response:
        if request.url.path == REVIEWS and b'"create"' in request.content:
            return httpx.Response(201, json={"status": {"allowed": False}})
        return a_server(request)

    report = a_report(serve)
    found = by_check(report)

    assert found["may create jobs"].state == "fail"
    assert found["may create ConfigMaps"].state == "warn"
    assert found["may read pods"].state == "ok"
    assert "a job on trial" not in found  # it could not be accepted
    assert report.role.count("verbs: [create]") == 2


def test_credentials_that_are_not_accepted_are_said_to_be_so() -> None:
    """The first thing to mend."""

    def serve(_: httpx.Request) -> httpx.Response:
        body: dict[str, Any] = {"kind": "Status", "message": "Unauthorized", "code": 401}
        return httpx.Response(401, json=body)

    who = by_check(a_report(serve))["who am I"]

    assert (who.state, who.found) == ("fail", "not accepted: Unauthorized")


def test_no_secret_is_read() -> None:
    """Of pull secrets only the names are asked for."""
    accepted: list[str] = []

    def serve(request: httpx.Request) -> httpx.Response:
        if request.url.path.endswith("/secrets"):
            accepted.append(request.headers["Accept"])
        return a_server(request)

    a_report(serve)

    assert {accept.partition(";as=")[2] for accept in accepted} == {
        "PartialObjectMetadataList;g=meta.k8s.io;v=v1"
    }


@pytest.mark.parametrize("kind", ["dockerconfigjson", "dockercfg"])
def test_pull_secrets_of_both_kinds_are_found(kind: str) -> None:
    """The older one is what OpenShift makes."""

    def serve(request: httpx.Request) -> httpx.Response:
        if request.url.params.get("fieldSelector") == f"type=kubernetes.io/{kind}":
            return httpx.Response(200, json={"items": [{"metadata": {"name": "registry"}}]})
        return a_server(request)

    target = Target("k8s", "https://server", transport=httpx.MockTransport(serve))
    found = by_check(examine(target, "team-a", now=NOW, pull_secrets=["registry"]))

    assert (found["pull secrets"].state, found["pull secrets"].found) == ("ok", "registry")


def test_looks_of_a_target_that_break_off_leave_those_before() -> None:
    """What nobody has thought of is a line, too."""

    def look(_: Rest, namespace: str) -> Iterator[Finding]:
        yield Finding("namespace", "ok", namespace)
        raise KeyError("networks")

    target = Target("cloud", "https://server", examine=look)
    found = examine(target, "team-a", now=NOW).findings

    assert [finding.check for finding in found][-2:] == ["namespace", "what else there is"]
    assert found[-1].found == "what came back makes no sense: KeyError: 'networks'"
