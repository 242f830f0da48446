"""What a request to patch an object makes of it.

Source: ``k8s.io/apiserver`` ``pkg/endpoints/handlers/patch.go``.
"""

from __future__ import annotations

from typing import Any

from starlette.requests import Request

from pyjob_magic.local.apiserver import patches, schemas, strategic
from pyjob_magic.local.apiserver.bodies import media_type, read_object
from pyjob_magic.local.apiserver.structure import copied
from pyjob_magic.local.objects import Json
from pyjob_magic.local.resources import Resource
from pyjob_magic.local.status import bad_request, unsupported_media_type

APPLY = "application/apply-patch+yaml"
_JSON_PATCH = "application/json-patch+json"
_MERGE = "application/merge-patch+json"
_STRATEGIC = "application/strategic-merge-patch+json"


async def read_patch(request: Request, resource: Resource) -> Any:
    """Return the patch of a request, or what it applies.

    Raises
    ------
    StatusError
        400 for what cannot be read, 415 for a kind of patch that the resource does not take.
    """
    accepted = _accepted(resource)
    given = media_type(request)
    if given not in accepted:
        raise unsupported_media_type(*accepted)
    return await read_object(request, "patch", accepted, yaml=given == APPLY)


def patched(request: Request, resource: Resource, old: Json, change: Any) -> Json:
    """Return `old` with a patch applied that is no apply; `old` is not changed."""
    kind = media_type(request)
    if kind == _JSON_PATCH:
        return patches.apply_operations(old, change)
    if not isinstance(change, dict):
        raise bad_request("a patch of an object must be an object")
    old = copied(old)  # what is taken in is changed in place
    if kind == _STRATEGIC:
        return strategic.merge(schemas.of(resource), old, change)
    merged: Json = patches.merge(old, change)
    return merged


def _accepted(resource: Resource) -> tuple[str, ...]:
    """Return the kinds of patches that can be sent; lists of custom resources merge by none."""
    return (_JSON_PATCH, _MERGE, *(() if resource.custom else (_STRATEGIC,)), APPLY)
