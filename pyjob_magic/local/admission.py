"""What may enter: the rules of metadata and those of the training operator's webhook."""

from __future__ import annotations

import re
from collections.abc import Iterator

from pyjob_magic.local import schema
from pyjob_magic.local.objects import Json
from pyjob_magic.local.resources import JOBS
from pyjob_magic.local.status import Cause, forbidden, invalid

WEBHOOK = "validator.pytorchjob.training-operator.kubeflow.org"
_MANAGERS = ("kubeflow.org/training-operator", "kueue.x-k8s.io/multikueue")
_ANNOTATIONS_LIMIT = 262_144

_LABEL = "[a-z0-9]([-a-z0-9]*[a-z0-9])?"
_SUBDOMAIN = rf"{_LABEL}(\.{_LABEL})*"
_SUBDOMAIN_RULE = (
    "a lowercase RFC 1123 subdomain must consist of lower case alphanumeric characters, '-' or "
    "'.', and must start and end with an alphanumeric character (e.g. 'example.com', regex used "
    rf"for validation is '{_LABEL}(\.{_LABEL})*')"
)
_DNS_1035 = "[a-z]([-a-z0-9]*[a-z0-9])?"
_DNS_1035_RULE = (
    "a DNS-1035 label must consist of lower case alphanumeric characters or '-', start with an "
    "alphabetic character, and end with an alphanumeric character (e.g. 'my-name',  or "
    f"'abc-123', regex used for validation is '{_DNS_1035}')"
)
_QUALIFIED = "([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9]"
_QUALIFIED_RULE = (
    "name part must consist of alphanumeric characters, '-', '_' or '.', and must start and end "
    "with an alphanumeric character (e.g. 'MyName',  or 'my.name',  or '123-abc', regex used for "
    f"validation is '{_QUALIFIED}')"
)
_VALUE = f"({_QUALIFIED})?"
_VALUE_RULE = (
    "a valid label must be an empty string or consist of alphanumeric characters, '-', '_' or "
    "'.', and must start and end with an alphanumeric character (e.g. 'MyValue',  or "
    f"'my_value',  or '12345', regex used for validation is '{_VALUE}')"
)


def admit(job: Json) -> None:
    """Let a pruned and defaulted PyTorchJob pass, or raise a `StatusError`.

    422 for what breaks the schema or the rules of metadata, 403 for what the webhook denies.
    """
    check(job)
    if denials := list(_webhook(job)):
        sentence = f"[{', '.join(denials)}]" if len(denials) > 1 else denials[0]
        raise forbidden(f'admission webhook "{WEBHOOK}" denied the request: {sentence}')


def check(job: Json) -> None:
    """Raise 422 for what breaks the schema, status included, or the rules of metadata."""
    causes = [*metadata(job), *schema.validate(schema.pytorchjob(), job), *_scale(job)]
    if causes:
        raise invalid(JOBS, _name(job), [*causes, *schema.unchecked(causes)])


def metadata(obj: Json) -> Iterator[Cause]:
    """Find what is wrong with the metadata of any object."""
    meta = obj["metadata"]
    name = meta.get("name")
    if not name:
        yield Cause("metadata.name", "FieldValueRequired", "name or generateName is required")
    elif isinstance(name, str):
        yield from _wrong("metadata.name", name, _SUBDOMAIN, _SUBDOMAIN_RULE, 253)
    yield from _labels(meta.get("labels"))
    yield from _annotations(meta.get("annotations"))


def warnings(job: Json) -> list[str]:
    """Return what the webhook remarks about a job that it lets pass."""
    elastic = job["spec"].get("elasticPolicy") or {}
    if "nProcPerNode" not in elastic:
        return []
    return ["spec.elasticPolicy.nProcPerNode is deprecated, use spec.nprocPerNode instead"]


def immutable_queue(old: Json, new: Json) -> list[Cause]:
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


def _wrong(field: str, value: str, pattern: str, rule: str, limit: int) -> Iterator[Cause]:
    quoted = schema.quote(value)
    if len(value) > limit:
        message = f"Invalid value: {quoted}: must be no more than {limit} characters"
        yield Cause(field, "FieldValueInvalid", message)
    if re.fullmatch(pattern, value) is None:
        yield Cause(field, "FieldValueInvalid", f"Invalid value: {quoted}: {rule}")


def _labels(labels: object) -> Iterator[Cause]:
    for key, value in _strings(labels):
        yield from _key("metadata.labels", key)
        yield from _wrong("metadata.labels", value, _VALUE, _VALUE_RULE, 63)


def _annotations(annotations: object) -> Iterator[Cause]:
    size = 0
    for key, value in _strings(annotations):
        yield from _key("metadata.annotations", key)
        size += len(key.encode()) + len(value.encode(errors="surrogatepass"))
    if size > _ANNOTATIONS_LIMIT:
        message = f"Too long: may not be more than {_ANNOTATIONS_LIMIT} bytes"
        yield Cause("metadata.annotations", "FieldValueTooLong", message)


def _strings(entries: object) -> list[tuple[str, str]]:
    """Return the pairs of a map of strings; what is none is the schema's concern."""
    if not isinstance(entries, dict):
        return []
    return [(key, value) for key, value in sorted(entries.items()) if isinstance(value, str)]


def _key(field: str, key: str) -> Iterator[Cause]:
    prefix, _, name = key.rpartition("/")
    if prefix:
        yield from _wrong(field, prefix.lower(), _SUBDOMAIN, _SUBDOMAIN_RULE, 253)
    yield from _wrong(field, name, _QUALIFIED, _QUALIFIED_RULE, 63)


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


def config_key(key: str) -> str:
    """Return what is wrong with a key of a ConfigMap; empty if nothing is."""
    quoted = schema.quote(key)
    if len(key) > 253:
        return f"Invalid value: {quoted}: must be no more than 253 characters"
    if key in (".", "..") or key.startswith(".."):
        return f"Invalid value: {quoted}: must not be '{key[:2]}' or start with '..'"
    if re.fullmatch(r"[-._a-zA-Z0-9]+", key) is None:
        return (
            f"Invalid value: {quoted}: a valid config key must consist of alphanumeric "
            "characters, '-', '_' or '.' (e.g. 'key.name',  or 'KEY_NAME',  or 'key-name', regex "
            "used for validation is '[-._a-zA-Z0-9]+')"
        )
    return ""
