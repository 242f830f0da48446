"""Kubernetes quantities: ``500m`` of a CPU, ``2Gi`` of memory."""

from __future__ import annotations

import re
from decimal import Decimal
from typing import Self

_PATTERN = re.compile(
    r"(?P<number>[+-]?(?:[0-9]+(?:\.[0-9]*)?|\.[0-9]+))"
    r"(?P<suffix>[KMGTPE]i|[numkMGTPE]|[eE][+-]?[0-9]+)?"
)
_FACTORS = {
    "": Decimal(1),
    **{unit: Decimal(10) ** (3 * power) for power, unit in enumerate("num", start=-3)},
    **{unit: Decimal(10) ** (3 * power) for power, unit in enumerate("kMGTPE", start=1)},
    **{f"{unit}i": Decimal(1024) ** power for power, unit in enumerate("KMGTPE", start=1)},
}


class Quantity(str):
    """An amount of a resource: keeps the text it was written as, has a value to compute with.

    Accepts integers, decimals and exponents, and the suffixes n, u, m, k, M, G, T, P, E and
    Ki, Mi, Gi, Ti, Pi, Ei. ``GB`` is none of them: memory is ``4Gi`` (binary) or ``4G`` (decimal).

    Raises
    ------
    ValueError
        If the text is no quantity.

    Source: ``k8s.io/apimachinery/pkg/api/resource``, the pattern of its OpenAPI schema.
    """

    value: Decimal

    def __new__(cls, text: str | int | float) -> Self:  # noqa: D102 - the class says it
        self = super().__new__(cls, text)
        match = _PATTERN.fullmatch(self)
        if match is None:
            raise ValueError(f"{str(self)!r} is no quantity")
        suffix = match["suffix"] or ""
        factor = _FACTORS[suffix] if suffix in _FACTORS else Decimal(f"1{suffix}")
        self.value = Decimal(match["number"]) * factor
        return self

    def __eq__(self, other: object) -> bool:
        if isinstance(other, Quantity):
            return self.value == other.value
        return super().__eq__(other)

    def __ne__(self, other: object) -> bool:
        return not self == other

    def __hash__(self) -> int:
        return super().__hash__()
