"""Follows one job and knows what there is to show of it; whoever shows it asks for what changed."""

from __future__ import annotations

import math
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import replace
from datetime import UTC, datetime
from enum import StrEnum
from typing import Any
from weakref import WeakValueDictionary

from pyjob_magic import _states, _view, history
from pyjob_magic._card import Card
from pyjob_magic._logbook import LogBook, Numbered
from pyjob_magic._readings import Readings
from pyjob_magic.diagnosis import READ_LINES, Diagnosis, failed
from pyjob_magic.errors import PyJobError
from pyjob_magic.informer import News
from pyjob_magic.job import LINGER, Job
from pyjob_magic.logs import Follower, Lines, LogLine
from pyjob_magic.metrics import Progress
from pyjob_magic.models import Event, JobStatus, Pod, PyTorchJob
from pyjob_magic.retries import TRYING_AGAIN
from pyjob_magic.streams import log
from pyjob_magic.timeline import Timeline

MOST_FOLLOWED = 64
"""Replicas whose logs are read without being asked for."""

_LOOK_UP = 0.5  # seconds until who waits looks whether there is a note
_LOOK_AGAIN = 10.0  # seconds until events are asked for though nothing has changed
_GOODBYE = 15.0  # seconds that replicas are waited for which are being stopped at the end
_LOOKS_APART = 1.0  # seconds between two questions for events
_TAIL, _MOST_TAIL = 200, 1000  # lines that are told at least, and at once
_TAIL_CHARACTERS = 300_000
_STATIC_LINES = 40  # of the log, in what is saved


class Part(StrEnum):
    """What a card shows; each part is told anew when something in it has changed."""

    HEAD = "head"
    PROGRESS = "progress"
    REPLICAS = "replicas"
    TIMELINE = "timeline"
    CHARTS = "charts"
    EVENTS = "events"
    MANIFEST = "manifest"
    LOG = "log"


_followed: WeakValueDictionary[str, Monitor] = WeakValueDictionary()  # by uid of the job


def fractions() -> dict[str, float]:
    """Return how much is done of the jobs that cards of this kernel follow, by uid."""
    told = {uid: monitor.fraction for uid, monitor in tuple(_followed.items())}
    return {uid: fraction for uid, fraction in told.items() if fraction is not None}


