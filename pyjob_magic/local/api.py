"""The routes: the REST API of Kubernetes, as far as a PyTorchJob and its neighbours need it.

Any valid namespace counts as existing: there is one user on this machine, and nothing to keep
apart.
"""

from __future__ import annotations

import uuid
from collections.abc import Awaitable, Callable
from typing import Any

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response, StreamingResponse
from starlette.routing import Route

from pyjob_magic.local import discovery, intake, logs, query, selectors
from pyjob_magic.local.controller import Controller
from pyjob_magic.local.objects import Json, is_dns_label, timestamp
from pyjob_magic.local.patches import merge
from pyjob_magic.local.resources import CONFIG_MAPS, JOBS, NAMESPACES, PODS, STORED, Resource
from pyjob_magic.local.status import (
    StatusError,
    bad_request,
    exists,
    failure,
    method_not_allowed,
    not_found,
)
from pyjob_magic.local.watching import watch
from pyjob_magic.local.wire import answer, deleted, in_order, listing, media_type, read_json

_JSON = ("application/json",)
_MERGE_PATCH = "application/merge-patch+json"
_PATCHES = ("application/json-patch+json", _MERGE_PATCH, "application/apply-patch+yaml")
_METHODS = ["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"]

Handler = Callable[[Request], Awaitable[Response]]


def application(controller: Controller) -> Starlette:
    """Return the ASGI application that serves the objects of `controller`."""
    api = _Api(controller)
    routes = [*discovery.routes()]
    for resource in STORED:
        base = f"{resource.root}/namespaces/{{namespace}}/{resource.plural}"
        verbs: dict[str, dict[str, Handler]] = {
            f"{resource.root}/{resource.plural}": {"GET": api.list_objects(resource)},
            base: {"GET": api.list_objects(resource), "DELETE": api.delete_all(resource)},
            f"{base}/{{name}}": {"GET": api.get(resource), "DELETE": api.delete(resource)},
        }
        if resource == JOBS:
            verbs[base]["POST"] = api.create_job
            verbs[f"{base}/{{name}}"] |= {"PUT": api.put_job, "PATCH": api.patch_job}
            verbs[f"{base}/{{name}}/status"] = {
                "GET": api.get(resource),
                "PUT": api.put_status,
                "PATCH": api.patch_status,
            }
        if resource == CONFIG_MAPS:
            verbs[base]["POST"] = api.create_config_map
        if resource == PODS:
            verbs[f"{base}/{{name}}/log"] = {"GET": api.log}
        routes += [_route(path, handlers) for path, handlers in verbs.items()]
    routes += [
        _route("/api/v1/namespaces", {"GET": api.list_namespaces}),
        _route("/api/v1/namespaces/{name}", {"GET": api.get_namespace}),
    ]
    return Starlette(
        routes=routes,
        exception_handlers={
            StatusError: _status,
            404: _page_not_found,
            405: _page_not_found,
            RecursionError: _too_deep,
            Exception: _failed,
        },
    )


