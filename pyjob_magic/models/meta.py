"""What all Kubernetes objects share: the base model and the metadata."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any, Generic, Self, TypeVar

from pydantic import BaseModel, ConfigDict, Field, ValidationError
from pydantic.alias_generators import to_camel

T = TypeVar("T", bound="KubeModel")


class KubeModel(BaseModel):
    """Base of the wire models: camelCase on the wire, unknown fields kept as they came."""

    model_config = ConfigDict(
        alias_generator=to_camel,
        extra="allow",
        serialize_by_alias=True,
        validate_by_alias=True,
        validate_by_name=True,
        validate_assignment=True,
    )

    @classmethod
    def from_wire(cls, data: Any) -> Self:
        """Validate `data`, a JSON value as a server or a file has it."""
        return cls.model_validate(data)

    def to_wire(self) -> dict[str, Any]:
        """Return the JSON object: only what was set, so that what came goes back as it was."""
        return self.model_dump(mode="json", exclude_unset=True)


def first_problem(error: ValidationError, whole: str) -> str:
    """Return what is wrong first: the field, or the `whole`, and why; not what stands there."""
    first = error.errors(include_url=False)[0]
    return f"{'.'.join(map(str, first['loc'])) or whole}: {first['msg']}"


def read_time(text: str | None) -> datetime | None:
    """Return a time as servers write it; None where there is none, or none that can be read."""
    try:
        time = datetime.fromisoformat(text or "")
    except (TypeError, ValueError):  # parts of objects that have no model may hold anything
        return None
    return time if time.tzinfo else time.replace(tzinfo=UTC)


class OwnerReference(KubeModel):
    """The object that this one is deleted with."""

    api_version: str
    kind: str
    name: str
    uid: str
    controller: bool | None = None
    block_owner_deletion: bool | None = None


class ObjectMeta(KubeModel):
    """Name, identity and origin of an object. Times are RFC 3339 strings in UTC."""

    name: str | None = None
    generate_name: str | None = None
    namespace: str | None = None
    uid: str | None = None
    creation_timestamp: str | None = None
    deletion_timestamp: str | None = None
    generation: int | None = None
    resource_version: str | None = None
    self_link: str | None = None  # Kubernetes stopped sending it in 1.20; CCI still does
    labels: dict[str, str] | None = None
    annotations: dict[str, str] | None = None
    owner_references: list[OwnerReference] | None = None


class KubeObject(KubeModel):
    """An object with a kind and metadata."""

    api_version: str
    kind: str
    metadata: ObjectMeta = Field(default_factory=ObjectMeta)

    @property
    def name(self) -> str:
        """``metadata.name``, or an empty string before there is one."""
        return self.metadata.name or ""

    def to_wire(self) -> dict[str, Any]:
        """Return the JSON object, kind first, also where the kind is only a default."""
        return {"apiVersion": self.api_version, "kind": self.kind, **super().to_wire()}


class ListMeta(KubeModel):
    """Where a list stands: what to watch from, and where its next page begins."""

    resource_version: str | None = None
    self_link: str | None = None
    continue_: str | None = Field(default=None, alias="continue")


class KubeList(KubeModel, Generic[T]):
    """A list as servers answer it; its items may come without their kind."""

    api_version: str | None = None
    kind: str | None = None
    metadata: ListMeta = Field(default_factory=ListMeta)
    items: list[T] = Field(default_factory=list)
