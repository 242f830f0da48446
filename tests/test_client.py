"""What servers answer becomes an object of ours or an error with the server's words."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from pyjob_magic import errors
from pyjob_magic.client import Client
from pyjob_magic.connection import Connection
from pyjob_magic.models import ConfigMap, Pod, PyTorchJob
from pyjob_magic.target import Target
from tests.data import SEED, read

HERE = Path(__file__).parent
Handler = Callable[[httpx.Request], httpx.Response]


def a_client(handler: Handler) -> Client:
    transport = httpx.MockTransport(handler)
    return Client(Target("k8s", "http://server", "kube-test", transport=transport))


def answer_of(name: str) -> dict[str, Any]:
    """Return a recorded answer: of an exchange, or a refusal that only clusters have."""
    folder = "exchanges" if (HERE / "data" / "exchanges" / f"{name}.json").exists() else "refusals"
    answer: dict[str, Any] = read(f"{folder}/{name}.json")["response"]
    return answer


def answering(name: str) -> Handler:
    """Return a server that answers every request as was recorded."""
    recorded = answer_of(name)
    body = recorded["body"]
    if isinstance(body, str):
        return lambda _: httpx.Response(recorded["status"], text=body)
    return lambda _: httpx.Response(recorded["status"], json=body)


def test_created_job_has_the_metadata_of_the_answer() -> None:
    """What the server added is on the object; nothing that it sent is lost."""
    created = a_client(answering("create")).create_job(PyTorchJob.from_wire(SEED))

    assert created.metadata.uid == "bc64c226-ab5e-44a2-899c-06f672e47ae6"
    assert created.to_wire() == read("exchanges/create.json")["response"]["body"]


def test_create_sends_the_manifest_and_asks_for_strict_validation() -> None:
    """One POST to the documented path; unknown fields are not pruned silently."""
    sent: list[httpx.Request] = []

    def record(request: httpx.Request) -> httpx.Response:
        sent.append(request)
        return answering("create")(request)

    a_client(record).create_job(PyTorchJob.from_wire(SEED))

    (request,) = sent
    assert request.method == "POST"
    assert request.url.path == "/apis/kubeflow.org/v1/namespaces/kube-test/pytorchjobs"
    assert request.url.params["fieldValidation"] == "Strict"
    assert json.loads(request.content) == SEED


@pytest.mark.parametrize(
    ("exchange", "error", "words"),
    [
        ("create-again-409", errors.ExistsError, 'pytorchjobs.kubeflow.org "pytorch-test" already'),
        ("create-bad-types-422", errors.InvalidError, "nprocPerNode in body must be of type"),
        ("create-unknown-field-strict-400", errors.InvalidError, "unknown field"),
        ("read-404", errors.NotFoundError, 'pytorchjobs.kubeflow.org "missing" not found'),
        ("patch-wrong-type-415", errors.InvalidError, "unknown format"),
        ("no-crd-404", errors.NotFoundError, "404 page not found"),
        ("create-forbidden-403", errors.ForbiddenError, 'User "alice" cannot create resource'),
        ("create-anonymous-403", errors.ForbiddenError, 'User "system:anonymous" cannot create'),
        ("create-quota-403", errors.ForbiddenError, "exceeded quota: q"),
        ("create-no-namespace-404", errors.NotFoundError, 'namespaces "nowhere" not found'),
        ("create-unauthorized-401", errors.ApiError, "Unauthorized"),
    ],
)
def test_refusals_keep_the_servers_words(
    exchange: str, error: type[errors.ApiError], words: str
) -> None:
    """Each status has its class; message, code and details are the server's."""
    with pytest.raises(error) as refused:
        a_client(answering(exchange)).create_job(PyTorchJob.from_wire(SEED))

    recorded = answer_of(exchange)
    assert words in str(refused.value)
    assert refused.value.code == recorded["status"]
    if isinstance(recorded["body"], dict):
        assert refused.value.details == recorded["body"].get("details", {})


@pytest.mark.parametrize(
    "answer",
    [
        httpx.Response(200, text="<html>Log in</html>"),
        httpx.Response(200, json=["no", "object"]),
        httpx.Response(502, text="bad gateway"),
        httpx.Response(500, json=["no", "status"]),
        httpx.Response(500, json={"message": None}),
    ],
)
def test_what_is_no_kubernetes_answer_is_an_error_of_ours(answer: httpx.Response) -> None:
    """A proxy's login page or a broken gateway is one clear line, not a traceback of json."""
    with pytest.raises(errors.ApiError) as refused:
        a_client(lambda _: answer).get_job("mnist")

    assert "get PyTorchJob 'mnist'" in str(refused.value)


