"""Patches of any JSON: JSON Merge Patch and JSON Patch.

JSON Patch is applied as a Kubernetes API server does it, whose library is more lenient than the
RFC: `replace` may add a field, a field that is absent tests as null, and a negative index counts
from the end of a list.

Source: RFC 7386; RFC 6902; ``github.com/evanphx/json-patch`` v4; ``k8s.io/apiserver``
``pkg/endpoints/handlers/patch.go``.
"""

from __future__ import annotations

import json
import re
from typing import Any

from pyjob_magic.local.apiserver.structure import copied, same
from pyjob_magic.local.objects import Json
from pyjob_magic.local.status import StatusError, bad_request

_MAX_OPERATIONS = 10_000
_MAX_COPIED = 3_145_728  # bytes that all the copies of one patch may add
_INDEX = re.compile("[-+]?[0-9]{1,15}")


def merge(target: Any, patch: Any) -> Any:
    """Return `target` with `patch` merged into it; neither is changed."""
    if not isinstance(patch, dict):
        return patch
    merged = dict(target) if isinstance(target, dict) else {}
    for key, value in patch.items():
        if value is None:
            merged.pop(key, None)
        else:
            merged[key] = merge(merged.get(key), value)
    return merged


def apply_operations(target: Json, operations: Any) -> Json:
    """Return `target` changed by the operations of a JSON Patch; neither is changed.

    Raises
    ------
    StatusError
        400 for what is no JSON Patch, 413 for one with too many operations, 422 for one that
        cannot be applied.
    """
    _check(operations)
    document = _Document(target)
    for operation in copied(operations):
        try:
            document.apply(operation)
        except _Mismatch as mismatch:
            raise _inapplicable(str(mismatch)) from None
    if not isinstance(document.root, dict):
        raise _inapplicable("the result is not an object")
    return document.root


def _check(operations: Any) -> None:
    """Refuse what is no list of operations."""
    if not isinstance(operations, list) or not all(isinstance(one, dict) for one in operations):
        raise bad_request("error decoding patch: a JSON patch is a list of operations")
    for operation in operations:
        for member in ("op", "path", "from"):
            if not isinstance(operation.get(member, ""), str):
                raise bad_request(f"error decoding patch: {member} must be a string")
    if len(operations) > _MAX_OPERATIONS:
        message = (
            "Request entity too large: The allowed maximum operations in a JSON patch is "
            f"{_MAX_OPERATIONS}, got {len(operations)}"
        )
        raise StatusError(413, "RequestEntityTooLarge", message)


def _inapplicable(why: str) -> StatusError:
    message = f"the server rejected our request due to an error in our request: {why}"
    return StatusError(422, "Invalid", message, {})


class _Mismatch(Exception):  # noqa: N818 - not an error of ours: it becomes a StatusError
    """An operation does not fit the document; the message never quotes a value."""


class _Document:
    """What is being patched, in place."""

    def __init__(self, target: Json) -> None:
        self.root: Any = copied(target)
        self._copied = 0

    def apply(self, operation: Json) -> None:
        """Carry out one operation, or raise `_Mismatch`."""
        kind, path = operation.get("op", "unknown"), operation.get("path")
        if kind not in ("add", "copy", "move", "remove", "replace", "test"):
            raise _Mismatch(f"Unexpected kind: {kind}")
        if path is None:
            raise _Mismatch(f"{kind} operation failed to decode path: missing value")
        if kind == "remove":
            self._remove(kind, path)
        elif kind == "replace":
            self._replace(path, operation.get("value"))
        elif kind == "test":
            self._test(path, operation.get("value"))
        else:
            self._add(kind, path, self._source(kind, operation))

    def _source(self, kind: str, operation: Json) -> Any:
        """Return what is to be added."""
        if kind == "add":
            return operation.get("value")
        path = operation.get("from")
        if path is None:
            raise _Mismatch(f"{kind} operation failed to decode from: missing value")
        value = _get(*self._find(kind, path), path)
        if kind == "move":
            self._remove(kind, path)
            return value
        text = json.dumps(value)
        self._copied += len(text)
        if self._copied > _MAX_COPIED:
            raise _Mismatch(f"copy operations may add no more than {_MAX_COPIED} bytes")
        return json.loads(text)

    def _add(self, kind: str, path: str, value: Any) -> None:
        holder, key = self._find(kind, path)
        if isinstance(holder, dict):
            holder[key] = value
        elif key == "-":
            holder.append(value)
        else:
            holder.insert(_index(key, len(holder) + 1, path), value)

    def _remove(self, kind: str, path: str) -> None:
        holder, key = self._find(kind, path)
        if isinstance(holder, list):
            del holder[_index(key, len(holder), path)]
        elif key in holder:
            del holder[key]
        else:
            raise _Mismatch(f"error in {kind} for path: '{path}': Unable to remove nonexistent key")

    def _replace(self, path: str, value: Any) -> None:
        if path == "":
            self.root = value
            return
        holder, key = self._find("replace", path)
        holder[_index(key, len(holder), path) if isinstance(holder, list) else key] = value

    def _test(self, path: str, value: Any) -> None:
        found = self.root if path == "" else _get(*self._find("test", path), path)
        if not same(found, value):
            raise _Mismatch(f"testing value {path} failed: test failed")

    def _find(self, kind: str, path: str) -> tuple[Any, str]:
        """Return the object or list that holds what `path` names, and its key there."""
        start, *tokens = (token.replace("~1", "/").replace("~0", "~") for token in path.split("/"))
        holder = self.root if tokens and not start else None
        for token in tokens[:-1]:
            holder = _get(holder, token, path) if isinstance(holder, dict | list) else None
        if not isinstance(holder, dict | list):
            raise _Mismatch(f'{kind} operation does not apply: doc is missing path: "{path}"')
        return holder, tokens[-1]


def _get(holder: Any, key: str, path: str) -> Any:
    if isinstance(holder, list):
        return holder[_index(key, len(holder), path)]
    return holder.get(key)


def _index(key: str, length: int, path: str) -> int:
    """Return the index that `key` is, among `length` places."""
    index = int(key) if _INDEX.fullmatch(key) else length
    if not -length <= index < length:
        raise _Mismatch(f"error in path: '{path}': invalid index referenced")
    return index % length
