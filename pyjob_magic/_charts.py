"""Pure: charts of metrics: which points are drawn, where the axes are marked, and as SVG."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence

from pyjob_magic.metrics import Point, Series


def grouped(series: Iterable[Series]) -> list[list[Series]]:
    """Return what is drawn together: the series of one metric, by whoever measured it."""
    groups: dict[tuple[str, str], list[Series]] = {}
    for each in series:
        if each.points:
            groups.setdefault((each.name, each.axis), []).append(each)
    return [*groups.values()]


def thinned(points: Sequence[Point], most: int) -> list[Point]:
    """Return at most so many points that look like all: first, last, and each peak and trough.

    The steps are cut into equal pieces, and of each the lowest and the highest value are kept;
    a piece without finite values keeps one that is not, so that a gap stays a gap.

    Parameters
    ----------
    points
        The values, oldest first.
    most
        How many to keep; at least 4.
    """
    if len(points) <= most:
        return [*points]
    pieces = (most - 2) // 2
    inner = points[1:-1]
    kept = [points[0]]
    for number in range(pieces):
        piece = inner[number * len(inner) // pieces : (number + 1) * len(inner) // pieces]
        kept += _extremes(piece)
    return [*kept, points[-1]]


def _extremes(points: Sequence[Point]) -> list[Point]:
    """Return the lowest and the highest of some points, in their order."""
    finite = [number for number, point in enumerate(points) if math.isfinite(point.value)]
    if not finite:
        return [*points[:1]]
    low = min(finite, key=lambda number: points[number].value)
    high = max(finite, key=lambda number: points[number].value)
    return [points[number] for number in sorted({low, high})]
