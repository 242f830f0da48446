"""A program that is put together from what a notebook holds, piece by piece."""

from __future__ import annotations

import ast
import builtins
import contextlib
import inspect
import io
import sys
from collections import ChainMap
from collections.abc import Mapping
from dataclasses import dataclass
from types import FunctionType, ModuleType
from typing import Any

from pyjob_magic.gathering import imports
from pyjob_magic.gathering.cells import Cells, Statement, methods
from pyjob_magic.gathering.literals import UnwritableError, Writer, described, looks_secret
from pyjob_magic.gathering.names import FUTURE, Names, Path, used
from pyjob_magic.values import is_secret

Scope = Mapping[str, Any]

_SHELL = ("IPython", "ipykernel")  # they replace `open` and `exit`, and add `display`
_PLAIN = (str, bytes, int, float, complex, bool, type(None))
_OF_THE_MACHINE = {  # a value that was made with one of them is another one elsewhere
    *("is_available", "is_bf16_supported", "is_initialized", "device_count", "current_device"),
    *("get_rank", "get_world_size", "cpu_count", "environ", "getenv", "getpid", "gethostname"),
}
_REMADE = {  # values that their statement makes again, and nothing changes
    *("functools.partial", "functools._lru_cache_wrapper"),
    *("re.Pattern", "logging.Logger", "types.GenericAlias", "types.UnionType"),
    *("operator.itemgetter", "operator.attrgetter", "operator.methodcaller"),
    *("torch.device", "torch.dtype", "builtins.slice"),
}


class LeftError(Exception):
    """Something cannot come along; the text says why and what to do, and goes on after its name."""


@dataclass(frozen=True)
class Piece:
    """A statement of the program, and what it takes from the others."""

    text: str
    names: Names
    future: bool = False

    @property
    def is_definition(self) -> bool:
        """Whether it stands with space around it."""
        return self.text.startswith(("def ", "async ", "class ", "@"))


