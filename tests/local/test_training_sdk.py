"""The official SDK, as it is: what its users do works on the embedded API."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from kubeflow.training import (
    KubeflowOrgV1PyTorchJob,
    KubeflowOrgV1PyTorchJobSpec,
    KubeflowOrgV1ReplicaSpec,
    KubeflowOrgV1RunPolicy,
    TrainingClient,
)
from kubernetes.client import V1Container, V1ObjectMeta, V1PodSpec, V1PodTemplateSpec

from tests.local.api import Api
from tests.state import eventually


@pytest.fixture
def sdk(api: Api, kubeconfig: Path) -> Iterator[TrainingClient]:
    client = TrainingClient(config_file=str(kubeconfig), namespace=api.namespace)
    yield client
    client.core_api.api_client.close()


def a_typed_job(name: str, *script: str, workers: int = 0) -> KubeflowOrgV1PyTorchJob:
    """Return a job whose replicas run a shell script that is not started again."""
    container = V1Container(name="pytorch", image="x", command=["sh", "-c", "\n".join(script)])
    pod = V1PodSpec(containers=[container], termination_grace_period_seconds=1)
    replicas = {
        kind: KubeflowOrgV1ReplicaSpec(
            replicas=count, restart_policy="Never", template=V1PodTemplateSpec(spec=pod)
        )
        for kind, count in {"Master": 1, "Worker": workers}.items()
        if count
    }
    return KubeflowOrgV1PyTorchJob(
        api_version="kubeflow.org/v1",
        kind="PyTorchJob",
        metadata=V1ObjectMeta(name=name),
        spec=KubeflowOrgV1PyTorchJobSpec(
            pytorch_replica_specs=replicas,
            run_policy=KubeflowOrgV1RunPolicy(clean_pod_policy="None"),
        ),
    )


def wait(sdk: TrainingClient, name: str, *conditions: str) -> KubeflowOrgV1PyTorchJob:
    return sdk.wait_for_job_conditions(
        name, expected_conditions=set(conditions), wait_timeout=60, polling_interval=0.2
    )


def test_a_function_on_two_workers(sdk: TrainingClient) -> None:
    """It is trained with as torchrun starts it, in both replicas, with its parameters."""
    pytest.importorskip("torch")

    def train(parameters: dict[str, float]) -> None:
        import os

        import torch.distributed as dist

        dist.init_process_group("gloo")
        rate = parameters["rate"]
        place = f"{dist.get_rank()} of {dist.get_world_size()}"
        print(f"{place} at {rate}, {os.environ['NOTE']}")  # noqa: T201 - what replicas do
        dist.destroy_process_group()

    sdk.create_job(
        name="function",
        train_func=train,
        parameters={"rate": 0.1},
        num_workers=2,
        num_procs_per_worker=1,
        env_vars={"NOTE": "gloo"},
    )
    job = wait(sdk, "function", "Succeeded")
    logs, events = sdk.get_job_logs("function", is_master=False)
    for rank, pod in enumerate(("function-master-0", "function-worker-0")):
        # torch may complain below it that the other one was quicker to leave.
        assert f"{rank} of 2 at 0.1, gloo\n" in logs.pop(pod)
    assert logs == {}
    assert events == {}
    assert (job.spec.nproc_per_node, job.spec.run_policy.clean_pod_policy) == ("1", None)


def test_a_function_on_one_worker(sdk: TrainingClient) -> None:
    """It is run by Python alone, in the master."""

    def train() -> None:
        import sys

        print("trained", *sys.argv[1:])  # noqa: T201 - what replicas do

    sdk.create_job(name="single", train_func=train, num_workers=1)
    wait(sdk, "single", "Succeeded")
    assert sdk.get_job_pod_names("single") == ["single-master-0"]
    assert sdk.get_job_logs("single")[0] == {"single-master-0": "trained\n"}


def test_a_typed_job_is_read_back(sdk: TrainingClient) -> None:
    """As the object that was sent, with what the server and the operator add."""
    sdk.create_job(a_typed_job("typed", "exit 0", workers=2))
    job = wait(sdk, "typed", "Succeeded")
    assert isinstance(job, KubeflowOrgV1PyTorchJob)
    assert job.spec.pytorch_replica_specs["Worker"].replicas == 2
    assert job.metadata.creation_timestamp <= job.status.start_time <= job.status.completion_time
    assert sdk.get_job("typed").metadata.uid == job.metadata.uid
    assert [entry.metadata.name for entry in sdk.list_jobs()] == ["typed"]


def test_the_conditions_of_a_job(sdk: TrainingClient) -> None:
    """Asked for all at once, or one by one."""
    sdk.create_job(a_typed_job("quick", "exit 0"))
    wait(sdk, "quick", "Succeeded")
    found = {entry.type: entry.status for entry in sdk.get_job_conditions("quick")}
    assert found["Created"] == found["Succeeded"] == "True"
    assert found.get("Running", "False") == "False"
    assert sdk.is_job_created("quick")
    assert sdk.is_job_succeeded("quick")
    assert not sdk.is_job_running("quick")
    assert not sdk.is_job_restarting("quick")
    assert not sdk.is_job_failed("quick")


def test_a_job_that_runs(sdk: TrainingClient) -> None:
    """Is waited for like one that ends."""
    sdk.create_job(a_typed_job("long", "sleep 600"))
    assert sdk.is_job_running(job=wait(sdk, "long", "Running"))


def test_a_job_that_fails(sdk: TrainingClient) -> None:
    """Waiting for its success ends at once, with an error; waiting for the failure does not."""
    sdk.create_job(a_typed_job("broken", "exit 3"))
    with pytest.raises(RuntimeError, match="broken is Failed"):
        wait(sdk, "broken", "Succeeded")
    assert sdk.is_job_failed(job=wait(sdk, "broken", "Failed"))


def test_pods_are_found_by_what_they_are(sdk: TrainingClient) -> None:
    """The master, the workers, one of them."""
    sdk.create_job(a_typed_job("pods", "exit 0", workers=2))
    wait(sdk, "pods", "Succeeded")
    assert sdk.get_job_pod_names("pods") == ["pods-master-0", "pods-worker-0", "pods-worker-1"]
    assert sdk.get_job_pod_names("pods", is_master=True) == ["pods-master-0"]
    assert sdk.get_job_pod_names("pods", replica_type="worker") == [
        "pods-worker-0",
        "pods-worker-1",
    ]
    (pod,) = sdk.get_job_pods("pods", replica_type="worker", replica_index=1)
    assert pod.status.container_statuses[0].state.terminated.exit_code == 0
    assert pod.metadata.owner_references[0].name == "pods"


def test_logs_are_followed_to_the_end(
    sdk: TrainingClient, capsys: pytest.CaptureFixture[str]
) -> None:
    """Lines are printed as they come, and returned when all replicas have ended."""
    script = ["for n in 1 2 3; do echo line $n of $RANK; sleep 0.2; done"]
    sdk.create_job(a_typed_job("lines", *script, workers=1))
    wait(sdk, "lines", "Running", "Succeeded")
    eventually(lambda: all(pod.status.phase != "Pending" for pod in sdk.get_job_pods("lines")))
    logs, _ = sdk.get_job_logs("lines", is_master=False, follow=True)
    printed = capsys.readouterr().out
    for rank, pod in enumerate(("lines-master-0", "lines-worker-0")):
        lines = [f"line {n} of {rank}" for n in (1, 2, 3)]
        assert logs[pod] == "".join(lines)  # the SDK leaves out what ends a line
        assert [f"[Pod {pod}]: {line}" in printed for line in lines] == [True] * 3


def test_events_come_with_the_logs(sdk: TrainingClient) -> None:
    """Those of the job and of its pods, if they are asked for."""
    sdk.create_job(a_typed_job("told", "echo hello"))
    wait(sdk, "told", "Succeeded")
    logs, events = sdk.get_job_logs("told", verbose=True)
    assert logs == {"told-master-0": "hello\n"}
    assert any("Created pod: told-master-0" in line for line in events["pytorchjob/told"])
    assert any("Started container" in line for line in events["pod/told-master-0"])


def test_a_job_is_updated(sdk: TrainingClient) -> None:
    """By a patch of a typed object; what it does not name stays."""
    sdk.create_job(a_typed_job("changed", "sleep 600"))
    wait(sdk, "changed", "Running")
    change = KubeflowOrgV1PyTorchJob(
        metadata=V1ObjectMeta(labels={"team": "a"}),
        spec=KubeflowOrgV1PyTorchJobSpec(
            pytorch_replica_specs={}, run_policy=KubeflowOrgV1RunPolicy(suspend=True)
        ),
    )
    sdk.update_job(change, "changed")
    job = sdk.get_job("changed")
    assert job.metadata.labels == {"team": "a"}
    assert job.spec.run_policy.suspend is True
    assert job.spec.run_policy.clean_pod_policy == "None"
    assert list(job.spec.pytorch_replica_specs) == ["Master"]
    eventually(lambda: sdk.get_job_pod_names("changed") == [])


def test_a_job_is_deleted(sdk: TrainingClient) -> None:
    """With its pods; to ask for it then is an error."""
    sdk.create_job(a_typed_job("gone", "sleep 600"))
    wait(sdk, "gone", "Running")
    sdk.delete_job("gone")
    eventually(lambda: sdk.get_job_pod_names("gone") == [])
    with pytest.raises(RuntimeError, match="Failed to get PyTorchJob"):
        sdk.get_job("gone")
    with pytest.raises(RuntimeError, match="Failed to delete PyTorchJob"):
        sdk.delete_job("gone")


def test_a_job_that_is_refused(sdk: TrainingClient) -> None:
    """The SDK passes on what the webhook says."""
    job = a_typed_job("refused", "exit 0")
    job.spec.pytorch_replica_specs["Master"].replicas = 2
    with pytest.raises(RuntimeError, match=r"\[Master\]\.replicas: Forbidden: must be 1"):
        sdk.create_job(job)
    assert sdk.list_jobs() == []


def test_a_name_that_is_taken(sdk: TrainingClient) -> None:
    """409 reaches the user, and the job that is there stays."""
    sdk.create_job(a_typed_job("twice", "sleep 600"))
    with pytest.raises(RuntimeError, match="AlreadyExists"):
        sdk.create_job(a_typed_job("twice", "exit 0"))
    assert len(sdk.list_jobs()) == 1
