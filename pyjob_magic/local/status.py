"""Status bodies: what the API answers when it cannot do what was asked."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from pyjob_magic.local.objects import Json
from pyjob_magic.local.resources import Resource


@dataclass(frozen=True)
class Cause:
    """One thing that is wrong with an object.

    Parameters
    ----------
    field
        Path of the field, such as ``spec.nprocPerNode``.
    reason
        Kubernetes' word for it, such as ``FieldValueRequired``.
    message
        The sentence without the path.
    """

    field: str
    reason: str
    message: str

    def __str__(self) -> str:
        return f"{self.field}: {self.message}"


class StatusError(Exception):
    """A request that ends in a Status body; `code` is the HTTP status."""

    def __init__(self, code: int, reason: str, message: str, details: Json | None = None) -> None:
        super().__init__(message)
        self.code = code
        self.body = failure(code, reason, message, details)


def failure(code: int, reason: str, message: str, details: Json | None = None) -> Json:
    """Return the Status of a failure, keys in the order of the real API server."""
    body: dict[str, Any] = {
        "kind": "Status",
        "apiVersion": "v1",
        "metadata": {},
        "status": "Failure",
        "message": message,
        "reason": reason,
        "details": details,
        "code": code,
    }
    return {key: value for key, value in body.items() if value is not None and value != ""}


def bad_request(message: str) -> StatusError:
    """400: the request itself is malformed."""
    return StatusError(400, "BadRequest", message)


def unauthorized() -> StatusError:
    """401: nobody we know."""
    return StatusError(401, "Unauthorized", "Unauthorized")


def forbidden(message: str) -> StatusError:
    """403: denied by an admission rule."""
    return StatusError(403, "Forbidden", message)


def not_found(resource: Resource, name: str) -> StatusError:
    """404: no such object."""
    message = f'{resource.qualified} "{name}" not found'
    return StatusError(404, "NotFound", message, resource.details(name))


def method_not_allowed() -> StatusError:
    """405: the path exists, the method does not."""
    message = "the server does not allow this method on the requested resource"
    return StatusError(405, "MethodNotAllowed", message, {})


def exists(resource: Resource, name: str) -> StatusError:
    """409: the name is taken."""
    message = f'{resource.qualified} "{name}" already exists'
    return StatusError(409, "AlreadyExists", message, resource.details(name))


def conflict(resource: Resource, name: str, reason: str = "") -> StatusError:
    """409: the object is not the one that the request was made for."""
    why = reason or (
        "the object has been modified; please apply your changes to the latest version and "
        "try again"
    )
    message = f'Operation cannot be fulfilled on {resource.qualified} "{name}": {why}'
    return StatusError(409, "Conflict", message, resource.details(name))


def expired(message: str) -> StatusError:
    """410: the history does not reach back that far."""
    return StatusError(410, "Expired", message)


def too_large(limit: int) -> StatusError:
    """413: the body has more than `limit` bytes."""
    message = f"Request entity too large: limit is {limit}"
    return StatusError(413, "RequestEntityTooLarge", message)


def unsupported_media_type(*accepted: str) -> StatusError:
    """415: the body is in a format that is not read here."""
    message = (
        "the body of the request was in an unknown format - accepted media types include: "
        + ", ".join(accepted)
    )
    return StatusError(415, "UnsupportedMediaType", message)


def head_too_large(limit: int) -> StatusError:
    """431: first line and headers have more than `limit` bytes."""
    return StatusError(431, "", f"the headers of the request are too large: limit is {limit}")


def invalid(resource: Resource, name: str, causes: list[Cause]) -> StatusError:
    """422: the object breaks rules; one cause for each."""
    sentences = ", ".join(map(str, causes))
    kind = f"{resource.kind}.{resource.group}" if resource.group else resource.kind
    message = f'{kind} "{name}" is invalid: ' + (f"[{sentences}]" if len(causes) > 1 else sentences)
    details = {
        "name": name,
        "group": resource.group,
        "kind": resource.kind,
        "causes": [
            {"reason": cause.reason, "message": cause.message, "field": cause.field}
            for cause in causes
        ],
    }
    return StatusError(
        422, "Invalid", message, {key: value for key, value in details.items() if value}
    )
