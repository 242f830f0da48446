"""How the benchmarks count: medians of rounds, as ratios against what ran in the same round."""

from __future__ import annotations

import os
import platform
import statistics
from dataclasses import dataclass, field


@dataclass
class Figure:
    """What was measured, once in each round, and what it is compared with.

    Parameters
    ----------
    name
        As it stands in the table.
    baselines
        What ran beside it in the same rounds; a ratio is given for each.
    target
        What the project has promised, in words.
    seconds
        One duration for each round.
    """

    name: str
    baselines: tuple[Figure, ...] = ()
    target: str = ""
    seconds: list[float] = field(default_factory=list)

    @property
    def median(self) -> float:
        """The middle of all rounds, in seconds."""
        return statistics.median(self.seconds)

    @property
    def p90(self) -> float:
        """What nine of ten rounds stay below, in seconds."""
        return statistics.quantiles(self.seconds, n=10, method="inclusive")[-1]

    def ratio(self, baseline: Figure) -> float:
        """Return the median of the rounds' ratios: a slow round slows both of its sides."""
        pairs = zip(self.seconds, baseline.seconds, strict=True)
        return statistics.median(mine / other for mine, other in pairs)

    def rows(self) -> list[str]:
        """Return the lines of the table: one, and one more for each further baseline."""
        figures = f"{self.name:<42}{self.median * 1000:>10.1f}{self.p90 * 1000:>10.1f}"
        ratios = [f"{self.ratio(other):>8.2f}  {other.name}" for other in self.baselines]
        first, *more = ratios or [""]
        return [
            f"{figures}{first:<46}{self.target}".rstrip(),
            *(f"{'':<62}{ratio}" for ratio in more),
        ]


def table(*figures: Figure) -> str:
    """Return the figures as text, with their head."""
    head = f"{'':<42}{'median ms':>10}{'p90 ms':>10}{'ratio':>8}  {'to':<36}target"
    return "\n".join([head, *(row for figure in figures for row in figure.rows())])


def machine() -> str:
    """Return what the figures were measured on."""
    return f"Python {platform.python_version()}, {os.cpu_count()} cores"
