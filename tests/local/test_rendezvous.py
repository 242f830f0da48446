"""A job meets at a port that nobody else uses."""

from __future__ import annotations

import errno
import socket
from collections.abc import Iterator
from contextlib import ExitStack

import pytest

from pyjob_magic.local.control import rendezvous
from pyjob_magic.local.control.rendezvous import free_port


@pytest.fixture
def few(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """Leave a handful of ports to choose from, so that each is met with for sure."""
    chosen: list[int] = []
    for _ in range(4):
        chosen.append(free_port(chosen))
    monkeypatch.setattr(rendezvous, "_CANDIDATES", chosen)
    return chosen


@pytest.fixture
def listeners() -> Iterator[ExitStack]:
    with ExitStack() as stack:
        yield stack


def listen(stack: ExitStack, address: str, port: int) -> None:
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    listener = stack.enter_context(socket.socket(family))
    try:
        listener.bind((address, port))
    except OSError as error:
        if error.errno == errno.EADDRINUSE:
            raise
        pytest.skip(f"this machine has no {address}")
    listener.listen()


def test_ports_are_not_those_that_others_are_given_by_the_system() -> None:
    """What connects somewhere gets one of those without asking, and a job would find it taken."""
    assert all(20_000 <= free_port(set()) < 30_000 for _ in range(20))


@pytest.mark.parametrize("address", ["127.0.0.1", "0.0.0.0", "::1"])
def test_a_port_that_somebody_listens_at_is_not_given(
    few: list[int], listeners: ExitStack, address: str
) -> None:
    """On whatever address that is: a program of the job may listen on all of them."""
    for port in few[1:]:
        listen(listeners, address, port)
    assert {free_port(set()) for _ in range(10)} == {few[0]}


def test_a_port_that_a_live_job_has_is_not_given(few: list[int]) -> None:
    """Although nobody may listen there yet."""
    assert {free_port(few[1:]) for _ in range(10)} == {few[0]}


def test_where_all_are_taken_the_system_gives_one(few: list[int]) -> None:
    assert free_port(few) not in few
