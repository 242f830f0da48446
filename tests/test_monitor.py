"""What follows one job for its cards, with real jobs."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from pathlib import Path

import pytest

from pyjob_magic import connect
from pyjob_magic._monitor import Monitor, Part
from pyjob_magic.connection import Connection
from tests.state import eventually


@pytest.fixture
def local(home: Path) -> Iterator[Connection]:
    connection = connect()
    yield connection
    connection.close()


def test_an_answer_that_is_older_than_the_news_changes_nothing(local: Connection) -> None:
    """Suspending answers with the job as it was before it was suspended, and may be slow."""
    job = local.submit(local.build("import time; time.sleep(600)", name="sleeps"))
    monitor = Monitor(job)
    monitor.start()
    eventually(lambda: monitor.state == "Running")
    older = job.suspend().manifest
    eventually(lambda: monitor.state == "Suspended")

    job.manifest = older

    assert monitor.state == "Suspended"
    assert monitor.tell(Part.HEAD)["head"]["state"] == "Suspended"
    job.delete()
    eventually(lambda: monitor.over)


def printed(monitor: Monitor, lines: int) -> bool:
    return monitor.book.total() == lines


def test_a_job_that_was_resumed_begins_again_in_its_log(local: Connection) -> None:
    """The first line of each further run is marked, and no other."""
    source = "import time; print('a', flush=True); print('b', flush=True); time.sleep(600)"
    job = local.submit(local.build(source, name="twice"))
    monitor = Monitor(job)
    monitor.start()
    for total in (2, 4):
        eventually(partial(printed, monitor, total))
        job.suspend()
        eventually(lambda: monitor.state == "Suspended")
        job.resume()
    eventually(partial(printed, monitor, 6))

    assert monitor.tell(Part.LOG)["tail"]["begun"] == [2, 4]
    job.delete()
    eventually(lambda: monitor.over)
