"""The whole journey on a CCI of documented behaviour, with every way in."""

from __future__ import annotations

import contextlib
import dataclasses
import json
import time
from collections.abc import Iterator
from typing import Any

import httpx
import pytest

from pyjob_magic.client import Client
from pyjob_magic.connection import Connection
from pyjob_magic.errors import (
    ApiError,
    ExistsError,
    ForbiddenError,
    NotFoundError,
    OptionError,
    TargetError,
    UnauthorizedError,
)
from pyjob_magic.rest import Rest
from pyjob_magic.targets import Access, resolve
from tests.data import read
from tests.targets.cci.server import NAMESPACE, CciServer, failure, gateway

SIZE: dict[str, Any] = {"cpu": 2, "memory": "4Gi"}


@pytest.fixture(params=["keys", "password"])
def connection(request: pytest.FixtureRequest, server: CciServer) -> Iterator[Connection]:
    """Connect with each way in."""
    request.getfixturevalue(request.param)
    with connected(server) as connection:
        yield connection


@pytest.fixture
def by_key(keys: None, server: CciServer) -> Iterator[Connection]:
    with connected(server) as connection:
        yield connection


@pytest.fixture
def by_token(password: None, server: CciServer) -> Iterator[Connection]:
    with connected(server) as connection:
        yield connection


@contextlib.contextmanager
def connected(server: CciServer) -> Iterator[Connection]:
    target = dataclasses.replace(resolve("cci", Access()), transport=server.transport())
    connection = Connection(Client(target, NAMESPACE, notify=lambda _: None))
    try:
        yield connection
    finally:
        connection.close()


def test_a_cell_becomes_a_job_that_runs_and_ends(connection: Connection, server: CciServer) -> None:
    """Submit, list, get, follow, read logs and events, change labels, delete."""
    job = connection.submit(connection.build("print('hi')", name="mnist", workers=1, **SIZE))
    assert job.state == "Submitted"
    server.run("mnist")
    server.on_log = lambda: server.finish("mnist") if job_runs(server) else None

    lines: list[str] = []
    status = job.wait(60, on_line=lambda line: lines.append(str(line)))

    assert status.state == "Succeeded"
    assert sorted(lines) == [
        "[master-0] hello from mnist-master-0",
        "[worker-0] hello from mnist-worker-0",
    ]
    assert [other.name for other in connection.list()] == ["mnist"]
    found = connection.get("mnist")
    assert [pod.replica for pod in found.replicas()] == ["master-0", "worker-0"]
    assert found.logs("worker-0") == "hello from mnist-worker-0\n"
    assert [event.reason for event in found.events()] == ["Scheduled", "Scheduled"]
    assert found.source() == "print('hi')"
    connection.client.patch_job("mnist", {"metadata": {"labels": {"app": "test"}}})
    assert found.refresh().manifest.metadata.labels == {"app": "test"}
    found.delete()
    assert len(connection.list()) == 0


def job_runs(server: CciServer) -> bool:
    return bool(server.jobs["mnist"]["status"]["conditions"][-1]["type"] == "Running")


def test_the_documented_request_is_taken(connection: Connection, server: CciServer) -> None:
    """A manifest from CCI's pages is sent with its own words, and only what CCI wants added."""
    documented = read("cci/create-request.json")

    connection.submit(documented)

    sent = json.loads(server.sent("POST", "/pytorchjobs")[-1].content)
    for replica in sent["spec"]["pytorchReplicaSpecs"].values():
        for container in replica["template"]["spec"]["containers"]:
            assert container.pop("imagePullPolicy") == "Always"
    assert sent["metadata"].pop("annotations").keys() == {"pyjob-magic/submission"}
    assert sent == documented


