"""The training operator: job + pods + services + clock -> steps and status. Pure.

Source: ``pkg/controller.v1/common/job.go``, ``pod.go``, ``service.go``,
``pytorch/pytorchjob_controller.go`` and ``pkg/core/job.go`` of training-operator v1.9.0.

What differs from upstream, all of it:

- Replica types are visited in one order, Master and then Worker; upstream's is random. So a
  job whose Master succeeds in the moment in which a Worker fails has succeeded, and while a
  Worker is made again the job shows as Restarting.
- An elastic job without Master that has succeeded has not failed as well, where another of its
  Workers failed in the same moment.
- A deadline ends the job when it has passed; upstream notices that when something else happens.
- After the limit of restarts or the deadline the pods are gone for good; upstream, racing with
  its own cache, may make them once more.
- Workers that still run when the Master has succeeded get some seconds to end by themselves
  before ``cleanPodPolicy`` removes them, so that their last lines are not cut off.
- A job of which one pod or service could not be created gets none at all; upstream makes those
  that come before the mistake, and lets them run. More than 1024 replicas of a type are a mistake.
- A pod whose name is still taken, by one of a job that was deleted, is made when the name is
  free; upstream complains with FailedCreatePod until then.
- A job that is resumed waits until its pods of before are gone; upstream counts those as failed.
- A failed replica is made again once a second at most; upstream has no such limit, but a cluster
  is slower than that.
- Surplus replicas are deleted, whatever became of them; upstream may restart or fail the job for
  one that has failed, and for a moment makes those that are missing below its index.
- What upstream says anew whenever it looks at a job (ExitedWithCode, PyTorchJobSuspended,
  PyTorchJobRestarting, the troubles of pods) is said once, or once for each life of a replica
  that is made again.
- There is no init container ``init-pytorch``, which has Workers wait some 200 s for the name of
  their Master: here there is no name to wait for, a job gets its place as a whole, and who
  connects too early is kept waiting by torch, for longer.
- There is no HorizontalPodAutoscaler for ``elasticPolicy.metrics``, and no PodGroup: the
  scheduler of this machine admits jobs whole, or as ``minAvailable`` says.
- Pods bear annotations of ours (``pyjob-magic/...``), and no finalizers of their template: nobody
  here could remove those. An empty ``rdzvConf``, over which upstream stumbles, is none.
"""

from __future__ import annotations

import copy
from dataclasses import dataclass, field

from pyjob_magic.local.control import conditions
from pyjob_magic.local.control.dependents import (
    new_pod,
    new_service,
    replica_count,
    replica_specs,
    restart_policy,
    selector,
)
from pyjob_magic.local.control.podchecks import mistakes, troubles
from pyjob_magic.local.kubelet.environment import replicas
from pyjob_magic.local.objects import (
    REPLICA_INDEX,
    REPLICA_TYPE,
    Json,
    condition,
    ended,
    finished,
    labels,
    seconds,
    terminating,
    timestamp,
)

_OURS = "kubeflow.org/training-operator"
_RESTARTABLE = ("OnFailure", "Always", "ExitCode")
_LINGER = 5.0  # seconds for the Workers to end after the Master
_RETRY_EVERY = 1.0  # seconds at least between two lives of a replica
_TEMPLATE_POLICY = (
    "Restart policy in pod template will be overwritten by restart policy in replica spec"
)


@dataclass(frozen=True)
class Create:
    """A pod or a service is to be created."""

    what: Json


