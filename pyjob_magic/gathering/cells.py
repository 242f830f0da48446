"""The source of what a notebook has defined: of functions, classes and assignments."""

from __future__ import annotations

import ast
import linecache
import sys
import textwrap
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property, lru_cache
from types import CodeType, FunctionType
from typing import Any

from pyjob_magic.values import is_secret

Function = ast.FunctionDef | ast.AsyncFunctionDef

_RUN_BY = {"time", "capture", "prun"}  # cell magics that run their cell in the notebook
_TIMED = "<timed exec>"  # the file of code under %%time, which nobody keeps the lines of


@dataclass(frozen=True)
class Statement:
    """A statement of a cell, or of a file that was run.

    Parameters
    ----------
    cell
        All of the source around it.
    node
        What it was parsed to.
    """

    cell: str
    node: ast.stmt

    @cached_property
    def text(self) -> str:
        """The source of it, as if it stood at the left."""
        if not isinstance(self.node, Function | ast.ClassDef):
            return ast.get_source_segment(self.cell, self.node) or ast.unparse(self.node)
        first = _first_line(self.node)
        lines = self.cell.split("\n")[first - 1 : self.node.end_lineno]
        text = textwrap.dedent("\n".join(lines))
        # Lines of a text that is not indented are in the way of that, or are changed by it.
        same = _parsed(text) is not None and _same(ast.parse(text).body[0], self.node)
        return text if same else ast.unparse(self.node)

    @property
    def is_decorated(self) -> bool:
        """Whether it defines something that decorators have made something else of."""
        return isinstance(self.node, Function | ast.ClassDef) and bool(self.node.decorator_list)

    @property
    def secret(self) -> str:
        """The name of what looks secret in an assignment; in a definition, somebody wants it."""
        if isinstance(self.node, Function | ast.ClassDef):
            return ""
        named = (
            (each.arg, each.value) for each in ast.walk(self.node) if isinstance(each, ast.keyword)
        )
        return next(
            (name for name, value in named if name and is_secret(name) and _is_text(value)), ""
        )

    def assigns(self, name: str) -> bool:
        """Whether it assigns a value to this name, and nothing else."""
        if isinstance(self.node, ast.AnnAssign):
            return isinstance(self.node.target, ast.Name) and self.node.value is not None
        if not isinstance(self.node, ast.Assign):
            return False
        return all(isinstance(each, ast.Name) and each.id == name for each in self.node.targets)


class Cells:
    """What was run in a notebook.

    Parameters
    ----------
    namespace
        Its variables; IPython keeps the cells there, in the order in which they were run.
    """

    def __init__(self, namespace: Mapping[str, Any]) -> None:
        run = namespace.get("In")
        texts = [text for text in run if isinstance(text, str)] if isinstance(run, list) else []
        self._newest_first = [*dict.fromkeys(reversed([*_cached_cells(), *_inner(texts)]))]
        self._bound: dict[str, Statement | None] = {}

    def binding(self, name: str) -> Statement | None:
        """Return what has given a name its meaning: the last statement that does, not in a body."""
        if name not in self._bound:
            self._bound[name] = next(self._binding(name), None)
        return self._bound[name]

    def _binding(self, name: str) -> Iterator[Statement]:
        for cell in self._newest_first:
            if name not in cell and "*" not in cell:
                continue
            for node in reversed([*_statements(_parsed(cell))]):
                if _binds(node, name):
                    yield Statement(cell, node)

    def of_function(self, function: FunctionType) -> Statement | None:
        """Return the definition of a function, by where its code says that it is from."""
        code = function.__code__
        if code.co_filename == _TIMED:
            return self._timed(code)
        cell = "".join(linecache.getlines(code.co_filename))
        for node in ast.walk(_parsed(cell) or ast.Module([], [])):
            if not isinstance(node, Function) or node.name != code.co_name:
                continue
            if _first_line(node) == code.co_firstlineno:
                return Statement(cell, node)
        return None

    def _timed(self, code: CodeType) -> Statement | None:
        found = self.binding(code.co_name)
        return found if found and isinstance(found.node, Function) else None

    def of_class(self, kind: type) -> Statement | None:
        """Return the definition of a class: it does not say where it is from, its methods do."""
        if "." in kind.__qualname__:
            return None
        for method in methods(kind):
            cell = "".join(linecache.getlines(method.__code__.co_filename))
            line = method.__code__.co_firstlineno
            for node in _statements(_parsed(cell)):
                if not isinstance(node, ast.ClassDef) or node.name != kind.__name__:
                    continue
                if _first_line(node) <= line <= (node.end_lineno or 0):
                    return Statement(cell, node)
        found = self.binding(kind.__name__)
        return found if found and isinstance(found.node, ast.ClassDef) else None


