"""The training operator: job + pods + clock -> actions and status. Pure.

Source: ``pkg/controller.v1/common/job.go``, ``pod.go``, ``pytorch/pytorchjob_controller.go`` and
``pkg/core/job.go`` of training-operator v1.9.0. Where upstream visits the replica types in random
order, this one goes Master, Worker; where upstream notices a deadline late, this one is on time.
Where upstream removes Workers in the moment that the Master has succeeded, whether they were about
to end or not, this one gives them some seconds to end by themselves.
There are no Services: replicas of this machine meet on loopback.
"""

from __future__ import annotations

import copy
from dataclasses import dataclass, field

from pyjob_magic.local.environment import (
    DEFAULT_PORT,
    PORT_NAME,
    operator_env,
    replicas,
)
from pyjob_magic.local.objects import (
    JOB_NAME,
    LABEL_PREFIX,
    REPLICA_INDEX,
    REPLICA_TYPE,
    Json,
    condition,
    ended,
    finished,
    labels,
    owner_reference,
    seconds,
    terminating,
    timestamp,
)
from pyjob_magic.local.podchecks import mistakes, pod_name, restart_policy, troubles

CONTROLLER = "pytorchjob-controller"
_OPERATOR_NAME = f"{LABEL_PREFIX}/operator-name"
_JOB_ROLE = f"{LABEL_PREFIX}/job-role"
_OURS = "kubeflow.org/training-operator"
_RESTARTABLE = ("OnFailure", "Always", "ExitCode")
_NO_EXIT_CODE = 0xBEEF
_LINGER = 5.0  # seconds for the Workers to end after the Master


@dataclass(frozen=True)
class Remark:
    """An event on the job.

    Parameters
    ----------
    type
        Normal or Warning.
    reason
        One word.
    message
        The sentence.
    once
        Whether it is said only the first time; else it is counted.
    """

    type: str
    reason: str
    message: str
    once: bool = False


@dataclass
class Plan:
    """What is to be done about a job.

    Parameters
    ----------
    status
        The status that it should have.
    create
        Pods to create.
    delete
        Names of pods to delete.
    remarks
        Events to record on the job.
    remove
        Whether the job itself is to be deleted.
    wake_at
        When to look again although nothing has happened, in seconds since the epoch.
    """

    status: Json
    create: list[Json] = field(default_factory=list)
    delete: list[str] = field(default_factory=list)
    remarks: list[Remark] = field(default_factory=list)
    remove: bool = False
    wake_at: float | None = None

    def remark(self, reason: str, message: str, *, warn: bool = False, once: bool = False) -> None:
        """Record an event on the job."""
        self.remarks.append(Remark("Warning" if warn else "Normal", reason, message, once))


def reconcile(job: Json, pods: list[Json], now: float) -> Plan:
    """Decide what is to be done about `job`, whose `pods` are as given, at the time `now`."""
    plan = Plan(status=copy.deepcopy(job.get("status") or {}))
    run_policy = job["spec"].get("runPolicy") or {}
    specs = _specs(job)
    if run_policy.get("managedBy") not in (None, _OURS) or terminating(job) or not specs:
        return plan
    name = job["metadata"]["name"]
    _set(plan.status, "Created", "True", "Created", f"PyTorchJob {name} is created.", now)
    if finished(job):
        _clean_up(plan, job, pods, now)
    elif run_policy.get("suspend"):
        _suspend(plan, name, pods, now)
    elif condition(job, "Suspended") and any(map(terminating, pods)):
        pass  # resumed, but the replicas of before have not ended yet
    else:
        if condition(job, "Suspended"):
            message = f"PyTorchJob {name} is resumed."
            _set(plan.status, "Suspended", "False", "Resumed", message, now)
            plan.status["startTime"] = timestamp(now)
            plan.remark("PyTorchJobResumed", message)
        _run(plan, job, specs, pods, now)
    return plan


def active(job: Json) -> bool:
    """Whether a job runs or waits for a place: it has not ended and is not suspended."""
    return not finished(job) and not (job["spec"].get("runPolicy") or {}).get("suspend")


def failed_status(job: Json, message: str, now: float) -> Json:
    """Return the status of a job that somebody ends at the time `now`."""
    status: Json = copy.deepcopy(job.get("status") or {})
    for counts in status.get("replicaStatuses", {}).values():
        _count(counts, "failed", counts.get("failed", 0) + counts.pop("active", 0))
    status.setdefault("completionTime", timestamp(now))
    _set(status, "Failed", "True", "Failed", message, now)
    return status


