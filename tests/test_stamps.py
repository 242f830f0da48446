"""Lines of a log are taken apart from their times, and none is lost or told twice."""

from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pyjob_magic.stamps import Position, StampedLines, moment

TEXT = st.text(st.characters(exclude_characters="\n", exclude_categories=["Cs"]), max_size=12)
LINES = st.lists(st.tuples(st.integers(0, 3), TEXT), max_size=40)


def stamped(lines: list[tuple[int, str]], *, start: int = 0) -> tuple[bytes, list[str]]:
    """Return a log whose lines are so many ns apart, and its lines; later ones share a second."""
    time, text = 1_700_000_000_999_999_990 + start, ""
    for step, line in lines:
        time += step
        text += f"{rfc3339(time)} {line}\n"
    return text.encode(), [line for _, line in lines]


def rfc3339(time: int) -> str:
    seconds, fraction = divmod(time, 1_000_000_000)
    return f"2023-11-14T22:13:{seconds % 60:02d}.{fraction:09d}Z"


def read(reader: StampedLines, log: bytes, size: int) -> list[str]:
    lines = []
    for start in range(0, len(log), size):
        lines += reader.feed(log[start : start + size]).lines
    return lines


def since(log: bytes, position: Position | None) -> bytes:
    """Return what a server sends: from the whole second of the last line on."""
    if position is None:
        return log
    whole = position.stamp[:19]
    return b"".join(line for line in re.findall(rb".*\n", log) if line[:19].decode() >= whole)


@given(LINES, st.integers(1, 50))
def test_lines_come_whole_and_without_their_times(lines: list[tuple[int, str]], size: int) -> None:
    log, expected = stamped(lines)

    assert read(StampedLines(), log, size) == expected


@given(LINES, st.lists(st.integers(0, 400), max_size=12), st.integers(1, 60))
def test_a_log_that_is_cut_again_and_again_is_read_once(
    lines: list[tuple[int, str]], cuts: list[int], size: int
) -> None:
    """Wherever it is cut, also in a line or among lines of one time."""
    log, expected = stamped(lines)
    position, got = None, []

    for cut in [*cuts, len(log)]:
        reader = StampedLines(position)
        got += read(reader, since(log, position)[:cut], size)
        position = reader.position
    reader = StampedLines(position)
    got += read(reader, since(log, position), size)

    assert got == expected


@given(LINES)
def test_what_came_can_be_read_again(lines: list[tuple[int, str]]) -> None:
    """The raw text is the log, with its times."""
    log, _ = stamped(lines)

    assert StampedLines().feed(log).raw.encode() == log


def test_the_last_line_may_lack_its_newline() -> None:
    reader = StampedLines()

    assert reader.feed(b"2023-11-14T22:13:20Z a\n2023-11-14T22:13:20.5Z b").lines == ["a"]
    assert reader.finish().lines == ["b"]
    assert reader.position == Position("2023-11-14T22:13:20.5Z", 1)


def test_lines_without_a_time_stay_as_they_are() -> None:
    """Some servers date only the first piece of a long line."""
    log = b"2023-11-14T22:13:20Z a\nmore\n2023-11-14T22:13:21Z b\n"

    assert StampedLines().feed(log).lines == ["a", "more", "b"]


def test_a_stamp_that_the_program_has_printed_stays() -> None:
    log = b"2023-11-14T22:13:20Z 2020-01-01T00:00:00Z said\n"

    assert StampedLines().feed(log).lines == ["2020-01-01T00:00:00Z said"]


def test_only_what_came_before_a_time() -> None:
    log, _ = stamped([(1, "a"), (1, "b"), (1, "c")])
    until = 1_700_000_000_999_999_992
    reader = StampedLines(until=moment(rfc3339(until)))

    assert reader.feed(log).lines == ["a"]


@pytest.mark.parametrize(
    ("stamp", "expected"),
    [
        ("1970-01-01T00:00:01Z", 1_000_000_000),
        ("1970-01-01T00:00:01.5Z", 1_500_000_000),
        ("1970-01-01T01:00:01.000000007+01:00", 1_000_000_007),
    ],
)
def test_times_are_compared_to_the_nanosecond(stamp: str, expected: int) -> None:
    """Also where zeroes are left out, or another zone is meant."""
    assert moment(stamp) == expected


@given(LINES, TEXT, st.integers(1, 50))
def test_a_line_that_has_begun(lines: list[tuple[int, str]], begun: str, size: int) -> None:
    """It is there without its time, and gone when its end has come."""
    log, expected = stamped([*lines, (1, begun)])
    reader = StampedLines()

    got = read(reader, log[:-1], size)

    assert (got, reader.begun) == (expected[:-1], begun)
    assert reader.feed(b"\n").lines == [begun]
    assert reader.begun == ""


@given(LINES, st.integers(0, 400), st.integers(1, 60))
def test_what_was_had_before_does_not_begin_again(
    lines: list[tuple[int, str]], cut: int, size: int
) -> None:
    """After a connection was lost the server tells it once more."""
    log, _ = stamped(lines)
    before = StampedLines()
    had = len(before.feed(log[:cut]).lines)
    after, again = StampedLines(before.position), since(log, before.position)

    for start in range(0, len(again), size):
        whole = log.count(b"\n") - again.count(b"\n", start + size)
        after.feed(again[start : start + size])
        assert whole >= had or after.begun == ""


@pytest.mark.parametrize(
    ("come", "begun"),
    [
        ("2023-11-14T22:1", ""),
        ("2023-11-14T22:13:20Z", ""),
        ("2023-11-14T22:13:20Z ", ""),
        ("2023-11-14T22:13:20Z 3", "3"),
        ("2023-11-14T22:13:20Z 2020-01-01T00:00:00Z x", "2020-01-01T00:00:00Z x"),
        ("no time", "no time"),
    ],
)
def test_a_time_that_has_begun_is_no_line(come: str, begun: str) -> None:
    reader = StampedLines()
    reader.feed(come.encode())

    assert reader.begun == begun


def test_of_a_long_line_that_has_begun_the_end_is_told() -> None:
    """That costs no more when it has a hundred thousand parts."""
    reader = StampedLines()
    reader.feed(b"2023-11-14T22:13:20Z ")
    for number in range(100_000):
        reader.feed(b"\r%6d \xc3\xa9" % number)
    reader.feed(b"\xc3")

    assert reader.begun.endswith("\r 99998 é\r 99999 é")
    assert len(reader.begun) < 4096


@given(LINES, st.integers(1, 50))
def test_each_line_keeps_its_time(lines: list[tuple[int, str]], size: int) -> None:
    log, _ = stamped(lines)
    reader, batches = StampedLines(), []
    for start in range(0, len(log), size):
        batches.append(reader.feed(log[start : start + size]))

    moments = [at for batch in batches if batch.lines for at in batch.moments()]
    assert moments == [moment(line[:30]) for line in log.decode().split("\n")[:-1]]


@given(LINES, st.integers(0, 50))
def test_the_last_lines_of_a_batch(lines: list[tuple[int, str]], last: int) -> None:
    log, texts = stamped(lines)
    batch = StampedLines().feed(log).last(last)

    assert batch.lines == (texts[-last:] if last else [])
    assert batch.raw.encode().count(b"\n") == len(batch.lines)
    assert log.endswith(batch.raw.encode())
