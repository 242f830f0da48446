"""Informers: one watch of a resource, whatever the number of objects that somebody follows.

The words are those of client-go. A reflector lists a resource and watches it from there on; an
informer remembers what it was told and passes on to each subscriber what concerns it.
"""

from __future__ import annotations

import json
import random
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from enum import Enum, auto
from typing import Any, NamedTuple

import httpx

from pyjob_magic import errors
from pyjob_magic.rest import Rest
from pyjob_magic.retries import PATIENCE
from pyjob_magic.streams import Streams

Wire = dict[str, Any]

_PAGE = "500"  # objects of one answer
_LISTED = "LISTED"  # beside the types of watch events: the value is all there is
_SHORTEST, _LONGEST = 0.005, 5.0  # seconds before a watch is opened again
_GARBAGE = 10  # failures, after which garbage leads to a new list
_ACHIEVEMENT = 5.0  # seconds: a watch that lasts longer has been worth it
_GOODBYE = 2.0  # seconds for a thread to notice that nobody needs it any more


class News(Enum):
    """What a subscriber is told, with an object, an error or a sentence."""

    CHANGED = auto()  # the object is new or has changed
    DELETED = auto()  # the object is gone; this is how it was last seen
    SYNCED = auto()  # everything that there was at first has been told
    FAILED = auto()  # it is over: there is nothing more to come than this error
    NOTE = auto()  # a sentence for whoever waits


Tell = Callable[[News, Any], None]
"""Takes news; called in a thread of the informer, which it must not keep waiting."""


class Informer:
    """Tells subscribers of the objects of one resource: as they are now, then each change.

    It has a thread and a connection from the first subscriber to the last.

    Parameters
    ----------
    rest
        Where they are.
    what, path
        The resource, for messages and for requests.
    key
        Returns what subscribers know an object by; None for one that concerns nobody.
    query, watching
        Query of all requests, and of watches alone.
    watch_seconds
        How long one watch lasts; a connection that has been silent for a little longer is dead.
    """

    def __init__(
        self,
        rest: Rest,
        what: str,
        path: str,
        *,
        key: Callable[[Wire], str | None],
        query: Mapping[str, str],
        watching: Mapping[str, str],
        watch_seconds: int = 60,
    ) -> None:
        self._rest = rest
        self._what = what
        self._path = path
        self._key = key
        self._query = query
        self._watching = watching
        self._watch_seconds = watch_seconds
        # Held while news are told, so that each subscriber hears them in their order.
        self._lock = threading.RLock()
        self._subscribers: dict[str | None, list[Tell]] = {}  # under None those of all objects
        self._run: _Run | None = None

    def subscribe(self, key: str | None, tell: Tell) -> Callable[[], None]:
        """Tell of the objects that are known by `key`, or of all; return a function to end it."""
        with self._lock:
            self._subscribers.setdefault(key, []).append(tell)
            if self._run is None:
                self._run = self._start()
            elif self._run.synced:
                known = self._run.known
                for names in known.values() if key is None else [known.get(key, {})]:
                    for each in names.values():
                        tell(News.CHANGED, each.wire)
                tell(News.SYNCED, None)
        return lambda: self._unsubscribe(key, tell)

    def close(self) -> None:
        """Forget all subscribers."""
        with self._lock:
            self._subscribers.clear()
        self._end_if_unneeded()

    def _unsubscribe(self, key: str | None, tell: Tell) -> None:
        with self._lock:
            tells = self._subscribers.get(key, [])
            if tell in tells:
                tells.remove(tell)
            if not tells:
                self._subscribers.pop(key, None)
        self._end_if_unneeded()

    def _end_if_unneeded(self) -> None:
        with self._lock:
            if self._subscribers or self._run is None:
                return
            run, self._run = self._run, None
        run.streams.close()
        if run.thread is not threading.current_thread():
            run.thread.join(_GOODBYE)

    # -- the thread ---------------------------------------------------------------------------

    def _start(self) -> _Run:
        name = f"pyjob-watch-{self._path.rpartition('/')[2]}"
        run = _Run(threading.Thread(target=lambda: self._work(run), name=name, daemon=True))
        run.streams = Streams(notify=lambda note: self._tell_all(run, News.NOTE, note))
        run.thread.start()
        return run

    def _work(self, run: _Run) -> None:
        reflector = Reflector(
            self._rest,
            self._what,
            self._path,
            run.streams,
            query=self._query,
            watching=self._watching,
            watch_seconds=self._watch_seconds,
        )
        try:
            for kind, value in reflector.events():
                with self._lock:
                    if run is not self._run:
                        return
                    if kind == _LISTED:
                        self._listed(run, value)
                    else:
                        self._changed(run, value, deleted=kind == "DELETED")
        except errors.PyJobError as error:
            self._tell_all(run, News.FAILED, error)
        except (LookupError, TypeError, ValueError, AttributeError) as error:
            # Nobody may wait for ever, whatever a server has sent.
            failure = errors.TargetError(
                f"{self._rest.target.name} answered what cannot be understood when asked to watch "
                f"{self._what}: {error!r}"
            )
            failure.__cause__ = error
            self._tell_all(run, News.FAILED, failure)

    def _listed(self, run: _Run, objects: Iterable[Wire]) -> None:
        """Tell how what there is differs from what was known."""
        before, run.known = run.known, {}
        for wire in objects:
            if key := self._key(wire):
                known = _Known.of(wire)
                run.known.setdefault(key, {})[wire["metadata"]["name"]] = known
        for key, names in before.items():
            for name, old in names.items():
                new = run.known.get(key, {}).get(name)
                if new is None or new.uid != old.uid:
                    self._tell(key, News.DELETED, old)
        for key, names in run.known.items():
            for name, new in names.items():
                if not new.same_as(before.get(key, {}).get(name)):
                    self._tell(key, News.CHANGED, new)
        if not run.synced:
            run.synced = True
            self._tell_all(run, News.SYNCED, None)

    def _changed(self, run: _Run, wire: Wire, *, deleted: bool) -> None:
        if (key := self._key(wire)) is None:
            return
        names, name, new = run.known.setdefault(key, {}), wire["metadata"]["name"], _Known.of(wire)
        if deleted:
            names.pop(name, None)
            if not names:
                del run.known[key]
            self._tell(key, News.DELETED, new)
        elif not new.same_as(names.get(name)):
            names[name] = new
            self._tell(key, News.CHANGED, new)

    def _tell(self, key: str, news: News, known: _Known) -> None:
        for tell in (*self._subscribers.get(key, ()), *self._subscribers.get(None, ())):
            tell(news, known.wire)

    def _tell_all(self, run: _Run, news: News, value: Any) -> None:
        with self._lock:
            if run is not self._run:
                return
            tells = [tell for tells in self._subscribers.values() for tell in tells]
            if news is News.FAILED:
                self._run = None
                self._subscribers.clear()
            for tell in tells:
                tell(news, value)


