"""What the server says about itself: version, health, which resources there are."""

from __future__ import annotations

import base64
import hashlib
import platform
import sys
from functools import cache

from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Route

from pyjob_magic import __version__
from pyjob_magic.local.apiserver import query
from pyjob_magic.local.apiserver.accept import Form, choose
from pyjob_magic.local.apiserver.catalogue import (
    REVIEWS,
    groups,
    subresource_kind,
    subresource_verbs,
)
from pyjob_magic.local.apiserver.documents import document
from pyjob_magic.local.apiserver.wire import answer, render
from pyjob_magic.local.objects import Json
from pyjob_magic.local.resources import PODS, SERVICES, Resource

_AGGREGATED = tuple(
    Form("apidiscovery.k8s.io", version, "APIGroupDiscoveryList") for version in ("v2", "v2beta1")
)
_CATEGORIES = {PODS: ["all"], SERVICES: ["all"]}


def routes() -> list[Route]:
    """Return the routes of discovery and health."""
    named = {group: resources for group, resources in groups().items() if group}
    documents: dict[str, Json] = {
        "/version": _version(),
        "/api": {"kind": "APIVersions", "versions": ["v1"]},
        "/apis": {
            "kind": "APIGroupList",
            "apiVersion": "v1",
            "groups": [_group(group) for group in named],
        },
    }
    for group in named:
        documents[f"/apis/{group}"] = {"kind": "APIGroup", "apiVersion": "v1", **_group(group)}
    for resources in groups().values():
        documents[resources[0].root] = _resource_list(resources)
    return [
        *(route for path, body in documents.items() for route in _routes(path, body)),
        *(Route(f"/{check}", _healthy) for check in ("healthz", "livez", "readyz")),
    ]


def _routes(path: str, body: Json) -> list[Route]:
    """Return the routes of a document; some clients put a slash behind its path."""

    async def handle(request: Request) -> Response:
        if path in ("/api", "/apis"):
            form = choose(request.headers.get("accept", ""), _AGGREGATED)
            if form is not None:
                media_type = f"application/json;g={form.group};v={form.version};as={form.kind}"
                return document(request, _aggregated(path, form), media_type)
        return answer(request, body)

    return [Route(path, handle), Route(f"{path}/", handle)]


async def _healthy(request: Request) -> Response:
    check = request.url.path.strip("/")
    if query.flag(request.query_params, "verbose"):
        return PlainTextResponse(f"[+]ping ok\n{check} check passed\n")
    return PlainTextResponse("ok")


def _group(name: str) -> Json:
    version = {"groupVersion": f"{name}/v1", "version": "v1"}
    return {"name": name, "versions": [version], "preferredVersion": version}


def _resource_list(resources: list[Resource]) -> Json:
    entries = []
    for resource in resources:
        entries.append(_entry(resource))
        entries += [_subentry(resource, name) for name in resource.subresources]
    return {
        "kind": "APIResourceList",
        "apiVersion": "v1",
        "groupVersion": resources[0].api_version,
        "resources": entries,
    }


def _entry(resource: Resource) -> Json:
    entry = resource.discovery()
    if resource in _CATEGORIES:
        entry["categories"] = _CATEGORIES[resource]
    if resource not in REVIEWS:
        entry["storageVersionHash"] = _storage_version_hash(resource)
    return entry


def _subentry(resource: Resource, name: str) -> Json:
    group, kind = subresource_kind(resource, name)
    other = {"group": group, "version": "v1"} if kind != resource.kind else {}
    return {
        "name": f"{resource.plural}/{name}",
        "singularName": "",
        "namespaced": resource.namespaced,
        **other,
        "kind": kind,
        "verbs": subresource_verbs(name),
    }


def _storage_version_hash(resource: Resource) -> str:
    """Return by what clients see that objects have come to be stored in another version.

    Source: ``k8s.io/apiserver/pkg/endpoints/discovery/storageversionhash.go``.
    """
    stored = f"{resource.group}/v1/{resource.kind}"
    return base64.b64encode(hashlib.sha256(stored.encode()).digest()[:8]).decode()


@cache
def _aggregated(path: str, form: Form) -> bytes:
    """Return in one document what the groups below a path hold."""
    items = [
        {
            "metadata": {"name": group, "creationTimestamp": None} if group else {},
            "versions": [
                {
                    "version": "v1",
                    "resources": [_aggregated_entry(resource) for resource in resources],
                    "freshness": "Current",
                }
            ],
        }
        for group, resources in groups().items()
        if (path == "/apis") == bool(group)
    ]
    head = {"kind": form.kind, "apiVersion": f"{form.group}/{form.version}", "metadata": {}}
    return render({**head, "items": items})


def _aggregated_entry(resource: Resource) -> Json:
    entry = _entry(resource)
    subresources = [
        {
            "subresource": name,
            "responseKind": _kind(*subresource_kind(resource, name)),
            "verbs": subresource_verbs(name),
        }
        for name in resource.subresources
    ]
    optional: Json = {key: entry[key] for key in ("shortNames", "categories") if key in entry}
    return {
        "resource": resource.plural,
        "responseKind": _kind(resource.group, resource.kind),
        "scope": "Namespaced" if resource.namespaced else "Cluster",
        "singularResource": entry["singularName"],
        "verbs": entry["verbs"],
        **optional,
        **({"subresources": subresources} if subresources else {}),
    }


def _kind(group: str, kind: str) -> Json:
    return {"group": group, "version": "v1", "kind": kind}


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
