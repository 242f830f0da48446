"""What a server finds wrong is told beside the option that set the field."""

from __future__ import annotations

import copy
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from pyjob_magic.causes import explain
from pyjob_magic.client import Client
from pyjob_magic.connection import Connection
from pyjob_magic.edits import EDITS
from pyjob_magic.errors import ForbiddenError, InvalidError
from pyjob_magic.fields import lost, option_of
from pyjob_magic.manifest import Origin, build
from pyjob_magic.options import JobOptions, flag, options
from pyjob_magic.target import Target
from tests.data import read

DATA = Path(__file__).parent / "data"
WORDS = "some validation rules were not checked because the object was invalid"

SAID: dict[str, Any] = {
    "workers": 3,
    "image": "a/b:c",
    "cpu": "2",
    "memory": "4Gi",
    "gpus": 1,
    "gpu_resource": "amd.com/gpu",
    "shm_size": "1Gi",
    "pull_secrets": ["s"],
    "restart_policy": "OnFailure",
    "backoff_limit": 7,
    "timeout": 60,
    "ttl": 60,
    "clean_pods": "All",
    "suspend": True,
    "nproc_per_node": "2",
    "env": {"A": "1", "B": "2"},
    "labels": {"example.com/team": "a"},
    "annotations": {"example.com/note": "a"},
    "queue": "q",
    "priority_class": "high",
    "service_account": "robot",
    "node_selector": {"disk": "ssd"},
    "tolerations": ["gpu:NoSchedule"],
    "mounts": ["pvc:data:/data", "memory:1Gi:/fast"],
    "args": ["--epochs"],
}


def a_job(**said: Any) -> dict[str, Any]:
    origin = Origin(time="2026-01-02T03:04:05Z", suffix="x7k2p")
    base = {"workers": 1, "gpus": 1} if "gpu_resource" in said else {"workers": 1}
    return build(JobOptions.read({**base, **said}), "print(1)", origin).job.to_wire()


def leaves(value: Any, path: str = "") -> Iterator[tuple[str, Any]]:
    """Yield the paths as the CRD's schema writes them, with what is there."""
    if isinstance(value, dict):
        for key, inner in value.items():
            yield from leaves(inner, f"{path}.{key}" if path else key)
    elif isinstance(value, list):
        for index, inner in enumerate(value):
            yield from leaves(inner, f"{path}[{index}]")
    else:
        yield path, value


def test_every_option_has_a_sample() -> None:
    """What follows is about all of them; a template and patches set any field."""
    assert set(SAID) == set(EDITS) - {"pod_template"}


@pytest.mark.parametrize("field", SAID)
def test_what_an_option_sets_leads_back_to_it(field: str) -> None:
    """Each path that saying it changes; as the schema writes it and as webhooks do."""
    plain = a_job(gpus=1) if field == "gpu_resource" else a_job()
    said = a_job(**{field: SAID[field]})
    known = dict(leaves(plain))
    typed = "--" if field == "args" else flag(field, options(JobOptions)[field])
    ours = {"gpu_resource": "--gpus", "queue": "--suspend"}  # the same field has two options

    changed = [path for path, value in leaves(said) if known.get(path, known) != value]
    changed = [path for path in changed if ".command[" not in path]  # torchrun or not

    assert changed
    for path in changed:
        webhook = path.replace("Specs.Master", "Specs[Master]").replace(
            "Specs.Worker", "Specs[Worker]"
        )
        for spelled in (path, webhook, f".{path}"):
            assert option_of(spelled, said) in {typed, ours.get(field)}, path


@pytest.mark.parametrize(
    ("path", "option"),
    [
        ("metadata.name", "NAME"),
        ("metadata.namespace", "--namespace"),
        ("metadata.labels", "--label"),
        ("spec.backoffLimit", "--backoff-limit"),
        ("spec.pytorchReplicaSpecs[Master].template.spec.containers[pytorch].image", "--image"),
        (
            "spec.pytorchReplicaSpecs.Master.template.spec.containers[0].resources.limits[nvidia.com/gpu]",
            "--gpus",
        ),
        ("spec.pytorchReplicaSpecs.Master.template.spec.containers[0].env[1]", "--env"),
        ("spec.pytorchReplicaSpecs.Master.template.spec.containers[0]", None),
        ("spec.pytorchReplicaSpecs.Master.template.spec.containers", None),
        ("spec.pytorchReplicaSpecs.Master.template.spec.containers[1].image", None),
        ("spec.pytorchReplicaSpecs.Master.template.spec.containers[9].image", None),
        ("spec.pytorchReplicaSpecs.Master.template.spec.containers[0].imagePullPolicy", None),
        ("spec.pytorchReplicaSpecs.Master.template.spec.volumes[9]", None),
        ("spec.pytorchReplicaSpecs[worker]", None),
        ("spec.pytorchReplicaSpecs[Master].replicas", None),
        ("spec.elasticPolicy.minReplicas", None),
    ],
)
def test_a_field_leads_to_an_option_or_to_none(path: str, option: str | None) -> None:
    """Other containers than the one that trains have no options."""
    job = a_job()
    pod = job["spec"]["pytorchReplicaSpecs"]["Master"]["template"]["spec"]
    pod["containers"].append({"name": "sidecar", "image": "x"})

    assert option_of(path, job) == option


