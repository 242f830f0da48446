"""The one log follower: the lines of all replicas of a job, as they come."""

from __future__ import annotations

import contextlib
import math
import queue
import threading
import time
from collections import defaultdict, deque
from collections.abc import Callable, Generator, Iterator, Mapping
from datetime import datetime
from enum import Enum, auto
from functools import partial
from itertools import repeat
from typing import Any, NamedTuple, Self

from pyjob_magic._tables import some
from pyjob_magic.client import Client
from pyjob_magic.diagnosis import failed
from pyjob_magic.errors import (
    ForbiddenError,
    InvalidError,
    NotFoundError,
    PyJobError,
)
from pyjob_magic.informer import News
from pyjob_magic.interleaving import Part, Piece, interleaved
from pyjob_magic.keptlogs import Keeper, KeptLogs
from pyjob_magic.models import Pod, PyTorchJob
from pyjob_magic.overprint import shown
from pyjob_magic.podlog import PodLog
from pyjob_magic.stamps import Batch, StampedLines, moment
from pyjob_magic.streams import Streams, log

_BATCHES = 256  # how far replicas may run ahead of the reader before their streams wait
_REFRESH = 0.5  # seconds between two tellings of changes
_TOGETHER, _CALM = 2.0, 0.05  # seconds to wait for all replicas' old lines, and for the next ones
_MOST_MERGED = 20_000  # lines
_PODS = "the list of pods"


class LogText(str):
    """A log that a notebook shows as it is, not as a quoted string.

    Parameters
    ----------
    text
        The log.
    note
        What there is to say about it; shown above it.
    """

    note: str

    def __new__(cls, text: str, note: str = "") -> Self:
        """Make a text that bears a note."""
        made = super().__new__(cls, text)
        made.note = note
        return made

    def _repr_pretty_(self, printer: Any, _: bool) -> None:
        printer.text("\n".join(filter(None, [self.note, self.rstrip("\n")])))


class LogLine(NamedTuple):
    """One line of one replica, without its newline; as text it starts with the replica's name."""

    replica: str
    text: str

    def __str__(self) -> str:
        return f"[{self.replica}] {self.text}"


class Lines(list[LogLine]):
    """Lines of one replica that came together."""

    starts_again = False
    """Whether these are the first of a run of the replica that is not the first one read."""


