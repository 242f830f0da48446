"""Objects as their schema sees them: what they claim, how they differ and merge.

Source: ``sigs.k8s.io/structured-merge-diff`` ``typed``.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any, NamedTuple

from pyjob_magic.local.apiserver.fields import NONE, Fields, Path, text
from pyjob_magic.local.apiserver.structure import (
    Part,
    assemble,
    descend,
    is_associative,
    parts,
    same,
)
from pyjob_magic.local.objects import Json


class Changes(NamedTuple):
    """What became of the fields of an object."""

    added: Fields
    modified: Fields
    removed: Fields

    @property
    def taken(self) -> Fields:
        """What belongs to whoever made the changes."""
        return self.added | self.modified

    @property
    def any(self) -> Fields:
        """What does not belong to anybody else any more."""
        return self.taken | self.removed


def claimed(schema: Json, value: Any) -> Fields:
    """Return the fields that whoever applies `value` owns.

    Those are the places that have no parts, and those that the schema does not name: the keys of
    maps, the items of lists.
    """
    found = parts(schema, value)
    if found is None:
        return Fields(True)
    return Fields.of(False, {element: _claimed(part) for element, part in found.items()})


def compare(schema: Json, old: Any, new: Any) -> Changes:
    """Tell what became of each field of `old` in `new`."""
    before, after = parts(schema, old), parts(schema, new)
    if before is None or after is None or type(old) is not type(new):
        return Changes(_within(schema, new), Fields(not same(old, new)), _within(schema, old))
    found = {
        element: _compared(before.get(element), after.get(element))
        for element in {**before, **after}
    }
    added, modified, removed = (
        Fields.of(False, {element: changes[index] for element, changes in found.items()})
        for index in range(3)
    )
    return Changes(added, modified, removed)


def merge(schema: Json, live: Any, applied: Any) -> Any:
    """Return `live` with what is in `applied`; neither is changed."""
    before, after = parts(schema, live), parts(schema, applied)
    if before is None or after is None or type(live) is not type(applied):
        return applied
    merged = {
        element: _merged(before.get(element), after.get(element))
        for element in _in_order(before, after)
    }
    return assemble(live, merged)


def without(schema: Json, value: Any, gone: Fields) -> Any:
    """Return `value` without the places in `gone`, and all that is below them."""
    found = parts(schema, value)
    if found is None or not gone:
        return value
    kept = {
        element: without(part.schema, part.value, gone.part(element))
        for element, part in found.items()
        if not gone.part(element).here
    }
    return assemble(value, kept)


def with_named(schema: Json, fields: Fields) -> Fields:
    """Return `fields` and the places above them that the schema names."""
    below = {}
    for element, part in fields.below.items():
        inner, named = descend(schema, element)
        inside = with_named(inner, part)
        below[element] = Fields(inside.here or named, inside.below)
    return Fields(fields.here, below)


def misfits(schema: Json, value: Any, path: Path = ()) -> Iterator[str]:
    """Find the lists whose items cannot be told apart, although the schema says how."""
    found = parts(schema, value)
    if found is None and isinstance(value, list) and is_associative(schema):
        keys = ", ".join(schema.get("x-kubernetes-list-map-keys", ())) or "value"
        yield f"{text(path)}: each element of the list needs its own {keys}"
    for element, part in (found or {}).items():
        yield from misfits(part.schema, part.value, (*path, element))


def _claimed(part: Part) -> Fields:
    inside = claimed(part.schema, part.value)
    return Fields(inside.here or not part.named or part.value == {}, inside.below)


def _compared(before: Part | None, after: Part | None) -> Changes:
    if before is None:
        assert after is not None
        return Changes(_all(after), NONE, NONE)
    if after is None:
        return Changes(NONE, NONE, _all(before))
    return compare(after.schema, before.value, after.value)


def _merged(before: Part | None, after: Part | None) -> Any:
    if before is not None and after is not None:
        return merge(after.schema, before.value, after.value)
    part = before or after
    assert part is not None
    return part.value


def _all(part: Part) -> Fields:
    """Return a place and all places below it."""
    return Fields(True, _within(part.schema, part.value).below)


def _within(schema: Json, value: Any) -> Fields:
    """Return all places below one."""
    found = parts(schema, value) or {}
    return Fields.of(False, {element: _all(part) for element, part in found.items()})


def _in_order(old: Iterable[str], new: Iterable[str]) -> list[str]:
    """Return the path elements of both: `new` in its order, the others of `old` in between.

    Those stay before whatever in `new` they were before.
    """
    rest, added = list(reversed(list(old))), dict.fromkeys(new)
    known = frozenset(rest)
    ordered: list[str] = []
    for element, shared in zip(added, _next_shared(list(added), known), strict=True):
        while rest and rest[-1] != shared:
            if (head := rest.pop()) not in added:
                ordered.append(head)
        ordered.append(element)
        if rest and element == shared:
            rest.pop()
    return ordered + [head for head in reversed(rest) if head not in added]


def _next_shared(new: list[str], known: frozenset[str]) -> list[str | None]:
    """Return for each element the first from there on that is among the known ones."""
    following, upcoming = None, []
    for element in reversed(new):
        following = element if element in known else following
        upcoming.append(following)
    return upcoming[::-1]
