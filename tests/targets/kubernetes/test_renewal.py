"""A value that many threads need is fetched by one of them."""

from __future__ import annotations

import threading
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor

import pytest

from pyjob_magic.errors import TargetError
from pyjob_magic.targets.kubernetes.renewal import Renewal
from tests.state import eventually

COUNT = 5


def ask_together(fetch: Callable[[], int]) -> list[Future[int]]:
    """Let threads ask for a value that is no longer good; fetch it when all of them wait."""
    asked: list[int] = []
    fetched: list[int] = []
    waiting = threading.Event()

    def first_good_then_fetched() -> int:
        fetched.append(1)
        if len(fetched) == 1:
            return 0
        waiting.wait(20)
        return fetch()

    def no_longer_good(value: int) -> bool:
        asked.append(value)
        return False

    renewal = Renewal(first_good_then_fetched, no_longer_good)
    renewal.current()
    with ThreadPoolExecutor(COUNT) as pool:
        results = [pool.submit(renewal.current) for _ in range(COUNT)]
        eventually(lambda: len(asked) == COUNT)
        waiting.set()
    assert len(fetched) == 2
    return results


def test_value_is_shared() -> None:
    """All get what one of them has fetched."""
    assert [each.result() for each in ask_together(lambda: 7)] == [7] * COUNT


def test_failure_is_shared() -> None:
    """All get the error: they do not try one after the other."""

    def fail() -> int:
        raise TargetError("no")

    assert [str(each.exception()) for each in ask_together(fail)] == ["no"] * COUNT


def test_interrupt_is_not_shared() -> None:
    """It is for one thread; the others are told."""

    def interrupt() -> int:
        raise KeyboardInterrupt

    errors = [each.exception() for each in ask_together(interrupt)]

    assert sorted(type(error).__name__ for error in errors) == (
        ["KeyboardInterrupt"] + ["TargetError"] * (COUNT - 1)
    )


def test_failure_does_not_last() -> None:
    """Who asks next tries again."""
    values: list[int] = []

    def second_time() -> int:
        values.append(len(values))
        if len(values) == 1:
            raise TargetError("no")
        return 7

    renewal = Renewal(second_time, lambda _: True)
    with pytest.raises(TargetError):
        renewal.current()

    assert renewal.current() == 7
    assert renewal.current() == 7
    assert len(values) == 2
