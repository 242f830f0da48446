"""What is wrong with replicas: before they are created, and while they do not run. Pure."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence

from pyjob_magic.local.control.dependents import replica_name, restart_policy, service_ports
from pyjob_magic.local.kubelet.environment import replicas
from pyjob_magic.local.objects import Json, ended, is_dns_label, terminating
from pyjob_magic.local.status import Cause
from pyjob_magic.quantity import Quantity

_POD_POLICIES = ("Always", "OnFailure", "Never")
_PULL_POLICIES = ("Always", "IfNotPresent", "Never")
_FIELDS = (
    "metadata.name",
    "metadata.namespace",
    "metadata.uid",
    "spec.nodeName",
    "spec.serviceAccountName",
    "status.hostIP",
    "status.hostIPs",
    "status.podIP",
    "status.podIPs",
)
_FIELD = re.compile("|".join(_FIELDS) + r"|metadata\.(?:labels|annotations)\['[^']+'\]")
_MOST_REPLICAS = 1024  # of a type, on one machine
_LONGEST_NAME = 63  # of a service: it is a DNS label
_QUANTITY_RULE = (
    "quantities must match the regular expression '^([+-]?[0-9.]+)([eEinumkKMGTP]*[-+]?[0-9]*)$'"
)


def mistakes(job: Json, replica_type: str) -> Iterator[tuple[str, str]]:
    """Find what would keep a cluster from creating the dependents of one replica type.

    Yields
    ------
    tuple[str, str]
        What cannot be created, Pod or Service, and why.
    """
    name, spec = job["metadata"]["name"], job["spec"]["pytorchReplicaSpecs"][replica_type]
    first, last = (replica_name(name, replica_type, n) for n in (0, replicas(spec) - 1))
    if replicas(spec) > _MOST_REPLICAS:
        yield "Pod", f"this machine runs at most {_MOST_REPLICAS} replicas, not {replicas(spec)}"
    template = spec["template"]["spec"]
    for cause in pod_mistakes(template, restart_policy(spec), (*_POD_POLICIES, "ExitCode")):
        yield "Pod", f'Pod "{first}" is invalid: {cause}'
    if len(last) > _LONGEST_NAME:
        yield (
            "Service",
            f'Service "{last}" is invalid: metadata.name: Invalid value: "{last}": must be no '
            f"more than {_LONGEST_NAME} characters",
        )
    for problem in _port_mistakes(service_ports(spec)):
        yield "Service", f'Service "{first}" is invalid: spec.{problem}'


def pod_mistakes(
    spec: Json, policy: str, policies: tuple[str, ...] = _POD_POLICIES
) -> Iterator[Cause]:
    """Find what an API server does not accept in the spec of a pod.

    Parameters
    ----------
    spec
        The spec.
    policy, policies
        Its restart policy, and those that there are.
    """
    if policy not in policies:
        yield _unsupported("spec.restartPolicy", policy, _POD_POLICIES)
    for key in ("containers", "initContainers", "volumes"):
        for index, entry in enumerate(spec.get(key) or ()):
            if not is_dns_label(entry.get("name")):
                field = f"spec.{key}[{index}].name"
                yield Cause(field, "FieldValueInvalid", "must be a DNS-1123 label")
        yield from _container_mistakes(f"spec.{key}", spec.get(key) or (), spec)
    yield from _amounts(spec)


def troubles(pods: list[Json]) -> Iterator[tuple[str, str]]:
    """Find what keeps pods from running: a reason and a message each.

    Source: ``RecordAbnormalPods`` in ``pkg/core/job.go``, training-operator v1.9.0.
    """
    for pod in pods:
        if ended(pod) or terminating(pod):
            continue
        name, status = pod["metadata"]["name"], pod["status"]
        entries = status.get("containerStatuses") or status.get("initContainerStatuses") or ()
        for entry in entries:
            yield from _container_troubles(name, entry)
        if not entries and (latest := _latest(status.get("conditions") or [])):
            message = f"Error pod {name} condition message: {latest.get('message', '')}"
            yield latest.get("reason", ""), message


def _container_mistakes(path: str, containers: Sequence[Json], spec: Json) -> Iterator[Cause]:
    """Find what no container may say.

    Source: ``pkg/apis/core/validation`` of Kubernetes.
    """
    if path == "spec.volumes":
        return
    volumes = {volume.get("name") for volume in spec.get("volumes") or ()}
    for index, container in enumerate(containers):
        where = f"{path}[{index}]"
        policy = container.get("imagePullPolicy") or "Always"
        if policy not in _PULL_POLICIES:
            yield _unsupported(f"{where}.imagePullPolicy", policy, _PULL_POLICIES)
        for number, mount in enumerate(container.get("volumeMounts") or ()):
            if mount["name"] not in volumes:
                field = f"{where}.volumeMounts[{number}].name"
                yield Cause(field, "FieldValueNotFound", f'Not found: "{mount["name"]}"')
        for number, entry in enumerate(container.get("env") or ()):
            yield from _variable_mistakes(f"{where}.env[{number}]", entry)


def _variable_mistakes(where: str, entry: Json) -> Iterator[Cause]:
    name, source = entry["name"], entry.get("valueFrom")
    if not name or "=" in name or not (name.isascii() and name.isprintable()):
        message = f'Invalid value: "{name}": a variable has a name of printable ASCII without ='
        yield Cause(f"{where}.name", "FieldValueInvalid", message)
    if source is None:
        return
    if entry.get("value"):
        message = 'Invalid value: "": may not be specified when `value` is not empty'
        yield Cause(f"{where}.valueFrom", "FieldValueInvalid", message)
    field = (source.get("fieldRef") or {}).get("fieldPath")
    if field is not None and not _FIELD.fullmatch(field):
        path = f"{where}.valueFrom.fieldRef.fieldPath"
        yield _unsupported(path, field, _FIELDS)


def _unsupported(field: str, value: str, supported: tuple[str, ...]) -> Cause:
    known = ", ".join(f'"{one}"' for one in supported)
    message = f'Unsupported value: "{value}": supported values: {known}'
    return Cause(field, "FieldValueNotSupported", message)


def _container_troubles(pod_name: str, entry: Json) -> Iterator[tuple[str, str]]:
    state, prefix = entry.get("state") or {}, f"Error pod {pod_name} container {entry['name']}"
    end, wait = state.get("terminated") or {}, state.get("waiting") or {}
    if end.get("exitCode"):
        message = f"exitCode: {end['exitCode']} terminated message: {end.get('message', '')}"
        yield end.get("reason", ""), f"{prefix} {message}"
    if wait.get("message"):
        yield wait.get("reason", ""), f"{prefix} waiting message: {wait['message']}"


def _latest(conditions: list[Json]) -> Json | None:
    """Return the condition that has changed last, if it does not hold."""
    by_time = sorted(conditions, key=lambda entry: entry.get("lastTransitionTime") or "")
    return by_time[-1] if by_time and by_time[-1]["status"] != "True" else None


def _port_mistakes(ports: list[Json]) -> Iterator[str]:
    """Find ports of a service that have no name among several, or the number of another."""
    numbers: set[int] = set()
    for index, port in enumerate(ports):
        if len(ports) > 1 and "name" not in port:
            yield f"ports[{index}].name: Required value"
        if port["port"] in numbers:
            yield f'ports[{index}]: Duplicate value: "TCP {port["port"]}"'
        numbers.add(port["port"])


def _amounts(spec: Json) -> Iterator[Cause]:
    """Find amounts of resources that are none, and requests beyond their limits."""
    for key in ("initContainers", "containers"):
        for index, container in enumerate(spec.get(key) or ()):
            resources = container.get("resources") or {}
            for kind in ("limits", "requests"):
                for name, amount in (resources.get(kind) or {}).items():
                    if problem := _amount(name, amount):
                        field = f"spec.{key}[{index}].resources.{kind}[{name}]"
                        message = f'Invalid value: "{amount}": {problem}'
                        yield Cause(field, "FieldValueInvalid", message)
            yield from _beyond(f"spec.{key}[{index}].resources.requests", resources)


def _beyond(field: str, resources: Json) -> Iterator[Cause]:
    limits = resources.get("limits") or {}
    for name, request in (resources.get("requests") or {}).items():
        if name not in limits or _amount(name, request) or _amount(name, limits[name]):
            continue
        if Quantity(request).value > Quantity(limits[name]).value:
            message = f'Invalid value: "{request}": must be less than or equal to {name} limit'
            yield Cause(field, "FieldValueInvalid", f"{message} of {limits[name]}")


def _amount(name: str, amount: str | int) -> str:
    try:
        value = Quantity(amount).value
    except (ValueError, ArithmeticError):
        return _QUANTITY_RULE
    if value < 0:
        return "must be greater than or equal to 0"
    # What is no resource of Kubernetes' own, such as nvidia.com/gpu, is handed out in whole pieces.
    return "must be an integer" if "/" in name and value % 1 else ""