class _Api:
    """The handlers."""

    def __init__(self, controller: Controller) -> None:
        self._controller = controller
        self._store = controller.store

    def get(self, resource: Resource) -> Handler:
        async def handle(request: Request) -> Response:
            namespace = _namespace(request)
            found = self._store.get(resource, namespace, request.path_params["name"])
            return answer(request, in_order(resource, found))

        return handle

    def list_objects(self, resource: Resource) -> Handler:
        async def handle(request: Request) -> Response:
            namespace = _namespace(request) if "namespace" in request.path_params else ""
            params = request.query_params
            if query.flag(params, "watch"):
                return self._watch(request, resource, namespace)
            selector = _selector(request, resource)
            items: list[Json] = []
            limit = query.number(params, "limit")
            remaining = 0
            for obj in self._store.objects(resource, namespace, query.start(params)):
                if selector is not None and not selector(obj):
                    continue
                if limit and len(items) == limit:
                    remaining += 1
                    continue
                items.append(in_order(resource, obj))
            body = listing(
                resource,
                items,
                self._store.version,
                _place(items[-1]) if remaining else "",
                None if selector else remaining,
            )
            return answer(request, body)

        return handle

    def delete(self, resource: Resource) -> Handler:
        async def handle(request: Request) -> Response:
            if "delete" not in resource.verbs:
                raise method_not_allowed()
            options = await _delete_options(request)
            await self._controller.in_charge.wait()  # before, it knows no replica it could end
            namespace, name = _namespace(request), request.path_params["name"]
            found = self._store.get(resource, namespace, name)
            intake.check_preconditions(resource, found, options)
            if not _dry(request, options):
                found = self._delete(resource, found, options)
            if resource == PODS:
                return answer(request, in_order(PODS, found))
            return answer(request, deleted(resource, found))

        return handle

    def delete_all(self, resource: Resource) -> Handler:
        async def handle(request: Request) -> Response:
            if "deletecollection" not in resource.verbs:
                raise method_not_allowed()
            options = await _delete_options(request)
            await self._controller.in_charge.wait()
            selector = _selector(request, resource)
            found = [
                obj
                for obj in self._store.objects(resource, _namespace(request))
                if selector is None or selector(obj)
            ]
            items = [in_order(resource, obj) for obj in found]
            if not _dry(request, options):
                for obj in found:
                    self._delete(resource, obj, options)
            return answer(request, listing(resource, items, self._store.version))

        return handle

    async def create_job(self, request: Request) -> Response:
        namespace = _namespace(request)
        job = await read_json(request, _JSON, JOBS.kind)
        warnings = intake.new_job(job, namespace, query.field_validation(request.query_params))
        return self._store_new(request, JOBS, job, warnings)

    async def create_config_map(self, request: Request) -> Response:
        namespace = _namespace(request)
        obj = await read_json(request, _JSON, CONFIG_MAPS.kind)
        intake.new_config_map(obj, namespace)
        return self._store_new(request, CONFIG_MAPS, in_order(CONFIG_MAPS, obj), [])

    async def put_job(self, request: Request) -> Response:
        return await self._put(request, "spec")

    async def put_status(self, request: Request) -> Response:
        return await self._put(request, "status")

    async def patch_job(self, request: Request) -> Response:
        return await self._patch(request, "spec")

    async def patch_status(self, request: Request) -> Response:
        return await self._patch(request, "status")

    async def log(self, request: Request) -> Response:
        namespace, name = _namespace(request), request.path_params["name"]
        options = logs.LogOptions.parse(request.query_params)
        pod = self._store.find(PODS, namespace, name)
        if pod is None and (kept := self._controller.kept_run(namespace, name, options.container)):
            body = logs.stream_kept(kept, options)
            return StreamingResponse(body, media_type="text/plain")
        pod = pod or self._store.get(PODS, namespace, name)
        run = logs.choose(self._controller.kubelet, pod, options)
        if run is None:
            return Response(status_code=204)
        body = logs.stream(self._store, pod, run, options)
        return StreamingResponse(body, media_type="text/plain")

    async def list_namespaces(self, request: Request) -> Response:
        names = sorted({"default", *self._store.namespaces()})
        items = [_namespace_object(name) for name in names]
        return answer(request, listing(NAMESPACES, items, self._store.version))

    async def get_namespace(self, request: Request) -> Response:
        name = request.path_params["name"]
        if not is_dns_label(name):
            raise not_found(NAMESPACES, name)
        return answer(request, _namespace_object(name))

    def _watch(self, request: Request, resource: Resource, namespace: str) -> Response:
        params = request.query_params
        body = watch(
            self._store,
            resource,
            namespace,
            _selector(request, resource),
            since=query.version(params),
            timeout=query.number(params, "timeoutSeconds"),
            bookmarks=query.flag(params, "allowWatchBookmarks"),
        )
        return StreamingResponse(body, media_type="application/json")

    def _delete(self, resource: Resource, obj: Json, options: Json) -> Json:
        if resource != PODS:
            return self._store.delete(resource, obj)
        grace = options.get("gracePeriodSeconds")
        return self._controller.delete_pod(obj, None if grace is None else float(grace))

    def _store_new(
        self, request: Request, resource: Resource, obj: Json, warnings: list[str]
    ) -> Response:
        meta = obj["metadata"]
        if query.dry_run(request.query_params):
            if self._store.find(resource, meta["namespace"], meta["name"]) is not None:
                raise exists(resource, meta["name"])
            meta.pop("resourceVersion", None)
        else:
            intake.check_size(obj)
            obj = self._store.create(resource, obj)
        return answer(request, in_order(resource, obj), 201, warnings)

    async def _put(self, request: Request, part: str) -> Response:
        namespace, name = _namespace(request), request.path_params["name"]
        job = await read_json(request, _JSON, JOBS.kind)
        warnings = intake.take_in(job, query.field_validation(request.query_params))
        intake.check_namespace(job, namespace)
        old = self._store.get(JOBS, namespace, name)
        if not job["metadata"].get("resourceVersion"):
            raise intake.no_version(name)
        return self._replace(request, old, job, part, warnings)

    async def _patch(self, request: Request, part: str) -> Response:
        namespace, name = _namespace(request), request.path_params["name"]
        kind = media_type(request)
        if kind in _PATCHES and kind != _MERGE_PATCH:
            raise bad_request(f"{kind} is not served here: send {_MERGE_PATCH}")
        change = await read_json(request, _PATCHES, "merge patch")
        if not isinstance(change, dict):
            raise bad_request("a merge patch of an object must be an object")
        old = self._store.get(JOBS, namespace, name)
        job = merge(old, change)
        warnings = intake.take_in(job, query.field_validation(request.query_params))
        return self._replace(request, old, job, part, warnings)

    def _replace(
        self, request: Request, old: Json, new: Json, part: str, warnings: list[str]
    ) -> Response:
        """Store `new` in place of `old`: its status only, or all but its status."""
        updated = intake.with_new_status if part == "status" else intake.with_new_spec
        merged = updated(old, new)
        if merged != old and not query.dry_run(request.query_params):
            intake.check_size(merged)
            merged = self._store.update(JOBS, merged)
        return answer(request, in_order(JOBS, merged), 200, warnings)


