"""What a cluster is made of, as far as jobs depend on it: API groups, namespaces, networks."""

from __future__ import annotations

from typing import Any

from pydantic import Field

from pyjob_magic.models.meta import KubeModel, ObjectMeta


class APIGroupVersion(KubeModel):
    """One version of a group, such as ``v1``."""

    group_version: str
    version: str


class APIGroup(KubeModel):
    """A group of kinds that a server has."""

    name: str
    versions: list[APIGroupVersion] = Field(default_factory=list)
    preferred_version: APIGroupVersion | None = None


class APIGroupList(KubeModel):
    """What ``GET /apis`` answers."""

    groups: list[APIGroup]

    def serves(self, group_version: str) -> bool:
        """Whether there is a group in a version, such as ``kubeflow.org/v1``."""
        return any(v.group_version == group_version for g in self.groups for v in g.versions)


class Namespace(KubeModel):
    """A namespace; CCI answers it without its kind."""

    metadata: ObjectMeta
    status: dict[str, Any] | None = None


class Network(KubeModel):
    """What connects the pods of a CCI namespace with a VPC; ``networking.cci.io/v1beta1``."""

    metadata: ObjectMeta
    status: dict[str, Any] | None = None
