"""The dependents of a job, as the operator makes them: a pod and a service for each replica. Pure.

Source: ``pkg/controller.v1/common/pod.go`` and ``service.go``, training-operator v1.9.0; what the
API server adds: ``pkg/apis/core/v1/defaults.go`` and ``helper/qos`` of Kubernetes.
"""

from __future__ import annotations

import copy
from decimal import Decimal

from pyjob_magic.local.control.poddefaults import fill_in
from pyjob_magic.local.kubelet.environment import DEFAULT_PORT, PORT_NAME, operator_env, replicas
from pyjob_magic.local.objects import (
    JOB_NAME,
    LABEL_PREFIX,
    REPLICA_INDEX,
    REPLICA_TYPE,
    Json,
    owner_reference,
)
from pyjob_magic.quantity import Quantity

CONTROLLER = "pytorchjob-controller"
_OPERATOR_NAME = f"{LABEL_PREFIX}/operator-name"
_JOB_ROLE = f"{LABEL_PREFIX}/job-role"


def replica_specs(job: Json) -> dict[str, Json]:
    """Return the replica specs, Master first."""
    specs = job["spec"].get("pytorchReplicaSpecs") or {}
    return {kind: specs[kind] for kind in ("Master", "Worker") if kind in specs}


def replica_count(job: Json) -> int:
    """Return how many replicas a job should have, of all types."""
    return sum(map(replicas, replica_specs(job).values()))


def is_wanted(job: Json, name: str) -> bool:
    """Whether `name`, that of a replica of `job`, is one of those that it should have."""
    kind, _, index = name.removeprefix(f"{job['metadata']['name']}-").partition("-")
    specs = {known.lower(): spec for known, spec in replica_specs(job).items()}
    return kind in specs and index.isdecimal() and int(index) < replicas(specs[kind])


def replica_name(job_name: str, replica_type: str, index: int) -> str:
    """Return the name of one replica."""
    return f"{job_name}-{replica_type.lower()}-{index}"


def restart_policy(replica_spec: Json) -> str:
    """Return the defaulted ``restartPolicy`` of a replica type."""
    return replica_spec.get("restartPolicy") or "OnFailure"


def selector(job_name: str, replica_type: str) -> str:
    """Return the label selector of the replicas of one type."""
    labels = _labels(job_name, replica_type)
    return ",".join(f"{key}={labels[key]}" for key in sorted(labels))


def new_pod(job: Json, replica_type: str, index: int) -> Json:
    """Return the pod of one replica, without uid and creation time."""
    spec = job["spec"]["pytorchReplicaSpecs"][replica_type]
    template = copy.deepcopy(spec["template"])
    given, pod_spec = template.get("metadata") or {}, template["spec"]
    for container in pod_spec["containers"]:
        env = operator_env(job, replica_type, index)
        container["env"] = [*(container.get("env") or ()), *env]
    _with_port(pod_spec)
    policy = restart_policy(spec)
    pod_spec["restartPolicy"] = "Never" if policy == "ExitCode" else policy
    fill_in(pod_spec)
    own = _labels(job["metadata"]["name"], replica_type, index) | _role(job, replica_type, index)
    return {
        "kind": "Pod",
        "apiVersion": "v1",
        "metadata": {
            **_metadata(job, replica_type, index, {**(given.get("labels") or {}), **own}),
            **({"annotations": given["annotations"]} if given.get("annotations") else {}),
        },
        "spec": pod_spec,
        "status": {"phase": "Pending", "qosClass": quality_of_service(pod_spec)},
    }


def new_service(job: Json, replica_type: str, index: int) -> Json:
    """Return the headless service of one replica, without uid and creation time.

    Upstream lists the ports in random order; here it is that of the container.
    """
    labels = _labels(job["metadata"]["name"], replica_type, index)
    return {
        "kind": "Service",
        "apiVersion": "v1",
        "metadata": _metadata(job, replica_type, index, labels),
        "spec": {
            "ports": service_ports(job["spec"]["pytorchReplicaSpecs"][replica_type]),
            "selector": labels,
            "clusterIP": "None",
            "clusterIPs": ["None"],
            "type": "ClusterIP",
            "sessionAffinity": "None",
            "ipFamilies": ["IPv4"],
            "ipFamilyPolicy": "SingleStack",
            "internalTrafficPolicy": "Cluster",
        },
        "status": {"loadBalancer": {}},
    }


def service_ports(replica_spec: Json) -> list[Json]:
    """Return the ports of a replica's service: those of its ``pytorch`` container, by name."""
    pod_spec = {"containers": copy.deepcopy(replica_spec["template"]["spec"]["containers"])}
    _with_port(pod_spec)
    by_name = {
        port.get("name", ""): port["containerPort"]
        for container in pod_spec["containers"]
        if container["name"] == "pytorch"
        for port in container["ports"]
    }
    return [
        {**({"name": name} if name else {}), "protocol": "TCP", "port": port, "targetPort": port}
        for name, port in by_name.items()
    ]


def _metadata(job: Json, replica_type: str, index: int, labels: Json) -> Json:
    return {
        "name": replica_name(job["metadata"]["name"], replica_type, index),
        "namespace": job["metadata"]["namespace"],
        "labels": labels,
        "ownerReferences": [owner_reference(job)],
    }


def _labels(job_name: str, replica_type: str, index: int | None = None) -> dict[str, str]:
    labels = {
        JOB_NAME: job_name,
        _OPERATOR_NAME: CONTROLLER,
        REPLICA_TYPE: replica_type.lower(),
    }
    return labels if index is None else {**labels, REPLICA_INDEX: str(index)}


def _role(job: Json, replica_type: str, index: int) -> dict[str, str]:
    """Return the label of the replica that leads: the Master, else the first Worker."""
    leads = replica_type == "Master" or "Master" not in job["spec"]["pytorchReplicaSpecs"]
    return {_JOB_ROLE: "master"} if leads and index == 0 else {}


def _with_port(pod_spec: Json) -> None:
    """Give the ``pytorch`` container the port that jobs meet at, if it names none."""
    for container in pod_spec["containers"]:
        ports = container.get("ports") or []
        if container["name"] == "pytorch":
            if not any(port.get("name") == PORT_NAME for port in ports):
                ports.append({"name": PORT_NAME, "containerPort": DEFAULT_PORT, "protocol": "TCP"})
            container["ports"] = ports


def quality_of_service(pod_spec: Json) -> str:
    """Return the QoS class of a pod: how sure it can be of CPU and memory."""
    given, sure = False, True
    for container in (*(pod_spec.get("initContainers") or ()), *pod_spec["containers"]):
        resources = container.get("resources") or {}
        for name in ("cpu", "memory"):
            limit = _amount(resources.get("limits"), name)
            request = _amount(resources.get("requests"), name)
            given = given or limit > 0 or request > 0
            sure = sure and limit > 0 and request in (0, limit)
    return "Guaranteed" if given and sure else "Burstable" if given else "BestEffort"


def _amount(amounts: Json | None, name: str) -> Decimal:
    try:
        return Quantity((amounts or {}).get(name, 0)).value
    except (ValueError, ArithmeticError):  # the pod will be refused for it
        return Decimal(0)