class Program:
    """What was taken out of a notebook so far.

    Parameters
    ----------
    namespace
        The variables of the notebook.

    Attributes
    ----------
    left
        What cannot come along, by its name: a sentence that says why, and what to do.
    """

    def __init__(self, namespace: Mapping[str, Any]) -> None:
        self.left: dict[str, str] = {}
        self._root = ""  # the function that all this is for
        self._namespace = namespace
        self._cells = Cells(namespace)
        self._pieces: dict[str, Piece] = {}
        self._values: dict[str, object] = {}  # by name, also of what is imported
        self._imports: set[str] = set()
        self._secrets: list[str] = []
        self._stale: list[str] = []  # what is said of defaults
        self._elsewhere: dict[str, str] = {}  # modules that only this machine has

    def take(self, name: str) -> None:
        """Take a function, and what it uses."""
        self._root = name
        self._take((name,), self._namespace, name)

    def add_import(self, line: str) -> None:
        """Have a line among the imports."""
        self._imports.add(line)

    def notes(self) -> tuple[str, ...]:
        """Return what is to be known of the program."""
        secrets = [
            f"{name} looks secret, so the code reads it from the environment: "
            f"pass it with --env {name}=..."
            for name in self._secrets
        ]
        elsewhere = [
            f"{module} is a local file ({place}), which other machines do not have: "
            "move what you use of it into the notebook."
            for module, place in self._elsewhere.items()
        ]
        return (*self._troubles(), *secrets, *elsewhere, *self._stale)

    def _troubles(self) -> list[str]:
        """Return what is missing, but what the code assigns before it uses it."""
        assigned = {name for piece in self._pieces.values() for name in piece.names.sets}
        return [said for name, said in self.left.items() if name not in assigned]

    def text(self, call: str = "") -> str:
        """Return the program; it ends with a call that processes it starts do not make again."""
        future = any(piece.future for piece in self._pieces.values())
        parts = [["from __future__ import annotations"]] if future else []
        parts += [imports.sort(self._imports)]
        parts += [[f"# {said}" for said in self._troubles()]]
        text = "\n\n".join("\n".join(lines) for lines in parts if lines)
        between = "\n\n"
        for piece in self._in_order():
            text += ("\n\n\n" if piece.is_definition else between) + piece.text
            between = "\n\n\n" if piece.is_definition else "\n"
        ending = f'\n\n\nif __name__ == "__main__":\n    {call}' if call else ""
        return f"{text}{ending}\n".lstrip("\n")

    # -- in which order --------------------------------------------------------------------------

    def _in_order(self) -> list[Piece]:
        """Return the pieces in the order of the notebook, each behind what it is made of."""
        placed: dict[str, Piece] = {}

        def place(name: str, waiting: frozenset[str]) -> None:
            if name in placed or name in waiting:
                return
            for first in sorted(self._pieces[name].names.first & self._pieces.keys(), key=rank):
                # It may be called right away, and then needs what it uses itself.
                for each in sorted(self._reached_from(first), key=rank):
                    place(each, waiting | {name})
            placed[name] = self._pieces[name]

        order = {name: number for number, name in enumerate(self._namespace)}

        def rank(name: str) -> int:
            return order.get(name, -1)

        for name in sorted(self._pieces, key=rank):
            place(name, frozenset())
        return [*placed.values()]

    def _reached_from(self, name: str) -> set[str]:
        """Return a piece and all that it uses."""
        reached, new = set[str](), {name}
        while new:
            reached |= new
            used_there = {path[0] for each in new for path in self._pieces[each].names.paths}
            new = (used_there & self._pieces.keys()) - reached
        return reached

    # -- what comes along ------------------------------------------------------------------------

    def _take(self, path: Path, scope: Scope, user: str, *, wished: bool = False) -> None:
        """Take what a name stands for, or note why it stays."""
        name = path[0]
        try:
            value = _found(name, scope)
            if _is_builtin(name, value):
                return
            if isinstance(value, ModuleType):
                self._check_same(name, value)
                self._add_module(path, value)
            elif name not in self._values:
                self._values[name] = value
                self._add(name, value, scope)
            else:
                self._check_same(name, value)
        except LeftError as error:
            if wished:
                self._values.pop(name, None)  # who really needs it is told
            elif name not in self.left:
                by = "" if user == self._root else f", used in {user},"
                self.left[name] = f"{name}{by} {error}"

    def _check_same(self, name: str, value: object) -> None:
        if not _is_same(self._values.setdefault(name, value), value):
            raise LeftError("means two different things in what is used: rename one of them.")

    def _add(self, name: str, value: Any, scope: Scope) -> None:
        """Add what a value is made with, by what it is."""
        stated = self._stated(name, value, scope)
        if found := imports.home(name, value, stated):
            self._import(*found, name)
        elif isinstance(value, FunctionType):
            self._add_function(name, value, stated)
        elif isinstance(value, type):
            self._add_class(name, value, stated)
        elif is_secret(name) and looks_secret(value):
            self._add_secret(name, value)
        elif stated and (stated.is_decorated or _is_remade(name, value, stated)):
            self._add_definition(name, stated, self._namespace)
        else:
            self._add_value(name, value)

    def _stated(self, name: str, value: object, scope: Scope) -> Statement | None:
        """Return what gave a name its meaning, where that is a name of the notebook."""
        own = self._namespace.get(name, builtins) is value
        return self._cells.binding(name) if own and scope.get(name) is value else None

    def _add_module(self, path: Path, module: ModuleType) -> None:
        name = path[0]
        stated = self._stated(name, module, self._namespace)
        self._imports.update(imports.within(module, path[1:]))
        if found := imports.home(name, module, stated):
            self._import(*found, name)
        else:
            self._note_place(module.__name__)
            self._imports.add(imports.of_module(name, module, stated))

    def _import(self, module: str, own: str, name: str) -> None:
        self._note_place(module)
        self._imports.add(imports.line(module, own, name))

    def _note_place(self, module: str) -> None:
        if place := imports.local_file(module):
            self._elsewhere[module.partition(".")[0]] = place

    def _add_function(self, name: str, function: FunctionType, stated: Statement | None) -> None:
        own = inspect.unwrap(function)
        own = own if isinstance(own, FunctionType) else function
        code, found = own.__code__, self._cells.of_function(own)
        self._check_attributes(name, function, found)
        is_made = own is not function or "<locals>" in code.co_qualname or code.co_name != name
        if is_made and stated and (stated.is_decorated or stated.assigns(name)):
            self._add_definition(name, stated, self._namespace, future=_has_future(own))
        elif found and code.co_name == name and (own is function or found.is_decorated):
            self._check_defaults(own, found)
            self._add_definition(name, found, _scope_of(own), future=_has_future(own))
        elif found and own is function and code.co_name != name:
            self._add_alias(name, code.co_name, function)
        else:
            raise LeftError(
                "is a function whose source cannot be found: define it with def in a cell."
            )

    def _check_attributes(self, name: str, function: FunctionType, found: Statement | None) -> None:
        """Note what a function has got since it was defined."""
        decorated = found is None or found.is_decorated or hasattr(function, "__wrapped__")
        added = [] if decorated else [*vars(function)]
        if len(getattr(function, "registry", ())) > 1:  # of functools.singledispatch
            added.append("register")
        for attribute in added:
            full = f"{name}.{attribute}"
            self.left[full] = f"{full} was used after {name} was defined: do that in the function."

    def _check_defaults(self, function: FunctionType, found: Statement) -> None:
        """Note defaults that have kept the value that a name had before."""
        scope, node = _scope_of(function), found.node
        assert isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
        nodes = node.args.defaults + [each for each in node.args.kw_defaults if each]
        kept = [*(function.__defaults__ or ()), *(function.__kwdefaults__ or {}).values()]
        for default, value in zip(nodes, kept, strict=False):
            if not isinstance(default, ast.Name) or default.id not in scope:
                continue
            if not _is_same(scope[default.id], value):
                self._stale.append(
                    f"{function.__name__} has a default from before {default.id} was changed; "
                    f"the code has what {default.id} is now."
                )

    def _add_class(self, name: str, kind: type, stated: Statement | None) -> None:
        found = self._cells.of_class(kind)
        if found and kind.__name__ == name:
            self._check_members(kind, found)
            method = next(methods(kind), None)
            around = self._namespace if method is None else method.__globals__
            self._add_definition(name, found, around, future=_is_future_class(kind, found))
        elif stated and stated.assigns(name):
            self._add_definition(name, stated, self._namespace)
        elif found:
            self._add_alias(name, kind.__name__, kind)
        else:
            raise LeftError("is a class whose source cannot be found: define it in a cell.")

    def _check_members(self, kind: type, found: Statement) -> None:
        """Note what methods a class has got since, which are not in its body."""
        written = {
            each.id if isinstance(each, ast.Name) else each.name
            for each in ast.walk(found.node)
            if isinstance(each, ast.Name | ast.FunctionDef | ast.AsyncFunctionDef)
        }
        for name, value in vars(kind).items():
            if name in written or not isinstance(value, FunctionType):
                continue
            if value.__globals__ is self._namespace and self._cells.of_function(value):
                full = f"{kind.__name__}.{name}"
                self.left[full] = (
                    f"{full} was added after the class was defined: write it in the class."
                )

    def _add_alias(self, name: str, own: str, value: object) -> None:
        self._add_piece(name, Piece(f"{name} = {own}", used(own)), {own: value})

    def _add_definition(
        self, name: str, found: Statement, scope: Scope, *, future: bool = False
    ) -> None:
        try:
            names = used(found.text, future=future)
        except SyntaxError as error:
            raise LeftError(
                f"depends on the function around it ({error.msg}): define it outside of one."
            ) from None
        if secret := found.secret:
            raise LeftError(f"has {secret!r}, which looks secret: pass that with --env.")
        if "__class__" in scope:
            raise LeftError("is a method that uses super(), which works only in its class.")
        self._add_piece(name, Piece(found.text, names, future), scope)

    def _add_secret(self, name: str, value: object) -> None:
        reading = {str: "{}", int: "int({})", float: "float({})"}.get(type(value))
        if reading is None:
            kind = type(value).__name__
            raise LeftError(
                f"looks secret, so the {kind} is not in the code: "
                f"pass it with --env {name}=... and read it from os.environ."
            )
        text = f"{name} = " + reading.format(f'os.environ["{name}"]')
        self._add_piece(name, Piece(text, used(text)), {"os": sys.modules["os"]})
        self._secrets.append(name)

    def _add_value(self, name: str, value: object) -> None:
        writer = Writer()
        try:
            text = f"{name} = {writer.write(value)}"
        except UnwritableError as error:
            raise _cannot(value, str(error)) from None
        needs = Names(now={(each,) for each in writer.needs})
        self._add_piece(name, Piece(text, needs), writer.needs)

    def _add_piece(self, name: str, piece: Piece, scope: Scope) -> None:
        before = any(path[0] == name for path in piece.names.now)
        if before and not hasattr(builtins, name):
            raise LeftError(f"is made from an earlier {name}: give the two different names.")
        self._pieces[name] = piece
        for path in sorted(piece.names.now | piece.names.later):
            self._take(path, scope, name)
        for path in sorted(piece.names.wished):
            self._take(path, scope, name, wished=True)


