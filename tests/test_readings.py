"""What a card reads out of the lines of a job that prints for long."""

from __future__ import annotations

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
    assert len(loss.points) <= 15_001
    assert loss.points[0] == Point(1, 0)
    assert loss.points[-1] == Point(3 * 10_001, 0)
    assert Point(51, -7) in loss.points
