"""Tracebacks in a log, and the lines of the cell that they name."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace

# A progress bar may stand on the same line before it.
_START = re.compile(r"(?:Original )?Traceback \(most recent call last\):$")
# Set before each line of an uncaught exception by PyTorch, or by torchrun.
_RANK = re.compile(r"(?:\[(?:rank|default)\d+\]: ?)+")
_FRAME = re.compile(
    r'^ +File "[^"\n]*/pyjob/main\.py", line (?P<line>\d+), in .*(?:\n {4,}(?P<source>\S.*))?',
    re.MULTILINE,
)
_EXCEPTION = re.compile(r"[A-Za-z_][\w.]*(?:: |:?$)")
_CAUSE = "The above exception was the direct cause of the following exception:"
# What is no longer part of a message of several lines.
_NO_MESSAGE = re.compile(r"$|\[?[EWIF]\d{4} |[-=*]{8}|frame #|The above exception|During handling")
_MESSAGE_LINES = 5

# torchrun's own: what its processes said stands before it.
_OF_LAUNCHER = "torch.distributed.elastic."


@dataclass(frozen=True)
class Frame:
    """A line of the job's program.

    Parameters
    ----------
    line
        Its number, counted from 1.
    source
        What stands there; empty if Python did not tell.
    """

    line: int
    source: str


@dataclass(frozen=True)
class Traceback:
    """One traceback, without the ranks before its lines.

    Parameters
    ----------
    text
        All of it.
    exception
        Its end: what was raised, with all lines of its message.
    cause
        That of the exception that this one was raised from, if it was.
    """

    text: str
    exception: str
    cause: Traceback | None = None

    @property
    def frame(self) -> Frame | None:
        """The innermost line of the job's program; None if it was never there."""
        found = list(_FRAME.finditer(self.text))
        if found:
            return Frame(int(found[-1]["line"]), (found[-1]["source"] or "").strip())
        return self.cause.frame if self.cause else None

    @property
    def exceptions(self) -> Iterator[str]:
        """What was raised, and what that was raised from."""
        yield self.exception
        if self.cause:
            yield from self.cause.exceptions


def tracebacks(log: str) -> list[Traceback]:
    """Return the tracebacks in a log, oldest first, those of torchrun itself left out."""
    ranks: dict[str, list[tuple[int, str]]] = defaultdict(list)
    for number, line in enumerate(log.splitlines()):
        prefix = _RANK.match(line)
        text = line[prefix.end() :] if prefix else line
        ranks[prefix[0].strip() if prefix else ""].append((number, text))
    found = [each for lines in ranks.values() for each in _of_one_rank(lines)]
    return [
        traceback
        for _, traceback in sorted(found, key=lambda each: each[0])
        if not traceback.exception.startswith(_OF_LAUNCHER)
    ]


def _of_one_rank(lines: Iterable[tuple[int, str]]) -> Iterator[tuple[int, Traceback]]:
    """Find the tracebacks of one process, each with the number of the line where it starts."""
    frames: list[str] | None = None  # of the one that is being read
    message: list[str] = []
    start, before, caused = 0, None, False
    # The last line that is read closes what is open.
    for number, line in [*lines, (-1, "Traceback (most recent call last):")]:
        begins = _START.search(line)
        if message and (begins or len(message) == _MESSAGE_LINES or _NO_MESSAGE.match(line)):
            assert frames is not None
            ended = Traceback("\n".join([*frames, *message]), "\n".join(message))
            before = replace(ended, cause=before) if caused and before else ended
            yield start, before
            frames, message, caused = None, [], False
        if begins:
            frames, start = [begins[0]], number
        elif message:
            message.append(line)
        elif frames is not None and line.startswith(" "):
            frames.append(line)
        elif frames is not None and _EXCEPTION.match(line):
            message.append(line)
        elif line == _CAUSE:
            caused = True
