"""The whole way of a user, on a real cluster: with an operator, or with no more than its CRD."""

from __future__ import annotations

import threading
from datetime import UTC, datetime
from typing import Any

import pytest

from pyjob_magic import errors
from pyjob_magic.manifest import Manifest
from pyjob_magic.models import Pod
from tests.cluster.conftest import IMAGE, Cluster
from tests.state import eventually

pytestmark = [pytest.mark.cluster, pytest.mark.timeout(900)]

HELLO = "import os\nprint('rank', os.environ['RANK'], 'of', os.environ['WORLD_SIZE'], flush=True)\n"
FAILS = """\
import os, time
if os.environ["RANK"] == "1":
    raise ValueError("rank 1 had enough")
time.sleep(600)  # a Master that succeeds would make the job succeed
"""
COMES_UP = 600.0  # seconds in which nodes pull an image and run a few lines


def build(cluster: Cluster, kind: str, source: str = HELLO, **said: Any) -> Manifest:
    return cluster.connection.build(source, name=cluster.name(kind), image=IMAGE, **said)


def needs(has_operator: bool) -> None:
    if not has_operator:
        pytest.skip("there is no operator that would run it")


def test_the_doctor_finds_what_jobs_need(cluster: Cluster, has_operator: bool) -> None:
    """Nothing crashes, and what it takes to submit is there."""
    table = cluster.connection.doctor()
    found = {finding.check: finding for finding in table}

    for check in ("reachable", "PyTorchJob resource", "may create jobs", "may read pods"):
        assert found[check].state == "ok", str(table)
    assert not has_operator or found["operator"].state != "fail", str(table)


def test_a_dry_run_creates_nothing(cluster: Cluster) -> None:
    """The server checks the manifest and adds what it would add."""
    manifest = build(cluster, "dry", workers=1, memory="1Gi")

    checked = cluster.connection.submit(manifest, dry_run=True)

    assert checked.uid
    assert [job.name for job in cluster.connection.list() if job.name == manifest.job.name] == []


def test_what_the_server_refuses_is_told_in_its_words(cluster: Cluster) -> None:
    """The field is named, and nothing is created."""
    wire = build(cluster, "wrong").job.to_wire()
    wire["spec"]["runPolicy"]["backoffLimit"] = "many"

    with pytest.raises(errors.PyJobError, match="backoffLimit"):
        cluster.connection.submit(wire)


def test_a_job_comes_back_with_its_metadata_and_its_code(cluster: Cluster) -> None:
    """Created, found by name and in the list, its cell had back; the name is then taken."""
    connection = cluster.connection
    manifest = build(cluster, "there", suspend=True, labels={"team": "vision"})

    job = connection.submit(manifest)

    assert job.uid
    found = connection.get(job.name)
    assert found.uid == job.uid
    assert found.source() == HELLO
    assert (found.manifest.metadata.labels or {})["team"] == "vision"
    assert job.name in [each.name for each in connection.list()]
    assert job.name in str(job.card())
    with pytest.raises(errors.ExistsError):
        connection.submit(manifest)
    job.delete()
    eventually(lambda: job.name not in [each.name for each in connection.list()], timeout=60)


def test_a_large_cell_travels_as_a_config_map_of_the_job(cluster: Cluster) -> None:
    """Owned by it, so that both are deleted together, and byte for byte what was typed."""
    source = HELLO + "# " + "é" * 100_000 + "\n"
    manifest = build(cluster, "large", source, suspend=True)

    job = cluster.connection.submit(manifest)

    assert job.source() == source
    assert manifest.config_map
    stored = cluster.connection.client.get_config_map(manifest.config_map.name)
    assert [owner.uid for owner in stored.metadata.owner_references or []] == [job.uid]


def test_a_job_is_suspended_and_resumed(cluster: Cluster) -> None:
    """The server keeps what was asked for."""
    job = cluster.connection.submit(build(cluster, "paused", suspend=True))

    job.resume()
    policy = cluster.connection.get(job.name).manifest.spec.run_policy
    assert policy
    assert policy.suspend is False
    job.suspend()
    policy = cluster.connection.get(job.name).manifest.spec.run_policy
    assert policy
    assert policy.suspend is True


def test_a_watch_tells_of_a_job_that_is_deleted(cluster: Cluster) -> None:
    """Who waits for it learns that it will not come."""
    job = cluster.connection.submit(build(cluster, "gone", suspend=True))
    somebody = threading.Timer(1.0, cluster.connection.get(job.name).delete)
    somebody.start()

    with pytest.raises(errors.NotFoundError, match="it was deleted"):
        job.wait(timeout=60)
    somebody.join()


def test_waiting_has_a_limit(cluster: Cluster) -> None:
    """A job that nobody runs, or that is suspended, does not hold its cell for ever."""
    job = cluster.connection.submit(build(cluster, "still", suspend=True))

    with pytest.raises(errors.JobTimeoutError, match="goes on"):
        job.wait(timeout=2)


def test_logs_of_replicas_that_never_ran_are_empty(cluster: Cluster) -> None:
    """Also those of pods that nobody has scheduled yet."""
    job = cluster.connection.submit(build(cluster, "silent", suspend=True))

    assert job.logs() == ""
    assert isinstance(list(job.events()), list)
    pods = job.replicas()
    assert all(isinstance(pod, Pod) for pod in pods)


def test_replicas_run_and_are_read(cluster: Cluster, has_operator: bool) -> None:
    """Master and Worker meet the environment that the operator sets; every line arrives."""
    needs(has_operator)
    job = cluster.connection.submit(build(cluster, "runs", workers=1, clean_pods="None"))

    lines: list[str] = []
    job.wait(timeout=COMES_UP, on_line=lambda line: lines.append(str(line)))

    assert job.state == "Succeeded"
    assert "[master-0] rank 0 of 2" in lines
    assert "[worker-0] rank 1 of 2" in lines
    assert sorted(job.logs().splitlines()) == sorted(lines)
    completed = job.manifest.status.completion_time
    assert completed
    assert datetime.fromisoformat(completed) <= datetime.now(UTC)


def test_a_failure_names_the_replica_and_its_traceback(
    cluster: Cluster, has_operator: bool
) -> None:
    """Also where the operator has deleted the pods by then."""
    needs(has_operator)
    job = cluster.connection.submit(build(cluster, "fails", FAILS, workers=1, backoff_limit=1))

    with pytest.raises(errors.JobFailedError, match="worker-0") as failed:
        job.wait(timeout=COMES_UP)

    assert "rank 1 had enough" in failed.value.log
