"""The timekeeper notes how logs grow, and does nothing else."""

from __future__ import annotations

import asyncio
import os
from pathlib import Path

import pytest

from pyjob_magic.local.kubelet.logtimes import MOST_NOTES, RECORD_BYTES, Note, pack, unpack
from pyjob_magic.local.kubelet.timekeeper import Timekeeper, times
from pyjob_magic.local.kubelet.timekeeper import noted as known


@pytest.fixture
def log(tmp_path: Path) -> Path:
    path = tmp_path / "log"
    path.touch()
    return path


def noted(log: Path) -> list[Note]:
    path = log.with_name("times")
    return unpack(path.read_bytes()) if path.exists() else []


def write(log: Path, text: bytes, second: int) -> None:
    """Append to a log as if it were the second `second` of time."""
    with log.open("ab") as file:
        file.write(text)
    os.utime(log, ns=(0, second * 1_000_000_000))


async def until_noted(log: Path, count: int) -> None:
    async with asyncio.timeout(20):
        while len(noted(log)) != count:
            await asyncio.sleep(0.01)


def test_each_growth_is_noted_with_the_time_of_the_last_write(log: Path) -> None:
    async def run() -> None:
        with Timekeeper().watching(log):
            for number in (1, 2):
                write(log, b"line\n", second=number)
                await until_noted(log, number)

    asyncio.run(run())
    assert noted(log) == [Note(1_000_000_000, 5), Note(2_000_000_000, 10)]


def test_notes_go_on_where_another_timekeeper_stopped(log: Path) -> None:
    """What nobody saw come has the time of its last write."""

    async def run() -> None:
        for number in (1, 2):
            write(log, b"line\n", second=number)
            with Timekeeper().watching(log):
                await until_noted(log, number)

    asyncio.run(run())
    assert noted(log) == [Note(1_000_000_000, 5), Note(2_000_000_000, 10)]


def test_a_quiet_log_is_not_noted(log: Path) -> None:
    async def run() -> None:
        other = log.with_name("other") / "log"
        other.parent.mkdir()
        timekeeper = Timekeeper()
        with timekeeper.watching(log), timekeeper.watching(other):
            for number in (1, 2):
                write(other, b"line\n", second=number)
                await until_noted(other, number)

    asyncio.run(run())
    assert noted(log) == []


def test_nothing_is_left_to_do_when_no_container_runs(log: Path) -> None:
    async def run() -> None:
        timekeeper = Timekeeper()
        for number in (1, 2):  # the second finds the first one's task gone
            with timekeeper.watching(log):
                write(log, b"line\n", second=number)
                await until_noted(log, number)
            async with asyncio.timeout(20):
                while len(asyncio.all_tasks()) > 1:
                    await asyncio.sleep(0.01)

    asyncio.run(run())


def test_a_log_that_is_gone_does_not_keep_others_from_being_noted(log: Path) -> None:
    async def run() -> None:
        timekeeper = Timekeeper()
        with timekeeper.watching(log.with_name("gone")), timekeeper.watching(log):
            write(log, b"line\n", second=1)
            await until_noted(log, 1)

    asyncio.run(run())


def test_half_a_note_is_overwritten(log: Path) -> None:
    log.with_name("times").write_bytes(pack([Note(1, 5)]) + b"half")
    write(log, b"line\nline\n", second=2)

    async def run() -> None:
        with Timekeeper().watching(log):
            await until_noted(log, 2)

    asyncio.run(run())
    assert noted(log) == [Note(1, 5), Note(2_000_000_000, 10)]


def test_the_file_is_bounded(log: Path) -> None:
    many = [Note(number * 200_000_000, number) for number in range(MOST_NOTES)]
    log.with_name("times").write_bytes(pack(many))
    write(log, b"x" * MOST_NOTES, second=MOST_NOTES)

    async def run() -> None:
        with Timekeeper().watching(log):
            async with asyncio.timeout(20):
                while noted(log)[-1].size < MOST_NOTES:
                    await asyncio.sleep(0.01)

    asyncio.run(run())
    assert log.with_name("times").stat().st_size < MOST_NOTES * RECORD_BYTES / 2


def test_a_log_without_notes_has_the_time_of_its_last_write(log: Path) -> None:
    write(log, b"a\nb\n", second=7)
    with log.open("rb", buffering=0) as file:
        assert times(file).of(0)[0] == 7_000_000_000


def test_who_waits_for_a_note_learns_of_those_that_were_made_before_the_end(log: Path) -> None:
    """A follower tells of the last lines as who reads them afterwards, when no one keeps times."""
    write(log, b"a\n", second=1)

    async def run() -> None:
        timekeeper = Timekeeper()
        with log.open("rb", buffering=0) as file:
            followed = known(file)
            with timekeeper.watching(log):
                await until_noted(log, 1)
                # A look was just taken: another one is not due yet, and the follower waits for it.
                write(log, b"b\n", second=2)
                following = asyncio.create_task(timekeeper.extend(followed, file, 4))
                await asyncio.sleep(0)
                log.with_name("times").write_bytes(pack([*noted(log), Note(2_000_000_000, 4)]))
                write(log, b"c\n", second=3)
            await following
            await timekeeper.extend(followed, file, 6)
            assert [followed.of(at)[0] // 1_000_000_000 for at in (0, 2, 4)] == [1, 2, 3]
            assert [times(file).of(at)[0] // 1_000_000_000 for at in (0, 2, 4)] == [1, 2, 3]

    asyncio.run(run())
