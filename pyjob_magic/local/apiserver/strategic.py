"""Strategic merge patch: a merge patch that knows which lists merge, and by what.

Lists of objects merge by ``x-kubernetes-patch-merge-key`` where the schema gives it, or else by
the first of their ``x-kubernetes-list-map-keys``; lists that are sets merge as such. All others
are replaced. Members of a patch whose names begin with ``$`` are directives.

Source: ``k8s.io/apimachinery`` ``pkg/util/strategicpatch``.
"""

from __future__ import annotations

from collections import deque
from typing import Any, NamedTuple

from pyjob_magic.local.apiserver.schema import quote
from pyjob_magic.local.apiserver.structure import canonical, descend
from pyjob_magic.local.objects import Json
from pyjob_magic.local.status import StatusError, bad_request

_PATCH = "$patch"
_RETAIN = "$retainKeys"
_DELETE = "$deleteFromPrimitiveList/"
_ORDER = "$setElementOrder/"


def merge(schema: Json, target: Json, patch: Any) -> Json:
    """Return `target` with a strategic merge patch applied; neither is changed.

    Raises
    ------
    StatusError
        400 for what is no such patch, 422 for lists of lists.
    """
    if not isinstance(patch, dict):
        raise bad_request("invalid JSON document: a strategic merge patch is an object")
    return _merged(schema, target, patch)


def _merged(schema: Json, target: Json, patch: Json) -> Json:
    if _PATCH in patch:
        return _replaced(patch)
    merged = _retained(target, patch)
    for name in _names(patch):
        value = _field(descend(schema, f"f:{name}")[0], merged.get(name), name, patch)
        if value is None:
            merged.pop(name, None)
        else:
            merged[name] = value
    return merged


def _replaced(patch: Json) -> Json:
    """Return what becomes of an object that is not merged."""
    directive = patch[_PATCH]
    if directive not in ("delete", "replace"):
        raise bad_request(f"unknown patch type: {quote(directive)}")
    kept = {name: value for name, value in patch.items() if name != _PATCH}
    return {} if directive == "delete" else _plain(kept)


def _retained(target: Json, patch: Json) -> Json:
    """Return a copy of `target` that has only the keys which the patch retains."""
    if _RETAIN not in patch:
        return dict(target)
    names = _list(patch, _RETAIN)
    for name, value in patch.items():
        if name not in names and not name.startswith("$") and value is not None:
            raise bad_request(f"invalid patch format of retainKeys: {name} is not among them")
    return {name: value for name, value in target.items() if name in names}


def _names(patch: Json) -> dict[str, None]:
    """Return the names of the fields that a patch is about."""
    names = (name.removeprefix(_DELETE).removeprefix(_ORDER) for name in patch if name != _RETAIN)
    return dict.fromkeys(names)


def _field(schema: Json, old: Any, name: str, patch: Json) -> Any:
    """Return what becomes of the field `name`; None if it is to be absent."""
    gone, order = _list(patch, _DELETE + name), _list(patch, _ORDER + name)
    new, lists = patch.get(name, []), _Lists.of(schema)
    if order and not isinstance(new, list):
        raise bad_request(f"invalid patch format: {name} must be a list, as it has an order")
    if isinstance(old, list):
        texts = set(map(canonical, gone))
        old = [item for item in old if canonical(item) not in texts]
        if lists and isinstance(new, list):
            return lists.merge(old, new, order)
    if name not in patch:
        return old
    if isinstance(old, dict) and isinstance(new, dict):
        return _merged(schema, old, new)
    return None if _is_directive(new) else _plain(new)


