"""Read the protobuf in which clients written in Go send objects of Kubernetes' own kinds. Pure.

``kubectl create configmap`` and ``kubectl auth`` are such clients; they take JSON for an answer.

Source: the ``generated.proto`` files of ``k8s.io/api`` and ``k8s.io/apimachinery``.
"""

from __future__ import annotations

import base64
import operator
from collections.abc import Callable, Iterator
from typing import Any

from pyjob_magic.local.objects import Json, timestamp
from pyjob_magic.local.status import bad_request

MEDIA_TYPE = "application/vnd.kubernetes.protobuf"

_MAGIC = b"k8s\0"
_FIXED = {1: 8, 5: 4}  # bytes that a value of this wire type takes
_Read = Callable[[Any], Any]
_Field = tuple[str, _Read]  # the name in JSON, and what makes its value of what is on the wire


def decode(body: bytes, kind: str) -> Json:
    """Return the object in a body; `kind` is what it is meant to be.

    Raises
    ------
    StatusError
        400, if it cannot be read or is of another kind.
    """
    try:
        return _decode(body, kind)
    except (ValueError, TypeError, OverflowError, OSError) as error:
        message = f"the object provided is unrecognized (must be of type {kind}): {error}"
        raise bad_request(message) from None


def _decode(body: bytes, kind: str) -> Json:
    if not body.startswith(_MAGIC):
        raise ValueError("the body does not begin as protobuf of Kubernetes does")
    unknown = _message(body[len(_MAGIC) :], _UNKNOWN)
    head = unknown.get("typeMeta") or {}
    if head.get("kind") != kind or kind not in KINDS:
        raise ValueError(f"couldn't get version/kind of {head.get('kind')!r}")
    return {**head, **_message(unknown.get("raw") or b"", KINDS[kind])}


def _message(data: bytes, fields: dict[int, _Field]) -> Json:
    """Return the fields of a message that are known and not empty."""
    found: Json = {}
    for number, value in _entries(memoryview(data)):
        if number not in fields:
            continue
        name, read = fields[number]
        if name.endswith("[]"):
            found.setdefault(name[:-2], []).append(read(value))
        elif name.endswith("{}"):
            entry = _message(value, {1: ("key", _text), 2: ("value", read)})
            found.setdefault(name[:-2], {})[entry.get("key", "")] = entry.get("value", "")
        elif (plain := read(value)) not in ("", None):
            found[name] = plain
    return found


def _entries(data: memoryview) -> Iterator[tuple[int, Any]]:
    """Yield the numbers and the values of a message's fields."""
    at = 0
    while at < len(data):
        key, at = _varint(data, at)
        number, wire_type = key >> 3, key & 7
        if wire_type == 0:
            value, at = _varint(data, at)
            yield number, value
            continue
        size, at = _varint(data, at) if wire_type == 2 else (_FIXED.get(wire_type, -1), at)
        if not 0 <= size <= len(data) - at:
            raise ValueError("the message is cut off, or of an unknown format")
        yield number, bytes(data[at : at + size])
        at += size


def _varint(data: memoryview, at: int) -> tuple[int, int]:
    value = 0
    for shift in range(0, 70, 7):
        if at >= len(data):
            break
        byte, at = data[at], at + 1
        value |= (byte & 0x7F) << shift
        if byte < 0x80:
            return value, at
    raise ValueError("a number in the message is cut off")


def _text(value: Any) -> str:
    return str(value, "utf-8")


def _bytes(value: Any) -> str:
    return base64.b64encode(value).decode()


def _number(value: Any) -> int:
    unsigned = operator.index(value)
    return unsigned - 2**64 if unsigned >= 2**63 else unsigned


def _flag(value: Any) -> bool:
    return bool(operator.index(value))


def _counter(value: Any) -> int | None:
    return _number(value) or None


def _time(value: Any) -> str | None:
    seconds = _message(value, {1: ("seconds", _counter)}).get("seconds")
    return timestamp(seconds) if seconds else None


def _part(fields: dict[int, _Field]) -> _Read:
    """Return what reads a message that is left out when it is empty."""
    return lambda value: _message(value, fields) or None


def _choice(fields: dict[int, _Field]) -> _Read:
    """Return what reads a message that means something when it is empty."""
    return lambda value: _message(value, fields)


_UNKNOWN: dict[int, _Field] = {
    1: ("typeMeta", _part({1: ("apiVersion", _text), 2: ("kind", _text)})),
    2: ("raw", bytes),
}
_OWNER: dict[int, _Field] = {
    1: ("kind", _text),
    3: ("name", _text),
    4: ("uid", _text),
    5: ("apiVersion", _text),
    6: ("controller", _flag),
    7: ("blockOwnerDeletion", _flag),
}
_METADATA: _Field = (
    "metadata",
    _part(
        {
            1: ("name", _text),
            2: ("generateName", _text),
            3: ("namespace", _text),
            5: ("uid", _text),
            6: ("resourceVersion", _text),
            7: ("generation", _counter),
            8: ("creationTimestamp", _time),
            9: ("deletionTimestamp", _time),
            10: ("deletionGracePeriodSeconds", _number),
            11: ("labels{}", _text),
            12: ("annotations{}", _text),
            13: ("ownerReferences[]", _choice(_OWNER)),
            14: ("finalizers[]", _text),
        }
    ),
)
_RESOURCE_ATTRIBUTES: dict[int, _Field] = {
    1: ("namespace", _text),
    2: ("verb", _text),
    3: ("group", _text),
    4: ("version", _text),
    5: ("resource", _text),
    6: ("subresource", _text),
    7: ("name", _text),
}
_PATH_ATTRIBUTES: dict[int, _Field] = {1: ("path", _text), 2: ("verb", _text)}
_ACCESS: dict[int, _Field] = {
    1: ("resourceAttributes", _choice(_RESOURCE_ATTRIBUTES)),
    2: ("nonResourceAttributes", _choice(_PATH_ATTRIBUTES)),
}
_PRECONDITIONS: dict[int, _Field] = {1: ("uid", _text), 2: ("resourceVersion", _text)}
KINDS: dict[str, dict[int, _Field]] = {
    "ConfigMap": {
        1: _METADATA,
        2: ("data{}", _text),
        3: ("binaryData{}", _bytes),
        4: ("immutable", _flag),
    },
    "DeleteOptions": {
        1: ("gracePeriodSeconds", _number),
        2: ("preconditions", _choice(_PRECONDITIONS)),
        3: ("orphanDependents", _flag),
        4: ("propagationPolicy", _text),
        5: ("dryRun[]", _text),
    },
    "Namespace": {1: _METADATA, 2: ("spec", _part({1: ("finalizers[]", _text)}))},
    "Secret": {
        1: _METADATA,
        2: ("data{}", _bytes),
        3: ("type", _text),
        4: ("stringData{}", _text),
        5: ("immutable", _flag),
    },
    "SelfSubjectAccessReview": {1: _METADATA, 2: ("spec", _part(_ACCESS))},
    "SelfSubjectReview": {1: _METADATA},
    "SelfSubjectRulesReview": {1: _METADATA, 2: ("spec", _part({1: ("namespace", _text)}))},
}
"""The fields by their numbers of the kinds that clients send, those that mean something here."""
