"""How objects look on the wire: JSON in the key order of the real API server."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from typing import Any

from starlette.requests import Request
from starlette.responses import Response

from pyjob_magic.local.objects import Json
from pyjob_magic.local.query import continuation, flag
from pyjob_magic.local.resources import Resource
from pyjob_magic.local.status import bad_request, too_large, unsupported_media_type

BODY_LIMIT = 3_145_728
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


def media_type(request: Request) -> str:
    """Return the media type that a request names; empty if it names none."""
    return request.headers.get("content-type", "").partition(";")[0].strip().lower()


async def read_json(request: Request, accepted: Sequence[str], kind: str) -> Any:
    """Return the JSON value of a request's body.

    Parameters
    ----------
    request
        The request.
    accepted
        Media types that may be sent; none may be named, too.
    kind
        What the body is, for the message.

    Raises
    ------
    StatusError
        400, 413 or 415.
    """
    if media_type(request) not in ("", *accepted):
        raise unsupported_media_type(*accepted)
    body = await read(request)
    try:
        value = json.loads(body, parse_constant=_no_constant, parse_float=_finite)
        return _without_halves(value) if rb"\ud" in body.lower() else value
    except (ValueError, RecursionError) as error:
        head = body[:40].decode(errors="replace")
        raise bad_request(
            f"the object provided is unrecognized (must be of type {kind}): couldn't get "
            f"version/kind; json parse error: {error} ({head})"
        ) from None


async def read(request: Request) -> bytes:
    """Return the body of a request, at most `BODY_LIMIT` bytes."""
    length = request.headers.get("content-length", "0")
    if length.isdigit() and int(length) > BODY_LIMIT:
        raise too_large(BODY_LIMIT)
    chunks, size = [], 0
    async for chunk in request.stream():
        size += len(chunk)
        if size > BODY_LIMIT:
            raise too_large(BODY_LIMIT)
        chunks.append(chunk)
    return b"".join(chunks)


def _without_halves(value: Any) -> Any:
    """Replace the halves of surrogate pairs, which no file and no argument can hold."""
    text = json.dumps(value, ensure_ascii=False).encode(errors="surrogatepass")
    return json.loads(text.decode(errors="replace"))


def _finite(text: str) -> float:
    number = float(text)
    if number in (float("inf"), float("-inf")):
        raise ValueError(f"number {text} is out of range")
    return number


def _no_constant(name: str) -> None:
    raise ValueError(f"invalid character {name[0]!r} looking for beginning of value")
