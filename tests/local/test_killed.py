"""SIGKILL at any moment: nothing that was acknowledged, printed or seen is lost."""

from __future__ import annotations

import json
import os
import random
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx
import psutil
import pytest

from pyjob_magic.local import launcher, private
from pyjob_magic.local.home import Home
from tests.local.api import Api, a_job
from tests.local.test_launcher import kill, running
from tests.state import VARIABLE, eventually

KILLS = 50
WHILE_STARTING = 0.3  # the part of the kills that come before the API answers, mostly
START_SECONDS, LIFE_SECONDS = 0.4, 0.6  # the longest time until a kill, before and after that
PAUSE = 0.04  # seconds between two objects

# What a notebook's kernel does: it has an API started, and stays.
KERNEL = """
import sys
from pyjob_magic.local import launcher, private
launcher.ensure_running()
sys.stdin.read()
"""

# Prints numbered lines until it is told to stop, and notes how many there were.
COUNTS = """
import itertools, os, sys, time
for number in itertools.count():
    print(number, flush=True)
    if os.path.exists(sys.argv[1]):
        break
    time.sleep(0.001)
with open(sys.argv[1] + os.environ["RANK"], "w") as file:
    file.write(str(number))
sys.exit(5)
"""


@dataclass
class Client:
    """Somebody who talks to whatever API there is, and takes up again where it was killed."""

    home: Home
    done: threading.Event = field(default_factory=threading.Event)
    trouble: list[BaseException] = field(default_factory=list)

    @contextmanager
    def at_work(self) -> Iterator[None]:
        thread = threading.Thread(target=self._work)
        thread.start()
        try:
            yield
        finally:
            self.done.set()
            thread.join(30)
        assert not thread.is_alive()
        assert self.trouble == []

    def _work(self) -> None:
        try:
            while not self.done.is_set():
                try:
                    if running := launcher.status(self.home):
                        headers = {"Authorization": f"Bearer {self.home.token()}"}
                        with httpx.Client(base_url=running.url, headers=headers) as http:
                            self.talk(Api(http, "default"))
                except httpx.TransportError:
                    pass  # it was killed
                self.done.wait(0.01)
        except BaseException as error:
            self.trouble.append(error)

    def talk(self, api: Api) -> None:
        raise NotImplementedError


@dataclass
class Creator(Client):
    """Creates objects all the time and notes what was acknowledged."""

    acknowledged: dict[tuple[str, str], Any] = field(default_factory=dict)
    number: int = 0
    version: int = 0

    def talk(self, api: Api) -> None:
        while not self.done.wait(PAUSE):
            self.number += 1
            name = f"n{self.number}"
            path, body = self._next(api, name)
            response = api.http.post(path, json=body)
            assert response.status_code == 201, response.text
            meta = response.json()["metadata"]
            assert int(meta["resourceVersion"]) > self.version, "resourceVersions went back"
            self.version = int(meta["resourceVersion"])
            self.acknowledged[path, name] = meta["uid"]

    def kind(self, number: int) -> str:
        return ("config map", "suspended", "runs")[number % 3]

    def _next(self, api: Api, name: str) -> tuple[str, dict[str, Any]]:
        kind = self.kind(self.number)
        if kind == "config map":
            body = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": name}}
            return api.core("configmaps"), body
        command = ["sh", "-c", f"echo {self.number}; exit {self.number % 5}"]
        return api.jobs, a_job(name, command=command, suspend=kind == "suspended")