@pytest.mark.parametrize(
    ("job", "reason"),
    [
        ({"kind": "PodList", "items": [{"env": "SECRET"}]}, "kind: Input should be 'PyTorchJob'"),
        ({"spec": "SECRET"}, "spec: Input should be .*"),
        ({"metadata": "SECRET", "spec": {}}, "(metadata|spec.pytorchReplicaSpecs): .*"),
    ],
)
def test_what_is_no_job_is_an_error_of_ours(job: dict[str, Any], reason: str) -> None:
    """It says which field is not as it should be, and not what stands there."""
    client = a_client(lambda _: httpx.Response(200, json=job))
    listing = a_client(lambda _: httpx.Response(200, json={"items": [job]}))

    for look in (lambda: client.get_job("mnist"), listing.list_jobs):
        with pytest.raises(errors.TargetError, match=f"cannot be understood: {reason}$") as failed:
            look()
        assert "SECRET" not in str(failed.value)


@pytest.mark.parametrize(
    ("name", "path"),
    [
        ("../pods", "..%2Fpods"),
        ("a?watch=true#b", "a%3Fwatch%3Dtrue%23b"),
        ("é %", "%C3%A9%20%25"),
    ],
)
def test_a_name_stays_the_name_of_a_job(name: str, path: str) -> None:
    """Whatever somebody has typed, nothing else is asked for."""
    sent: list[httpx.Request] = []

    def record(request: httpx.Request) -> httpx.Response:
        sent.append(request)
        return httpx.Response(404)

    with pytest.raises(errors.NotFoundError):
        a_client(record).get_job(name)

    jobs = b"/apis/kubeflow.org/v1/namespaces/kube-test/pytorchjobs/"
    assert sent[0].url.raw_path == jobs + path.encode()


@pytest.mark.parametrize("name", ["", ".", ".."])
def test_what_is_no_name_is_not_asked_for(name: str) -> None:
    """It would mean all jobs, or what is above them."""
    with pytest.raises(errors.OptionError, match="is the name of nothing"):
        a_client(lambda _: httpx.Response(200)).get_job(name)


def test_no_answer_names_target_and_request() -> None:
    """A connection that fails says who did not answer and to what."""

    def refuse(request: httpx.Request) -> httpx.Response:
        raise httpx.ConnectError("Connection refused", request=request)

    with pytest.raises(errors.TargetError) as failed:
        a_client(refuse).get_job("mnist")

    assert str(failed.value) == (
        "k8s did not answer when asked to get PyTorchJob 'mnist': "
        "no connection to server: Connection refused"
    )


def test_lists_are_read_page_by_page() -> None:
    """All items come, whatever the size of the pages."""

    def serve(request: httpx.Request) -> httpx.Response:
        page = int(request.url.params.get("continue", "0"))
        item = {**SEED, "metadata": {"name": f"job-{page}"}}
        following = str(page + 1) if page < 2 else ""
        return httpx.Response(200, json={"metadata": {"continue": following}, "items": [item]})

    assert [job.name for job in a_client(serve).list_jobs()] == ["job-0", "job-1", "job-2"]


def test_pods_of_another_job_of_the_same_name_are_left_out() -> None:
    """The label names the job, the owner's uid tells which."""

    def serve(request: httpx.Request) -> httpx.Response:
        pods = [
            {
                "metadata": {
                    "name": f"j-worker-{uid}",
                    "ownerReferences": [
                        {"apiVersion": "v1", "kind": "PyTorchJob", "name": "j", "uid": uid}
                    ],
                },
                "spec": {"containers": []},
            }
            for uid in ("old", "new")
        ]
        return httpx.Response(200, json={"items": pods})

    job = PyTorchJob.from_wire({**SEED, "metadata": {"name": "j", "uid": "new"}})

    assert [pod.name for pod in a_client(serve).list_pods(job)] == ["j-worker-new"]


def test_replicas_without_labels_are_named_by_their_pods() -> None:
    """A pod's name is the job's and the replica's."""
    owner = {"apiVersion": "kubeflow.org/v1", "kind": "PyTorchJob", "name": "my-job", "uid": "u"}
    meta = {"name": "my-job-worker-12", "ownerReferences": [owner]}

    assert Pod.from_wire({"metadata": meta, "spec": {"containers": []}}).replica == "worker-12"


