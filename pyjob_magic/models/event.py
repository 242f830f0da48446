"""Events: what the control plane says about an object."""

from __future__ import annotations

from typing import Any

from pydantic import Field

from pyjob_magic.models.meta import KubeModel, KubeObject


class ObjectReference(KubeModel):
    """The object that an event is about."""

    kind: str | None = None
    namespace: str | None = None
    name: str | None = None
    uid: str | None = None


class Event(KubeObject):
    """One event, perhaps seen several times; `type` is Normal or Warning."""

    api_version: str = "v1"
    kind: str = "Event"
    involved_object: ObjectReference = Field(default_factory=ObjectReference)
    type: str | None = None
    reason: str | None = None
    message: str | None = None
    count: int | None = None
    first_timestamp: str | None = None
    last_timestamp: str | None = None
    event_time: str | None = None
    source: dict[str, Any] | None = None

    @property
    def time(self) -> str:
        """When it was last seen, RFC 3339 in UTC; newer event senders set only `event_time`."""
        return self.last_timestamp or self.event_time or self.metadata.creation_timestamp or ""
