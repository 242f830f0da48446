"""A job's whole life over a kubeconfig: the embedded API as a cluster, reached over TLS."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

import pyjob_magic
from pyjob_magic import cli, errors
from pyjob_magic.connection import Connection
from tests.state import eventually


@pytest.fixture
def jobs(home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Connection]:
    """Lend a connection to the embedded API, found through the kubeconfig that it writes."""
    kubeconfig = tmp_path / "kubeconfig"
    assert cli.main(["kubeconfig", "--output", str(kubeconfig)]) == 0
    monkeypatch.setenv("KUBECONFIG", str(kubeconfig))
    connection = pyjob_magic.connect("kubernetes", "journey")
    yield connection
    for job in connection.list():
        job.delete()
    connection.close()


def test_job_succeeds(jobs: Connection) -> None:
    """It is submitted, waited for, read, listed and deleted."""
    job = jobs.submit(jobs.build("import os; print('rank', os.environ['RANK'])", workers=1))

    assert job.wait(60).state == "Succeeded"
    assert sorted(str(job.logs()).splitlines()) == ["[master-0] rank 0", "[worker-0] rank 1"]
    assert [each.name for each in jobs.list()] == [job.name]
    assert f"PyTorchJob {job.name}: Succeeded (kubernetes (pyjob-magic) / journey)" in str(
        job.card()
    )

    job.delete()
    with pytest.raises(errors.NotFoundError):
        jobs.get(job.name)


def test_large_source(jobs: Connection) -> None:
    """What does not fit into the manifest follows as a ConfigMap."""
    source = f"# {'x' * 200_000}\nprint('ran')"

    job = jobs.submit(jobs.build(source, name="large"))

    assert job.wait(60).state == "Succeeded"
    assert job.source() == source


def test_suspend_and_resume(jobs: Connection, tmp_path: Path) -> None:
    """Followers read on while the replicas are stopped and started again."""
    go = tmp_path / "go"
    source = (
        "import pathlib, time\n"
        "print('started', flush=True)\n"
        f"while not pathlib.Path({str(go)!r}).exists():\n"
        "    time.sleep(0.02)\n"
    )
    job = jobs.submit(jobs.build(source, name="pausing"))
    eventually(lambda: "started" in str(job.logs()))

    job.suspend()
    eventually(lambda: job.refresh().status.state == "Suspended")
    go.touch()
    job.resume()

    assert [line.text for line in job.logs(follow=True)][-1] == "started"
    assert job.wait(60).state == "Succeeded"


def test_server_checks_a_manifest(jobs: Connection) -> None:
    """A dry run creates nothing."""
    jobs.submit(jobs.build("print()", name="dry"), dry_run=True)

    assert len(jobs.list()) == 0
