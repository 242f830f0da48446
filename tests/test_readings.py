"""What a card reads out of the lines of a job that prints for long."""

from __future__ import annotations

import pytest

from pyjob_magic._readings import Readings
from pyjob_magic.metrics import Point


def test_values_are_bounded_however_long_a_job_prints() -> None:
    """First and last stay, and the peaks; what no line numbers is counted on."""
    readings = Readings(clock=lambda: 0.0, most_points=5_000)
    for batch in range(3):
        readings.take(
            "master-0",
            [f"loss={-7 if n == 50 and batch == 0 else n % 10}" for n in range(10_001)],
            float(batch),
        )

    (loss,) = readings.series
    assert readings.passed_over == 0
    assert readings.note == ""
    assert len(loss.points) <= 15_001
    assert loss.points[0] == Point(1, 0)
    assert loss.points[-1] == Point(3 * 10_001, 0)
    assert Point(51, -7) in loss.points


def test_what_was_printed_before_somebody_looked_tells_nothing_of_the_speed() -> None:
    """Of a job that is shown late all lines come at once."""
    readings = Readings()
    readings.take("master-0", [f"epoch {n}/40" for n in range(1, 16)], 100.0)

    _, heard, left = readings.progress(["master-0"], {}, 100.1) or ("", None, None)
    assert heard is not None
    assert heard.done == 15
    assert left is None

    for n in range(16, 21):
        readings.take("master-0", [f"epoch {n}/40"], 100.0 + n - 15)
    _, _, left = readings.progress(["master-0"], {}, 105.0) or ("", None, None)
    assert left == pytest.approx(20, abs=1.5)


def test_what_came_too_fast_is_counted() -> None:
    """And who sees the metrics is told."""
    now = iter(range(10_000))
    readings = Readings(clock=lambda: float(next(now)))

    readings.take("master-0", ["loss=1"] * 2_000, 0.0)

    assert (
        readings.note == "2,000 lines came too fast to be read for metrics; job.metrics() reads all"
    )
