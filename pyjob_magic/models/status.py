"""What a server says of a request instead of answering with an object."""

from __future__ import annotations

from typing import Any, Self

from pydantic import Field, ValidationError

from pyjob_magic.models.meta import KubeModel


class GatewayError(KubeModel):
    """What Huawei's gateways say of a request that they do not let through."""

    error_msg: str = Field(alias="error_msg")
    error_code: str = Field(alias="error_code")
    request_id: str | None = Field(default=None, alias="request_id")


class Status(KubeModel):
    """How a request went: ``Success`` of a deletion, ``Failure`` with a reason otherwise.

    Source: ``metav1.Status``; `error_code` is Huawei CCI's addition, which is finer than `code`.
    """

    status: str | None = None
    message: str | None = None
    reason: str | None = None
    code: int | None = None
    details: dict[str, Any] | None = None
    error_code: str | None = None
    request_id: str | None = None

    @classmethod
    def read(cls, body: Any) -> Self:
        """Return the Status that `body` is, or says in a shape of its own; else an empty one.

        Two such shapes are known: that of Huawei's gateways, and that of its IAM and OpenStack.
        """
        try:
            match body:
                case {"error_msg": _}:
                    said = GatewayError.from_wire(body)
                    code, request = said.error_code, said.request_id
                    return cls(message=said.error_msg, error_code=code, request_id=request)
                case {"error": {"message": message, **rest}}:
                    return cls(message=message, reason=rest.get("title"), code=rest.get("code"))
                case _:
                    return cls.from_wire(body)
        except ValidationError:
            return cls()
