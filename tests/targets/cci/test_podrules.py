"""Pods that CCI would not run are refused in one line, with what to use."""

from __future__ import annotations

import copy
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pyjob_magic.errors import OptionError
from pyjob_magic.manifest import Origin, build
from pyjob_magic.models import PyTorchJob
from pyjob_magic.options import JobOptions
from pyjob_magic.targets.cci.preparation import prepare
from tests.data import read

V100 = "nvidia.com/gpu-tesla-v100-16GB"
GPU: dict[str, Any] = {"cpu": 4, "memory": "32Gi", "gpus": 1, "gpu_resource": V100}
SIZE: dict[str, Any] = {"cpu": 2, "memory": "4Gi"}


def prepared(**said: Any) -> PyTorchJob:
    origin = Origin(time="2026-01-02T03:04:05Z", suffix="x7k2p")
    return prepare(build(JobOptions.read(said), "x = 1", origin).job)


def template(job: PyTorchJob, kind: str = "Master") -> dict[str, Any]:
    found: dict[str, Any] = job.to_wire()["spec"]["pytorchReplicaSpecs"][kind]["template"]
    return found


def documented(**spec: Any) -> PyTorchJob:
    """Return the documented job, whose Master's pod is changed."""
    wire = read("cci/create-request.json")
    wire["spec"]["pytorchReplicaSpecs"]["Master"]["template"]["spec"] |= spec
    return PyTorchJob.from_wire(wire)


@pytest.mark.parametrize(
    ("said", "message"),
    [
        ({}, "--cpu: cci must be told; say both, such as --cpu 2 --memory 4Gi (CPUs: 0.25 to"),
        ({"cpu": 2}, "--memory: cci must be told; say both, such as --cpu 2 --memory 4Gi"),
        ({"cpu": "3.1", "memory": "8Gi"}, "--cpu: 3.1 is no step of 0.25; use 3.25"),
        ({"cpu": "100m", "memory": "1Gi"}, "--cpu: 0.1 is no step of 0.25; use 0.25"),
        ({"cpu": 33, "memory": "96Gi"}, "--cpu: 33 is no size of cci (0.25 to 32, 48 or 64); use"),
        ({"cpu": 40, "memory": "96Gi"}, "use 48"),
        ({"cpu": 100, "memory": "200Gi"}, "use 64"),
        ({"cpu": 4, "memory": "3Gi"}, "--memory: 3Gi with 4 CPUs is below 1:2; use 8Gi"),
        (
            {"cpu": 4, "memory": "64Gi"},
            "--memory: 64Gi with 4 CPUs is above 1:8; use 32Gi, or --cpu 8",
        ),
        ({"cpu": 1, "memory": "2560Mi"}, "--memory: 2.5Gi is no whole number of Gi; use 3Gi"),
        ({"cpu": 1, "memory": "4G"}, "--memory: 3.725Gi is no whole number of Gi; use 4Gi"),
        ({"cpu": 64, "memory": "600Gi"}, "--memory: 600Gi is more than a pod on cci has; use 512"),
        ({"cpu": 8, "memory": "600Gi"}, "--memory: 600Gi is more than a pod on cci has; use 64Gi"),
        ({"cpu": 1, "memory": "100Mi"}, "--memory: a container on cci has 0.2Gi at least; use 1"),
        ({**SIZE, "gpus": 1}, "--gpu-resource: nvidia.com/gpu is no card of cci; use nvidia.com/"),
        ({**GPU, "gpus": 3}, "--gpus: a pod on cci has 1, 2, 4 or 8 GPUs; use 4"),
        ({**GPU, "gpus": 16}, "--gpus: a pod on cci has 1, 2, 4 or 8 GPUs; use 8"),
        (
            {**GPU, "gpus": 2},
            f"--cpu: cci sells 2 x {V100} with 8 CPUs and 64Gi only; use --cpu 8 --memory 64Gi",
        ),
        ({**GPU, "memory": "16Gi"}, f"--memory: cci sells 1 x {V100} with 4 CPUs and 32Gi only"),
        (
            {"gpus": 4, "gpu_resource": V100},
            "--cpu: cci must be told; with these GPUs say --cpu 16 --memory 128Gi",
        ),
        (
            {**GPU, "annotations": {"cri.cci.io/gpu-driver": "gpu-999"}},
            "--annotation: cri.cci.io/gpu-driver: cci has no 'gpu-999'; use gpu-460.106 or gpu-4",
        ),
        ({**SIZE, "shm_size": "3Gi"}, "--shm-size: 3Gi is over half of the pod's memory; use 2Gi"),
        ({**SIZE, "mounts": ["memory:3Gi:/x"]}, "--mount: 3Gi is over half of the pod's memory"),
        ({**SIZE, "node_selector": {"a": "b"}}, "--node-selector: cci lets nobody set nodeSelec"),
        ({**SIZE, "tolerations": ["gpu"]}, "--toleration: cci lets nobody set tolerations; leave"),
        ({**SIZE, "service_account": "x"}, "--service-account: cci lets nobody set serviceAccount"),
    ],
)
def test_options_that_cci_does_not_take(said: dict[str, Any], message: str) -> None:
    """The option is named as typed, with the nearest value that is allowed."""
    with pytest.raises(OptionError) as refused:
        prepared(**said)

    assert message in str(refused.value)
    assert "\n" not in str(refused.value)


