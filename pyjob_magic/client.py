"""The REST verbs: PyTorchJobs of one namespace, and what belongs to them."""

from __future__ import annotations

import contextlib
import json
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any, TypeVar
from urllib.parse import quote

import httpx
from pydantic import ValidationError

from pyjob_magic import errors
from pyjob_magic.informer import Informer, News, Tell, Wire
from pyjob_magic.manifest import SUBMISSION
from pyjob_magic.models import (
    APIGroupList,
    ConfigMap,
    Event,
    KubeObject,
    Pod,
    PyTorchJob,
    first_problem,
)
from pyjob_magic.rest import Rest
from pyjob_magic.stamps import Position
from pyjob_magic.streams import Streams, log
from pyjob_magic.target import Target

T = TypeVar("T")

_PIECE = 65_536  # bytes of a log that are taken apart together
_LOG_SILENCE = 300.0  # seconds without a line after which a log is asked for again


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
        selector = target.dialect.pod_selector
        self._job_informer = Informer(
            self._rest,
            "PyTorchJobs",
            self._jobs,
            key=lambda wire: str(wire["metadata"]["name"]),
            query={},
            watching=target.dialect.watching,
        )
        self._pod_informer = Informer(
            self._rest,
            "pods",
            f"{self._core}/pods",
            key=_owner,
            query={"labelSelector": selector} if selector else {},
            watching=target.dialect.watching,
        )

    def __repr__(self) -> str:
        return f"Client(target={self.target.name!r}, namespace={self.namespace!r})"

    def close(self) -> None:
        """Close the connections; nobody is told of changes any more."""
        self._job_informer.close()
        self._pod_informer.close()
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
            with self._served():
                created = self._rest.ask(
                    f"create PyTorchJob {job.name!r}",
                    "POST",
                    self._jobs,
                    json=dialect.encode(job),
                    params=query,
                )
        except errors.ApiError as error:
            # Also a quota may refuse a second one before anybody sees that the first is there.
            stored = self._submitted(job) if error.resent and not dry_run else None
            if stored is None:
                raise
            return stored
        except errors.TargetError as error:
            if not error.sent or dry_run:
                raise
            raise errors.TargetError(
                f"{error}; it may have been created all the same: "
                f"%pytorchjob show {job.name} tells, once {self.target.name} answers"
            ) from error
        return self._understood(dialect.decode, created)

    def _submitted(self, job: PyTorchJob) -> PyTorchJob | None:
        """Return `job` as stored, None if it is not there or another one has its name."""
        try:
            stored = self.get_job(job.name)
        except errors.NotFoundError:
            return None
        submission = _submission(job)
        return stored if submission and submission == _submission(stored) else None

    def get_job(self, name: str) -> PyTorchJob:
        """Return the job `name` as it is now."""
        wire = self._rest.ask(f"get PyTorchJob {name!r}", "GET", _named(self._jobs, name))
        return self._understood(self.target.dialect.decode, wire)

    def list_jobs(self) -> list[PyTorchJob]:
        """Return the jobs of the namespace, oldest first."""
        with self._served():
            items = self._list("list PyTorchJobs", self._jobs)
        decode = self.target.dialect.decode
        jobs = [self._understood(decode, item) for item in items]
        return sorted(jobs, key=lambda job: (job.metadata.creation_timestamp or "", job.name))

    def patch_job(self, name: str, patch: Mapping[str, Any]) -> PyTorchJob:
        """Merge `patch` into the job `name`."""
        dialect = self.target.dialect
        changed = self._rest.ask(
            f"change PyTorchJob {name!r}",
            "PATCH",
            _named(self._jobs, name),
            content=json.dumps(dialect.encode_patch(patch)),
            headers={"Content-Type": "application/merge-patch+json"},
            params=dict(dialect.patching),
        )
        return self._understood(dialect.decode, changed)

    def delete_job(self, job: PyTorchJob) -> None:
        """Delete `job`, if the server can be told not another one; what it owns goes with it."""
        precise = self.target.dialect.deletes_by_uid and job.metadata.uid
        content: dict[str, Any] = (
            {"json": {"preconditions": {"uid": job.metadata.uid}}} if precise else {}
        )
        try:
            self._rest.send(
                f"delete PyTorchJob {job.name!r}",
                "DELETE",
                _named(self._jobs, job.name),
                params={"propagationPolicy": "Background"},
                **content,
            )
        except errors.NotFoundError as error:
            if not error.resent:  # else it was us, and only the answer was lost
                raise

    def watch_job(self, name: str, tell: Tell) -> Callable[[], None]:
        """Tell of the job `name`: as it is now, then each change; return a function to end that.

        All jobs of the namespace are watched by one connection.
        """
        return self._job_informer.subscribe(name, _reading(self.target.dialect.decode, tell))

    def watch_jobs(self, tell: Tell) -> Callable[[], None]:
        """Tell of all jobs of the namespace like `watch_job`, over the same connection."""
        return self._job_informer.subscribe(None, _reading(self.target.dialect.decode, tell))

    # -- what belongs to a job ----------------------------------------------------------------

    def list_pods(self, job: PyTorchJob) -> list[Pod]:
        """Return the pods of `job`: its replicas, Master first."""
        labels = self.target.dialect.pod_selector
        job_label = f"training.kubeflow.org/job-name={job.name}"
        selector = {"labelSelector": f"{labels},{job_label}"} if labels else None
        items = self._list(f"list the pods of {job.name!r}", f"{self._core}/pods", selector)
        # A job of the same name that is gone, or of another kind, may have left pods behind.
        pods = [self._understood(Pod.from_wire, item) for item in items]
        return sorted((p for p in pods if _owned(p, job)), key=_replica_order)

    def watch_pods(self, job: PyTorchJob, tell: Tell) -> Callable[[], None]:
        """Tell of the pods of `job` like `watch_job`."""
        return self._pod_informer.subscribe(job.metadata.uid or "", _reading(Pod.from_wire, tell))

    def get_pod(self, name: str) -> Pod:
        """Return the pod `name` as it is now."""
        wire = self._rest.ask(f"get pod {name}", "GET", _named(f"{self._core}/pods", name))
        return self._understood(Pod.from_wire, wire)

    def list_events(self, job: PyTorchJob) -> list[Event]:
        """Return the events about `job` and its replicas, oldest first."""
        items = self._list(f"list the events of {job.name!r}", f"{self._core}/events")
        events = [self._understood(Event.from_wire, item) for item in items]
        return sorted((e for e in events if _about(e, job)), key=lambda event: event.time)

    def read_log(self, pod: str, *, tail: int | None = None, stamped: bool = False) -> bytes:
        """Return the log of the replica that runs as `pod`, or its last `tail` lines.

        With `stamped` each line begins with its time.
        """
        action, path = f"read the log of {pod}", self._log(pod)
        params = _log_params(tail) | ({"timestamps": "true"} if stamped else {})
        return self._rest.send(action, "GET", path, params=params).content

    @contextlib.contextmanager
    def stream_log(
        self,
        pod: str,
        streams: Streams,
        *,
        tail: int | None = None,
        since: Position | None = None,
        previous: bool = False,
    ) -> Iterator[Iterator[bytes]]:
        """Open the log of `pod` and lend what comes, each line with its time, to the run's end.

        Parameters
        ----------
        pod, streams
            Which log, and whose stream.
        tail
            Start with at most this many old lines; not together with `since`.
        since
            Start with a line before this one, or with this one.
        previous
            The log of the run before the last.
        """
        params = {**_log_params(None if since else tail), "timestamps": "true", "follow": "true"}
        if since is not None:
            params["sinceTime"] = since.stamp
        if previous:
            params["previous"] = "true"
        timeout = httpx.Timeout(30.0, read=_LOG_SILENCE, connect=5.0)
        action = f"follow the log of {pod}"
        with self._rest.stream(
            action, self._log(pod), streams, params=params, timeout=timeout
        ) as response:
            yield _pieces(response.iter_bytes())

    def create_config_map(self, config_map: ConfigMap) -> ConfigMap:
        """Create a ConfigMap; where the answer is lost, again.

        One that turns out to be there already is taken for ours if it has the same owner.
        """
        try:
            wire = self._rest.ask(
                f"create ConfigMap {config_map.name!r}",
                "POST",
                f"{self._core}/configmaps",
                json=config_map.to_wire(),
            )
        except errors.ExistsError as error:
            stored = self.get_config_map(config_map.name) if error.resent else None
            if stored is None or _owner_uids(stored) != _owner_uids(config_map):
                raise
            return stored
        return self._understood(ConfigMap.from_wire, wire)

    def get_config_map(self, name: str) -> ConfigMap:
        """Return the ConfigMap `name`."""
        path = _named(f"{self._core}/configmaps", name)
        return self._understood(
            ConfigMap.from_wire, self._rest.ask(f"get ConfigMap {name!r}", "GET", path)
        )

    # -- the seam -----------------------------------------------------------------------------

    @contextlib.contextmanager
    def _served(self) -> Iterator[None]:
        """Say of what is not found that the server has no PyTorchJobs, where that is the reason."""
        try:
            yield
        except errors.NotFoundError as error:
            if not self._serves_jobs():
                error.hint = self.target.dialect.absent
                error.explain(error.message)
            raise

    def _serves_jobs(self) -> bool:
        """Ask whether the server has PyTorchJobs; without a clear answer it has."""
        try:
            groups = self._rest.ask("list the API groups", "GET", "/apis")
            return APIGroupList.from_wire(groups).serves("kubeflow.org/v1")
        except (errors.PyJobError, ValueError):
            return True

    def _log(self, pod: str) -> str:
        return f"{_named(f'{self._core}/pods', pod)}/log"

    def _understood(self, read: Callable[[Wire], T], wire: Wire) -> T:
        """Return what the server has sent as a model."""
        try:
            return read(wire)
        except ValidationError as error:
            reason = first_problem(error, "the object")
        except (ValueError, TypeError, AttributeError) as error:
            reason = f"{type(error).__name__}: {error}"
        raise errors.TargetError(
            f"{self.target.full_name} answered what cannot be understood: {reason}"
        )

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


