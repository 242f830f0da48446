"""How objects look on the wire: JSON in the key order of the real API server."""

from __future__ import annotations

import json
from collections.abc import Iterable
from typing import Any

from starlette.requests import Request
from starlette.responses import Response

from pyjob_magic.local.apiserver.query import continuation, flag
from pyjob_magic.local.objects import Json
from pyjob_magic.local.resources import Resource

_METADATA = (
    "name",
    "generateName",
    "namespace",
    "uid",
    "resourceVersion",
    "generation",
    "creationTimestamp",
    "deletionTimestamp",
    "deletionGracePeriodSeconds",
    "labels",
    "annotations",
    "ownerReferences",
    "finalizers",
    "managedFields",
)


def answer(request: Request, body: Any, code: int = 200, warnings: Iterable[str] = ()) -> Response:
    """Return a JSON response, indented if the request asks for ``pretty``."""
    headers = [f"299 - {json.dumps(text, ensure_ascii=True)}" for text in warnings]
    return Response(
        render(body, pretty=flag(request.query_params, "pretty")),
        code,
        {"warning": ", ".join(headers)} if headers else None,
        "application/json",
    )


def render(body: Any, *, pretty: bool = False) -> bytes:
    """Return `body` as JSON text."""
    if pretty:
        return json.dumps(body, indent=2).encode() + b"\n"
    return json.dumps(body, separators=(",", ":")).encode() + b"\n"


def in_order(resource: Resource, obj: Json) -> Json:
    """Return an object with the keys in the order of the real API server."""
    if resource.custom:
        ordered: Json = json.loads(json.dumps(obj, sort_keys=True))
        return ordered
    meta = obj["metadata"]
    head = {"kind": resource.kind, "apiVersion": resource.api_version}
    return {**head, "metadata": {key: meta[key] for key in _METADATA if key in meta}} | {
        key: value for key, value in obj.items() if key not in (*head, "metadata")
    }


def listing(
    resource: Resource,
    items: list[Json],
    version: int,
    last: str = "",
    remaining: int | None = None,
) -> Json:
    """Return a list.

    Parameters
    ----------
    resource
        What is in it.
    items
        The objects, or a page of them.
    version
        The resourceVersion of the list.
    last
        The last object of the page, if there are more.
    remaining
        How many more there are, if that is known.
    """
    token = continuation(version, last) if last else ""
    kind = f"{resource.kind}List"
    meta: Json = {"resourceVersion": str(version)}
    if remaining and last:
        meta = {"remainingItemCount": remaining, **meta}
    if resource.custom:
        meta = {"continue": token, **meta}
        return {
            "apiVersion": resource.api_version,
            "items": items,
            "kind": kind,
            "metadata": meta,
        }
    if token:
        meta["continue"] = token
    bare = [
        {key: value for key, value in item.items() if key not in ("kind", "apiVersion")}
        for item in items
    ]
    return {"kind": kind, "apiVersion": resource.api_version, "metadata": meta, "items": bare}


def deleted(resource: Resource, obj: Json) -> Json:
    """Return the Status that tells that an object was deleted."""
    meta = obj["metadata"]
    return {
        "kind": "Status",
        "apiVersion": "v1",
        "metadata": {},
        "status": "Success",
        "details": {**resource.details(meta["name"]), "uid": meta["uid"]},
    }
