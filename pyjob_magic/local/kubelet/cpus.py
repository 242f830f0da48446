"""CPUs: which of them are a container's own. Pure."""

from __future__ import annotations

import math
from collections.abc import Iterable, Set
from decimal import Decimal


def own_cpus(
    limit: Decimal | None, limits: Iterable[Decimal], here: Set[int], taken: Set[int]
) -> set[int] | None:
    """Return the CPUs that a container is kept to; None if it may use all of them.

    It gets as many as its limit says, rounded up, and shares them with no other container that is
    kept to its own. As soon as the containers may use more CPUs than there are, nobody is kept to
    any: they share all of them evenly.

    Parameters
    ----------
    limit
        How many CPUs the container may use; None if as many as there are.
    limits
        What all containers that have such a limit may use, this one included.
    here
        The CPUs that there are.
    taken
        Those to which other containers are kept.
    """
    if limit is None or sum(map(math.ceil, limits)) > len(here):
        return None
    count, free = math.ceil(limit), sorted(here - taken)
    return set(free[:count]) if count <= len(free) and count < len(here) else None
