"""The PyTorchJob: what is asked for and how it fares."""

from __future__ import annotations

from datetime import datetime
from typing import Any, Literal

from pydantic import Field

from pyjob_magic.models.meta import KubeModel, KubeObject, read_time
from pyjob_magic.models.pod import PodTemplateSpec

ReplicaType = Literal["Master", "Worker"]
State = Literal["Failed", "Succeeded", "Suspended", "Restarting", "Running", "Created", "Submitted"]
_STATES: tuple[State, ...] = (
    "Failed",
    "Succeeded",
    "Suspended",
    "Restarting",
    "Running",
    "Created",
)


class ReplicaSpec(KubeModel):
    """The replicas of one type; an absent `replicas` counts as 1."""

    replicas: int | None = None
    restart_policy: str | None = None
    template: PodTemplateSpec

    @property
    def count(self) -> int:
        """How many there are to be."""
        return 1 if self.replicas is None else self.replicas


class RunPolicy(KubeModel):
    """When a job counts as over and what is cleaned up then; times in seconds."""

    clean_pod_policy: str | None = None
    ttl_seconds_after_finished: int | None = None
    active_deadline_seconds: int | None = None
    backoff_limit: int | None = None
    suspend: bool | None = None
    managed_by: str | None = None
    scheduling_policy: dict[str, Any] | None = None


class PyTorchJobSpec(KubeModel):
    """What to run: at most one Master, any number of Workers.

    Source: kubeflow.org/v1 ``PyTorchJobSpec``, training-operator v1.9.0.
    """

    pytorch_replica_specs: dict[ReplicaType, ReplicaSpec]
    run_policy: RunPolicy | None = None
    elastic_policy: dict[str, Any] | None = None
    nproc_per_node: str | None = None  # a string on the wire: "auto", "gpu", "4"

    @property
    def replicas(self) -> int:
        """Replicas of all types together."""
        return sum(spec.count for spec in self.pytorch_replica_specs.values())


class Condition(KubeModel):
    """One entry of a job's history; times are RFC 3339 strings in UTC."""

    type: str
    status: str
    reason: str | None = None
    message: str | None = None
    last_update_time: str | None = None
    last_transition_time: str | None = None


class ReplicaStatus(KubeModel):
    """How many replicas of a type run and have ended; zeroes are left out on the wire."""

    active: int = 0
    succeeded: int = 0
    failed: int = 0
    selector: str | None = None


class JobStatus(KubeModel):
    """How a job fares; empty until the operator has seen it."""

    conditions: list[Condition] | None = None
    replica_statuses: dict[str, ReplicaStatus] | None = None
    start_time: str | None = None
    completion_time: str | None = None

    def __repr__(self) -> str:
        times = f"started {self.start_time}, ended {self.completion_time}"
        message = self.current.message if self.current else ""
        return f"<JobStatus {self.state}: {message} ({times})>"

    def __str__(self) -> str:
        return repr(self)

    @property
    def current(self) -> Condition | None:
        """The condition that describes the job now, or None before the first.

        The last one in the list may be long over (a resumed job ends with Suspended=False), so
        the first that holds of Failed, Succeeded, Suspended, Restarting, Running, Created counts.
        """
        holding = {c.type: c for c in self.conditions or [] if c.status == "True"}
        return next((holding[state] for state in _STATES if state in holding), None)

    @property
    def state(self) -> State:
        """The job's state as one word; ``Submitted`` before the operator has seen it."""
        current = self.current
        return next((state for state in _STATES if current and state == current.type), "Submitted")

    @property
    def ended(self) -> bool:
        """Whether the job has succeeded or failed."""
        return self.state in ("Succeeded", "Failed")

    @property
    def ended_at(self) -> datetime | None:
        """When the job has ended; a permanent failure by exit code has no completion time."""
        if not self.ended:
            return None
        since = self.current.last_transition_time if self.current else None
        return read_time(self.completion_time) or read_time(since)


class PyTorchJob(KubeObject):
    """A distributed training job of ``kubeflow.org/v1``."""

    api_version: Literal["kubeflow.org/v1"] = "kubeflow.org/v1"
    kind: Literal["PyTorchJob"] = "PyTorchJob"
    spec: PyTorchJobSpec
    status: JobStatus = Field(default_factory=JobStatus)

    @property
    def replica_names(self) -> list[str]:
        """Names of the replicas that are asked for: ``master-0``, ``worker-0``, ``worker-1``."""
        return [
            f"{kind.lower()}-{index}"
            for kind, spec in self.spec.pytorch_replica_specs.items()
            for index in range(spec.count)
        ]
