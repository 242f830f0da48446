"""The lines that a card knows: any part of them, found and downloaded as they were printed."""

from __future__ import annotations

import gzip
import os
import resource
from collections.abc import Sequence

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pyjob_magic._logbook import LONGEST, LogBook

NAMES = ("master-0", "worker-0", "worker-1")
TEXTS = st.lists(st.text(st.characters(blacklist_characters="\n"), max_size=8), max_size=6)
BATCHES = st.lists(st.tuples(st.sampled_from(NAMES), TEXTS.filter(bool)), max_size=12)
Batches = Sequence[tuple[str, Sequence[str]]]


def filled(batches: Batches, **settings: int) -> LogBook:
    book = LogBook(NAMES, **settings)
    for replica, texts in batches:
        book.add(replica, texts)
    return book


def flat(batches: Batches, view: str = "") -> list[tuple[int, str]]:
    """Return what the lines of a view should be."""
    return [
        (NAMES.index(name), text.encode(errors="replace").decode())
        for name, texts in batches
        for text in texts
        if view in ("", name)
    ]


@settings(deadline=None)
@given(BATCHES, st.sampled_from(("", *NAMES)), st.integers(0, 20), st.integers(0, 20))
def test_any_part_of_a_view(batches: Batches, view: str, start: int, count: int) -> None:
    """It is the same as of a list."""
    book, expected = filled(batches), flat(batches, view)

    assert book.total(view) == len(expected)
    assert book.lines(view, start, count) == expected[start : start + count]


@settings(deadline=None)
@given(BATCHES, st.sampled_from(("", *NAMES)))
def test_a_download_holds_all(batches: Batches, view: str) -> None:
    text = b"".join(map(gzip.decompress, filled(batches).pieces(view))).decode()

    prefixes = [""] * len(NAMES) if view else [f"[{name}] " for name in NAMES]
    assert text == "".join(f"{prefixes[who]}{line}\n" for who, line in flat(batches, view))


@settings(deadline=None)
@given(BATCHES, st.sampled_from(("", *NAMES)), st.integers(0, 30), st.integers(0, 20))
def test_the_last_lines_of_a_size(batches: Batches, view: str, size: int, end: int) -> None:
    """As many as there is room for, at least one; they can be downloaded alone."""
    book, lines = filled(batches), flat(batches, view)[:end]

    start = book.last(view, size, end)

    sizes = [len(line.encode()) + 1 for _, line in lines]
    assert 0 <= start <= max(0, len(lines) - 1)
    assert sum(sizes[start:]) <= size or start == max(0, len(lines) - 1)
    assert start == 0 or sum(sizes[start - 1 :]) > size
    text = b"".join(map(gzip.decompress, book.pieces(view, start, end))).decode()
    assert text.count("\n") == len(lines) - start


@settings(deadline=None)
@given(
    BATCHES, st.sampled_from(("", *NAMES)), st.text("ab0", min_size=1, max_size=2), st.booleans()
)
def test_search(batches: Batches, view: str, text: str, forward: bool) -> None:
    """The next line is found, and behind the last one the first."""
    book = filled([(name, [t.lower() for t in texts]) for name, texts in batches])
    lines = [line.lower() for _, line in flat(batches, view)]
    having = [number for number, line in enumerate(lines) if text in line]

    for start in range(len(lines) + 1):
        found = book.find(view, text.upper(), start, forward=forward)
        assert found.matches == len(having)
        if forward:
            expected = next((n for n in having if n >= start), having[0] if having else None)
        else:
            last = having[-1] if having else None
            expected = next((n for n in reversed(having) if n <= start), last)
        assert found.number == expected


def test_search_goes_over_what_is_read_at_once() -> None:
    """Lines of a megabyte and many short ones; what came since is found, too."""
    book = filled([("master-0", ["x" * 3_000_000, *["y" * 80] * 40_000, "needle"])])
    assert book.find("", "NEEDLE", 0).number == 40_001
    book.add("worker-1", ["another needle"])
    assert book.find("", "needle", 40_002) == (40_002, 2, False)
    assert book.find("worker-1", "needle", 0) == (0, 1, False)
    assert book.find("", "y", 0).capped


