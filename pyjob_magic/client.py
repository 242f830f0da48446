"""The REST verbs, and the one place that turns httpx's errors and Status bodies into ours."""

from __future__ import annotations

import contextlib
import json
import socket
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

import httpx

from pyjob_magic import errors
from pyjob_magic.models import ConfigMap, Event, Pod, PyTorchJob

WatchType = Literal["ADDED", "MODIFIED", "DELETED", "BOOKMARK"]

_TIMEOUT = httpx.Timeout(30.0, connect=5.0)
_WATCH_SECONDS = 240
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


class LogStream:
    """The log of one replica as it comes; `close` may be called from another thread."""

    def __init__(self, response: httpx.Response) -> None:
        self._response = response

    def __iter__(self) -> Iterator[bytes]:
        yield from self._response.iter_raw()

    def close(self) -> None:
        """End the stream; a thread that is blocked in reading it sees its end."""
        stream = self._response.extensions.get("network_stream")
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

    def watch_job(
        self, name: str, version: str | None, *, seconds: float = _WATCH_SECONDS
    ) -> Iterator[tuple[WatchType, PyTorchJob]]:
        """Yield the changes of the job `name` after `version`, until the server ends the watch.

        Raises
        ------
        GoneError
            If `version` is too old: get the job and watch from there.
        """
        params = {"fieldSelector": f"metadata.name={name}", "resourceVersion": version or ""}
        for kind, wire in self._watch(f"watch PyTorchJob {name!r}", self._jobs, params, seconds):
            yield kind, PyTorchJob.from_wire(wire)

    # -- what belongs to a job ----------------------------------------------------------------

    def list_pods(self, job: PyTorchJob) -> list[Pod]:
        """Return the pods of `job`: its replicas, Master first."""
        selector = {"labelSelector": f"{_JOB_LABELS}{job.name}"}
        items = self._list(f"list the pods of {job.name!r}", f"{self._core}/pods", selector)
        # A job of the same name that is gone, or of another kind, may have left pods behind.
        pods = [Pod.from_wire(item) for item in items]
        return sorted((p for p in pods if _owned(p, job)), key=_replica_order)

    def list_events(self, name: str) -> list[Event]:
        """Return the events about the job `name` and its replicas, oldest first."""
        items = self._list(f"list the events of {name!r}", f"{self._core}/events")
        events = [Event.from_wire(item) for item in items]
        about = [e for e in events if _about(e, name)]
        return sorted(about, key=lambda event: event.time)

    def read_log(self, pod: str, *, tail: int | None = None) -> bytes:
        """Return the log of the replica that runs as `pod`, or its last `tail` lines."""
        response = self._send(
            f"read the log of {pod}",
            self._http.build_request("GET", self._log(pod), params=_log_params(tail)),
        )
        return response.content

    @contextlib.contextmanager
    def follow_log(self, pod: str, *, tail: int | None = None) -> Iterator[LogStream]:
        """Open the log of `pod` as a stream that ends with the container."""
        request = self._http.build_request(
            "GET",
            self._log(pod),
            params={**_log_params(tail), "follow": "true"},
            timeout=httpx.Timeout(None, connect=5.0),
        )
        with self._translating(f"follow the log of {pod}"):
            response = self._send(f"follow the log of {pod}", request, stream=True)
            try:
                yield LogStream(response)
            finally:
                response.close()

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

    def _watch(
        self, action: str, path: str, params: Mapping[str, str], seconds: float
    ) -> Iterator[tuple[WatchType, Any]]:
        request = self._http.build_request(
            "GET",
            path,
            params={**params, "watch": "true", "timeoutSeconds": str(max(1, round(seconds)))},
            timeout=httpx.Timeout(seconds + 15, connect=5.0),
        )
        with self._translating(action):
            response = self._send(action, request, stream=True)
            try:
                for line in response.iter_lines():
                    event = json.loads(line)
                    if event["type"] == "ERROR":
                        raise self._refused(
                            action, event["object"].get("code", 500), event["object"]
                        )
                    yield event["type"], event["object"]
            finally:
                response.close()

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


def _about(event: Event, job: str) -> bool:
    """Whether an event is about the job or one of its replicas."""
    name = event.involved_object.name or ""
    if event.involved_object.kind == "PyTorchJob":
        return name == job
    head, _, index = name.removeprefix(f"{job}-").partition("-")
    return name.startswith(f"{job}-") and head in ("master", "worker") and index.isdecimal()
