"""Where PyTorchJobs are sent, by name."""

from __future__ import annotations

from pyjob_magic.errors import OptionError
from pyjob_magic.options import nearest
from pyjob_magic.target import Target
from pyjob_magic.targets.access import Access

__all__ = ["NAMES", "Access", "resolve"]

NAMES = ("local", "cci")
"""Names of the targets, as typed behind ``--on``; the first is the default."""
_PLANNED = ("kubernetes",)


def resolve(name: str, access: Access | None = None) -> Target:
    """Return the target `name`; nothing is sent or asked for before it is used.

    Raises
    ------
    OptionError
        If there is no target of this name.
    """
    access = access or Access()
    if name == "local":
        from pyjob_magic.targets import local

        return local.target()
    if name == "cci":
        from pyjob_magic.targets import cci

        return cci.target(access)
    if name in _PLANNED:
        raise OptionError("--on", f"target {name!r} is not supported yet; use {', '.join(NAMES)}")
    known = ", ".join(NAMES)
    raise OptionError("--on", f"there is no target {name!r}{nearest(name, NAMES)}; known: {known}")
