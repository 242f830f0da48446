"""From options and source to the object that is sent."""

from __future__ import annotations

import json
from typing import Any

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from pyjob_magic.errors import ManifestError, OptionError
from pyjob_magic.manifest import (
    Manifest,
    Origin,
    again,
    build,
    generated_name,
    load,
    next_name,
    to_yaml,
)
from pyjob_magic.options import JobOptions
from tests.data import SEED

ORIGIN = Origin(time="2026-01-02T03:04:05Z", suffix="x7k2p", notebook="quickstart", line="mnist")


def a_manifest(source: str = "print(1)", **said: Any) -> Manifest:
    return build(JobOptions.read(said), source, ORIGIN)


def spec(manifest: Manifest, kind: str = "Master") -> dict[str, Any]:
    replica: dict[str, Any] = manifest.job.to_wire()["spec"]["pytorchReplicaSpecs"][kind]
    return replica


def container(manifest: Manifest, kind: str = "Master") -> dict[str, Any]:
    found: dict[str, Any] = spec(manifest, kind)["template"]["spec"]["containers"][0]
    return found


def test_what_upstream_defaults_badly_is_said() -> None:
    """Failing code is not restarted for ever, GPUs are freed, logs of failures stay."""
    wire = a_manifest().job.to_wire()["spec"]

    assert wire["runPolicy"] == {"cleanPodPolicy": "Running", "backoffLimit": 3}
    assert wire["nprocPerNode"] == "1"
    assert list(wire["pytorchReplicaSpecs"]) == ["Master"]
    master = wire["pytorchReplicaSpecs"]["Master"]
    assert (master["replicas"], master["restartPolicy"]) == (1, "Never")
    assert master["template"]["metadata"]["annotations"] == {"sidecar.istio.io/inject": "false"}
    assert master["template"]["spec"]["volumes"] == [
        {"name": "dshm", "emptyDir": {"medium": "Memory"}}
    ]


def test_every_replica_gets_what_is_said() -> None:
    """Master and Workers run the same program with the same resources."""
    manifest = a_manifest(
        workers=2, cpu="1", memory="2Gi", gpus=1, image="a/b:c", env={"K": "v"}, args=["--n", "3"]
    )

    assert spec(manifest, "Worker")["replicas"] == 2
    assert container(manifest, "Worker") == container(manifest, "Master")
    amounts = {"cpu": "1", "memory": "2Gi", "nvidia.com/gpu": "1"}
    assert container(manifest)["resources"] == {"limits": amounts, "requests": amounts}
    assert container(manifest)["image"] == "a/b:c"
    assert container(manifest)["env"] == [{"name": "K", "value": "v"}]
    assert container(manifest)["args"] == ["--n", "3"]


def test_kubernetes_hands_arguments_and_variables_over_as_typed() -> None:
    """`$(RANK)` and `$$` are escaped wherever Kubernetes would expand them."""
    manifest = a_manifest(env={"K": "$(RANK) $$"}, args=["$(RANK)"])

    assert container(manifest)["env"][0]["value"] == "$$(RANK) $$$$"
    assert container(manifest)["args"] == ["$$(RANK)"]


def test_torchrun_starts_several_processes_and_only_those() -> None:
    """One process is started by itself: torchrun costs seconds and an agent."""
    assert container(a_manifest())["command"][-1] == "python"
    assert container(a_manifest(nproc_per_node="2"))["command"][-1] == "torchrun"


def test_volumes_are_mounted_in_every_replica() -> None:
    """Each kind of volume becomes the field of the pod that Kubernetes has for it."""
    manifest = a_manifest(
        workers=1,
        mounts=["pvc:data:/data:ro", "secret:key:/key", "configmap:cfg:/cfg", "memory:1Gi:/fast"],
    )
    pod = spec(manifest, "Worker")["template"]["spec"]

    assert pod["volumes"][1:] == [
        {"name": "mount-0", "persistentVolumeClaim": {"claimName": "data"}},
        {"name": "mount-1", "secret": {"secretName": "key"}},
        {"name": "mount-2", "configMap": {"name": "cfg"}},
        {"name": "mount-3", "emptyDir": {"medium": "Memory", "sizeLimit": "1Gi"}},
    ]
    assert pod["containers"][0]["volumeMounts"][1] == {
        "name": "mount-0",
        "mountPath": "/data",
        "readOnly": True,
    }


def test_one_path_is_mounted_once() -> None:
    """Two volumes at one place are a slip."""
    with pytest.raises(OptionError, match="--mount: /data is mounted already"):
        a_manifest(mounts=["pvc:a:/data", "pvc:b:/data"])


def test_large_source_travels_in_a_config_map_of_the_job() -> None:
    """What one argument cannot hold becomes a file, owned by the job once that has a uid."""
    source = "# " + "x" * 700_000 + "\nprint(1)\n"
    manifest = a_manifest(source, name="big")
    created = manifest.job.model_copy(deep=True)
    created.metadata.uid = "u"

    owned = manifest.owned_config_map(created).to_wire()

    assert owned["data"] == {"main.py": source}
    assert owned["metadata"]["ownerReferences"] == [
        {"apiVersion": "kubeflow.org/v1", "kind": "PyTorchJob", "name": "big", "uid": "u"}
    ]
    name = owned["metadata"]["name"]
    assert {"name": "pyjob-source", "configMap": {"name": name}} in spec(manifest)["template"][
        "spec"
    ]["volumes"]
    assert len(json.dumps(manifest.job.to_wire())) < 20_000


