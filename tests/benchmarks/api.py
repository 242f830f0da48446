"""The servers of the benchmarks: an embedded API apart from the user's own, and the least one."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.client import HTTPConnection
from pathlib import Path

import psutil

from pyjob_magic import connect
from pyjob_magic.connection import Connection
from pyjob_magic.local import launcher
from pyjob_magic.local.home import Home
from tests.state import VARIABLE, temporary_home

JOBS = "/apis/kubeflow.org/v1/namespaces/default/pytorchjobs"
PODS = "/api/v1/namespaces/default/pods"


@dataclass(frozen=True)
class Server:
    """A server and its process."""

    url: str
    process: psutil.Process
    token: str = field(default="", repr=False)

    @property
    def address(self) -> tuple[str, int]:
        """Where it listens."""
        host, _, port = self.url.rpartition("/")[2].partition(":")
        return host, int(port)

    @property
    def headers(self) -> dict[str, str]:
        """What has to be sent with each request."""
        return {"Authorization": f"Bearer {self.token}"}

    def cpu_seconds(self) -> float:
        """Return how much CPU its process has used."""
        times = self.process.cpu_times()
        return times.user + times.system


class Client:
    """One connection that stays open, and does nothing but send."""

    def __init__(self, server: Server) -> None:
        self._connection = HTTPConnection(*server.address, timeout=60)
        self._headers = server.headers

    def ask(self, method: str, path: str, body: bytes = b"", kind: str = "json") -> bytes:
        """Send a request and return the body of the answer."""
        headers = {**self._headers, "Content-Type": f"application/{kind}"}
        self._connection.request(method, path, body or None, headers)
        response = self._connection.getresponse()
        answer = response.read()
        assert response.status < 300, answer
        return answer

    def close(self) -> None:
        """Close the connection."""
        self._connection.close()


@contextmanager
def warm_api() -> Iterator[Connection]:
    """Lend a connection to an API that has answered before."""
    with temporary_home() as home, using(home):
        connection = connect()
        connection.list()
        yield connection
        connection.close()


@contextmanager
def embedded_api() -> Iterator[Server]:
    """Lend an embedded API."""
    with temporary_home() as home:
        yield started(Home(home))


def started(home: Home) -> Server:
    """Return the API of a state directory; start it if none runs."""
    endpoint = launcher.ensure_running(home)
    running = launcher.status(home)
    assert running
    return Server(endpoint.url, psutil.Process(running.pid), endpoint.token)


@contextmanager
def minimal_api() -> Iterator[Server]:
    """Lend the least server that answers the same requests."""
    process = subprocess.Popen(
        [sys.executable, "-m", "tests.benchmarks.minimal"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        cwd=Path(__file__).parents[2],
    )
    with process:
        assert process.stdin
        assert process.stdout
        try:
            yield Server(process.stdout.readline().strip(), psutil.Process(process.pid))
        finally:
            process.stdin.close()


@contextmanager
def using(home: Path) -> Iterator[None]:
    """Let `connect` find, or start, the API of `home`."""
    before = os.environ.get(VARIABLE)
    os.environ[VARIABLE] = str(home)
    try:
        yield
    finally:
        del os.environ[VARIABLE]
        if before is not None:
            os.environ[VARIABLE] = before
