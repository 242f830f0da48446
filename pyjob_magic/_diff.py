"""Pure: where two texts differ, as lines with a sign and a few of those around them."""

from __future__ import annotations

from collections.abc import Iterator
from difflib import SequenceMatcher
from typing import Any

from pyjob_magic._tables import cut

Line = tuple[str, int | None, int | None, str]
"""A sign, the numbers of the line before and after, and its text."""

MOST_LINES = 400  # that are shown
_MOST_READ = 2_000  # lines of each text: beyond that, comparing takes too long
_LONGEST = 400  # characters of one line
_CONTEXT = 3  # lines around a change


def diff(before: str, after: str) -> dict[str, Any]:
    """Return the lines that differ, as values of JSON.

    The `lines` have the sign ``-`` where only `before` has them, ``+`` where only `after` has
    them, and none where they stand around these; between them ``…`` stands for lines that are the
    same. The `note` says what is not shown.
    """
    # Not at every sign that Python ends a line at: two texts that differ must differ in a line.
    old, new = before.split("\n"), after.split("\n")
    found = [*_lines(old[:_MOST_READ], new[:_MOST_READ])]
    notes = []
    if len(found) > MOST_LINES:
        notes.append(f"the first {MOST_LINES} of {len(found):,} lines")
    if max(len(old), len(new)) > _MOST_READ:
        notes.append(f"only the first {_MOST_READ:,} lines of each were compared")
    return {"lines": [*map(list, found[:MOST_LINES])], "note": "; ".join(notes)}


def _lines(old: list[str], new: list[str]) -> Iterator[Line]:
    for number, group in enumerate(SequenceMatcher(None, old, new).get_grouped_opcodes(_CONTEXT)):
        if number:
            yield "…", None, None, ""
        for kind, i, end, j, other_end in group:
            if kind == "equal":
                for step in range(end - i):
                    yield "", i + step + 1, j + step + 1, _cut(old[i + step])
                continue
            for at in range(i, end):
                yield "-", at + 1, None, _cut(old[at])
            for at in range(j, other_end):
                yield "+", None, at + 1, _cut(new[at])


def _cut(text: str) -> str:
    return cut(text, _LONGEST)
