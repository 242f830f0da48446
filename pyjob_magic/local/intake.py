"""What a request brings in: whether it is what it says it is, and what becomes of it.

Source: ``k8s.io/apiserver`` ``pkg/registry/rest`` and ``pkg/endpoints/handlers``.
"""

from __future__ import annotations

import secrets
import time
import uuid
from typing import Any

from pyjob_magic.local import admission, schema
from pyjob_magic.local.objects import Json, timestamp
from pyjob_magic.local.resources import CONFIG_MAPS, JOBS, Resource
from pyjob_magic.local.status import Cause, StatusError, bad_request, conflict, invalid
from pyjob_magic.local.wire import render

# As `pyjob_magic.manifest.SUFFIX_ALPHABET`, which belongs to the side of the notebook.
_SUFFIX = "bcdfghjklmnpqrstvwxz2456789"
_OBJECT_LIMIT = 1_572_864  # what etcd takes
_CONFIG_MAP_LIMIT = 1_048_576
_KEPT = ("uid", "creationTimestamp", "generation", "resourceVersion", "generateName")
_SERVER_SET = (*_KEPT[:-1], "deletionTimestamp", "deletionGracePeriodSeconds", "selfLink")


def new_job(job: Any, namespace: str, validation: str) -> list[str]:
    """Make what was sent a new job that may be stored; return warnings about it."""
    warnings = take_in(job, validation)
    check_namespace(job, namespace)
    meta = job["metadata"]
    if meta.get("resourceVersion"):
        message = "resourceVersion should not be set on objects to be created"
        raise StatusError(500, "", message)
    job.pop("status", None)
    _give_identity(meta, namespace)
    meta["generation"] = 1
    admission.admit(job)
    return warnings + admission.warnings(job)


def new_config_map(obj: Any, namespace: str) -> None:
    """Make what was sent a new ConfigMap that may be stored."""
    _check_kind(CONFIG_MAPS, obj)
    _check_strings(obj)
    check_namespace(obj, namespace)
    _give_identity(obj["metadata"], namespace)
    if causes := [*admission.metadata(obj), *_config_map_causes(obj)]:
        raise invalid(CONFIG_MAPS, str(obj["metadata"].get("name", "")), causes)


def take_in(job: Any, validation: str) -> list[str]:
    """Prune a job and fill in its defaults; return warnings about what was pruned.

    Parameters
    ----------
    job
        What was sent.
    validation
        What is to be done about unknown fields: Ignore, Warn or Strict.
    """
    _check_kind(JOBS, job)
    unknown = [f'unknown field "{path}"' for path in schema.prune(schema.pytorchjob(), job)]
    if unknown and validation == "Strict":
        raise bad_request(
            'PyTorchJob in version "v1" cannot be handled as a PyTorchJob: strict decoding error: '
            + ", ".join(unknown)
        )
    job["metadata"].pop("managedFields", None)
    schema.default(schema.pytorchjob(), job)
    return unknown if validation == "Warn" else []


def with_new_status(old: Json, new: Json) -> Json:
    """Return `old` with the status of `new`."""
    _check_identity(old, new)
    merged = {**old, "status": new.get("status", {})}
    admission.check(merged)
    return merged


def with_new_spec(old: Json, new: Json) -> Json:
    """Return `old` with all that is in `new` but its status, and what only the server sets."""
    _check_identity(old, new)
    meta, before = new["metadata"], old["metadata"]
    kept = {key: before[key] for key in _KEPT if key in before}
    rest = {key: value for key, value in meta.items() if key not in _SERVER_SET}
    merged = {**new, "metadata": {**rest, **kept, "namespace": before["namespace"]}}
    merged.pop("status", None)
    merged |= {"status": old["status"]} if "status" in old else {}
    if merged.get("spec") != old.get("spec"):
        merged["metadata"]["generation"] = before["generation"] + 1
    admission.admit(merged)
    if causes := admission.immutable_queue(old, merged):
        raise invalid(JOBS, before["name"], causes)
    return merged


def no_version(name: str) -> StatusError:
    """422: an update that does not say which version of the job it replaces."""
    message = "Invalid value: 0: must be specified for an update"
    cause = Cause("metadata.resourceVersion", "FieldValueInvalid", message)
    return invalid(JOBS, name, [cause])


