"""Sets of fields, as ``managedFields`` hold them.

Source: ``sigs.k8s.io/structured-merge-diff`` ``fieldpath``.
"""

from __future__ import annotations

import json
import operator
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from pyjob_magic.local.apiserver.structure import canonical
from pyjob_magic.local.objects import Json

Path = tuple[str, ...]


@dataclass(frozen=True)
class Fields:
    """A set of fields: whether a place is in it, and what is in it below that place.

    Parameters
    ----------
    here
        Whether the place itself is in the set.
    below
        What is in it of each part, by path elements in order; none is empty.
    """

    here: bool = False
    below: Mapping[str, Fields] = field(default_factory=dict)

    @classmethod
    def of(cls, here: bool, below: Mapping[str, Fields]) -> Fields:
        """Return a set of these parts, some of which may be empty."""
        return cls(here, {element: below[element] for element in sorted(below) if below[element]})

    def __bool__(self) -> bool:
        return self.here or bool(self.below)

    def __or__(self, other: Fields) -> Fields:
        return _combined(self, other, operator.or_)

    def __and__(self, other: Fields) -> Fields:
        return _combined(self, other, operator.and_)

    def __sub__(self, other: Fields) -> Fields:
        return _combined(self, other, operator.gt)

    def part(self, element: str) -> Fields:
        """Return what is in the set of the part at a path element."""
        return self.below.get(element, NONE)

    def paths(self) -> Iterator[Path]:
        """Yield the paths of all fields, those of a place before those further below."""
        yield from ((element,) for element, part in self.below.items() if part.here)
        for element, part in self.below.items():
            yield from ((element, *path) for path in part.paths())


NONE = Fields()


def to_wire(fields: Fields) -> Json:
    """Write a set as FieldsV1."""
    below = {element: to_wire(part) for element, part in fields.below.items()}
    return {".": {}, **below} if fields.here and below else below


def from_wire(tree: Any) -> Fields:
    """Read FieldsV1; path elements of unknown types are left out, as Kubernetes does it.

    Raises
    ------
    ValueError
        If it is malformed.
    """
    return Fields(False, _read(tree).below)


def text(path: Path) -> str:
    """Write a path as messages do: ``.spec.containers[name="pytorch"].image``."""
    return "".join(map(_element_text, path))


def _combined(one: Fields, other: Fields, rule: Callable[[bool, bool], bool]) -> Fields:
    if not other:
        return one if rule(True, False) else NONE
    if not one:
        return other if rule(False, True) else NONE
    below = {
        element: _combined(one.part(element), other.part(element), rule)
        for element in {*one.below, *other.below}
    }
    return Fields.of(rule(one.here, other.here), below)


def _read(tree: Any) -> Fields:
    if not isinstance(tree, dict):
        raise ValueError("FieldsV1 consists of objects")
    below = {_element(key): _read(part) for key, part in tree.items() if key != "."}
    below.pop("", None)
    return Fields.of("." in tree or not below, below)


def _element(key: str) -> str:
    """Return a path element as we write it; empty if its type is unknown."""
    kind, separator, content = key[:1], key[1:2], key[2:]
    if separator != ":":
        raise ValueError(f"{key} is no path element")
    if kind == "f":
        return key
    if kind == "i":
        return f"i:{int(content)}"
    if kind not in ("k", "v"):
        return ""
    value = json.loads(content)
    if (kind == "k") != isinstance(value, dict):
        raise ValueError(f"{key} is no path element")
    return f"{kind}:{canonical(value)}"


def _element_text(element: str) -> str:
    kind, content = element[0], element[2:]
    if kind == "f":
        return f".{content}"
    if kind == "k":
        keys = json.loads(content).items()
        return f"[{','.join(f'{name}={canonical(value)}' for name, value in keys)}]"
    return f"[={content}]" if kind == "v" else f"[{content}]"