def test_what_is_previewed_is_what_is_sent(by_key: Connection, server: CciServer) -> None:
    """The preview has CCI's flat form, with all that is added."""
    manifest = by_key.build("x = 1", name="mnist", ttl="1h", **SIZE)
    by_key.submit(manifest)

    (previewed,) = manifest.to_wire()
    assert json.loads(server.sent("POST", "/pytorchjobs")[-1].content) == previewed
    assert previewed["spec"]["ttlSecondsAfterFinished"] == 3600
    assert previewed["spec"].keys() == {
        "pytorchReplicaSpecs",
        "backoffLimit",
        "cleanPodPolicy",
        "ttlSecondsAfterFinished",
    }
    assert json.loads(manifest.to_json()) == previewed
    assert "imagepull-secret" in str(manifest)


def test_a_saved_manifest_can_be_started_from(by_key: Connection) -> None:
    """The flat form is read as well as the nested one; what is said anew counts."""
    (saved,) = by_key.build("x = 1", name="mnist", ttl="1h", timeout="1h", **SIZE).to_wire()
    base = by_key.client.target.dialect.decode(saved)
    flat = type(base).from_wire(saved)

    for start in (base, flat):
        (again,) = by_key.build("x = 1", base=start, ttl="2h").to_wire()
        assert again["spec"]["ttlSecondsAfterFinished"] == 7200
        assert again["spec"]["activeDeadlineSeconds"] == 3600


def test_a_stored_job_can_be_sent_again(by_key: Connection, server: CciServer) -> None:
    """What the server has set is not sent back, which would make the creation fail."""
    job = by_key.submit(by_key.build("x = 1", name="mnist", **SIZE))
    job.delete()

    assert by_key.submit(job.manifest).uid != job.uid


def test_large_sources_travel_beside_the_job(by_key: Connection, server: CciServer) -> None:
    """The ConfigMap belongs to the job."""
    source = "x = 1\n" + "# " + "ä" * 60_000

    job = by_key.submit(by_key.build(source, name="mnist", **SIZE))

    (config_map,) = server.config_maps.values()
    assert config_map["metadata"]["ownerReferences"][0]["uid"] == job.uid
    assert job.source() == source


@pytest.mark.parametrize(
    ("said", "message"),
    [
        ({"suspend": True}, "--suspend: cci cannot suspend jobs; delete the job, and submit it"),
        ({"nproc_per_node": 4}, "--nproc-per-node: cci runs one process in each replica; use"),
    ],
)
def test_what_cci_cannot_do_is_refused_before_anything_is_sent(
    by_key: Connection, server: CciServer, said: dict[str, Any], message: str
) -> None:
    """Nothing is dropped silently from the manifest."""
    with pytest.raises(OptionError) as refused:
        by_key.build("x = 1", **SIZE, **said)

    assert str(refused.value).startswith(message)
    assert server.requests == []


@pytest.mark.parametrize(
    ("spec", "message"),
    [
        ({"elasticPolicy": {"maxReplicas": 3}}, "elasticPolicy: cci has nothing of the kind"),
        (
            {"runPolicy": {"schedulingPolicy": {"minAvailable": 2}}},
            "runPolicy.schedulingPolicy: cci has nothing of the kind",
        ),
        ({"runPolicy": {"suspend": True}}, "--suspend: cci cannot suspend"),
    ],
)
def test_foreign_manifests_are_checked_too(
    by_key: Connection, server: CciServer, spec: dict[str, Any], message: str
) -> None:
    """Whatever submit is given."""
    documented = read("cci/create-request.json")
    documented["spec"] |= spec

    with pytest.raises(OptionError, match=message):
        by_key.submit(documented)
    assert server.requests == []


def test_a_job_without_master_is_refused(by_key: Connection) -> None:
    """The operator of 2019 insists on one."""
    documented = read("cci/create-request.json")
    del documented["spec"]["pytorchReplicaSpecs"]["Master"]

    with pytest.raises(OptionError, match="cci needs a Master"):
        by_key.submit(documented)


def test_dry_runs_on_the_server_are_refused(by_key: Connection, server: CciServer) -> None:
    """CCI has none: the job would be created."""
    manifest = by_key.build("x = 1", **SIZE)

    with pytest.raises(OptionError, match="--dry-run: cci checks nothing without creating it"):
        by_key.submit(manifest, dry_run=True)
    assert server.requests == []