@pytest.mark.parametrize(
    ("spec", "message"),
    [
        ({"affinity": {"podAffinity": {}}}, "affinity: cci lets nobody set affinity"),
        ({"nodeName": "a"}, "nodeName: cci lets"),
        ({"schedulerName": "volcano"}, "schedulerName: cci lets"),
        ({"hostNetwork": True}, "hostNetwork: cci lets"),
        ({"hostPID": True}, "hostPID: cci lets"),
        ({"hostIPC": True}, "hostIPC: cci lets"),
        ({"dnsPolicy": "Default"}, "dnsPolicy: cci does not take Default; use ClusterFirst"),
        ({"priority": 11}, "priority: 11 is not within -10 and 10; use 10"),
        (
            {"volumes": [{"name": "a", "hostPath": {"path": "/x"}}]},
            "volume 'a': cci has no hostPath; use --mount pvc:NAME:/path",
        ),
    ],
)
def test_fields_of_pods_that_cannot_be_set(spec: dict[str, Any], message: str) -> None:
    """Those of a manifest are named by their field."""
    with pytest.raises(OptionError, match=message):
        prepare(documented(**spec))


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"imagePullPolicy": "Never"}, "imagePullPolicy of container 'pytorch': cci takes only"),
        ({"securityContext": {"privileged": True}}, "privileged of container 'pytorch'"),
        ({"ports": [{"containerPort": 1, "hostPort": 1}]}, "hostPort of container 'pytorch'"),
        (
            {"resources": {"limits": {"cpu": 2, "memory": "4Gi"}, "requests": {"cpu": 1}}},
            "--cpu: cci wants limit and request to be equal, not 2 and 1; use 2",
        ),
    ],
)
def test_fields_of_containers_that_cannot_be(change: dict[str, Any], message: str) -> None:
    """The container is named."""
    containers = documented().to_wire()["spec"]["pytorchReplicaSpecs"]["Master"]["template"]
    container = containers["spec"]["containers"][0]

    with pytest.raises(OptionError) as refused:
        prepare(documented(containers=[{**container, **change}]))

    assert str(refused.value).startswith(message)


def pod_of(*sizes: tuple[str, str], first: tuple[str, str] | None = None) -> PyTorchJob:
    """Return a job whose Master has containers of these sizes, and one that runs before."""
    named = [
        {"name": f"c{i}", "image": "x", "resources": {"limits": {"cpu": cpu, "memory": memory}}}
        for i, (cpu, memory) in enumerate([*sizes, *([first] if first else [])])
    ]
    count = len(sizes)
    return documented(containers=named[:count], initContainers=named[count:])


def test_a_pod_is_as_large_as_its_containers_together() -> None:
    """Or as its largest init container; a pod of five is the most there is."""
    prepare(pod_of(("0.25", "512Mi"), ("0.25", "512Mi")))
    prepare(pod_of(("1", "2Gi"), first=("2", "4Gi")))

    with pytest.raises(OptionError, match="--memory: 2Gi with 2 CPUs is below 1:2; use 4Gi"):
        prepare(pod_of(("1", "1Gi"), ("1", "1Gi")))
    with pytest.raises(OptionError, match="--memory: 2Gi with 2 CPUs is below 1:2; use 4Gi"):
        prepare(pod_of(("1", "2Gi"), first=("2", "1Gi")))
    with pytest.raises(OptionError, match="containers: a pod on cci has 5 at most, not 6"):
        prepare(pod_of(*[("1", "2Gi")] * 6))


