"""Pods and what they are made of: the fields we use; every other one passes through."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

from pydantic import Field

from pyjob_magic.models.meta import KubeModel, KubeObject, ObjectMeta
from pyjob_magic.quantity import Quantity


class EnvVar(KubeModel):
    """One variable of a container's environment."""

    name: str
    value: str | None = None


class VolumeMount(KubeModel):
    """Where a volume of the pod appears in a container."""

    name: str
    mount_path: str
    sub_path: str | None = None
    read_only: bool | None = None


class ResourceRequirements(KubeModel):
    """What a container may use and what is set aside for it.

    Servers send amounts as strings or bare numbers; `Quantity` reads both.
    """

    limits: dict[str, str | int | float] | None = None
    requests: dict[str, str | int | float] | None = None


class Container(KubeModel):
    """One container of a pod."""

    name: str
    image: str | None = None
    command: list[str] | None = None
    args: list[str] | None = None
    env: list[EnvVar] | None = None
    working_dir: str | None = None
    ports: list[dict[str, Any]] | None = None
    resources: ResourceRequirements | None = None
    volume_mounts: list[VolumeMount] | None = None


class Volume(KubeModel):
    """A volume of a pod; its kind is the one other key."""

    name: str
    config_map: dict[str, Any] | None = None
    secret: dict[str, Any] | None = None
    empty_dir: dict[str, Any] | None = None
    host_path: dict[str, Any] | None = None
    persistent_volume_claim: dict[str, Any] | None = None


class PodSpec(KubeModel):
    """What a replica runs."""

    containers: list[Container]
    init_containers: list[Container] | None = None
    volumes: list[Volume] | None = None
    restart_policy: str | None = None
    image_pull_secrets: list[dict[str, Any]] | None = None
    node_name: str | None = None
    node_selector: dict[str, str] | None = None
    service_account_name: str | None = None
    tolerations: list[dict[str, Any]] | None = None
    termination_grace_period_seconds: int | None = None

    @property
    def asked(self) -> dict[str, Decimal]:
        """What the containers ask for together, by resource; no request is one of the limit."""
        amounts: dict[str, Decimal] = {}
        for resources in filter(None, (container.resources for container in self.containers)):
            both = {**(resources.limits or {}), **(resources.requests or {})}
            for name, amount in both.items():
                amounts[name] = amounts.get(name, Decimal()) + Quantity(amount).value
        return amounts


class PodTemplateSpec(KubeModel):
    """The pod that each replica of a type becomes."""

    metadata: ObjectMeta | None = None
    spec: PodSpec


class StateTerminated(KubeModel):
    """How a container ended; `exit_code` is 128 + n after signal n."""

    exit_code: int
    container_id: str | None = Field(default=None, alias="containerID")
    reason: str | None = None
    message: str | None = None
    started_at: str | None = None
    finished_at: str | None = None


class StateRunning(KubeModel):
    """Since when a container runs."""

    started_at: str | None = None


class StateWaiting(KubeModel):
    """What a container waits for, such as ``ContainerCreating`` or ``CrashLoopBackOff``."""

    reason: str | None = None
    message: str | None = None


class ContainerState(KubeModel):
    """One of the three states; at most one is set."""

    waiting: StateWaiting | None = None
    running: StateRunning | None = None
    terminated: StateTerminated | None = None


class ContainerStatus(KubeModel):
    """How a container fares; each of its runs has a `container_id` of its own."""

    name: str
    container_id: str | None = Field(default=None, alias="containerID")
    ready: bool = False
    restart_count: int = 0
    state: ContainerState = Field(default_factory=ContainerState)
    last_state: ContainerState | None = None


class PodStatus(KubeModel):
    """How a pod fares; `phase` is Pending, Running, Succeeded, Failed or Unknown."""

    phase: str | None = None
    reason: str | None = None
    message: str | None = None
    start_time: str | None = None
    conditions: list[dict[str, Any]] | None = None
    container_statuses: list[ContainerStatus] | None = None
    init_container_statuses: list[ContainerStatus] | None = None


class Pod(KubeObject):
    """One replica of a job, as the cluster runs it."""

    api_version: str = "v1"
    kind: str = "Pod"
    spec: PodSpec
    status: PodStatus = Field(default_factory=PodStatus)

    @property
    def replica(self) -> str:
        """Name of the replica inside its job, such as ``worker-1``; the pod's name if it has none.

        Pods without labels are named after the job that owns them.

        Source: ``pkg/controller.v1/common/pod.go``, training-operator v1.9.0.
        """
        labels = self.metadata.labels or {}
        kind = labels.get("training.kubeflow.org/replica-type")
        index = labels.get("training.kubeflow.org/replica-index")
        if kind and index:
            return f"{kind}-{index}"
        owners = self.metadata.owner_references or []
        job = next((owner.name for owner in owners if owner.kind == "PyTorchJob"), None)
        return self.name.removeprefix(f"{job}-")

    @property
    def main_container(self) -> ContainerStatus | None:
        """Status of the container named ``pytorch``; of the first one if there is none."""
        statuses = self.status.container_statuses or []
        named = [status for status in statuses if status.name == "pytorch"]
        return next(iter(named or statuses), None)


class ConfigMap(KubeObject):
    """Small named texts that a pod can mount as files."""

    api_version: str = "v1"
    kind: str = "ConfigMap"
    data: dict[str, str] | None = None
    binary_data: dict[str, str] | None = None
