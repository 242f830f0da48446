"""The operator tells the story that the real one told, on plain data."""

from __future__ import annotations

import copy
import json
from pathlib import Path
from typing import Any

import pytest

from pyjob_magic.local.objects import timestamp
from pyjob_magic.local.operator import Plan, reconcile
from tests.local.api import a_job

DATA = Path(__file__).parents[1] / "data" / "lifecycles"
NOW = 1_795_451_640.0

# Where the recording depends on the random order in which upstream visits the replica types, on
# its late deadline, or on pods that were marked by hand without an exit code.
_RETRIED = "exitcode-retryable"


class World:
    """A job, its pods and a clock; `step` lets the operator work until it has nothing to do."""

    def __init__(self, job: dict[str, Any]) -> None:
        self.job = copy.deepcopy(job)
        self.job["metadata"] |= {"namespace": "op-test", "uid": "job-uid", "resourceVersion": "1"}
        self.pods: dict[str, dict[str, Any]] = {}
        self.created: dict[str, dict[str, Any]] = {}
        self.said: list[tuple[str, str, str]] = []
        self.removed = False
        self.now = NOW

    def step(self) -> Plan:
        while True:
            plan = reconcile(self.job, list(self.pods.values()), self.now)
            before = copy.deepcopy((self.job.get("status"), self.pods))
            for name in plan.delete:
                del self.pods[name]
                self.said.append(("Normal", "SuccessfulDeletePod", f"Deleted pod: {name}"))
            for pod in plan.create:
                name = pod["metadata"]["name"]
                self.pods[name] = self.created[name] = pod
                self.said.append(("Normal", "SuccessfulCreatePod", f"Created pod: {name}"))
            if plan.status:
                self.job["status"] = plan.status
            self.said += [(r.type, r.reason, r.message) for r in plan.remarks]
            self.removed = self.removed or plan.remove
            if self.removed or before == (self.job.get("status"), self.pods):
                return plan

    def set(self, pod: str, phase: str, code: int | None = None, restarts: int = 0) -> None:
        entry: dict[str, Any] = {"name": "pytorch", "restartCount": restarts, "state": {}}
        if code is not None:
            entry["state"] = {"terminated": {"exitCode": code, "reason": "Error"}}
        self.pods[pod]["status"] = {"phase": phase, "containerStatuses": [entry]}

    def conditions(self) -> dict[str, tuple[str, str]]:
        entries = self.job.get("status", {}).get("conditions", [])
        return {entry["type"]: (entry["status"], entry["message"]) for entry in entries}

    def counts(self) -> dict[str, dict[str, int]]:
        statuses = self.job["status"]["replicaStatuses"]
        return {
            kind: {k: v for k, v in counts.items() if k != "selector"}
            for kind, counts in statuses.items()
        }


def lifecycle(name: str) -> dict[str, Any]:
    found: dict[str, Any] = json.loads((DATA / f"{name}.json").read_text())
    return found


def same(status: dict[str, Any], wanted: dict[str, Any]) -> None:
    """Compare a status with a recorded one: all but the times."""

    def essence(status: dict[str, Any]) -> dict[str, Any]:
        return {
            "conditions": [
                {k: v for k, v in entry.items() if not k.startswith("last")}
                for entry in status["conditions"]
            ],
            "replicaStatuses": status.get("replicaStatuses"),
            "times": sorted(key for key in status if key.endswith("Time")),
        }

    assert essence(status) == essence(wanted)


@pytest.mark.parametrize(
    "name", ["success", "workers-only", "nproc-per-node", "elastic", "success-clean-all"]
)
def test_pods_are_made_as_upstream_makes_them(name: str) -> None:
    recorded = lifecycle(name)
    world = World(recorded["create"])
    world.step()
    if name == "elastic":
        world.job["spec"]["pytorchReplicaSpecs"]["Worker"]["replicas"] = len(recorded["pods"])
        world.step()
    assert set(world.created) == set(recorded["pods"])
    for pod_name, wanted in recorded["pods"].items():
        pod = world.created[pod_name]
        container = pod["spec"]["containers"][0]
        assert pod["metadata"]["labels"] == wanted["labels"]
        assert container["env"] == wanted["env"]
        assert container["ports"] == wanted["ports"]
        assert pod["spec"]["restartPolicy"] == wanted["restartPolicy"]