def new_pod(job: Json, replica_type: str, index: int) -> Json:
    """Return the pod of one replica, without uid and creation time."""
    name, spec = job["metadata"]["name"], job["spec"]["pytorchReplicaSpecs"][replica_type]
    template = copy.deepcopy(spec["template"])
    own = {
        JOB_NAME: name,
        _OPERATOR_NAME: CONTROLLER,
        REPLICA_INDEX: str(index),
        REPLICA_TYPE: replica_type.lower(),
    }
    leads = replica_type == "Master" or "Master" not in job["spec"]["pytorchReplicaSpecs"]
    if leads and index == 0:
        own[_JOB_ROLE] = "master"
    given = template.get("metadata") or {}
    pod_spec = template["spec"]
    for container in pod_spec["containers"]:
        container["env"] = [
            *(container.get("env") or ()),
            *operator_env(job, replica_type, index),
        ]
        if container["name"] == "pytorch":
            _add_port(container)
    policy = restart_policy(spec)
    pod_spec["restartPolicy"] = "Never" if policy == "ExitCode" else policy
    pod_spec.setdefault("terminationGracePeriodSeconds", 30)
    return {
        "kind": "Pod",
        "apiVersion": "v1",
        "metadata": {
            "name": pod_name(name, replica_type, index),
            "namespace": job["metadata"]["namespace"],
            "labels": {**(given.get("labels") or {}), **own},
            **({"annotations": given["annotations"]} if given.get("annotations") else {}),
            "ownerReferences": [owner_reference(job)],
        },
        "spec": pod_spec,
        "status": {"phase": "Pending", "qosClass": "BestEffort"},
    }


def selector(job_name: str, replica_type: str) -> str:
    """Return the label selector of the replicas of one type."""
    return (
        f"{JOB_NAME}={job_name},{_OPERATOR_NAME}={CONTROLLER},{REPLICA_TYPE}={replica_type.lower()}"
    )


def _specs(job: Json) -> dict[str, Json]:
    """Return the replica specs, Master first."""
    specs = job["spec"].get("pytorchReplicaSpecs") or {}
    return {kind: specs[kind] for kind in ("Master", "Worker") if kind in specs}


def _add_port(container: Json) -> None:
    ports = container.setdefault("ports", [])
    if not any(port.get("name") == PORT_NAME for port in ports):
        ports.append({"name": PORT_NAME, "containerPort": DEFAULT_PORT, "protocol": "TCP"})


def _clean_up(plan: Plan, job: Json, pods: list[Json], now: float) -> None:
    """Do what follows the end of a job: cleanPodPolicy, time to live, the last counts."""
    run_policy = job["spec"].get("runPolicy") or {}
    policy = run_policy.get("cleanPodPolicy", "None")
    unfinished = [pod for pod in pods if not ended(pod)]
    doomed = {"None": [], "Running": unfinished}.get(policy, pods)
    lingers_until = _lingers_until(job) if unfinished and doomed else 0.0
    if now < lingers_until:
        plan.wake_at = lingers_until
    else:
        _delete(plan, doomed)
    if condition(job, "Succeeded"):
        for counts in plan.status.get("replicaStatuses", {}).values():
            _count(counts, "succeeded", counts.get("succeeded", 0) + counts.pop("active", 0))
    time_to_live = run_policy.get("ttlSecondsAfterFinished")
    completed = plan.status.get("completionTime")
    if time_to_live is None or completed is None:
        return
    due = seconds(completed) + max(0, time_to_live)
    if now < due:
        plan.wake_at = min(due, plan.wake_at or due)
    else:
        plan.remark("SuccessfulDeletePod", f"Deleted job: {job['metadata']['name']}")
        plan.remove = True


def _lingers_until(job: Json) -> float:
    """Return until when replicas of a finished job may end by themselves."""
    completed = job["status"].get("completionTime")
    return seconds(completed) + _LINGER if completed and condition(job, "Succeeded") else 0.0


def _suspend(plan: Plan, name: str, pods: list[Json], now: float) -> None:
    _delete(plan, pods)
    for counts in plan.status.get("replicaStatuses", {}).values():
        counts.pop("active", None)
    message = f"PyTorchJob {name} is suspended."
    if condition({"status": plan.status}, "Running"):
        _set(plan.status, "Running", "False", "Suspended", message, now)
    if not condition({"status": plan.status}, "Suspended"):
        _set(plan.status, "Suspended", "True", "Suspended", message, now)
        plan.remark("PyTorchJobSuspended", message)


