"""The rules of the operator, on plain data; `test_lifecycles` holds them against recordings."""

from __future__ import annotations

import pytest

from pyjob_magic.local.control.operator import Delete
from pyjob_magic.local.objects import timestamp
from tests.local.api import a_job
from tests.local.world import NOW, Json, World


def started(job: Json) -> World:
    """Return a world in which all replicas of `job` run."""
    world = World(job)
    world.step()
    world.all_run()
    return world


def two_policies(master: str, worker: str) -> Json:
    job = a_job(workers=1)
    for kind, policy in (("Master", master), ("Worker", worker)):
        job["spec"]["pytorchReplicaSpecs"][kind] |= {"restartPolicy": policy}
    return job


def without_master(job: Json) -> Json:
    del job["spec"]["pytorchReplicaSpecs"]["Master"]
    return job


def test_workers_get_time_to_end_after_the_master() -> None:
    """The log of a Worker that ends a moment after the Master is not cut off."""
    world = started(a_job(workers=1, cleanPodPolicy="Running"))
    world.set("j-master-0", "Succeeded", 0)

    plan = world.step()

    assert world.conditions()["Succeeded"][0] == "True"
    assert "j-worker-0" in world.pods
    assert plan.wake_at == NOW + 5
    world.now = plan.wake_at
    world.step()
    assert list(world.pods) == list(world.services) == ["j-master-0"]


@pytest.mark.parametrize(
    ("policy", "left"),
    [("None", ["j-master-0", "j-worker-0"]), ("Running", ["j-worker-0"]), ("none", []), ("", [])],
)
def test_the_clean_pod_policy_after_a_failure(policy: str, left: list[str]) -> None:
    """None keeps all, Running what has ended; any word that is not known removes all."""
    world = started(a_job(workers=1, cleanPodPolicy=policy))
    world.set("j-worker-0", "Failed", 1)
    world.step()
    assert sorted(world.pods) == sorted(world.services) == left


def test_a_service_goes_only_with_its_pod() -> None:
    """One whose pod was deleted by hand stays behind, as it does upstream."""
    world = started(a_job(workers=1))
    del world.pods["j-worker-0"]
    world.suspend(True)
    assert not world.pods
    assert list(world.services) == ["j-worker-0"]


def test_suspending_ignores_the_clean_pod_policy_and_keeps_the_start() -> None:
    world = started(a_job(workers=1, cleanPodPolicy="None"))
    world.now += 5
    world.suspend(True)
    assert (world.pods, world.services) == ({}, {})
    assert world.counts() == {"Master": {}, "Worker": {}}
    assert world.job["status"]["startTime"] == timestamp(NOW)
    assert "completionTime" not in world.job["status"]


def test_a_finished_job_cannot_be_suspended() -> None:
    world = started(a_job())
    world.set("j-master-0", "Succeeded", 0)
    world.step()
    before = world.job["status"]
    world.suspend(True)
    assert world.job["status"] == before
    assert list(world.pods) == ["j-master-0"]


def test_resuming_starts_the_clock_of_the_deadline_again() -> None:
    world = started(a_job(activeDeadlineSeconds=10))
    world.suspend(True)
    world.now += 20
    world.suspend(False)
    assert "Failed" not in world.conditions()
    assert world.step().wake_at == NOW + 20 + 10 + 1


def test_resuming_waits_for_replicas_that_still_end() -> None:
    """They would count as failed."""
    world = started(a_job(workers=1))
    pods = dict(world.pods)
    world.suspend(True)
    world.pods = pods
    world.pods["j-master-0"]["metadata"]["deletionTimestamp"] = timestamp(NOW)
    world.job["spec"]["runPolicy"]["suspend"] = False
    plan = world.look()
    assert plan.steps == []
    assert plan.status == world.job["status"]


@pytest.mark.parametrize(("limit", "failed"), [(0, True), (1, True), (2, False)])
def test_the_first_restart_trips_limits_zero_and_one(limit: int, failed: bool) -> None:
    world = started(a_job(policy="OnFailure", backoffLimit=limit))
    world.set("j-master-0", "Running", restarts=1)
    world.step()
    assert ("Failed" in world.conditions()) is failed


