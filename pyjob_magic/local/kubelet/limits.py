"""What a container may use at most."""

from __future__ import annotations

from decimal import Decimal

from pyjob_magic.local.objects import Json
from pyjob_magic.quantity import Quantity


def limit(container: Json, resource: str) -> Decimal | None:
    """Return how much of a resource a container may use; None if as much as there is.

    Raises
    ------
    ValueError
        If the amount is none.
    """
    limits = (container.get("resources") or {}).get("limits") or {}
    amount = limits.get(resource)
    return (Quantity(amount).value or None) if amount is not None else None
