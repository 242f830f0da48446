"""Where PyTorchJobs are sent, by name."""

from __future__ import annotations

from dataclasses import replace

from pyjob_magic.errors import OptionError
from pyjob_magic.options import nearest
from pyjob_magic.target import Target
from pyjob_magic.targets.access import Access

__all__ = ["NAMES", "Access", "contexts", "resolve", "with_context"]

NAMES = ("local", "kubernetes", "cci")
"""Names of the targets, as typed behind ``--on``; the first is the default."""


def resolve(name: str, access: Access | None = None) -> Target:
    """Return the target `name`; nothing is sent or asked for before it is used.

    Raises
    ------
    OptionError
        If there is no target of this name, or it has no such context.
    TargetError
        If it cannot be found out where it is, or how to get in.
    """
    access = access or Access()
    if name == "local":
        from pyjob_magic.targets import local

        return local.target()
    if name == "kubernetes":
        from pyjob_magic.targets import kubernetes

        return kubernetes.target(access)
    if name == "cci":
        from pyjob_magic.targets import cci

        return cci.target(access)
    known = ", ".join(NAMES)
    raise OptionError("--on", f"there is no target {name!r}{nearest(name, NAMES)}; known: {known}")


def with_context(name: str, access: Access, context: str | None) -> Access:
    """Return `access` with the context that somebody has typed, if any.

    Raises
    ------
    OptionError
        If the target `name` has no contexts.
    """
    if context is None:
        return access
    if name in NAMES and name != "kubernetes":
        raise OptionError("--context", f"target {name!r} has no contexts; use --on kubernetes")
    return replace(access, context=context)


def contexts(access: Access | None = None) -> list[str]:
    """Return the contexts of the kubeconfig, none where it cannot be read."""
    from pyjob_magic.targets import kubernetes

    return kubernetes.contexts(access or Access())