def test_a_negative_limit_is_reached_at_once() -> None:
    world = World(a_job(policy="OnFailure", backoffLimit=-1))
    world.step()
    assert "reached the specified backoff limit" in world.conditions()["Failed"][1]


@pytest.mark.parametrize(("limit", "by_limit"), [(0, True), (1, False)])
def test_a_limit_of_zero_counts_failed_pods_whatever_their_policy(
    limit: int, by_limit: bool
) -> None:
    world = started(a_job(policy="Never", workers=1, backoffLimit=limit))
    world.set("j-worker-0", "Failed", 1)
    world.step()
    message = world.conditions()["Failed"][1]
    assert ("backoff limit" in message) is by_limit
    assert (not world.pods) is by_limit


def test_only_running_pods_count_for_the_limit() -> None:
    """An init container that fails again and again is counted once its pod runs."""
    world = World(a_job(policy="OnFailure", backoffLimit=2))
    world.step()
    init = [{"name": "prepare", "restartCount": 2, "state": {}}]
    world.pods["j-master-0"]["status"] = {"phase": "Pending", "initContainerStatuses": init}
    world.step()
    assert "Failed" not in world.conditions()
    world.pods["j-master-0"]["status"]["phase"] = "Running"
    world.step()
    assert "Failed" in world.conditions()


def test_a_limit_keeps_the_counts_of_before() -> None:
    world = started(a_job(policy="OnFailure", workers=1, backoffLimit=1))
    world.set("j-worker-0", "Running", restarts=1)
    world.step()
    assert world.counts() == {"Master": {"active": 1}, "Worker": {"active": 1}}
    assert (world.pods, world.services) == ({}, {})


def test_a_failing_master_shows_as_restarting() -> None:
    world = started(a_job(policy="ExitCode", workers=1))
    world.set("j-master-0", "Failed", 130)
    plan = world.look()
    kinds = [entry["type"] for entry in plan.status["conditions"]]
    assert kinds == ["Created", "Restarting"]
    message = "job j is restarting because Master replica(s) failed."
    assert plan.status["conditions"][-1]["message"] == message


@pytest.mark.parametrize("policy", ["OnFailure", "Always", "ExitCode"])
def test_a_failed_pod_without_exit_code_is_made_again(policy: str) -> None:
    """As after an eviction; only Never fails with it."""
    world = started(a_job(policy=policy))
    first = world.pods["j-master-0"]
    first["status"] = {"phase": "Failed", "reason": "Evicted"}
    world.now += 1
    world.step()
    assert world.pods["j-master-0"] is not first
    assert "Failed" not in world.conditions()


def test_a_replica_is_made_again_once_a_second_at_most() -> None:
    """One that fails at once does not keep the machine busy."""
    world = started(a_job(policy="ExitCode"))
    first = world.pods["j-master-0"]
    world.set("j-master-0", "Failed", 137)
    world.now += 0.2

    plan = world.step()

    assert world.pods["j-master-0"] is first
    assert world.conditions()["Restarting"][0] == "True"
    assert plan.wake_at == NOW + 1
    world.now = plan.wake_at
    world.step()
    assert world.pods["j-master-0"] is not first
    for reason in ("ExitedWithCode", "SuccessfulDeletePod"):
        assert list(world.events(reason).values()) == [1]
    assert world.events("PyTorchJobRestarting") == {
        "job j is restarting because Master replica(s) failed.": 1,
        "PyTorchJob j is restarting because 1 Master replica(s) failed.": 1,
    }


def test_each_life_of_a_replica_is_counted() -> None:
    world = started(a_job(policy="ExitCode"))
    for _ in range(3):
        world.now += 2
        world.set("j-master-0", "Failed", 137)
        world.step()
    assert world.events("ExitedWithCode") == {"Pod: op-test.j-master-0 exited with code 137": 3}
    assert world.events("SuccessfulCreatePod") == {"Created pod: j-master-0": 4}
    assert world.events("SuccessfulCreateService") == {"Created service: j-master-0": 1}


