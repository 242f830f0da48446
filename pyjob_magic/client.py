"""The REST verbs: PyTorchJobs of one namespace, and what belongs to them."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator, Mapping
from typing import Any

import httpx

from pyjob_magic import errors
from pyjob_magic.manifest import SUBMISSION
from pyjob_magic.models import ConfigMap, Event, Pod, PyTorchJob
from pyjob_magic.rest import Rest, Streams, log
from pyjob_magic.target import Target

_WATCH_SECONDS = 60
_WATCH_PAUSE = 0.2
_RETRIES = 6
_JOB_LABELS = (
    "training.kubeflow.org/operator-name=pytorchjob-controller,training.kubeflow.org/job-name="
)


class Client:
    """The objects of one namespace of one target.

    Parameters
    ----------
    target
        Where they live.
    namespace
        The namespace; the target's if none is said.

    notify
        Is told what keeps a request waiting; writes to the log ``pyjob_magic`` if not said.

    Every method raises a subclass of `ApiError` for what the server refuses, with the server's
    words, and `TargetError` where there is no answer.
    """

    def __init__(
        self,
        target: Target,
        namespace: str | None = None,
        *,
        notify: Callable[[str], None] = log.warning,
    ) -> None:
        self.target = target
        self.namespace = namespace or target.namespace
        self._rest = Rest(target, notify)
        self._jobs = f"/apis/kubeflow.org/v1/namespaces/{self.namespace}/pytorchjobs"
        self._core = f"/api/v1/namespaces/{self.namespace}"

    def __repr__(self) -> str:
        return f"Client(target={self.target.name!r}, namespace={self.namespace!r})"

    def close(self) -> None:
        """Close the connections."""
        self._rest.close()

    # -- jobs ---------------------------------------------------------------------------------

    def create_job(self, job: PyTorchJob, *, dry_run: bool = False) -> PyTorchJob:
        """Create `job` and return it as stored; with `dry_run` it is only checked.

        Where the answer is lost, the job is created again under the same name; one that turns out
        to be there already is taken for ours if it carries our submission's annotation.
        """
        dialect = self.target.dialect
        query = {**dialect.creation, **({"dryRun": "All"} if dry_run else {})}
        try:
            created = self._rest.ask(
                f"create PyTorchJob {job.name!r}",
                "POST",
                self._jobs,
                json=dialect.encode(job),
                params=query,
            )
        except errors.ExistsError as error:
            stored = self.get_job(job.name) if error.resent else None
            if stored is None or _submission(stored) != _submission(job):
                raise
            return stored
        except errors.TargetError as error:
            if not error.sent or dry_run:
                raise
            raise errors.TargetError(
                f"{error}; it may have been created all the same: "
                f"%pytorchjob show {job.name} tells, once {self.target.name} answers"
            ) from error
        return dialect.decode(created)

    def get_job(self, name: str) -> PyTorchJob:
        """Return the job `name` as it is now."""
        wire = self._rest.ask(f"get PyTorchJob {name!r}", "GET", f"{self._jobs}/{name}")
        return self.target.dialect.decode(wire)

    def list_jobs(self) -> list[PyTorchJob]:
        """Return the jobs of the namespace, oldest first."""
        items = self._list("list PyTorchJobs", self._jobs)
        jobs = [self.target.dialect.decode(item) for item in items]
        return sorted(jobs, key=lambda job: (job.metadata.creation_timestamp or "", job.name))

    def patch_job(self, name: str, patch: Mapping[str, Any]) -> PyTorchJob:
        """Merge `patch` into the job `name`."""
        dialect = self.target.dialect
        changed = self._rest.ask(
            f"change PyTorchJob {name!r}",
            "PATCH",
            f"{self._jobs}/{name}",
            content=json.dumps(dialect.encode_patch(patch)),
            headers={"Content-Type": "application/merge-patch+json"},
            params=dict(dialect.patching),
        )
        return dialect.decode(changed)

    def delete_job(self, job: PyTorchJob) -> None:
        """Delete `job`, not another one of its name; what it owns goes with it."""
        precise = self.target.dialect.deletes_by_uid and job.metadata.uid
        content: dict[str, Any] = (
            {"json": {"preconditions": {"uid": job.metadata.uid}}} if precise else {}
        )
        try:
            self._rest.send(
                f"delete PyTorchJob {job.name!r}",
                "DELETE",
                f"{self._jobs}/{job.name}",
                params={"propagationPolicy": "Background"},
                **content,
            )
        except errors.NotFoundError as error:
            if not error.resent:  # else it was us, and only the answer was lost
                raise

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
        action, path = f"read the log of {pod}", self._log(pod)
        return self._rest.send(action, "GET", path, params=_log_params(tail)).content

    def follow_log(self, pod: str, *, streams: Streams, tail: int | None = None) -> Iterator[bytes]:
        """Yield the log of `pod` as it comes, until the container has ended."""
        action = f"follow the log of {pod}"
        with self._rest.stream(
            action,
            self._log(pod),
            streams,
            params={**_log_params(tail), "follow": "true"},
            timeout=httpx.Timeout(None, connect=5.0),
        ) as response:
            yield from response.iter_bytes()

    def create_config_map(self, config_map: ConfigMap) -> ConfigMap:
        """Create a ConfigMap."""
        return ConfigMap.from_wire(
            self._rest.ask(
                f"create ConfigMap {config_map.name!r}",
                "POST",
                f"{self._core}/configmaps",
                json=config_map.to_wire(),
            )
        )

    def get_config_map(self, name: str) -> ConfigMap:
        """Return the ConfigMap `name`."""
        return ConfigMap.from_wire(
            self._rest.ask(f"get ConfigMap {name!r}", "GET", f"{self._core}/configmaps/{name}")
        )

    # -- the seam -----------------------------------------------------------------------------

    def _log(self, pod: str) -> str:
        return f"{self._core}/pods/{pod}/log"

    def _list(self, action: str, path: str, params: Mapping[str, str] | None = None) -> list[Any]:
        """Return all items, page by page."""
        items: list[Any] = []
        page = {**(params or {}), "limit": "500"}
        while True:
            answer = self._rest.ask(action, "GET", path, params=page)
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
                    listed = self._rest.ask(action, "GET", path, params=selector, streams=streams)
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
        with self._rest.stream(
            action,
            path,
            streams,
            params={**selector, **timing, "resourceVersion": version},
            timeout=httpx.Timeout(_WATCH_SECONDS + 15, connect=5.0),
        ) as response:
            for line in response.iter_lines():
                event = json.loads(line)
                if event["type"] == "ERROR":
                    status = event["object"]
                    raise self._rest.refused(action, status.get("code", 500), status)
                yield event["type"], event["object"]


def _submission(job: PyTorchJob) -> str | None:
    return (job.metadata.annotations or {}).get(SUBMISSION)


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