def test_one_container_uses_the_gpu() -> None:
    """As CCI says."""
    job = copy.deepcopy(template(prepared(**GPU))["spec"]["containers"][0])

    with pytest.raises(OptionError, match="--gpus: only one container of a pod"):
        prepare(documented(containers=[job, {**job, "name": "second"}]))


def test_what_nobody_has_to_say_is_added() -> None:
    """Requests, pull policy, pull secret, the size of /dev/shm; with GPUs the driver."""
    master = template(prepared(**GPU))

    (container,) = master["spec"]["containers"]
    assert container["resources"]["limits"] == container["resources"]["requests"]
    assert container["imagePullPolicy"] == "Always"
    assert master["spec"]["imagePullSecrets"] == [{"name": "imagepull-secret"}]
    assert master["spec"]["volumes"][0]["emptyDir"] == {"medium": "Memory", "sizeLimit": "16Gi"}
    assert master["metadata"]["annotations"]["cri.cci.io/gpu-driver"] == "gpu-460.106"
    assert "cri.cci.io/gpu-driver" not in template(prepared(**SIZE))["metadata"]["annotations"]
    small = template(prepared(cpu="0.25", memory="1Gi"))
    assert small["spec"]["volumes"][0]["emptyDir"]["sizeLimit"] == "512Mi"


def test_what_is_said_stays() -> None:
    """Pull secret, driver, size of /dev/shm; limits give requests, and the other way round."""
    said = {"cri.cci.io/gpu-driver": "gpu-418.126"}
    master = template(
        prepared(**GPU, pull_secrets=["mine"], annotations=said, shm_size="1Gi", workers=1)
    )

    assert master["spec"]["imagePullSecrets"] == [{"name": "mine"}]
    assert master["metadata"]["annotations"]["cri.cci.io/gpu-driver"] == "gpu-418.126"
    assert master["spec"]["volumes"][0]["emptyDir"]["sizeLimit"] == "1Gi"
    half = {"requests": {"cpu": 2, "memory": "4Gi"}}
    job = prepare(documented(containers=[{"name": "pytorch", "image": "x", "resources": half}]))
    assert template(job)["spec"]["containers"][0]["resources"]["limits"] == half["requests"]


def test_t4_cards_are_taken_under_the_name_that_somebody_knows() -> None:
    """Their sizes are documented, their name is not."""
    t4 = {"gpus": 2, "gpu_resource": "nvidia.com/gpu-tesla-t4"}

    assert prepared(**t4, cpu=16, memory="64Gi")
    with pytest.raises(OptionError, match="use --cpu 16 --memory 64Gi"):
        prepared(**t4, cpu=8, memory="64Gi")


def test_names_may_start_with_a_digit() -> None:
    """1 to 63 characters, and nothing that the operator adds counts."""
    wire = read("cci/create-request.json")
    for name in ("1st", "a" * 63):
        wire["metadata"]["name"] = name
        assert prepare(PyTorchJob.from_wire(wire)).name == name
    for name in ("a" * 64, "Mnist", "-a", "a.b"):
        wire["metadata"]["name"] = name
        with pytest.raises(OptionError, match="is no name on cci: use 1 to 63 of a-z"):
            prepare(PyTorchJob.from_wire(wire))


@given(
    st.sampled_from([0.25, 0.5, 1, 1.75, 4, 31.75, 32, 48, 64]) | st.floats(0.01, 90),
    st.floats(0.3, 700),
)
def test_following_the_advice_ends_in_a_job_that_is_taken(cpu: float, memory: float) -> None:
    """Whatever is asked for: each message names a value that brings it nearer."""
    said = {"cpu": f"{cpu:.2f}" if cpu >= 0.01 else "0.01", "memory": f"{int(memory * 1024)}Mi"}
    for _ in range(4):
        try:
            job = prepared(**said)
        except OptionError as error:
            field = error.option.removeprefix("--")
            said[field] = error.reason.partition("use ")[2].partition(",")[0]
        else:
            assert prepare(job) == job
            return
    raise AssertionError(f"no end to the advice: {said}")