@dataclass
class _Run:
    """From the first subscriber to the last."""

    thread: threading.Thread
    streams: Streams = field(default_factory=Streams)
    known: dict[str, dict[str, _Known]] = field(default_factory=dict)  # by key and name
    synced: bool = False


class _Known(NamedTuple):
    """An object as it was last told, as bytes: there may be many that nobody has asked for."""

    uid: str | None
    version: str | None
    body: bytes

    @classmethod
    def of(cls, wire: Wire) -> _Known:
        meta = wire["metadata"]
        meta.pop("managedFields", None)  # often the larger part, and of no use to a reader
        body = json.dumps(wire, separators=(",", ":")).encode()
        return cls(meta.get("uid"), meta.get("resourceVersion"), body)

    def same_as(self, other: _Known | None) -> bool:
        return other is not None and (
            self[:2] == other[:2] if self.version else self.body == other.body
        )

    @property
    def wire(self) -> Any:
        return json.loads(self.body)


class Reflector:
    """Lists a resource and watches it from there on; what is interrupted goes on where it was.

    Parameters
    ----------
    rest, what, path, query, watching, watch_seconds
        As for `Informer`.
    streams
        Of whoever reads; when they are closed, it ends.
    """

    def __init__(
        self,
        rest: Rest,
        what: str,
        path: str,
        streams: Streams,
        *,
        query: Mapping[str, str],
        watching: Mapping[str, str],
        watch_seconds: int,
    ) -> None:
        self._rest = rest
        self._what = what
        self._path = path
        self._streams = streams
        self._query = query
        self._watching = {**watching, "watch": "true", "timeoutSeconds": str(watch_seconds)}
        # A connection that is cut silently, as by a laptop that slept, is noticed by its silence.
        self._timeout = httpx.Timeout(watch_seconds * 1.25, connect=5.0)
        self._version: str | None = None  # from which to watch; None to list first
        self._failures = 0  # since the last achievement
        self._answered = time.monotonic()

    def events(self) -> Iterator[tuple[str, Any]]:
        """Yield all objects as ``LISTED``, then the type and object of each change.

        Where changes were missed for good, all objects come again.

        Raises
        ------
        ApiError
            If the server refuses.
        TargetError
            If nothing answers for a long time.
        """
        while not self._streams.closed:
            try:
                if self._version is None:
                    version, objects = self._list()
                    yield _LISTED, objects
                    del objects  # there may be many of them
                    self._version = version
                yield from self._watch()
            except errors.GoneError:
                self._version = None
            except _Interruption as interruption:
                if interruption.lists:
                    self._version = None
            except errors.ApiError as error:
                passing = error.code == 429 or error.code >= 500
                if not passing or time.monotonic() - self._answered > PATIENCE:
                    raise
            self._failures += 1
            self._streams.sleep(self._pause())

    def _list(self) -> tuple[str, list[Wire]]:
        """Return the resourceVersion and all objects, read page by page."""
        objects: list[Wire] = []
        page = {**self._query, "limit": _PAGE}
        while True:
            answer = self._rest.ask(
                f"list {self._what}", "GET", self._path, params=page, streams=self._streams
            )
            self._answered = time.monotonic()
            meta = answer.get("metadata") or {}
            objects += answer.get("items") or []
            if not meta.get("continue"):
                return meta.get("resourceVersion") or "", objects
            page["continue"] = meta["continue"]

    def _watch(self) -> Iterator[tuple[str, Wire]]:
        action, opened = f"watch {self._what}", False
        params = {**self._query, **self._watching, "resourceVersion": self._version}
        try:
            with self._rest.stream(
                action, self._path, self._streams, params=params, timeout=self._timeout
            ) as response:
                opened = True
                self._answered = begun = time.monotonic()
                for line in _lines(response.iter_bytes()):
                    if self._streams.closed:
                        return
                    if not line:
                        continue
                    kind, wire, version = self._read(action, line)
                    if version != self._version:
                        self._version, self._failures = version, 0
                    if kind != "BOOKMARK":
                        yield kind, wire
        except errors.TargetError:
            if not opened:
                raise  # `Rest` has been patient already
            raise _Interruption(lists=False) from None
        finally:
            if opened and time.monotonic() - begun > _ACHIEVEMENT:
                self._failures = 0

    def _read(self, action: str, line: bytes) -> tuple[str, Wire, str | None]:
        """Return the type, the object and the resourceVersion of a watch event."""
        try:
            event = json.loads(line)
            kind, wire = event["type"], event["object"]
            if kind != "ERROR":
                return kind, wire, wire["metadata"].get("resourceVersion") or self._version
            code = int(wire.get("code") or 500)
        except (ValueError, LookupError, TypeError, AttributeError):
            # Garbage; if it comes again and again, it may be the version that brings it about.
            raise _Interruption(lists=self._failures > _GARBAGE) from None
        if code == 410:
            raise self._rest.refused(action, code, wire)
        # Credentials that have expired meanwhile are renewed with the next request.
        raise _Interruption(lists=code != 401)

    def _pause(self) -> float:
        """Return the seconds until the next request."""
        longest = min(_LONGEST, _SHORTEST * 2.0 ** min(self._failures - 1, 12))
        return longest * random.uniform(0.5, 1.0)  # noqa: S311  # not all clients at once


class _Interruption(Exception):  # noqa: N818  # nothing is wrong: it goes on
    """A watch has ended before its time."""

    def __init__(self, *, lists: bool) -> None:
        super().__init__()
        self.lists = lists  # whether to list again


def _lines(chunks: Iterable[bytes]) -> Iterator[bytes]:
    """Yield whole lines; httpx would also part them at what JSON strings may contain."""
    rest: list[bytes] = []
    for chunk in chunks:
        first, *more = chunk.split(b"\n")
        rest.append(first)
        for piece in more:
            yield b"".join(rest).strip()
            rest = [piece]
