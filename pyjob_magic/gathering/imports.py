"""Imports that bring what a notebook has imported."""

from __future__ import annotations

import ast
import inspect
import sys
import sysconfig
from collections import defaultdict
from collections.abc import Collection, Iterator, Sequence
from pathlib import Path
from types import ModuleType
from typing import Any

from pyjob_magic.gathering.cells import Statement


def of_module(name: str, module: ModuleType, stated: Statement | None) -> str:
    """Return the line that imports a module, under a name: as it is stated, if it is."""
    full = module.__name__
    if stated and isinstance(stated.node, ast.Import):
        said = {each.asname: each.name for each in stated.node.names}.get(name, full)
        full = said if sys.modules.get(said) is module else full  # os.path is posixpath here
    return f"import {full}" if name == full else f"import {full} as {name}"


def within(module: ModuleType, attributes: Sequence[str]) -> list[str]:
    """Return the line that imports what is used through a module and does not come with it."""
    deeper = [full for package, full in _reached(module, attributes) if not _brings(package, full)]
    return [f"import {full}" for full in deeper[-1:]]


def line(module: str, own: str, name: str) -> str:
    """Return the line that imports something from a module, under a name."""
    return f"from {module} import {own}" + ("" if own == name else f" as {name}")


def sort(lines: Collection[str]) -> list[str]:
    """Return the lines as people write them, without those that others make needless."""
    modules, taken = [], defaultdict[str, list[str]](list)
    for each in sorted(lines):
        if each.startswith("from "):
            module, _, own = each.partition(" import ")
            taken[module].append(own)
        elif not any(other.startswith(f"{each}.") and " as " not in other for other in lines):
            modules.append(each)
    return [*modules, *(f"{module} import {', '.join(own)}" for module, own in taken.items())]


def _reached(module: ModuleType, attributes: Sequence[str]) -> Iterator[tuple[ModuleType, str]]:
    """Yield the modules on the way to an attribute: what they are asked of, and their names."""
    for attribute in attributes:
        full = f"{module.__name__}.{attribute}"
        inner = vars(module).get(attribute)
        if not isinstance(inner, ModuleType) or sys.modules.get(full) is not inner:
            return
        yield module, full
        module = inner


def _brings(package: ModuleType, full: str) -> bool:
    """Whether importing a package brings one of its modules with it."""
    try:
        tree = ast.parse(inspect.getsource(package))
    except (OSError, TypeError, SyntaxError):
        return False
    name = full.rpartition(".")[2]
    return any(
        isinstance(node, ast.Import | ast.ImportFrom)
        and any(each.name in (name, full) for each in node.names)
        for node in ast.walk(tree)
    )


def home(name: str, value: object, stated: Statement | None) -> tuple[str, str] | None:
    """Return the module that a value is imported from, and what it is called there.

    Parameters
    ----------
    stated
        What has given the name its meaning in the notebook.
    """
    if stated and isinstance(stated.node, ast.ImportFrom) and stated.node.module:
        for alias in stated.node.names:
            there = name if alias.name == "*" else alias.name
            if (alias.asname or there) == name and _holds(stated.node.module, there, value):
                return stated.node.module, there
    place, own = getattr(value, "__module__", None), getattr(value, "__qualname__", None)
    if place == "__main__" or not isinstance(place, str) or not isinstance(own, str):
        return None
    return (_shortest(place, own, value), own) if _holds(place, own, value) else None


def _shortest(module: str, own: str, value: object) -> str:
    """Return the package that shows something to its users."""
    parts = module.split(".")
    packages = [".".join(parts[:count]) for count in range(1, len(parts) + 1)]
    public = [each for each in packages if "._" not in f".{each}"]
    return next((each for each in public if _holds(each, own, value)), module)


def _holds(module: str, name: str, value: Any) -> bool:
    return module in sys.modules and vars(sys.modules[module]).get(name, _holds) is value


def local_file(module: str) -> str | None:
    """Return where a module lies that no package has installed; other machines do not have it."""
    top = module.partition(".")[0]
    if top in sys.stdlib_module_names:
        return None
    found = sys.modules.get(top)
    places = [getattr(found, "__file__", None), *getattr(found, "__path__", ())]
    place = next((str(each) for each in places if each), None)
    return None if place is None or _is_installed(Path(place)) else place


def _is_installed(place: Path) -> bool:
    if {"site-packages", "dist-packages"} & {*place.parts}:
        return True
    paths = sysconfig.get_paths()
    return any(
        place.is_relative_to(paths[each]) for each in ("stdlib", "platstdlib", "purelib", "platlib")
    )
