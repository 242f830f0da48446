"""Jobs that fail or wait on the embedded API, with real processes, and what is said of them."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

import pyjob_magic
from pyjob_magic import errors
from pyjob_magic.connection import Connection
from tests.state import eventually

pytestmark = pytest.mark.usefixtures("home")

GROUP = """\
import datetime, os, time
import torch
import torch.distributed as dist
dist.init_process_group("gloo", timeout=datetime.timedelta(seconds=3))
if dist.get_rank() == 1:
    {act}
dist.all_reduce(torch.ones(1))
"""


@pytest.fixture
def connection() -> Iterator[Connection]:
    lent = pyjob_magic.connect("local", namespace="diagnosed")
    yield lent
    jobs = lent.list()
    for job in jobs:
        job.delete()
    eventually(lambda: not any(job.replicas() for job in jobs))
    lent.close()


def failure(connection: Connection, source: str, **options: Any) -> errors.JobFailedError:
    """Run a job to its end; return how it failed."""
    job = connection.submit(connection.build(source, name="j", **options))
    with pytest.raises(errors.JobFailedError) as failed:
        job.wait(60)
    return failed.value


@pytest.mark.parametrize(
    ("act", "replica", "says"),
    [
        ("raise ValueError('bad')", "worker-0", "ValueError: bad (line 6 of the code: raise"),
        ("time.sleep(60)", "master-0", "a collective operation timed out (line 7 of the code"),
    ],
)
def test_one_rank_of_a_process_group(
    connection: Connection, act: str, replica: str, says: str
) -> None:
    """An exception is found though the others lose their connection; a rank that hangs, too."""
    failed = failure(connection, GROUP.format(act=act), workers=1)

    assert failed.replica == replica
    assert says in str(failed)
    assert failed.traceback.startswith("Traceback (most recent call last):")


def test_memory_that_is_not_enough(connection: Connection) -> None:
    """What was used and allowed is said, and which option to change."""
    source = "import time\nheld = b'x' * 400_000_000\ntime.sleep(30)"

    failed = failure(connection, source, memory="100Mi")

    assert "master-0 was ended because it used " in str(failed)
    assert " of memory, of 100Mi allowed (OOMKilled); give it more with --memory" in str(failed)
    assert failed.exit_code == 137


def test_a_missing_package(connection: Connection) -> None:
    """How to get it is said, for clusters and for this machine."""
    failed = failure(connection, "import no_such_package")

    assert "master-0 has no package 'no_such_package' (line 1 of the code" in str(failed)
    assert "choose an --image that has it; on this machine %pip install it" in str(failed)


def test_a_crash(connection: Connection) -> None:
    """The signal is named."""
    failed = failure(connection, "import os, signal\nos.kill(os.getpid(), signal.SIGSEGV)")

    assert "master-0 was ended by SIGSEGV, exit code 139: a library" in str(failed)


def test_the_card_begins_with_the_diagnosis(connection: Connection) -> None:
    """It stands before all other notes; the traceback is there, and hostile text stays text."""
    source = "raise ValueError('<script>alert(1)</script>')"
    failed = failure(connection, source)

    card = connection.get("j").card()

    assert failed.traceback
    first, *_ = card.notes
    assert first in str(failed)
    shown = card._repr_mimebundle_()
    assert "Traceback of master-0" in shown["text/plain"]
    assert "<summary>Traceback of master-0</summary>" in shown["text/html"]
    assert "<script" not in shown["text/html"]


def test_a_job_that_waits_for_a_config_map(connection: Connection) -> None:
    """The card says what is missing instead of the kubelet's words."""
    manifest = connection.build("pass", name="j", mounts=["configmap:nowhere:/conf"])
    job = connection.submit(manifest)

    notes = eventually(lambda: [note for note in job.card().notes if "nowhere" in note])

    assert notes == [
        "master-0 cannot start: the configmap 'nowhere' that the job uses does not exist; "
        "create it in the job's namespace, or correct --mount"
    ]
