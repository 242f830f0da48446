"""The routes: the REST API of Kubernetes, as far as a PyTorchJob and its neighbours need it."""

from __future__ import annotations

import time
from collections.abc import Awaitable, Callable, Iterable
from typing import Any

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response, StreamingResponse
from starlette.routing import Route

from pyjob_magic.local.apiserver import (
    discovery,
    intake,
    logs,
    openapi,
    patching,
    query,
    reviews,
    selectors,
)
from pyjob_magic.local.apiserver.bodies import media_type, read_object
from pyjob_magic.local.apiserver.deletion import DeleteOptions, Deletion
from pyjob_magic.local.apiserver.logoptions import LogOptions
from pyjob_magic.local.apiserver.namespaces import Namespaces
from pyjob_magic.local.apiserver.scale import scale_of, with_scale
from pyjob_magic.local.apiserver.views import View
from pyjob_magic.local.apiserver.watching import Watch
from pyjob_magic.local.apiserver.wire import answer, deleted, in_order, listing
from pyjob_magic.local.apiserver.writes import Intent, Writes
from pyjob_magic.local.control.controller import Controller
from pyjob_magic.local.kubelet.process import Process
from pyjob_magic.local.objects import Json, is_dns_label, terminating
from pyjob_magic.local.resources import JOBS, NAMESPACES, PODS, STORED, Resource
from pyjob_magic.local.status import (
    StatusError,
    bad_request,
    failure,
    forbidden,
    method_not_allowed,
    not_found,
    unsupported_media_type,
)

_METHODS = ["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"]

Handler = Callable[[Request], Awaitable[Response]]


