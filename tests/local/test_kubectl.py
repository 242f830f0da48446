"""`kubectl`, as it is: what it reads of the embedded API."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from tests.local.api import Api, a_job
from tests.local.kubectl import Kubectl, needs_kubectl

pytestmark = needs_kubectl


@pytest.fixture(scope="module")
def reader(http: httpx.Client, kubeconfig: Path, kubectl_home: Path) -> Iterator[Kubectl]:
    """Lend a namespace with a job whose master runs and whose worker has failed."""
    api = Api(http, "kubectl-reads")
    code = "import os, sys, time; os.environ['RANK'] == '1' and sys.exit(3); time.sleep(600)"
    manifest = a_job("demo", code, workers=1)
    manifest["metadata"]["labels"] = {"team": "a"}
    api.submit(manifest)
    api.wait("demo", "Failed")
    api.wait_phase("demo-worker-0", "Failed")
    api.http.post(
        api.core("configmaps"),
        json={
            "apiVersion": "v1",
            "kind": "ConfigMap",
            "metadata": {"name": "notes"},
            "data": {"text": "hello"},
        },
    ).raise_for_status()
    yield Kubectl(kubeconfig, kubectl_home, api.namespace)
    api.clear()


def test_the_versions_go_together(reader: Kubectl) -> None:
    """Server and client are less than two minor versions apart, so that nothing is warned of."""
    done = reader.run("version", "--output", "json")
    assert json.loads(done.stdout)["serverVersion"]["major"] == "1"
    assert "WARNING" not in done.stderr


def test_the_resources(reader: Kubectl) -> None:
    """Their short names, kinds and verbs."""
    rows = {row[0]: row[1:] for row in reader.rows("api-resources", "--no-headers", "-o", "wide")}
    verbs = "create,delete,deletecollection,get,list,patch,update,watch"
    assert rows["pytorchjobs"] == ["kubeflow.org/v1", "true", "PyTorchJob", verbs]
    assert rows["configmaps"] == ["cm", "v1", "true", "ConfigMap", verbs]
    assert rows["pods"][-1] == "all"
    assert rows["nodes"][:3] == ["no", "v1", "false"]


def test_the_versions_of_the_groups(reader: Kubectl) -> None:
    """One of each."""
    assert {"v1", "kubeflow.org/v1"} <= set(reader("api-versions").split())


@pytest.mark.parametrize(
    ("field", "words"),
    [
        ("pytorchjob", ["GROUP: kubeflow.org", "spec <Object> What to run."]),
        ("pytorchjob.spec.runPolicy", ["backoffLimit <integer> Restarts after which"]),
        ("pytorchjob.spec.pytorchReplicaSpecs", ["<map[string]Object>", "template <Object>"]),
        ("pytorchjob.metadata", ["<ObjectMeta>", "labels <map[string]string>"]),
        ("pod.spec.containers", ["<[]Object>", "image <string>"]),
        ("cm", ["KIND: ConfigMap", "binaryData <map[string]string>"]),
    ],
)
def test_fields_are_explained(reader: Kubectl, field: str, words: list[str]) -> None:
    """With their types and a sentence."""
    found = " ".join(reader("explain", field).split())
    for sentence in words:
        assert sentence in found


def test_all_fields_at_once(reader: Kubectl) -> None:
    """Down to those of containers."""
    field = "pytorchjob.spec.pytorchReplicaSpecs"
    found = reader("explain", field, "--recursive")
    for name in ("replicas", "restartPolicy", "terminationGracePeriodSeconds", "volumeMounts"):
        assert re.search(rf"^ +{name}\t<", found, re.MULTILINE)


def test_a_field_that_is_none(reader: Kubectl) -> None:
    """It is said to be."""
    assert 'field "nothing" does not exist' in reader.run("explain", "pytorchjob.nothing").stderr


@pytest.mark.parametrize(
    ("question", "answer"),
    [
        (("create", "pytorchjobs"), "yes"),
        (("update", "pytorchjobs.kubeflow.org", "--subresource=scale"), "yes"),
        (("get", "/healthz"), "yes"),
        (("*", "*"), "yes"),
        (("delete", "nodes"), 'no - the embedded API does not serve "delete" on nodes'),
        (("create", "deployments"), 'no - the embedded API does not serve "create" on deployments'),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, tuple) else "",
)
def test_who_may_do_what(reader: Kubectl, question: tuple[str, ...], answer: str) -> None:
    """All that is served, and nothing else."""
    assert reader.run("auth", "can-i", *question).stdout.strip() == answer


def test_all_that_one_may_do(reader: Kubectl) -> None:
    """A line for each resource."""
    rows = {row[0]: row[3:] for row in reader.rows("auth", "can-i", "--list")}
    assert rows["pytorchjobs.kubeflow.org/scale"] == ["[get", "patch", "update]"]
    assert rows["nodes"] == ["[get", "list", "watch]"]


def test_who_one_is(reader: Kubectl) -> None:
    """A user to whom everything is allowed."""
    assert "system:masters" in reader("auth", "whoami")


def test_jobs(reader: Kubectl) -> None:
    """With their newest condition."""
    header, row = reader.rows("get", "pytorchjobs")
    assert header == ["NAME", "STATE", "AGE"]
    assert row[:2] == ["demo", "Failed"]
    assert re.fullmatch(r"\d+s", row[2])


def test_pods(reader: Kubectl) -> None:
    """In a word for each; in wide output with more."""
    header, *rows = reader.rows("get", "pods")
    assert header == ["NAME", "READY", "STATUS", "RESTARTS", "AGE"]
    assert [row[:4] for row in rows] == [
        ["demo-master-0", "1/1", "Running", "0"],
        ["demo-worker-0", "0/1", "Error", "0"],
    ]
    wide = reader.rows("get", "pod", "demo-master-0", "-o", "wide", "--no-headers")
    assert wide[0][5:6] + wide[0][7:] == ["127.0.0.1", "<none>", "<none>"]


@pytest.mark.parametrize(
    ("selector", "names"),
    [
        (("-l", "training.kubeflow.org/replica-type=worker"), ["demo-worker-0"]),
        (("-l", "training.kubeflow.org/replica-type in (master,chief)"), ["demo-master-0"]),
        (("--field-selector", "status.phase=Running"), ["demo-master-0"]),
        (("--field-selector", "status.phase!=Running"), ["demo-worker-0"]),
        (("--sort-by", "{.metadata.labels.training\\.kubeflow\\.org/replica-index}"), None),
    ],
    ids=lambda value: value[1] if isinstance(value, tuple) else "",
)
def test_which_pods(reader: Kubectl, selector: tuple[str, ...], names: list[str] | None) -> None:
    """By labels and by fields, and in an order."""
    rows = reader.rows("get", "pods", "--no-headers", *selector)
    assert [row[0] for row in rows] == (names or ["demo-master-0", "demo-worker-0"])


@pytest.mark.parametrize(
    ("form", "printed"),
    [
        ("name", "pod/demo-master-0\npod/demo-worker-0\n"),
        ("jsonpath={.items[*].status.phase}", "Running Failed"),
        ("custom-columns=N:.metadata.name", "N\ndemo-master-0\ndemo-worker-0\n"),
        ("go-template={{len .items}}", "2"),
    ],
)
def test_other_forms(reader: Kubectl, form: str, printed: str) -> None:
    """They are made of whole objects."""
    assert reader("get", "pods", "-o", form) == printed


def test_whole_objects(reader: Kubectl) -> None:
    """As JSON and as YAML."""
    found = json.loads(reader("get", "pytorchjob", "demo", "-o", "json"))
    assert (found["kind"], found["metadata"]["labels"]) == ("PyTorchJob", {"team": "a"})
    assert "kind: PyTorchJob\n" in reader("get", "pytorchjob", "demo", "-o", "yaml")


def test_labels_and_namespaces(reader: Kubectl) -> None:
    """From the metadata that each row of a table carries."""
    row = reader.rows("get", "pytorchjobs", "-A", "--show-labels", "--no-headers", "-l", "team=a")
    assert (row[0][0], row[0][1], row[0][-1]) == ("kubectl-reads", "demo", "team=a")


def test_several_kinds_at_once(reader: Kubectl) -> None:
    """And the category that holds what people mean by all."""
    found = reader("get", "pytorchjobs,configmaps")
    assert "pytorchjob.kubeflow.org/demo" in found
    assert "configmap/notes" in found
    assert "pod/demo-master-0" in reader("get", "all")


def test_pages(reader: Kubectl) -> None:
    """Lists that are fetched in pages are printed as one."""
    rows = reader.rows("get", "pods", "--chunk-size=1")
    assert [row[0] for row in rows] == ["NAME", "demo-master-0", "demo-worker-0"]


def test_what_is_not_there(reader: Kubectl) -> None:
    """In the words of a cluster."""
    assert 'pods "nobody" not found' in reader.run("get", "pod", "nobody").stderr
    assert reader("get", "pod", "nobody", "--ignore-not-found") == ""


def test_a_job_in_full(reader: Kubectl) -> None:
    """With the events about it."""
    found = reader("describe", "pytorchjob", "demo")
    assert "Kind:         PyTorchJob" in found
    assert re.search(r"Normal +SuccessfulCreatePod .* Created pod: demo-master-0", found)


def test_a_pod_in_full(reader: Kubectl) -> None:
    """With the state of its containers, and the events about it."""
    found = reader("describe", "pod", "demo-worker-0")
    assert "Controlled By:  PyTorchJob/demo" in found
    assert re.search(r"State: +Terminated\n +Reason: +Error\n +Exit Code: +3", found)
    assert re.search(r"Normal +Started ", found)


@pytest.mark.parametrize(("kind", "words"), [("configmap", "hello"), ("events", "Created pod")])
def test_others_in_full(reader: Kubectl, kind: str, words: str) -> None:
    """What they hold, or say."""
    assert words in reader("describe", kind)


def test_nodes(reader: Kubectl) -> None:
    """There is one, this machine, which is ready and can be described."""
    (row,) = reader.rows("get", "nodes", "--no-headers")
    assert row[1] == "Ready"
    assert "Allocatable:" in reader("describe", "node", row[0])


def test_events(reader: Kubectl) -> None:
    """All of a namespace, those about one object, the warnings."""
    about_job = json.loads(reader("events", "--for=pytorchjob/demo", "-o", "json"))["items"]
    assert {event["involvedObject"]["name"] for event in about_job} == {"demo"}
    warnings = json.loads(reader("events", "--types=Warning", "-o", "json"))["items"]
    assert {event["type"] for event in warnings} == {"Warning"}
    objects = {row[3] for row in reader.rows("get", "events", "--no-headers")}
    assert {"pytorchjob/demo", "pod/demo-master-0", "pod/demo-worker-0"} <= objects


def test_a_watch_shows_what_becomes_of_a_pod(api: Api, kubectl: Kubectl) -> None:
    """A row for each change, below the columns that are named once."""
    api.submit(a_job(code="import time; time.sleep(600)"))
    api.wait_phase("j-master-0", "Running")
    watch = kubectl.start("get", "pods", "--watch", "--output-watch-events")
    try:
        assert watch.stdout is not None
        lines = iter(watch.stdout)
        assert next(lines).split()[:4] == ["EVENT", "NAME", "READY", "STATUS"]
        assert next(lines).split()[:4] == ["ADDED", "j-master-0", "1/1", "Running"]
        kubectl("delete", "pod", "j-master-0", "--grace-period=1", "--wait=false")
        words = [line.split() for line in lines_until(lines, "DELETED")]
        assert ["MODIFIED", "j-master-0", "1/1", "Terminating"] in [line[:4] for line in words]
        assert "EVENT" not in {line[0] for line in words}
    finally:
        watch.kill()
        watch.wait()


def lines_until(lines: Iterator[str], word: str) -> Iterator[str]:
    """Yield lines up to the first that begins with `word`."""
    for line in lines:
        yield line
        if line.startswith(word):
            return


@pytest.mark.parametrize(
    ("command", "kind"),
    [
        ("create configmap a --from-literal=x=y", "configmap"),
        ("create secret generic a --from-literal=x=y", "secret"),
    ],
)
def test_what_is_sent_as_protobuf(kubectl: Kubectl, command: str, kind: str) -> None:
    """Kinds that kubectl knows itself; one entry of data is one entry of data."""
    kubectl(*command.split())
    rows = kubectl.rows("get", kind, "a", "--no-headers")
    assert rows[0][:-1] in (["a", "1"], ["a", "Opaque", "1"])


def test_the_server_checks_fields(kubectl: Kubectl) -> None:
    """It is told to, because its documents say that it can."""
    manifest = a_job()
    manifest["spec"]["nonsense"] = 1
    done = kubectl.run("create", "-f", "-", text=json.dumps(manifest))
    assert 'strict decoding error: unknown field "spec.nonsense"' in done.stderr
    assert kubectl.run("get", "pytorchjob", "j").returncode != 0
