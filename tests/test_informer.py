"""One watch tells all subscribers what concerns them, whatever happens to its connection."""

from __future__ import annotations

import json
import queue
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import httpx
import pytest

from pyjob_magic import errors
from pyjob_magic.informer import Informer, News
from pyjob_magic.rest import Rest
from pyjob_magic.target import Target
from tests.state import eventually

Answer = httpx.Response | Exception


class Server:
    """Answers lists with what there is and watches with what the test has said, one by one."""

    def __init__(self, *watches: Answer, objects: list[list[Any]]) -> None:
        self.requests: list[dict[str, str]] = []
        self._watches = iter(watches)
        self._lists = iter(objects)

    def __call__(self, request: httpx.Request) -> httpx.Response:
        params = dict(request.url.params)
        self.requests.append(params)
        if "watch" not in params:
            items = next(self._lists)
            version = max((int(item["metadata"]["resourceVersion"]) for item in items), default=1)
            meta = {"resourceVersion": str(version)}
            return httpx.Response(200, json={"metadata": meta, "items": items})
        answer = next(self._watches, None)
        if answer is None:
            return httpx.Response(200, stream=Endless())
        if isinstance(answer, Exception):
            raise answer
        return answer

    @property
    def versions(self) -> list[str]:
        """Return from where each watch was asked for; an empty string for a list."""
        return [params.get("resourceVersion", "") for params in self.requests]


class Endless(httpx.SyncByteStream):
    """A watch on which nothing happens any more."""

    def __init__(self) -> None:
        self._closed = threading.Event()

    def __iter__(self) -> Iterator[bytes]:
        while not self._closed.wait(0.01):
            yield b"\n"

    def close(self) -> None:
        self._closed.set()


@contextmanager
def informing(server: Callable[[httpx.Request], httpx.Response]) -> Iterator[Informer]:
    rest = Rest(Target("k8s", "http://server", transport=httpx.MockTransport(server)))
    informer = Informer(
        rest,
        "things",
        "/things",
        key=lambda wire: wire["metadata"].get("labels", {}).get("of") or wire["metadata"]["name"],
        query={"labelSelector": "a=b"},
        watching={"allowWatchBookmarks": "true"},
    )
    yield informer
    informer.close()
    rest.close()
    assert not [t for t in threading.enumerate() if t.name == "pyjob-watch-things"]


class Ear:
    """A subscriber."""

    def __init__(self, informer: Informer, key: str | None) -> None:
        self._news: queue.Queue[tuple[News, Any]] = queue.Queue()
        self.end = informer.subscribe(key, lambda news, value: self._news.put((news, value)))

    def hears(self, count: int) -> list[Any]:
        """Return what is told next: kinds, for objects with names and versions."""
        return [self._short(*self._news.get(timeout=20)) for _ in range(count)]

    @property
    def has_heard_all(self) -> bool:
        return self._news.empty()

    def _short(self, news: News, value: Any) -> Any:
        if news in (News.CHANGED, News.DELETED):
            return news.name, value["metadata"]["name"], value["metadata"]["resourceVersion"]
        return value if isinstance(value, Exception) else news.name


def thing(name: str, version: int, uid: str = "u", **labels: str) -> dict[str, Any]:
    meta = {"name": name, "resourceVersion": str(version), "uid": uid, "labels": labels}
    return {"metadata": meta}


def watch(*events: Any, cut: bytes = b"") -> httpx.Response:
    lines = [e if isinstance(e, bytes) else json.dumps(e).encode() for e in events]
    return httpx.Response(200, content=b"".join(line + b"\n" for line in lines) + cut)


def event(kind: str, obj: Any) -> Any:
    return {"type": kind, "object": obj}


def error(code: int) -> Any:
    return event("ERROR", {"kind": "Status", "code": code, "message": "because"})


def test_subscribers_hear_what_is_there_and_then_each_change() -> None:
    """Each only of its own; also who comes later is told at once how things are."""
    server = Server(
        watch(event("MODIFIED", thing("a", 3)), event("ADDED", thing("b", 4))),
        objects=[[thing("a", 1), thing("c", 2)]],
    )
    with informing(server) as informer:
        first = Ear(informer, "a")
        assert first.hears(3) == [("CHANGED", "a", "1"), "SYNCED", ("CHANGED", "a", "3")]
        eventually(lambda: server.versions[-1] == "4")
        assert Ear(informer, "b").hears(2) == [("CHANGED", "b", "4"), "SYNCED"]
        assert Ear(informer, "nothing").hears(1) == ["SYNCED"]
        assert first.has_heard_all


def test_who_wants_to_hear_of_all() -> None:
    """Whatever they are known by; and who comes later hears how all are now."""
    server = Server(
        watch(event("MODIFIED", thing("a", 3)), event("DELETED", thing("b", 4))),
        objects=[[thing("a", 1), thing("b", 2)]],
    )
    with informing(server) as informer:
        told = Ear(informer, None)
        assert told.hears(3) == [("CHANGED", "a", "1"), ("CHANGED", "b", "2"), "SYNCED"]
        assert told.hears(2) == [("CHANGED", "a", "3"), ("DELETED", "b", "4")]
        assert Ear(informer, None).hears(2) == [("CHANGED", "a", "3"), "SYNCED"]


def test_objects_are_known_by_a_key_that_several_share() -> None:
    """As the pods of a job are by its uid."""
    server = Server(objects=[[thing("a-0", 1, of="j"), thing("a-1", 2, of="j")]])
    with informing(server) as informer:
        assert Ear(informer, "j").hears(3) == [
            ("CHANGED", "a-0", "1"),
            ("CHANGED", "a-1", "2"),
            "SYNCED",
        ]


