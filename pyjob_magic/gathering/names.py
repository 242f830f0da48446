"""Which names a piece of code takes from around it: as soon as it is defined, or when it runs.

Python's own compiler knows: what is local, shadowed or in a comprehension it has sorted out.
"""

from __future__ import annotations
import __future__

import ast
import dis
import inspect
from collections.abc import Iterator
from dataclasses import dataclass, field
from types import CodeType

FUTURE = __future__.annotations.compiler_flag
Path = tuple[str, ...]  # a name, and the attributes that are asked of it: np, random, rand

_LOADS = {"LOAD_NAME", "LOAD_GLOBAL", "LOAD_FROM_DICT_OR_GLOBALS"}
_ATTRIBUTES = {"LOAD_ATTR", "LOAD_METHOD"}
_BESIDE = {"EXTENDED_ARG", "PUSH_NULL", "CACHE"}  # between a name and its attributes
_COMPREHENSIONS = {"<listcomp>", "<setcomp>", "<dictcomp>", "<genexpr>"}
_GIVEN = {  # to every module
    *("__name__", "__doc__", "__file__", "__spec__", "__loader__", "__package__"),
    *("__builtins__", "__annotations__", "__conditional_annotations__", "__debug__"),
}


@dataclass(frozen=True)
class Names:
    """What a piece of code takes from around it."""

    now: set[Path] = field(default_factory=set)
    """What has to be there when it is defined: decorators, base classes, defaults."""
    later: set[Path] = field(default_factory=set)
    """What has to be there when it is called."""
    wished: set[Path] = field(default_factory=set)
    """What annotations name that Python does not look at, but libraries may."""
    sets: set[str] = field(default_factory=set)
    """What it assigns itself, as `global`."""

    @property
    def paths(self) -> set[Path]:
        """All that it takes."""
        return self.now | self.later | self.wished

    @property
    def first(self) -> set[str]:
        """The names that have to be defined before it."""
        return {path[0] for path in self.now | self.wished}


def used(source: str, *, future: bool = False) -> Names:
    """Return what code takes from around it.

    Parameters
    ----------
    source
        A definition, or any statement.
    future
        Whether ``from __future__ import annotations`` holds for it.

    Raises
    ------
    SyntaxError
        If it cannot stand alone.
    """
    names = Names()
    flags = FUTURE if future else 0
    _look_at(compile(source, "<cell>", "exec", flags, dont_inherit=True), names, at_once=True)
    if future:
        names.wished.update((name,) for name in _annotated(ast.parse(source)))
    return names


def _look_at(code: CodeType, names: Names, *, at_once: bool) -> None:
    steps = [each for each in dis.get_instructions(code) if each.opname not in _BESIDE]
    own: set[str] = set()  # what a class, or the piece itself, has defined so far
    taken = names.wished if code.co_name == "__annotate__" else names.now
    taken = taken if at_once or code.co_name == "__annotate__" else names.later
    for number, step in enumerate(steps):
        if step.opname == "STORE_NAME":
            own.add(step.argval)
        elif step.opname == "STORE_GLOBAL":
            names.sets.add(step.argval)
        elif step.opname in _LOADS and step.argval not in own | _GIVEN:
            taken.add((step.argval, *_attributes(steps[number + 1 :])))
    for inner in code.co_consts:
        if isinstance(inner, CodeType):
            _look_at(inner, names, at_once=at_once and _runs_at_once(inner))


def _attributes(steps: list[dis.Instruction]) -> Iterator[str]:
    for step in steps:
        if step.opname not in _ATTRIBUTES:
            return
        yield step.argval


def _runs_at_once(code: CodeType) -> bool:
    """Whether it runs when what is around it does: the body of a class, not of a function."""
    if not code.co_flags & inspect.CO_OPTIMIZED:
        return True
    return code.co_name in _COMPREHENSIONS or code.co_name.startswith("<generic parameters")


def _annotated(tree: ast.AST) -> Iterator[str]:
    for node in ast.walk(tree):
        for annotation in (getattr(node, "annotation", None), getattr(node, "returns", None)):
            if annotation is not None:
                yield from (each.id for each in ast.walk(annotation) if isinstance(each, ast.Name))
