"""The handle on one submitted job."""

from __future__ import annotations

import contextlib
import time
from collections import defaultdict, deque
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Literal, TypeVar, overload

from pyjob_magic import diagnosis, history, payload, submission
from pyjob_magic._card import Card
from pyjob_magic._readings import Readings
from pyjob_magic._tables import EventTable, MetricTable, some
from pyjob_magic.client import Client
from pyjob_magic.diagnosis import Diagnosis
from pyjob_magic.errors import (
    EndedError,
    ForbiddenError,
    JobFailedError,
    JobTimeoutError,
    ManifestError,
    NotFoundError,
    OptionError,
    PyJobError,
)
from pyjob_magic.keptlogs import Keeper, KeptLogs
from pyjob_magic.logs import Follower, LogLine, LogText, seen_until
from pyjob_magic.manifest import ANNOTATIONS
from pyjob_magic.metrics import Collector, Series
from pyjob_magic.models import Event, JobStatus, Pod, PodSpec, PyTorchJob
from pyjob_magic.records import MOST_LINES, MOST_REPLICAS
from pyjob_magic.stamps import StampedLines
from pyjob_magic.streams import log as logger

if TYPE_CHECKING:
    from pandas import DataFrame

T = TypeVar("T")
_Run = tuple[str | None, int]  # uid of a pod and how often it was restarted

LINGER = 6.0
"""Seconds that replicas are waited for when the job itself has ended."""


