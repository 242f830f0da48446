"""Pure: jobs beside each other: what was said for them, their code, what they have measured."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from pyjob_magic import _form, _view
from pyjob_magic._diff import diff
from pyjob_magic.errors import OptionError
from pyjob_magic.metrics import Series

Json = dict[str, Any]

_MOST_DIFFS = 8


@dataclass(frozen=True)
class Side:
    """One of the jobs.

    Parameters
    ----------
    name
        Its name.
    line
        What was typed behind ``%%pytorchjob``; None if it was not made from a cell.
    facts
        What else there is to compare.
    source
        Its code, if that is known.
    series
        What it has measured.
    """

    name: str
    line: str | None = None
    facts: Mapping[str, str] = field(default_factory=dict)
    source: str | None = None
    series: Sequence[Series] = ()

    def said(self) -> dict[str, Any]:
        """Return the options that were said, by their flags."""
        if self.line is None:
            return {}
        try:
            values = _form.recalled(self.line)
        except OptionError:
            return {}
        return {_form.flag_of(field): value for field, value in values.items() if field != "name"}


def compare(sides: Sequence[Side]) -> Json:
    """Return the jobs beside each other, the oldest first, as values of JSON."""
    sides = sorted(sides, key=lambda side: side.facts.get("submitted", ""))
    said = [side.said() for side in sides]
    facts = [dict(side.facts) for side in sides]
    rows = [_row(key, [each.get(key) for each in facts]) for key in _keys(facts)]
    rows += [_row(key, [each.get(key) for each in said]) for key in _keys(said)]
    rows.append(
        _row("code", [_lines(side.source) for side in sides], [_code(side) for side in sides])
    )
    named = [(side.name, replica, each) for side in sides for replica, each in _named(side)]
    charts, note = _view.charts(each for _, _, each in named)
    columns = [side.name for side in sides]
    return {
        "columns": columns,
        "rows": rows,
        "diffs": _diffs(sides),
        "charts": charts,
        "charts_note": note,
        "lines": {each.replica: [job, replica] for job, replica, each in named},
    }


def _diffs(sides: Sequence[Side]) -> list[Json]:
    """Return where the code of each differs from that of the first, of those that have code."""
    known = [(side.name, code) for side in sides if (code := _code(side)) is not None]
    return [
        {"before": known[0][0], "after": name, **diff(known[0][1], code)}
        for name, code in known[1:]
        if code != known[0][1]
    ][:_MOST_DIFFS]


def _named(side: Side) -> Iterator[tuple[str, Series]]:
    """Yield the series of a job under its name, with that of the replica if there are several.

    Before each comes the replica.
    """
    alone = len({series.replica for series in side.series}) == 1
    for series in side.series:
        name = side.name if alone else f"{side.name} {series.replica}"
        yield series.replica, replace(series, replica=name)


def _keys(of: Sequence[Mapping[str, Any]]) -> list[str]:
    return [*dict.fromkeys(key for each in of for key in each)]


def _row(key: str, shown: Sequence[Any], compared: Sequence[Any] | None = None) -> list[Any]:
    values = shown if compared is None else compared
    return [key, [*shown], any(value != values[0] for value in values[1:])]


def _code(side: Side) -> str | None:
    return None if side.source is None else side.source.rstrip()  # a cell ends with a line feed


def _lines(source: str | None) -> str | None:
    if source is None:
        return None
    many = len(source.splitlines())
    return f"{many} line{'' if many == 1 else 's'}"