@dataclass(frozen=True)
class Delete:
    """A pod or a service is to be deleted."""

    what: Json


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
    steps
        What to create, to delete and to say, in this order.
    remove
        Whether the job itself is to be deleted.
    wake_at
        When to look again although nothing has happened, in seconds since the epoch.
    """

    status: Json
    steps: list[Create | Delete | Remark] = field(default_factory=list)
    remove: bool = False
    wake_at: float | None = None

    def remark(self, reason: str, message: str, *, warn: bool = False, once: bool = False) -> None:
        """Record an event on the job."""
        self.steps.append(Remark("Warning" if warn else "Normal", reason, message, once))

    def look_at(self, time: float) -> None:
        """Look again at `time`, or earlier."""
        self.wake_at = time if self.wake_at is None else min(time, self.wake_at)


def reconcile(job: Json, pods: list[Json], services: list[Json], now: float) -> Plan:
    """Decide what is to be done about `job` at the time `now`.

    Parameters
    ----------
    job
        The job as stored.
    pods, services
        What it controls.
    now
        Seconds since the epoch.
    """
    plan = Plan(status=copy.deepcopy(job.get("status") or {}))
    manager = (job["spec"].get("runPolicy") or {}).get("managedBy")
    if manager in (None, _OURS) and not terminating(job) and replica_specs(job):
        _Reconciler(plan, job, pods, services, now).run()
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
    conditions.write(status, "Failed", "True", "Failed", message, now)
    return status


class _Reconciler:
    """One look at one job, written down in a plan."""

    def __init__(
        self, plan: Plan, job: Json, pods: list[Json], services: list[Json], now: float
    ) -> None:
        self._plan = plan
        self._status = plan.status
        self._job = job
        self._pods = pods
        self._services = services
        self._now = now
        self._name: str = job["metadata"]["name"]
        self._specs = replica_specs(job)
        self._policy: Json = job["spec"].get("runPolicy") or {}
        self._retried: set[str] = set()  # replica types of which a pod is made again now
        self._retried_soon: set[str] = set()

    def run(self) -> None:
        """Write the plan."""
        self._condition("Created", f"PyTorchJob {self._name} is created.")
        if finished(self._job):
            self._clean_up()
        elif self._policy.get("suspend"):
            self._suspend()
        elif not condition(self._job, "Suspended"):
            self._go_on()
        elif not any(map(terminating, self._pods)):
            self._resume()
            self._go_on()

    def _clean_up(self) -> None:
        """Do what follows the end of a job: cleanPodPolicy, the last counts, time to live."""
        policy = self._policy.get("cleanPodPolicy", "None")
        unfinished = [pod for pod in self._pods if not ended(pod)]
        doomed = {"None": [], "Running": unfinished}.get(policy, self._pods)
        until = self._lingers_until() if unfinished and doomed else 0.0
        if self._now < until:
            self._plan.look_at(until)
        else:
            self._delete_replicas(doomed)
        if condition(self._job, "Succeeded"):
            for counts in self._status.get("replicaStatuses", {}).values():
                _count(counts, "succeeded", counts.get("succeeded", 0) + counts.pop("active", 0))
        self._expire()

    def _lingers_until(self) -> float:
        """Return until when replicas of a finished job may end by themselves."""
        completed = self._status.get("completionTime")
        succeeded = condition(self._job, "Succeeded")
        return seconds(completed) + _LINGER if completed and succeeded else 0.0

    def _expire(self) -> None:
        """Remove the job when its time to live is over; one without completion time stays."""
        time_to_live = self._policy.get("ttlSecondsAfterFinished")
        completed = self._status.get("completionTime")
        if time_to_live is None or completed is None:
            return
        due = seconds(completed) + max(0, time_to_live)
        if self._now < due:
            self._plan.look_at(due)
        else:
            self._plan.remark("SuccessfulDeletePod", f"Deleted job: {self._name}")
            self._plan.remove = True

    def _suspend(self) -> None:
        self._delete_replicas(self._pods)
        for counts in self._status.get("replicaStatuses", {}).values():
            counts.pop("active", None)
        message = f"PyTorchJob {self._name} is suspended."
        if self._holds("Running"):
            self._condition("Running", message, "False", "Suspended")
        if not self._holds("Suspended"):
            self._condition("Suspended", message)
            self._plan.remark("PyTorchJobSuspended", message)

    def _resume(self) -> None:
        message = f"PyTorchJob {self._name} is resumed."
        self._condition("Suspended", message, "False", "Resumed")
        self._status["startTime"] = timestamp(self._now)
        self._plan.remark("PyTorchJobResumed", message)

    def _go_on(self) -> None:
        for reason, message in troubles(self._pods):
            self._plan.remark(reason, message, warn=True, once=True)
        if message := self._limit_reached():
            self._status.setdefault("completionTime", timestamp(self._now))
            self._delete_replicas(self._pods)
            self._fail(message)
        elif wrong := [problem for kind in self._specs for problem in self._mistakes(kind)]:
            for what, why in wrong:
                reason = f"FailedCreate{what}"
                self._plan.remark(reason, f"Error creating: {why}", warn=True, once=True)
            self._plan.status = self._job.get("status") or {}  # upstream writes none, either
        else:
            for kind in self._specs:
                self._reconcile_pods(kind)
                self._reconcile_services(kind)
            self._conclude()

    def _limit_reached(self) -> str:
        """Return why the job has failed as a whole; empty if it has not."""
        limit = self._policy.get("backoffLimit")
        if limit is not None and self._backed_off(limit):
            return f"Job {self._name} has failed because it has reached the specified backoff limit"
        deadline = self._deadline()
        if deadline is not None and self._now >= deadline:
            return (
                f"Job {self._name} has failed because it was active longer than specified deadline"
            )
        return ""

    def _backed_off(self, limit: int) -> bool:
        restarts = sum(
            entry.get("restartCount", 0)
            for pod in self._pods
            if pod["status"].get("phase") == "Running" and self._restartable(pod)
            for key in ("containerStatuses", "initContainerStatuses")
            for entry in pod["status"].get(key) or ()
        )
        if restarts >= (limit or 1):
            return True
        statuses = (self._status.get("replicaStatuses") or {}).values()
        known = sum(counts.get("failed", 0) for counts in statuses)
        failed = sum(pod["status"].get("phase") == "Failed" for pod in self._pods)
        alive = sum(not ended(pod) and not terminating(pod) for pod in self._pods)
        return failed > known and alive != replica_count(self._job) and limit < 1

    def _restartable(self, pod: Json) -> bool:
        kinds = {kind.lower(): spec for kind, spec in self._specs.items()}
        spec = kinds.get(labels(pod).get(REPLICA_TYPE, ""))
        return spec is not None and restart_policy(spec) in _RESTARTABLE

    def _deadline(self) -> float | None:
        """Return when the deadline has passed for sure: the start is known only to the second."""
        deadline, started = self._policy.get("activeDeadlineSeconds"), self._status.get("startTime")
        return seconds(started) + deadline + 1 if deadline is not None and started else None

    def _mistakes(self, kind: str) -> list[tuple[str, str]]:
        """Return what keeps the missing replicas of one type from being created."""
        wanted = replicas(self._specs[kind])  # any number, as long as it is refused here
        there = _by_index(self._pods, kind).keys() & _by_index(self._services, kind).keys()
        complete = sum(index < wanted for index in there) == wanted
        return [] if complete else list(mistakes(self._job, kind))

    def _reconcile_pods(self, kind: str) -> None:
        """Create the missing pods of one type, deal with the failed ones, count them all."""
        spec = self._specs[kind]
        counts: Json = {}
        self._status.setdefault("replicaStatuses", {})[kind] = counts
        pods = _by_index(self._pods, kind)
        for index in sorted({*range(replicas(spec)), *pods}):
            if index not in pods:
                self._create_pod(kind, index)
                continue
            pod = pods[index]
            if index < replicas(spec):
                self._deal_with(pod, kind)
            else:
                self._delete(pod)
            if state := _state(pod):
                _count(counts, state, counts.get(state, 0) + 1)

    def _create_pod(self, kind: str, index: int) -> None:
        if self._specs[kind]["template"]["spec"].get("restartPolicy"):
            self._plan.remark("SetPodTemplateRestartPolicy", _TEMPLATE_POLICY, warn=True)
        self._plan.steps.append(Create(new_pod(self._job, kind, index)))

    def _deal_with(self, pod: Json, kind: str) -> None:
        """Say how a pod has ended; make a failed one again, or fail with it, as its policy says."""
        policy, code = restart_policy(self._specs[kind]), _exit_code(pod)
        failed = pod["status"].get("phase") == "Failed"
        permanent = failed and policy == "ExitCode" and code is not None and code < 128
        retried = failed and policy != "Never" and not permanent
        due = _retry_at(pod)
        if code is not None and (not retried or self._now >= due):
            where = f"{pod['metadata']['namespace']}.{self._pod_name(pod)}"
            message = f"Pod: {where} exited with code {code}"
            self._plan.remark("ExitedWithCode", message, once=not retried)
        if permanent:
            message = f'job "{self._name}" is failing because "{kind}" replica(s) failed.'
            self._fail(message, warn=True)
        elif retried:
            message = f"job {self._name} is restarting because {kind} replica(s) failed."
            self._condition("Restarting", message)
            if self._now < due:
                self._retried_soon.add(kind)
                self._plan.look_at(due)
            elif not terminating(pod):
                self._retried.add(kind)
                self._delete(pod)
                self._plan.remark("PyTorchJobRestarting", message, warn=True)

    def _reconcile_services(self, kind: str) -> None:
        """Create the missing services of one type, delete the surplus ones."""
        services, wanted = _by_index(self._services, kind), replicas(self._specs[kind])
        for index in range(wanted):
            if index not in services:
                self._plan.steps.append(Create(new_service(self._job, kind, index)))
        for index in sorted(services):
            if index >= wanted:
                self._delete(services[index])

    def _conclude(self) -> None:
        """Draw the conclusions from the counts: running, succeeded, failed, restarting."""
        self._status.setdefault("startTime", timestamp(self._now))
        for kind, spec in self._specs.items():
            counts = self._status["replicaStatuses"][kind]
            counts["selector"] = selector(self._name, kind)
            states = ("active", "succeeded", "failed")
            running, succeeded, failed = (counts.get(state, 0) for state in states)
            if self._has_succeeded(kind, succeeded):
                self._succeed()
                return
            if running and self._leads(kind):
                self._condition("Running", self._running())
            if failed and replicas(spec) > succeeded + running:
                self._conclude_failure(kind, failed)
        if (deadline := self._deadline()) is not None and "completionTime" not in self._status:
            self._plan.look_at(deadline)

    def _leads(self, kind: str) -> bool:
        """Whether the job fares as the replicas of this type do."""
        return kind == "Master" or "Master" not in self._specs

    def _has_succeeded(self, kind: str, succeeded: int) -> bool:
        if not self._leads(kind):
            return False
        one_is_enough = kind == "Worker" and self._job["spec"].get("elasticPolicy") is not None
        return succeeded == replicas(self._specs[kind]) or (one_is_enough and succeeded > 0)

    def _running(self) -> str:
        return f"PyTorchJob {self._who()} is running."

    def _succeed(self) -> None:
        is_ = "is " if "Master" in self._specs else ""
        message = f"PyTorchJob {self._who()} {is_}successfully completed."
        self._plan.remark("PyTorchJobSucceeded", message)
        self._status.setdefault("completionTime", timestamp(self._now))
        self._condition("Succeeded", message)

    def _who(self) -> str:
        """Return the name of the job as upstream says it: with its namespace without Master."""
        namespace = self._job["metadata"]["namespace"]
        return self._name if "Master" in self._specs else f"{namespace}/{self._name}"

    def _conclude_failure(self, kind: str, failed: int) -> None:
        replicas_failed = f"{failed} {kind} replica(s) failed."
        if restart_policy(self._specs[kind]) == "Never":
            self._status.setdefault("completionTime", timestamp(self._now))
            self._fail(f"PyTorchJob {self._name} is failed because {replicas_failed}")
        else:
            message = f"PyTorchJob {self._name} is restarting because {replicas_failed}"
            self._condition("Restarting", message)
            if kind not in self._retried_soon:
                once = kind not in self._retried
                self._plan.remark("PyTorchJobRestarting", message, warn=True, once=once)

    def _fail(self, message: str, *, warn: bool = False) -> None:
        self._plan.remark("PyTorchJobFailed", message, warn=warn)
        self._condition("Failed", message)

    def _delete_replicas(self, pods: list[Json]) -> None:
        """Delete pods with their services; a service without a pod stays."""
        services = {service["metadata"]["name"]: service for service in self._services}
        for pod in pods:
            self._delete(pod)
            if service := services.get(self._pod_name(pod)):
                self._delete(service)

    def _delete(self, obj: Json) -> None:
        if not terminating(obj):
            self._plan.steps.append(Delete(obj))

    def _pod_name(self, pod: Json) -> str:
        name: str = pod["metadata"]["name"]
        return name

    def _holds(self, kind: str) -> bool:
        return condition({"status": self._status}, kind)

    def _condition(self, kind: str, message: str, value: str = "True", reason: str = "") -> None:
        conditions.write(self._status, kind, value, reason or kind, message, self._now)


def _by_index(objects: list[Json], kind: str) -> dict[int, Json]:
    """Return the pods or services of one replica type by their index, as far as they have one."""
    return {
        int(index): obj
        for obj in objects
        if labels(obj).get(REPLICA_TYPE) == kind.lower()
        and (index := labels(obj).get(REPLICA_INDEX, "")).isdecimal()
    }


def _exit_code(pod: Json) -> int | None:
    """Return the exit code of the ``pytorch`` container; None if it has none (yet)."""
    for entry in pod["status"].get("containerStatuses") or ():
        terminated = (entry.get("state") or {}).get("terminated")
        if entry["name"] == "pytorch" and terminated:
            return int(terminated["exitCode"])
    return None


def _retry_at(pod: Json) -> float:
    """Return when a failed pod may be made again."""
    created = pod["metadata"].get("creationTimestamp")
    return seconds(created) + _RETRY_EVERY if created else 0.0


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
