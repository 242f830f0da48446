"""The wire as pydantic models: lenient to what servers answer, exact about what people type."""

from pyjob_magic.models.event import Event
from pyjob_magic.models.meta import KubeModel, KubeObject, ObjectMeta, OwnerReference
from pyjob_magic.models.pod import (
    ConfigMap,
    Container,
    ContainerStatus,
    Pod,
    PodSpec,
    PodStatus,
    PodTemplateSpec,
)
from pyjob_magic.models.pytorchjob import (
    Condition,
    JobStatus,
    PyTorchJob,
    PyTorchJobSpec,
    ReplicaSpec,
    ReplicaStatus,
    RunPolicy,
)

__all__ = [
    "Condition",
    "ConfigMap",
    "Container",
    "ContainerStatus",
    "Event",
    "JobStatus",
    "KubeModel",
    "KubeObject",
    "ObjectMeta",
    "OwnerReference",
    "Pod",
    "PodSpec",
    "PodStatus",
    "PodTemplateSpec",
    "PyTorchJob",
    "PyTorchJobSpec",
    "ReplicaSpec",
    "ReplicaStatus",
    "RunPolicy",
]
