"""Label and field selectors, as query parameters spell them."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping

from pyjob_magic.local.objects import Json, labels
from pyjob_magic.local.status import bad_request

Selector = Callable[[Json], bool]
_Labels = Callable[[Mapping[str, str]], bool]

_KEY = r"[A-Za-z0-9][-A-Za-z0-9_./]*"
_SET = re.compile(rf"(?P<key>{_KEY})\s+(?P<op>in|notin)\s*\((?P<values>[^()]*)\)")
_EQUAL = re.compile(rf"(?P<key>{_KEY})\s*(?P<op>==|=|!=)\s*(?P<value>[-A-Za-z0-9_.]*)")
_EXISTS = re.compile(rf"(?P<absent>!?)\s*(?P<key>{_KEY})")
_FIELD = re.compile(r"(?P<key>[A-Za-z.]+)(?P<op>==|=|!=)(?P<value>.*)")

FIELDS = {
    "pytorchjobs": ("metadata.name", "metadata.namespace"),
    "configmaps": ("metadata.name", "metadata.namespace"),
    "secrets": ("metadata.name", "metadata.namespace", "type"),
    "services": ("metadata.name", "metadata.namespace", "spec.clusterIP", "spec.type"),
    "namespaces": ("metadata.name", "status.phase"),
    "nodes": ("metadata.name", "spec.unschedulable"),
    "pods": (
        "metadata.name",
        "metadata.namespace",
        "spec.nodeName",
        "spec.restartPolicy",
        "spec.serviceAccountName",
        "status.phase",
        "status.podIP",
    ),
    "events": (
        "metadata.name",
        "metadata.namespace",
        "involvedObject.kind",
        "involvedObject.namespace",
        "involvedObject.name",
        "involvedObject.uid",
        "involvedObject.apiVersion",
        "involvedObject.resourceVersion",
        "involvedObject.fieldPath",
        "reason",
        "reportingComponent",
        "source",
        "type",
    ),
}


def parse(label_selector: str, field_selector: str, plural: str) -> Selector | None:
    """Return what both selectors let through; None if that is everything.

    Raises
    ------
    StatusError
        400, if a selector cannot be read or the resource has no such field.
    """
    tests = [_label(part.strip()) for part in _split(label_selector)]
    fields = [_field(part.strip(), plural) for part in _split(field_selector)]
    if not tests and not fields:
        return None
    return lambda obj: (
        all(test(labels(obj)) for test in tests) and all(test(obj) for test in fields)
    )


def _split(selector: str) -> list[str]:
    """Split at the commas that are not inside parentheses."""
    return re.split(r",(?![^(]*\))", selector) if selector.strip() else []


def _label(part: str) -> _Labels:
    if match := _SET.fullmatch(part):
        key = match["key"]
        values = {value.strip() for value in match["values"].split(",")}
        if match["op"] == "in":
            return lambda has: has.get(key) in values
        return lambda has: has.get(key) not in values
    if match := _EQUAL.fullmatch(part):
        key, value = match["key"], match["value"]
        if match["op"] == "!=":
            return lambda has: has.get(key) != value
        return lambda has: has.get(key) == value
    if match := _EXISTS.fullmatch(part):
        key, absent = match["key"], bool(match["absent"])
        return lambda has: (key in has) is not absent
    raise bad_request(f"unable to parse requirement: {part!r} is no label selector")


def _field(part: str, plural: str) -> Selector:
    match = _FIELD.fullmatch(part)
    if match is None:
        raise bad_request(f"invalid field selector: {part!r} is not of the form field=value")
    key, value, equal = match["key"], match["value"], match["op"] != "!="
    if key not in FIELDS[plural]:
        raise bad_request(f'field label not supported: "{key}"')
    path = key.split(".")
    if key == "source":
        path = ["source", "component"]
    return lambda obj: (_at(obj, path) == value) is equal


def _at(obj: Json, path: list[str]) -> str:
    value: object = obj
    for name in path:
        value = value.get(name, "") if isinstance(value, dict) else ""
    return str(value)