def check_preconditions(resource: Resource, obj: Json, options: Json) -> None:
    """Refuse to delete another object than the one that was meant."""
    meta = obj["metadata"]
    wanted = options.get("preconditions") or {}
    for field, word in (("uid", "UID"), ("resourceVersion", "ResourceVersion")):
        if field in wanted and wanted[field] != meta[field]:
            reason = (
                f"Precondition failed: {word} in precondition: {wanted[field]}, {word} in object "
                f"meta: {meta[field]}"
            )
            raise conflict(resource, meta["name"], reason)


def check_namespace(obj: Json, namespace: str) -> None:
    """Refuse an object that names another namespace than its URL."""
    if obj["metadata"].get("namespace", namespace) != namespace:
        raise bad_request(
            "the namespace of the provided object does not match the namespace sent on the request"
        )


def check_size(obj: Json) -> None:
    """Refuse what etcd would not take."""
    if len(render(obj)) > _OBJECT_LIMIT:
        raise StatusError(500, "", "etcdserver: request is too large")


def _check_kind(resource: Resource, obj: Any) -> None:
    """Refuse what is no object of the resource."""
    if not isinstance(obj, dict):
        raise bad_request(f"the object provided is unrecognized (must be of type {resource.kind})")
    version, kind = obj.get("apiVersion"), obj.get("kind")
    if not version or not kind:
        raise bad_request(
            f"the object provided is unrecognized (must be of type {resource.kind}): couldn't get "
            "version/kind"
        )
    if version != resource.api_version:
        raise bad_request(
            f"the API version in the data ({version}) does not match the expected API version "
            f"({resource.api_version})"
        )
    if kind != resource.kind:
        raise bad_request(
            f"the kind in the data ({kind}) does not match the expected kind ({resource.kind})"
        )
    if not isinstance(obj.setdefault("metadata", {}), dict):
        raise bad_request(f"{resource.kind} cannot be handled: metadata must be an object")


def _check_identity(old: Json, new: Json) -> None:
    """Refuse an update that was made for another object, or another version of it."""
    meta, before = new["metadata"], old["metadata"]
    name = before["name"]
    if meta.get("name") != name:
        raise bad_request(
            f"the name of the object ({meta.get('name', '')}) does not match the name on "
            f"the URL ({name})"
        )
    if meta.get("uid", before["uid"]) != before["uid"]:
        reason = (
            f"Precondition failed: UID in precondition: {meta['uid']}, UID in object meta: "
            f"{before['uid']}"
        )
        raise conflict(JOBS, name, reason)
    if meta.get("resourceVersion", before["resourceVersion"]) != before["resourceVersion"]:
        raise conflict(JOBS, name)


def _give_identity(meta: Json, namespace: str) -> None:
    """Set what the server sets on a new object."""
    for key in _SERVER_SET:
        meta.pop(key, None)
    prefix = meta.get("generateName")
    if not meta.get("name") and isinstance(prefix, str) and prefix:
        meta["name"] = prefix + "".join(secrets.choice(_SUFFIX) for _ in range(5))
    meta |= {
        "namespace": namespace,
        "uid": str(uuid.uuid4()),
        "creationTimestamp": timestamp(time.time()),
    }


def _check_strings(config_map: Json) -> None:
    for field in ("data", "binaryData"):
        entries = config_map.get(field)
        if entries is None:
            config_map.pop(field, None)
        elif not isinstance(entries, dict) or not all(
            isinstance(value, str) for value in entries.values()
        ):
            raise bad_request(
                f'ConfigMap in version "v1" cannot be handled as a ConfigMap: {field} must be a '
                "map of strings"
            )


def _config_map_causes(obj: Json) -> list[Cause]:
    causes, size = [], 0
    for field in ("binaryData", "data"):
        for key, value in (obj.get(field) or {}).items():
            size += len(value.encode(errors="surrogatepass"))
            if problem := admission.config_key(key):
                causes.append(Cause(f"{field}[{key}]", "FieldValueInvalid", problem))
    if size > _CONFIG_MAP_LIMIT:
        message = f"Too long: may not be more than {_CONFIG_MAP_LIMIT} bytes"
        causes.append(Cause("[]", "FieldValueTooLong", message))
    return causes
