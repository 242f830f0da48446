"""What is wrong with pods: before they are created, and while they do not run. Pure."""

from __future__ import annotations

from collections.abc import Iterator

from pyjob_magic.local.environment import replicas
from pyjob_magic.local.objects import Json, ended, is_dns_label, terminating
from pyjob_magic.quantity import Quantity

_POD_POLICIES = ("Always", "OnFailure", "Never")
_MOST_REPLICAS = 1024  # of a type, on one machine
_QUANTITY_RULE = (
    "quantities must match the regular expression '^([+-]?[0-9.]+)([eEinumkKMGTP]*[-+]?[0-9]*)$'"
)


def pod_name(job_name: str, replica_type: str, index: int) -> str:
    """Return the name of the pod of one replica."""
    return f"{job_name}-{replica_type.lower()}-{index}"


def restart_policy(replica_spec: Json) -> str:
    """Return the defaulted ``restartPolicy`` of a replica type."""
    return replica_spec.get("restartPolicy") or "OnFailure"


def mistakes(job: Json, replica_type: str) -> Iterator[tuple[str, str]]:
    """Find what would keep a cluster from creating the pods of one type.

    Yields
    ------
    tuple[str, str]
        What cannot be created, Pod or Service, and why.
    """
    name, spec = job["metadata"]["name"], job["spec"]["pytorchReplicaSpecs"][replica_type]
    first, last = (pod_name(name, replica_type, n) for n in (0, replicas(spec) - 1))
    prefix = f'Pod "{first}" is invalid: spec'
    policy, pod_spec = restart_policy(spec), spec["template"]["spec"]
    if replicas(spec) > _MOST_REPLICAS:
        yield "Pod", f"this machine runs at most {_MOST_REPLICAS} replicas, not {replicas(spec)}"
    if policy not in (*_POD_POLICIES, "ExitCode"):
        supported = ", ".join(f'"{known}"' for known in _POD_POLICIES)
        yield (
            "Pod",
            f'{prefix}.restartPolicy: Unsupported value: "{policy}": supported values: {supported}',
        )
    if len(last) > 63:
        yield (
            "Service",
            f'Service "{last}" is invalid: metadata.name: must be no more than 63 characters',
        )
    for key in ("containers", "initContainers", "volumes"):
        for index, entry in enumerate(pod_spec.get(key) or ()):
            if not is_dns_label(entry.get("name")):
                yield "Pod", f"{prefix}.{key}[{index}].name: must be a DNS-1123 label"
    for problem in _amounts(pod_spec):
        yield "Pod", f"{prefix}.{problem}"


def troubles(pods: list[Json]) -> Iterator[tuple[str, str]]:
    """Find what keeps pods from running: a reason and a message each.

    Source: ``recordAbnormalPods`` in ``pkg/controller.v1/common/job.go``.
    """
    for pod in pods:
        if ended(pod) or terminating(pod):
            continue
        name = pod["metadata"]["name"]
        for entry in pod["status"].get("containerStatuses") or ():
            state, container = entry.get("state") or {}, entry["name"]
            end, wait = state.get("terminated"), state.get("waiting")
            prefix = f"Error pod {name} container {container}"
            if end and end.get("exitCode"):
                yield (
                    end.get("reason", "Error"),
                    f"{prefix} exitCode: {end['exitCode']} "
                    f"terminated message: {end.get('message', '')}",
                )
            elif wait and wait.get("message"):
                reason = wait.get("reason", "Waiting")
                yield reason, f"{prefix} waiting message: {wait['message']}"
        if not pod["status"].get("containerStatuses"):
            for entry in pod["status"].get("conditions") or ():
                if entry["type"] == "PodScheduled" and entry["status"] == "False":
                    message = f"Error pod {name} condition message: {entry.get('message', '')}"
                    yield entry.get("reason", ""), message


def _amounts(spec: Json) -> Iterator[str]:
    """Find amounts of resources that are none."""
    for key in ("initContainers", "containers"):
        for index, container in enumerate(spec.get(key) or ()):
            resources = container.get("resources") or {}
            for kind in ("limits", "requests"):
                for name, amount in (resources.get(kind) or {}).items():
                    if problem := _amount(name, amount):
                        where = f"{key}[{index}].resources.{kind}[{name}]"
                        yield f'{where}: Invalid value: "{amount}": {problem}'


def _amount(name: str, amount: str | int) -> str:
    try:
        value = Quantity(amount).value
    except (ValueError, ArithmeticError):
        return _QUANTITY_RULE
    if value < 0:
        return "must be greater than or equal to 0"
    # What is no resource of Kubernetes' own, such as nvidia.com/gpu, is handed out in whole pieces.
    return "must be an integer" if "/" in name and value % 1 else ""
