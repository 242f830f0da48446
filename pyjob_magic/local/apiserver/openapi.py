"""What can be done here, as OpenAPI 3.0 documents: an index, and one document for each group.

Source: ``k8s.io/kube-openapi/pkg/handler3`` and the documents of a Kubernetes API server.
"""

from __future__ import annotations

import time
from email.utils import formatdate
from functools import cache

from starlette.requests import Request
from starlette.responses import RedirectResponse, Response
from starlette.routing import Route

from pyjob_magic import __version__
from pyjob_magic.local.apiserver import components, operations
from pyjob_magic.local.apiserver.accept import choose
from pyjob_magic.local.apiserver.catalogue import groups
from pyjob_magic.local.apiserver.documents import document, etag
from pyjob_magic.local.apiserver.wire import render
from pyjob_magic.local.objects import Json
from pyjob_magic.local.resources import Resource
from pyjob_magic.local.status import StatusError

_ROOT = "/openapi/v3"
_OLD_TYPE = "application/com.github.proto-openapi.spec.v2.v1.0+protobuf"
_OLD = bytes([0x0A, 3]) + b"2.0"  # a document that says which version it is of, and no more
_YEAR = 365 * 86_400  # seconds for which a document with its hash in the address may be kept


def routes() -> list[Route]:
    """Return the routes of the OpenAPI documents."""
    return [
        Route(_ROOT, _index),
        Route(f"{_ROOT}/{{name:path}}", _document),
        Route("/openapi/v2", _old),
    ]


async def _old(_request: Request) -> Response:
    """Return a document of the version before, in protobuf, the one form in which it is read.

    ``kubectl`` asks for it when it finds a kind in no other, and only then goes on to say so.
    """
    return Response(_OLD, media_type=_OLD_TYPE)


async def _index(request: Request) -> Response:
    choose(request.headers.get("accept", ""))
    addresses = {name: {"serverRelativeURL": _address(name)} for name in _documents()}
    return document(request, render({"paths": addresses}))


async def _document(request: Request) -> Response:
    """Return a document; with its hash in the address it may be kept for ever."""
    choose(request.headers.get("accept", ""))
    name, known = request.path_params["name"], request.query_params.get("hash")
    if name not in _documents():
        message = "the server could not find the requested resource"
        raise StatusError(404, "NotFound", message, {})
    content = _documents()[name]
    if known is None:
        return document(request, content)
    if known != etag(content):
        return RedirectResponse(_address(name), 301)
    kept = {"cache-control": "public, immutable", "expires": formatdate(time.time() + _YEAR)}
    return document(request, content, **kept)


def _address(name: str) -> str:
    return f"{_ROOT}/{name}?hash={etag(_documents()[name])}"


@cache
def _documents() -> dict[str, bytes]:
    """Return the documents by the paths that they are about, such as ``apis/kubeflow.org/v1``."""
    return {
        resources[0].root.lstrip("/"): render(describe(resources))
        for resources in groups().values()
    }


def describe(resources: list[Resource]) -> Json:
    """Return the document about the resources of one group."""
    paths = {
        path: entry for resource in resources for path, entry in operations.paths(resource).items()
    }
    return {
        "openapi": "3.0.0",
        "info": {"title": "pyjob_magic", "version": __version__},
        "paths": paths,
        "components": {
            "schemas": components.of(resources),
            "responses": {
                code: {
                    "description": sentence,
                    "content": {"application/json": {"schema": components.meta("Status")}},
                }
                for code, sentence in operations.FAILURES.items()
            },
            "securitySchemes": {"token": {"type": "http", "scheme": "bearer"}},
        },
        "security": [{"token": []}],
    }
