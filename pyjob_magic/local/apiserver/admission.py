"""What a PyTorchJob must be: the rules of its schema and those of the operator's webhook."""

from __future__ import annotations

import re
from collections.abc import Iterator

from pyjob_magic.local.apiserver import schema, schemas
from pyjob_magic.local.objects import QUEUE, Json, labels
from pyjob_magic.local.resources import JOBS
from pyjob_magic.local.status import Cause, forbidden

WEBHOOK = "validator.pytorchjob.training-operator.kubeflow.org"
_MANAGERS = ("kubeflow.org/training-operator", "kueue.x-k8s.io/multikueue")
_DNS_1035 = "[a-z]([-a-z0-9]*[a-z0-9])?"
_DNS_1035_RULE = (
    "a DNS-1035 label must consist of lower case alphanumeric characters or '-', start with an "
    "alphabetic character, and end with an alphanumeric character (e.g. 'my-name',  or "
    f"'abc-123', regex used for validation is '{_DNS_1035}')"
)


def causes(job: Json) -> list[Cause]:
    """Find what breaks the schema, status included."""
    return [*schema.validate(schemas.of(JOBS), job), *_scale(job)]


def deny(job: Json) -> None:
    """Raise 403 for what the webhook of the training operator denies."""
    if denials := list(_webhook(job)):
        sentence = f"[{', '.join(denials)}]" if len(denials) > 1 else denials[0]
        raise forbidden(f'admission webhook "{WEBHOOK}" denied the request: {sentence}')


def admit(job: Json) -> None:
    """Resume a new job that waits for Kueue: nobody else would do so here."""
    policy = job["spec"].get("runPolicy") or {}
    if labels(job).get(QUEUE) and policy.get("suspend"):
        policy["suspend"] = False


def warnings(job: Json) -> list[str]:
    """Return what the webhook remarks about a job that it lets pass."""
    elastic = job["spec"].get("elasticPolicy") or {}
    if "nProcPerNode" not in elastic:
        return []
    return ["spec.elasticPolicy.nProcPerNode is deprecated, use spec.nprocPerNode instead"]


def changes(old: Json, new: Json) -> list[Cause]:
    """Find a changed queue, the one field that an update may not change."""
    path = "spec.runPolicy.schedulingPolicy.queue"
    before, after = (_queue(job) for job in (old, new))
    if before is None or after is None or before == after:
        return []
    message = f"Invalid value: {schema.quote(after)}: {path} is immutable"
    return [Cause(path, "FieldValueInvalid", message)]


def _queue(job: Json) -> str | None:
    policy = (job["spec"].get("runPolicy") or {}).get("schedulingPolicy") or {}
    queue: str | None = policy.get("queue")
    return queue


def _name(job: Json) -> str:
    return str(job["metadata"].get("name") or "")


def _scale(job: Json) -> Iterator[Cause]:
    """Find Worker replicas that the scale subresource cannot read."""
    spec = job.get("spec")
    specs = spec.get("pytorchReplicaSpecs") if isinstance(spec, dict) else None
    worker = specs.get("Worker") if isinstance(specs, dict) else None
    replicas = worker.get("replicas", 1) if isinstance(worker, dict) else 1
    if isinstance(replicas, int) and not isinstance(replicas, bool):
        return
    go = {bool: "bool", str: "string", float: "float64", list: "[]interface {}"}
    kind = go.get(type(replicas), "map[string]interface {}")
    path = ".spec.pytorchReplicaSpecs.Worker.replicas"
    message = (
        f"Invalid value: 0: {path} accessor error: {replicas} is of the type {kind}, expected int64"
    )
    yield Cause(path, "FieldValueInvalid", message)


def _webhook(job: Json) -> Iterator[str]:
    """Find what the training operator does not allow.

    Source: ``pkg/webhooks/pytorch/pytorchjob_webhook.go``, training-operator v1.9.0.
    """
    name, spec = _name(job), job.get("spec") or {}
    specs = spec.get("pytorchReplicaSpecs")
    elastic = spec.get("elasticPolicy")
    manager = (spec.get("runPolicy") or {}).get("managedBy")
    if problem := _dns_1035(name):
        yield f"metadata.name: Invalid value: {schema.quote(name)}: should match: {problem}"
    if elastic is not None and spec.get("nprocPerNode") is not None and "nProcPerNode" in elastic:
        yield "spec.elasticPolicy.nProcPerNode: Forbidden: must not be used with spec.nprocPerNode"
    if manager is not None and manager not in _MANAGERS:
        yield _unsupported("spec.runPolicy.managedBy", manager, _MANAGERS)
    if specs is None:
        yield "spec.pytorchReplicaSpecs: Required value: must be required"
        return
    for replica_type in sorted(specs):
        yield from _replicas(replica_type, specs[replica_type] or {})
    if elastic is not None and "Worker" not in specs:
        yield (
            "spec.pytorchReplicaSpecs[Worker]: Required value: must be configured if elastic "
            "policy is used"
        )


def _replicas(replica_type: str, replicas: Json) -> Iterator[str]:
    path = f"spec.pytorchReplicaSpecs[{replica_type}]"
    count = replicas.get("replicas")
    if replica_type not in ("Master", "Worker"):
        yield _unsupported(path, replica_type, ("Master", "Worker"))
    if replica_type == "Master" and count != 1:
        yield f"{path}.replicas: Forbidden: must be 1"
    yield from _containers(f"{path}.template.spec.containers", replicas)
    if replica_type == "Worker" and count is not None and count < 1:
        yield f"{path}.replicas: Forbidden: must be at least 1"


def _containers(path: str, replicas: Json) -> Iterator[str]:
    spec = (replicas.get("template") or {}).get("spec") or {}
    containers = spec.get("containers") or []
    if not containers:
        yield f"{path}: Required value: must be specified"
    for index, container in enumerate(containers):
        if not container.get("image"):
            yield f"{path}[{index}].image: Required value: must be required"
    if not any(container.get("name") == "pytorch" for container in containers):
        yield f"{path}: Required value: must have at least one container with name pytorch"


def _unsupported(path: str, value: str, supported: tuple[str, ...]) -> str:
    known = ", ".join(map(schema.quote, supported))
    return f"{path}: Unsupported value: {schema.quote(value)}: supported values: {known}"


def _dns_1035(name: str) -> str:
    if len(name) > 63:
        return "must be no more than 63 characters"
    return "" if re.fullmatch(_DNS_1035, name) else _DNS_1035_RULE