def test_only_mutable_fields_are_patched(by_key: Connection, server: CciServer) -> None:
    """The rest is refused here, with what to do."""
    job = by_key.submit(by_key.build("x = 1", name="mnist", **SIZE))
    client = by_key.client

    changed = client.patch_job(
        "mnist", {"spec": {"runPolicy": {"ttlSecondsAfterFinished": 5}, "cleanPodPolicy": "All"}}
    )

    policy = changed.spec.run_policy
    assert policy is not None
    assert policy.ttl_seconds_after_finished == 5
    assert policy.clean_pod_policy == "All"
    refused: list[tuple[dict[str, Any], str]] = [
        ({"spec": {"runPolicy": {"backoffLimit": 1}}}, "spec.backoffLimit"),
        ({"spec": {"pytorchReplicaSpecs": {"Worker": {"replicas": 3}}}}, "spec.pytorchReplica"),
        ({"spec": None}, "spec"),
        ({"metadata": {"name": "other"}}, "metadata.name"),
    ]
    for patch, path in refused:
        with pytest.raises(OptionError, match=f"{path}.*: cci changes nothing of a job but"):
            client.patch_job("mnist", patch)
    with pytest.raises(OptionError, match="--suspend: cci cannot suspend jobs"):
        job.suspend()
    assert len(server.sent("PATCH")) == 1


def test_pods_of_others_are_left_out(by_key: Connection, server: CciServer) -> None:
    """Pods have no labels that are known: the owner's uid tells whose they are."""
    jobs = [by_key.submit(by_key.build("x = 1", name=name, **SIZE)) for name in ("one", "two")]
    server.run("one")
    server.run("two")

    assert [[pod.name for pod in job.replicas()] for job in jobs] == [
        ["one-master-0"],
        ["two-master-0"],
    ]


def test_another_job_of_the_name_is_not_deleted(by_key: Connection, server: CciServer) -> None:
    """CCI cannot be told which one is meant, so it is looked at before."""
    job = by_key.submit(by_key.build("x = 1", name="mnist", **SIZE))
    job.delete()
    by_key.submit(by_key.build("x = 2", name="mnist", **SIZE))

    with pytest.raises(NotFoundError, match="another job has the name 'mnist' by now"):
        job.delete()
    assert len(by_key.list()) == 1


def test_a_token_that_expires_is_renewed_once(by_token: Connection, server: CciServer) -> None:
    """In the middle of the work, unseen."""
    job = by_token.submit(by_token.build("x = 1", name="mnist", **SIZE))
    server.expire_tokens()

    assert job.state == "Submitted"

    assert len(server.sent("POST", "/v3/auth/tokens")) == 2


def test_a_region_without_pytorchjobs_is_told_honestly(
    by_key: Connection, server: CciServer
) -> None:
    """A 404 for the whole path means that the API is gone, and GET /apis confirms it."""
    groups = server.groups["groups"]
    server.groups["groups"] = [group for group in groups if group["name"] != "kubeflow.org"]

    for ask in (by_key.list, lambda: by_key.submit(by_key.build("x = 1", **SIZE))):
        with pytest.raises(NotFoundError) as gone:
            ask()
        assert "(404): 404 page not found; this region of CCI does not serve PyTorchJobs" in str(
            gone.value
        )
        assert "--on kubernetes, or Volcano Jobs" in str(gone.value)


def test_a_missing_job_is_no_missing_api(by_key: Connection) -> None:
    """The hint is only there where it is true."""
    with pytest.raises(NotFoundError) as missing:
        by_key.get("nothing")

    assert str(missing.value) == (
        "cci refused to get PyTorchJob 'nothing' (404, CCI.01.404100): "
        'pytorchjobs.kubeflow.org "nothing" not found'
    )