def test_the_oldest_are_left_out() -> None:
    """Numbers stay; of what is gone there is a word in its place."""
    texts = [f"{n:09}" for n in range(1000)]  # of 10 bytes with their ends
    book = LogBook(NAMES, most_bytes=2000)
    for text in texts:
        book.add("worker-0", [text])

    assert book.total() == book.total("worker-0") == 1000
    for view in ("", "worker-0"):
        assert [text for _, text in book.lines(view, 900, 200)] == texts[900:]
        assert (
            book.lines(view, 0, 2) == [(max(0, NAMES.index("worker-0") if view else 0), GONE)] * 2
        )
        assert book.find(view, "000000999", 0).number == 999
        assert book.find(view, "000000001", 0).number is None
        data = b"".join(map(gzip.decompress, book.pieces(view)))
        assert data.endswith(b"000000999\n")


GONE = "(no longer kept here)"


def test_very_many_short_lines_are_left_out_too() -> None:
    """Each takes memory, however little it says."""
    book = LogBook(NAMES, most_lines=100)
    for _ in range(300):
        book.add("master-0", [""])

    texts = [text for _, text in book.lines("", 0, 300)]
    assert texts[-50:] == [""] * 50
    assert texts[:190] == [GONE] * 190


def test_a_download_of_what_is_left_out() -> None:
    """Of a replica that was quiet while others filled the book nothing is left."""
    book = LogBook(NAMES, most_bytes=200)
    book.add("master-0", ["early"])
    for n in range(100):
        book.add("worker-0", [f"{n:09}"])
    assert book.total("master-0") == 1

    assert [*book.pieces("master-0")] == []

    book.add("master-0", ["late"])
    assert [*map(gzip.decompress, book.pieces("master-0"))] == [b"late\n"]
    book.close()
    for view in ("", *NAMES):
        assert [*book.pieces(view)] == []


def test_a_long_line_is_cut_where_it_is_shown() -> None:
    book = filled([("master-0", ["é" * (LONGEST + 5)])])

    ((_, text),) = book.lines("", 0, 1)

    assert text == "é" * LONGEST + " … (5 characters more)"
    assert len(gzip.decompress(next(book.pieces("master-0"))).decode()) == LONGEST + 6


def test_a_full_disk_loses_lines_and_says_so() -> None:
    """What was kept before can be read, and what comes later."""
    book = filled([("master-0", ["before"])])
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (100, hard))
    try:
        book.add("master-0", ["x" * 200])
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    book.add("master-0", ["after"])

    assert [text for _, text in book.lines("", 0, 9)] == ["before", "after"]
    assert book.problem == "lines of the log are missing here: File too large"


def test_a_disk_that_stays_full_takes_nothing_away() -> None:
    book = filled([("master-0", ["before"])])
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (100, hard))
    try:
        for _ in range(3):
            book.add("master-0", ["x" * 200])
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))

    assert book.lines("", 0, 9) == [(0, "before")]


def test_files_are_open_only_for_lines() -> None:
    """Many cards stay in a notebook: what is left out holds no file open."""
    before = len(os.listdir("/proc/self/fd"))
    books = [filled([("master-0", ["a line"])]) for _ in range(3)]
    assert len(os.listdir("/proc/self/fd")) == before + 3

    for book in books:
        book.close()

    assert len(os.listdir("/proc/self/fd")) == before


def test_room_is_given_back() -> None:
    """What is left out then is left out for good; what comes later is not."""
    book = filled([("master-0", ["one", "two"])])
    assert book.size == 8

    book.close()
    book.add("master-0", ["three"])

    assert book.lines("", 0, 9) == [(0, GONE), (0, GONE), (0, "three")]
    assert book.size == 6


def test_a_view_of_nobody() -> None:
    with pytest.raises(KeyError):
        LogBook(NAMES).lines("worker-7", 0, 1)


def test_where_a_replica_has_begun_again() -> None:
    """In the view of all and in its own, whatever is left out later."""
    book = LogBook(NAMES)
    book.add("master-0", ["a", "b"])
    book.add("worker-0", ["c"])
    book.add("worker-0", ["d", "e"], starts_again=True)

    assert [book.begun(view) for view in ("", *NAMES)] == [[3], [], [1], []]
