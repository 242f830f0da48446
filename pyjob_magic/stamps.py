"""Pure: the times that a server writes before the lines of a log, and what they are good for.

Kubernetes knows no place in a log but a time. A reader that was cut off asks for what came since
the time of its last line, gets whole seconds, and has to tell what it has had: the lines before
that time, and of those that share it as many as it had.
"""

from __future__ import annotations

import codecs
import re
from collections.abc import Iterator
from datetime import datetime
from functools import lru_cache
from typing import NamedTuple

_STAMP = r"[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9:.]+(?:Z|[+-][0-9]{2}:[0-9]{2})"
_BEGINNING = re.compile(rf"\n{_STAMP} ")
_LINE = re.compile(rf"({_STAMP}) (.*)", re.DOTALL)
_PARTS = re.compile(r"([^.Z+]{19})\.?([0-9]*)(.*)")
_BEGUN_STAMP = re.compile(rb"[0-9]{1,4}(?:-[0-9T:.+Z-]*)?")
_LONGEST_STAMP = 64  # bytes
_SEEN = 4096  # bytes that are looked at of a line whose end is missing


class Position(NamedTuple):
    """How far a log was read: the time of the last line, and how many of its lines have it."""

    stamp: str
    lines: int

    @property
    def moment(self) -> int:
        """The time in ns since the epoch."""
        return moment(self.stamp)


class Batch(NamedTuple):
    """Whole lines of a log: without their times, and as they came."""

    lines: list[str]
    raw: str

    def last(self, lines: int | None) -> Batch:
        """Return so many of the last lines; all if there is no number."""
        if lines is None or lines >= len(self.lines):
            return self
        start = len(self.lines) - lines
        raw = self.raw.split("\n")[start:]  # and nothing behind the last newline
        return Batch(self.lines[start:], "\n".join(raw))

    @property
    def began(self) -> int:
        """The time of the first line in ns since the epoch; 0 if it has none."""
        return _moment(self.raw[: self.raw.find("\n")])

    def moments(self) -> Iterator[int]:
        """Yield the time of each line in ns since the epoch; 0 for one that has none."""
        return map(_moment, self.raw.removesuffix("\n").split("\n"))


def moment(stamp: str) -> int:
    """Return a time of RFC 3339 in ns since the epoch."""
    found = _PARTS.fullmatch(stamp)
    if found is None:
        raise ValueError(f"{stamp!r} is not a time")
    seconds, fraction, zone = found.groups()
    return _seconds(seconds + zone) * 1_000_000_000 + int(fraction[:9].ljust(9, "0"))


@lru_cache(maxsize=64)
def _seconds(text: str) -> int:
    return int(datetime.fromisoformat(text).timestamp())


class StampedLines:
    """Takes a log apart as it comes, and leaves out what was had before.

    Parameters
    ----------
    had
        How far it was read before; None for not at all.
    until
        Leave out lines that are as late as this, in ns since the epoch.
    """

    def __init__(self, had: Position | None = None, *, until: int | None = None) -> None:
        self.position = had
        """How far it has been read by now."""
        self.first: str | None = None
        """The time of the first line that was not left out."""
        self.met = False
        """Whether the last line that was had before has come again."""
        self._had = had
        self._until = until
        self._passed = 0  # lines that were had before and share the time of the last of them
        self._rest: list[bytes] = []  # of a line, as far as it has come

    @property
    def rest(self) -> bytes:
        """What has come of a line whose end is missing."""
        return b"".join(self._rest)

    @property
    def begun(self) -> str:
        """The end of what has come of such a line, if it is new; other threads may ask, too."""
        rest = self._rest
        start = b"".join(part[:_LONGEST_STAMP] for part in rest[: _LONGEST_STAMP + 1])
        stamp, _ = _parted(start.decode(errors="replace"))
        if _BEGUN_STAMP.fullmatch(start) or not self._would_be_new(stamp):
            return ""
        # Half a character at the end is no error: the other half may come.
        text = codecs.getincrementaldecoder("utf-8")("replace").decode(_end(rest, _SEEN))
        return text.removeprefix(f"{stamp} ") if stamp else text

    def feed(self, chunk: bytes) -> Batch:
        """Return the whole lines that have come, and are new."""
        whole, newline, begun = chunk.rpartition(b"\n")
        if not newline:
            self._rest.append(chunk)
            return Batch([], "")
        block = b"".join([*self._rest, whole])
        self._rest = [begun]
        return self._take(block)

    def finish(self) -> Batch:
        """Return the last line, which has no newline; only if nothing was cut off."""
        block, self._rest = self.rest, []
        return self._take(block) if block else Batch([], "")

    def _take(self, block: bytes) -> Batch:
        text = block.decode(errors="replace")
        if self._had is None and self._until is None and (lines := self._quickly(text)):
            return Batch(lines, f"{text}\n")
        pairs = [pair for pair in map(_parted, text.split("\n")) if self._is_new(pair[0])]
        for stamp in filter(None, (stamp for stamp, _ in pairs)):
            self._step(stamp)
            self.first = self.first or stamp
        raw = "".join(f"{stamp} {line}\n" if stamp else f"{line}\n" for stamp, line in pairs)
        return Batch([line for _, line in pairs], raw)

    def _quickly(self, text: str) -> list[str] | None:
        """Return the lines of a text that is all new, without looking at each; None if one must."""
        before, *lines = _BEGINNING.split(f"\n{text}")
        if before or len(lines) != text.count("\n") + 1:
            return None
        stamp = text[text.rfind("\n") + 1 :].partition(" ")[0]
        # Times do not decrease: those that share the last one begin where it is first found.
        start = 0 if text.startswith(f"{stamp} ") else text.find(f"\n{stamp} ") + 1
        self._step(stamp, text.count("\n", start) + 1)
        self.first = self.first or text.partition(" ")[0]
        return lines

    def _step(self, stamp: str, lines: int = 1) -> None:
        """Note that so many lines of one time were read."""
        if self.position and self.position.stamp == stamp:
            lines += self.position.lines
        self.position = Position(stamp, lines)

    def _would_be_new(self, stamp: str) -> bool:
        """Whether a line that begins so was not had before, as `_is_new` will find."""
        had = self._had
        if had is None or not stamp:
            return had is None
        now = moment(stamp)
        return now > had.moment or (now == had.moment and self._passed >= had.lines)

    def _is_new(self, stamp: str) -> bool:
        """Whether the next line was not had before; one without a time is part of the last."""
        if self._had is None and self._until is None:
            return True
        if not stamp:
            return self._had is None
        now = moment(stamp)
        if self._until is not None and now >= self._until:
            return False
        if self._had is None or now > self._had.moment:
            self._had = None  # what follows is new
            return True
        if now == self._had.moment:
            self.met = True
            self._passed += 1
            return self._passed > self._had.lines
        return False


def _moment(line: str) -> int:
    """Return the time of a line, 0 if it has none."""
    stamp, _ = _parted(line)
    return moment(stamp) if stamp else 0


def _parted(line: str) -> tuple[str, str]:
    """Return the time of a line, or nothing, and the line."""
    found = _LINE.fullmatch(line)
    return (found[1], found[2]) if found else ("", line)


def _end(parts: list[bytes], size: int) -> bytes:
    """Return the last bytes of what parts make up, which others may append to meanwhile."""
    taken: list[bytes] = []
    missing = size
    for part in reversed(parts):
        taken.append(part[-missing:])
        missing -= len(taken[-1])
        if missing <= 0:
            break
    return b"".join(reversed(taken))
