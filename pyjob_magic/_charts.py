"""Pure: charts of metrics: which points are drawn, where the axes are marked, and as SVG."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator, Sequence
from itertools import pairwise
from statistics import median_high

from pyjob_magic._tables import leaf, swatch
from pyjob_magic.metrics import Axis, Point, Series

COLOURS = (
    "#2f7fe0",
    "#d4781e",
    "#2c974b",
    "#a66bd0",
    "#d8363f",
    "#1f9aa0",
    "#9a8512",
    "#d05a98",
)
"""Of lines; each is seen on white as on black."""
MOST_LINES = len(COLOURS)
MOST_POINTS = 400  # of all lines of a drawing
_WIDTH, _HEIGHT = 600, 160


def grouped(series: Iterable[Series]) -> list[list[Series]]:
    """Return what is drawn together: the series of one metric, by whoever measured it."""
    groups: dict[tuple[str, str], list[Series]] = {}
    for each in series:
        if each.points:
            groups.setdefault((each.name, each.axis), []).append(each)
    return [*groups.values()]


def axis_name(axis: Axis) -> str:
    """Return what an axis counts, in words."""
    return "value number" if axis == "ordinal" else axis


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


def breaks(points: Sequence[Point]) -> list[int]:
    """Return the numbers of the points at which a run begins again, further back.

    The processes of a replica may print their steps a little out of order: what goes back no
    further than from one point to the next is no new run.
    """
    back = [n for n in range(1, len(points)) if points[n].step < points[n - 1].step]
    if not back:
        return []
    gaps = [after.step - before.step for before, after in pairwise(points)]
    near = 1.5 * median_high([gap for gap in gaps if gap > 0] or [0.0])
    return [n for n in back if points[n].step <= points[0].step or -gaps[n - 1] > near]


def ticks(low: float, high: float, most: int = 5) -> list[float]:
    """Return round numbers at equal distances, of which the outer ones enclose `low` and `high`.

    Parameters
    ----------
    low, high
        The least and the greatest value; finite.
    most
        About how many to return.
    """
    size = max(abs(low), abs(high))
    if size > 1e300:  # where sums of numbers are none any more
        return [low, high] if low < high else [low]
    length = high - low
    if length <= max(size * 1e-9, 1e-300):  # all the same, as far as a picture tells
        length = size if size > 1e-300 else 1.0
    rough = length / (most - 1)
    power = 10.0 ** math.floor(math.log10(rough))
    step = next(step * power for step in (1, 2, 2.5, 5, 10) if step * power >= rough * 0.999)
    first, last = _whole(low / step, math.floor), _whole(high / step, math.ceil)
    return [number * step for number in range(first, max(last, first + 1) + 1)]


def _whole(number: float, towards: Callable[[float], int]) -> int:
    """Round a number, where it is not whole but for the last of its digits."""
    nearest = round(number)
    return nearest if abs(number - nearest) < 1e-6 else towards(number)


def chart(group: Sequence[Series]) -> str:
    """Return one metric of all that measured it as HTML: its numbers in words, and a drawing.

    Where pages are stripped of style and drawings, as on GitHub, the words are left; marks on the
    axes, which would be puzzling there, come from the style.
    """
    shown = group[:MOST_LINES]
    points = [
        [
            point
            for point in thinned(each.points, max(24, MOST_POINTS // len(shown)))
            if _drawn(point)
        ]
        for each in shown
    ]
    finite = [point for line in points for point in line if math.isfinite(point.value)]
    if not finite:
        return ""
    values, steps = [point.value for point in finite], [point.step for point in finite]
    x, y = ticks(min(steps), max(steps), 6), ticks(min(values), max(values), 4)
    lines = "".join(
        _line([*_path(line, x, y)], colour) for line, colour in zip(points, COLOURS, strict=False)
    )
    by = "" if group[0].axis == "ordinal" else f" by {group[0].axis}"
    said = f"{by}, from {min(values):.4g} to {max(values):.4g}"
    legend = " ".join(
        f"<span>{swatch(colour)} {leaf(each.replica, 80)} {each.points[-1].value:.4g}</span>"
        for each, colour in zip(shown, COLOURS, strict=False)
    )
    others = f" and {len(group) - len(shown)} more replicas" if len(group) > len(shown) else ""
    name = leaf(group[0].name, 80)
    return (
        f"<figure class='pyjob-chart'><figcaption><b>{name}</b>{said}; last: {legend}{others}"
        f"</figcaption><div class='pyjob-plot'><div class='pyjob-y'>{_labels(reversed(y))}</div>"
        f"<svg viewBox='0 0 {_WIDTH} {_HEIGHT}' preserveAspectRatio='none' width='100%' "
        f"height='110' role='img' aria-label='{name}{said}'>{_grid(y)}{lines}</svg>"
        f"<div class='pyjob-x'>{_labels(x)}</div>"
        f"<div class='pyjob-x pyjob-axis'>{_mark(axis_name(group[0].axis))}</div></div></figure>"
    )


def _drawn(point: Point) -> bool:
    return math.isfinite(point.step) and abs(point.value) != math.inf


def _path(points: Sequence[Point], x: Sequence[float], y: Sequence[float]) -> Iterator[str]:
    """Yield where a line goes; it begins anew with a run, and after what is no number."""
    again, begins = set(breaks(points)), True
    for number, point in enumerate(points):
        begins |= number in again
        if math.isnan(point.value):
            begins = True
            continue
        across = _WIDTH * _share(point.step, x)
        down = _HEIGHT * (1 - _share(point.value, y))
        yield f"{'M' if begins else 'L'}{across:.0f} {down:.0f}"
        begins = False


def _share(value: float, axis: Sequence[float]) -> float:
    """Return where on an axis a value is, from 0 to 1; without overflow at both ends."""
    low, high = axis[0] / 2, axis[-1] / 2
    return (value / 2 - low) / (high - low) if high > low else 0.5


def _line(path: Sequence[str], colour: str) -> str:
    # One value alone is a dot: a line of no length with round ends.
    strokes = "".join(path).split("M")[1:]
    drawn = "".join(f"M{stroke}" if "L" in stroke else f"M{stroke}h0" for stroke in strokes)
    return (
        f"<path d='{drawn}' fill='none' stroke='{colour}' stroke-width='1.6' "
        "stroke-linecap='round' stroke-linejoin='round' vector-effect='non-scaling-stroke'/>"
    )


def _grid(y: Sequence[float]) -> str:
    path = "".join(f"M0 {_HEIGHT * (1 - _share(tick, y)):.0f}H{_WIDTH}" for tick in y)
    return (
        f"<path d='{path}' stroke='#888' stroke-opacity='.3' vector-effect='non-scaling-stroke'/>"
    )


def _labels(values: Iterable[float]) -> str:
    return "".join(_mark(f"{value:.4g}") for value in values)


def _mark(text: str) -> str:
    return f"<i data-mark='{text}'></i>"