class Monitor:
    """Follows a job until it has ended or is gone.

    One thread reads what the replicas print, another one asks for events and why the job waits or
    failed; of the job and its pods the client's informers tell.

    Parameters
    ----------
    job
        The job; its manifest is kept up to date.
    first
        What is known of its replicas and events already.
    """

    def __init__(self, job: Job, first: Card | None = None) -> None:
        self.job = job
        self.book = LogBook(job.replica_names)
        self.view = ""
        """Whose lines are followed: of one replica, or of all."""
        self._lock = threading.RLock()
        self._gone = False
        self._status = ""
        self._pods: dict[str, Pod] = {}  # the last one of each replica
        self._seen: set[str] = set()  # replicas that had a pod
        self._failed: dict[str, Pod] = {}  # as they were seen to fail, by name
        self._events: list[Event] = []
        self._diagnosis: Diagnosis | None = None
        self._manifest = job.manifest  # as the watch has told; an answer may be older than that
        self._timeline = Timeline(job.manifest)
        self._readings = Readings()
        self._tail_from = 0  # what was told last, in the view that was followed
        self._tail_view = ""
        self._partial: dict[str, str] = {}
        self._error: PyJobError | None = None  # why it is followed no longer
        self._changed = set(Part)
        self._news = threading.Condition(self._lock)
        self._look = threading.Event()
        self._read = threading.Event()  # set when nothing more will be read
        self._examined = threading.Event()  # set when it is known why the job ended as it did
        self._over = threading.Event()  # set when nothing more will change
        if first is not None:
            self._take_over(first)
        _followed[job.uid] = self
        self._follower = Follower(job.client, job.manifest, most=MOST_FOLLOWED)
        self._others: dict[str, Follower] = {}  # by replica, of those that somebody wants to see
        self._watches: list[Callable[[], None]] = []

    def start(self) -> None:
        """Begin to follow the job."""
        self._watches = [
            self.job.client.watch_pods(self._manifest, self._hear_of_pod),
            self.job.client.watch_job(self.job.name, self._hear_of_job),
        ]
        self._in_thread(self._read_lines)
        self._in_thread(self._look_around)

    def rerun(self) -> Job:
        """Submit the job once more; return the handle on that."""
        return self.job.rerun()

    @property
    def fraction(self) -> float | None:
        """How much of the job is done, from 0 to 1, as far as it says; None once it has ended."""
        with self._lock:
            told = None if self.over else self._progress(datetime.now(UTC))
        return told[1].fraction if told else None

    def close(self) -> None:
        """Follow the job no longer; what is known of it stays."""
        with self._lock:
            followers = [self._follower, *self._others.values()]
        for follower in followers:
            follower.close()
        self._read.set()
        self._look.set()

    @property
    def name(self) -> str:
        """Name of the job."""
        return self.job.name

    @property
    def over(self) -> bool:
        """Whether nothing more will change."""
        return self._over.is_set()

    def wait_for_reasons(self, timeout: float) -> None:
        """Once nothing more is read: wait until it is known why the job ended as it did."""
        if self._read.is_set():
            self._examined.wait(timeout)

    @property
    def state(self) -> str:
        """How the job fares, in one word."""
        return "Deleted" if self._gone else self._manifest.status.state

    def wait(
        self, timeout: float | None = None, *, on_note: Callable[[str], None] = lambda _: None
    ) -> JobStatus:
        """Block until the job has ended; as `Job.wait`."""
        end = math.inf if timeout is None else time.monotonic() + timeout
        told = ""
        while not self._read.is_set() and (left := end - time.monotonic()) > 0:
            self._read.wait(min(_LOOK_UP, left))
            if self._status not in ("", told):
                on_note(told := self._status)
        if self._error is not None:
            raise self._error
        series = self._readings.series
        return self.job.conclude(self._follower, self._ends(), timeout, series=series)

    def follow(self, view: str, *, on_read: Callable[[], object] = lambda: None) -> None:
        """Tell of the lines of one replica from now on, or of all.

        Parameters
        ----------
        view
            Name of the replica; empty for all.
        on_read
            Called in another thread when all lines of a replica are read that was not followed
            before.

        Raises
        ------
        KeyError
            If there is no such replica.
        """
        self.book.total(view)
        with self._lock:
            self.view = view
            self._touch(Part.LOG)
            if view in ("", *self._others) or view in self.job.replica_names[:MOST_FOLLOWED]:
                return
            if not self.book.total(view):  # else it has failed, and is followed already
                follower = Follower(self.job.client, self._manifest, replica=view)
                self._others[view] = follower
                self._in_thread(lambda: self._read_other(follower, on_read))

    def note_deletion(self) -> None:
        """Show that the job was deleted, also when it is followed no longer."""
        with self._lock:
            self._see_gone(datetime.now(UTC))
            self._touch(Part.HEAD, Part.REPLICAS, Part.TIMELINE)

    def say_stopped(self) -> None:
        """Show that what is shown is kept up to date no longer."""
        self._say(f"this card has stopped; %pytorchjob show {self.job.name} opens a new one")

    def changes(self, timeout: float) -> set[Part]:
        """Return what has changed since the last call; wait for that, but not for ever."""
        with self._news:
            if not self._changed and not self.over:
                self._news.wait(timeout)
            # A bar that is redrawn within its line is no news to anybody else.
            partial = self._follower.partial()
            for follower in self._others.values():
                partial |= follower.partial()
            if partial != self._partial:
                self._partial = partial
                self._changed |= {Part.LOG, Part.PROGRESS}
            changed, self._changed = self._changed, set()
            return changed

    # -- what there is to show ------------------------------------------------------------------

    def tell(self, part: Part) -> dict[str, Any]:
        """Return a part as the front end takes it, by the names of what it consists of."""
        now = datetime.now(UTC)
        with self._lock:
            return getattr(self, f"_tell_{part}")(now)  # type: ignore[no-any-return]

    def bundle(self, card_id: str) -> dict[str, str]:
        """Return the job as HTML and text, as far as it is known now."""
        now = datetime.now(UTC)
        with self._lock:  # also while it is drawn
            return replace(self._card(now), card_id=card_id)._repr_mimebundle_()

    def _card(self, now: datetime) -> Card:
        total = self.book.total()
        _, progress, left = self._progress(now) or ("", None, None)
        return Card(
            self._manifest,
            self.job.place,
            pods=self._replicas(),
            events=self._events,
            diagnosis=self._diagnosis,
            timeline=self._timeline,
            series=self._readings.series,
            metrics_note=self._readings.note,
            progress=progress._replace(left=left if progress.fraction < 1 else None)
            if progress
            else None,
            log_tail=self._named(self.book.lines("", total - _STATIC_LINES, _STATIC_LINES)),
            log_total=total,
            yaml=_view.yaml_of(self._manifest, self.job.client.target),
            now=now,
        )

    def _tell_head(self, now: datetime) -> dict[str, Any]:
        suspends = self.job.client.target.dialect.suspends
        head = _view.head(
            self._card(now), now, gone=self._gone, status=self._status, can_suspend=suspends
        )
        return {"head": head}

    def _tell_progress(self, now: datetime) -> dict[str, Any]:
        replica, heard, left = self._progress(now) or ("", None, None)
        return {"progress": _view.progress(heard, replica, left, now.timestamp())}

    def _tell_replicas(self, _: datetime) -> dict[str, Any]:
        ended = self._gone or self._manifest.status.ended
        replicas = _view.replicas(
            self.job.replica_names, self._replicas(), ended=ended, seen=self._seen
        )
        return {"replicas": replicas}

    def _tell_timeline(self, now: datetime) -> dict[str, Any]:
        return {"timeline": _view.timeline(self._timeline, now)}

    def _tell_charts(self, _: datetime) -> dict[str, Any]:
        charts, note = _view.charts(self._readings.series)
        return {"charts": charts, "charts_note": note, "metrics_note": self._readings.note}

    def _tell_events(self, _: datetime) -> dict[str, Any]:
        return {"events": _view.events(self._events)}

    def _tell_manifest(self, _: datetime) -> dict[str, Any]:
        return {"manifest": _view.manifest(self._manifest, self.job.client.target)}

    def _tell_log(self, _: datetime) -> dict[str, Any]:
        book, view = self.book, self.view
        total = book.total(view)
        told = self._tail_from if view == self._tail_view else 0
        if total - told > _MOST_TAIL:
            told = total  # it prints too fast for all to be told: then as little as is seen
        start = max(0, min(told, total - _TAIL))
        lines = book.lines(view, start, total - start)
        lines = lines[len(lines) - _fitting(lines) :]
        self._tail_from, self._tail_view = total, view
        names = self.job.replica_names
        partial = [
            (names.index(name), text)
            for name, text in self._partial.items()
            if view in ("", name) and name in names
        ]
        return {
            "log": {
                "replicas": names,
                "totals": book.totals(),
                "total": book.total(),
                "note": "; ".join(filter(None, [book.problem, self._left_out()])),
            },
            "view": view,
            "tail": {
                "view": view,
                "start": total - len(lines),
                "lines": lines,
                "partial": partial,
                "begun": book.begun(view),
            },
        }

    def _left_out(self) -> str:
        others = len(self.job.replica_names) - MOST_FOLLOWED
        if others <= 0:
            return ""
        return (
            f"of {MOST_FOLLOWED} replicas and of those that fail; choose one of the {others} "
            "others to see its lines, too"
        )

    def _replicas(self) -> list[Pod]:
        return [self._pods[name] for name in self.job.replica_names if name in self._pods]

    def _progress(self, now: datetime) -> tuple[str, Progress, float | None] | None:
        return self._readings.progress(self.job.replica_names, self._partial, now.timestamp())

    def _named(self, lines: list[Numbered]) -> list[LogLine]:
        names = self.book.replicas
        return [LogLine(names[who], text) for who, text in lines]

    def _ends(self) -> Mapping[str, str]:
        """Return the ends of the logs, by replica."""
        return {
            name: "\n".join(
                text for _, text in self.book.lines(name, total - READ_LINES, READ_LINES)
            )
            for name, total in self.book.totals().items()
            if total
        }

    # -- what the informers tell, in their threads -------------------------------------------------

    def _hear_of_job(self, news: News, value: Any) -> None:
        with self._lock:
            if self.over:
                return
            now = datetime.now(UTC)
            if news is News.CHANGED and value.metadata.uid == self._manifest.metadata.uid:
                self._see_job(value, now)
            elif news is News.DELETED and value.metadata.uid == self._manifest.metadata.uid:
                self._see_gone(now)
            elif news is News.NOTE:
                self._say(value)
                return
            elif news is News.FAILED:
                self._say(str(value))
                return
            self._say("")
            self._touch(Part.HEAD, Part.REPLICAS, Part.TIMELINE)
            self._look.set()

    def _hear_of_pod(self, news: News, value: Any) -> None:
        if news is not News.CHANGED and news is not News.DELETED:
            return
        with self._lock:
            self._see_pod(value, datetime.now(UTC), deleted=news is News.DELETED)
            if news is News.DELETED and _is_going(value):
                self._pods.pop(value.replica, None)  # it is gone; how others have ended stays
            self._touch(Part.HEAD, Part.REPLICAS, Part.TIMELINE)
            self._look.set()

    def _see_job(self, job: PyTorchJob, now: datetime) -> None:
        if job.metadata.generation != self._manifest.metadata.generation:
            self._touch(Part.MANIFEST)
        self._manifest = self.job.manifest = job
        self._timeline.see_job(job, now)

    def _see_gone(self, now: datetime) -> None:
        self._gone = True
        self._timeline.see_gone(now)

    def _see_pod(self, pod: Pod, now: datetime, *, deleted: bool = False) -> None:
        self._timeline.see_pod(pod, now, deleted=deleted)
        self._pods[pod.replica] = pod
        self._seen.add(pod.replica)
        if failed([pod]):
            self._failed.setdefault(pod.name, pod)

    def _say(self, sentence: str) -> None:
        """Show what keeps the card from being up to date; nothing if it is."""
        with self._lock:
            if sentence != self._status:
                self._status = sentence
                self._touch(Part.HEAD)

    def _touch(self, *parts: Part) -> None:
        with self._news:
            self._changed.update(parts)
            self._news.notify_all()

    def _take_over(self, card: Card) -> None:
        now = datetime.now(UTC)
        for pod in card.pods:
            self._see_pod(pod, now)
        self._events, self._diagnosis = [*card.events], card.diagnosis
        self._timeline.see_events(card.events)

    # -- threads ----------------------------------------------------------------------------------

    def _read_lines(self) -> None:
        try:
            for lines in self._follower.batches(linger=LINGER, on_note=self._say):
                self._take(lines)
        except PyJobError as error:
            self._error = error
            self._say(f"{error}; %pytorchjob show {self.job.name} looks again")
        except Exception as error:
            log.exception("the lines of PyTorchJob %r are read no longer", self.name)
            self._say(f"no more lines are read: {type(error).__name__}: {error}")
        finally:
            with self._lock:
                if self._follower.job is None:
                    self._see_gone(datetime.now(UTC))
                    self._touch(Part.HEAD, Part.REPLICAS, Part.TIMELINE)
            self._read.set()
            self._look.set()

    def _read_other(self, follower: Follower, on_read: Callable[[], object]) -> None:
        try:
            for lines in follower.batches(linger=LINGER, on_note=self._say):
                self._take(lines)
        except PyJobError as error:
            self._say(str(error))
        on_read()

    def _in_thread(self, work: Callable[[], None]) -> None:
        threading.Thread(target=work, name="pyjob-card", daemon=True).start()

    def _take(self, lines: Lines) -> None:
        if not lines or lines[0].replica not in self.book.replicas:
            return
        replica, texts = lines[0].replica, [line.text for line in lines]
        self.book.add(replica, texts, starts_again=lines.starts_again)
        with self._lock:
            self._readings.take(replica, texts, datetime.now(UTC).timestamp())
            self._touch(Part.LOG, Part.CHARTS, Part.PROGRESS)

    def _look_around(self) -> None:
        """Ask for events, and why the job waits or failed, when something has changed."""
        logged: set[str] = set()
        try:
            last = math.inf  # when replicas that are being stopped are waited for no longer
            while True:
                self._look.wait(_LOOK_AGAIN)
                self._look.clear()
                # Asked before: what comes last is looked at, too.
                if self._read.is_set() and last == math.inf:
                    last = time.monotonic() + _GOODBYE
                going = any(map(_is_going, self._replicas()))
                ended = time.monotonic() >= (last if going else last - _GOODBYE)
                try:
                    self._examine()
                except PyJobError as error:
                    if ended:
                        self._say(str(error))
                except Exception as error:  # what is strange must not keep the rest from view
                    if (said := repr(error)) not in logged:
                        logged.add(said)
                        log.exception("PyTorchJob %r cannot be diagnosed", self.name)
                    self._say(f"why it waits or failed is not known: {said}")
                if last < math.inf:
                    self._examined.set()
                if ended:
                    break
                (self._look if last < math.inf else self._read).wait(_LOOKS_APART)
                if self._read.is_set():
                    self._look.set()  # replicas that are being stopped are waited for
        finally:
            for end in self._watches:
                end()
            self._examined.set()
            try:
                self._remember()
            finally:  # whatever happens: who shows the job must not wait for ever
                with self._news:
                    self._over.set()
                    self._news.notify_all()

    def _examine(self) -> None:
        with self._lock:
            pods = [*{**self._failed, **{pod.name: pod for pod in self._replicas()}}.values()]
            self.job.manifest = self._manifest  # what is asked is asked about the job as it is
        if self._gone:
            return
        events, found = self.job.examine(pods, self._ends())
        with self._lock:
            if self._status.endswith(TRYING_AGAIN):
                self._say("")  # it has answered
            if events != self._events:
                self._events = [*events]
                self._timeline.see_events(events)
                self._touch(Part.EVENTS, Part.TIMELINE, Part.HEAD)
            if found != self._diagnosis:
                self._diagnosis = found
                self._touch(Part.HEAD)

    def _remember(self) -> None:
        """Let the history know how the job has ended, with all that was seen of it."""
        if not (self._gone or self.job.manifest.status.ended):
            return
        history.note_outcome(
            self.job.manifest,
            diagnosis=self._diagnosis,
            series=self._readings.series,
            log={name: end.split("\n") for name, end in self._ends().items()},
            failed={pod.replica for pod in self._failed.values()},
            gone=datetime.now(UTC) if self._gone else None,
        )


def _is_going(pod: Pod) -> bool:
    """Whether a replica is being stopped."""
    return _states.phase(pod) == "Terminating"


def _fitting(lines: list[Numbered]) -> int:
    """Return how many of the last lines are not too much to be told at once."""
    size = 0
    for count, (_, text) in enumerate(reversed(lines)):
        size += len(text)
        if size > _TAIL_CHARACTERS and count:
            return count
    return len(lines)
