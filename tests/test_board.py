"""The jobs of a namespace as rows, told of by one watch."""

from __future__ import annotations

import json
from collections.abc import Callable
from types import SimpleNamespace
from typing import Any, cast

import pytest

from pyjob_magic._board import Board, row
from pyjob_magic.client import Client
from pyjob_magic.informer import News, Tell
from pyjob_magic.models import PyTorchJob
from tests.test_timeline import START, a_job, conditions


class Watching:
    """Stands for a client; the test tells the news."""

    tell: Tell
    target = SimpleNamespace(dialect=SimpleNamespace(suspends=True))

    def __init__(self) -> None:
        self.ended = False

    def watch_jobs(self, tell: Tell) -> Callable[[], None]:
        self.tell = tell
        return self._end

    def _end(self) -> None:
        self.ended = True


@pytest.fixture
def watch() -> Watching:
    return Watching()


@pytest.fixture
def changes() -> list[None]:
    """Return a list that grows with each change that is told of."""
    return []


@pytest.fixture
def board(watch: Watching, changes: list[None]) -> Board:
    return Board(cast(Client, watch), lambda: changes.append(None))


def named(name: str, created: str = "2026-01-01T00:00:00Z", **more: Any) -> PyTorchJob:
    job = a_job(**more)
    meta = job.metadata.model_copy(
        update={"name": name, "uid": f"uid-{name}", "creation_timestamp": created}
    )
    return job.model_copy(update={"metadata": meta})


def test_a_name_that_is_taken_has_a_free_one_beside_it(watch: Watching, board: Board) -> None:
    """As another run of the job would be called; it is free again when the job is deleted."""
    assert board.free_name("train") == "train"
    for name in ("train", "train-2"):
        watch.tell(News.CHANGED, named(name))

    assert board.free_name("train") == "train-3"
    assert board.free_name("other") == "other"
    watch.tell(News.DELETED, named("train"))
    assert board.free_name("train") == "train"


def test_a_row_says_how_a_job_fares() -> None:
    """In values of JSON, with times in seconds since the epoch."""
    status = {
        "startTime": "2026-01-01T00:00:02Z",
        "conditions": conditions(Created=1, Running=9),
        "replicaStatuses": {"Master": {"active": 1}, "Worker": {"active": 1, "succeeded": 1}},
    }

    found = json.loads(json.dumps(row(named("mnist", workers=3, status=status))))

    assert found == {
        "uid": "uid-mnist",
        "name": "mnist",
        "namespace": "default",
        "state": "Running",
        "tone": "running",
        "created": START.timestamp(),
        "started": START.timestamp() + 2,
        "ended": None,
        "replicas": [3, 4],
        "asked": "1 Master + 3 Workers",
        "can": ["suspend", "delete", "rerun", "wait"],
        "who": "",
    }


def test_a_row_of_a_job_that_has_ended() -> None:
    status = {"conditions": conditions(Running=5, Succeeded=60)}

    found = row(named("done", status=status))

    assert (found["state"], found["tone"]) == ("Succeeded", "ok")
    assert not {"suspend", "resume"} & {*found["can"]}
    assert found["ended"] == START.timestamp() + 60


def test_a_row_of_a_job_of_which_little_is_said() -> None:
    """Others write jobs too."""
    job = PyTorchJob.from_wire({"metadata": {"name": "bare"}, "spec": {"pytorchReplicaSpecs": {}}})

    found = row(job)

    assert (found["uid"], found["created"], found["replicas"]) == ("bare", None, [0, 0])


def test_news_become_rows_with_the_newest_job_first(
    board: Board, watch: Watching, changes: list[None]
) -> None:
    for number in (2, 3, 1):
        watch.tell(News.CHANGED, named(f"job-{number}", f"2026-01-0{number}T00:00:00Z"))
    watch.tell(News.SYNCED, None)

    assert [each["name"] for each in board.rows()] == ["job-3", "job-2", "job-1"]
    assert board.synced
    assert len(changes) == 4

    status = {"conditions": conditions(Failed=1)}
    watch.tell(News.CHANGED, named("job-2", "2026-01-02T00:00:00Z", status=status))
    watch.tell(News.DELETED, named("job-3", "2026-01-03T00:00:00Z"))

    assert [(each["name"], each["state"]) for each in board.rows()] == [
        ("job-2", "Failed"),
        ("job-1", "Submitted"),
    ]
    assert board.job("uid-job-3") is None
    job = board.job("uid-job-2")
    assert job is not None
    assert job.status.state == "Failed"


def test_what_keeps_it_from_being_up_to_date_is_said_until_it_is(
    board: Board, watch: Watching, changes: list[None]
) -> None:
    watch.tell(News.NOTE, "the server does not answer")
    assert board.note == "the server does not answer"
    assert changes

    watch.tell(News.CHANGED, named("job"))
    assert board.note == ""

    watch.tell(News.FAILED, RuntimeError("no rights"))
    assert board.note == "no rights"


def test_it_can_be_closed(board: Board, watch: Watching) -> None:
    board.close()

    assert watch.ended
