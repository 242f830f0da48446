"""What was submitted from here is kept, whatever happens to cluster, disk and kernel."""

from __future__ import annotations

import contextlib
import itertools
import os
import resource
import sqlite3
import subprocess
import sys
import uuid
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

import pyjob_magic
from pyjob_magic import history, keptlogs
from pyjob_magic._monitor import Monitor
from pyjob_magic._past import PastJob
from pyjob_magic.diagnosis import Diagnosis
from pyjob_magic.errors import HistoryError, JobFailedError, ManifestError, OptionError
from pyjob_magic.manifest import Manifest, Origin, build
from pyjob_magic.metrics import Point, Series
from pyjob_magic.models import PyTorchJob
from pyjob_magic.options import JobOptions
from pyjob_magic.target import Target
from tests.state import eventually

TARGET = Target("kubernetes", "https://k8s", place="prod", context="prod")
ENDED = {"type": "Failed", "status": "True", "lastTransitionTime": "2026-01-01T00:01:00Z"}


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Lend a state directory without an embedded API."""
    monkeypatch.setenv("PYJOB_MAGIC_HOME", str(tmp_path))
    return tmp_path / "history"


def submitted(
    name: str = "train", source: str = "print(1)\n", line: str = "", **said: Any
) -> PyTorchJob:
    """Record a job that no server has seen, and return it as one would have stored it."""
    origin = Origin("2026-01-01T00:00:00Z", "abcde", notebook="mnist", line=line)
    sent = build(JobOptions.read({"name": name, **said}), source, origin, namespace="team-a")
    created = stored(sent, uid=str(uuid.uuid4()))
    history.record(sent, created, TARGET)
    return created


def stored(sent: Manifest, **meta: str) -> PyTorchJob:
    wire = sent.job.to_wire()
    times = {"creationTimestamp": "2026-01-01T00:00:00Z"}
    return PyTorchJob.from_wire({**wire, "metadata": {**wire["metadata"], **times, **meta}})


def ended(job: PyTorchJob) -> PyTorchJob:
    status = {"startTime": "2026-01-01T00:00:10Z", "conditions": [ENDED]}
    return PyTorchJob.from_wire({**job.to_wire(), "status": status})


def uid(job: PyTorchJob) -> str:
    return job.metadata.uid or ""


def kept(job: PyTorchJob) -> PastJob:
    found = history.get(uid(job))
    assert found is not None
    return found


def names(**asked: Any) -> list[str]:
    return [entry.name for entry in history.entries(**asked)]


def everything(place: Path) -> bytes:
    return b"".join(file.read_bytes() for file in place.iterdir())


@pytest.mark.usefixtures("place")
def test_what_is_submitted_is_known_at_a_glance_and_in_full() -> None:
    job = submitted(workers=2, cpu="2", memory="4Gi", line="train -w 2")

    (entry,) = history.entries()

    assert (entry.name, entry.namespace, entry.place) == ("train", "team-a", "kubernetes (prod)")
    assert (entry.target, entry.context, entry.notebook) == ("kubernetes", "prod", "mnist")
    assert (entry.line, entry.submitted) == ("train -w 2", "2026-01-01T00:00:00Z")
    assert entry.asked == "1 Master + 2 Workers, each 2 CPU, 4Gi"
    assert entry.state == "Unknown"
    assert kept(job).source == "print(1)\n"
    assert kept(job).manifest.spec == job.spec


@pytest.mark.usefixtures("place")
def test_code_that_travels_beside_the_manifest_is_kept_too() -> None:
    source = "x = 1\n" * 30_000

    assert kept(submitted(source=source)).source == source


def test_nobody_else_may_look(place: Path) -> None:
    before = os.umask(0)
    try:
        kept(submitted())
    finally:
        os.umask(before)

    assert place.stat().st_mode & 0o777 == 0o700
    assert {file.stat().st_mode & 0o777 for file in place.iterdir()} == {0o600}


OUTCOMES: list[dict[str, Any]] = [
    {},
    {"diagnosis": Diagnosis("it failed", replica="worker-0", traceback="Traceback ...")},
    {"series": [Series("master-0", "loss", "step", [Point(1, 0.5), Point(2, float("nan"))])]},
    {"log": {"master-0": ["one", "two"], "worker-0": ["three"]}, "failed": {"worker-0"}},
    {"log": {"master-0": ["two"]}, "diagnosis": Diagnosis("short")},
    {"gone": datetime(2026, 1, 2, tzinfo=UTC)},
]


@pytest.mark.usefixtures("place")
def test_of_all_who_have_seen_the_end_each_adds_what_it_knows() -> None:
    """In whatever order, and however often."""
    found = []
    for number, order in enumerate(itertools.permutations(OUTCOMES)):
        if number % 40:
            continue
        job = submitted(workers=1)
        for seen in (*order, order[0]):
            history.note_outcome(ended(job), **seen)
        found.append(kept(job))

    for past in found:
        assert (past.state, past.ended) == ("Failed", "2026-01-01T00:01:00Z")
        assert past.summary == "it failed"
        assert past.diagnosis == OUTCOMES[1]["diagnosis"]
        assert repr(past.series) == repr(OUTCOMES[2]["series"])  # NaN is not equal to itself
        assert [*past.log.items()] == [("worker-0", ["three"]), ("master-0", ["one", "two"])]
        assert past.deleted == "2026-01-02T00:00:00Z"


@pytest.mark.usefixtures("place")
def test_a_job_that_was_deleted_before_its_end_says_so() -> None:
    job = submitted()

    history.note_outcome(job, gone=datetime(2026, 1, 2, tzinfo=UTC))

    assert kept(job).state == "Deleted"
    assert names(state="Deleted") == ["train"]


@pytest.mark.usefixtures("place")
def test_the_end_of_somebody_elses_job_is_not_kept() -> None:
    mine = submitted()
    others = PyTorchJob.from_wire({**mine.to_wire(), "metadata": {"name": "other", "uid": "u"}})

    history.note_outcome(ended(others))
    history.note_ends([ended(others)])

    assert names() == ["train"]


@pytest.mark.usefixtures("place")
def test_of_logs_the_last_lines_of_some_replicas_are_kept() -> None:
    job = submitted(workers=20)
    log = {name: [f"{n} {'x' * 5_000}" for n in range(300)] for name in job.replica_names}

    history.note_outcome(ended(job), log=log, failed=["worker-15"])

    past = kept(job)
    assert [*past.log] == ["worker-15", "master-0", *(f"worker-{n}" for n in range(6))]
    assert {len(lines) for lines in past.log.values()} == {200}
    assert max(len(line) for lines in past.log.values() for line in lines) == 2_000
    assert past.log["worker-15"][-1].startswith("299 ")


@pytest.mark.usefixtures("place")
def test_of_metrics_the_picture_is_kept() -> None:
    job = submitted()
    points = [Point(step, step % 100) for step in range(100_000)]

    history.note_outcome(ended(job), series=[Series("master-0", "loss", "step", points)])

    (series,) = kept(job).series
    assert len(series.points) <= 400
    assert (series.points[0], series.points[-1]) == (points[0], points[-1])


def test_no_secret_value_is_in_the_file(place: Path) -> None:
    """Neither of the options, nor of the line, nor as a job has printed it."""
    secret = "hf_4f3a9c"
    job = submitted(env={"HF_TOKEN": secret, "EPOCHS": "3"}, line=f"train --patch '{secret}'")
    wire = job.to_wire()
    wire["metadata"]["annotations"]["kubectl.kubernetes.io/last-applied-configuration"] = secret
    applied = Manifest(PyTorchJob.from_wire(wire))
    history.record(applied, stored(applied, uid="applied"), TARGET)

    history.note_outcome(
        ended(job),
        log={"master-0": [f"token={secret}"]},
        diagnosis=Diagnosis(f"{secret} was refused", traceback=f"Error: {secret}"),
    )

    assert secret.encode() not in everything(place)
    past = kept(job)
    assert past.missing == ["HF_TOKEN"]
    assert past.line == "train --patch '{HF_TOKEN}'"
    assert past.log == {"master-0": ["token={HF_TOKEN}"]}
    assert past.summary == "{HF_TOKEN} was refused"
    assert b'"EPOCHS", "value": "3"' in everything(place)


def test_no_part_of_a_secret_value_is_in_the_file(place: Path) -> None:
    """Neither what a cut has left of it, nor as JSON spells it."""
    secret = 'hf_"4f3a9c" hf_\\ü'
    job = submitted(env={"HF_TOKEN": secret})
    traceback = f"{secret} was refused\n{'x' * (20_000 - 30)}"

    history.note_outcome(
        ended(job),
        log={"master-0": [f"{'x' * 1_990}{secret}{'y' * 50}"]},
        diagnosis=Diagnosis(f"{secret} was refused", traceback=traceback),
    )

    assert b"4f3a" not in everything(place)
    assert kept(job).summary == "{HF_TOKEN} was refused"


@pytest.mark.usefixtures("place")
def test_entries_are_found_by_what_they_say() -> None:
    submitted("one", line="one --queue big")
    submitted("two", source="import torch  # 50 % of all_of it\n")
    history.note_outcome(ended(submitted("three")))

    assert names() == ["three", "two", "one"]
    assert names(limit=2) == ["three", "two"]
    assert names(text="QUEUE BIG") == ["one"]
    assert names(text="50 % of all_of") == ["two"]
    assert names(text="50%") == []
    assert names(state="Failed") == ["three"]
    assert names(where={"name": "two", "namespace": None}) == ["two"]
    assert names(where={"namespace": "'; DROP TABLE jobs; --"}) == []


@pytest.mark.usefixtures("place")
def test_what_is_removed_is_gone() -> None:
    job = submitted("one")
    submitted("two")

    history.remove(uid(job))

    assert names() == ["two"]


@pytest.mark.usefixtures("place")
def test_the_oldest_make_room(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(history, "MOST_JOBS", 5)
    for number in range(12):
        submitted(f"job-{number}")

    assert names() == [f"job-{number}" for number in (11, 10, 9, 8, 7)]


def test_the_oldest_make_room_for_bytes(place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(history, "MOST_BYTES", 1_000_000)
    source = f"x = '{'é' * 20_000}'\n"
    for number in range(60):
        submitted(f"job-{number}", source)

    assert names()[0] == "job-59"
    assert 3 < len(names()) < 30
    assert (place / "jobs.db").stat().st_size < 3_000_000


def submit_many(start: str, count: int) -> None:
    """Record jobs and their ends; what a second kernel does."""
    for number in range(count):
        history.note_outcome(ended(submitted(f"{start}-{number}")), log={"master-0": ["x"] * 50})


def test_several_kernels_write_at_once(place: Path) -> None:
    """Also when all of them find no database, and none loses a word."""
    program = "import sys; from tests.test_history import submit_many; submit_many(sys.argv[1], 60)"
    kernels = [
        subprocess.Popen([sys.executable, "-c", program, start], stderr=subprocess.PIPE, text=True)
        for start in ("a", "b", "c")
    ]

    assert [kernel.communicate(timeout=60)[1] for kernel in kernels] == ["", "", ""]
    assert {*names(state="Failed")} == {f"{s}-{n}" for s in "abc" for n in range(60)}
    assert all(past.log for past in history.jobs(-1, where={}))


def test_a_fork_has_a_connection_of_its_own(place: Path) -> None:
    program = (
        "import os; from tests.test_history import submitted\n"
        "submitted('before')\n"
        "if os.fork() == 0:\n"
        "    submitted('child'); raise SystemExit\n"
        "os.wait(); submitted('parent')\n"
    )
    subprocess.run([sys.executable, "-c", program], check=True)

    assert names() == ["parent", "child", "before"]


def test_a_database_that_somebody_has_removed_begins_anew(place: Path) -> None:
    submitted("before")
    assert names() == ["before"]
    for file in place.iterdir():
        file.unlink()

    submitted("after")

    assert names() == ["after"]


def test_a_full_disk_costs_one_note(place: Path, caplog: pytest.LogCaptureFixture) -> None:
    """What was kept before can be read, and what comes when there is room again is kept."""
    job = submitted("before")
    assert names() == ["before"]
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (place.joinpath("jobs.db-wal").stat().st_size, hard))
    try:
        submitted("during", source=f"x = '{'é' * 20_000}'\n")
        history.note_outcome(ended(job), log={"master-0": ["x" * 1_000] * 100})
        assert names() == ["before"]
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    submitted("after")

    assert names() == ["after", "before"]
    (note,) = caplog.messages
    assert note.startswith(f"jobs are not kept in the history: {place}/jobs.db: ")


def test_a_directory_that_cannot_be_written_costs_one_note(
    place: Path, caplog: pytest.LogCaptureFixture
) -> None:
    place.parent.chmod(0o500)
    with nobody():
        job = submitted()
        history.note_outcome(ended(job))
        history.note_ends([ended(job)])
        assert not history.lacks_lines(uid(job))

    (note,) = caplog.messages
    assert note == f"jobs are not kept in the history: {place}/jobs.db: Permission denied"


def test_a_file_in_its_place_costs_one_note(place: Path, caplog: pytest.LogCaptureFixture) -> None:
    place.write_text("a file")

    history.note_outcome(ended(submitted()))

    assert names() == []
    assert caplog.messages == [f"jobs are not kept in the history: {place}/jobs.db: File exists"]


def garbage(file: Path) -> None:
    file.write_bytes(b"no database at all" * 1_000)


def damage(file: Path) -> None:
    """Overwrite all but the first page."""
    with sqlite3.connect(file) as link:
        link.execute("PRAGMA journal_mode = DELETE")
    link.close()
    file.write_bytes(file.read_bytes()[:4096] + b"\xff" * 20_000)


def newer(file: Path) -> None:
    with sqlite3.connect(file) as link:
        link.execute("PRAGMA user_version = 99")
    link.close()


@pytest.mark.parametrize(
    ("spoil", "why"),
    [
        (garbage, "file is not a database"),
        (damage, "database disk image is malformed"),
        (newer, "a newer version of pyjob_magic has written it"),
    ],
)
def test_a_database_that_cannot_be_used_costs_one_note(
    place: Path, caplog: pytest.LogCaptureFixture, spoil: Any, why: str
) -> None:
    """Who wants to read it is told what to do."""
    program = "from tests.test_history import submit_many; submit_many('old', 20)"
    subprocess.run([sys.executable, "-c", program], check=True)
    spoil(place / "jobs.db")

    for _ in range(3):
        history.note_outcome(ended(submitted()))

    advice = f"{place}/jobs.db: {why}; move it away to begin a new one"
    assert caplog.messages == [f"jobs are not kept in the history: {advice}"]
    with pytest.raises(HistoryError) as unreadable:
        history.entries()
    assert str(unreadable.value) == f"the history cannot be read: {advice}"


def test_what_was_not_written_here_is_an_error_not_a_crash(place: Path) -> None:
    job = submitted()
    assert names() == ["train"]
    with sqlite3.connect(place / "jobs.db") as link:
        link.execute("UPDATE jobs SET log = 'no JSON'")
    link.close()

    with pytest.raises(HistoryError, match="holds what was not written here"):
        history.get(uid(job))


@pytest.mark.usefixtures("place")
def test_logs_that_are_kept_say_more_than_the_history() -> None:
    job = submitted(workers=1)
    history.note_outcome(ended(job), log={"master-0": ["two"], "worker-0": ["other", "last"]})
    keeper = keptlogs.Keeper(keptlogs.KeptLogs(uid(job)), "master-0", "p", pytest.fail)
    keeper.keep(0, "2026-01-01T00:00:01Z one\n2026-01-01T00:00:02Z two\n")
    keeper.close()

    past = kept(job)

    assert history.log(past, "master-0") == "one\ntwo\n"
    assert history.log(past, tail=1) == "[master-0] two\n[worker-0] last\n"
    assert history.log(past, "worker-0", 0) == ""
    with pytest.raises(OptionError, match="had no 'worker-7'; it had master-0, worker-0"):
        history.log(past, "worker-7")


@contextlib.contextmanager
def nobody() -> Iterator[None]:
    """Be somebody whom modes keep out; root is not."""
    before = os.geteuid()
    if before == 0:
        os.seteuid(65534)
    try:
        yield
    finally:
        os.seteuid(before)


# -- real jobs ------------------------------------------------------------------------------------


@pytest.fixture
def here(home: Path) -> Iterator[pyjob_magic.Connection]:
    connection = pyjob_magic.connect(namespace=f"test-{uuid.uuid4().hex[:8]}")
    yield connection
    for job in connection.list():
        job.delete()
    connection.close()


TRAINING = "import time\nfor i in range(300): print(f'step {i} loss={1 / (i + 1)}')\n"


def test_a_job_that_is_waited_for_is_kept_with_all_that_it_said(
    here: pyjob_magic.Connection,
) -> None:
    """Also its first metrics, of which the last lines no longer tell."""
    job = here.submit(here.build(TRAINING, name="train", workers=1))
    job.wait(30, on_line=lambda _: None)

    (past,) = here.history()
    assert (past.name, past.state, past.source) == ("train", "Succeeded", TRAINING)
    assert past.log["worker-0"][-1].startswith("step 299 loss=")
    assert len(past.log["master-0"]) == 200
    assert {(each.replica, each.points[0].step) for each in past.series} == {
        ("master-0", 0),
        ("worker-0", 0),
    }


def test_a_job_that_fails_is_kept_with_the_reason(here: pyjob_magic.Connection) -> None:
    job = here.submit(here.build("raise ValueError('no such file')", name="broken"))
    with pytest.raises(JobFailedError):
        job.wait(30)

    (past,) = here.history("broken")
    assert past.state == "Failed"
    assert "ValueError: no such file" in past.summary
    assert past.diagnosis is not None
    assert past.diagnosis.traceback.endswith("ValueError: no such file")
    assert past.log["master-0"][-1] == "ValueError: no such file"


def test_a_card_that_follows_a_job_keeps_its_end(here: pyjob_magic.Connection) -> None:
    job = here.submit(here.build(TRAINING, name="train"))
    monitor = Monitor(job)
    monitor.start()
    eventually(lambda: monitor.over)

    (past,) = here.history()
    assert past.state == "Succeeded"
    assert len(past.log["master-0"]) == 200
    assert past.series[0].points[0].step == 0


def test_the_end_that_nobody_saw_is_found_when_somebody_looks(
    here: pyjob_magic.Connection,
) -> None:
    """A list tells of the state; whoever waits for what has ended, or reads it, tells the rest."""
    job = here.submit(here.build("print('done')", name="quiet"))
    eventually(lambda: job.status.ended)
    assert here.history()[0].state == "Unknown"

    here.list()
    assert here.history()[0].state == "Succeeded"
    assert here.history()[0].log == {}

    here.get("quiet").wait()
    assert here.history()[0].log == {"master-0": ["done"]}


def test_logs_that_are_read_at_last_are_kept(here: pyjob_magic.Connection) -> None:
    job = here.submit(here.build("print('loss=0.5')", name="quiet"))
    eventually(lambda: job.status.ended)

    job.logs()

    (past,) = here.history()
    assert past.log == {"master-0": ["loss=0.5"]}
    assert past.series[0].points == [Point(1, 0.5)]


def test_a_dry_run_is_none_and_a_rerun_is_another(here: pyjob_magic.Connection) -> None:
    manifest = here.build("print(1)", name="train")
    here.submit(manifest, dry_run=True)
    assert len(here.history()) == 0

    here.submit(manifest).rerun()

    assert [past.name for past in here.history()] == ["train-2", "train"]


def test_a_deleted_job_stays_known_and_runs_again(here: pyjob_magic.Connection) -> None:
    """Also one whose code had a ConfigMap of its own, which is gone with it."""
    source = f"print('first')\n{'# filling' * 11_000}\n"
    job = here.submit(here.build(source, name="train", ttl=3))
    job.wait(30)
    eventually(lambda: len(here.list()) == 0)
    (past,) = here.history()
    assert past.source == source

    again = here.rerun(past)

    assert again.name == "train-2"
    assert again.wait(30).state == "Succeeded"
    assert here.history("train-2")[0].log == {"master-0": ["first"]}


def test_a_secret_that_was_not_kept_has_to_be_said(
    here: pyjob_magic.Connection, home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    source = "import os; print(os.environ['HF_TOKEN'][::-1])"
    job = here.submit(here.build(source, name="train", env={"HF_TOKEN": "hf_secret"}))
    job.wait(30)
    job.delete()
    (past,) = here.history()
    assert past.deleted

    with pytest.raises(ManifestError, match="set HF_TOKEN in the notebook") as refused:
        here.rerun(past)
    assert "\n" not in str(refused.value)
    said = here.rerun(past, secrets={"HF_TOKEN": "hf_other"})
    monkeypatch.setenv("HF_TOKEN", "hf_third")
    found = here.rerun(past)

    assert (said.name, found.name) == ("train-2", "train-3")
    said.wait(30)
    found.wait(30)
    assert (said.logs(), found.logs()) == ("[master-0] rehto_fh\n", "[master-0] driht_fh\n")
    written = everything(home / "history")
    assert not [word for word in (b"hf_secret", b"hf_other", b"hf_third") if word in written]


def test_a_kernel_that_ends_right_after_has_kept_the_job(home: Path) -> None:
    program = (
        "import pyjob_magic\n"
        "c = pyjob_magic.connect(namespace='ends')\n"
        "c.submit(c.build('print(1)', name='last')); raise SystemExit\n"
    )
    subprocess.run([sys.executable, "-c", program], check=False)

    assert names(where={"namespace": "ends"}) == ["last"]


def test_a_job_is_submitted_whatever_becomes_of_its_record(
    home: Path, here: pyjob_magic.Connection, caplog: pytest.LogCaptureFixture
) -> None:
    place = home / "history"
    away = place.rename(home / "away") if place.exists() else None
    place.write_text("in the way")
    try:
        job = here.submit(here.build("print(1)", name="train"))
        assert job.wait(30).state == "Succeeded"
    finally:
        place.unlink()
        if away:
            away.rename(place)

    assert [text for text in caplog.messages if "not kept in the history" in text]
    assert names(where={"namespace": here.namespace}) == []
