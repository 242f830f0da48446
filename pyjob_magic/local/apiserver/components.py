"""The schemas that the OpenAPI documents refer to: those of the resources, and of all the rest."""

from __future__ import annotations

import json
from functools import cache
from importlib import resources
from typing import Any

from pyjob_magic.local.apiserver import schemas
from pyjob_magic.local.apiserver.catalogue import (
    ACCESS_REVIEWS,
    REVIEWS,
    RULES_REVIEWS,
    SUBJECT_REVIEWS,
)
from pyjob_magic.local.objects import Json
from pyjob_magic.local.resources import NAMESPACES, Resource

_PACKAGES = {
    "": "io.k8s.api.core.v1",
    "authentication.k8s.io": "io.k8s.api.authentication.v1",
    "authorization.k8s.io": "io.k8s.api.authorization.v1",
    "autoscaling": "io.k8s.api.autoscaling.v1",
    "kubeflow.org": "org.kubeflow.v1",
    "meta.k8s.io": "io.k8s.apimachinery.pkg.apis.meta.v1",
}


def reference(group: str, kind: str) -> Json:
    """Return the schema that refers to a kind."""
    return {"$ref": f"#/components/schemas/{_PACKAGES[group]}.{kind}"}


def sent(group: str, kind: str) -> Json:
    """Return the schema of a kind in a request, which has to say what it is."""
    return {"allOf": [reference(group, kind), {"required": ["apiVersion", "kind"]}]}


def meta(kind: str) -> Json:
    """Return the schema that refers to a kind of ``meta.k8s.io``."""
    return reference("meta.k8s.io", kind)


def of(served: list[Resource]) -> Json:
    """Return the schemas of resources, and of all that they and their answers refer to."""
    found = {("meta.k8s.io", kind): schema for kind, schema in _META.items()}
    found["meta.k8s.io", "ObjectMeta"] = _object_meta()
    for resource in served:
        if resource in REVIEWS:
            found[resource.group, resource.kind] = review(resource)
            continue
        found[resource.group, resource.kind] = _object_of(resource)
        found[resource.group, f"{resource.kind}List"] = _list_of(resource)
        if "scale" in resource.subresources:
            found["autoscaling", "Scale"] = _scale()
    return {f"{_PACKAGES[group]}.{kind}": schema for (group, kind), schema in found.items()}


def _object_of(resource: Resource) -> Json:
    schema = _described(schemas.of(resource), _sentences(resource.kind))
    if not resource.custom:
        schema = _with_merge_keys(schema)
    schema["properties"] |= _head(resource)
    return {
        **schema,
        **_mark(resource.group, resource.kind),
        "description": _sentences(resource.kind)[""],
    }


def _with_merge_keys(schema: Any) -> Any:
    """Say of lists by what they merge, in the words that ``kubectl apply`` looks for."""
    if isinstance(schema, list):
        return [_with_merge_keys(item) for item in schema]
    if not isinstance(schema, dict):
        return schema
    known = {key: _with_merge_keys(value) for key, value in schema.items()}
    if keys := schema.get("x-kubernetes-list-map-keys"):
        known["x-kubernetes-patch-merge-key"] = keys[0]
        known["x-kubernetes-patch-strategy"] = "merge"
    return known


def _list_of(resource: Resource) -> Json:
    items = _list(reference(resource.group, resource.kind))
    return {
        **_object(apiVersion=_STRING, items=items, kind=_STRING, metadata=meta("ListMeta")),
        **_mark(resource.group, f"{resource.kind}List"),
        "description": f"What there is of kind {resource.kind}.",
        "required": ["items"],
    }


def _object_meta() -> Json:
    schema: Json = schemas.of(NAMESPACES)["properties"]["metadata"]
    sentences = _sentences("ObjectMeta")
    return _described(schema, sentences) | {"description": sentences[""]}


def review(resource: Resource) -> Json:
    """Return the schema of a review."""
    return {
        **_object(**_head(resource), **_REVIEWS[resource]),
        **_mark(resource.group, resource.kind),
        "description": _sentences(resource.kind)[""],
    }


def _scale() -> Json:
    return {
        **_object(
            apiVersion={**_STRING, "enum": ["autoscaling/v1"]},
            kind={**_STRING, "enum": ["Scale"]},
            metadata=meta("ObjectMeta"),
            spec=_object(replicas=_INTEGER),
            status=_object(replicas=_INTEGER, selector=_STRING),
        ),
        **_mark("autoscaling", "Scale"),
        "description": _sentences("Scale")[""],
    }


def _head(resource: Resource) -> Json:
    """Return the fields that every object begins with."""
    about = _sentences("Object")
    return {
        "apiVersion": {
            "type": "string",
            "description": about["apiVersion"],
            "enum": [resource.api_version],
        },
        "kind": {"type": "string", "description": about["kind"], "enum": [resource.kind]},
        "metadata": {"description": about["metadata"], "allOf": [meta("ObjectMeta")]},
    }


def _mark(group: str, kind: str) -> Json:
    """Return by what clients find the schema of a kind."""
    return {"x-kubernetes-group-version-kind": [{"group": group, "version": "v1", "kind": kind}]}