def application(controller: Controller) -> Starlette:
    """Return the ASGI application that serves the objects of `controller`."""
    api = _Api(controller)
    routes = [*discovery.routes(), *openapi.routes(), *reviews.routes()]
    for resource in STORED:
        routes += [_route(path, handlers) for path, handlers in api.paths(resource).items()]
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
        namespaces = Namespaces(controller)
        self._deletion = Deletion(controller, namespaces)
        self._writes = Writes(self._store, namespaces, self._deletion)

    def paths(self, resource: Resource) -> dict[str, dict[str, Handler]]:
        """Return who answers which method on which path of a resource."""
        everywhere = f"{resource.root}/{resource.plural}"
        base = everywhere
        if resource.namespaced:
            base = f"{resource.root}/namespaces/{{namespace}}/{resource.plural}"
        by_verb: dict[str, tuple[str, str, Handler]] = {
            "list": (base, "GET", self.list_objects(resource)),
            "create": (base, "POST", self.create(resource)),
            "deletecollection": (base, "DELETE", self.delete_all(resource)),
            "get": (f"{base}/{{name}}", "GET", self.get(resource)),
            "update": (f"{base}/{{name}}", "PUT", self.put(resource)),
            "patch": (f"{base}/{{name}}", "PATCH", self.patch(resource)),
            "delete": (f"{base}/{{name}}", "DELETE", self.delete(resource)),
        }
        found: dict[str, dict[str, Handler]] = {everywhere: {"GET": self.list_objects(resource)}}
        for verb, (path, method, handler) in by_verb.items():
            if verb in resource.verbs:
                found.setdefault(path, {})[method] = handler
        for subresource in resource.subresources:
            found[f"{base}/{{name}}/{subresource}"] = self._below(resource, subresource)
        return found

    def _below(self, resource: Resource, subresource: str) -> dict[str, Handler]:
        if subresource == "log":
            return {"GET": self.log}
        if subresource == "scale":
            return {"GET": self.get_scale, "PUT": self.put_scale, "PATCH": self.patch_scale}
        return {
            "GET": self.get(resource),
            "PUT": self.put(resource, "status"),
            "PATCH": self.patch(resource, "status"),
        }

    def get(self, resource: Resource) -> Handler:
        async def handle(request: Request) -> Response:
            return _show(request, resource, in_order(resource, self._asked(request, resource)))

        return handle

    def list_objects(self, resource: Resource) -> Handler:
        async def handle(request: Request) -> Response:
            namespace = _namespace(request)
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
            return _show(request, resource, body)

        return handle

    def create(self, resource: Resource) -> Handler:
        async def handle(request: Request) -> Response:
            intent = Intent.of(request, "CreateOptions")
            obj = await read_object(request, resource.kind)
            new, warnings = self._writes.create(resource, obj, _namespace(request), intent)
            return _show(request, resource, in_order(resource, new), 201, warnings)

        return handle

    def put(self, resource: Resource, part: str = "spec") -> Handler:
        async def handle(request: Request) -> Response:
            intent = Intent.of(request, "UpdateOptions")
            obj = await read_object(request, resource.kind)
            old = self._asked(request, resource)
            intake.check_replacement(resource, old, obj)
            new, warnings = self._writes.replace(resource, old, obj, part, intent)
            return _show(request, resource, in_order(resource, new), 200, warnings)

        return handle

    def patch(self, resource: Resource, part: str = "spec") -> Handler:
        async def handle(request: Request) -> Response:
            if media_type(request) == patching.APPLY:
                return await self._apply(request, resource, part)
            intent = Intent.of(request, "PatchOptions")
            change = await patching.read_patch(request, resource)
            old = self._asked(request, resource)
            obj = patching.patched(request, resource, old, change)
            new, warnings = self._writes.replace(resource, old, obj, part, intent)
            return _show(request, resource, in_order(resource, new), 200, warnings)

        return handle

    async def _apply(self, request: Request, resource: Resource, part: str) -> Response:
        intent = Intent.of_apply(request)
        applied = await patching.read_patch(request, resource)
        namespace, name = _namespace(request), request.path_params["name"]
        new, created = self._writes.apply(resource, namespace, name, applied, part, intent)
        return _show(request, resource, in_order(resource, new), 201 if created else 200)

    def delete(self, resource: Resource) -> Handler:
        async def handle(request: Request) -> Response:
            options = await _delete_options(request)
            await self._controller.in_charge.wait()  # before, it knows no replica it could end
            found = self._asked(request, resource)
            options.check(resource, found)
            if resource == NAMESPACES and found["metadata"]["name"] == "default":
                raise forbidden('namespaces "default" is forbidden: it may not be deleted')
            last = found if options.dry else self._deletion.delete(resource, found, options)
            if resource in (PODS, NAMESPACES) or terminating(last):
                return _show(request, resource, in_order(resource, last))
            return answer(request, deleted(resource, last))

        return handle

    def delete_all(self, resource: Resource) -> Handler:
        async def handle(request: Request) -> Response:
            options = await _delete_options(request)
            await self._controller.in_charge.wait()
            selector = _selector(request, resource)
            found = [
                obj
                for obj in self._store.objects(resource, _namespace(request))
                if selector is None or selector(obj)
            ]
            items = [in_order(resource, obj) for obj in found]
            if not options.dry:
                for obj in found:  # an object may have gone with one before it
                    meta = obj["metadata"]
                    now = self._store.find(resource, meta["namespace"], meta["name"])
                    if now is not None and now["metadata"]["uid"] == meta["uid"]:
                        self._deletion.delete(resource, now, options)
            return _show(request, resource, listing(resource, items, self._store.version))

        return handle

    async def get_scale(self, request: Request) -> Response:
        return answer(request, scale_of(self._asked(request, JOBS)))

    async def put_scale(self, request: Request) -> Response:
        scale = await read_object(request, "Scale")
        return self._rescale(request, "UpdateOptions", lambda _: scale)

    async def patch_scale(self, request: Request) -> Response:
        if media_type(request) == patching.APPLY:
            raise unsupported_media_type("application/merge-patch+json")
        change = await patching.read_patch(request, JOBS)
        return self._rescale(
            request,
            "PatchOptions",
            lambda job: patching.patched(request, JOBS, scale_of(job), change),
        )

    def _rescale(self, request: Request, options: str, scale: Callable[[Json], Any]) -> Response:
        job, intent = self._asked(request, JOBS), Intent.of(request, options)
        scaled, _ = self._writes.replace(JOBS, job, with_scale(job, scale(job)), "spec", intent)
        return answer(request, scale_of(scaled))

    async def log(self, request: Request) -> Response:
        namespace, name = _namespace(request), request.path_params["name"]
        options = LogOptions.parse(request.query_params, name)
        pod = self._store.find(PODS, namespace, name)
        if pod is None and (kept := self._controller.kept_run(namespace, name, options.container)):
            return self._log(kept, options)
        pod = pod or self._store.get(PODS, namespace, name)
        run = logs.choose(self._controller.kubelet, pod, options)
        if run is None:
            return Response(status_code=204)
        return self._log(run, options)

    def _log(self, run: Process, options: LogOptions) -> Response:
        lines = logs.stream(run, options, self._controller.kubelet.timekeeper)
        return StreamingResponse(lines, media_type="text/plain")

    def _asked(self, request: Request, resource: Resource) -> Json:
        """Return the object that a request is about."""
        return self._store.get(resource, _namespace(request), request.path_params["name"])

    def _watch(self, request: Request, resource: Resource, namespace: str) -> Response:
        params = request.query_params
        watch = Watch(
            resource,
            namespace,
            _selector(request, resource),
            show=_view(request).events(resource),
            since=query.version(params),
            timeout=query.number(params, "timeoutSeconds"),
            bookmarks=query.flag(params, "allowWatchBookmarks"),
            marks_start=query.flag(params, "sendInitialEvents"),
        )
        return StreamingResponse(watch.lines(self._store), media_type="application/json")