def test_job_says_where_it_comes_from() -> None:
    """Notebook, time, version, digest and the line are annotations."""
    annotations = a_manifest().job.metadata.annotations or {}

    assert annotations["pyjob-magic/notebook"] == "quickstart"
    assert annotations["pyjob-magic/submitted"] == "2026-01-02T03:04:05Z"
    assert annotations["pyjob-magic/line"] == "mnist"
    assert len(annotations["pyjob-magic/source-sha256"]) == 64
    assert "pyjob-magic/cell" not in annotations


@pytest.mark.parametrize(
    ("source", "name"),
    [
        ("# Train MNIST, quickly!\nx = 1", "train-mnist-quickly-x7k2p"),
        ("x = 1", "quickstart-x7k2p"),
    ],
)
def test_generated_name_tells_the_subject(source: str, name: str) -> None:
    """A comment at the top names the job, else the notebook does."""
    assert a_manifest(source).job.name == name


@given(st.text(max_size=100))
def test_generated_names_are_names(subject: str) -> None:
    """Whatever the subject is, what is made of it is accepted as a name."""
    name = generated_name(subject, "x7k2p")

    assert JobOptions.read({"name": name}).name == name


class TestFromAManifest:
    """`--from FILE`: only what is said is changed."""

    def test_nothing_said_changes_only_the_program(self) -> None:
        """Images, policies, arguments and secrets of the seed stay."""
        base = load(json.dumps(SEED), file="seed.json")
        built = build(JobOptions(), "print(1)", ORIGIN, base=base).job.to_wire()

        expected = json.loads(json.dumps(SEED))
        expected["metadata"] = built["metadata"]
        for kind in ("Master", "Worker"):
            running = built["spec"]["pytorchReplicaSpecs"][kind]["template"]["spec"]["containers"]
            before = expected["spec"]["pytorchReplicaSpecs"][kind]["template"]["spec"]
            before["containers"][0]["command"] = running[0]["command"]
        assert built == expected
        assert built["metadata"]["name"] == "pytorch-test"

    def test_what_is_said_replaces(self) -> None:
        """Options win over the file."""
        base = load(json.dumps(SEED), file="seed.json")
        built = build(JobOptions.read({"workers": 4, "cpu": "1"}), "x = 1", ORIGIN, base=base)

        assert spec(built, "Worker")["replicas"] == 4
        assert spec(built, "Worker")["restartPolicy"] == "OnFailure"
        assert container(built)["resources"]["limits"] == {"cpu": "1", "memory": "4Gi"}

    def test_gpus_are_told_from_other_extended_resources(self) -> None:
        """More GPUs are no more network cards."""
        base = json.loads(json.dumps(SEED))
        for kind in ("Master", "Worker"):
            pod = base["spec"]["pytorchReplicaSpecs"][kind]["template"]["spec"]
            pod["containers"][0]["resources"]["limits"] = {"rdma/hca": 1, "amd.com/gpu": 8}
        job = load(json.dumps(base), file="f")

        built = build(JobOptions(gpus=4), "x = 1", ORIGIN, base=job)

        assert container(built)["resources"]["limits"] == {"rdma/hca": 1, "amd.com/gpu": "4"}

    def test_no_workers_removes_the_key(self) -> None:
        """The webhook denies 0 replicas."""
        base = load(json.dumps(SEED), file="seed.json")
        built = build(JobOptions.read({"workers": 0}), "x = 1", ORIGIN, base=base)

        assert list(built.job.spec.pytorch_replica_specs) == ["Master"]

    def test_a_fetched_job_can_be_sent_again(self) -> None:
        """What a server added is left out."""
        fetched = a_manifest(name="mnist").job.to_wire()
        fetched["metadata"] |= {"uid": "u", "resourceVersion": "7", "generation": 2}
        fetched["status"] = {"conditions": []}

        again = load(to_yaml(fetched), file="job.yaml").to_wire()

        assert set(again["metadata"]) == {"name", "namespace", "annotations"}
        assert "status" not in again

    @pytest.mark.parametrize(
        ("text", "message"),
        [
            ("a: [", "job.yaml: neither YAML nor JSON: "),
            ("a: 2026-02-30", "job.yaml: neither YAML nor JSON: day"),
            ("kind: Pod", "job.yaml: holds 0 PyTorchJobs; one is needed"),
            ("kind: PyTorchJob\nspec: {}", "job.yaml: spec.pytorchReplicaSpecs: Field required"),
        ],
    )
    def test_what_is_no_job_is_refused(self, text: str, message: str) -> None:
        """The line names the file and the field."""
        with pytest.raises(ManifestError) as refused:
            load(text, file="job.yaml")

        assert str(refused.value).startswith(message)
        assert "\n" not in str(refused.value)

    def test_replica_without_the_container_that_trains_is_refused(self) -> None:
        """There is no telling which container the cell should replace."""
        base = json.loads(json.dumps(SEED))
        base["spec"]["pytorchReplicaSpecs"]["Worker"]["template"]["spec"]["containers"][0][
            "name"
        ] = "other"

        with pytest.raises(ManifestError, match="Worker has no container named 'pytorch'"):
            build(JobOptions(), "x = 1", ORIGIN, base=load(json.dumps(base), file="f"))


