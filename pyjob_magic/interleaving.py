"""Pure: the lines of several replicas in the order in which they were printed."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import groupby
from operator import itemgetter
from typing import NamedTuple

from pyjob_magic.stamps import Batch


class Part(NamedTuple):
    """Lines of one replica, as they are told and with their times."""

    replica: str
    lines: list[str]
    batch: Batch


def interleaved(parts: Sequence[Part]) -> Iterator[tuple[str, list[str]]]:
    """Yield the lines of all parts by their times, those of one replica together as they come.

    Lines of one replica keep their order, whatever its clock does.
    """
    times = {part.replica: 0 for part in parts}
    timed: list[tuple[int, str, str]] = []
    for replica, lines, batch in parts:
        for moment, line in zip(batch.moments(), lines, strict=True):
            times[replica] = max(times[replica], moment)
            timed.append((times[replica], replica, line))
    timed.sort(key=itemgetter(0))
    for replica, group in groupby(timed, itemgetter(1)):
        yield replica, [line for _, _, line in group]


def began(part: Part) -> int:
    """Return when the first line of a part was printed, in ns since the epoch; 0 if unknown."""
    return next(part.batch.moments())
