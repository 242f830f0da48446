"""What the doctor is told about CCI."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

import httpx
import pytest

from pyjob_magic.doctor import examine
from pyjob_magic.findings import Finding
from pyjob_magic.targets import Access, resolve
from tests.targets.cci.server import NAMESPACE, CciServer


def found(handler: Callable[[httpx.Request], Any], namespace: str = NAMESPACE) -> list[Finding]:
    """Return what the doctor finds, below the lines that every target has."""
    target = dataclasses.replace(resolve("cci", Access()), transport=httpx.MockTransport(handler))
    report = examine(target, namespace, now=datetime.now(UTC))
    where, tls, *rest = report.findings
    assert where.found == f"cci (cn-north-4), namespace {namespace}"
    assert tls.state == "ok"
    return rest


def test_all_is_well(keys: None, server: CciServer) -> None:
    """The API is served, the namespace takes GPUs, the network is up."""
    server.networks[0]["status"]["state"] = "Active"

    assert found(server) == [
        Finding("credentials", "ok", "accepted"),
        Finding("API", "ok", "kubeflow.org/v1 is served (deprecated by Huawei in 2020)"),
        Finding("namespace", "ok", "namespace-test is Active, flavor gpu-accelerated"),
        Finding("network", "ok", "test-network is Active"),
    ]


def test_each_thing_that_is_missing_says_how_to_mend_it(keys: None, server: CciServer) -> None:
    """An API that is gone, a namespace for CPUs that is going, no network."""
    groups = server.groups["groups"]
    server.groups["groups"] = [group for group in groups if group["name"] != "kubeflow.org"]
    server.namespace["metadata"]["annotations"] = {}
    server.networks.clear()

    _, api, namespace, network = found(server)

    assert (api.state, network.state, namespace.state) == ("fail", "fail", "warn")
    assert "Volcano Jobs" in api.remedy
    assert namespace.remedy == "CCI wants the annotation namespace.kubernetes.io/flavor"
    assert "create a network" in network.remedy


@pytest.mark.parametrize(
    ("flavor", "phase", "state", "words"),
    [
        ("general-computing", "Active", "ok", "flavor general-computing: no GPUs there"),
        ("gpu-accelerated", "Terminating", "fail", "namespace-test is Terminating"),
    ],
)
def test_namespaces_are_told_apart(
    keys: None, server: CciServer, flavor: str, phase: str, state: str, words: str
) -> None:
    """By flavor and phase."""
    server.namespace["metadata"]["annotations"]["namespace.kubernetes.io/flavor"] = flavor
    server.namespace["status"]["phase"] = phase

    _, _, namespace, _ = found(server)

    assert namespace.state == state
    assert words in namespace.found


def test_a_namespace_that_is_not_there_fails(keys: None, server: CciServer) -> None:
    """With what to do; the network of one that is not there fails too."""
    _, _, namespace, network = found(server, "nowhere")

    assert namespace.state == network.state == "fail"
    assert namespace.remedy.startswith("create it in the CCI console")


@pytest.mark.parametrize(
    "answer", [httpx.Response(200, json={"metadata": 3, "groups": 4, "items": 5})]
)
def test_nonsense_is_unknown(keys: None, answer: httpx.Response) -> None:
    """No check crashes another."""
    states = [finding.state for finding in found(lambda _: answer)]

    assert states == ["ok", "unknown", "unknown", "unknown"]


def test_without_credentials_the_line_says_what_to_set(server: CciServer) -> None:
    """And nothing is sent."""
    (line,) = found(server)

    assert (line.check, line.state) == ("credentials", "fail")
    assert "set HUAWEICLOUD_SDK_AK" in line.found
    assert server.requests == []


def test_a_wrong_key_is_tried_once(keys: None, server: CciServer) -> None:
    """A look does not lock it."""
    server.secret_keys.clear()

    (line,) = found(server)

    assert (line.check, line.state) == ("credentials", "fail")
    assert len(server.requests) == 1


def test_what_does_not_answer_is_one_line() -> None:
    """With who it is: IAM is asked before CCI."""

    def refuse(request: httpx.Request) -> httpx.Response:
        raise httpx.ConnectError("Connection refused", request=request)

    with pytest.MonkeyPatch.context() as patch:
        for name in ("OS_USERNAME", "OS_PASSWORD", "OS_DOMAIN_NAME"):
            patch.setenv(name, "x")
        (line,) = found(refuse)

    assert (line.check, line.state) == ("reachable", "fail")
    assert "iam.cn-north-4.myhuaweicloud.com: Connection refused" in line.found