# Lone surrogates are in no source and no option: a line that has them is refused.
TEXT = st.characters(exclude_categories=["Cs"])


VALUES = st.text(TEXT) | st.integers() | st.booleans() | st.lists(st.text(TEXT))


@given(st.dictionaries(st.text(TEXT, min_size=1), VALUES))
def test_yaml_is_read_as_it_was_written(wire: dict[str, Any]) -> None:
    """The preview holds the very values that are sent."""
    assert yaml.safe_load(to_yaml(wire)) == wire


def test_preview_is_what_is_sent() -> None:
    """YAML and JSON of a manifest are the objects that submit POSTs."""
    manifest = a_manifest("# " + "x" * 200_000 + "\npass", name="big", workers=1)

    assert list(yaml.safe_load_all(str(manifest))) == manifest.to_wire()
    assert json.loads(manifest.to_json())["items"] == manifest.to_wire()
    assert load(manifest.to_json(), file="f").to_wire() == load(str(manifest), file="f").to_wire()


def rerun(manifest: Manifest, name: str = "mnist-2", source: str | None = None) -> Manifest:
    return again(manifest.job, name, time="now", submission="s2", suffix="abcde", source=source)


def test_a_job_that_is_submitted_again_is_new() -> None:
    """What a server has added is of the first one; all else is the same."""
    first = a_manifest(name="mnist", workers=1, labels={"a": "b"}, suspend=True)
    wire = first.job.to_wire()
    wire["metadata"] |= {"uid": "u", "resourceVersion": "7", "finalizers": ["x"]}
    wire["metadata"]["annotations"]["kubectl.kubernetes.io/last-applied-configuration"] = "{}"
    wire["spec"]["pytorchReplicaSpecs"]["Master"]["template"]["metadata"]["name"] = None
    stored = Manifest(type(first.job).from_wire({**wire, "status": {"startTime": "then"}}))

    wire = rerun(stored).to_wire()[0]

    meta = wire.pop("metadata")
    assert meta["name"] == "mnist-2"
    assert {*meta} == {"name", "namespace", "labels", "annotations"}
    assert meta["annotations"]["pyjob-magic/submission"] == "s2"
    assert meta["annotations"]["pyjob-magic/submitted"] == "now"
    assert "kubectl.kubernetes.io/last-applied-configuration" not in meta["annotations"]
    expected = a_manifest(name="mnist", workers=1, labels={"a": "b"}).to_wire()[0]
    assert wire["spec"] == expected["spec"]
    assert "status" not in wire


def test_a_queued_job_waits_again() -> None:
    """Kueue has resumed the first one."""
    first = a_manifest(name="mnist", queue="team-a").job.to_wire()
    first["spec"]["runPolicy"]["suspend"] = False

    job = rerun(Manifest(a_manifest().job.from_wire(first))).job

    assert job.spec.run_policy
    assert job.spec.run_policy.suspend is True


def test_a_large_source_gets_a_config_map_of_its_own() -> None:
    """Every replica mounts that; what else is mounted stays."""
    source = f"# {'x' * 200_000}\npass"
    first = a_manifest(source, name="mnist", workers=1, mounts=["configmap:mine:/mine"])

    manifest = rerun(first, source=source)

    job, config_map = manifest.to_wire()
    assert config_map["metadata"]["name"] == "mnist-2-source-abcde"
    assert config_map["data"] == {"main.py": source}
    for kind in ("Master", "Worker"):
        volumes = job["spec"]["pytorchReplicaSpecs"][kind]["template"]["spec"]["volumes"]
        names = [volume["configMap"]["name"] for volume in volumes if "configMap" in volume]
        assert sorted(names) == ["mine", "mnist-2-source-abcde"]


@pytest.mark.parametrize(
    ("name", "taken", "expected"),
    [
        ("train", [], "train-2"),
        ("train", ["train", "train-2", "train-3"], "train-4"),
        ("train-2", ["train-2"], "train-3"),
        ("train-7", ["train", "train-7", "train-8"], "train-9"),
        ("run-a1", [], "run-a1-2"),
        ("x" * 54, [], "x" * 52 + "-2"),
        ("x" * 50 + "-b-c", [], "x" * 50 + "-b-2"),
        ("x" * 51 + "-99", [], "x" * 50 + "-100"),
        ("x" * 63, ["x" * 52 + "-2"], "x" * 52 + "-3"),
    ],
)
def test_the_name_of_another_run(name: str, taken: list[str], expected: str) -> None:
    """The next number that is free; never too long."""
    assert next_name(name, taken) == expected