def _found(name: str, scope: Scope) -> Any:
    if name in scope:
        return scope[name]
    if hasattr(builtins, name):
        return getattr(builtins, name)
    raise LeftError("is not defined in this notebook.")


def _is_builtin(name: str, value: object) -> bool:
    """Whether Python has it everywhere; what a notebook alone has is none."""
    if name == "get_ipython":
        raise LeftError("exists only in notebooks: remove it and any line that starts with % or !.")
    if not hasattr(builtins, name) or name == "display":
        return False
    around = getattr(value, "__globals__", {})  # a wrapper says the module of what it wraps
    home = around.get("__name__") or getattr(value, "__module__", None) or ""
    return value is getattr(builtins, name) or home.startswith(_SHELL)


def _is_same(one: object, other: object) -> bool:
    return one is other or (type(one) in _PLAIN and type(one) is type(other) and one == other)


def _is_remade(name: str, value: object, stated: Statement) -> bool:
    """Whether a value is had again by its statement, rather than by what it is now."""
    if not stated.assigns(name):
        return False
    kind = type(value)
    if kind in _PLAIN:
        words = {getattr(each, "attr", getattr(each, "id", "")) for each in ast.walk(stated.node)}
        return bool(words & _OF_THE_MACHINE)
    return kind.__module__ == "typing" or f"{kind.__module__}.{kind.__qualname__}" in _REMADE


