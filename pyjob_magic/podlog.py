"""The log of one pod: run after run, each line once, whatever happens on the way.

A server knows logs by the name of the pod: it answers with the run that it takes for the last, and
does not say which that is. So once it has begun to answer, the pod is asked for; what was answered
from another run than the one that is read is thrown away. As times go on from run to run, the time
of the last line tells what is new also where the pod tells of a new run too late.
"""

from __future__ import annotations

import random
import sys
import threading
from collections.abc import Callable, Generator, Iterator
from enum import Enum, auto
from typing import NamedTuple

from pyjob_magic import errors
from pyjob_magic.client import Client
from pyjob_magic.models import Pod
from pyjob_magic.stamps import Batch, Position, StampedLines, moment
from pyjob_magic.streams import Streams

_SHORTEST, _LONGEST = 0.005, 5.0  # seconds before a log is asked for again
_LIKELY_END = 0.02  # the same, where it seems to be over
_DOUBTS = 6  # how often a log must end alike before it is taken for whole though its end differs
_EMPTY = 3  # the same for one of which nothing was ever seen; many print nothing
_PATIENCE = 10.0  # seconds for a run that has ended, as long as its log cannot be read


class Run(NamedTuple):
    """The last run of a pod's container that was started."""

    number: int
    ended: bool

    @classmethod
    def of(cls, pod: Pod) -> Run | None:
        """Return what the status of `pod` says; None if its container has never run."""
        container = pod.main_container
        if container is None:
            return None
        state, last = container.state, container.last_state
        ended = state.terminated is not None
        if state.running is None and not ended:
            # It waits, perhaps to be restarted.
            if last is None or last.terminated is None:
                return None
            ended = True
        return cls(container.restart_count, ended)