def _named(collection: str, name: str) -> str:
    """Return the path of an object, whatever somebody has typed as its name."""
    if name in ("", ".", ".."):
        raise errors.OptionError("NAME", f"{name!r} is the name of nothing")
    return f"{collection}/{quote(name, safe='')}"


def _submission(job: PyTorchJob) -> str | None:
    return (job.metadata.annotations or {}).get(SUBMISSION)


def _pieces(chunks: Iterable[bytes]) -> Iterator[bytes]:
    """Cut what comes in bulk into pieces that fit the caches of a processor: that is faster."""
    for chunk in chunks:
        yield from (chunk[start : start + _PIECE] for start in range(0, len(chunk), _PIECE))


def _log_params(tail: int | None) -> dict[str, str]:
    return {"container": "pytorch"} | ({} if tail is None else {"tailLines": str(tail)})


def _reading(read: Callable[[Wire], Any], tell: Tell) -> Tell:
    """Return a subscriber that is told models."""
    objects = (News.CHANGED, News.DELETED)
    return lambda news, value: tell(news, read(value) if news in objects else value)


def _owner(pod: Wire) -> str | None:
    """Return the uid of the job that a pod belongs to."""
    owners = pod["metadata"].get("ownerReferences") or ()
    return next((owner["uid"] for owner in owners if owner["kind"] == "PyTorchJob"), None)


def _owner_uids(obj: KubeObject) -> set[str]:
    return {owner.uid for owner in obj.metadata.owner_references or []}


def _owned(pod: Pod, job: PyTorchJob) -> bool:
    return job.metadata.uid is None or job.metadata.uid in _owner_uids(pod)


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