class _Lists(NamedTuple):
    """How lists of one type merge.

    Parameters
    ----------
    items
        The schema of their items.
    key
        The field by which those are told apart; empty if they are scalars.
    """

    items: Json
    key: str

    @classmethod
    def of(cls, schema: Json) -> _Lists | None:
        """Return how lists of a schema merge; None if they are replaced."""
        items, kind = schema.get("items", {}), schema.get("x-kubernetes-list-type")
        if key := schema.get("x-kubernetes-patch-merge-key"):
            return cls(items, key)
        if kind == "map":
            return cls(items, schema["x-kubernetes-list-map-keys"][0])
        return cls(items, "") if kind == "set" else None

    def merge(self, old: list[Any], patch: list[Any], order: list[Any]) -> list[Any]:
        """Return `old` with a patch merged into it.

        The items of the patch come in the given order, or else their own; the others stay before
        those that they were before.
        """
        for item in patch:
            self._check(item)
        changes = [item for item in patch if not _is_directive(item)]
        wanted = self._order(changes, order)
        gone = {self._identity(item) for item in patch if _is_directive(item)}
        kept = [item for item in old if self._identity(item) not in gone]
        if any(_is_directive(item) and item[_PATCH] == "replace" for item in patch):
            return self._arranged([_plain(item) for item in changes], old, wanted)
        merged = self._objects(kept, changes) if self.key else self._scalars([*kept, *changes])
        return self._arranged(merged, kept, wanted)

    def _check(self, item: Any) -> None:
        """Refuse an item of a patch that cannot merge."""
        if isinstance(item, list):
            message = "the server rejected our request due to an error in our request"
            raise StatusError(422, "Invalid", f"{message}: lists of lists are not supported", {})
        if isinstance(item, dict) != bool(self.key):
            raise bad_request("list element types are not identical")
        if not self.key:
            return
        if item.get(_PATCH, "delete") not in ("delete", "replace"):
            raise bad_request(f"unknown patch type: {quote(item[_PATCH])}")
        if self.key not in item and item.get(_PATCH) != "replace":
            raise bad_request(f"map does not contain declared merge key: {self.key}")

    def _objects(self, kept: list[Any], changes: list[Any]) -> list[Any]:
        merged = list(kept)
        places = _places([self._identity(item) for item in kept])
        for change in changes:
            identity = self._identity(change)
            if identity in places:
                place = places[identity]
                merged[place] = _merged(self.items, merged[place], change)
            else:
                places[identity] = len(merged)
                merged.append(_plain(change))
        return merged

    def _scalars(self, items: list[Any]) -> list[Any]:
        found: dict[str, Any] = {}
        for item in items:
            found.setdefault(self._identity(item), item)
        return list(found.values())

    def _order(self, changes: list[Any], order: list[Any]) -> list[str]:
        """Return in which order the items of a patch come."""
        wanted = [self._identity(item) for item in changes]
        if not order:
            return wanted
        ordered = [self._identity(item) for item in order]
        rest = iter(ordered)
        if not all(identity in rest for identity in wanted):
            raise bad_request(f"the order in the patch does not match its {_ORDER[:-1]}")
        return ordered

    def _arranged(self, items: list[Any], old: list[Any], order: list[str]) -> list[Any]:
        """Return items in order; those that are not in it stay where they were."""
        wanted = _places(order)
        before = _places([self._identity(item) for item in old])
        others = deque(item for item in items if self._identity(item) not in wanted)
        ordered = [item for item in items if self._identity(item) in wanted]
        arranged = []
        for item in sorted(ordered, key=lambda item: wanted[self._identity(item)]):
            place = before.get(self._identity(item), 0)
            while others and before.get(self._identity(others[0]), place) < place:
                arranged.append(others.popleft())
            arranged.append(item)
        return [*arranged, *others]

    def _identity(self, item: Any) -> str:
        """Return what an item is told from others by; empty if it has nothing of that kind."""
        if not self.key:
            return canonical(item)
        known = isinstance(item, dict) and self.key in item
        return canonical(item[self.key]) if known else ""


def _places(identities: list[str]) -> dict[str, int]:
    """Return where each is to be found first."""
    return {identity: place for place, identity in reversed([*enumerate(identities)]) if identity}


def _list(patch: Json, name: str) -> list[Any]:
    """Return the list that a directive has; an empty one if it is not given."""
    value = patch.get(name, [])
    if not isinstance(value, list):
        raise bad_request(f"invalid patch format: {name} must have a list")
    return value


def _is_directive(value: Any) -> bool:
    return isinstance(value, dict) and _PATCH in value


def _plain(value: Any) -> Any:
    """Return a value of a patch without its nulls and directives."""
    if isinstance(value, list):
        return [_plain(item) for item in value if not _is_directive(item)]
    if not isinstance(value, dict):
        return value
    return {
        name: _plain(inner)
        for name, inner in value.items()
        if inner is not None and not _is_directive(inner) and not name.startswith("$")
    }