@pytest.mark.parametrize(
    ("name", "phases"),
    [
        ("success", {"worker succeeded": {"ok-worker-0": ("Succeeded", 0)}}),
        ("fail-never", {"worker exits 1": {"bad-worker-0": ("Failed", 1)}}),
        ("exitcode-permanent", {"worker exits 1": {"perm-worker-0": ("Failed", 1)}}),
        (
            "success-worker-still-running",
            {"master succeeded": {"still-master-0": ("Succeeded", 0)}},
        ),
        (
            "worker-fails-after-master-succeeded",
            {"master succeeded": {"mw-master-0": ("Succeeded", 0)}},
        ),
        ("workers-only", {"one succeeded": {"wo-worker-0": ("Succeeded", 0)}}),
        ("success-clean-all", {}),
        ("nproc-per-node", {}),
    ],
)
def test_lifecycle(name: str, phases: dict[str, dict[str, tuple[str, int]]]) -> None:
    recorded = lifecycle(name)
    world = World(recorded["create"])
    world.step()
    for step in recorded["steps"]:
        for pod, phase in (step["pods"] or {}).items():
            if pod in world.pods and phase != "Pending":
                code = phases.get(step["step"], {}).get(pod, (phase, 0))[1]
                world.set(pod, phase, code if phase in ("Succeeded", "Failed") else None)
        if name == "success-clean-all" and step["step"] == "both succeeded":
            for pod in ("all-worker-0", "all-master-0"):
                world.set(pod, "Succeeded", 0)
                world.step()
        world.step()
        if any(entry["type"] == "Succeeded" for entry in step["status"]["conditions"]):
            # Upstream removes unfinished Workers at once; here they get some seconds to end.
            world.now += 6
            world.step()
        same(world.job["status"], step["status"])
        if step["pods"] is not None:
            assert {n: p["status"]["phase"] for n, p in world.pods.items()} == step["pods"]
    spoken = {tuple(event) for event in recorded["events"]}
    assert spoken <= set(world.said)


def test_workers_get_time_to_end_after_the_master() -> None:
    """The log of a Worker that ends a moment after the Master is not cut off."""
    recorded = lifecycle("success-worker-still-running")
    world = World(recorded["create"])
    world.step()
    world.set("still-worker-0", "Running")
    world.set("still-master-0", "Succeeded", 0)

    plan = world.step()

    assert world.conditions()["Succeeded"][0] == "True"
    assert "still-worker-0" in world.pods
    assert plan.wake_at == NOW + 5
    world.now = plan.wake_at
    world.step()
    assert "still-worker-0" not in world.pods


def test_suspend_and_resume() -> None:
    recorded = lifecycle("suspend-resume")
    steps = {step["step"]: step["status"] for step in recorded["steps"]}
    world = World(recorded["create"])

    def check(step: str) -> None:
        world.step()
        same(world.job["status"], steps[step])

    def all_run() -> None:
        for pod in world.pods:
            world.set(pod, "Running")

    check("created")
    started = world.job["status"]["startTime"]
    all_run()
    check("both running")
    world.now += 5
    world.job["spec"]["runPolicy"] = {"suspend": True}
    check("suspended")
    assert not world.pods
    assert world.job["status"]["startTime"] == started
    world.job["spec"]["runPolicy"] = {"suspend": False}
    check("resumed")
    assert world.job["status"]["startTime"] == timestamp(NOW + 5)
    all_run()
    check("running again")


def test_created_suspended() -> None:
    recorded = lifecycle("created-suspended")
    world = World(recorded["create"])
    world.step()
    same(world.job["status"], recorded["steps"][0]["status"])
    world.job["spec"]["runPolicy"]["suspend"] = False
    world.step()
    same(world.job["status"], recorded["steps"][1]["status"])


def test_resuming_waits_for_replicas_that_still_end() -> None:
    world = World(a_job(workers=1))
    world.step()
    world.job["spec"]["runPolicy"] = {"suspend": True}
    reconcile(world.job, list(world.pods.values()), NOW)
    world.job["status"]["conditions"].append({"type": "Suspended", "status": "True"})
    world.job["spec"]["runPolicy"] = {"suspend": False}
    world.pods["j-master-0"]["metadata"]["deletionTimestamp"] = timestamp(NOW)
    plan = reconcile(world.job, list(world.pods.values()), NOW)
    assert not plan.create
    assert not plan.remarks