def _run(plan: Plan, job: Json, specs: dict[str, Json], pods: list[Json], now: float) -> None:
    for reason, message in troubles(pods):
        plan.remark(reason, message, warn=True, once=True)
    if message := _limit_reached(job, specs, pods, plan.status, now):
        plan.status.setdefault("completionTime", timestamp(now))
        _delete(plan, pods)
        plan.remark("PyTorchJobFailed", message)
        _set(plan.status, "Failed", "True", "Failed", message, now)
        return
    wrong = [mistake for kind in specs for mistake in mistakes(job, kind)]
    if wrong:
        for what, why in wrong:
            plan.remark(f"FailedCreate{what}", f"Error creating: {why}", warn=True, once=True)
        plan.status = job.get("status") or {}  # upstream stops here, before it writes a status
        return
    counts = plan.status["replicaStatuses"] = {
        kind: {"selector": selector(job["metadata"]["name"], kind)} for kind in specs
    }
    for kind, spec in specs.items():
        own = [pod for pod in pods if labels(pod).get(REPLICA_TYPE) == kind.lower()]
        _replicas(plan, job, kind, spec, own, counts[kind], now)
    _conclude(plan, job, specs, now)
    plan.status.setdefault("startTime", timestamp(now))
    deadline = (job["spec"].get("runPolicy") or {}).get("activeDeadlineSeconds")
    if deadline is not None and "completionTime" not in plan.status:
        plan.wake_at = _due(plan.status["startTime"], deadline)


def _replicas(
    plan: Plan, job: Json, kind: str, spec: Json, pods: list[Json], counts: Json, now: float
) -> None:
    """Create the missing pods of one type, deal with the failed ones, count them all."""
    name, policy = job["metadata"]["name"], restart_policy(spec)
    by_index = {int(labels(pod)[REPLICA_INDEX]): pod for pod in pods}
    for index in range(replicas(spec)):
        if index not in by_index:
            plan.create.append(new_pod(job, kind, index))
    for index, pod in sorted(by_index.items()):
        if index >= replicas(spec):
            _delete(plan, [pod])
        code = _exit_code(pod)
        failed = pod["status"].get("phase") == "Failed"
        retried = failed and (
            policy in ("OnFailure", "Always") or (policy == "ExitCode" and code >= 128)
        )
        if code != _NO_EXIT_CODE:
            where = f"{pod['metadata']['namespace']}.{pod['metadata']['name']}"
            plan.remark("ExitedWithCode", f"Pod: {where} exited with code {code}", once=not retried)
        if retried and not terminating(pod):
            _delete(plan, [pod])
            message = f"job {name} is restarting because {kind} replica(s) failed."
            plan.remark("PyTorchJobRestarting", message, warn=True)
            _set(plan.status, "Restarting", "True", "Restarting", message, now)
        elif failed and policy == "ExitCode" and not retried:
            message = f'job "{name}" is failing because "{kind}" replica(s) failed.'
            plan.remark("PyTorchJobFailed", message, warn=True)
            _set(plan.status, "Failed", "True", "Failed", message, now)
        if state := _state(pod):
            _count(counts, state, counts.get(state, 0) + 1)


def _conclude(plan: Plan, job: Json, specs: dict[str, Json], now: float) -> None:
    """Draw the conclusions from the counts: running, succeeded, failed, restarting."""
    status, name = plan.status, job["metadata"]["name"]
    qualified = f"{job['metadata']['namespace']}/{name}"
    for kind, spec in specs.items():
        counts = status["replicaStatuses"][kind]
        total = replicas(spec)
        active, succeeded, failed = (
            counts.get(state, 0) for state in ("active", "succeeded", "failed")
        )
        if kind == "Master":
            if active:
                message = f"PyTorchJob {name} is running."
                _set(status, "Running", "True", "Running", message, now)
            if succeeded == total:
                _succeed(plan, f"PyTorchJob {name} is successfully completed.", now)
                for later in list(specs)[list(specs).index(kind) + 1 :]:
                    status["replicaStatuses"][later].pop("selector")
                return
        elif "Master" not in specs:
            if succeeded == total or ("elasticPolicy" in job["spec"] and succeeded):
                _succeed(plan, f"PyTorchJob {qualified} successfully completed.", now)
            elif active:
                message = f"PyTorchJob {qualified} is running."
                _set(status, "Running", "True", "Running", message, now)
        if not failed or total <= succeeded + active:
            continue
        if restart_policy(spec) == "Never":
            message = f"PyTorchJob {name} is failed because {failed} {kind} replica(s) failed."
            status.setdefault("completionTime", timestamp(now))
            plan.remark("PyTorchJobFailed", message)
            _set(status, "Failed", "True", "Failed", message, now)
        else:
            message = f"PyTorchJob {name} is restarting because {failed} {kind} replica(s) failed."
            plan.remark("PyTorchJobRestarting", message, warn=True)
            _set(status, "Restarting", "True", "Restarting", message, now)