@pytest.mark.parametrize(("code", "again"), [(1, False), (127, False), (128, True), (255, True)])
def test_exit_codes_from_128_are_worth_another_try(code: int, again: bool) -> None:
    world = started(a_job(policy="ExitCode"))
    world.now += 2
    world.set("j-master-0", "Failed", code)
    world.step()
    assert (world.pods["j-master-0"]["status"]["phase"] == "Pending") is again
    assert ("Failed" in world.conditions()) is not again


def test_a_permanent_failure_has_no_completion_time_and_outlives_its_time_to_live() -> None:
    world = started(a_job(policy="ExitCode", ttlSecondsAfterFinished=0))
    world.set("j-master-0", "Failed", 1)
    world.now += 100
    world.step()
    assert (
        world.conditions()["Failed"][1] == 'job "j" is failing because "Master" replica(s) failed.'
    )
    assert "completionTime" not in world.job["status"]
    assert not world.removed


def test_the_success_of_the_master_counts_more_than_a_worker_that_fails() -> None:
    world = started(a_job(workers=1))
    world.set("j-worker-0", "Failed", 1)
    world.set("j-master-0", "Succeeded", 0)
    world.step()
    assert world.conditions()["Succeeded"][0] == "True"
    assert "Failed" not in world.conditions()


def test_each_replica_type_has_its_own_policy() -> None:
    world = started(two_policies(master="Never", worker="OnFailure"))
    world.now += 2
    world.set("j-worker-0", "Failed", 1)
    world.step()
    assert "Failed" not in world.conditions()
    world.set("j-master-0", "Failed", 1)
    world.step()
    message = "PyTorchJob j is failed because 1 Master replica(s) failed."
    assert world.conditions()["Failed"] == ("True", message)


def test_an_elastic_job_succeeds_with_its_first_worker_and_does_not_fail_as_well() -> None:
    world = started(without_master(a_job(workers=2, spec={"elasticPolicy": {}})))
    world.set("j-worker-0", "Succeeded", 0)
    world.set("j-worker-1", "Failed", 1)
    world.step()
    message = "PyTorchJob op-test/j successfully completed."
    assert world.conditions()["Succeeded"] == ("True", message)
    assert "Failed" not in world.conditions()


def test_the_deadline_is_kept_to_the_second_and_never_early() -> None:
    world = started(a_job(activeDeadlineSeconds=3))
    plan = world.step()
    assert plan.wake_at == int(NOW) + 3 + 1  # the start is known only to the second
    world.now = plan.wake_at - 0.01
    world.step()
    assert "Failed" not in world.conditions()
    world.now = plan.wake_at
    world.step()
    message = "Job j has failed because it was active longer than specified deadline"
    assert world.conditions()["Failed"] == ("True", message)
    assert (world.pods, world.services) == ({}, {})


def test_the_time_to_live_removes_the_job() -> None:
    world = World(a_job(ttlSecondsAfterFinished=5))
    world.step()
    world.set("j-master-0", "Succeeded", 0)
    plan = world.step()
    assert plan.wake_at == int(NOW) + 5
    assert not world.events("SuccessfulDeletePod")
    world.now += 5
    world.step()
    assert world.removed
    assert world.events("SuccessfulDeletePod") == {"Deleted job: j": 1}


def test_a_pod_that_vanishes_is_made_again_under_never() -> None:
    world = World(a_job(workers=1))
    world.step()
    del world.pods["j-worker-0"]
    world.step()
    assert "j-worker-0" in world.pods


