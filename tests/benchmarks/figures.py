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
        What was measured beside it in the same rounds; a ratio is given for each.
    target
        What the project has promised, in words.
    unit
        Of the samples.
    tail
        How many rounds of a hundred are at least as good as the second column.
    samples
        One value for each round.
    """

    name: str
    baselines: tuple[Figure, ...] = ()
    target: str = ""
    unit: str = "ms"
    tail: int = 90
    samples: list[float] = field(default_factory=list)

    def took(self, seconds: float) -> None:
        """Note how long a round has taken."""
        self.samples.append(seconds * 1000)

    @property
    def median(self) -> float:
        """The middle of all rounds."""
        return statistics.median(self.samples)

    @property
    def worst(self) -> float:
        """What all but a few rounds keep to."""
        return self._percentile(self.tail)

    def ratio(self, baseline: Figure) -> float:
        """Return the median of the rounds' ratios: a slow round slows both of its sides."""
        pairs = zip(self.samples, baseline.samples, strict=True)
        return statistics.median(mine / other for mine, other in pairs)

    def rows(self) -> list[str]:
        """Return the lines of the table: one, and one more for each further baseline."""
        figures = f"{self.name:<44}{self.median:>9.1f}{self.worst:>9.1f} {self.unit:<7}"
        ratios = [f"{self.ratio(other):>8.2f}  {other.name}" for other in self.baselines]
        first, *more = ratios or [""]
        return [
            f"{figures}{first:<50}{self.target}".rstrip(),
            *(f"{'':<70}{ratio}" for ratio in more),
        ]

    def _percentile(self, percent: int) -> float:
        if len(self.samples) == 1:
            return self.samples[0]
        return statistics.quantiles(self.samples, n=100, method="inclusive")[percent - 1]


@dataclass
class Rate(Figure):
    """How much was done in a second.

    Parameters
    ----------
    amount
        What is done in one round.
    """

    unit: str = "/s"
    amount: float = 1.0

    def took(self, seconds: float) -> None:
        """Note how long the amount of a round has taken."""
        self.samples.append(self.amount / seconds)

    @property
    def worst(self) -> float:
        """What all but a few rounds reach."""
        return self._percentile(100 - self.tail)


def table(*figures: Figure) -> str:
    """Return the figures as text, with their head."""
    tail = f"p{figures[0].tail}"
    head = f"{'':<44}{'median':>9}{tail:>9}{'':<8}{'ratio':>8}  {'to':<40}target"
    return "\n".join([head, *(row for figure in figures for row in figure.rows())])


def machine() -> str:
    """Return what the figures were measured on."""
    return f"Python {platform.python_version()}, {os.cpu_count()} cores"