class Follower:
    """Watches a job and its replicas, and reads what they print, until it is closed.

    The informers of the client tell of the job and its pods; a thread for each replica that prints
    puts its lines into the queue that `lines` empties. Replicas that do not run yet are waited
    for, and one that is restarted is followed again.

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
    most
        Of more replicas read only those that fail and so many others, the first ones.
    """

    def __init__(
        self,
        client: Client,
        job: PyTorchJob,
        *,
        replica: str | None = None,
        tail: int | None = None,
        most: int | None = None,
    ) -> None:
        self.job: PyTorchJob | None = job
        """The job as it was last seen; None once it is gone."""
        self.failed: dict[str, Pod] = {}
        """Replicas that were seen to fail, as they were then, by name of the pod."""
        self._client = client
        self._first = job
        # Those that are not followed unless they fail, and whether they are then.
        others = {*job.replica_names} - {replica} if replica else {*job.replica_names[most:]}
        self._others = others if replica or most is not None else set[str]()
        self._follows_failed = replica is None
        self._tail = tail
        self._several = replica is None and len(job.replica_names) > 1
        self._begun = time.time_ns()
        self._items: queue.SimpleQueue[_Item] = queue.SimpleQueue()
        self._later: deque[_Item] = deque()  # what was taken before its turn
        self._room = threading.Semaphore(_BATCHES)
        self._streams = Streams(self._note)
        self._evidence = threading.Event()
        self._lock = threading.Lock()
        self._logs: dict[str | None, PodLog] = {}  # by uid of the pod
        self._read: set[str | None] = set()  # of which pods a thread reads the log
        self._open = 0  # threads that read
        # Whose log was asked for, without an answer yet; and that of all pods was not heard yet.
        self._silent: set[str] = {_PODS}
        self._told = self._over = False  # whether the job was told of at all, and that it is over
        self._runs: dict[str, set[tuple[str | None, int]]] = defaultdict(set)  # by replica
        self._kept = KeptLogs(job.metadata.uid or "", len(job.replica_names))

    def lines(
        self,
        *,
        timeout: float | None = None,
        linger: float | None = None,
        on_change: Callable[[], None] | None = None,
        on_note: Callable[[str], None] = log.warning,
    ) -> Iterator[LogLine]:
        """Yield lines until the job has ended and all is read; as `batches`, one by one."""
        batches = self.batches(timeout=timeout, linger=linger, on_change=on_change, on_note=on_note)
        with contextlib.closing(batches):
            for batch in batches:
                yield from batch

    def batches(
        self,
        *,
        timeout: float | None = None,
        linger: float | None = None,
        on_change: Callable[[], None] | None = None,
        on_note: Callable[[str], None] = log.warning,
    ) -> Generator[Lines, None, None]:
        """Yield lines, each time those that have come, until the job has ended and all is read.

        Leaving the loop ends every thread. Of a line that returns to its start, as a progress bar
        does, its last look is told.

        Parameters
        ----------
        timeout
            Seconds after which it ends in any case.
        linger
            Seconds after the end of the job after which a replica that still runs is left, once
            what it has printed is read.
        on_change
            Called when the job or a replica has changed, at most twice a second.
        on_note
            Called with what keeps it waiting, or is missing; by default that is logged.
        """
        watches = [self._client.watch_pods(self._first, self._hear_of_pod)]
        try:
            if self._first.status.ended:
                self._items.put(_Mark.JOB_ENDED)
            else:
                watches.append(self._client.watch_job(self._first.name, self._hear_of_job))
            yield from self._batches(timeout, linger, on_change or (lambda: None), on_note)
            if self.job is not None and self.job.status.state == "Failed":
                # The watch on the pods may be a little behind the one on the job.
                self._evidence.wait(1.0)
        finally:
            self._streams.close()
            for end in watches:
                end()
            for pod_log in tuple(self._logs.values()):
                pod_log.wake()

    def close(self) -> None:
        """End it from another thread; what has come can still be read."""
        self._streams.close()
        self._items.put(_Mark.CLOSED)

    def partial(self) -> dict[str, str]:
        """Return how the last line of each replica looks whose end has not come.

        That is by name of the replica, only the end of long lines, and may be asked for in any
        thread: some progress bars are redrawn for hours before their line ends.
        """
        with self._lock:
            followed = [self._logs[uid] for uid in self._read]
        looks = {pod_log.pod.replica: shown(pod_log.begun) for pod_log in followed}
        return {replica: look for replica, look in looks.items() if look}

    def _batches(
        self,
        timeout: float | None,
        linger: float | None,
        on_change: Callable[[], None],
        on_note: Callable[[str], None],
    ) -> Iterator[Lines]:
        # At `calm` it is over if nothing is left to read, at `end` in any case.
        end = calm = math.inf if timeout is None else time.monotonic() + timeout
        refresh = math.inf  # when to tell of changes; never while there are none
        refreshed = -math.inf
        noted = ""
        job_ended = False
        while not (job_ended and self._open == 0) and (now := time.monotonic()) < end:
            if now >= refresh:
                on_change()
                refresh, refreshed = math.inf, time.monotonic()
            try:
                until = min(calm, refresh)
                left = None if until == math.inf else max(0, until - now)
                item = self._later.popleft() if self._later else self._items.get(timeout=left)
            except queue.Empty:
                if time.monotonic() >= calm:
                    return
                continue
            if isinstance(item, PyJobError):
                raise item
            if isinstance(item, str):
                if item != noted:
                    on_note(noted := item)
            elif item is _Mark.UNKNOWN:
                self._look_for_job()
            elif item is _Mark.CHANGED:
                refresh = min(refresh, max(now, refreshed + _REFRESH))
            elif item is _Mark.STREAM_ENDED:
                with self._lock:
                    self._open -= 1
            elif item is _Mark.CLOSED:
                return
            elif item is _Mark.JOB_ENDED:
                self._look_around()
                job_ended = True
                if linger is not None:
                    calm, end = time.monotonic() + linger, time.monotonic() + 10 * linger
            elif self._is_old(item):
                yield from self._merged(item)
            else:
                self._room.release()
                yield _told(item)

    def _is_old(self, part: Part) -> bool:
        """Whether it was printed before all this began, and others may have printed meanwhile."""
        return self._several and part.batch.began < self._begun

    def _merged(self, first: Part) -> Iterator[Lines]:
        """Yield old lines of all replicas by their times; the logs of some come before others'."""
        parts, lines, until = [first], len(first.lines), time.monotonic() + _TOGETHER
        while lines < _MOST_MERGED and (left := until - time.monotonic()) > 0:
            try:
                item = self._items.get(timeout=min(left, _CALM))
            except queue.Empty:
                if self._silent:
                    continue
                break
            if isinstance(item, Part):
                self._room.release()  # so that the others can go on
                parts.append(item)
                lines += len(item.lines)
            else:
                self._later.append(item)
        self._room.release()
        # Of logs that long the pieces are told as they come: less would be seen of each, and later.
        for each in interleaved(parts) if lines < _MOST_MERGED else parts:
            yield _told(each)

    def _look_around(self) -> None:
        """Look for replicas that were too brief for the watch to have told of them."""
        try:
            for pod in self._client.list_pods(self._first):
                self._consider(pod)
        except ForbiddenError as error:
            self._note(str(error))
        for replica in self._first.replica_names:
            self._consider_kept(replica)

    # -- what the informers tell, in their threads -----------------------------------------------

    def _hear_of_job(self, news: News, value: Any) -> None:
        if self._over:
            return
        if news is News.FAILED or news is News.NOTE:
            self._items.put(value)
        elif news is News.SYNCED:
            if not self._told:
                self._items.put(_Mark.UNKNOWN)
        else:
            ours = news is News.CHANGED and value.metadata.uid == self._first.metadata.uid
            self._told = True
            self._see(value if ours else None)

    def _see(self, job: PyTorchJob | None) -> None:
        """Note how the job is; None if it is gone."""
        self.job = job
        self._over = job is None or job.status.ended
        self._items.put(_Mark.JOB_ENDED if self._over else _Mark.CHANGED)

    def _look_for_job(self) -> None:
        """Ask for the job: a watch that was under way for others may tell of a new one late."""
        try:
            job = self._client.get_job(self._first.name)
        except NotFoundError:
            found = False
        else:
            found = job.metadata.uid == self._first.metadata.uid
        if not found and not self._told:
            self._see(None)

    def _hear_of_pod(self, news: News, value: Any) -> None:
        if news is News.SYNCED or news is News.FAILED:
            self._silent.discard(_PODS)
        if news is News.CHANGED or news is News.DELETED:
            self._items.put(_Mark.CHANGED)
            self._consider(value, deleted=news is News.DELETED)
        elif isinstance(value, ForbiddenError):
            self._note(str(value))  # the job can be waited for all the same
        elif news is News.FAILED or news is News.NOTE:
            self._items.put(value)

    def _note(self, sentence: str) -> None:
        self._items.put(sentence)

    def _consider(self, pod: Pod, *, deleted: bool = False) -> None:
        """Note a failure, and start to read the log of a container that has started anew."""
        if failed([pod]):
            self.failed.setdefault(pod.name, pod)
            self._evidence.set()
            if self._follows_failed:
                self._others.discard(pod.replica)
        if pod.replica in self._others:
            return
        uid = pod.metadata.uid
        with self._lock:
            pod_log = self._logs.get(uid)
            if pod_log is None:
                pod_log = self._logs[uid] = PodLog(
                    self._client,
                    pod,
                    self._streams,
                    tail=self._tail,
                    note=self._note,
                    answered=lambda: self._silent.discard(pod.replica),
                )
            pod_log.update(pod, deleted=deleted)
            if uid in self._read or not pod_log.has_more:
                return
            self._read.add(uid)
            self._expect(pod.replica)
        self._start(pod.replica, lambda: self._read_log(pod_log))

    def _consider_kept(self, replica: str) -> None:
        """Read the log of a replica that was never seen: it may be kept though the pod is gone."""
        if replica in self._others:
            return
        with self._lock:
            if any(each.pod.replica == replica for each in self._logs.values()):
                return
            self._expect(replica)
        self._start(replica, lambda: self._read_kept(replica))

    def _expect(self, replica: str) -> None:
        """Take note that there will be a thread; the caller has the lock."""
        self._open += 1
        self._silent.add(replica)

    # -- threads ------------------------------------------------------------------------------

    def _start(self, replica: str, work: Callable[[], None]) -> None:
        run = partial(self._run, replica, work)
        threading.Thread(target=run, name="pyjob-logs", daemon=True).start()

    def _run(self, replica: str, work: Callable[[], None]) -> None:
        try:
            work()
        except PyJobError as error:
            self._items.put(error)
        finally:
            self._silent.discard(replica)
            self._items.put(_Mark.STREAM_ENDED)

    def _put(self, replica: str, batch: Batch, *, starts_again: bool = False) -> None:
        """Hand lines to the reader; wait if it is behind, give up if it is gone."""
        lines = batch.lines
        if "\r" in batch.raw:
            lines = [shown(line) if "\r" in line else line for line in lines]
        while lines and not self._streams.closed:
            if self._room.acquire(timeout=0.5):
                self._items.put(Part(replica, lines, starts_again, batch))
                return

    def _read_log(self, pod_log: PodLog) -> None:
        pod, keeper = pod_log.pod, None
        if not self._client.target.keeps_logs:
            keeper = Keeper(self._kept, pod.replica, pod.metadata.uid or "", self._note)
        try:
            while True:
                for batch in pod_log.read():
                    if keeper:
                        keeper.keep(pod_log.run, batch.raw)
                    starts_again = self._starts_again(pod, pod_log.run)
                    self._put(pod.replica, batch, starts_again=starts_again)
                with self._lock:
                    if self._streams.closed or not pod_log.has_more:
                        self._read.discard(pod.metadata.uid)
                        return
        finally:
            if keeper:
                keeper.close()

    def _starts_again(self, pod: Pod, run: int) -> bool:
        """Note of which run lines are read; return whether others were, but none of this one."""
        with self._lock:
            runs = self._runs[pod.replica]
            again = bool(runs) and (pod.metadata.uid, run) not in runs
            runs.add((pod.metadata.uid, run))
        return again

    def _read_kept(self, replica: str) -> None:
        if not self._client.target.keeps_logs:
            if kept := self._kept.read(replica):
                self._note(seen_until({replica: kept.until}))
                self._put(replica, kept.batch.last(self._tail))
            return
        pod = f"{self._first.name}-{replica}"
        try:
            log = self._client.read_log(pod, tail=self._tail, stamped=True)
        except (NotFoundError, InvalidError):
            return  # it has never run
        lines = StampedLines()
        self._put(replica, lines.feed(log))
        self._put(replica, lines.finish())


class _Mark(Enum):
    CHANGED = auto()  # the job or a replica is not what it was
    JOB_ENDED = auto()  # nothing new will start
    UNKNOWN = auto()  # the job was not among those that the informer knows
    CLOSED = auto()  # nobody wants to know any more
    STREAM_ENDED = auto()  # a replica's log has been read to its end


_Item = Part | _Mark | PyJobError | str


def seen_until(times: Mapping[str, str]) -> str:
    """Return the note on logs that are shown as they were seen, by replica: until when."""
    latest = max(times.values(), key=moment)
    local = datetime.fromtimestamp(moment(latest) / 1e9).astimezone()
    pods, it = ("pod is", "it") if len(times) == 1 else ("pods are", "they")
    names = some([*times])
    return f"({names}: {pods} gone; this is what was seen while {it} ran, up to {local:%X})"


_as_line = partial(tuple.__new__, LogLine)  # half the time of LogLine(replica, text)


def _told(part: Part | Piece) -> Lines:
    lines = Lines(map(_as_line, zip(repeat(part.replica), part.lines)))
    lines.starts_again = part.starts_again
    return lines