def refusal(job: dict[str, Any], answer: httpx.Response) -> str:
    """Submit `job` to a server that gives `answer`; return what a notebook shows."""
    transport = httpx.MockTransport(lambda _: answer)
    connection = Connection(Client(Target("k8s", "http://server", transport=transport)))
    with pytest.raises((InvalidError, ForbiddenError)) as refused:
        connection.submit(job)
    return "\n".join(refused.value._render_traceback_())


def recorded(name: str) -> httpx.Response:
    answer = read(f"exchanges/{name}.json")["response"]
    return httpx.Response(answer["status"], json=answer["body"])


def test_causes_are_lines_beside_their_options() -> None:
    """Whatever the server found wrong, in its words, and nothing twice."""
    pattern = "(([0-9]+(\\.[0-9]*)?)|(\\.[0-9]+))"

    lines = refusal(a_job(), recorded("create-bad-types-422")).splitlines()

    assert lines[0] == (
        "InvalidError: k8s refused to create PyTorchJob 'job-x7k2p' (422): "
        'PyTorchJob.kubeflow.org "bad-type" is invalid:'
    )
    assert lines[1].startswith('  --nproc-per-node: Invalid value: "integer": must be of type')
    assert lines[2].startswith('  --memory: Invalid value: "four gigs": should match \'^(\\+|-)?')
    assert pattern in lines[2]
    assert lines[3] == '  --workers: Invalid value: "string": must be of type integer: "string"'
    assert lines[4].startswith("  --workers: Invalid value: 0: accessor error: three is of the")
    assert WORDS in lines[5]
    assert len(lines) == 6


def test_master_and_workers_are_told_once() -> None:
    """Limit and request of both are four causes with one reason."""
    fields = [
        f"spec.pytorchReplicaSpecs.{kind}.template.spec.containers[0].resources.{key}.memory"
        for kind in ("Master", "Worker")
        for key in ("limits", "requests")
    ]
    causes = [{"field": f, "message": f"Invalid value: 4GB: {f} in body should do"} for f in fields]
    message = f"PyTorchJob x is invalid: {causes}"

    assert explain(message, {"causes": causes}, a_job()).text == (
        "PyTorchJob x is invalid: --memory: Invalid value: 4GB: should do"
    )


def test_unknown_fields_are_named() -> None:
    """A cause that belongs to no option keeps its path."""
    assert refusal(a_job(), recorded("create-unknown-field-strict-400")).splitlines()[1:] == [
        "  --timeout: unknown field",
        "  spec.pytorchReplicaSpecs.Master.template.spec.containers[0].gpus: unknown field",
    ]


DENIALS = {
    file.stem: exchange
    for file in sorted((DATA / "webhook").glob("*.json"))
    if "denied the request" in ((exchange := json.loads(file.read_text()))["message"] or "")
}


@pytest.mark.parametrize("name", DENIALS)
def test_the_words_of_a_webhook_are_kept(name: str) -> None:
    """Each reason stands in its line, with the option or the path before it."""
    exchange = DENIALS[name]
    job = copy.deepcopy(exchange["body"])

    refusal = explain(exchange["message"], {}, job)
    told = refusal.text

    head, _, body = exchange["message"].partition(" denied the request: ")
    assert told.startswith(f"{head} denied the request:")
    for reason in ("Forbidden: must be 1", "Forbidden: must be at least 1", "Required value: "):
        assert told.count(reason) == body.count(reason)
    if name == "several-at-once":
        assert told.splitlines()[1:] == [
            "  spec.pytorchReplicaSpecs[Master].replicas: Forbidden: must be 1",
            "  --image: Required value: must be required",
            "  --workers: Forbidden: must be at least 1",
        ]
        assert refusal.by_option == {
            "--image": "Required value: must be required",
            "--workers": "Forbidden: must be at least 1",
        }


@pytest.mark.parametrize(
    "message",
    [
        'pytorchjobs.kubeflow.org "over" is forbidden: exceeded quota: q, requested: count=1',
        'admission webhook "policy.example" denied the request: image from nowhere, spec unknown',
        'strict decoding error: json: what, unknown field "spec.foo"',
        "",
    ],
)
def test_what_names_no_field_stays_as_it_is(message: str) -> None:
    """Not a word of it is lost."""
    assert explain(message, {}, a_job()).text == message


def test_a_head_that_is_unknown_stays_too() -> None:
    """A namespace that is being deleted has a cause and a sentence of its own."""
    details = {"causes": [{"field": "metadata.namespace", "message": "n is being terminated"}]}

    assert explain("jobs is forbidden: no new content in n", details, a_job()).text == (
        "jobs is forbidden: no new content in n: --namespace: n is being terminated"
    )


def test_what_a_server_has_dropped_is_found() -> None:
    """What it has added, changed or spelled otherwise is its own affair."""
    sent = {"a": {"b": 1, "gone": 2, "empty": None}, "l": [{"x": 1, "y": 2}], "n": [1, 2]}
    stored = {"a": {"b": "1", "added": 3}, "l": [{"y": 2, "z": 0}], "n": [1], "more": {}}

    assert lost(sent, stored, "spec") == ["spec.a.gone", "spec.l[0].x"]
    assert lost(sent, sent) == []
