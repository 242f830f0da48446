"""What a request brings in: whether it is what it says it is, and what becomes of it.

Source: ``k8s.io/apiserver`` ``pkg/registry/rest`` and ``pkg/endpoints/handlers``.
"""

from __future__ import annotations

import copy
import secrets
import time
import uuid
from typing import Any

from pyjob_magic.local.apiserver import metadata, schema, schemas, strategies
from pyjob_magic.local.apiserver.wire import render
from pyjob_magic.local.objects import Json, timestamp
from pyjob_magic.local.resources import JOBS, PODS, Resource
from pyjob_magic.local.status import Cause, StatusError, bad_request, conflict, invalid

# As `pyjob_magic.manifest.SUFFIX_ALPHABET`, which belongs to the side of the notebook.
_SUFFIX = "bcdfghjklmnpqrstvwxz2456789"
_OBJECT_LIMIT = 1_572_864  # what etcd takes
_KEPT = ("uid", "creationTimestamp", "generation", "resourceVersion", "generateName")
_DELETION = ("deletionTimestamp", "deletionGracePeriodSeconds")
_SERVER_SET = (*_KEPT[:-1], *_DELETION, "selfLink")
_COUNTS_GENERATIONS = (JOBS, PODS)


def new_object(resource: Resource, obj: Any, namespace: str, validation: str) -> list[str]:
    """Make what was sent a new object that may be stored; return warnings about it."""
    warnings = take_in(resource, obj, validation)
    check_namespace(obj, namespace)
    meta = obj["metadata"]
    meta.pop("managedFields", None)
    if meta.get("resourceVersion"):
        # Kubernetes' words, but not its 500: it is the client who has to mend it.
        raise bad_request("resourceVersion should not be set on objects to be created")
    if "status" in resource.subresources:
        obj.pop("status", None)
    _give_identity(resource, meta, namespace)
    strategy = strategies.of(resource)
    strategy.prepare(obj)
    _check(resource, obj)
    if causes := list(strategy.causes_of_new(obj)):
        raise invalid(resource, meta["name"], causes)
    strategy.deny(obj)
    strategy.admit(obj)
    return warnings + strategy.warnings(obj)


def take_in(resource: Resource, obj: Any, validation: str) -> list[str]:
    """Prune an object and fill in its defaults; return warnings about what was pruned.

    Parameters
    ----------
    resource
        What it is meant to be.
    obj
        What was sent.
    validation
        What is to be done about unknown fields: Ignore, Warn or Strict.
    """
    _check_kind(resource, obj)
    shape = schemas.of(resource)
    unknown = [f'unknown field "{path}"' for path in schema.prune(shape, obj)]
    if unknown and validation == "Strict":
        raise _undecodable(resource, f"strict decoding error: {', '.join(unknown)}")
    if not resource.custom:
        _check_types(resource, obj)
    schema.default(shape, obj)
    return unknown if validation == "Warn" else []


def with_new_status(resource: Resource, old: Json, new: Json) -> Json:
    """Return `old` with the status of `new`."""
    _check_identity(resource, old, new)
    merged = {**old, "status": new.get("status", {})}
    _check(resource, merged)
    return merged


def with_new_spec(resource: Resource, old: Json, new: Json) -> Json:
    """Return `old` with all that is in `new` but its status, and what only the server sets."""
    _check_identity(resource, old, new)
    before = old["metadata"]
    kept = {key: before[key] for key in (*_KEPT, *_DELETION, "namespace") if key in before}
    rest = {key: value for key, value in new["metadata"].items() if key not in _SERVER_SET}
    merged = copy.copy(new) | {"metadata": {**rest, **kept}}
    if "status" in resource.subresources:
        merged.pop("status", None)
        merged |= {"status": old["status"]} if "status" in old else {}
    if "generation" in before and merged.get("spec") != old.get("spec"):
        merged["metadata"]["generation"] = before["generation"] + 1
    strategy = strategies.of(resource)
    strategy.prepare(merged)
    _check(resource, merged)
    strategy.deny(merged)
    if causes := list(strategy.changes(old, merged)):
        raise invalid(resource, before["name"], causes)
    return merged


def check_replacement(resource: Resource, old: Json, new: Any) -> None:
    """Refuse what cannot replace `old`, whatever it says."""
    _check_kind(resource, new)
    check_namespace(new, old["metadata"].get("namespace", ""))
    if resource.custom and not new["metadata"].get("resourceVersion"):
        message = "Invalid value: 0: must be specified for an update"
        cause = Cause("metadata.resourceVersion", "FieldValueInvalid", message)
        raise invalid(resource, old["metadata"]["name"], [cause])


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
    if not resource.custom:  # clients that know these kinds need not name them
        obj |= {
            "apiVersion": obj.get("apiVersion") or resource.api_version,
            "kind": obj.get("kind") or resource.kind,
        }
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


def _check(resource: Resource, obj: Json) -> None:
    """Raise 422 for what breaks the rules of metadata or those of the kind."""
    causes = [*metadata.causes(obj), *strategies.of(resource).causes(obj)]
    if resource.custom:
        causes += schema.unchecked(causes)
    if causes:
        raise invalid(resource, str(obj["metadata"].get("name") or ""), causes)


def _check_types(resource: Resource, obj: Json) -> None:
    """Refuse what cannot be decoded, as Kubernetes does for its own kinds; 422 for the rest."""
    causes = schema.validate(schemas.of(resource), obj)
    for cause in causes:
        if cause.reason == "FieldValueTypeInvalid":
            raise _undecodable(resource, f"{resource.kind}.{cause}")
    if causes:
        raise invalid(resource, str(obj["metadata"].get("name") or ""), causes)


def _undecodable(resource: Resource, why: str) -> StatusError:
    version = resource.api_version.rpartition("/")[2]
    return bad_request(
        f'{resource.kind} in version "{version}" cannot be handled as a {resource.kind}: {why}'
    )


def _check_identity(resource: Resource, old: Json, new: Json) -> None:
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
        raise conflict(resource, name, reason)
    if (meta.get("resourceVersion") or before["resourceVersion"]) != before["resourceVersion"]:
        raise conflict(resource, name)


def _give_identity(resource: Resource, meta: Json, namespace: str) -> None:
    """Set what the server sets on a new object."""
    for key in _SERVER_SET:
        meta.pop(key, None)
    prefix = meta.get("generateName")
    if not meta.get("name") and isinstance(prefix, str) and prefix:
        meta["name"] = prefix + "".join(secrets.choice(_SUFFIX) for _ in range(5))
    meta |= {"uid": str(uuid.uuid4()), "creationTimestamp": timestamp(time.time())}
    if resource.namespaced:
        meta["namespace"] = namespace
    if resource in _COUNTS_GENERATIONS:
        meta["generation"] = 1
