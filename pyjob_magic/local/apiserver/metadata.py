"""The rules of metadata: names, labels, annotations, keys.

Source: ``k8s.io/apimachinery/pkg/api/validation`` and ``pkg/util/validation``.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from pyjob_magic.local.apiserver.schema import quote
from pyjob_magic.local.objects import Json
from pyjob_magic.local.status import Cause

_ANNOTATIONS_LIMIT = 262_144

_LABEL = "[a-z0-9]([-a-z0-9]*[a-z0-9])?"
_SUBDOMAIN = rf"{_LABEL}(\.{_LABEL})*"
_SUBDOMAIN_RULE = (
    "a lowercase RFC 1123 subdomain must consist of lower case alphanumeric characters, '-' or "
    "'.', and must start and end with an alphanumeric character (e.g. 'example.com', regex used "
    rf"for validation is '{_LABEL}(\.{_LABEL})*')"
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


def causes(obj: Json) -> Iterator[Cause]:
    """Find what is wrong with the metadata of any object."""
    meta = obj["metadata"]
    name = meta.get("name")
    if not name:
        yield Cause("metadata.name", "FieldValueRequired", "name or generateName is required")
    elif isinstance(name, str):
        yield from _wrong("metadata.name", name, _SUBDOMAIN, _SUBDOMAIN_RULE, 253)
    yield from _labels(meta.get("labels"))
    yield from _annotations(meta.get("annotations"))


def _wrong(field: str, value: str, pattern: str, rule: str, limit: int) -> Iterator[Cause]:
    quoted = quote(value)
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


def config_key(key: str) -> str:
    """Return what is wrong with a key of a ConfigMap; empty if nothing is."""
    quoted = quote(key)
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
