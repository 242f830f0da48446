"""What the objects of each resource look like, as OpenAPI schemas.

The PyTorchJob's is the one that a cluster publishes. Those of Kubernetes' own kinds have the
fields that mean something here; what is inside of a pod is part of the PyTorchJob's.
"""

from __future__ import annotations

import json
from functools import cache
from importlib import resources

from pyjob_magic.local.objects import Json
from pyjob_magic.local.resources import (
    CONFIG_MAPS,
    EVENTS,
    JOBS,
    NAMESPACES,
    NODES,
    PODS,
    SECRETS,
    SERVICES,
    Resource,
)


@cache
def of(resource: Resource) -> Json:
    """Return the schema of the objects of a resource; not to be changed."""
    if resource == JOBS:
        return _pytorchjob()
    return {
        "type": "object",
        **({"required": ["spec"]} if resource == PODS else {}),
        "properties": {
            "apiVersion": _STRING,
            "kind": _STRING,
            "metadata": _METADATA,
            **_fields(resource),
        },
    }


def _pytorchjob() -> Json:
    """Read the schema of a PyTorchJob.

    Source: ``manifests/base/crds`` of training-operator v1.9.0, descriptions left out.
    """
    file = resources.files("pyjob_magic.local.apiserver").joinpath("pytorchjob_schema.json")
    schema: Json = json.loads(file.read_text())
    schema["properties"]["metadata"] = _METADATA
    return schema


def _fields(resource: Resource) -> Json:
    if resource == PODS:
        replicas = of(JOBS)["properties"]["spec"]["properties"]["pytorchReplicaSpecs"]
        template = replicas["additionalProperties"]["properties"]["template"]
        return {"spec": template["properties"]["spec"], "status": _ANYTHING}
    return _CORE[resource]


_STRING: Json = {"type": "string"}
_BYTES: Json = {"type": "string", "format": "byte"}
_INTEGER: Json = {"type": "integer", "format": "int32"}
_BOOLEAN: Json = {"type": "boolean"}
_TIME: Json = {"type": "string", "format": "date-time"}
_ANYTHING: Json = {"type": "object", "x-kubernetes-preserve-unknown-fields": True}


def _map(values: Json) -> Json:
    return {"type": "object", "additionalProperties": values}


def _list(items: Json) -> Json:
    return {"type": "array", "items": items}


def _object(**fields: Json) -> Json:
    return {"type": "object", "properties": fields}


_STRINGS = _map(_STRING)
_METADATA: Json = {
    "type": "object",
    "properties": {
        "annotations": _STRINGS,
        "creationTimestamp": _STRING,
        "deletionGracePeriodSeconds": {"type": "integer"},
        "deletionTimestamp": _STRING,
        "finalizers": {"type": "array", "items": _STRING, "x-kubernetes-list-type": "set"},
        "generateName": _STRING,
        "generation": {"type": "integer"},
        "labels": _STRINGS,
        "managedFields": {
            "type": "array",
            "items": _ANYTHING,
        },
        "name": _STRING,
        "namespace": _STRING,
        "ownerReferences": {
            "type": "array",
            "x-kubernetes-list-type": "map",
            "x-kubernetes-list-map-keys": ["uid"],
            "items": {
                "type": "object",
                "x-kubernetes-map-type": "atomic",
                "required": ["apiVersion", "kind", "name", "uid"],
                "properties": {
                    "apiVersion": _STRING,
                    "blockOwnerDeletion": {"type": "boolean"},
                    "controller": {"type": "boolean"},
                    "kind": _STRING,
                    "name": _STRING,
                    "uid": _STRING,
                },
            },
        },
        "resourceVersion": _STRING,
        "selfLink": _STRING,
        "uid": _STRING,
    },
}

_REFERENCE = _object(
    apiVersion=_STRING,
    fieldPath=_STRING,
    kind=_STRING,
    name=_STRING,
    namespace=_STRING,
    resourceVersion=_STRING,
    uid=_STRING,
)
_PORT = _object(
    appProtocol=_STRING,
    name=_STRING,
    nodePort=_INTEGER,
    port=_INTEGER,
    protocol=_STRING,
    targetPort={"x-kubernetes-int-or-string": True},
)
_CORE: dict[Resource, Json] = {
    CONFIG_MAPS: {"binaryData": _map(_BYTES), "data": _STRINGS, "immutable": _BOOLEAN},
    SECRETS: {
        "data": _map(_BYTES),
        "immutable": _BOOLEAN,
        "stringData": _STRINGS,
        "type": _STRING,
    },
    EVENTS: {
        "action": _STRING,
        "count": _INTEGER,
        "eventTime": {**_TIME, "nullable": True},
        "firstTimestamp": _TIME,
        "involvedObject": _REFERENCE,
        "lastTimestamp": _TIME,
        "message": _STRING,
        "reason": _STRING,
        "related": _REFERENCE,
        "reportingComponent": _STRING,
        "reportingInstance": _STRING,
        "series": _object(count=_INTEGER, lastObservedTime=_TIME),
        "source": _object(component=_STRING, host=_STRING),
        "type": _STRING,
    },
    SERVICES: {
        "spec": _object(
            clusterIP=_STRING,
            clusterIPs=_list(_STRING),
            internalTrafficPolicy=_STRING,
            ipFamilies=_list(_STRING),
            ipFamilyPolicy=_STRING,
            ports=_list(_PORT)
            | {
                "x-kubernetes-list-type": "map",
                "x-kubernetes-list-map-keys": ["port", "protocol"],
            },
            publishNotReadyAddresses=_BOOLEAN,
            selector={**_STRINGS, "x-kubernetes-map-type": "atomic"},
            sessionAffinity=_STRING,
            type=_STRING,
        ),
        "status": _ANYTHING,
    },
    NAMESPACES: {"spec": _object(finalizers=_list(_STRING)), "status": _ANYTHING},
    NODES: {"spec": _ANYTHING, "status": _ANYTHING},
}