@pytest.mark.parametrize(("owner", "adopted"), [("u", True), ("another", False)])
def test_a_config_map_whose_creation_was_not_answered_is_found_again(
    owner: str, adopted: bool
) -> None:
    """It is taken for ours if it belongs to our job, and for somebody else's otherwise."""

    def owned_by(uid: str) -> dict[str, Any]:
        owners = [{"apiVersion": "v1", "kind": "PyTorchJob", "name": "j", "uid": uid}]
        return {"metadata": {"name": "m", "ownerReferences": owners}, "data": {"a": "b"}}

    answers: Iterator[httpx.Response | Exception] = iter(
        [
            httpx.ReadError("Connection reset by peer"),
            httpx.Response(409, json={"reason": "AlreadyExists", "message": "there is one"}),
            httpx.Response(200, json=owned_by(owner)),
        ]
    )

    def serve(request: httpx.Request) -> httpx.Response:
        answer = next(answers)
        if isinstance(answer, Exception):
            raise answer
        return answer

    client, mine = a_client(serve), ConfigMap.from_wire(owned_by("u"))
    if adopted:
        assert client.create_config_map(mine).data == {"a": "b"}
    else:
        with pytest.raises(errors.ExistsError, match="there is one"):
            client.create_config_map(mine)


def test_a_submit_that_fails_half_way_leaves_nothing() -> None:
    """A job whose source cannot follow is deleted again."""
    requests = []

    def serve(request: httpx.Request) -> httpx.Response:
        requests.append((request.method, request.url.path.rsplit("/", 1)[-1]))
        if request.url.path.endswith("configmaps"):
            return httpx.Response(403, json={"kind": "Status", "message": "not you"})
        if request.method == "DELETE":
            return httpx.Response(200, json={"kind": "Status", "status": "Success"})
        body = json.loads(request.content)
        return httpx.Response(201, json={**body, "metadata": {**body["metadata"], "uid": "u"}})

    connection = Connection(a_client(serve))
    manifest = connection.build("# " + "x" * 200_000 + "\npass", name="big")

    with pytest.raises(errors.ForbiddenError, match="not you"):
        connection.submit(manifest)

    assert requests == [("POST", "pytorchjobs"), ("POST", "configmaps"), ("DELETE", "big")]


def test_notes_on_who_set_which_field_are_left_out() -> None:
    """They are long, and nobody here reads them."""
    body = answer_of("create")["body"]
    noted = {**body, "metadata": {**body["metadata"], "managedFields": [{"manager": "kubectl"}]}}

    job = a_client(lambda _: httpx.Response(200, json=noted)).get_job("mnist")

    assert job.to_wire() == body


def test_who_may_only_see_jobs_is_told_how_they_end() -> None:
    """Replicas and events are evidence; without the right to see them the job is still shown."""
    failed = {"type": "Failed", "status": "True", "message": "it has reached its limit"}
    job = {**SEED, "metadata": {"name": "one", "uid": "u"}, "status": {"conditions": [failed]}}

    def serve(request: httpx.Request) -> httpx.Response:
        if request.url.path.endswith("pytorchjobs/one"):
            return httpx.Response(200, json=job)
        return httpx.Response(403, json={"kind": "Status", "message": "not you", "code": 403})

    found = Connection(a_client(serve)).get("one")

    with pytest.raises(errors.JobFailedError, match="failed: it has reached its limit"):
        found.wait()
    assert "it has reached its limit" in str(found.card())


def test_the_card_of_a_healthy_job_reads_no_log() -> None:
    """The ends of logs are asked for where a replica has failed, and once for each run."""
    asked: list[str] = []
    state: dict[str, Any] = {"running": {}}

    def serve(request: httpx.Request) -> httpx.Response:
        asked.append(request.url.path.rsplit("/", 1)[-1])
        if asked[-1] == "one":
            running = {"type": "Running", "status": "True"}
            status = {"conditions": [running]}
            job = {**SEED, "metadata": {"name": "one", "uid": "u"}, "status": status}
            return httpx.Response(200, json=job)
        if asked[-1] == "log":
            return httpx.Response(200, text="2026-01-01T00:00:00Z KeyError: 'x'\n")
        owner = {"apiVersion": "kubeflow.org/v1", "kind": "PyTorchJob", "name": "one", "uid": "u"}
        pod = {
            "metadata": {"name": "one-worker-0", "uid": "p", "ownerReferences": [owner]},
            "spec": {"containers": []},
            "status": {"containerStatuses": [{"name": "pytorch", "state": state}]},
        }
        items = [pod] if asked[-1] == "pods" else []
        return httpx.Response(200, json={"metadata": {}, "items": items})

    job = Connection(a_client(serve)).get("one")
    assert job.card().notes == []
    assert "log" not in asked

    state = {"terminated": {"exitCode": 1}}
    assert job.card().notes == job.card().notes == ["worker-0 exited with code 1"]
    assert asked.count("log") == 1