def test_a_running_pod_that_is_deleted_by_hand_restarts_under_on_failure() -> None:
    """It counts as failed while it ends, and is made again when it is gone."""
    world = started(a_job(policy="OnFailure", workers=1))
    world.pods["j-worker-0"]["metadata"]["deletionTimestamp"] = timestamp(NOW)
    world.step()
    world.step()
    message = "PyTorchJob j is restarting because 1 Worker replica(s) failed."
    assert world.conditions()["Restarting"] == ("True", message)
    assert world.events("PyTorchJobRestarting") == {message: 1}
    del world.pods["j-worker-0"]
    world.step()
    world.all_run()
    assert world.counts()["Worker"] == {"active": 1}
    assert "Restarting" not in world.conditions()


def test_scaling_down_deletes_the_last_workers_and_fails_nothing() -> None:
    world = started(a_job(workers=3))
    world.job["spec"]["pytorchReplicaSpecs"]["Worker"]["replicas"] = 1
    plan = world.look()
    gone = [step.what["metadata"]["name"] for step in plan.steps if isinstance(step, Delete)]
    assert gone == ["j-worker-1", "j-worker-2"] * 2  # the pods, then the services
    for name in gone:
        world.pods[name]["metadata"]["deletionTimestamp"] = timestamp(NOW)
    world.step()
    assert world.counts()["Worker"] == {"active": 1, "failed": 2}
    for name in set(gone):
        del world.pods[name]
    world.step()
    assert sorted(world.pods) == sorted(world.services) == ["j-master-0", "j-worker-0"]
    assert world.conditions()["Running"][0] == "True"


def test_scaling_up_makes_what_is_missing() -> None:
    world = started(a_job(workers=1))
    world.scale(3)
    assert sorted(world.pods)[1:] == ["j-worker-0", "j-worker-1", "j-worker-2"]
    assert sorted(world.services) == sorted(world.pods)
    env = world.pods["j-worker-2"]["spec"]["containers"][0]["env"]
    assert {"name": "WORLD_SIZE", "value": "4"} in env


def test_a_pod_that_has_lost_its_index_is_passed_over() -> None:
    """Somebody has changed its labels; the replica is made again."""
    world = started(a_job(workers=1))
    lost = world.pods.pop("j-worker-0")
    lost["metadata"]["labels"]["training.kubeflow.org/replica-index"] = "first"
    world.pods["lost"] = lost
    world.step()
    assert sorted(world.pods) == ["j-master-0", "j-worker-0", "lost"]


def test_a_replica_type_that_is_taken_away_is_left_alone() -> None:
    """Its pods and its last count stay, as upstream leaves them."""
    world = started(a_job(workers=1))
    del world.job["spec"]["pytorchReplicaSpecs"]["Worker"]
    world.step()
    assert "j-worker-0" in world.pods
    assert world.counts()["Worker"] == {"active": 1}


def test_a_foreign_manager_keeps_the_operator_away() -> None:
    world = World(a_job(managedBy="kueue.x-k8s.io/multikueue"))
    world.step()
    assert "status" not in world.job
    assert not world.pods


def test_a_job_without_replica_types_gets_no_status() -> None:
    world = World(a_job(spec={"pytorchReplicaSpecs": {}}))
    world.step()
    assert "status" not in world.job


def test_the_restart_policy_of_a_template_is_overwritten_and_that_is_said() -> None:
    world = World(a_job(workers=1, policy="ExitCode", pod={"restartPolicy": "Always"}))
    world.step()
    assert {pod["spec"]["restartPolicy"] for pod in world.pods.values()} == {"Never"}
    message = "Restart policy in pod template will be overwritten by restart policy in replica spec"
    assert world.said["Warning", "SetPodTemplateRestartPolicy", message] == 2


LONG = "a" + "b" * 54


