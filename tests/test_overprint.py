"""Lines that return to their start are shown as a terminal would show them."""

from __future__ import annotations

import time

import pytest

from pyjob_magic.overprint import shown


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        ("plain", "plain"),
        ("\x1b[31mred\x1b[0m", "\x1b[31mred\x1b[0m"),
        ("abc\rX", "Xbc"),
        ("abc\r", "abc"),
        ("\r", ""),
        ("abc\rde\rf", "fec"),
        ("\r  0%|  | 0/9\r 11%|# | 1/9", " 11%|# | 1/9"),
        ("abcdef\rxy\x1b[K", "xy"),
        ("abcdef\rxy\x1b[0Kz", "xyz"),
        ("abcdef\r\x1b[2Kxy", "xy"),
        ("abc\r\x1b[1Cx", "xbc"),
        ("9/10\b\b\b\b\r10/10", "10/10"),
        ("abc\b\bX\r", "aXc"),
        ("\x1b[31mabc\x1b[0m\rX", "X\x1b[31mbc\x1b[0m"),
        ("abc\r\x1b[1;32mX\x1b[0mY", "\x1b[1;32mX\x1b[0mYc"),
        ("a\x1b]0;title\x07bc\rX", "Xbc"),
        ("\x1b\x1b[31m\rX", "\x1b[31mX"),
        ("é😀\rX", "X😀"),
    ],
)
def test_states_overwrite_each_other(line: str, expected: str) -> None:
    assert shown(line) == expected


def test_the_last_states_count() -> None:
    """Of thousands, the first ones have been overwritten long since."""
    assert shown("".join(f"\r{n:5}%" for n in range(10_000))) == " 9999%"
    assert shown("".join(f"\r{n:5}%\x1b[K" for n in range(10_000))) == " 9999%"


@pytest.mark.parametrize("state", ["\r100%|####|", "\r\x1b[32m100%\x1b[0m\b", "\r\x1b[31m\x1b[K"])
def test_a_line_of_many_states_costs_little(state: str) -> None:
    line = state * 100_000
    start = time.perf_counter()

    shown(line)

    assert time.perf_counter() - start < 0.1


@pytest.mark.parametrize("piece", ["\x1b[31mx", "\x1b[", "\x1b]", "\x1b", "\b", "x\b", "\x1b[K "])
def test_no_line_takes_long(piece: str) -> None:
    """A megabyte takes about as long as its characters are many."""
    line = f"\r{piece * (1_000_000 // len(piece))}\rX"
    start = time.perf_counter()

    shown(line)

    assert time.perf_counter() - start < 3