class Job:
    """One PyTorchJob on one target.

    Parameters
    ----------
    client
        Where it lives.
    manifest
        The job as the API last returned it.
    """

    def __init__(self, client: Client, manifest: PyTorchJob) -> None:
        self.client = client
        """The connection to where it lives."""
        self.manifest = manifest
        """The job as the API last returned it."""
        self._ends: dict[_Run | None, str] = {}  # of logs that nothing is added to any more

    @property
    def name(self) -> str:
        """Name of the PyTorchJob."""
        return self.manifest.name

    @property
    def namespace(self) -> str:
        """Namespace it lives in."""
        return self.manifest.metadata.namespace or self.client.namespace

    @property
    def uid(self) -> str:
        """What tells it from another job of the same name."""
        return self.manifest.metadata.uid or ""

    @property
    def target(self) -> str:
        """Name of the target it runs on."""
        return self.client.target.name

    @property
    def place(self) -> str:
        """The target with what tells it from others of its name: ``kubernetes (prod)``."""
        return self.client.target.full_name

    @property
    def status(self) -> JobStatus:
        """How the job fares now, asked from the API.

        Raises
        ------
        ApiError, TargetError
            As `refresh`.
        """
        return self.refresh().manifest.status

    @property
    def state(self) -> str:
        """How the job fares now in one word, asked from the API like `status`."""
        return self.status.state

    def refresh(self) -> Job:
        """Ask the API for the job as it is now; return self.

        Raises
        ------
        NotFoundError
            If it is gone, also when another job has its name by now.
        """
        manifest = self.client.get_job(self.name)
        if self.uid and manifest.metadata.uid != self.uid:
            raise self._gone(f"another job has the name {self.name!r} by now")
        self.manifest = manifest
        return self

    def wait(
        self,
        timeout: float | None = None,
        *,
        on_line: Callable[[LogLine], object] | None = None,
        on_change: Callable[[], None] | None = None,
        on_note: Callable[[str], None] = logger.warning,
    ) -> JobStatus:
        """Block until the job has ended, and return how.

        Parameters
        ----------
        timeout
            Seconds to wait at most; None for ever.
        on_line
            Called with each line that a replica prints, as it comes.
        on_change
            Called when the job or a replica has changed, at most twice a second.
        on_note
            Called with what keeps it waiting, or is missing; by default that is logged.

        Raises
        ------
        JobFailedError
            If it failed; names the replica that did and holds the end of its log.
        JobTimeoutError
            If it has not ended in time; it goes on.
        NotFoundError
            If it is deleted meanwhile.
        """
        status = self.refresh().manifest.status
        if status.ended and on_line is None:
            return self._outcome({}, self._last_lines())
        # The logs are read also where nobody wants to see them: when the limit of restarts or the
        # deadline is reached, the operator deletes the replicas that could tell why.
        follower = Follower(
            self.client, self.manifest, tail=None if on_line else diagnosis.READ_LINES
        )
        ends: dict[str, deque[str]] = defaultdict(lambda: deque(maxlen=diagnosis.READ_LINES))
        readings = Readings()
        batches = follower.batches(
            timeout=timeout, linger=LINGER, on_change=on_change, on_note=on_note
        )
        with contextlib.closing(batches):
            for lines in filter(None, batches):
                replica, texts = lines[0].replica, [line.text for line in lines]
                ends[replica].extend(texts)
                readings.take(replica, texts, time.time())
                if on_line is not None:
                    for line in lines:
                        on_line(line)
        seen = {name: "\n".join(end) for name, end in ends.items()}
        return self.conclude(follower, seen, timeout, series=readings.series)

    def conclude(
        self,
        follower: Follower,
        ends: Mapping[str, str],
        timeout: float | None = None,
        *,
        series: Iterable[Series] = (),
    ) -> JobStatus:
        """Return how the job has ended, once nothing more of it is followed.

        Parameters
        ----------
        follower
            What has followed it.
        ends
            The ends of the logs, by replica.
        timeout
            How long it was to be followed, in seconds.
        series
            What it has measured, for the history.

        Raises
        ------
        JobFailedError, JobTimeoutError, NotFoundError
            As `wait`.
        """
        if follower.job is None:
            self._remember(None, series, ends, gone=datetime.now(UTC))
            raise self._gone("it was deleted")
        self.manifest = follower.job
        if not self.manifest.status.ended:
            state = self.manifest.status.state
            after = "" if timeout is None else f" after {timeout:g} s"  # else it was closed
            raise JobTimeoutError(
                f"PyTorchJob {self.name!r} has not ended{after} ({state}); it goes on"
            )
        return self._outcome(follower.failed, ends, series)

    @overload
    def logs(
        self,
        replica: str | None = ...,
        *,
        tail: int | None = ...,
        follow: Literal[False] = ...,
    ) -> LogText: ...

    @overload
    def logs(
        self,
        replica: str | None = ...,
        *,
        tail: int | None = ...,
        follow: Literal[True],
        on_note: Callable[[str], None] = ...,
    ) -> Iterator[LogLine]: ...

    def logs(
        self,
        replica: str | None = None,
        *,
        tail: int | None = None,
        follow: bool = False,
        on_note: Callable[[str], None] = logger.warning,
    ) -> LogText | Iterator[LogLine]:
        """Return what the replicas have printed.

        Where the cluster has forgotten it with their pods, that is what was seen while they ran;
        the `LogText.note` says so.

        Parameters
        ----------
        replica
            Only this one, such as ``worker-1``; without it all, each line with its replica's name.
        tail
            At most this many last lines of each replica.
        follow
            Return an iterator over the lines as they come, which ends with the job.
        on_note
            Called with what the iterator has to say beside them; by default that is logged.

        Raises
        ------
        OptionError
            If the job has no such replica.
        """
        known = self.replica_names
        if replica is not None and replica not in known:
            raise OptionError(
                "--replica", f"PyTorchJob {self.name!r} has no {replica!r}; it has {some(known)}"
            )
        if follow:
            follower = Follower(self.client, self.manifest, replica=replica, tail=tail)
            return follower.lines(linger=LINGER, on_note=on_note)
        pods = {pod.replica: pod for pod in self.replicas()}
        seen: dict[str, str] = {}
        if replica is not None:
            text = self._log(replica, pods.get(replica), tail, seen)
        else:
            logs = {name: self._log(name, pods.get(name), tail, seen) for name in known}
            self._remember(ends=logs)
            text = "".join(
                f"{LogLine(name, line)}\n"
                for name, log in logs.items()
                for line in log.splitlines()
            )
        return LogText(text, seen_until(seen) if seen else "")

    def metrics(self) -> DataFrame | MetricTable:
        """Return what the replicas have measured, as their logs tell it.

        That is what they print as ``loss=0.5``, as objects of JSON, or as the usual lines of
        Lightning and of the Hugging Face Trainer, at the step or epoch that the line names.

        Returns
        -------
        DataFrame
            Where pandas is installed: ``replica``, ``name``, ``axis`` (which is ``step``,
            ``epoch``, or ``ordinal`` where the line names none), ``step`` and ``value``.
        MetricTable
            Else a table of the same; its `MetricTable.to_dict` has these columns.
        """
        table = MetricTable(self.series())
        try:
            from pandas import DataFrame
        except ImportError:
            return table
        return DataFrame(table.to_dict())

    def series(self) -> list[Series]:
        """Return what the replicas have measured; see `metrics`."""
        pods = {pod.replica: pod for pod in self.replicas()}
        seen: dict[str, str] = {}
        collector = Collector()
        for name in self.replica_names:
            for line in self._log(name, pods.get(name), None, seen).split("\n"):
                collector.take(name, line)
        if seen:
            logger.warning(seen_until(seen))
        self._remember(series=collector.series)
        return collector.series

    def events(self) -> EventTable:
        """Return what the control plane says about the job and its replicas, oldest first."""
        return EventTable(self.client.list_events(self.manifest))

    def replicas(self) -> list[Pod]:
        """Return the replicas as the cluster runs them, Master first."""
        return self.client.list_pods(self.manifest)

    @property
    def replica_names(self) -> list[str]:
        """Names of the replicas that the job asks for, such as ``worker-1``."""
        return self.manifest.replica_names

    def source(self) -> str:
        """Return the code that the job runs, as it was typed.

        Raises
        ------
        ManifestError
            If the job was not made from a cell.
        """
        packed = self._packed
        if packed is None:
            raise ManifestError(f"PyTorchJob {self.name!r} was not made from a cell")
        _, source = packed
        if source is None:
            spec = self._template
            maps = [str(v.config_map.get("name")) for v in spec.volumes or [] if v.config_map]
            ours = (name for name in maps if name.startswith(f"{self.name}-source-"))
            name = next(ours, None)
            data = None
            with contextlib.suppress(NotFoundError):
                data = self.client.get_config_map(name).data if name else None
            if not data or payload.FILE_NAME not in data:
                raise ManifestError(f"PyTorchJob {self.name!r} has lost the ConfigMap of its code")
            return data[payload.FILE_NAME]
        return source.decode()

    def rerun(self, name: str | None = None) -> Job:
        """Submit the same job once more, whatever has become of it; return the handle on that.

        Parameters
        ----------
        name
            Its name; if none is said, this one's with the next number: ``train-2``.

        Raises
        ------
        OptionError
            If it cannot have that name.
        ManifestError
            If the code was in a ConfigMap that is gone.
        ExistsError, InvalidError, ForbiddenError
            If the API refuses it.
        """
        packed = self._packed
        source = self.source() if packed and packed[1] is None else None
        return Job(self.client, submission.rerun(self.client, self.manifest, name, source=source))

    def suspend(self) -> Job:
        """Stop the replicas and keep the job; `resume` starts them from scratch.

        Raises
        ------
        EndedError
            If the job has ended.
        """
        return self._set_suspend(True)

    def resume(self) -> Job:
        """Start the replicas of a suspended job.

        Raises
        ------
        EndedError
            If the job has ended.
        """
        return self._set_suspend(False)

    def delete(self) -> None:
        """Delete the job with its replicas and their logs, those that were kept here too.

        What the history knows of it stays.

        Raises
        ------
        NotFoundError
            If it is gone, also when another job has its name by now.
        """
        if not self.client.target.dialect.deletes_by_uid:
            self.refresh()  # the server would take any job of this name for it
        self.client.delete_job(self.manifest)
        KeptLogs(self.uid).remove()
        history.note_outcome(self.manifest, gone=datetime.now(UTC))

    def card(self) -> Card:
        """Return a picture of the job with its replicas and events as they are now."""
        self.refresh()
        pods = _permitted(self.replicas)
        events, found, logs = self._examine(pods, {})
        self._remember(found, ends=logs)
        return Card(self.manifest, self.place, pods, events, found, now=datetime.now(UTC))

    def examine(
        self, pods: Sequence[Pod], ends: Mapping[str, str]
    ) -> tuple[Sequence[Event], Diagnosis | None]:
        """Ask for the events, as far as that is allowed, and say why the job waits or failed.

        Parameters
        ----------
        pods
            Its replicas as they are, or were seen to fail.
        ends
            The ends of their logs, by replica, where they are known.
        """
        events, found, _ = self._examine(pods, ends)
        return events, found

    def __repr__(self) -> str:
        return f"Job({self.name!r}, namespace={self.namespace!r}, target={self.target!r})"

    def _repr_mimebundle_(self, **_: Any) -> dict[str, str]:
        try:
            card = self.card()
        except PyJobError:  # gone or out of reach: what was last seen is better than nothing
            card = Card(self.manifest, self.place)
        return card._repr_mimebundle_()

    @property
    def _template(self) -> PodSpec:
        return next(iter(self.manifest.spec.pytorch_replica_specs.values())).template.spec

    @property
    def _packed(self) -> tuple[str, bytes | None] | None:
        """What `payload.unpack` finds in the job."""
        return next(filter(None, map(payload.unpack, self._template.containers)), None)

    def _examine(
        self, pods: Sequence[Pod], ends: Mapping[str, str]
    ) -> tuple[Sequence[Event], Diagnosis | None, dict[str, str]]:
        """Return what `examine` does, and the ends of the logs that it has looked at."""
        events = _permitted(self.events)
        logs = {f"{self.name}-{replica}": end for replica, end in ends.items()}
        logs |= self._missing_ends(pods, events, logs)
        found = self._diagnose(pods, events, logs)
        return events, found, self._by_replica(logs)

    def _by_replica(self, logs: Mapping[str, str]) -> dict[str, str]:
        return {pod.removeprefix(f"{self.name}-"): log for pod, log in logs.items()}

    def _outcome(
        self, failed: Mapping[str, Pod], ends: Mapping[str, str], series: Iterable[Series] = ()
    ) -> JobStatus:
        if self.manifest.status.state == "Failed":
            raise self._failure(failed, ends, series)
        self._remember(None, series, ends)
        return self.manifest.status

    def _remember(
        self,
        found: Diagnosis | None = None,
        series: Iterable[Series] = (),
        ends: Mapping[str, str] | None = None,
        gone: datetime | None = None,
    ) -> None:
        """Let the history know what was seen of the job, if it has ended or is gone."""
        if not (gone or self.manifest.status.ended):
            return
        log = {name: end.rstrip("\n").split("\n") for name, end in (ends or {}).items() if end}
        failed = [found.replica] if found and found.replica else []
        history.note_outcome(
            self.manifest, diagnosis=found, series=series, log=log, failed=failed, gone=gone
        )

    def _last_lines(self) -> dict[str, str]:
        """Return the ends of the logs of a job that has ended, if the history lacks them."""
        if not history.lacks_lines(self.uid):
            return {}
        names = self.replica_names[:MOST_REPLICAS]
        with contextlib.suppress(PyJobError):
            return {name: self._log(name, None, MOST_LINES) for name in names}
        return {}

    def _failure(
        self, seen: Mapping[str, Pod], ends: Mapping[str, str], series: Iterable[Series]
    ) -> JobFailedError:
        """Return why the job failed: the replica that failed first and the end of its log.

        What the API no longer has is taken from what was `seen` to fail, by name of the pod, and
        from the `ends` of the logs, by replica.
        """
        current = self.manifest.status.current
        reason = (current.message if current else None) or "no reason was given"
        now = _permitted(self.replicas)  # the failure itself must be told in any case
        failed = {**seen, **{pod.name: pod for pod in diagnosis.failed(now)}}
        events = () if failed else _permitted(self.events)
        logs = {f"{self.name}-{replica}": end for replica, end in ends.items() if end}
        pods = [*failed.values()]
        logs |= self._missing_ends(pods, events, logs)
        found = self._diagnose(pods, events, logs)
        self._remember(found, series, self._by_replica(logs))
        if found is None:
            return JobFailedError(self.name, reason)
        codes = {pod.replica: diagnosis.exit_code(pod) for pod in pods}
        log = logs.get(f"{self.name}-{found.replica}", "").split("\n")
        return JobFailedError(
            self.name,
            reason,
            summary=found.summary,
            advice=found.advice,
            replica=found.replica,
            exit_code=codes.get(found.replica or ""),
            log="\n".join(log[-diagnosis.LOG_LINES :]),
            traceback=found.traceback,
            cell_line=found.cell_line,
        )

    def _diagnose(
        self, pods: Sequence[Pod], events: Sequence[Event], ends: Mapping[str, str]
    ) -> Diagnosis | None:
        """Return why the job waits or failed, as far as it is known."""
        # Code that was submitted from Python has no line of a magic above it.
        said = self.manifest.metadata.annotations or {}
        in_cell = any(f"{ANNOTATIONS}{key}" in said for key in ("line", "cell", "notebook"))
        return diagnosis.diagnose(
            self.manifest, pods, events, ends, datetime.now(UTC), below_magic=in_cell
        )

    def _missing_ends(
        self, pods: Sequence[Pod], events: Sequence[Event], known: Mapping[str, str]
    ) -> dict[str, str]:
        """Return the ends of the logs of replicas that failed, by name of the pod, but `known`."""
        if self.manifest.status.state == "Succeeded":
            return {}
        wanted: dict[str, tuple[str, _Run | None]]
        wanted = {pod.name: (pod.replica, _run(pod)) for pod in diagnosis.suspects(pods)}
        blamed = diagnosis.blamed(events, self.name) if self.manifest.status.ended else None
        if not wanted and blamed:
            wanted = {f"{self.name}-{blamed[0]}": (blamed[0], None)}
        return {
            name: self._log_end(replica, run)
            for name, (replica, run) in wanted.items()
            if name not in known
        }

    def _set_suspend(self, suspend: bool) -> Job:
        if (status := self.status).ended:
            what = "suspended" if suspend else "resumed"
            raise EndedError(
                f"PyTorchJob {self.name!r} has ended ({status.state}) and cannot be {what}; "
                f"%pytorchjob cell {self.name} brings its code back"
            )
        patch = {"spec": {"runPolicy": {"suspend": suspend}}}
        self.manifest = self.client.patch_job(self.name, patch)
        return self

    def _log(
        self, replica: str, pod: Pod | None, tail: int | None, seen: dict[str, str] | None = None
    ) -> str:
        """Return a replica's log: of its last run, if it waits to be restarted or is gone.

        If it is only known from what was `seen`, note there up to when.
        """
        container = pod.main_container if pod else None
        if pod and (container is None or (container.state.waiting and not container.last_state)):
            return ""
        kept = (
            None if self.client.target.keeps_logs else KeptLogs(self.uid, len(self.replica_names))
        )
        try:
            # The pod may be gone, and a target that keeps logs answers all the same.
            log = self.client.read_log(f"{self.name}-{replica}", tail=tail, stamped=bool(kept))
        except NotFoundError:
            found = kept.read(replica) if kept else None
            if found is None:
                return ""
            if seen is not None:
                seen[replica] = found.until
            return "".join(f"{line}\n" for line in found.lines(tail))
        if kept is None:
            return log.decode(errors="replace")
        lines = StampedLines()
        batches = [lines.feed(log), lines.finish()]
        if pod and container and tail is None:
            keeper = Keeper(kept, replica, pod.metadata.uid or "", logger.warning)
            for batch in batches:
                keeper.keep(container.restart_count, batch.raw)
            keeper.close()
        return "".join(f"{line}\n" for batch in batches for line in batch.lines)

    def _log_end(self, replica: str, run: _Run | None) -> str:
        """Return the end of the log of a replica that has ended; of the same `run` asked once."""
        if run in self._ends:
            return self._ends[run]
        try:
            end = self._log(replica, None, diagnosis.READ_LINES).rstrip("\n")
        except PyJobError as error:  # the failure itself must still be told
            return f"(no log: {error})"
        if run:
            self._ends[run] = end
        return end

    def _gone(self, reason: str) -> NotFoundError:
        action = f"find PyTorchJob {self.name!r}"
        return NotFoundError(action, reason, target=self.target, code=404, reason="NotFound")


def _run(pod: Pod) -> _Run:
    container = pod.main_container
    return pod.metadata.uid, container.restart_count if container else 0


def _permitted(look: Callable[[], Sequence[T]]) -> Sequence[T]:
    """Return what a look finds, nothing if it is not allowed: a job is known without it, too."""
    try:
        return look()
    except ForbiddenError:
        return ()
