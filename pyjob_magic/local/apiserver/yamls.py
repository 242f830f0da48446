"""YAML in the place of JSON, which clients may send to apply it."""

from __future__ import annotations

import json
import math
import re
from typing import Any

import yaml

from pyjob_magic.local.status import bad_request

try:
    from yaml import CSafeLoader as SafeLoader
except ImportError:
    from yaml import SafeLoader  # type: ignore[assignment] # PyYAML came without libyaml

_TAG = "tag:yaml.org,2002:"
_NOT_AS_IN_JSON = ("timestamp", "int", "float")
_INTEGER = r"[-+]?(0|[1-9][0-9]*|0[0-7]+|0x[0-9a-fA-F]+)\Z"
_FLOAT = r"[-+]?([0-9]+\.[0-9]*|\.[0-9]+|[0-9]+(?=[eE]))([eE][-+]?[0-9]+)?\Z"


def to_json(body: bytes, limit: int) -> bytes:
    """Return a YAML document as JSON; what is JSON already stays as it is.

    Parameters
    ----------
    body
        What was sent.
    limit
        How large it may become, in bytes: aliases make much of little.

    Raises
    ------
    StatusError
        400 for what is no YAML, or is nothing that JSON can say.
    """
    try:
        json.loads(body)
    except (ValueError, RecursionError):
        return _converted(body, limit)
    return body


def _converted(body: bytes, limit: int) -> bytes:
    try:
        value = yaml.load(body, _Loader)  # noqa: S506 - a SafeLoader, only stricter
        if _size(value, {}) > limit:
            raise ValueError("document contains excessive aliasing")
        return json.dumps(value).encode()
    except (yaml.YAMLError, LookupError, RecursionError, TypeError, ValueError) as error:
        reason = " ".join(str(error).split())
        raise bad_request(f"error decoding YAML: {reason}") from None


class _Loader(SafeLoader):
    """Leaves dates as they are written, and so 12:30, as Kubernetes does."""

    yaml_implicit_resolvers = {  # noqa: RUF012 - PyYAML's, as that of its loaders
        first: [rule for rule in rules if rule[0].removeprefix(_TAG) not in _NOT_AS_IN_JSON]
        for first, rules in SafeLoader.yaml_implicit_resolvers.items()
    }

    def flatten_mapping(self, node: yaml.MappingNode) -> None:
        """Refuse merge keys, which make very much of very little."""
        if any(key.tag == f"{_TAG}merge" for key, _ in node.value):
            raise ValueError("merge keys are not supported")


_Loader.add_implicit_resolver(f"{_TAG}int", re.compile(_INTEGER), [*"+-0123456789"])
_Loader.add_implicit_resolver(f"{_TAG}float", re.compile(_FLOAT), [*"+-.0123456789"])


def _size(value: Any, known: dict[int, float]) -> float:
    """Return about how many bytes of JSON a value is; what contains itself has no end."""
    if not isinstance(value, dict | list):
        return 1 + (len(value) if isinstance(value, str) else 0)
    if id(value) not in known:
        known[id(value)] = math.inf
        inside = [*value, *value.values()] if isinstance(value, dict) else value
        known[id(value)] = 2 + sum(_size(item, known) for item in inside)
    return known[id(value)]
