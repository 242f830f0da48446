"""Who may do what: the one user may do all that is served, and nothing else can be done.

Source: ``pkg/registry/authorization`` and ``pkg/registry/authentication`` of Kubernetes.
"""

from __future__ import annotations

import os
import pwd
from collections.abc import Callable, Iterator
from fnmatch import fnmatchcase
from typing import Any

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from pyjob_magic.local.apiserver import components, query, schema
from pyjob_magic.local.apiserver.bodies import read_object
from pyjob_magic.local.apiserver.catalogue import (
    ACCESS_REVIEWS,
    RULES_REVIEWS,
    SUBJECT_REVIEWS,
    groups,
    subresource_verbs,
)
from pyjob_magic.local.apiserver.wire import answer
from pyjob_magic.local.objects import Json
from pyjob_magic.local.resources import Resource
from pyjob_magic.local.status import Cause, bad_request, invalid, method_not_allowed

_METHODS = ["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"]
_URLS = [
    *("/api", "/api/*", "/apis", "/apis/*", "/openapi/*"),
    *("/healthz", "/livez", "/readyz", "/version"),
]


def routes() -> list[Route]:
    """Return the routes of the reviews."""
    judges = {ACCESS_REVIEWS: access, RULES_REVIEWS: rules, SUBJECT_REVIEWS: subject}
    return [_route(resource, judge) for resource, judge in judges.items()]


def access(spec: Json) -> Json:
    """Return the status of a SelfSubjectAccessReview.

    Raises
    ------
    StatusError
        422, unless it asks either about a resource or about a path.
    """
    resource: Json | None = spec.get("resourceAttributes")
    path: Json | None = spec.get("nonResourceAttributes")
    if (resource is None) == (path is None):
        message = "exactly one of nonResourceAttributes or resourceAttributes must be specified"
        cause = Cause("spec.resourceAttributes", "FieldValueInvalid", f"Invalid value: {message}")
        raise invalid(ACCESS_REVIEWS, "", [cause])
    reason = _cannot(**(resource or {})) if path is None else _cannot_get(**path)
    return {"allowed": False, "reason": reason} if reason else {"allowed": True}


def rules(spec: Json) -> Json:
    """Return the status of a SelfSubjectRulesReview.

    Raises
    ------
    StatusError
        400, if it names no namespace.
    """
    if not spec.get("namespace"):
        raise bad_request("no namespace on request")
    return {
        "resourceRules": [
            {"verbs": verbs, "apiGroups": [group], "resources": [name]}
            for group, name, verbs in _served()
        ],
        "nonResourceRules": [{"verbs": ["get"], "nonResourceURLs": _URLS}],
        "incomplete": False,
    }


def subject(_spec: Json) -> Json:
    """Return the status of a SelfSubjectReview: the user whose process this is."""
    uid = os.getuid()
    try:
        name = pwd.getpwuid(uid).pw_name
    except KeyError:  # as in containers that run under any uid
        name = str(uid)
    groups_of_all = ["system:masters", "system:authenticated"]
    return {"userInfo": {"username": name, "uid": str(uid), "groups": groups_of_all}}


def _route(resource: Resource, judge: Callable[[Json], Json]) -> Route:
    async def handle(request: Request) -> Response:
        if request.method != "POST":
            raise method_not_allowed()
        review = await read_object(request, resource.kind)
        _check(resource, review)
        query.dry_run(request.query_params)
        head = {"kind": resource.kind, "apiVersion": resource.api_version, "metadata": {}}
        spec = review.get("spec") or {}
        return answer(request, {**head, **_repeated(resource, spec), "status": judge(spec)}, 201)

    return Route(f"{resource.root}/{resource.plural}", handle, methods=_METHODS)


def _repeated(resource: Resource, spec: Json) -> Json:
    """Return what an answer repeats of the question."""
    if resource == SUBJECT_REVIEWS:
        return {}
    return {"spec": spec if resource == ACCESS_REVIEWS else {}}


def _check(resource: Resource, review: Any) -> None:
    """Refuse what is no review; one that does not say what it is, is what is asked for here."""
    head = {"apiVersion": resource.api_version, "kind": resource.kind}
    if not isinstance(review, dict) or {**head, **review} != {**review, **head}:
        raise bad_request(f"the object provided is no {resource.kind} of {resource.api_version}")
    schema.prune(components.review(resource), review)
    for cause in schema.validate(components.review(resource), review):
        if cause.reason == "FieldValueTypeInvalid":
            raise bad_request(f"{resource.kind} cannot be handled as a {resource.kind}: {cause}")


def _cannot(
    verb: str = "", group: str = "", resource: str = "", subresource: str = "", **_rest: str
) -> str:
    """Return why something cannot be done with a resource; empty if it can."""
    name = f"{resource}/{subresource}" if subresource else resource
    for served_group, served, verbs in _served():
        fits = group in ("*", served_group) and name in ("*", served)
        if fits and verb in ("*", *verbs):
            return ""
    qualified = f"{name}.{group}" if group else name
    return f'the embedded API does not serve "{verb}" on {qualified}'


def _cannot_get(verb: str = "", path: str = "") -> str:
    """Return why a path cannot be read; empty if it can."""
    if verb == "get" and any(fnmatchcase(path, pattern) for pattern in _URLS):
        return ""
    return f'the embedded API does not serve "{verb}" on {path}'


def _served() -> Iterator[tuple[str, str, list[str]]]:
    """Yield the group, the name and the verbs of each resource and subresource."""
    for group, resources in groups().items():
        for resource in resources:
            yield group, resource.plural, sorted(resource.verbs)
            for name in resource.subresources:
                yield group, f"{resource.plural}/{name}", subresource_verbs(name)
