"""Which points of a metric are drawn, where the axes are marked, and what is drawn."""

from __future__ import annotations

import math
import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pyjob_magic._charts import MOST_LINES, breaks, chart, grouped, thinned, ticks
from pyjob_magic.metrics import Point, Series

VALUES = st.floats(allow_nan=True, allow_infinity=True)
POINTS = st.lists(VALUES, max_size=300).map(
    lambda values: [Point(float(step), value) for step, value in enumerate(values)]
)


@given(POINTS, st.integers(4, 60))
def test_thinning_keeps_what_is_seen(points: list[Point], most: int) -> None:
    """First and last, the least and the greatest value, in their order, and no more than asked."""
    kept = thinned(points, most)

    assert len(kept) <= max(most, 0)
    steps = [point.step for point in kept]
    assert steps == sorted(set(steps))
    assert set(steps) <= {point.step for point in points}
    if points:
        assert (steps[0], steps[-1]) == (points[0].step, points[-1].step)
    finite = [point.value for point in points if math.isfinite(point.value)]
    if finite:
        values = [point.value for point in kept if math.isfinite(point.value)]
        assert (min(values), max(values)) == (min(finite), max(finite))


FINITE = st.floats(allow_nan=False, allow_infinity=False)


@given(FINITE, FINITE, st.integers(2, 8))
def test_ticks_enclose_the_values(one: float, other: float, most: int) -> None:
    """They rise, are few, and go from below the least to above the greatest value."""
    low, high = sorted((one, other))

    marks = ticks(low, high, most)

    assert 1 <= len(marks) <= most + 2
    assert marks == sorted(set(marks))
    slack = max(abs(low), abs(high)) * 1e-6 + 1e-300  # what no picture shows
    assert marks[0] <= low + slack
    assert marks[-1] >= high - slack


@pytest.mark.parametrize(
    ("low", "high", "marks"),
    [
        (0.0, 1.0, [0, 0.25, 0.5, 0.75, 1]),
        (0.3, 0.9, [0.2, 0.4, 0.6, 0.8, 1.0]),
        (1.0, 97.0, [0, 25, 50, 75, 100]),
        (5.0, 5.0, [4, 6]),
        (0.0, 0.0, [0, 0.25]),
        (-3.0, 2.0, [-4, -2, 0, 2]),
    ],
)
def test_ticks_are_round(low: float, high: float, marks: list[float]) -> None:
    """As a person would write them."""
    assert ticks(low, high) == pytest.approx(marks)


def series(*values: float, replica: str = "master-0", name: str = "loss") -> Series:
    points = [Point(float(step), value) for step, value in enumerate(values, 1)]
    return Series(replica, name, "epoch", points)


def test_a_chart_says_what_it_draws() -> None:
    """Where the drawing is stripped, name, range and last values are left, and no puzzle."""
    html = chart([series(1.0, 0.5), series(2.0, 0.25, replica="worker-0")])

    text = " ".join(re.sub("<[^>]*>", " ", html).split())
    assert text == "loss by epoch, from 0.25 to 2; last: ■ master-0 0.5 ■ worker-0 0.25"
    assert "aria-label='loss by epoch, from 0.25 to 2'" in html
    assert html.count("<path") == 3  # two lines and the grid


def test_a_line_stops_where_there_is_no_number() -> None:
    """And begins anew behind it; what is infinite is nowhere on the paper."""
    html = chart([series(1.0, math.nan, 2.0, math.inf, 3.0)])

    line = re.findall(r"<path d='([^']+)' fill='none'", html)
    assert len(line) == 1
    assert line[0].count("M") == 2
    assert "inf" not in html
    assert "nan" not in html


def test_nothing_is_drawn_of_what_is_no_number() -> None:
    """A metric that was never finite has no scale."""
    assert chart([series(math.nan, math.inf)]) == ""


def test_one_value_is_a_dot() -> None:
    """A line of no length would not be seen."""
    assert "h0" in chart([series(0.5)])


@given(st.lists(FINITE, min_size=1, max_size=5))
def test_every_line_stays_on_the_paper(values: list[float]) -> None:
    """Numbers from end to end of what a float can be are drawn, too."""
    html = chart([series(*values)])

    (line,) = re.findall(r"<path d='([^']+)' fill='none'", html)
    for x, y in re.findall(r"[ML](-?[0-9]+) (-?[0-9]+)", line):
        assert -1 <= int(x) <= 601
        assert -1 <= int(y) <= 161


def test_of_many_replicas_some_are_drawn() -> None:
    """As many as there are colours, and it is said how many more there are."""
    group = [series(1.0, 2.0, replica=f"worker-{number}") for number in range(20)]

    html = chart(group)

    assert f"and {20 - MOST_LINES} more replicas" in html
    assert html.count("fill='none'") == MOST_LINES


def test_series_of_one_metric_are_drawn_together() -> None:
    """By name and by what the steps count."""
    loss, other = series(1.0), series(2.0, replica="worker-0")
    acc = series(3.0, name="acc")

    assert grouped([loss, acc, other, series(name="none yet")]) == [[loss, other], [acc]]


def test_names_are_text() -> None:
    """Metrics and replicas are called as a stranger likes."""
    html = chart([series(1.0, name="<script>", replica="<img>")])

    assert "<script>" not in html
    assert "<img>" not in html


@pytest.mark.parametrize(
    ("steps", "begin"),
    [
        ([0, 10, 20, 30, 10, 20, 30], [4]),  # resumed from a checkpoint
        ([1, 2, 1, 2], [2]),  # restarted
        ([1, 2, 3, 3, 4], []),
        ([5, 6, 5, 6, 6, 7, 7, 8, 7, 8], [2]),  # processes that print beside each other
        ([], []),
        ([3, 2, 1], [1, 2]),
    ],
)
def test_where_a_run_begins_again(steps: list[int], begin: list[int]) -> None:
    """Steps go back there; no line leads across the chart."""
    assert breaks([Point(step, 0.5) for step in steps]) == begin


def test_a_line_breaks_where_a_run_begins_again() -> None:
    """What has one value so far is a dot there, too."""
    points = [Point(step, value) for step, value in [(1, 3.0), (2, 2.0), (3, 1.0), (1, 3.0)]]

    (line,) = re.findall(
        r"<path d='([^']+)' fill='none'", chart([Series("master-0", "loss", "step", points)])
    )

    first, second = line.split("M")[1:]
    assert first.count("L") == 2
    assert second.endswith("h0")


def test_the_axis_is_named_below() -> None:
    """By the style alone: the words above say it already."""
    assert "<i data-mark='epoch'></i>" in chart([series(1.0)])
    assert "<i data-mark='value number'></i>" in chart(
        [Series("master-0", "loss", "ordinal", [Point(1, 0.5)])]
    )
