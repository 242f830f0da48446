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


_BYTES = ("memory", "ephemeral-storage")
_LENGTH, _EXPONENT, _LARGEST = 64, 30, Decimal(10) ** 30


class Quantity(str):
    """An amount of a resource: keeps the text it was written as, has a `value` to compute with.

    Accepts integers, decimals and exponents, and the suffixes n, u, m, k, M, G, T, P, E and
    Ki, Mi, Gi, Ti, Pi, Ei. ``GB`` is none of them: memory is ``4Gi`` (binary) or ``4G`` (decimal).

    Raises
    ------
    ValueError
        If the text is not a quantity, or one beyond all measure.

    Source: ``k8s.io/apimachinery/pkg/api/resource``, the pattern of its OpenAPI schema.
    """

    value: Decimal

    def __new__(cls, text: str | int | float) -> Self:  # noqa: D102 - the class says it
        self = super().__new__(cls, text)
        match = _PATTERN.fullmatch(self)
        if match is None:
            raise ValueError(f"{str(self)!r} is not a quantity")
        self.value = Decimal(match["number"]) * _factor(match["suffix"] or "")
        if len(self) > _LENGTH or abs(self.value) > _LARGEST:
            raise ValueError(f"{str(self)!r} is not a quantity that a cluster could have")
        return self


def people(resource: str, value: Decimal) -> str:
    """Return an amount of a resource as people write it, rounded: ``1.5Gi``, ``500m``, ``3``."""
    if resource.rpartition(".")[2] in _BYTES or resource.startswith("hugepages-"):
        units = [f"{unit}i" for unit in "PTGMK"]
        unit = next((each for each in units if abs(value) >= _FACTORS[each]), "")
    else:
        unit = "" if value == value.to_integral_value() else "m"
    number = f"{value / _FACTORS[unit]:.{2 if unit.endswith('i') else 0}f}"
    return f"{number.rstrip('0').rstrip('.') if '.' in number else number}{unit}"


def _factor(suffix: str) -> Decimal:
    if suffix in _FACTORS:
        return _FACTORS[suffix]
    exponent = int(suffix[1:])
    if abs(exponent) > _EXPONENT:
        raise ValueError(f"the exponent of 1{suffix} is out of range")
    return Decimal(10) ** exponent
