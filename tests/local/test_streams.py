"""Watches and logs arrive as they happen."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from typing import Any

import httpx
import psutil
import pytest

from pyjob_magic.local import launcher
from pyjob_magic.local.home import Home
from tests.local.api import Api, a_job
from tests.state import eventually


@contextmanager
def watching(api: Api, path: str, **params: Any) -> Iterator[Iterator[dict[str, Any]]]:
    params = {"watch": "true", "timeoutSeconds": "20", **params}
    with api.http.stream("GET", path, params=params) as response:
        assert response.status_code == 200
        yield (json.loads(line) for line in response.iter_lines())


def now(api: Api) -> str:
    version: str = api.http.get(api.jobs).json()["metadata"]["resourceVersion"]
    return version


def test_a_watch_tells_the_life_of_a_job(api: Api) -> None:
    with watching(api, api.jobs, resourceVersion=now(api)) as changes:
        api.submit(a_job(suspend=True))
        assert next(changes)["type"] == "ADDED"
        assert next(changes)["object"]["status"]["conditions"][-1]["type"] == "Suspended"
        api.http.delete(f"{api.jobs}/j")
        assert next(changes)["type"] == "DELETED"


def test_a_watch_without_a_version_begins_with_what_there_is(api: Api) -> None:
    api.submit(a_job(suspend=True))
    with watching(api, api.jobs) as changes:
        first = next(changes)
    assert (first["type"], first["object"]["metadata"]["name"]) == ("ADDED", "j")


def test_a_watch_goes_on_from_a_version_of_the_past(api: Api) -> None:
    version = now(api)
    api.submit(a_job(suspend=True))
    api.http.delete(f"{api.jobs}/j")
    with watching(api, api.jobs, resourceVersion=version) as changes:
        kinds = [next(changes)["type"] for _ in range(2)]
    assert kinds[0] == "ADDED"


def test_a_watch_sees_only_what_is_selected(api: Api) -> None:
    with watching(api, api.jobs, labelSelector="team=a", resourceVersion=now(api)) as changes:
        api.submit(a_job(suspend=True))
        api.patch("j", {"metadata": {"labels": {"team": "a"}}})
        assert next(changes)["type"] == "ADDED"
        api.patch("j", {"metadata": {"labels": {"team": "b"}}})
        kinds: list[str] = []
        while not kinds or kinds[-1] == "MODIFIED":
            kinds.append(next(changes)["type"])
        assert kinds[-1] == "DELETED"


def test_a_watch_of_one_name(api: Api) -> None:
    params = {"fieldSelector": "metadata.name=two", "resourceVersion": now(api)}
    with watching(api, api.jobs, **params) as changes:
        api.submit(a_job("one", suspend=True))
        api.submit(a_job("two", suspend=True))
        assert next(changes)["object"]["metadata"]["name"] == "two"


def test_a_watch_of_pods_sees_the_phases(api: Api) -> None:
    with watching(api, api.core("pods"), resourceVersion=now(api)) as changes:
        api.submit(a_job())
        phases: list[str] = []
        while not phases or phases[-1] != "Succeeded":
            phases.append(next(changes)["object"]["status"]["phase"])
    assert list(dict.fromkeys(phases)) == ["Pending", "Running", "Succeeded"]


def test_a_watch_ends_in_time(api: Api) -> None:
    begun = time.monotonic()
    with watching(api, api.jobs, timeoutSeconds="1") as changes:
        assert list(changes) == []
    assert 0.9 < time.monotonic() - begun < 5


def test_a_watch_from_too_long_ago_says_so(api: Api) -> None:
    api.submit(a_job(suspend=True))
    for number in range(5000):
        api.patch("j", {"metadata": {"labels": {"n": str(number)}}})
    with watching(api, api.jobs, resourceVersion="1") as changes:
        (line,) = changes
    assert line["type"] == "ERROR"
    assert (line["object"]["code"], line["object"]["reason"]) == (410, "Expired")
    assert line["object"]["message"].startswith("too old resource version: 1 (")


def test_bad_parameters_are_refused(api: Api) -> None:
    for params in ({"resourceVersion": "x"}, {"timeoutSeconds": "-1"}):
        response = api.http.get(api.jobs, params={"watch": "true", **params})
        assert response.status_code == 400


@pytest.fixture
def talker(api: Api) -> Api:
    """Submit a job that prints a line whenever a file appears, and ends at the third."""
    code = (
        "import os, time\n"
        "print(os.getcwd(), flush=True)\n"
        "for n in range(3):\n"
        "    while not os.path.exists(str(n)): time.sleep(0.005)\n"
        "    print('line', n, flush=True)\n"
    )
    api.submit(a_job(code=code))
    api.wait_log("j-master-0", "work")
    return api


def test_a_followed_log_arrives_line_by_line_and_ends_with_the_replica(talker: Api) -> None:
    path = f"{talker.core('pods')}/j-master-0/log"
    with talker.http.stream("GET", path, params={"follow": "true"}) as response:
        lines = response.iter_lines()
        directory = next(lines)
        for number in range(3):
            open(f"{directory}/{number}", "w").close()
            begun = time.monotonic()
            assert next(lines) == f"line {number}"
            assert time.monotonic() - begun < 1
        assert list(lines) == []
    talker.wait("j", "Succeeded")


def test_bytes_arrive_as_they_were_printed(api: Api) -> None:
    api.submit(a_job(code="import sys; sys.stdout.buffer.write(bytes(range(256)))"))
    api.wait("j", "Succeeded")
    response = api.http.get(f"{api.core('pods')}/j-master-0/log")
    assert response.content == bytes(range(256))


def test_a_follower_that_does_not_read_costs_nobody_anything(api: Api, api_home: Home) -> None:
    """What it has not taken stays in the file, and others are answered meanwhile."""
    api.submit(a_job(code="import os\nfor _ in range(100): os.write(1, b'x' * 1_000_000)"))
    api.wait("j", "Succeeded")
    process = psutil.Process(pid_of(api_home))
    before = process.memory_info().rss
    with ExitStack() as stuck:
        for _ in range(5):
            path = f"{api.core('pods')}/j-master-0/log"
            stuck.enter_context(api.http.stream("GET", path, params={"follow": "true"}))
        for _ in range(200):
            api.job("j")
        assert process.memory_info().rss - before < 50_000_000


def test_an_abandoned_watch_is_let_go(own_home: Home, monkeypatch: pytest.MonkeyPatch) -> None:
    """An open watch keeps the API from being idle, one whose client has gone does not."""
    monkeypatch.setenv("PYJOB_MAGIC_IDLE_SECONDS", "0.3")
    endpoint = launcher.ensure_running(own_home)
    headers = {"Authorization": f"Bearer {endpoint.token}"}
    with httpx.Client(base_url=endpoint.url, headers=headers) as client:
        api = Api(client, "default")
        with watching(api, api.jobs, timeoutSeconds="600") as changes:
            api.submit(a_job(suspend=True))
            assert next(changes)["type"] == "ADDED"
            process = psutil.Process(pid_of(own_home))
            with pytest.raises(psutil.TimeoutExpired):
                process.wait(1.5)
    eventually(lambda: launcher.status(own_home) is None)


def pid_of(home: Home) -> int:
    running = launcher.status(home)
    assert running is not None
    return running.pid