def _succeed(plan: Plan, message: str, now: float) -> None:
    plan.remark("PyTorchJobSucceeded", message)
    plan.status.setdefault("completionTime", timestamp(now))
    _set(plan.status, "Succeeded", "True", "Succeeded", message, now)


def _limit_reached(
    job: Json, specs: dict[str, Json], pods: list[Json], status: Json, now: float
) -> str:
    """Return why the job has failed as a whole; empty if it has not."""
    name, run_policy = job["metadata"]["name"], job["spec"].get("runPolicy") or {}
    limit = run_policy.get("backoffLimit")
    if limit is not None and _backed_off(specs, pods, status, limit):
        return f"Job {name} has failed because it has reached the specified backoff limit"
    deadline, started = run_policy.get("activeDeadlineSeconds"), status.get("startTime")
    if deadline is not None and started and now >= _due(started, deadline):
        return f"Job {name} has failed because it was active longer than specified deadline"
    return ""


def _due(started: str, deadline: float) -> float:
    """Return when a deadline has passed for sure: the start is known only to the second."""
    return seconds(started) + deadline + 1


def _backed_off(specs: dict[str, Json], pods: list[Json], status: Json, limit: int) -> bool:
    restarts = sum(
        entry.get("restartCount", 0)
        for pod in pods
        if pod["status"].get("phase") == "Running" and _restartable(specs, pod)
        for key in ("containerStatuses", "initContainerStatuses")
        for entry in pod["status"].get(key) or ()
    )
    if restarts and restarts >= limit:
        return True
    known = sum(
        counts.get("failed", 0) for counts in (status.get("replicaStatuses") or {}).values()
    )
    failed = sum(pod["status"].get("phase") == "Failed" for pod in pods)
    active = sum(not ended(pod) and not terminating(pod) for pod in pods)
    return failed > known and active != sum(map(replicas, specs.values())) and limit < 1


def _restartable(specs: dict[str, Json], pod: Json) -> bool:
    kinds = {kind.lower(): spec for kind, spec in specs.items()}
    spec = kinds.get(labels(pod).get(REPLICA_TYPE, ""))
    return spec is not None and restart_policy(spec) in _RESTARTABLE


def _delete(plan: Plan, pods: list[Json]) -> None:
    for pod in pods:
        if not terminating(pod):
            plan.delete.append(pod["metadata"]["name"])


def _exit_code(pod: Json) -> int:
    for entry in pod["status"].get("containerStatuses") or ():
        terminated = (entry.get("state") or {}).get("terminated")
        if entry["name"] == "pytorch" and terminated:
            return int(terminated["exitCode"])
    return _NO_EXIT_CODE


def _state(pod: Json) -> str:
    """Return what a pod counts as; empty if it does not count yet."""
    phase = pod["status"].get("phase")
    if phase == "Running":
        return "failed" if terminating(pod) else "active"
    return {"Succeeded": "succeeded", "Failed": "failed"}.get(phase, "")


def _count(counts: Json, state: str, number: int) -> None:
    """Set a count; zeroes are left out on the wire."""
    if number:
        counts[state] = number
    else:
        counts.pop(state, None)


def _set(status: Json, kind: str, value: str, reason: str, message: str, now: float) -> None:
    """Write a condition by the operator's rules.

    Source: ``pkg/util/status.go``, training-operator v1.9.0.
    """
    entries = status.get("conditions") or []
    by_type = {entry["type"]: entry for entry in entries}
    if by_type.get("Failed", {}).get("status") == "True":
        return
    old = by_type.get(kind, {})
    reason = f"PyTorchJob{reason}"
    if (old.get("status"), old.get("reason")) == (value, reason):
        return
    time = timestamp(now)
    same = old.get("status") == value
    gone = {kind} | {"Running": {"Restarting"}, "Restarting": {"Running"}}.get(kind, set())
    status["conditions"] = [entry for entry in entries if entry["type"] not in gone]
    if kind in ("Succeeded", "Failed") and "Running" in by_type:
        by_type["Running"]["status"] = "False"
    status["conditions"].append(
        {
            "lastTransitionTime": old.get("lastTransitionTime", time) if same else time,
            "lastUpdateTime": time,
            "message": message,
            "reason": reason,
            "status": value,
            "type": kind,
        }
    )
