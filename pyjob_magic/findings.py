"""What a look at a target has found, one line for each thing looked at."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

State = Literal["ok", "warn", "fail", "unknown"]


@dataclass(frozen=True)
class Finding:
    """One thing that was looked at.

    Parameters
    ----------
    check
        What was looked at, such as ``may create jobs``.
    state
        ``ok``; ``warn``: works, but; ``fail``: jobs will not run; ``unknown``: could not be seen.
    found
        What there is.
    remedy
        How to mend what is wrong; empty where nothing is.
    """

    check: str
    state: State
    found: str
    remedy: str = ""