def _route(path: str, handlers: dict[str, Handler]) -> Route:
    async def dispatch(request: Request) -> Response:
        handler = handlers.get(request.method)
        if handler is None:
            raise method_not_allowed()
        return await handler(request)

    return Route(path, dispatch, methods=_METHODS)


def _namespace(request: Request) -> str:
    namespace: str = request.path_params["namespace"]
    if not is_dns_label(namespace):
        raise not_found(NAMESPACES, namespace)
    return namespace


def _selector(request: Request, resource: Resource) -> selectors.Selector | None:
    params = request.query_params
    return selectors.parse(
        params.get("labelSelector", ""), params.get("fieldSelector", ""), resource.plural
    )


def _place(obj: Json) -> str:
    return f"{obj['metadata']['namespace']}/{obj['metadata']['name']}"


async def _delete_options(request: Request) -> Json:
    """Return the DeleteOptions of a request, from its body and its query."""
    options: Any = {}
    if request.headers.get("content-length", "0") != "0" or "transfer-encoding" in request.headers:
        options = await read_json(request, _JSON, "DeleteOptions")
        if not isinstance(options, dict):
            raise bad_request("DeleteOptions must be an object")
    if (grace := query.number(request.query_params, "gracePeriodSeconds")) is not None:
        options["gracePeriodSeconds"] = grace
    given = options.get("gracePeriodSeconds")
    if given is not None and (not isinstance(given, int) or given < 0):
        raise bad_request("gracePeriodSeconds must be a number that is not negative")
    return dict(options)


def _dry(request: Request, options: Json) -> bool:
    return query.dry_run(request.query_params) or options.get("dryRun") == ["All"]


def _namespace_object(name: str) -> Json:
    return {
        "kind": "Namespace",
        "apiVersion": "v1",
        "metadata": {
            "name": name,
            "uid": str(uuid.uuid5(uuid.NAMESPACE_DNS, name)),
            "resourceVersion": "1",
            "creationTimestamp": timestamp(0),
            "labels": {"kubernetes.io/metadata.name": name},
        },
        "spec": {"finalizers": ["kubernetes"]},
        "status": {"phase": "Active"},
    }


async def _status(request: Request, error: Exception) -> Response:
    assert isinstance(error, StatusError)
    return answer(request, error.body, error.code)


async def _page_not_found(_request: Request, _error: Exception) -> Response:
    return PlainTextResponse("404 page not found\n", 404)


async def _too_deep(request: Request, _error: Exception) -> Response:
    error = bad_request("the object provided is nested too deeply")
    return answer(request, error.body, error.code)


async def _failed(request: Request, _error: Exception) -> Response:
    message = "Internal error occurred: the embedded API has logged it"
    return answer(request, failure(500, "InternalError", message), 500)
