"""The REST verbs, and the one place that turns httpx's errors and Status bodies into ours."""

from __future__ import annotations

import contextlib
import json
import socket
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

import httpx

from pyjob_magic import errors
from pyjob_magic.models import ConfigMap, Event, Pod, PyTorchJob

_TIMEOUT = httpx.Timeout(30.0, connect=5.0)
_WATCH_SECONDS = 240
_WATCH_PAUSE = 0.2
_RETRIES = 6
_JOB_LABELS = (
    "training.kubeflow.org/operator-name=pytorchjob-controller,training.kubeflow.org/job-name="
)


@dataclass(frozen=True)
class Target:
    """Where the API lives and how to get in.

    Parameters
    ----------
    name
        As typed behind ``--on``.
    base_url
        URL that the API's paths are appended to.
    namespace
        Used where none is said.
    auth, transport
        Credentials, and the way to the server where it is no plain URL.
    annotations
        What the target wants to find on its jobs, without the prefix.
    """

    name: str
    base_url: str
    namespace: str = "default"
    auth: httpx.Auth | None = None
    transport: httpx.BaseTransport | None = None
    annotations: Mapping[str, str] = field(default_factory=dict)


class Streams:
    """Open streams of one reader, which another thread can end."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._open: set[httpx.Response] = set()
        self.closed = False

    @contextlib.contextmanager
    def opened(self, response: httpx.Response) -> Iterator[None]:
        """Hold `response` as long as it is read; close it afterwards."""
        with self._lock:
            self._open.add(response)
        if self.closed:
            _shut_down(response)
        try:
            yield
        finally:
            with self._lock:
                self._open.discard(response)
            response.close()

    def close(self) -> None:
        """End all streams, also those that are opened later."""
        self.closed = True
        with self._lock:
            for response in self._open:
                _shut_down(response)


def _shut_down(response: httpx.Response) -> None:
    """End the connection, so that a thread that is blocked in reading it goes on."""
    stream = response.extensions.get("network_stream")
    connection = stream.get_extra_info("socket") if stream else None
    if connection is not None:
        with contextlib.suppress(OSError):
            connection.shutdown(socket.SHUT_RDWR)


class Client:
    """The objects of one namespace of one target.

    Parameters
    ----------
    target
        Where they live.
    namespace
        The namespace; the target's if none is said.

    Every method raises a subclass of `ApiError` for what the server refuses, with the server's
    words, and `TargetError` where there is no answer.
    """

    def __init__(self, target: Target, namespace: str | None = None) -> None:
        self.target = target
        self.namespace = namespace or target.namespace
        self._http = httpx.Client(
            base_url=target.base_url,
            auth=target.auth,
            transport=target.transport,
            timeout=_TIMEOUT,
            headers={"Accept": "application/json", "User-Agent": "pyjob-magic"},
        )
        self._jobs = f"/apis/kubeflow.org/v1/namespaces/{self.namespace}/pytorchjobs"
        self._core = f"/api/v1/namespaces/{self.namespace}"

    def __repr__(self) -> str:
        return f"Client(target={self.target.name!r}, namespace={self.namespace!r})"

    def close(self) -> None:
        """Close the connections."""
        self._http.close()

    # -- jobs ---------------------------------------------------------------------------------

    def create_job(self, job: PyTorchJob, *, dry_run: bool = False) -> PyTorchJob:
        """Create `job` and return it as stored; with `dry_run` it is only checked."""
        return PyTorchJob.from_wire(
            self._ask(
                f"create PyTorchJob {job.name!r}",
                "POST",
                self._jobs,
                json=job.to_wire(),
                params={"fieldManager": "pyjob-magic", "fieldValidation": "Strict"}
                | ({"dryRun": "All"} if dry_run else {}),
            )
        )

    def get_job(self, name: str) -> PyTorchJob:
        """Return the job `name` as it is now."""
        return PyTorchJob.from_wire(
            self._ask(f"get PyTorchJob {name!r}", "GET", f"{self._jobs}/{name}")
        )

    def list_jobs(self) -> list[PyTorchJob]:
        """Return the jobs of the namespace, oldest first."""
        items = self._list("list PyTorchJobs", self._jobs)
        jobs = [PyTorchJob.from_wire(item) for item in items]
        return sorted(jobs, key=lambda job: (job.metadata.creation_timestamp or "", job.name))

    def patch_job(self, name: str, patch: Mapping[str, Any]) -> PyTorchJob:
        """Merge `patch` into the job `name`."""
        return PyTorchJob.from_wire(
            self._ask(
                f"change PyTorchJob {name!r}",
                "PATCH",
                f"{self._jobs}/{name}",
                content=json.dumps(patch),
                headers={"Content-Type": "application/merge-patch+json"},
                params={"fieldManager": "pyjob-magic"},
            )
        )

    def delete_job(self, name: str) -> None:
        """Delete the job `name`; its replicas and what else it owns go with it."""
        self._ask(
            f"delete PyTorchJob {name!r}",
            "DELETE",
            f"{self._jobs}/{name}",
            params={"propagationPolicy": "Background"},
        )

    def follow_job(
        self, name: str, *, streams: Streams, version: str | None = None
    ) -> Iterator[PyTorchJob | None]:
        """Yield the job `name` as it is now and after each change; None when it is gone.

        With a `version`, the resourceVersion of a job that is known, only what has come after it.
        Ends when the job is gone or `streams` are closed.
        """
        selector = {"fieldSelector": f"metadata.name={name}"}
        action = f"watch PyTorchJob {name!r}"
        for kind, wire in self._follow(action, self._jobs, selector, version, streams):
            if kind == "SYNC":
                if not wire["items"]:
                    yield None
                    return
                yield PyTorchJob.from_wire(wire["items"][0])
            elif kind == "DELETED":
                yield None
                return
            else:
                yield PyTorchJob.from_wire(wire)

    # -- what belongs to a job ----------------------------------------------------------------

    def list_pods(self, job: PyTorchJob) -> list[Pod]:
        """Return the pods of `job`: its replicas, Master first."""
        selector = {"labelSelector": f"{_JOB_LABELS}{job.name}"}
        items = self._list(f"list the pods of {job.name!r}", f"{self._core}/pods", selector)
        # A job of the same name that is gone, or of another kind, may have left pods behind.
        pods = [Pod.from_wire(item) for item in items]
        return sorted((p for p in pods if _owned(p, job)), key=_replica_order)

    def follow_pods(self, job: PyTorchJob, *, streams: Streams) -> Iterator[Pod]:
        """Yield the pods of `job` as they are now and after each change, until closed.

        A pod that is deleted comes once more, as it was last.
        """
        selector = {"labelSelector": f"{_JOB_LABELS}{job.name}"}
        action = f"watch the pods of {job.name!r}"
        for kind, wire in self._follow(action, f"{self._core}/pods", selector, None, streams):
            pods = [Pod.from_wire(item) for item in (wire["items"] if kind == "SYNC" else [wire])]
            yield from (pod for pod in pods if _owned(pod, job))

    def list_events(self, job: PyTorchJob) -> list[Event]:
        """Return the events about `job` and its replicas, oldest first."""
        items = self._list(f"list the events of {job.name!r}", f"{self._core}/events")
        about = [e for e in map(Event.from_wire, items) if _about(e, job)]
        return sorted(about, key=lambda event: event.time)

    def read_log(self, pod: str, *, tail: int | None = None) -> bytes:
        """Return the log of the replica that runs as `pod`, or its last `tail` lines."""
        response = self._send(
            f"read the log of {pod}",
            self._http.build_request("GET", self._log(pod), params=_log_params(tail)),
        )
        return response.content

    def follow_log(self, pod: str, *, streams: Streams, tail: int | None = None) -> Iterator[bytes]:
        """Yield the log of `pod` as it comes, until the container has ended."""
        action = f"follow the log of {pod}"
        request = self._http.build_request(
            "GET",
            self._log(pod),
            params={**_log_params(tail), "follow": "true"},
            timeout=httpx.Timeout(None, connect=5.0),
        )
        with self._stream(action, request, streams) as response:
            yield from response.iter_bytes()

    def create_config_map(self, config_map: ConfigMap) -> ConfigMap:
        """Create a ConfigMap."""
        return ConfigMap.from_wire(
            self._ask(
                f"create ConfigMap {config_map.name!r}",
                "POST",
                f"{self._core}/configmaps",
                json=config_map.to_wire(),
            )
        )

    def get_config_map(self, name: str) -> ConfigMap:
        """Return the ConfigMap `name`."""
        return ConfigMap.from_wire(
            self._ask(f"get ConfigMap {name!r}", "GET", f"{self._core}/configmaps/{name}")
        )

    # -- the seam -----------------------------------------------------------------------------

    def _log(self, pod: str) -> str:
        return f"{self._core}/pods/{pod}/log"

    def _list(self, action: str, path: str, params: Mapping[str, str] | None = None) -> list[Any]:
        """Return all items, page by page."""
        items: list[Any] = []
        page = {**(params or {}), "limit": "500"}
        while True:
            answer = self._ask(action, "GET", path, params=page)
            items += answer.get("items") or []
            if not (following := answer.get("metadata", {}).get("continue")):
                return items
            page["continue"] = following

    def _follow(
        self,
        action: str,
        path: str,
        selector: Mapping[str, str],
        version: str | None,
        streams: Streams,
    ) -> Iterator[tuple[str, Any]]:
        """Yield a list as ``SYNC`` and every change after it; again after each interruption.

        With a `version` it starts with the changes after that.

        Gives up when nothing answers several times in a row.
        """
        failures = 0
        while not streams.closed:
            started = time.monotonic()
            try:
                if version is None:
                    listed = self._ask(action, "GET", path, params=selector)
                    yield "SYNC", listed
                    version = listed.get("metadata", {}).get("resourceVersion", "")
                failures = 0
                yield from self._watch(action, path, selector, version, streams)
            except errors.GoneError:
                pass
            except errors.TargetError:
                failures += 1
                if failures > _RETRIES:
                    raise
                time.sleep(min(2.0, 0.05 * 2**failures))
            version = None
            # A server that ends each watch at once is not asked in a tight loop.
            time.sleep(max(0.0, _WATCH_PAUSE - (time.monotonic() - started)))

    def _watch(
        self,
        action: str,
        path: str,
        selector: Mapping[str, str],
        version: str,
        streams: Streams,
    ) -> Iterator[tuple[str, Any]]:
        timing = {"watch": "true", "timeoutSeconds": str(_WATCH_SECONDS)}
        request = self._http.build_request(
            "GET",
            path,
            params={**selector, **timing, "resourceVersion": version},
            timeout=httpx.Timeout(_WATCH_SECONDS + 15, connect=5.0),
        )
        with self._stream(action, request, streams) as response:
            for line in response.iter_lines():
                event = json.loads(line)
                if event["type"] == "ERROR":
                    status = event["object"]
                    raise self._refused(action, status.get("code", 500), status)
                yield event["type"], event["object"]

    @contextlib.contextmanager
    def _stream(
        self, action: str, request: httpx.Request, streams: Streams
    ) -> Iterator[httpx.Response]:
        with self._translating(action):
            response = self._send(action, request, stream=True)
            with streams.opened(response):
                yield response

    def _ask(self, action: str, method: str, path: str, **content: Any) -> Any:
        """Send a request and return the JSON that came back."""
        response = self._send(action, self._http.build_request(method, path, **content))
        try:
            return response.json()
        except ValueError:
            raise errors.ApiError(
                action,
                f"the answer is no JSON but {response.text[:80]!r}; is this a Kubernetes API?",
                target=self.target.name,
                code=response.status_code,
            ) from None

    def _send(self, action: str, request: httpx.Request, *, stream: bool = False) -> httpx.Response:
        with self._translating(action):
            response = self._http.send(request, stream=stream)
            if not response.is_success:
                response.read()
        if response.is_success:
            return response
        response.close()
        try:
            status = response.json()
        except ValueError:
            status = None
        raise self._refused(action, response.status_code, status, response.text)

    def _refused(self, action: str, code: int, status: Any, text: str = "") -> errors.ApiError:
        """Return the error for a Status body, or for whatever else was answered."""
        body = status if isinstance(status, dict) else {}
        kind: Callable[..., errors.ApiError] = _KINDS.get(code, errors.ApiError)
        if code == 409 and body.get("reason") == "AlreadyExists":
            kind = errors.ExistsError
        return kind(
            action,
            body.get("message") or text.strip()[:200] or f"HTTP {code}",
            target=self.target.name,
            code=code,
            reason=body.get("reason", ""),
            details=body.get("details"),
        )

    @contextlib.contextmanager
    def _translating(self, action: str) -> Iterator[None]:
        try:
            yield
        except httpx.TransportError as error:
            reason = str(error) or type(error).__name__
            raise errors.TargetError(
                f"{self.target.name} did not answer when asked to {action}: {reason}"
            ) from error


_KINDS: dict[int, type[errors.ApiError]] = {
    400: errors.InvalidError,
    401: errors.UnauthorizedError,
    403: errors.ForbiddenError,
    404: errors.NotFoundError,
    409: errors.ConflictError,
    410: errors.GoneError,
    413: errors.InvalidError,
    415: errors.InvalidError,
    422: errors.InvalidError,
}


def _log_params(tail: int | None) -> dict[str, str]:
    return {"container": "pytorch"} | ({} if tail is None else {"tailLines": str(tail)})


def _owned(pod: Pod, job: PyTorchJob) -> bool:
    owners = pod.metadata.owner_references or []
    return job.metadata.uid is None or any(owner.uid == job.metadata.uid for owner in owners)


def _replica_order(pod: Pod) -> tuple[str, int]:
    kind, _, index = pod.replica.rpartition("-")
    return kind, int(index) if index.isdecimal() else 0


def _about(event: Event, job: PyTorchJob) -> bool:
    """Whether an event is about this job or one of its replicas, not about one before it."""
    obj = event.involved_object
    if obj.kind == "PyTorchJob":
        return obj.name == job.name and job.metadata.uid in (None, obj.uid)
    pods = {f"{job.name}-{replica}" for replica in job.replica_names}
    created = job.metadata.creation_timestamp or ""
    return obj.name in pods and (event.metadata.creation_timestamp or "") >= created
