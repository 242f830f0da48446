"""How long ago something was."""

from __future__ import annotations

import pytest

from pyjob_magic.local.apiserver.ages import age
from pyjob_magic.local.objects import timestamp

MINUTE, HOUR, DAY = 60, 3600, 86400
NOW = 1_800_000_000


@pytest.mark.parametrize(
    ("elapsed", "shown"),
    [
        (0, "0s"),
        (119, "119s"),
        (2 * MINUTE, "2m"),
        (9 * MINUTE + 59, "9m59s"),
        (10 * MINUTE + 30, "10m"),
        (3 * HOUR - 1, "179m"),
        (3 * HOUR, "3h"),
        (7 * HOUR + 30 * MINUTE, "7h30m"),
        (8 * HOUR + 30 * MINUTE, "8h"),
        (2 * DAY - 1, "47h"),
        (2 * DAY, "2d"),
        (7 * DAY + 23 * HOUR, "7d23h"),
        (8 * DAY + 5 * HOUR, "8d"),
        (2 * 365 * DAY - 1, "729d"),
        (2 * 365 * DAY, "2y"),
        (7 * 365 * DAY + 9 * DAY, "7y9d"),
        (8 * 365 * DAY + 9 * DAY, "8y"),
    ],
)
def test_at_most_two_units(elapsed: int, shown: str) -> None:
    """The longer ago, the coarser."""
    assert age(timestamp(NOW - elapsed), NOW) == shown


def test_clocks_that_differ_a_little() -> None:
    """What will have happened in a second has happened now; later is an error of somebody's."""
    assert age(timestamp(NOW + 1), NOW) == "0s"
    assert age(timestamp(NOW + 2), NOW) == "<invalid>"


def test_no_time_at_all() -> None:
    """Nobody said when."""
    assert age(None, NOW) == "<unknown>"