def _scope_of(function: FunctionType) -> Scope:
    """Return where the names of a function are looked up: around it, then in its module."""
    around = {}
    for name, cell in zip(function.__code__.co_freevars, function.__closure__ or (), strict=True):
        with contextlib.suppress(ValueError):  # it has no value yet
            around[name] = cell.cell_contents
    return ChainMap(around, function.__globals__)


def _has_future(function: FunctionType) -> bool:
    return bool(function.__code__.co_flags & FUTURE)


def _is_future_class(kind: type, found: Statement) -> bool:
    """Whether the annotations in the body of a class were not looked at."""
    if any(map(_has_future, methods(kind))):
        return True
    kept = vars(kind).get("__annotations__", {})
    return any(
        isinstance(node, ast.AnnAssign)
        and isinstance(node.target, ast.Name)
        and not isinstance(node.annotation, ast.Constant)
        and isinstance(kept.get(node.target.id), str)
        for node in getattr(found.node, "body", ())
    )


def _cannot(value: object, why: str) -> LeftError:
    if why:
        return LeftError(f"is {described(value)} that {why}")
    what, make = (
        ("an open file", "open") if isinstance(value, io.IOBase) else (described(value), "create")
    )
    return LeftError(f"is {what}, which cannot be put into the code: {make} it in the function.")
