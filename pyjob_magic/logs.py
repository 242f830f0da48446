"""The one log follower: the lines of all replicas of a job, as they come."""

from __future__ import annotations

import queue
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

from pyjob_magic.client import Client, Streams
from pyjob_magic.errors import NotFoundError, PyJobError, TargetError
from pyjob_magic.models import Pod, PyTorchJob

_BATCHES = 256  # how far replicas may run ahead of the reader before their streams wait
_RETRIES = 5


class LogText(str):
    """A log that a notebook shows as it is, not as a quoted string."""

    def _repr_pretty_(self, printer: Any, _: bool) -> None:
        printer.text(self.rstrip("\n"))


@dataclass(frozen=True)
class LogLine:
    """One line of one replica, without its newline; as text it starts with the replica's name."""

    replica: str
    text: str

    def __str__(self) -> str:
        return f"[{self.replica}] {self.text}"


class _JobEnded:
    """Nothing new will start."""


class _StreamEnded:
    """A replica's log has been read to its end."""


_Item = list[LogLine] | _JobEnded | _StreamEnded | PyJobError


def follow(
    client: Client, job: PyTorchJob, *, replica: str | None = None, tail: int | None = None
) -> Iterator[LogLine]:
    """Yield the lines of the replicas of `job` until it has ended and all is read.

    Replicas that do not run yet are waited for; one that is restarted is followed again; a stream
    that breaks is taken up where it broke. Leaving the loop ends every thread.

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
    follower = _Follower(client, job, replica, tail)
    try:
        yield from follower.lines()
    finally:
        follower.close()


class _Follower:
    """A thread for the job, one for its pods, and one for each replica; one queue to read."""

    def __init__(
        self, client: Client, job: PyTorchJob, replica: str | None, tail: int | None
    ) -> None:
        self._client = client
        self._job = job
        self._replica = replica
        self._tail = tail
        self._items: queue.Queue[_Item] = queue.Queue(_BATCHES)
        self._streams = Streams()
        self._lock = threading.Lock()
        self._seen: set[tuple[str | None, int]] = set()
        self._open = 0

    def lines(self) -> Iterator[LogLine]:
        self._start(self._watch_job)
        self._start(self._watch_pods)
        job_ended = False
        while not (job_ended and self._open == 0):
            item = self._items.get()
            if isinstance(item, PyJobError):
                raise item
            if isinstance(item, _StreamEnded):
                with self._lock:
                    self._open -= 1
            elif isinstance(item, _JobEnded):
                # The last replicas may have been too brief for the watch to have told of them.
                for pod in self._client.list_pods(self._job):
                    self._consider(pod)
                job_ended = True
            else:
                yield from item

    def close(self) -> None:
        self._streams.close()

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
        for job in self._client.follow_job(self._job.name, streams=self._streams):
            if job is None or job.status.ended or job.metadata.uid != self._job.metadata.uid:
                break
        self._put(_JobEnded())

    def _watch_pods(self) -> None:
        for pod in self._client.follow_pods(self._job, streams=self._streams):
            self._consider(pod)

    def _consider(self, pod: Pod) -> None:
        """Start to read the log of a container that has started, unless that is done already."""
        container = pod.main_container
        if container is None or self._replica not in (None, pod.replica):
            return
        if not (container.state.running or container.state.terminated):
            return
        run = (pod.metadata.uid, container.restart_count)
        with self._lock:
            if run in self._seen:
                return
            self._seen.add(run)
            self._open += 1
        self._start(lambda: self._read(pod))

    def _read(self, pod: Pod) -> None:
        received = 0
        rest = b""
        try:
            for attempt in range(_RETRIES):
                try:
                    for chunk in self._from(pod, received):
                        received += len(chunk)
                        *whole, rest = (rest + chunk).split(b"\n")
                        self._put([_line(pod, text) for text in whole])
                    break
                except NotFoundError:
                    break  # deleted before its log was read
                except TargetError:
                    if self._tail is not None or attempt == _RETRIES - 1:
                        raise
                    time.sleep(0.1 * 2**attempt)
            if rest:
                self._put([_line(pod, rest)])
        finally:
            self._put(_StreamEnded())

    def _from(self, pod: Pod, skip: int) -> Iterator[bytes]:
        """Yield the log of `pod` without its first `skip` bytes, which have been read before."""
        for chunk in self._client.follow_log(pod.name, tail=self._tail, streams=self._streams):
            yield chunk[skip:]
            skip = max(0, skip - len(chunk))


def _line(pod: Pod, text: bytes) -> LogLine:
    return LogLine(pod.replica, text.decode(errors="replace").rstrip("\r"))
