"""The wire as pydantic models: lenient to what servers answer, exact about what people type."""

from pyjob_magic.models.cluster import APIGroup, APIGroupList, Namespace, Network
from pyjob_magic.models.event import Event
from pyjob_magic.models.meta import (
    KubeList,
    KubeModel,
    KubeObject,
    ObjectMeta,
    OwnerReference,
    first_problem,
    read_time,
)
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
from pyjob_magic.models.status import GatewayError, Status

__all__ = [
    "APIGroup",
    "APIGroupList",
    "Condition",
    "ConfigMap",
    "Container",
    "ContainerStatus",
    "Event",
    "GatewayError",
    "JobStatus",
    "KubeList",
    "KubeModel",
    "KubeObject",
    "Namespace",
    "Network",
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
    "Status",
    "first_problem",
    "read_time",
]
