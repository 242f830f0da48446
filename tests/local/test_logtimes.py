"""The times of a log are never too early, whatever was noted of it."""

from __future__ import annotations

import re
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pyjob_magic.local.kubelet.logtimes import (
    MOST_NOTES,
    RECORD_BYTES,
    Note,
    Times,
    pack,
    stamped,
    thinned,
    unpack,
)

SECOND = 1_000_000_000
NOTES = [Note(1 * SECOND, 10), Note(2 * SECOND, 20), Note(5 * SECOND, 25)]
STAMP = re.compile(rb"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{9}Z ")


@st.composite
def logs(draw: st.DrawFn) -> tuple[bytes, list[int], list[Note]]:
    """Return a log, when each of its bytes was printed, and looks at it in between."""
    printed = draw(st.lists(st.tuples(st.binary(max_size=9), st.integers(0, 3), st.booleans())))
    text, times, notes, now = b"", [], [], 1
    for piece, seconds, looked in printed:
        now += seconds * SECOND
        text += piece.replace(b"\0", b"\n")
        times += [now] * len(piece)
        if looked:
            notes.append(Note(now, len(text)))
    return text, times, [*notes, Note(now, len(text))]


@given(logs())
def test_no_byte_is_dated_before_it_was_printed(log: tuple[bytes, list[int], list[Note]]) -> None:
    text, printed, notes = log
    times = Times(notes)
    for offset in range(len(text)):
        assert times.of(offset)[0] >= printed[offset]


@given(logs(), st.integers(0, 100))
def test_nothing_is_left_out_that_was_printed_since(
    log: tuple[bytes, list[int], list[Note]], second: int
) -> None:
    text, printed, notes = log
    start = Times(notes).since(second * SECOND)
    assert all(time < second * SECOND for time in printed[:start])
    assert all(Times(notes).of(at)[0] >= second * SECOND for at in range(start, len(text)))


@given(logs(), st.integers(1, 20))
def test_stamps_are_the_same_however_the_log_is_cut(
    log: tuple[bytes, list[int], list[Note]], size: int
) -> None:
    text, _, notes = log
    times = Times(notes)
    pieces, fresh = b"", True
    for start in range(0, len(text), size):
        chunk = text[start : start + size]
        pieces += stamped(chunk, start, fresh=fresh, times=times)
        fresh = chunk.endswith(b"\n")
    assert pieces == stamped(text, 0, fresh=True, times=times)


@given(logs())
def test_each_line_has_one_stamp_and_is_otherwise_as_it_was(
    log: tuple[bytes, list[int], list[Note]],
) -> None:
    text, _, notes = log
    lines = stamped(text, 0, fresh=True, times=Times(notes)).splitlines(keepends=True)
    whole = re.findall(rb"[^\n]*\n|[^\n]+", text)
    dated = re.findall(rb"[^\n]*\n|[^\n]+", b"".join(lines))
    assert [STAMP.sub(b"", line, count=1) for line in dated] == whole
    assert all(STAMP.match(line) for line in dated)


def test_a_stamp_is_written_as_the_kubelet_does() -> None:
    times = Times([Note(1_700_000_000_012_345_678, 4)])
    assert stamped(b"a\nb\n", 0, fresh=True, times=times) == (
        b"2023-11-14T22:13:20.012345678Z a\n2023-11-14T22:13:20.012345678Z b\n"
    )


def test_a_line_has_the_time_of_its_beginning() -> None:
    times = Times([Note(0, 2), Note(SECOND, 5)])
    assert stamped(b"one\nt", 0, fresh=True, times=times) == (
        b"1970-01-01T00:00:00.000000000Z one\n1970-01-01T00:00:01.000000000Z t"
    )


@pytest.mark.parametrize(
    ("second", "offset"), [(0, 0), (1, 0), (1.5, 10), (2, 10), (5, 20), (6, 25)]
)
def test_since(second: float, offset: int) -> None:
    assert Times(NOTES).since(int(second * SECOND)) == offset


def test_what_was_printed_after_the_last_look_has_its_time() -> None:
    assert Times(NOTES).of(1000)[0] == 5 * SECOND


def test_a_clock_that_is_set_back_does_not_turn_the_order_of_lines() -> None:
    times = Times([Note(9 * SECOND, 10), Note(3 * SECOND, 20)])
    assert times.of(15)[0] == 9 * SECOND


def test_a_log_that_is_cut_is_dated_anew() -> None:
    times = Times([*NOTES, Note(7 * SECOND, 3), Note(8 * SECOND, 12)])
    assert [times.of(offset)[0] for offset in (1, 11)] == [7 * SECOND, 8 * SECOND]


def test_notes_stay_few_and_the_error_a_small_part_of_the_age() -> None:
    """A log that grows at every look, day and night."""
    notes: list[Note] = []
    for look in range(400_000):
        if len(notes) >= MOST_NOTES:
            notes = thinned(notes)
            assert len(notes) < MOST_NOTES / 2
        notes.append(Note(look * SECOND // 5, look))
    now = notes[-1].time
    for older, newer in pairwise(notes):
        assert newer.time - older.time <= max(SECOND, (now - older.time) / 1000)


def test_notes_of_one_moment_are_thinned_to_one() -> None:
    assert thinned([Note(SECOND, size) for size in range(9)]) == [Note(SECOND, 8)]


def test_notes_are_read_as_they_were_written() -> None:
    assert unpack(pack(NOTES)) == NOTES


def test_half_a_note_is_none() -> None:
    assert unpack(pack(NOTES)[: -RECORD_BYTES // 2]) == NOTES[:-1]