@dataclass
class Watcher(Client):
    """Keeps a picture of the jobs that there are, as informers do."""

    uids: dict[str, str] = field(default_factory=dict)
    version: int = 0
    expired: int = 0
    resumed: int = 0

    def talk(self, api: Api) -> None:
        if self.version == 0:
            self._list(api)
        params = {"watch": "true", "resourceVersion": str(self.version), "timeoutSeconds": "1"}
        self.resumed += 1
        with api.http.stream("GET", api.jobs, params=params) as lines:
            for line in lines.iter_lines():
                self._take_in(json.loads(line))

    def _list(self, api: Api) -> None:
        found = api.http.get(api.jobs).json()
        version = int(found["metadata"]["resourceVersion"])
        assert version >= self.version, "resourceVersions went back"
        self.version = version
        self.uids = {o["metadata"]["name"]: o["metadata"]["uid"] for o in found["items"]}

    def _take_in(self, event: dict[str, Any]) -> None:
        if event["type"] == "ERROR":
            assert event["object"]["code"] == 410
            self.expired += 1
            self.version = 0
            raise httpx.ReadError("list again")
        meta = event["object"]["metadata"]
        assert int(meta["resourceVersion"]) > self.version, "an event came twice, or too late"
        self.version = int(meta["resourceVersion"])
        if event["type"] == "ADDED":
            assert meta["name"] not in self.uids, "an object was added twice"
        self.uids[meta["name"]] = meta["uid"]


@pytest.fixture
def rng() -> random.Random:
    seed = int(os.environ.get("PYJOB_TEST_SEED") or random.randrange(2**32))
    print(f"PYJOB_TEST_SEED={seed}")  # noqa: T201 - pytest shows it when the test fails
    return random.Random(seed)


def live_and_die(home: Home, rng: random.Random) -> None:
    """Start a kernel, which starts an API; at some moment kill both, whatever they do."""
    kernel = subprocess.Popen(
        [sys.executable, "-c", KERNEL],
        stdin=subprocess.PIPE,
        env={**os.environ, VARIABLE: str(home.path)},
    )
    if rng.random() < WHILE_STARTING:
        time.sleep(rng.uniform(0, START_SECONDS))
    else:
        eventually(lambda: launcher.status(home))
        time.sleep(rng.uniform(0, LIFE_SECONDS))
    apis = psutil.Process(kernel.pid).children()
    kernel.kill()
    for api in apis:
        api.kill()
    kernel.communicate()
    eventually(lambda: not private.is_locked(home.lock))


@pytest.mark.timeout(300)
def test_nothing_is_lost_by_kills_at_any_moment(
    own_home: Home, rng: random.Random, tmp_path: Path
) -> None:
    """A job prints, a client creates, another one watches; API and kernel are killed 50 times."""
    stop = tmp_path / "stop"
    with running(own_home) as api:
        api.submit(a_job("counts", workers=1, command=["python", "-c", COUNTS, str(stop)]))
        api.wait("counts", "Running")
    kill(own_home)
    creator, watcher = Creator(own_home), Watcher(own_home)
    with watcher.at_work():
        with creator.at_work():
            for _ in range(KILLS):
                live_and_die(own_home, rng)
        print(  # noqa: T201 - what the test was made of
            f"{len(creator.acknowledged)} of {creator.number} objects acknowledged; "
            f"watched {watcher.resumed} times, {watcher.expired} of them too late"
        )
        with running(own_home) as api:
            stop.touch()
            api.wait("counts", "Failed")
            items = api.http.get(api.jobs).json()["items"]
            uids = {job["metadata"]["name"]: job["metadata"]["uid"] for job in items}
            eventually(lambda: watcher.uids == uids)
            check_created(api, creator)
            check_log(api, "counts-master-0", Path(f"{stop}0"))
            check_log(api, "counts-worker-0", Path(f"{stop}1"))


def check_created(api: Api, creator: Creator) -> None:
    """Check that every object is there, and that what was to run has: once, and to its end."""
    assert len(creator.acknowledged) > KILLS / 2
    for (path, name), uid in creator.acknowledged.items():
        assert api.http.get(f"{path}/{name}").json()["metadata"]["uid"] == uid
        number = int(name[1:])
        if creator.kind(number) == "runs":
            api.wait(name, "Failed" if number % 5 else "Succeeded")
            (container,) = api.pod(f"{name}-master-0")["status"]["containerStatuses"]
            assert container["state"]["terminated"]["exitCode"] == number % 5
            assert container["restartCount"] == 0
            assert api.log(f"{name}-master-0") == f"{number}\n"


def check_log(api: Api, pod: str, last: Path) -> None:
    """Check that the log has every line, up to the one that the replica has noted as its last."""
    numbers = range(int(last.read_text()) + 1)
    assert api.log(pod) == "".join(f"{number}\n" for number in numbers)