class PodLog:
    """Reads the log of one pod.

    Parameters
    ----------
    client
        Where it is.
    pod
        The pod as it was last seen.
    streams
        Of whoever reads.
    tail
        Start with at most this many old lines.
    note
        Takes a sentence for whoever waits.
    answered
        Called when the server begins to answer, before any line.
    """

    def __init__(
        self,
        client: Client,
        pod: Pod,
        streams: Streams,
        *,
        tail: int | None = None,
        note: Callable[[str], None],
        answered: Callable[[], None] = lambda: None,
    ) -> None:
        self.pod = pod
        """The pod as it was last seen."""
        self.run = _first_run(pod)
        """Number of the run that is being read."""
        self._client = client
        self._streams = streams
        self._tail = tail
        self._note = note
        self._on_answer = answered
        self._lock = threading.Lock()
        self._news = threading.Event()
        self._gone = False
        self._finished = self.run - 1  # number of the last run that was read to its end
        self._position: Position | None = None
        self._lines = StampedLines()
        self._before: Position | None = None  # where the last answer began
        self._answered = self._clean = False  # whether that one came, and did not break off
        self._last = ""  # line that was read, with its time
        self._end: tuple[Position | None, bytes] | None = None  # that did not fit, and where
        self._doubts = 0  # how often it was found so
        self._pause, self._waited = 0.0, 0.0

    @property
    def has_more(self) -> bool:
        """Whether there is a run that was not read to its end."""
        run = Run.of(self.pod)
        return run is not None and run.number > self._finished

    @property
    def begun(self) -> str:
        """The end of the last line, as far as it has come, if its newline has not."""
        return self._lines.begun

    def update(self, pod: Pod, *, deleted: bool = False) -> None:
        """Take note of how the pod is now, or was before it was deleted."""
        with self._lock:
            before, now = Run.of(self.pod), Run.of(pod)
            if before is None or (now is not None and now >= before):
                self.pod = pod
            self._gone |= deleted
        self._news.set()

    def wake(self) -> None:
        """Let it look whether it is still wanted."""
        self._news.set()

    def read(self) -> Iterator[Batch]:
        """Yield lines until there is no run that was not read to its end.

        Raises
        ------
        TargetError
            If nothing answers for a long time.
        """
        while self.has_more and not self._streams.closed:
            before = self._position
            try:
                outcome = yield from self._follow()
                if outcome is _Outcome.RESTARTED:
                    yield from self._catch_up()
                    continue
                if self._settled and self._confirms(self._lines):
                    outcome = _Outcome.READ
            except errors.TargetError:
                if not self._answered:
                    raise  # `Rest` has been patient already
                outcome = _Outcome.CUT
            except errors.ApiError as error:
                outcome = self._judge(error)
            if outcome is _Outcome.READ:
                yield from self._some(self._lines.finish())
                self._lines, self._end, self._tail = StampedLines(), None, None
                self._clean = False
                self._finished, self.run = self.run, self.run + 1
                self._waited = self._pause = 0.0
            else:
                shortest = _LIKELY_END if outcome is _Outcome.ENDED else _SHORTEST
                self._wait(shortest, achieved=self._position != before)

    def _follow(self) -> Generator[Batch, None, _Outcome]:
        """Yield what is new of the run until the answer ends; return how that was."""
        self._answered, clean, self._clean = False, self._clean, False
        with self._client.stream_log(
            self.pod.name, self._streams, tail=self._tail, since=self._position
        ) as chunks:
            self._answered = True
            if self._look() > self.run:
                self._clean = clean
                return _Outcome.RESTARTED
            self._on_answer()
            self._before = self._position
            self._lines = StampedLines(self._position)
            for chunk in chunks:
                batch = self._lines.feed(chunk)
                self._position = self._reached(self._lines, self._before)
                yield from self._some(batch)
        self._clean = True
        return _Outcome.ENDED

    def _confirms(self, lines: StampedLines, *, previous: bool = False) -> bool:
        """Whether the log of a run that is over was read to its end.

        Perhaps not the log has ended, but only the answer: proxies do that. So the last line is
        asked for, and as that answer may be cut, too, one that does not fit must come often, with
        nothing more read in between: a log that was rotated has no line at its end.
        """
        run = Run.of(self.pod)
        if not previous and run is not None and run.number > self.run:
            return False  # it would be that of the next run
        with self._client.stream_log(
            self.pod.name, self._streams, tail=1, previous=previous
        ) as chunks:
            last = b"".join(chunks)
        expected = lines.rest.decode(errors="replace") or self._last
        fits = last.decode(errors="replace") == expected
        if fits and last:
            return True
        before, self._end = self._end, (lines.position, last)
        self._doubts = self._doubts + 1 if before == self._end else 1
        return self._doubts >= (_EMPTY if fits else _DOUBTS)

    def _reached(self, lines: StampedLines, had: Position | None) -> Position | None:
        """Return how far the log has been read by an answer that begins at `had`."""
        reached = lines.position
        if reached and reached.stamp == lines.first and had is None and self._tail is not None:
            # Lines before those that were asked for may have the same time.
            return reached._replace(lines=sys.maxsize)
        return reached

    def _catch_up(self) -> Iterator[Batch]:
        """Yield what is missing of the runs before the last one, which is to be read next."""
        number, had, first = self._look(), self._position, self._lines.first
        own = not self._clean  # whether the rest of the run that was read is missing
        between = number - self.run - 1
        if self._waits_after_end():
            lost = between + own  # what the server calls the previous run is the last one
        else:
            lost = between - 1 + own if between else 0
            self.run = number - 1
            try:
                met = yield from self._previous(had)
                if had and first and not met and not between:
                    # The pod told too late: what was read last was the beginning of the next run.
                    yield from self._previous(self._before, until=first)
            except errors.ApiError:
                lost += 1 if between else own
        if lost:
            runs = "a run" if lost == 1 else f"{lost} runs"
            self._note(f"{self.pod.replica} was restarted so soon that the log of {runs} is lost")
        self.run, self._end, self._tail, self._clean = number, None, None, False

    def _previous(
        self, had: Position | None, until: str | None = None
    ) -> Generator[Batch, None, bool]:
        """Yield what is new of the run before the last; return whether the last line was met.

        Parameters
        ----------
        had
            The last line that was had before.
        until
            Leave out what is not before this time.
        """
        position, met = had, False
        while True:
            lines = StampedLines(position, until=None if until is None else moment(until))
            self._answered = False
            try:
                with self._client.stream_log(
                    self.pod.name,
                    self._streams,
                    tail=self._tail,
                    since=position,
                    previous=True,
                ) as chunks:
                    self._answered = True
                    for chunk in chunks:
                        yield from self._some(lines.feed(chunk))
                if self._confirms(lines, previous=True):
                    yield from self._some(lines.finish())
                    return met or lines.met
                self._wait(_SHORTEST, achieved=lines.position != position)
            except errors.TargetError:
                if not self._answered or self._streams.closed:
                    raise
                self._wait(_SHORTEST, achieved=lines.position != position)
            finally:
                met |= lines.met  # also where it was cut behind that line
                position = self._reached(lines, position)
                if until is None:
                    self._position = position

    def _look(self) -> int:
        """Ask for the pod; return the number of its last run."""
        try:
            pod = self._client.get_pod(self.pod.name)
        except errors.NotFoundError:
            self._gone = True
        except errors.ApiError:
            pass  # who may read logs may perhaps not read pods
        else:
            if pod.metadata.uid == self.pod.metadata.uid:
                self.update(pod)
            else:
                raise errors.NotFoundError(
                    f"read the log of {pod.name}",
                    "another pod has this name by now",
                    target=self._client.target.name,
                    code=404,
                )
        run = Run.of(self.pod)
        return run.number if run else 0

    def _judge(self, error: errors.ApiError) -> _Outcome:
        """Return how to go on after the server has refused to show the log."""
        passing = error.code >= 500 or error.code == 429 or "waiting to start" in error.message
        if passing and not (self._settled and self._waited > _PATIENCE):
            return _Outcome.ENDED
        if not isinstance(error, errors.NotFoundError):
            self._note(f"logs of {self.pod.replica} cannot be read: {error}")
        run = Run.of(self.pod)
        self.run = max(self.run, run.number if run else 0)
        return _Outcome.READ

    @property
    def _settled(self) -> bool:
        """Whether the run that is being read has ended for all we know."""
        run = Run.of(self.pod)
        return self._gone or (run is not None and (run.ended or run.number > self.run))

    def _some(self, batch: Batch) -> Iterator[Batch]:
        if batch.lines:
            self._last = batch.raw[batch.raw.rfind("\n", 0, -1) + 1 :]
            yield batch

    def _waits_after_end(self) -> bool:
        container = self.pod.main_container
        return container is not None and container.state.waiting is not None

    def _wait(self, shortest: float, *, achieved: bool) -> None:
        """Wait for a change of the pod, for a time that grows while nothing comes."""
        if achieved:
            self._pause = self._waited = 0.0
        self._pause = min(_LONGEST, max(shortest, 2 * self._pause))
        pause = self._pause * random.uniform(0.5, 1.0)  # noqa: S311  # not all clients at once
        self._news.clear()
        if self._settled:
            self._streams.sleep(pause)
        elif not self._streams.closed:
            self._news.wait(pause)
        self._waited += pause


def _first_run(pod: Pod) -> int:
    """Return the number of the first run whose log can be had: of that before the last, if any."""
    run, container = Run.of(pod), pod.main_container
    if run is None or container is None:
        return 0
    return run.number if container.state.waiting else max(0, run.number - 1)


class _Outcome(Enum):
    READ = auto()  # the run has ended, and there is no more of its log
    ENDED = auto()  # the answer has ended, or there was none yet
    CUT = auto()  # the answer has broken off
    RESTARTED = auto()  # the pod has gone on to another run
