"""Pure: a function of a notebook becomes a program that runs without the notebook.

What the function uses comes along: imports, functions, classes and plain values. What cannot come
along is said, and nothing is left out without a word.
"""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from pyjob_magic.errors import OptionError
from pyjob_magic.gathering.program import Program

__all__ = ["Gathered", "gather"]


@dataclass(frozen=True)
class Gathered:
    """The code that a name of a notebook stands for.

    Parameters
    ----------
    source
        A program.
    notes
        What is to be known of it, a sentence or two each: what it needs that is not in it.
    """

    source: str
    notes: tuple[str, ...] = ()


def gather(namespace: Mapping[str, Any], name: str) -> Gathered:
    """Return the code that a name of a notebook stands for: a text, or a function and what it uses.

    Parameters
    ----------
    namespace
        The variables of the notebook.

    Raises
    ------
    OptionError
        If there is no such name, it is no text and no function, or its source is not known.
    """
    if name not in namespace:
        raise OptionError("Function", f"there is no {name!r} in this notebook")
    value = namespace[name]
    if isinstance(value, str):
        return Gathered(value)
    is_function = inspect.isroutine(inspect.unwrap(value)) or isinstance(value, functools.partial)
    if not is_function or inspect.ismethod(value):
        kind = type(value).__name__
        raise OptionError(
            "Function", f"{name!r} is neither a function nor a string, but of type {kind}"
        )
    program = Program(namespace)
    program.take(name)
    if name in program.left:
        raise OptionError("Function", program.left[name])
    needed = _needed(value)
    if needed:
        arguments = ", ".join(f"{each}=..." for each in needed)
        call = f"Call it at the end of the code: {name}({arguments})."
        return Gathered(program.text(), (*program.notes(), call))
    if inspect.iscoroutinefunction(value):
        program.add_import("import asyncio")
        return Gathered(program.text(f"asyncio.run({name}())"), program.notes())
    return Gathered(program.text(f"{name}()"), program.notes())


def _needed(function: Callable[..., Any]) -> list[str]:
    """Return the arguments without which a function cannot be called."""
    optional = (inspect.Parameter.VAR_POSITIONAL, inspect.Parameter.VAR_KEYWORD)
    try:
        parameters = inspect.signature(function).parameters.values()
    except ValueError:  # some that are written in C do not tell
        return []
    return [
        each.name for each in parameters if each.default is each.empty and each.kind not in optional
    ]