@pytest.mark.parametrize(
    "interruption",
    [
        watch(),
        watch(cut=b'{"type":"MODIFIED","obj'),
        watch(b"<html>Bad gateway</html>"),
        watch(b'["no event"]'),
        watch(error(401)),
        httpx.ReadError("Connection reset by peer"),
        httpx.ReadTimeout("timed out"),
        httpx.RemoteProtocolError("peer closed connection"),
        httpx.Response(
            200, headers={"Content-Encoding": "gzip"}, stream=httpx.ByteStream(b"no gzip")
        ),
        httpx.Response(429, json={"message": "slow down"}),
        httpx.Response(503, json={"message": "restarting"}),
    ],
    ids=lambda answer: type(answer).__name__,
)
def test_an_interrupted_watch_goes_on_from_the_last_version(interruption: Answer) -> None:
    """Nothing is listed again, nothing is told twice."""
    server = Server(
        watch(event("MODIFIED", thing("a", 2))),
        interruption,
        watch(event("MODIFIED", thing("a", 5))),
        objects=[[thing("a", 1)]],
    )
    with informing(server) as informer:
        heard = [news for news in Ear(informer, "a").hears(4) if news != "NOTE"]
    assert heard[:3] == [("CHANGED", "a", "1"), "SYNCED", ("CHANGED", "a", "2")]
    eventually(lambda: server.versions[-1] in ("2", "5"))
    assert server.versions[:3] == ["", "1", "2"]
    assert set(server.versions[3:]) <= {"2", "5"}


def test_bookmarks_move_the_place_to_go_on_from() -> None:
    bookmark = event("BOOKMARK", {"metadata": {"resourceVersion": "70"}})
    server = Server(watch(bookmark), objects=[[thing("a", 1)]])
    with informing(server) as informer:
        Ear(informer, "a")
        eventually(lambda: server.versions[-1] == "70")
    assert server.requests[1]["allowWatchBookmarks"] == "true"
    assert server.requests[1]["labelSelector"] == "a=b"


@pytest.mark.parametrize(
    "gone",
    [watch(error(410)), httpx.Response(410, json={"message": "too old"}), watch(error(500))],
    ids=["event", "status", "other error"],
)
def test_after_a_gap_the_difference_is_told(gone: Answer) -> None:
    """What has vanished counts as deleted, a namesake as another one, what is the same as told."""
    before = [thing("same", 1), thing("changed", 2), thing("gone", 3), thing("other", 4)]
    after = [thing("same", 1), thing("changed", 8), thing("other", 9, uid="v"), thing("new", 10)]
    server = Server(gone, objects=[before, after])
    with informing(server) as informer:
        ears = {name: Ear(informer, name) for name in ("same", "changed", "gone", "other", "new")}
        assert ears["changed"].hears(3)[2] == ("CHANGED", "changed", "8")
        assert ears["gone"].hears(3)[2] == ("DELETED", "gone", "3")
        assert ears["other"].hears(4)[2:] == [("DELETED", "other", "4"), ("CHANGED", "other", "9")]
        assert ears["new"].hears(2) == ["SYNCED", ("CHANGED", "new", "10")]
        assert ears["same"].hears(2) == [("CHANGED", "same", "1"), "SYNCED"]
        eventually(lambda: server.versions[-1] == "10")
        assert ears["same"].has_heard_all


@pytest.mark.parametrize("code", [401, 403, 404])
def test_a_refusal_is_told(code: int) -> None:
    """Whoever waits learns why in vain; who comes later asks anew."""
    answers = [httpx.Response(code, json={"message": "not you"})] * 2
    server = Server(*answers, objects=[[thing("a", 1)], [thing("a", 1)]])
    with informing(server) as informer:
        for _ in range(2):
            heard = Ear(informer, "a").hears(3)[2]
            assert isinstance(heard, errors.ApiError)
            assert (heard.code, heard.message) == (code, "not you")


def test_no_answer_is_told() -> None:
    def refuse(request: httpx.Request) -> httpx.Response:
        raise httpx.ConnectError("Connection refused", request=request)

    with informing(refuse) as informer:
        (failure,) = Ear(informer, "a").hears(1)
    assert isinstance(failure, errors.TargetError)


def test_an_answer_that_is_no_list_is_told() -> None:
    with informing(lambda _: httpx.Response(200, json={"items": [1]})) as informer:
        (failure,) = Ear(informer, "a").hears(1)
    assert "cannot be understood" in str(failure)


def test_the_last_subscriber_ends_it_and_the_next_one_begins_anew() -> None:
    server = Server(objects=[[thing("a", 1)], [thing("a", 2)]])
    with informing(server) as informer:
        first, second = Ear(informer, "a"), Ear(informer, "b")
        first.hears(2)
        first.end()
        first.end()
        assert second.hears(1) == ["SYNCED"]
        second.end()
        assert not [t for t in threading.enumerate() if t.name == "pyjob-watch-things"]
        assert Ear(informer, "a").hears(2) == [("CHANGED", "a", "2"), "SYNCED"]


def test_a_server_that_ends_each_watch_at_once_is_left_alone_for_longer_and_longer() -> None:
    """A second is enough for a handful of requests, not for hundreds."""
    asked = threading.Semaphore(0)

    def serve(request: httpx.Request) -> httpx.Response:
        asked.release()
        if "watch" in request.url.params:
            return watch()
        return httpx.Response(200, json={"metadata": {"resourceVersion": "1"}, "items": []})

    with informing(serve) as informer:
        Ear(informer, "a")
        for _ in range(6):
            assert asked.acquire(timeout=20)
        count = 0
        while asked.acquire(timeout=0.5):
            count += 1
    assert count < 12
