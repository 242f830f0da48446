"""The rows that `kubectl get` prints."""

from __future__ import annotations

from typing import Any

import pytest

from pyjob_magic.local.apiserver.tables import columns, row
from pyjob_magic.local.objects import seconds
from pyjob_magic.local.resources import (
    CONFIG_MAPS,
    EVENTS,
    JOBS,
    NAMESPACES,
    NODES,
    PODS,
    SECRETS,
    SERVICES,
    STORED,
    Resource,
)

CREATED = "2026-01-01T00:00:00Z"
NOW = seconds(CREATED) + 60


def shown(resource: Resource, **fields: Any) -> dict[str, Any]:
    """Return the cells of an object called ``a`` by the names of their columns."""
    obj = {"metadata": {"name": "a", "creationTimestamp": CREATED}, **fields}
    obj["metadata"] |= fields.pop("more", {})
    cells = row(resource, obj, NOW)["cells"]
    names = [column["name"] for column in columns(resource)]
    assert len(cells) == len(names)
    return dict(zip(names, cells, strict=True))


@pytest.mark.parametrize("resource", STORED, ids=lambda resource: resource.plural)
def test_every_resource_has_columns(resource: Resource) -> None:
    """Each column has a type, a description and a place; one of them is the name."""
    definitions = columns(resource)
    assert [column["format"] for column in definitions].count("name") == 1
    for column in definitions:
        assert column["type"] in ("string", "date", "integer")
        assert column["description"]
        assert column["priority"] in (0, 1)


def test_the_state_of_a_job_is_its_newest_condition() -> None:
    """Whatever its status; before there is any, nothing is shown."""
    conditions = [{"type": "Created", "status": "True"}, {"type": "Suspended", "status": "False"}]
    assert shown(JOBS, status={"conditions": conditions})["State"] == "Suspended"
    assert shown(JOBS, status={"conditions": []})["State"] is None
    assert shown(JOBS) == {"Name": "a", "State": None, "Age": "60s"}


@pytest.mark.parametrize(
    ("phase", "reasons"), [("Running", []), ("Succeeded", ["Succeeded"]), ("Failed", ["Failed"])]
)
def test_the_row_of_a_pod_says_whether_it_is_through(phase: str, reasons: list[str]) -> None:
    """Clients may leave such rows out."""
    pod = {"metadata": {"name": "a"}, "spec": {"containers": []}, "status": {"phase": phase}}
    found = row(PODS, pod, NOW).get("conditions", [])
    assert [entry["reason"] for entry in found if entry["type"] == "Completed"] == reasons


def test_an_event() -> None:
    """When, what, to whom; in wide output also from whom and how often."""
    assert shown(
        EVENTS,
        type="Warning",
        reason="BackOff",
        message=" Back-off restarting \n",
        involvedObject={"kind": "Pod", "name": "p", "fieldPath": "spec.containers{c}"},
        source={"component": "kubelet", "host": "here"},
        firstTimestamp="2025-12-31T23:00:00Z",
        lastTimestamp="2026-01-01T00:00:50Z",
        count=7,
    ) == {
        "Last Seen": "10s",
        "Type": "Warning",
        "Reason": "BackOff",
        "Object": "pod/p",
        "Subobject": "spec.containers{c}",
        "Source": "kubelet, here",
        "Message": "Back-off restarting",
        "First Seen": "61m",
        "Count": 7,
        "Name": "a",
    }


def test_an_event_of_the_newer_kind() -> None:
    """It has its time, its series and its reporter elsewhere."""
    found = shown(
        EVENTS,
        eventTime="2026-01-01T00:00:00.000000Z",
        series={"count": 3, "lastObservedTime": "2026-01-01T00:00:59.000000Z"},
        reportingComponent="somebody",
        involvedObject={"kind": "Node"},
    )
    assert (found["Last Seen"], found["First Seen"], found["Count"]) == ("1s", "60s", 3)
    assert (found["Source"], found["Object"]) == ("somebody", "node")


def test_how_much_config_maps_and_secrets_hold() -> None:
    """The number of entries, never one of them."""
    found = shown(CONFIG_MAPS, data={"a": "1"}, binaryData={"b": "Mg==", "c": "Mw=="})
    assert found == {"Name": "a", "Data": 3, "Age": "60s"}
    assert shown(SECRETS, data={"password": "aA=="}) == {
        "Name": "a",
        "Type": "Opaque",
        "Data": 1,
        "Age": "60s",
    }


def test_a_service() -> None:
    """The headless one of a replica."""
    spec = {
        "clusterIP": "None",
        "ports": [{"port": 23456}, {"port": 80, "nodePort": 30080, "protocol": "UDP"}],
        "selector": {"b": "2", "a": "1"},
    }
    assert shown(SERVICES, spec=spec) == {
        "Name": "a",
        "Type": "ClusterIP",
        "Cluster-IP": "None",
        "External-IP": "<none>",
        "Port(s)": "23456/TCP,80:30080/UDP",
        "Age": "60s",
        "Selector": "a=1,b=2",
    }


def test_a_namespace() -> None:
    """Its phase is its status."""
    assert shown(NAMESPACES, status={"phase": "Active"})["Status"] == "Active"


def test_a_node() -> None:
    """How it fares and what it is made of."""
    found = shown(
        NODES,
        more={"labels": {"node-role.kubernetes.io/control-plane": "", "kubernetes.io/os": "linux"}},
        spec={"unschedulable": True},
        status={
            "conditions": [{"type": "Ready", "status": "True"}],
            "addresses": [{"type": "InternalIP", "address": "127.0.0.1"}],
            "nodeInfo": {"kubeletVersion": "v1.32.0", "osImage": "Debian"},
        },
    )
    assert found == {
        "Name": "a",
        "Status": "Ready,SchedulingDisabled",
        "Roles": "control-plane",
        "Age": "60s",
        "Version": "v1.32.0",
        "Internal-IP": "127.0.0.1",
        "External-IP": "<none>",
        "OS-Image": "Debian",
        "Kernel-Version": "<unknown>",
        "Container-Runtime": "<unknown>",
    }


@pytest.mark.parametrize(
    ("conditions", "status"),
    [([], "Unknown"), ([{"type": "Ready", "status": "False"}], "NotReady")],
)
def test_a_node_that_is_not_ready(conditions: list[dict[str, str]], status: str) -> None:
    """As far as anybody knows."""
    found = shown(NODES, status={"conditions": conditions})
    assert (found["Status"], found["Roles"]) == (status, "<none>")