def test_throttling_is_waited_out(by_key: Connection, server: CciServer) -> None:
    """429 with Retry-After, from the gateway."""
    server.faults.append(gateway(429, "APIG.0308", "throttled", **{"Retry-After": "0"}))

    assert len(by_key.list()) == 0
    assert len(server.requests) == 2


@pytest.mark.parametrize(
    ("fault", "kind", "message"),
    [
        (
            failure(403, "Forbidden", "gpu is not enabled", "CCI.01.403101"),
            ForbiddenError,
            "cci refused to list PyTorchJobs (403, CCI.01.403101): gpu is not enabled; "
            "have GPUs enabled for the account in the CCI console",
        ),
        (
            failure(403, "Forbidden", "no permission", "CCI.01.403114"),
            ForbiddenError,
            "cci refused to list PyTorchJobs (403, CCI.01.403114): no permission; ask the "
            "account's administrator for the action CCI:namespaceSubResource:List in IAM",
        ),
        (
            gateway(413, "APIG.0201", "Request entity too large"),
            ApiError,
            "cci refused to list PyTorchJobs (413, APIG.0201): Request entity too large; "
            "request 5f3a9b",
        ),
    ],
)
def test_errors_have_cci_s_code_and_what_to_do(
    by_key: Connection,
    server: CciServer,
    fault: Any,
    kind: type[ApiError],
    message: str,
) -> None:
    """`errorCode` and the gateway's request id are there for Huawei's support."""
    server.faults.append(fault)

    with pytest.raises(kind) as refused:
        by_key.list()

    assert str(refused.value) == message


def test_a_job_that_is_there_already_is_told(by_key: Connection) -> None:
    """As everywhere else."""
    by_key.submit(by_key.build("x = 1", name="mnist", **SIZE))

    with pytest.raises(ExistsError, match="choose another name"):
        by_key.submit(by_key.build("x = 1", name="mnist", **SIZE))


def test_a_wrong_signature_is_not_sent_again(
    by_key: Connection, server: CciServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Five of them lock the key; a corrected one counts with the next request."""
    right = dict(server.secret_keys)
    server.secret_keys.clear()

    with pytest.raises(UnauthorizedError, match="five wrong signatures lock a key"):
        by_key.list()
    assert len(server.requests) == 1

    server.secret_keys.update(right)
    assert len(by_key.list()) == 0


def test_a_wrong_clock_is_explained(keys: None) -> None:
    """The server's Date header tells by how much."""
    server = CciServer(now=lambda: time.time() + 3600)
    with connected(server) as connection, pytest.raises(UnauthorizedError) as refused:
        connection.list()

    assert "APIGW.0303" in str(refused.value)
    assert "the clock of this machine is 60 min behind the server's: set it" in str(refused.value)


def test_answers_may_be_indented(by_key: Connection, server: CciServer) -> None:
    """`pretty` changes the look of an answer only."""
    by_key.submit(by_key.build("x = 1", name="mnist", **SIZE))
    path = f"/apis/kubeflow.org/v1/namespaces/{NAMESPACE}/pytorchjobs"

    plain, pretty = (
        by_key.client._rest.ask("list", "GET", path, params=query)
        for query in ({}, {"pretty": "true"})
    )

    assert [item["metadata"]["name"] for item in plain["items"]] == ["mnist"]
    assert pretty["items"] == plain["items"]


def test_silence_of_iam_is_no_silence_of_cci(password: None, server: CciServer) -> None:
    """It is named, and the job was not asked for yet."""

    def lose(request: httpx.Request) -> httpx.Response:
        raise httpx.ReadTimeout("timed out", request=request)

    target = dataclasses.replace(resolve("cci", Access()), transport=httpx.MockTransport(lose))
    rest = Rest(target, insist=False)
    with pytest.raises(TargetError) as silent:
        rest.ask("list PyTorchJobs", "GET", "/x")
    rest.close()

    assert not silent.value.sent
    assert str(silent.value) == (
        "cci (cn-north-4) did not answer when asked to list PyTorchJobs: "
        "iam.cn-north-4.myhuaweicloud.com: timed out"
    )