def test_a_backoff_limit_ends_the_job_and_its_pods() -> None:
    recorded = lifecycle("onfailure-restarts-backoff")
    world = World(recorded["create"])
    world.step()
    for restarts in (0, 1, 2):
        for pod in world.pods:
            world.set(pod, "Running", restarts=restarts if "worker" in pod else 0)
        world.step()
        assert "Failed" not in world.conditions()
    world.set("boff-worker-0", "Running", restarts=3)
    world.step()
    same(world.job["status"], recorded["steps"][-1]["status"])
    assert not world.pods


@pytest.mark.parametrize(("limit", "failed"), [(0, True), (1, True), (2, False)])
def test_the_first_restart_trips_limits_zero_and_one(limit: int, failed: bool) -> None:
    world = World(a_job(policy="OnFailure", backoffLimit=limit))
    world.step()
    world.set("j-master-0", "Running", restarts=1)
    world.step()
    assert ("Failed" in world.conditions()) is failed


def test_an_exit_code_from_128_is_retried_in_a_new_pod() -> None:
    recorded = lifecycle(_RETRIED)
    world = World(recorded["create"])
    world.step()
    for pod in world.pods:
        world.set(pod, "Running")
    world.step()
    first = world.pods["retry-worker-0"]
    world.set("retry-worker-0", "Failed", 137)
    world.step()
    assert world.pods["retry-worker-0"] is not first
    assert world.conditions()["Running"][0] == "True"
    assert "Restarting" not in world.conditions()
    for pod in world.pods:
        world.set(pod, "Succeeded", 0)
    world.step()
    assert world.conditions()["Succeeded"][0] == "True"
    assert {tuple(event) for event in recorded["events"]} <= set(world.said)


def test_a_failing_master_shows_as_restarting() -> None:
    world = World(a_job(policy="ExitCode", workers=1))
    world.step()
    for pod in world.pods:
        world.set(pod, "Running")
    world.step()
    world.set("j-master-0", "Failed", 130)
    plan = reconcile(world.job, list(world.pods.values()), NOW)
    kinds = [entry["type"] for entry in plan.status["conditions"]]
    assert kinds == ["Created", "Restarting"]


def test_the_deadline_is_kept_to_the_second_and_never_early() -> None:
    recorded = lifecycle("deadline")
    world = World(recorded["create"])
    plan = world.step()
    for pod in world.pods:
        world.set(pod, "Running")
    plan = world.step()
    assert plan.wake_at == int(NOW) + 3 + 1  # the start is known only to the second
    world.now = plan.wake_at - 0.01
    world.step()
    assert "Failed" not in world.conditions()
    world.now = plan.wake_at
    world.step()
    same(world.job["status"], recorded["steps"][-1]["status"])
    assert not world.pods


def test_the_time_to_live_removes_the_job() -> None:
    world = World(a_job(ttlSecondsAfterFinished=5))
    world.step()
    world.set("j-master-0", "Succeeded", 0)
    plan = world.step()
    assert plan.wake_at == int(NOW) + 5
    assert not world.said[-1][2].startswith("Deleted job")
    world.now += 5
    world.step()
    assert world.removed
    assert ("Normal", "SuccessfulDeletePod", "Deleted job: j") in world.said


def test_a_pod_that_vanishes_is_made_again_under_never() -> None:
    world = World(a_job(workers=1))
    world.step()
    del world.pods["j-worker-0"]
    world.step()
    assert "j-worker-0" in world.pods


def test_a_running_pod_that_is_deleted_by_hand_fails_the_job() -> None:
    recorded = lifecycle("pod-deleted-by-hand")
    world = World(recorded["create"])
    world.step()
    for pod in world.pods:
        world.set(pod, "Running")
    world.step()
    world.pods["van-worker-0"]["metadata"]["deletionTimestamp"] = timestamp(NOW)
    world.step()
    same(world.job["status"], recorded["steps"][-1]["status"])


def test_scaling_down_deletes_the_last_workers() -> None:
    world = World(a_job(workers=3))
    world.step()
    world.job["spec"]["pytorchReplicaSpecs"]["Worker"]["replicas"] = 1
    world.step()
    assert sorted(world.pods) == ["j-master-0", "j-worker-0"]


def test_a_foreign_manager_keeps_the_operator_away() -> None:
    world = World(a_job(managedBy="kueue.x-k8s.io/multikueue"))
    world.step()
    assert "status" not in world.job
    assert not world.pods


def test_a_restart_policy_that_no_pod_can_have_only_shows_in_the_events() -> None:
    world = World(a_job(policy="Sometimes"))
    world.step()
    assert "status" not in world.job
    assert [(kind, reason) for kind, reason, _ in world.said[:1]] == [
        ("Warning", "FailedCreatePod")
    ]
