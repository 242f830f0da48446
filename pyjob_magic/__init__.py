"""Run a notebook cell as a distributed PyTorch training job.

In a notebook: ``%load_ext pyjob_magic``, then ``%%pytorchjob``. From Python: `connect`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from IPython.core.interactiveshell import InteractiveShell

    from pyjob_magic._panel import panel
    from pyjob_magic.connection import Connection, connect
    from pyjob_magic.job import Job

__all__ = [
    "Connection",
    "Job",
    "connect",
    "load_ipython_extension",
    "panel",
    "unload_ipython_extension",
]

__version__ = "0.1.0"

_HOMES = {
    "Connection": "pyjob_magic.connection",
    "Job": "pyjob_magic.job",
    "connect": "pyjob_magic.connection",
    "panel": "pyjob_magic._panel",
}


def __getattr__(name: str) -> Any:
    """Import a public name when it is first used: importing the package itself costs nothing."""
    if name not in _HOMES:
        raise AttributeError(f"module 'pyjob_magic' has no attribute {name!r}")
    from importlib import import_module

    return getattr(import_module(_HOMES[name]), name)


def load_ipython_extension(shell: InteractiveShell) -> None:
    """Register ``%%pytorchjob`` and ``%pytorchjob``; called by ``%load_ext pyjob_magic``."""
    from pyjob_magic._magic import load

    load(shell)


def unload_ipython_extension(shell: InteractiveShell) -> None:
    """Remove what `load_ipython_extension` has registered; jobs go on."""
    from pyjob_magic._magic import unload

    unload(shell)
