"""What `kubectl get` prints: one row of cells for each object. Pure.

Every column is sent, ``kubectl`` leaves out those of priority 1 unless asked for ``-o wide``.

Source: ``pkg/printers/internalversion/printers.go`` of Kubernetes; the ``additionalPrinterColumns``
of the PyTorchJob's custom resource definition.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from pyjob_magic.local.apiserver.ages import UNKNOWN, age
from pyjob_magic.local.apiserver.podcells import pod_cells
from pyjob_magic.local.objects import Json, condition, labels
from pyjob_magic.local.resources import Resource

Cells = list[Any]

_NONE = "<none>"
_PHASES = {"Succeeded": "All containers have succeeded.", "Failed": "A container has failed."}


def columns(resource: Resource) -> list[Json]:
    """Return the column definitions of a resource."""
    definitions, _ = _TABLES[resource.plural]
    return list(definitions)


def row(resource: Resource, obj: Json, now: float) -> Json:
    """Return the row of an object, as it is `now`, in seconds since the epoch."""
    _, cells = _TABLES[resource.plural]
    entry: Json = {"cells": cells(obj, now)}
    phase = _at(obj, "status", "phase")
    if resource.plural == "pods" and phase in _PHASES:
        completed = {"type": "Completed", "status": "True", "reason": phase}
        entry["conditions"] = [{**completed, "message": _PHASES[phase]}]
    return entry


def _job(job: Json, now: float) -> Cells:
    conditions = _at(job, "status", "conditions") or [{}]
    return [_name(job), conditions[-1].get("type"), _age(job, now)]


def _event(event: Json, now: float) -> Cells:
    about, series = event["involvedObject"], event.get("series") or {}
    first = event.get("firstTimestamp") or event.get("eventTime")
    last = series.get("lastObservedTime") or event.get("lastTimestamp") or first
    kind, name = (about.get("kind") or "").lower(), about.get("name")
    return [
        age(last, now),
        event.get("type") or "",
        event.get("reason") or "",
        f"{kind}/{name}" if name else kind,
        about.get("fieldPath") or "",
        _source(event),
        (event.get("message") or "").strip(),
        age(first, now),
        series.get("count") or event.get("count") or 1,
        _name(event),
    ]


def _source(event: Json) -> str:
    source = event.get("source") or {}
    component = source.get("component") or event.get("reportingComponent") or ""
    host = source.get("host") or event.get("reportingInstance")
    return f"{component}, {host}" if host else component


def _config_map(obj: Json, now: float) -> Cells:
    return [
        _name(obj),
        len(obj.get("data") or {}) + len(obj.get("binaryData") or {}),
        _age(obj, now),
    ]


def _secret(secret: Json, now: float) -> Cells:
    kind = secret.get("type") or "Opaque"
    return [_name(secret), kind, len(secret.get("data") or {}), _age(secret, now)]


def _service(service: Json, now: float) -> Cells:
    spec = service.get("spec") or {}
    address = next(iter(spec.get("clusterIPs") or ()), spec.get("clusterIP"))
    return [
        _name(service),
        spec.get("type") or "ClusterIP",
        address or _NONE,
        spec.get("externalName") or ",".join(spec.get("externalIPs") or ()) or _NONE,
        ",".join(map(_port, spec.get("ports") or ())) or _NONE,
        _age(service, now),
        ",".join(f"{k}={v}" for k, v in sorted((spec.get("selector") or {}).items())) or _NONE,
    ]


def _port(port: Json) -> str:
    node_port = f":{port['nodePort']}" if port.get("nodePort") else ""
    return f"{port['port']}{node_port}/{port.get('protocol') or 'TCP'}"


def _namespace(namespace: Json, now: float) -> Cells:
    return [_name(namespace), _at(namespace, "status", "phase") or "", _age(namespace, now)]


def _node(node: Json, now: float) -> Cells:
    info = _at(node, "status", "nodeInfo") or {}
    return [
        _name(node),
        _node_status(node),
        _roles(node) or _NONE,
        _age(node, now),
        info.get("kubeletVersion") or "",
        _address(node, "InternalIP"),
        _address(node, "ExternalIP"),
        info.get("osImage") or UNKNOWN,
        info.get("kernelVersion") or UNKNOWN,
        info.get("containerRuntimeVersion") or UNKNOWN,
    ]


def _node_status(node: Json) -> str:
    entries = _at(node, "status", "conditions") or ()
    known = any(entry["type"] == "Ready" for entry in entries)
    words = ["Ready" if condition(node, "Ready") else "NotReady" if known else "Unknown"]
    if _at(node, "spec", "unschedulable"):
        words.append("SchedulingDisabled")
    return ",".join(words)


def _roles(node: Json) -> str:
    prefix, marks = "node-role.kubernetes.io/", labels(node)
    roles = {key.removeprefix(prefix) for key in marks if key.startswith(prefix)}
    return ",".join(sorted(roles | {marks.get("kubernetes.io/role", "")} - {""}))


def _address(node: Json, kind: str) -> str:
    addresses = _at(node, "status", "addresses") or ()
    return next((entry["address"] for entry in addresses if entry["type"] == kind), _NONE)


def _name(obj: Json) -> str:
    name: str = obj["metadata"]["name"]
    return name


def _age(obj: Json, now: float) -> str:
    return age(obj["metadata"].get("creationTimestamp"), now)


def _at(obj: Json, *path: str) -> Any:
    """Return what is at a path; None where it ends early."""
    value: Any = obj
    for name in path:
        value = (value or {}).get(name)
    return value


def _column(name: str, description: str, kind: str = "string", *, wide: bool = False) -> Json:
    return {
        "name": name,
        "type": kind,
        "format": "name" if name == "Name" else "",
        "description": description,
        "priority": 1 if wide else 0,
    }


_NAME = _column("Name", "The object's name, unique in its namespace.")
_AGE = _column("Age", "How long ago the object was created.")
_TABLES: dict[str, tuple[Sequence[Json], Callable[[Json, float], Cells]]] = {
    "pytorchjobs": (
        (
            _NAME,
            _column("State", "The type of the newest condition."),
            _column("Age", "How long ago the job was created.", "date"),
        ),
        _job,
    ),
    "pods": (
        (
            _NAME,
            _column("Ready", "How many of its containers are ready."),
            _column("Status", "What its containers are doing, in a word."),
            _column("Restarts", "How often its containers were restarted, and when last."),
            _AGE,
            _column("IP", "The address of the pod.", wide=True),
            _column("Node", "Where it runs.", wide=True),
            _column("Nominated Node", "Where it may run once others have gone.", wide=True),
            _column("Readiness Gates", "How many further conditions it fulfils.", wide=True),
        ),
        pod_cells,
    ),
    "events": (
        (
            _column("Last Seen", "How long ago it happened last."),
            _column("Type", "Normal or Warning."),
            _column("Reason", "What happened, in a word."),
            _column("Object", "What it happened to."),
            _column("Subobject", "The part of the object.", wide=True),
            _column("Source", "Who reports it.", wide=True),
            _column("Message", "What happened, in a sentence."),
            _column("First Seen", "How long ago it happened first.", wide=True),
            _column("Count", "How often it has happened.", wide=True),
            {**_NAME, "priority": 1},
        ),
        _event,
    ),
    "configmaps": ((_NAME, _column("Data", "How many entries it holds."), _AGE), _config_map),
    "secrets": (
        (
            _NAME,
            _column("Type", "What the secret is for."),
            _column("Data", "How many entries it holds."),
            _AGE,
        ),
        _secret,
    ),
    "services": (
        (
            _NAME,
            _column("Type", "How it is reached."),
            _column("Cluster-IP", "The address inside, if it has one."),
            _column("External-IP", "Addresses outside."),
            _column("Port(s)", "The ports that it serves."),
            _AGE,
            _column("Selector", "The labels of the pods behind it.", wide=True),
        ),
        _service,
    ),
    "namespaces": ((_NAME, _column("Status", "Whether it is in use or goes."), _AGE), _namespace),
    "nodes": (
        (
            _NAME,
            _column("Status", "Whether it takes pods."),
            _column("Roles", "What it is for."),
            _AGE,
            _column("Version", "The version of its kubelet."),
            _column("Internal-IP", "Its address inside.", wide=True),
            _column("External-IP", "Its address outside.", wide=True),
            _column("OS-Image", "Its operating system.", wide=True),
            _column("Kernel-Version", "The version of its kernel.", wide=True),
            _column("Container-Runtime", "What runs its containers.", wide=True),
        ),
        _node,
    ),
}
