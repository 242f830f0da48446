"""Where PyTorchJobs are sent, by name."""

from __future__ import annotations

from pyjob_magic.client import Target
from pyjob_magic.errors import OptionError
from pyjob_magic.targets import local

__all__ = ["NAMES", "resolve"]

NAMES = ("local",)
"""Names of the targets, as typed behind ``--on``; the first is the default."""
_PLANNED = ("kubernetes", "cci")


def resolve(name: str) -> Target:
    """Return the target `name`.

    Raises
    ------
    OptionError
        If there is no target of this name.
    """
    if name in _PLANNED:
        raise OptionError("--on", f"target {name!r} is not supported yet; use {', '.join(NAMES)}")
    if name not in NAMES:
        raise OptionError("--on", f"there is no target {name!r}; known: {', '.join(NAMES)}")
    return local.target()
