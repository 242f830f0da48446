"""Check an object against an OpenAPI schema; `schemas` has those of the resources.

What a Kubernetes API server does to a custom resource, in its order: drop nulls and unknown
fields (`prune`), fill in defaults (`default`), then find everything that is wrong (`validate`).

Source: ``k8s.io/apiextensions-apiserver/pkg/apiserver/schema`` and its validation.
"""

from __future__ import annotations

import base64
import json
import re
from collections.abc import Iterator
from typing import Any

from pyjob_magic.local.objects import Json, seconds
from pyjob_magic.local.status import Cause

_TYPES: dict[str, tuple[type, ...]] = {
    "string": (str,),
    "integer": (int,),
    "number": (int, float),
    "boolean": (bool,),
    "object": (dict,),
    "array": (list,),
}
_RANGES = {"int32": 2**31, "int64": 2**63}
_TIME = re.compile(r"[0-9]{4}(-[0-9]{2}){2}[Tt][0-9]{2}(:[0-9]{2}){2}(\.[0-9]+)?([Zz]|[+-].{5})")
_BLOCKING = (
    "FieldValueNotSupported",
    "FieldValueRequired",
    "FieldValueTooLong",
    "FieldValueTooMany",
    "FieldValueTypeInvalid",
)


def prune(schema: Json, value: Any, path: str = "") -> list[str]:
    """Drop nulls and unknown fields from `value`; return the paths of the unknown ones."""
    if isinstance(value, list):
        items = schema.get("items", {})
        return [
            unknown
            for index, item in enumerate(value)
            for unknown in prune(items, item, f"{path}[{index}]")
        ]
    if not isinstance(value, dict):
        return []
    unknown = []
    for name in sorted(value):
        child = _child(schema, name)
        if child is None:
            unknown.append(_join(path, name))
            del value[name]
        elif value[name] is None and not child.get("nullable"):
            del value[name]
        else:
            unknown += prune(child, value[name], _join(path, name))
    return unknown


def default(schema: Json, value: Any) -> None:
    """Fill in what is absent and has a default, in the objects that are there."""
    if isinstance(value, list):
        for item in value:
            default(schema.get("items", {}), item)
    elif isinstance(value, dict):
        for name, child in schema.get("properties", {}).items():
            if "default" in child and name not in value:
                value[name] = child["default"]
        for name, item in value.items():
            default(_child(schema, name) or {}, item)


def validate(schema: Json, value: Any) -> list[Cause]:
    """Return everything in `value` that the schema does not allow, in the order of the paths."""
    return list(_validate(schema, value, ""))


def unchecked(causes: list[Cause]) -> list[Cause]:
    """Return the remark that further rules were not looked at, if `causes` keep from that."""
    if not any(cause.reason in _BLOCKING for cause in causes):
        return []
    message = (
        "Invalid value: null: some validation rules were not checked because the object was "
        "invalid; correct the existing errors to complete validation"
    )
    return [Cause("<nil>", "FieldValueInvalid", message)]


def quote(value: Any) -> str:
    """Write `value` as the messages of the API server quote it."""
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"))


def _validate(schema: Json, value: Any, path: str) -> Iterator[Cause]:
    if schema.get("x-kubernetes-int-or-string"):
        if isinstance(value, bool) or not isinstance(value, int | str):
            yield _wrong_type(path, "integer,string", value)
            return
    elif (expected := schema.get("type")) and not _is(value, expected, schema):
        yield _wrong_type(path, expected, value)
        return
    pattern = schema.get("pattern")
    if pattern and isinstance(value, str) and not re.search(_go(pattern), value):
        message = f"Invalid value: {quote(value)}: {path} in body should match '{pattern}'"
        yield Cause(path, "FieldValueInvalid", message)
    if schema.get("format") == "byte" and isinstance(value, str) and not _is_base64(value):
        message = f"Invalid value: {path} in body must be of type byte: illegal base64 data"
        yield Cause(path, "FieldValueTypeInvalid", message)
    if schema.get("format") == "date-time" and isinstance(value, str) and not _is_time(value):
        message = f"Invalid value: {quote(value)}: {path} in body must be of type date-time: "
        yield Cause(path, "FieldValueInvalid", message + quote(value))
    if isinstance(value, dict):
        for name in sorted({*schema.get("required", ()), *value}):
            if name not in value:
                yield Cause(_join(path, name), "FieldValueRequired", "Required value")
            else:
                yield from _validate(_child(schema, name) or {}, value[name], _join(path, name))
    if isinstance(value, list):
        for index, item in enumerate(value):
            yield from _validate(schema.get("items", {}), item, f"{path}[{index}]")
        if schema.get("x-kubernetes-list-type") == "map":
            yield from _duplicates(schema["x-kubernetes-list-map-keys"], value, path)


def _go(pattern: str) -> str:
    """Return a pattern of Go for Python, whose ``$`` also matches before a last newline."""
    return pattern[:-1] + r"\Z" if pattern.endswith("$") else pattern


def _duplicates(keys: list[str], items: list[Any], path: str) -> Iterator[Cause]:
    seen = []
    for index, item in enumerate(items):
        if not isinstance(item, dict):
            continue
        identity = {key: item[key] for key in keys if key in item}
        if identity in seen:
            field = f"{path}[{index}]"
            yield Cause(field, "FieldValueDuplicate", f"Duplicate value: {quote(identity)}")
        seen.append(identity)


def _is(value: Any, expected: str, schema: Json) -> bool:
    limit = _RANGES.get(schema.get("format", ""))
    if isinstance(value, bool) and expected != "boolean":
        return False
    if expected == "integer" and isinstance(value, float) and value.is_integer():
        return True
    if limit is not None and isinstance(value, int):
        return -limit <= value < limit
    return isinstance(value, _TYPES[expected])


def _is_time(text: str) -> bool:
    try:
        seconds(text)
    except (ValueError, OverflowError):
        return False
    return _TIME.fullmatch(text) is not None


def _is_base64(text: str) -> bool:
    try:
        base64.b64decode(text, validate=True)
    except ValueError:
        return False
    return True


def _wrong_type(path: str, expected: str, value: Any) -> Cause:
    got = _type_name(value)
    message = f'Invalid value: "{got}": {path} in body must be of type {expected}: "{got}"'
    return Cause(path, "FieldValueTypeInvalid", message)


def _type_name(value: Any) -> str:
    if value is None:
        return "null"
    if isinstance(value, bool):
        return "boolean"
    names = ((str, "string"), (int, "integer"), (float, "number"), (dict, "object"))
    return next((name for kind, name in names if isinstance(value, kind)), "array")


def _child(schema: Json, name: str) -> Json | None:
    """Return the schema of the field `name`; None if there is no such field."""
    properties = schema.get("properties")
    if properties and name in properties:
        child: Json = properties[name]
        return child
    extra = schema.get("additionalProperties")
    if isinstance(extra, dict):
        return extra
    if schema.get("x-kubernetes-preserve-unknown-fields") or extra or not schema:
        return {}
    return None


def _join(path: str, name: str) -> str:
    return f"{path}.{name}" if path else name
