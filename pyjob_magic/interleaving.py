"""Pure: the lines of several replicas in the order in which they were printed."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import groupby
from operator import itemgetter
from typing import NamedTuple

from pyjob_magic.stamps import Batch


class Piece(NamedTuple):
    """Lines of one replica, as they are told."""

    replica: str
    lines: list[str]
    starts_again: bool
    """Whether the first of them is the first one since the replica was started again."""


class Part(NamedTuple):
    """The same, and as they came with their times."""

    replica: str
    lines: list[str]
    starts_again: bool
    batch: Batch


def interleaved(parts: Sequence[Part]) -> Iterator[Piece]:
    """Yield the lines of all parts by their times, as many as come together from one replica.

    Lines of one replica keep their order, whatever its clock does.
    """
    times = {part.replica: 0 for part in parts}
    starts = dict.fromkeys(times, 0)
    timed: list[tuple[int, tuple[str, int], str]] = []
    for replica, lines, starts_again, batch in parts:
        starts[replica] += starts_again
        for moment, line in zip(batch.moments(), lines, strict=True):
            times[replica] = max(times[replica], moment)
            timed.append((times[replica], (replica, starts[replica]), line))
    timed.sort(key=itemgetter(0))
    begun = dict.fromkeys(times, 0)
    for (replica, start), group in groupby(timed, itemgetter(1)):
        yield Piece(replica, [line for _, _, line in group], start > begun[replica])
        begun[replica] = start