def _route(path: str, handlers: dict[str, Handler]) -> Route:
    async def dispatch(request: Request) -> Response:
        handler = handlers.get(request.method)
        if handler is None:
            raise method_not_allowed()
        if not path.endswith("/log"):
            _view(request)  # before anything is done: 406 for a form that cannot be had
        return await handler(request)

    return Route(path, dispatch, methods=_METHODS)


def _view(request: Request) -> View:
    """Return the form in which a request wants its answer."""
    return View.asked_for(request.headers.get("accept", ""), request.query_params)


def _show(
    request: Request,
    resource: Resource,
    body: Json,
    code: int = 200,
    warnings: Iterable[str] = (),
) -> Response:
    """Answer about objects, in the form that the request wants."""
    return answer(request, _view(request).of(resource, body, time.time()), code, warnings)


def _namespace(request: Request) -> str:
    """Return the namespace that a path names; empty for everywhere and for no namespace."""
    namespace: str = request.path_params.get("namespace", "")
    if "namespace" in request.path_params and not is_dns_label(namespace):
        raise not_found(NAMESPACES, namespace)
    return namespace


def _selector(request: Request, resource: Resource) -> selectors.Selector | None:
    params = request.query_params
    return selectors.parse(
        params.get("labelSelector", ""), params.get("fieldSelector", ""), resource.plural
    )


def _place(obj: Json) -> str:
    return f"{obj['metadata'].get('namespace', '')}/{obj['metadata']['name']}"


async def _delete_options(request: Request) -> DeleteOptions:
    """Return the DeleteOptions of a request, from its body and its query."""
    body: Any = {}
    if request.headers.get("content-length", "0") != "0" or "transfer-encoding" in request.headers:
        body = await read_object(request, "DeleteOptions")
        if not isinstance(body, dict):
            raise bad_request("DeleteOptions must be an object")
    params = request.query_params
    if (grace := query.number(params, "gracePeriodSeconds")) is not None:
        body["gracePeriodSeconds"] = grace
    if policy := params.get("propagationPolicy"):
        body["propagationPolicy"] = policy
    return DeleteOptions.read(body, dry=query.dry_run(params))


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
