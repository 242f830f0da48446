"""Query parameters of the Kubernetes API."""

from __future__ import annotations

import base64
import json
import re
from collections.abc import Mapping
from datetime import datetime

from pyjob_magic.local.status import StatusError, bad_request, expired

_INTEGER = re.compile("[+-]?[0-9]+")
_RFC3339 = re.compile(
    r"([0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2})(?:\.([0-9]+))?(Z|[+-][0-9]{2}:[0-9]{2})"
)


def flag(params: Mapping[str, str], name: str) -> bool:
    """Return a boolean; present and empty counts as true, as with Kubernetes."""
    value = params.get(name)
    return value is not None and value.lower() not in ("0", "false", "f")


def number(params: Mapping[str, str], name: str) -> int | None:
    """Return a number that is not negative, or None if it is absent."""
    value = params.get(name)
    if not value:
        return None
    if not (value.isascii() and value.isdigit() and len(value) < 16):
        raise bad_request(f'invalid {name}: strconv.ParseInt: parsing "{value}": invalid syntax')
    return int(value)


def integer(params: Mapping[str, str], name: str) -> int | None:
    """Return an integer of 64 bits, or None if it is absent."""
    value = params.get(name)
    if not value:
        return None
    if not _INTEGER.fullmatch(value):
        raise bad_request(f'strconv.ParseInt: parsing "{value}": invalid syntax')
    if len(value) > 20 or not -(2**63) <= int(value) < 2**63:
        raise bad_request(f'strconv.ParseInt: parsing "{value}": value out of range')
    return int(value)


def time(params: Mapping[str, str], name: str) -> int | None:
    """Return a time of RFC 3339 in ns since the epoch, or None if it is absent."""
    value = params.get(name)
    if not value:
        return None
    found = _RFC3339.fullmatch(value)
    moment, fraction, zone = found.groups("") if found else ("", "", "")
    try:
        seconds = int(datetime.fromisoformat(moment + zone).timestamp())
    except (ValueError, OverflowError):
        raise bad_request(f'parsing time "{value}": it is not written as RFC 3339') from None
    return seconds * 1_000_000_000 + int(fraction[:9].ljust(9, "0"))


def version(params: Mapping[str, str]) -> int | None:
    """Return the resourceVersion to start from; None for "what there is now"."""
    value = params.get("resourceVersion") or "0"
    if not (value.isascii() and value.isdigit() and len(value) < 19):
        raise bad_request(f'invalid resource version "{value}"')
    return int(value) or None


def dry_run(params: Mapping[str, str]) -> bool:
    """Whether the request is only to be tried."""
    return _one_of(params, "dryRun", ("All",), "") == "All"


def field_validation(params: Mapping[str, str]) -> str:
    """Return what is to be done about unknown fields: Ignore, Warn or Strict."""
    return _one_of(params, "fieldValidation", ("Ignore", "Strict", "Warn"), "Warn")


def continuation(version: int, last: str) -> str:
    """Return the token with which a list goes on behind the object `last`."""
    token = {"v": "meta.k8s.io/v1", "rv": version, "start": last}
    return base64.urlsafe_b64encode(json.dumps(token).encode()).decode()


def start(params: Mapping[str, str]) -> str:
    """Return the object behind which a list is to go on; empty for its beginning."""
    token = params.get("continue")
    if not token:
        return ""
    try:
        found = json.loads(base64.urlsafe_b64decode(token))["start"]
    except (ValueError, TypeError, KeyError):
        raise bad_request("continue key is not valid: unable to read it") from None
    if not isinstance(found, str):
        raise expired("the provided continue parameter is too old")
    return found


def _one_of(params: Mapping[str, str], name: str, allowed: tuple[str, ...], otherwise: str) -> str:
    value = params.get(name)
    if not value:
        return otherwise
    if value not in allowed:
        known = ", ".join(f'"{word}"' for word in allowed)
        message = f'{name}: Unsupported value: "{value}": supported values: {known}'
        raise StatusError(422, "Invalid", message)
    return value
