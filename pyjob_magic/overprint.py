"""Pure: what a terminal shows of a line that returns to its start, as progress bars do."""

from __future__ import annotations

import re
from itertools import groupby

_STATES = 50  # how many of the last states are looked at: a bar may have had thousands
_PEN = 8  # sequences that make up the colour of a character; what is more was not meant to be seen
_PIECE = re.compile(
    r"\x1b\[(?P<numbers>[0-9;:?]{0,40}+)(?P<command>[@-~])"
    r"|\x1b\](?:[^\x07\x1b]{0,4096}+)(?:\x07|\x1b\\)"
    r"|(?P<back>\x08++)"
    r"|(?P<text>[^\x1b\x08]++)"
)
_Cell = tuple[tuple[str, ...], str]  # what colours a character, and the character


def shown(line: str) -> str:
    r"""Return what is left of a line whose states have overwritten each other.

    ``abc\rX`` shows ``Xbc``. ``\x1b[K`` erases to the end and ``\x1b[2K`` all, a backspace goes
    back; colours stay with their characters. Each character takes one place.
    """
    first, *others = line.rsplit("\r", _STATES - 1)
    if not others:
        return line
    if "\x1b" in line or "\b" in line:
        return _drawn([first.rpartition("\r")[2], *others])
    shown = first.rpartition("\r")[2]
    for state in others:
        shown = state + shown[len(state) :]
    return shown


def _drawn(states: list[str]) -> str:
    """Return what states with escape sequences leave, put down character by character."""
    cells: list[_Cell] = []
    pen: tuple[str, ...] = ()
    for state in states:
        column = 0
        for piece in _PIECE.finditer(state):
            if text := piece["text"]:
                cells += [((), " ")] * (column - len(cells))
                cells[column : column + len(text)] = [(pen, character) for character in text]
                column += len(text)
            elif back := piece["back"]:
                column = max(0, column - len(back))
            elif piece["command"] == "m":
                pen = () if not piece["numbers"].strip("0;") else (*pen, piece[0])[-_PEN:]
            elif piece["command"] == "K":
                _erase(cells, column, piece["numbers"])
    return _coloured([*cells, (pen, "")])


def _erase(cells: list[_Cell], column: int, what: str) -> None:
    if what in ("", "0"):
        del cells[column:]
    elif what == "2":
        cells.clear()


def _coloured(cells: list[_Cell]) -> str:
    """Join characters, with the sequences that change their colour where it changes."""
    parts: list[str] = []
    before: tuple[str, ...] = ()
    for pen, group in groupby(cells, key=lambda cell: cell[0]):
        if pen != before:
            parts += ["\x1b[0m"] * bool(before) + [*pen]
        parts += [character for _, character in group]
        before = pen
    return "".join(parts)
