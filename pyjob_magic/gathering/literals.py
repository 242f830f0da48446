"""Values as Python that makes them again: `0.1`, `{"a": [1, 2]}`, `Path("data")`, `Color.RED`."""

from __future__ import annotations

import argparse
import builtins
import dataclasses
import datetime
import decimal
import enum
import fractions
import math
import pathlib
import types
from collections.abc import Callable, Iterable, Mapping
from typing import Any

from pyjob_magic.values import is_secret

MOST = 20_000
"""Characters of a value; more than that is data, which belongs into a file."""


class UnwritableError(ValueError):
    """A value cannot be written as Python; the text says why and goes on after "a list that"."""


class Writer:
    """Writes one value.

    Attributes
    ----------
    needs
        The classes and functions that the text names.
    """

    def __init__(self) -> None:
        self.needs: dict[str, object] = {}
        self._left = MOST
        self._around: set[int] = set()  # what is being written: it may hold itself

    def write(self, value: Any) -> str:
        """Return the value as Python.

        Raises
        ------
        UnwritableError
            If it cannot be: it is no plain value, is too large, or holds what looks secret.
        """
        if id(value) in self._around:
            raise UnwritableError("holds itself: create it in the function.")
        self._around.add(id(value))
        text = self._text(value)
        self._around.remove(id(value))
        return text

    def _text(self, value: Any) -> str:
        kind = type(value)
        if kind in _ATOMS:
            return self._spent(_ATOMS[kind](value))
        if kind in _BRACKETS:
            return self._collection(value)
        if kind is dict:
            self._refuse_secrets(value)
            return f"{{{self._joined(value.items(), ': ')}}}"
        if isinstance(value, _CALLABLE) and value.__module__:  # a method of a list has none
            return self._spent(self._named(value))
        if isinstance(value, enum.Enum):
            return self._member(value)
        if kind in _CALLS and getattr(value, "tzinfo", None) is None:
            self._named(kind)
            return self._spent(repr(value).removeprefix("datetime."))
        if isinstance(value, pathlib.PurePath):
            named = pathlib.Path if kind is type(pathlib.Path()) else kind
            return f"{self._named(named)}({self.write(str(value))})"
        if _is_of_numpy(kind) and type(value.item()) in _ATOMS:
            return f"{self._named(kind)}({self.write(value.item())})"
        return self._record(value)

    def _collection(self, value: Any) -> str:
        if not value and type(value) in (set, frozenset):
            return f"{type(value).__name__}()"
        items = [self.write(each) for each in value]
        if type(value) in (set, frozenset):
            items.sort()  # else it depends on the process
        comma = "," if type(value) is tuple and len(items) == 1 else ""
        opening, closing = _BRACKETS[type(value)]
        return f"{opening}{', '.join(items)}{comma}{closing}"

    def _member(self, value: enum.Enum) -> str:
        if type(value).__members__.get(value._name_) is not value:
            raise UnwritableError("combines members: write the combination into the function.")
        return f"{self._named(type(value))}.{value._name_}"

    def _record(self, value: Any) -> str:
        """Write what a call of its class with its fields makes again."""
        kind = type(value)
        if dataclasses.is_dataclass(kind):
            if not _keeps_fields_only(value):
                raise UnwritableError("does more than keep its fields: create it in the function.")
            content = {each.name: getattr(value, each.name) for each in dataclasses.fields(kind)}
        elif isinstance(value, tuple) and hasattr(kind, "_fields"):
            content = value._asdict()  # type: ignore[attr-defined]  # of a named tuple
        elif kind in (argparse.Namespace, types.SimpleNamespace):
            content = vars(value)
        else:
            inside = len(self._around) > 1
            raise UnwritableError(
                f"holds {described(value)}: create it in the function." if inside else ""
            )
        self._refuse_secrets(content)
        if not all(name.isidentifier() for name in content):
            raise UnwritableError("has fields that are no names: create it in the function.")
        said = ", ".join(f"{name}={self.write(each)}" for name, each in content.items())
        return f"{self._named(kind)}({said})"

    def _joined(self, items: Iterable[tuple[Any, Any]], between: str) -> str:
        return ", ".join(f"{self.write(key)}{between}{self.write(each)}" for key, each in items)

    def _named(self, value: Callable[..., Any]) -> str:
        name = value.__qualname__
        if getattr(builtins, name, None) is value:
            return name
        if not name.isidentifier() or hasattr(builtins, name):
            raise UnwritableError(f"needs {value.__module__}.{name}: create it in the function.")
        self.needs[name] = value
        return name

    def _refuse_secrets(self, content: Mapping[Any, Any]) -> None:
        for name, value in content.items():
            if isinstance(name, str) and is_secret(name) and looks_secret(value):
                raise UnwritableError(
                    f"holds {name!r}, which looks secret: pass that with --env and read it from "
                    "os.environ."
                )

    def _spent(self, text: str) -> str:
        self._left -= len(text) + 2  # with what is between two
        if self._left < 0:
            raise UnwritableError(f"takes more than {MOST:,} characters: put it into a file.")
        return text


def looks_secret(value: object) -> bool:
    """Whether a value under the name of a secret may be one: a switch, or nothing, is none."""
    empty = isinstance(value, str | bytes) and not value
    return value is not None and not isinstance(value, bool) and not empty


def described(value: object) -> str:
    """Return what a value is: "a list", "an object"."""
    kind = type(value).__name__
    return f"{'an' if kind[0].lower() in 'aeiou' else 'a'} {kind}"


def _is_of_numpy(kind: type) -> bool:
    """Whether it is a number, or so, of numpy, which is not imported for that."""
    return any((each.__module__, each.__name__) == ("numpy", "generic") for each in kind.__mro__)


def _keeps_fields_only(value: Any) -> bool:
    """Whether a dataclass makes it again from its fields."""
    kind = type(value)
    fields = dataclasses.fields(kind)
    more = getattr(value, "__dict__", {}).keys() - {each.name for each in fields}
    generated = "__dataclass_params__" in vars(kind) and kind.__dataclass_params__.init
    plain = generated and not hasattr(kind, "__post_init__") and all(each.init for each in fields)
    return plain and not more


def _integer(value: int) -> str:
    # Python refuses to write long ones in decimals.
    return repr(value) if value.bit_length() < 10_000 else hex(value)


def _float(value: float) -> str:
    return repr(value) if math.isfinite(value) else f'float("{value}")'


_ATOMS: Mapping[type, Callable[[Any], str]] = {
    **dict.fromkeys((type(None), bool, str, bytes, range), repr),
    type(...): lambda _: "...",
    int: _integer,
    float: _float,
    # Its repr loses the sign of a zero.
    complex: lambda value: f"complex({_float(value.real)}, {_float(value.imag)})",
}
_CALLS = {  # their repr is a call
    *(datetime.date, datetime.time, datetime.datetime, datetime.timedelta),
    *(decimal.Decimal, fractions.Fraction),
}
_CALLABLE = (type, types.FunctionType, types.BuiltinFunctionType)
_BRACKETS: Mapping[type, tuple[str, str]] = {
    list: ("[", "]"),
    tuple: ("(", ")"),
    set: ("{", "}"),
    frozenset: ("frozenset({", "})"),
}
