"""What the environment sets for the embedded API."""

from __future__ import annotations

import math
import os


class SettingError(Exception):
    """A variable whose value cannot be used."""


def seconds(variable: str, default: float) -> float:
    """Return the seconds that an environment variable says, or `default` if it is not set.

    Raises
    ------
    SettingError
        If it says no number, or one that is negative or not finite.
    """
    text = os.environ.get(variable, "")
    try:
        value = float(text) if text else default
    except ValueError:
        value = math.nan
    if not 0 <= value < math.inf:
        raise SettingError(f"{variable}={text!r}: must be a number of seconds, 0 or more")
    return value