def _described(schema: Json, sentences: dict[str, str], path: str = "") -> Json:
    """Return a copy of a schema with the sentences about its fields.

    Lists and maps are no step of a path, as in the paths that ``kubectl explain`` takes.
    """
    copy = dict(schema)
    for inner in ("items", "additionalProperties"):
        if isinstance(schema.get(inner), dict):
            copy[inner] = _described(schema[inner], sentences, path)
    if "properties" in schema:
        copy["properties"] = {}
    for name, field in schema.get("properties", {}).items():
        place = f"{path}.{name}" if path else name
        sentence = {"description": sentences[place]} if place in sentences else {}
        copy["properties"][name] = _described(field, sentences, place) | sentence
    return copy


def _sentences(kind: str) -> dict[str, str]:
    """Return what is said about the fields of a kind; under the empty path about the kind."""
    return _all_sentences().get(kind, {"": kind})


@cache
def _all_sentences() -> dict[str, dict[str, str]]:
    file = resources.files("pyjob_magic.local.apiserver").joinpath("descriptions.json")
    sentences: dict[str, dict[str, str]] = json.loads(file.read_text())
    return sentences


_STRING: Json = {"type": "string"}
_NAME: Json = {"type": "string", "minLength": 1}
_BOOLEAN: Json = {"type": "boolean"}
_INTEGER: Json = {"type": "integer", "format": "int32"}
_LONG: Json = {"type": "integer", "format": "int64"}
_STRINGS: Json = {"type": "array", "items": _STRING}
_ANYTHING: Json = {"type": "object", "x-kubernetes-preserve-unknown-fields": True}


def _object(**fields: Json) -> Json:
    return {"type": "object", "properties": fields}


def _list(items: Json) -> Json:
    return {"type": "array", "items": items}


_VERSION_AND_KIND = {"apiVersion": _STRING, "kind": _STRING}
_TABLE = _object(
    **_VERSION_AND_KIND,
    metadata=meta("ListMeta"),
    columnDefinitions=_list(
        _object(name=_STRING, type=_STRING, format=_STRING, description=_STRING, priority=_INTEGER)
    )
    | {"nullable": True},
    rows=_list(
        _object(
            cells=_list({}),
            conditions=_list(_object(type=_STRING, status=_STRING, reason=_STRING)),
            object=_ANYTHING,
        )
    ),
)
_STATUS = _object(
    **_VERSION_AND_KIND,
    metadata=meta("ListMeta"),
    status={**_STRING, "enum": ["Success", "Failure"]},
    message=_STRING,
    reason=_STRING,
    code=_INTEGER,
    details=_object(
        name=_STRING,
        group=_STRING,
        kind=_STRING,
        uid=_STRING,
        retryAfterSeconds=_INTEGER,
        causes=_list(_object(reason=_STRING, message=_STRING, field=_STRING)),
    ),
)
_DELETE_OPTIONS = _object(
    **_VERSION_AND_KIND,
    dryRun=_list({**_STRING, "enum": ["All"]}),
    gracePeriodSeconds={**_LONG, "minimum": 0},
    orphanDependents=_BOOLEAN,
    preconditions=_object(resourceVersion=_STRING, uid=_STRING),
    propagationPolicy={**_STRING, "enum": ["Background", "Foreground", "Orphan"]},
)
_META: dict[str, Json] = {
    "DeleteOptions": _DELETE_OPTIONS,
    "ListMeta": _object(**{"continue": _STRING}, remainingItemCount=_LONG, resourceVersion=_STRING),
    "PartialObjectMetadata": _object(**_VERSION_AND_KIND, metadata=meta("ObjectMeta")),
    "PartialObjectMetadataList": _object(
        **_VERSION_AND_KIND,
        metadata=meta("ListMeta"),
        items=_list(meta("PartialObjectMetadata")),
    ),
    "Status": _STATUS,
    "Table": _TABLE,
    "WatchEvent": _object(type=_STRING, object=_ANYTHING),
}
_RESOURCE_ATTRIBUTES = _object(
    group=_STRING,
    name=_STRING,
    namespace=_STRING,
    resource=_STRING,
    subresource=_STRING,
    verb=_STRING,
    version=_STRING,
)
_REVIEWS: dict[Resource, Json] = {
    ACCESS_REVIEWS: {
        "spec": _object(
            nonResourceAttributes=_object(path=_STRING, verb=_STRING),
            resourceAttributes=_RESOURCE_ATTRIBUTES,
        )
        | {
            "oneOf": [
                {"required": ["resourceAttributes"]},
                {"required": ["nonResourceAttributes"]},
            ]
        },
        "status": _object(allowed=_BOOLEAN, denied=_BOOLEAN, reason=_STRING),
    },
    RULES_REVIEWS: {
        "spec": _object(namespace=_NAME),
        "status": _object(
            incomplete=_BOOLEAN,
            nonResourceRules=_list(_object(verbs=_STRINGS, nonResourceURLs=_STRINGS)),
            resourceRules=_list(
                _object(
                    verbs=_STRINGS, apiGroups=_STRINGS, resources=_STRINGS, resourceNames=_STRINGS
                )
            ),
        ),
    },
    SUBJECT_REVIEWS: {
        "status": _object(userInfo=_object(groups=_STRINGS, uid=_STRING, username=_STRING))
    },
}
