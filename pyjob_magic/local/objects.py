"""Kubernetes objects as plain dicts: identity, ownership, times."""

from __future__ import annotations

import re
from collections.abc import Iterable
from datetime import UTC, datetime
from typing import Any

Json = dict[str, Any]

LABEL_PREFIX = "training.kubeflow.org"
JOB_NAME = f"{LABEL_PREFIX}/job-name"
REPLICA_TYPE = f"{LABEL_PREFIX}/replica-type"
REPLICA_INDEX = f"{LABEL_PREFIX}/replica-index"
PORT = "pyjob-magic/port"  # annotation of a pod: where its job meets on this machine
QUEUED = "pyjob-magic/queued"  # annotation of a pod: its place among those that wait
GPUS = "pyjob-magic/gpus"  # annotation of a pod: indices of the GPUs that are its own
INTERPRETER = "pyjob-magic/interpreter"  # annotation of a job: what `python` means in it
QUEUE = "kueue.x-k8s.io/queue-name"  # label of a job: where it waits for Kueue to resume it

_DNS_LABEL = re.compile(r"[a-z0-9]([-a-z0-9]*[a-z0-9])?")


def is_dns_label(name: object) -> bool:
    """Whether `name` is a DNS-1123 label, as names of containers, volumes and namespaces are."""
    return isinstance(name, str) and len(name) <= 63 and _DNS_LABEL.fullmatch(name) is not None


def timestamp(now: float) -> str:
    """`now`, seconds since the epoch, as the API writes times: RFC 3339, UTC, whole seconds."""
    return datetime.fromtimestamp(int(now), UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def seconds(text: str) -> float:
    """Invert `timestamp`; also reads fractions and offsets."""
    return datetime.fromisoformat(text).timestamp()


def labels(obj: Json) -> dict[str, str]:
    """Return the object's labels; empty if it has none."""
    return obj["metadata"].get("labels") or {}


def notes(obj: Json) -> dict[str, str]:
    """Return the object's annotations; empty if it has none."""
    return obj["metadata"].get("annotations") or {}


def owners(obj: Json) -> Iterable[str]:
    """Return the uids of the objects that this one is deleted with."""
    references = obj["metadata"].get("ownerReferences") or ()
    return (ref["uid"] for ref in references if ref.get("uid"))


def controller_of(obj: Json) -> str | None:
    """Return the uid of the object that controls this one."""
    references = obj["metadata"].get("ownerReferences") or ()
    return next((ref["uid"] for ref in references if ref.get("controller")), None)


def owner_reference(job: Json) -> Json:
    """Return the reference that makes `job` the controller of an object."""
    return {
        "apiVersion": "kubeflow.org/v1",
        "kind": "PyTorchJob",
        "name": job["metadata"]["name"],
        "uid": job["metadata"]["uid"],
        "controller": True,
        "blockOwnerDeletion": True,
    }


def placed(pod: Json) -> bool:
    """Whether a pod was given a place by the scheduler; a node can be named by anybody."""
    return PORT in notes(pod)


def containers(pod: Json) -> list[Json]:
    """Return all containers of a pod, in the order in which they start."""
    spec = pod["spec"]
    return [*(spec.get("initContainers") or ()), *(spec.get("containers") or ())]


def ended(pod: Json) -> bool:
    """Whether a pod has come to its end: Succeeded or Failed."""
    return pod.get("status", {}).get("phase") in ("Succeeded", "Failed")


def terminating(obj: Json) -> bool:
    """Whether the object is being deleted."""
    return bool(obj["metadata"].get("deletionTimestamp"))


def condition(obj: Json, kind: str) -> bool:
    """Whether the condition of type `kind` holds."""
    entries = (obj.get("status") or {}).get("conditions") or ()
    return any(entry["type"] == kind and entry["status"] == "True" for entry in entries)


def finished(job: Json) -> bool:
    """Whether a job has succeeded or failed."""
    return condition(job, "Succeeded") or condition(job, "Failed")