@pytest.mark.parametrize(
    ("job", "reason", "why"),
    [
        (
            a_job(policy="Sometimes"),
            "FailedCreatePod",
            'Pod "j-master-0" is invalid: spec.restartPolicy: Unsupported value: "Sometimes": '
            'supported values: "Always", "OnFailure", "Never"',
        ),
        (
            a_job(LONG),
            "FailedCreateService",
            f'Service "{LONG}-master-0" is invalid: metadata.name: Invalid value: '
            f'"{LONG}-master-0": must be no more than 63 characters',
        ),
        (
            a_job(container={"ports": [{"containerPort": 80, "protocol": "TCP"}]}),
            "FailedCreateService",
            'Service "j-master-0" is invalid: spec.ports[0].name: Required value',
        ),
        (
            a_job(container={"ports": [{"name": "a", "containerPort": 23456}]}),
            "FailedCreateService",
            'Service "j-master-0" is invalid: spec.ports[1]: Duplicate value: "TCP 23456"',
        ),
    ],
)
def test_what_cannot_be_created_only_shows_in_the_events(job: Json, reason: str, why: str) -> None:
    world = World(job)
    world.step()
    world.step()
    assert "status" not in world.job
    assert (world.pods, world.services) == ({}, {})
    assert world.said == {("Warning", reason, f"Error creating: {why}"): 1}


def test_a_job_that_runs_goes_on_although_its_next_pods_could_not_be_made() -> None:
    """The mistake came with an update, and needs no pod now."""
    world = started(a_job())
    world.job["spec"]["pytorchReplicaSpecs"]["Master"]["restartPolicy"] = "Sometimes"
    world.set("j-master-0", "Succeeded", 0)
    world.step()
    assert world.conditions()["Succeeded"][0] == "True"


def test_the_service_of_a_replica_has_the_ports_of_its_main_container() -> None:
    """By name; the one that jobs meet at is among them, under the number that the user gave."""
    ports = [
        {"name": "metrics", "containerPort": 9090, "protocol": "UDP"},
        {"name": "pytorchjob-port", "containerPort": 29500},
    ]
    world = World(a_job(container={"ports": ports}))
    world.step()
    assert world.services["j-master-0"]["spec"]["ports"] == [
        {"name": "metrics", "protocol": "TCP", "port": 9090, "targetPort": 9090},
        {"name": "pytorchjob-port", "protocol": "TCP", "port": 29500, "targetPort": 29500},
    ]


@pytest.mark.parametrize(
    ("status", "reason", "message"),
    [
        (
            {"containerStatuses": [{"state": {"terminated": {"exitCode": 3, "reason": "Error"}}}]},
            "Error",
            "Error pod j-master-0 container pytorch exitCode: 3 terminated message: ",
        ),
        (
            {"initContainerStatuses": [{"state": {"waiting": {"reason": "X", "message": "m"}}}]},
            "X",
            "Error pod j-master-0 container pytorch waiting message: m",
        ),
        (
            {"conditions": [{"type": "PodScheduled", "reason": "Unschedulable", "message": "m"}]},
            "Unschedulable",
            "Error pod j-master-0 condition message: m",
        ),
    ],
)
def test_the_troubles_of_a_pod_show_on_its_job_once(
    status: Json, reason: str, message: str
) -> None:
    for key in ("containerStatuses", "initContainerStatuses"):
        for entry in status.get(key, ()):
            entry["name"] = "pytorch"
    for entry in status.get("conditions", ()):
        entry["status"] = "False"
    world = World(a_job())
    world.step()
    world.pods["j-master-0"]["status"] = {"phase": "Pending", **status}
    world.step()
    world.step()
    assert world.said["Warning", reason, message] == 1


@pytest.mark.parametrize(
    ("limits", "requests", "quality"),
    [
        ({}, {}, "BestEffort"),
        ({"nvidia.com/gpu": 1}, {}, "BestEffort"),
        ({"cpu": 1}, {}, "Burstable"),
        ({"cpu": 1, "memory": "1Gi"}, {"cpu": "500m"}, "Burstable"),
        ({"cpu": 1, "memory": "1Gi"}, {"cpu": "1000m"}, "Guaranteed"),
    ],
)
def test_a_pod_has_the_quality_of_service_that_its_resources_give(
    limits: Json, requests: Json, quality: str
) -> None:
    resources = {"limits": limits, "requests": requests}
    world = World(a_job(container={"resources": resources}))
    world.step()
    assert world.pods["j-master-0"]["status"]["qosClass"] == quality
