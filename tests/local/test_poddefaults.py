"""A new pod has what an API server fills in."""

from __future__ import annotations

from typing import Any

import pytest

from pyjob_magic.local.control.poddefaults import fill_in


def filled(container: dict[str, Any] | None = None, **spec: Any) -> dict[str, Any]:
    pod = {"containers": [{"name": "c", "image": "a/b:1", **(container or {})}], **spec}
    fill_in(pod)
    return pod


def test_a_pod_that_says_nothing_is_completed() -> None:
    """As a Kubernetes 1.36 API server completes it."""
    gpus = {"nvidia.com/gpu": "8"}
    stays = {"operator": "Exists", "effect": "NoExecute", "tolerationSeconds": 300}
    assert filled({"resources": {"limits": gpus}}) == {
        "containers": [
            {
                "name": "c",
                "image": "a/b:1",
                "resources": {"limits": gpus, "requests": gpus},
                "terminationMessagePath": "/dev/termination-log",
                "terminationMessagePolicy": "File",
                "imagePullPolicy": "IfNotPresent",
            }
        ],
        "terminationGracePeriodSeconds": 30,
        "dnsPolicy": "ClusterFirst",
        "securityContext": {},
        "schedulerName": "default-scheduler",
        "tolerations": [
            {"key": "node.kubernetes.io/not-ready", **stays},
            {"key": "node.kubernetes.io/unreachable", **stays},
        ],
        "priority": 0,
        "enableServiceLinks": True,
        "preemptionPolicy": "PreemptLowerPriority",
    }


def test_what_is_said_stays() -> None:
    """Also a grace period of none at all; null says nothing."""
    pod = filled({"terminationMessagePolicy": "FallbackToLogsOnError"}, dnsPolicy=None)
    assert pod["containers"][0]["terminationMessagePolicy"] == "FallbackToLogsOnError"
    assert pod["dnsPolicy"] == "ClusterFirst"
    assert filled(terminationGracePeriodSeconds=0)["terminationGracePeriodSeconds"] == 0


@pytest.mark.parametrize(
    ("image", "policy"),
    [
        ("a", "Always"),
        ("a:latest", "Always"),
        ("host:5000/a", "Always"),
        ("host:5000/a:2", "IfNotPresent"),
        ("a@sha256:0", "IfNotPresent"),
    ],
)
def test_the_newest_image_is_always_pulled(image: str, policy: str) -> None:
    """One without a tag is the newest; one with a digest is not."""
    assert filled({"image": image})["containers"][0]["imagePullPolicy"] == policy


def test_requests_are_limits_unless_they_are_given() -> None:
    """Each resource for itself."""
    given = {"limits": {"cpu": "2", "memory": "1Gi"}, "requests": {"cpu": "1"}}
    (container,) = filled({"resources": given})["containers"]
    assert container["resources"]["requests"] == {"cpu": "1", "memory": "1Gi"}


@pytest.mark.parametrize(
    ("own", "expected"),
    [
        ({"operator": "Exists"}, 1),
        ({"key": "node.kubernetes.io/unreachable", "operator": "Exists"}, 2),
        ({"key": "gpu", "operator": "Exists"}, 3),
        ({"operator": "Exists", "effect": "NoSchedule"}, 3),
    ],
)
def test_tolerations_are_added_where_they_are_missing(own: dict[str, str], expected: int) -> None:
    """One without a key tolerates everything."""
    tolerations = filled(tolerations=[own])["tolerations"]
    assert (tolerations[0], len(tolerations)) == (own, expected)


def test_volumes_and_references_are_completed() -> None:
    """Modes, the type of a place of the machine, the version of a field."""
    field = {"fieldRef": {"fieldPath": "metadata.name"}}
    env = [{"name": "A", "valueFrom": field}, {"name": "B", "value": "b"}]
    volumes = [
        {"name": "a", "configMap": {"name": "a"}},
        {"name": "b", "hostPath": {"path": "/b"}},
        {"name": "c", "projected": {"sources": [{"downwardAPI": {"items": [{**field}]}}]}},
    ]
    pod = filled({"env": env}, volumes=volumes)
    assert pod["volumes"][0]["configMap"]["defaultMode"] == 0o644
    assert pod["volumes"][1]["hostPath"]["type"] == ""
    (source,) = pod["volumes"][2]["projected"]["sources"]
    assert source["downwardAPI"]["items"][0]["fieldRef"]["apiVersion"] == "v1"
    assert pod["containers"][0]["env"][0]["valueFrom"]["fieldRef"]["apiVersion"] == "v1"
