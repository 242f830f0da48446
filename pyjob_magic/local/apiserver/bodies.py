"""What requests carry: JSON or YAML of a bounded size, or protobuf for kinds that have it."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Sequence
from typing import Any

from starlette.requests import Request

from pyjob_magic.local.apiserver import protobuf
from pyjob_magic.local.status import StatusError, bad_request, too_large, unsupported_media_type

BODY_LIMIT = 3_145_728
OBJECTS = ("application/json", "application/yaml")


def media_type(request: Request) -> str:
    """Return the media type that a request names; empty if it names none."""
    return request.headers.get("content-type", "").partition(";")[0].strip().lower()


async def read_object(
    request: Request, kind: str, accepted: Sequence[str] = OBJECTS, *, yaml: bool = False
) -> Any:
    """Return the value of a request's body.

    Parameters
    ----------
    request
        The request.
    kind
        What the body is, for the message.
    accepted
        Media types that may be sent; none may be named, too.
    yaml
        Whether the body is YAML, whatever its media type; else only ``application/yaml`` is.

    Raises
    ------
    StatusError
        400, 413 or 415.
    """
    given = media_type(request)
    if given == protobuf.MEDIA_TYPE and kind in protobuf.KINDS:
        return protobuf.decode(await read(request), kind)
    if given not in ("", *accepted):
        raise unsupported_media_type(*accepted)
    body = await read(request)
    if yaml or given == "application/yaml":
        body = await _from_yaml(body)
    return _json(body, kind)


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


def _json(body: bytes, kind: str) -> Any:
    try:
        value = json.loads(body, parse_constant=_no_constant, parse_float=_finite)
        return _without_halves(value) if rb"\ud" in body.lower() else value
    except (ValueError, RecursionError) as error:
        raise _unreadable(kind, error, body) from None


async def _from_yaml(body: bytes) -> bytes:
    from pyjob_magic.local.apiserver import yamls  # here, because hardly anybody sends any

    # Large documents take seconds, in which others want to be served.
    return await asyncio.to_thread(yamls.to_json, body, BODY_LIMIT)


def _unreadable(kind: str, error: Exception, body: bytes) -> StatusError:
    reason, head = " ".join(str(error).split()), body[:40].decode(errors="replace")
    return bad_request(
        f"the object provided is unrecognized (must be of type {kind}): couldn't get "
        f"version/kind; json parse error: {reason} ({head})"
    )


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
