"""What the server says about itself: version, health, which resources there are."""

from __future__ import annotations

import platform
import sys

from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Route

from pyjob_magic import __version__
from pyjob_magic.local.objects import Json
from pyjob_magic.local.resources import JOBS, PODS, STORED, Resource
from pyjob_magic.local.wire import answer

_GROUP_VERSION = {"groupVersion": JOBS.api_version, "version": "v1"}
_CORE = tuple(sorted((r for r in STORED if not r.group), key=lambda resource: resource.plural))
_GROUP: Json = {
    "name": JOBS.group,
    "versions": [_GROUP_VERSION],
    "preferredVersion": _GROUP_VERSION,
}


def routes() -> list[Route]:
    """Return the routes of discovery and health."""
    documents: dict[str, Json] = {
        "/version": _version(),
        "/api": {"kind": "APIVersions", "versions": ["v1"]},
        "/apis": {"kind": "APIGroupList", "apiVersion": "v1", "groups": [_GROUP]},
        f"/apis/{JOBS.group}": {"kind": "APIGroup", "apiVersion": "v1", **_GROUP},
        PODS.root: _resources("v1", _CORE, "pods/log"),
        JOBS.root: _resources(JOBS.api_version, (JOBS,), "pytorchjobs/status"),
    }
    return [
        *(_document(path, body) for path, body in documents.items()),
        *(Route(path, _healthy) for path in ("/healthz", "/livez", "/readyz")),
    ]


def _document(path: str, body: Json) -> Route:
    async def handle(request: Request) -> Response:
        return answer(request, body)

    return Route(path, handle)


async def _healthy(_request: Request) -> Response:
    return PlainTextResponse("ok")


def _resources(group_version: str, resources: tuple[Resource, ...], subresource: str) -> Json:
    entries = [resource.discovery() for resource in resources]
    parent, _, part = subresource.partition("/")
    kind = next(resource.kind for resource in resources if resource.plural == parent)
    verbs = ["get"] if part == "log" else ["get", "patch", "update"]
    entries.append(
        {
            "name": subresource,
            "singularName": "",
            "namespaced": True,
            "kind": kind,
            "verbs": verbs,
        }
    )
    return {
        "kind": "APIResourceList",
        "apiVersion": "v1",
        "groupVersion": group_version,
        "resources": entries,
    }


def _version() -> Json:
    """Return the Kubernetes version whose behaviour is shown, marked as ours."""
    return {
        "major": "1",
        "minor": "32",
        "gitVersion": f"v1.32.0+pyjob-magic-{__version__}",
        "gitCommit": "",
        "gitTreeState": "clean",
        "buildDate": "1970-01-01T00:00:00Z",
        "goVersion": "",
        "compiler": platform.python_implementation(),
        "platform": f"{sys.platform}/{platform.machine()}",
    }
