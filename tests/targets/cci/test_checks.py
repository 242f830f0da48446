"""What the doctor is told about CCI."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from typing import Any

import httpx
import pytest

from pyjob_magic.findings import Finding
from pyjob_magic.rest import Rest
from pyjob_magic.targets import Access, resolve
from pyjob_magic.targets.cci.checks import examine
from tests.targets.cci.server import NAMESPACE, CciServer


def found(handler: Callable[[httpx.Request], Any], namespace: str = NAMESPACE) -> list[Finding]:
    target = dataclasses.replace(resolve("cci", Access()), transport=httpx.MockTransport(handler))
    rest = Rest(target)
    try:
        return list(examine(rest, namespace))
    finally:
        rest.close()


def test_all_is_well(keys: None, server: CciServer) -> None:
    """The API is served, the namespace takes GPUs, the network is up."""
    server.networks[0]["status"]["state"] = "Active"

    assert found(server) == [
        Finding("api", "ok", "kubeflow.org/v1 is served (deprecated by Huawei in 2020)"),
        Finding("namespace", "ok", "namespace-test is Active, flavor gpu-accelerated"),
        Finding("network", "ok", "test-network is Active"),
    ]


def test_each_thing_that_is_missing_says_how_to_mend_it(keys: None, server: CciServer) -> None:
    """An API that is gone, a namespace for CPUs that is going, no network."""
    groups = server.groups["groups"]
    server.groups["groups"] = [group for group in groups if group["name"] != "kubeflow.org"]
    server.namespace["metadata"]["annotations"] = {}
    server.networks.clear()

    api, namespace, network = found(server)

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

    _, namespace, _ = found(server)

    assert namespace.state == state
    assert words in namespace.found


def test_a_namespace_that_is_not_there_fails(keys: None, server: CciServer) -> None:
    """With what to do; the network of one that is not there fails too."""
    _, namespace, network = found(server, "nowhere")

    assert namespace.state == network.state == "fail"
    assert namespace.remedy.startswith("create it in the CCI console")


@pytest.mark.parametrize(
    "answer", [httpx.Response(200, json={"metadata": 3, "groups": 4, "items": 5})]
)
def test_nonsense_is_unknown(keys: None, answer: httpx.Response) -> None:
    """No check crashes another."""
    assert [finding.state for finding in found(lambda _: answer)] == ["unknown"] * 3


def test_without_credentials_all_is_unknown(server: CciServer) -> None:
    """And the line says what to set."""
    findings = found(server)

    assert [finding.state for finding in findings] == ["unknown"] * 3
    assert "set HUAWEICLOUD_SDK_AK" in findings[0].found