def methods(kind: type) -> Iterator[FunctionType]:
    """Yield the functions that were written in the body of a class."""
    for value in vars(kind).values():
        function = getattr(value, "__func__", getattr(value, "fget", value))
        function = getattr(function, "__wrapped__", function)
        code = getattr(function, "__code__", None)
        if code and code.co_qualname.startswith(f"{kind.__qualname__}."):
            yield function


def _cached_cells() -> Iterator[str]:
    """Yield what IPython has given tracebacks to show; files have a time there."""
    for name, entry in [*linecache.cache.items()]:
        is_cell = not name.startswith("<") or name.startswith("<ipython")
        if len(entry) == 4 and entry[1] is None and is_cell:
            yield "".join(entry[2])


def _inner(texts: Iterable[str]) -> Iterator[str]:
    """Yield cells, those that a magic has run without it."""
    for text in texts:
        yield f"{text.rstrip()}\n"
        for node in _statements(_parsed(text) if "run_cell_magic" in text else None):
            match node:
                case ast.Expr(
                    ast.Call(
                        ast.Attribute(attr="run_cell_magic"),
                        [ast.Constant(magic), _, ast.Constant(str(body))],
                    )
                ) if magic in _RUN_BY:
                    yield f"{body.rstrip()}\n"


@lru_cache(maxsize=1000)
def _parsed(text: str) -> ast.Module | None:
    try:
        return ast.parse(text)
    except (SyntaxError, ValueError):
        return None


def _statements(tree: ast.AST | None) -> Iterator[ast.stmt]:
    """Yield the statements that a cell runs, in the order of its lines."""
    for field in ("body", "handlers", "orelse", "finalbody"):
        for node in getattr(tree, field, ()):
            if isinstance(node, ast.stmt):
                yield node
            if not isinstance(node, Function | ast.ClassDef):
                yield from _statements(node)


def _binds(node: ast.stmt, name: str) -> bool:
    match node:
        case ast.FunctionDef() | ast.AsyncFunctionDef() | ast.ClassDef():
            return node.name == name
        case ast.Import():
            return name in [(each.asname or each.name).partition(".")[0] for each in node.names]
        case ast.ImportFrom(names=[ast.alias("*")]):
            return hasattr(sys.modules.get(node.module or ""), name)
        case ast.ImportFrom():
            return name in [each.asname or each.name for each in node.names]
        case ast.For() | ast.AsyncFor():
            return _stores(node.target, name)
        case ast.With() | ast.AsyncWith():
            targets = [each.optional_vars for each in node.items]
            return any(_stores(each, name) for each in targets if each)
        case ast.Assign():
            return any(_stores(each, name) for each in node.targets)
        case ast.AnnAssign() | ast.AugAssign():
            return _stores(node.target, name)
        case ast.Expr():
            return any(
                isinstance(each, ast.NamedExpr) and each.target.id == name
                for each in ast.walk(node)
            )
    return False


def _stores(target: ast.AST, name: str) -> bool:
    return any(isinstance(each, ast.Name) and each.id == name for each in ast.walk(target))


def _is_text(node: ast.AST) -> bool:
    return isinstance(node, ast.Constant) and isinstance(node.value, str | bytes)


def _first_line(node: Function | ast.ClassDef) -> int:
    return min(each.lineno for each in (node, *node.decorator_list))


def _same(one: ast.AST, other: ast.AST) -> bool:
    return ast.dump(one) == ast.dump(other)
