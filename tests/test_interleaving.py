"""Lines of several replicas are told in the order in which they were printed."""

from __future__ import annotations

from collections import defaultdict

from hypothesis import given
from hypothesis import strategies as st

from pyjob_magic.interleaving import Part, interleaved
from pyjob_magic.stamps import Batch

REPLICAS = ("master-0", "worker-0", "worker-1")
LINES = st.lists(st.tuples(st.integers(0, 59), st.text("abc", max_size=3)), min_size=1, max_size=8)


def part(replica: str, *lines: tuple[int, str], starts_again: bool = False) -> Part:
    texts = [text for _, text in lines]
    raw = "".join(f"2026-01-01T00:00:{second:02d}.5Z {text}\n" for second, text in lines)
    return Part(replica, texts, starts_again, Batch(texts, raw))


def test_by_their_times() -> None:
    parts = [
        part("master-0", (1, "a"), (4, "d"), (5, "e")),
        part("worker-0", (2, "b"), (3, "c"), (6, "f")),
    ]

    assert [*interleaved(parts)] == [
        ("master-0", ["a"], False),
        ("worker-0", ["b", "c"], False),
        ("master-0", ["d", "e"], False),
        ("worker-0", ["f"], False),
    ]


def test_where_a_replica_was_started_again_is_kept() -> None:
    """Also where nobody else has printed in between."""
    parts = [
        part("master-0", (1, "a")),
        part("master-0", (2, "b"), (4, "d"), starts_again=True),
        part("master-0", (5, "e")),
        part("worker-0", (3, "c")),
    ]

    assert [*interleaved(parts)] == [
        ("master-0", ["a"], False),
        ("master-0", ["b"], True),
        ("worker-0", ["c"], False),
        ("master-0", ["d", "e"], False),
    ]


def test_the_time_of_a_zone_of_its_own() -> None:
    """Some runtimes write the local time of their node."""
    there = Batch(["first"], "2026-01-01T02:00:00.999+02:00 first\n")
    parts = [part("master-0", (1, "second")), Part("worker-0", ["first"], False, there)]

    assert [piece.lines for piece in interleaved(parts)] == [["first"], ["second"]]


def test_a_line_without_a_time_stays_behind_the_one_before() -> None:
    raw = "2026-01-01T00:00:01Z a\nunable to retrieve container logs\n"
    lines = ["a", "unable to retrieve container logs"]
    parts = [part("master-0", (2, "b")), Part("worker-0", lines, False, Batch(lines, raw))]

    assert [piece.lines for piece in interleaved(parts)] == [lines, ["b"]]
    assert Batch(lines[1:], f"{lines[1]}\n").began == 0
    assert parts[0].batch.began == next(parts[0].batch.moments()) > 0


@given(st.lists(st.tuples(st.sampled_from(REPLICAS), LINES), max_size=6))
def test_none_is_lost_and_each_replica_keeps_its_order(
    said: list[tuple[str, list[tuple[int, str]]]],
) -> None:
    """Also where its clock goes back."""
    expected: dict[str, list[str]] = defaultdict(list)
    told: dict[str, list[str]] = defaultdict(list)
    for replica, lines in said:
        expected[replica] += [text for _, text in lines]
    for piece in interleaved([part(replica, *lines) for replica, lines in said]):
        told[piece.replica] += piece.lines

    assert told == expected
