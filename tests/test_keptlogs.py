"""What was seen of a log is there again, once, and never too much of it."""

from __future__ import annotations

import os
import time
from pathlib import Path

import pytest

from pyjob_magic import keptlogs
from pyjob_magic.keptlogs import Keeper, Kept, KeptLogs
from pyjob_magic.stamps import Batch


@pytest.fixture(autouse=True)
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("PYJOB_MAGIC_HOME", str(tmp_path))
    return tmp_path / "kept"


def line(second: int, text: str = "") -> str:
    return f"2026-01-01T00:{second // 60:02d}:{second % 60:02d}.000000001Z {text or second}\n"


def keep(uid: str, *lines: str, run: int = 0, pod: str = "p") -> None:
    keeper = Keeper(KeptLogs(uid), "master-0", pod, pytest.fail)
    for each in lines:
        keeper.keep(run, each)
    keeper.close()


def texts(uid: str) -> list[str] | None:
    kept = KeptLogs(uid).read("master-0")
    return kept.lines() if kept else None


def test_what_is_kept_is_read_with_its_end() -> None:
    keep("job", line(1), line(2) + line(3))

    assert KeptLogs("job").read("master-0") == Kept(
        Batch(["1", "2", "3"], "".join(map(line, (1, 2, 3)))), line(3)[:30]
    )
    assert KeptLogs("job").read("worker-0") is None
    assert KeptLogs("another").read("master-0") is None


def test_what_is_read_again_is_not_kept_again() -> None:
    """Whoever comes later adds what is new, also of lines that share a time."""
    keep("job", line(1) + line(2, "same"))
    keep("job", line(1) + line(2, "same") + line(2, "same") + line(3))

    assert texts("job") == ["1", "same", "same", "3"]


def test_one_at_a_time_writes() -> None:
    first = KeptLogs("job").open("master-0", "p", 0)
    keep("job", line(7))
    assert texts("job") is None

    first.write(line(1))
    first.close()

    assert texts("job") == ["1"]


@pytest.mark.parametrize("name", ["", ".", "..", "../../.ssh", "a/b", "nul\0"])
def test_a_name_that_leads_elsewhere_is_none(place: Path, name: str) -> None:
    """Uids and names come from servers."""
    outside = place.parent / "0000.log"
    outside.write_text(line(1))

    with pytest.raises(OSError, match="no name for a file"):
        KeptLogs(name).open("master-0", "pod", 0)
    with pytest.raises(OSError, match="no name for a file"):
        KeptLogs("uid").open(name, "pod", 0)
    with pytest.raises(OSError, match="no name for a file"):
        KeptLogs("uid").open("master-0", name, 0)
    assert KeptLogs(name).read("master-0") is None
    assert KeptLogs("uid").read(name) is None


def test_who_deletes_a_job_forgets_its_logs(place: Path) -> None:
    """Those of others stay."""
    keep("one", line(1))
    keep("two", line(1))

    KeptLogs("one").remove()
    KeptLogs("never").remove()

    assert texts("one") is None
    assert texts("two") == ["1"]


def test_the_last_run_that_said_something_counts() -> None:
    keep("job", line(1), run=0)
    keep("job", line(2), run=1)
    keep("job", "", pod="another")

    assert texts("job") == ["2"]


def test_half_a_line_of_a_writer_that_was_killed_is_dropped(place: Path) -> None:
    keep("job", line(1))
    (file,) = place.rglob("*.log")
    file.write_text(file.read_text() + "2026-01-01T00:00:02.0000")
    keep("job", line(1) + line(2))

    assert texts("job") == ["1", "2"]


def test_a_long_log_keeps_its_end(place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(keptlogs, "MOST_OF_RUN", 2000)
    keep("job", *(line(second) for second in range(600)))

    kept = texts("job")
    assert kept is not None
    assert kept[-1] == "599"
    assert kept == [str(n) for n in range(int(kept[0]), 600)]
    assert 20 < len(kept) < 600
    assert sum(file.stat().st_size for file in place.rglob("*.*")) <= 2000


def test_many_replicas_share_the_space_of_a_job(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(keptlogs, "MOST_OF_JOB", 100_000)
    keeper = Keeper(KeptLogs("job", replicas=100), "master-0", "p", pytest.fail)
    for second in range(600):
        keeper.keep(0, line(second))
    keeper.close()

    assert len(texts("job") or ()) < 40


def test_the_oldest_jobs_make_room(place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(keptlogs, "MOST_OF_JOB", 100)
    monkeypatch.setattr(keptlogs, "MOST_OF_ALL", 250)
    for number in range(6):
        keep(f"job-{number}", line(number))
        for file in (place / f"job-{number}").rglob("*.log"):
            os.utime(file, (time.time() - 100 + number,) * 2)

    assert sorted(path.name for path in place.iterdir()) == [f"job-{n}" for n in (1, 2, 3, 4, 5)]


def test_what_is_too_old_is_removed(place: Path) -> None:
    keep("old", line(1))
    (file,) = place.rglob("*.log")
    os.utime(file, (time.time() - keptlogs.LONGEST - 1,) * 2)
    keep("new", line(1))

    assert [path.name for path in place.iterdir()] == ["new"]


def test_where_it_cannot_be_written_that_is_said_once(place: Path) -> None:
    place.write_text("a file")
    notes: list[str] = []
    keeper = Keeper(KeptLogs("job"), "master-0", "p", notes.append)
    for run in range(3):
        keeper.keep(run, line(run))

    assert notes == [f"logs are not kept in {place}: File exists"]


def test_without_a_place_of_ones_own_it_is_the_users(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("PYJOB_MAGIC_HOME")
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))

    assert keptlogs.directory() == tmp_path / "state" / "pyjob_magic" / "kept"
