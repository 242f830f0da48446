"""The one log follower: the lines of all replicas of a job, as they come."""

from __future__ import annotations

import math
import queue
import threading
import time
from collections.abc import Callable, Iterator
from enum import Enum, auto
from typing import Any, NamedTuple

from pyjob_magic.client import Client
from pyjob_magic.diagnosis import failed
from pyjob_magic.errors import InvalidError, NotFoundError, PyJobError, TargetError
from pyjob_magic.models import Pod, PyTorchJob
from pyjob_magic.rest import Streams

_BATCHES = 256  # how far replicas may run ahead of the reader before their streams wait
_RETRIES = 5
_REFRESH = 0.5  # seconds between two tellings of changes


class LogText(str):
    """A log that a notebook shows as it is, not as a quoted string."""

    def _repr_pretty_(self, printer: Any, _: bool) -> None:
        printer.text(self.rstrip("\n"))


class LogLine(NamedTuple):
    """One line of one replica, without its newline; as text it starts with the replica's name."""

    replica: str
    text: str

    def __str__(self) -> str:
        return f"[{self.replica}] {self.text}"


class Follower:
    """Watches a job and its replicas, and reads what they print, until it is closed.

    A thread for the job, one for its pods and one for each replica put into one queue, which
    `lines` empties. Replicas that do not run yet are waited for; one that is restarted is followed
    again; a stream that breaks is taken up where it broke, or with a tail again.

    Parameters
    ----------
    client
        Where the job lives.
    job
        The job as it was last seen.
    replica
        Only this one, such as ``worker-1``.
    tail
        Start with at most this many old lines of each replica.
    """

    def __init__(
        self,
        client: Client,
        job: PyTorchJob,
        *,
        replica: str | None = None,
        tail: int | None = None,
    ) -> None:
        self.job: PyTorchJob | None = job
        """The job as it was last seen; None once it is gone."""
        self.failed: dict[str, Pod] = {}
        """Replicas that were seen to fail, as they were then, by name of the pod."""
        self._client = client
        self._first = job
        self._replica = replica
        self._tail = tail
        self._items: queue.Queue[_Item] = queue.Queue(_BATCHES)
        self._streams = Streams()
        self._evidence = threading.Event()
        self._lock = threading.Lock()
        self._seen: set[tuple[str, str | None, int]] = set()  # runs: pod, its uid, restarts
        self._open = 0

    def lines(
        self,
        *,
        timeout: float | None = None,
        linger: float | None = None,
        on_change: Callable[[], None] | None = None,
    ) -> Iterator[LogLine]:
        """Yield lines until the job has ended and all is read.

        Leaving the loop ends every thread.

        Parameters
        ----------
        timeout
            Seconds after which it ends in any case.
        linger
            Seconds after the end of the job after which a replica that still runs is left, once
            what it has printed is read.
        on_change
            Called when the job or a replica has changed, at most twice a second.
        """
        try:
            yield from self._lines(timeout, linger, on_change or (lambda: None))
            if self.job is not None and self.job.status.state == "Failed":
                # The watch on the pods may be a little behind the one on the job.
                self._evidence.wait(1.0)
        finally:
            self._streams.close()

    def _lines(
        self, timeout: float | None, linger: float | None, on_change: Callable[[], None]
    ) -> Iterator[LogLine]:
        self._start(self._watch_job)
        self._start(self._watch_pods)
        # At `calm` it is over if nothing is left to read, at `end` in any case.
        end = calm = math.inf if timeout is None else time.monotonic() + timeout
        refresh = math.inf  # when to tell of changes; never while there are none
        refreshed = -math.inf
        job_ended = False
        while not (job_ended and self._open == 0) and (now := time.monotonic()) < end:
            if now >= refresh:
                on_change()
                refresh, refreshed = math.inf, time.monotonic()
            try:
                until = min(calm, refresh)
                item = self._items.get(timeout=None if until == math.inf else max(0, until - now))
            except queue.Empty:
                if time.monotonic() >= calm:
                    return
                continue
            if isinstance(item, PyJobError):
                raise item
            if item is _Mark.CHANGED:
                refresh = min(refresh, max(now, refreshed + _REFRESH))
            elif item is _Mark.STREAM_ENDED:
                with self._lock:
                    self._open -= 1
            elif item is _Mark.JOB_ENDED:
                # The last replicas may have been too brief for the watch to have told of them.
                for pod in self._client.list_pods(self._first):
                    self._consider(pod)
                for replica in self._first.replica_names:
                    self._consider_kept(replica)
                job_ended = True
                if linger is not None:
                    calm, end = time.monotonic() + linger, time.monotonic() + 10 * linger
            else:
                yield from item

    # -- threads ------------------------------------------------------------------------------

    def _start(self, work: Callable[[], None]) -> None:
        threading.Thread(target=self._run, args=(work,), name="pyjob-logs", daemon=True).start()

    def _run(self, work: Callable[[], None]) -> None:
        try:
            work()
        except PyJobError as error:
            self._put(error)

    def _put(self, item: _Item) -> None:
        """Hand `item` to the reader; wait if it is behind, give up if it is gone."""
        while not self._streams.closed:
            try:
                return self._items.put(item, timeout=0.5)
            except queue.Full:
                continue
        return None

    def _watch_job(self) -> None:
        if not self._first.status.ended:
            self._watch_until_ended(self._first.metadata.resource_version)
        self._put(_Mark.JOB_ENDED)

    def _watch_until_ended(self, version: str | None) -> None:
        for job in self._client.follow_job(
            self._first.name, version=version, streams=self._streams
        ):
            replaced = job is not None and job.metadata.uid != self._first.metadata.uid
            self.job = None if replaced else job
            if self.job is None or self.job.status.ended:
                return
            self._put(_Mark.CHANGED)

    def _watch_pods(self) -> None:
        for pod in self._client.follow_pods(self._first, streams=self._streams):
            self._put(_Mark.CHANGED)
            self._consider(pod)

    def _consider(self, pod: Pod) -> None:
        """Note a failure, and start to read the log of a container that has started anew."""
        if failed([pod]):
            self.failed.setdefault(pod.name, pod)
            self._evidence.set()
        container = pod.main_container
        if container is None or self._replica not in (None, pod.replica):
            return
        if not (container.state.running or container.state.terminated):
            return
        run = (pod.name, pod.metadata.uid, container.restart_count)
        with self._lock:
            if run in self._seen:
                return
            self._seen.add(run)
            self._open += 1
        self._start(lambda: self._read(pod))

    def _consider_kept(self, replica: str) -> None:
        """Read the log of a replica that was never seen: a target may keep it though it is gone."""
        name = f"{self._first.name}-{replica}"
        if self._replica not in (None, replica):
            return
        with self._lock:
            if any(pod_name == name for pod_name, *_ in self._seen):
                return
            self._open += 1
        self._start(lambda: self._read_kept(name, replica))

    def _read_kept(self, pod_name: str, replica: str) -> None:
        try:
            log = self._client.read_log(pod_name, tail=self._tail)
            self._put(_lines(replica, log.removesuffix(b"\n")))
        except (NotFoundError, InvalidError):
            pass  # it has never run
        finally:
            self._put(_Mark.STREAM_ENDED)

    def _read(self, pod: Pod) -> None:
        received = 0
        rest: list[bytes] = []  # of a line, as far as it has come
        try:
            for attempt in range(_RETRIES):
                try:
                    for chunk in self._from(pod, received):
                        received += len(chunk)
                        whole, newline, begun = chunk.rpartition(b"\n")
                        if newline:
                            self._put(_lines(pod.replica, b"".join([*rest, whole])))
                            rest.clear()
                        rest.append(begun)
                    break
                except NotFoundError:
                    break  # deleted before its log was read
                except TargetError:
                    if attempt == _RETRIES - 1:
                        raise
                    if self._tail is not None:
                        # No telling where it broke: better to repeat lines than to lose some.
                        received, rest = 0, []
                    time.sleep(0.1 * 2**attempt)
            if end := b"".join(rest):
                self._put(_lines(pod.replica, end))
        finally:
            self._put(_Mark.STREAM_ENDED)

    def _from(self, pod: Pod, skip: int) -> Iterator[bytes]:
        """Yield the log of `pod` without its first `skip` bytes, which have been read before."""
        for chunk in self._client.follow_log(pod.name, tail=self._tail, streams=self._streams):
            yield chunk[skip:]
            skip = max(0, skip - len(chunk))


class _Mark(Enum):
    CHANGED = auto()  # the job or a replica is not what it was
    JOB_ENDED = auto()  # nothing new will start
    STREAM_ENDED = auto()  # a replica's log has been read to its end


_Item = list[LogLine] | _Mark | PyJobError


def _lines(replica: str, text: bytes) -> list[LogLine]:
    lines = text.decode(errors="replace").split("\n")
    if b"\r" in text:
        # Of a progress bar, which returns to the start of its line, the last state counts.
        lines = [line.rstrip("\r").rpartition("\r")[2] for line in lines]
    return [LogLine(replica, line) for line in lines]
