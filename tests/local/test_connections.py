"""Connections: requests arrive in time, heads are small, and nobody takes all the room."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import ExitStack

import httpx
import psutil
import pytest

from pyjob_magic.local import launcher
from pyjob_magic.local.home import Home
from pyjob_magic.local.launcher import Endpoint
from tests.local.api import Api, a_job
from tests.local.raw import answer, connection, head, rest, status, until
from tests.state import VARIABLE, eventually, temporary_home

PATIENCE = 0.5
JOBS = "/apis/kubeflow.org/v1/namespaces/default/pytorchjobs"


@pytest.fixture(scope="module")
def hasty_home() -> Iterator[Home]:
    """Lend a state directory whose API waits no longer than `PATIENCE` for a request."""
    with temporary_home() as path, pytest.MonkeyPatch.context() as patch:
        patch.setenv("PYJOB_MAGIC_REQUEST_SECONDS", str(PATIENCE))
        launcher.ensure_running(Home(path))
        yield Home(path)


@pytest.fixture(scope="module")
def hasty(hasty_home: Home) -> Endpoint:
    return launcher.ensure_running(hasty_home)


def test_a_connection_that_asks_nothing_is_closed(hasty: Endpoint) -> None:
    with connection(hasty) as opened:
        assert rest(opened) == b""


def test_half_a_head_is_not_waited_for(hasty: Endpoint) -> None:
    with connection(hasty) as opened:
        opened.sendall(b"GET /version HTTP/1.1\r\nHost: 127")
        assert rest(opened) == b""


@pytest.mark.parametrize("line", [f"POST {JOBS} HTTP/1.1", "DELETE /nowhere HTTP/1.1"])
def test_half_a_body_is_not_waited_for(hasty: Endpoint, line: str) -> None:
    with connection(hasty) as opened:
        opened.sendall(head(hasty, line, "Content-Length: 100") + b"{")
        assert status(rest(opened)) in (0, 404)  # where no route reads the body


@pytest.mark.parametrize("more", [b"x", b"\r\n"], ids=["body", "empty-lines"])
def test_a_request_that_only_trickles_is_not_waited_for(hasty: Endpoint, more: bytes) -> None:
    """Each part comes in time, all of it would not."""
    with connection(hasty) as opened:
        if more == b"x":
            opened.sendall(head(hasty, f"POST {JOBS} HTTP/1.1", "Content-Length: 100000"))
        begun = time.monotonic()
        opened.settimeout(0.05)
        closed = False
        while not closed:
            try:
                opened.sendall(more)
                closed = opened.recv(1) == b""
            except TimeoutError:
                assert time.monotonic() - begun < 20 * PATIENCE
            except OSError:
                closed = True
        assert time.monotonic() - begun > PATIENCE / 2


def test_a_handshake_that_is_not_finished_is_not_waited_for(hasty_home: Home) -> None:
    running = launcher.status(hasty_home)
    assert running
    port = int(running.secure_url.rpartition(":")[2])
    with socket.create_connection(("127.0.0.1", port), 20) as opened:
        opened.sendall(b"\x16\x03\x01\x02\x00\x01")  # the beginning of a ClientHello
        assert rest(opened) == b""


def test_an_answer_may_take_longer_than_a_request(hasty: Endpoint) -> None:
    """A watch lives on; so does a connection that is kept for the next request."""
    with connection(hasty) as watch, connection(hasty) as kept:
        kept.sendall(head(hasty, "GET /version HTTP/1.1"))
        assert status(answer(kept)) == 200
        watch.sendall(head(hasty, f"GET {JOBS}?watch=true HTTP/1.1"))
        assert status(watch.recv(65536)) == 200
        watch.settimeout(4 * PATIENCE)
        with pytest.raises(TimeoutError):
            watch.recv(1)
        body = json.dumps(a_job("w")).encode()
        line = f"POST {JOBS} HTTP/1.1"
        kept.sendall(head(hasty, line, f"Content-Length: {len(body)}") + body)
        assert status(answer(kept)) == 201
        until(watch, b'"ADDED"')


def test_a_whole_head_that_is_too_large_is_refused(endpoint: Endpoint) -> None:
    with connection(endpoint) as opened:
        opened.sendall(head(endpoint, "GET /version HTTP/1.1", "X: " + "x" * 70_000))
        assert status(opened.recv(65536)) == 431


@pytest.mark.parametrize("part", [b"x" * 65536, b"x: y\r\n" * 10_000], ids=["line", "lines"])
def test_a_head_that_never_ends_is_refused(endpoint: Endpoint, part: bytes) -> None:
    """It does not fill the memory first."""
    with connection(endpoint) as opened:
        opened.sendall(b"GET /version HTTP/1.1\r\n" + (b"X: " if part[:2] == b"xx" else b""))
        with pytest.raises(OSError, match=r"reset|Broken pipe|aborted"):  # noqa: PT012 - of many
            for _ in range(1000):
                opened.sendall(part)


@pytest.mark.parametrize(
    "request_",
    [b"\x00\xff\n\n", b"GET\r\n\r\n", b"GET /\xff HTTP/1.1\r\n\r\n", b"OPTIONS * HTTP/1.0\r\n\r\n"],
)
def test_what_is_no_request_is_refused(endpoint: Endpoint, request_: bytes) -> None:
    with connection(endpoint) as opened:
        opened.sendall(request_)
        assert status(rest(opened)) in (400, 403)


def test_who_leaves_in_the_middle_of_a_body_is_not_logged(own_home: Home) -> None:
    endpoint = launcher.ensure_running(own_home)
    with connection(endpoint) as opened:
        opened.sendall(head(endpoint, f"POST {JOBS} HTTP/1.1", "Content-Length: 100") + b"{")
    http = httpx.Client(headers={"Authorization": f"Bearer {endpoint.token}"})
    with http:
        assert http.get(endpoint.url + "/version").status_code == 200
    launcher.stop(own_home)
    assert own_home.log.read_text() == ""


# Starts an API that may open few files, and leaves it.
FEW_FILES = """
import resource
resource.setrlimit(resource.RLIMIT_NOFILE, (128, 256))
from pyjob_magic.local import launcher
launcher.ensure_running()
"""


@pytest.fixture
def few_files(own_home: Home) -> Home:
    env = {**os.environ, VARIABLE: str(own_home.path)}
    subprocess.run([sys.executable, "-c", FEW_FILES], env=env, check=True)
    return own_home


def test_all_files_that_are_allowed_may_be_opened(few_files: Home) -> None:
    running = launcher.status(few_files)
    assert running
    limits = psutil.Process(running.pid).rlimit(psutil.RLIMIT_NOFILE)
    assert limits == (256, 256)


def test_connections_do_not_use_up_the_files(few_files: Home) -> None:
    """With hundreds of connections open, requests are answered and replicas started."""
    endpoint = launcher.ensure_running(few_files)
    headers = {"Authorization": f"Bearer {endpoint.token}"}
    with ExitStack() as crowd:
        for _ in range(300):
            crowd.enter_context(connection(endpoint))
        with httpx.Client(base_url=endpoint.url, headers=headers, timeout=30) as http:
            api = Api(http, "default")
            api.submit(a_job(code="print('there was room')"))
            eventually(lambda: "Succeeded" in api.conditions("j"))
            assert api.log("j-master-0") == "there was room\n"
    running = launcher.status(few_files)
    assert running
    assert json.loads(few_files.api_file.read_text())["pid"] == running.pid


def test_watches_are_bounded_too(few_files: Home) -> None:
    """What finds no room waits; it is served when another has gone."""
    endpoint = launcher.ensure_running(few_files)
    running = launcher.status(few_files)
    assert running
    process = psutil.Process(running.pid)
    with ExitStack() as watches:
        for _ in range(64):
            watch = watches.enter_context(connection(endpoint))
            watch.sendall(head(endpoint, f"GET {JOBS}?watch=true HTTP/1.1"))
            assert status(watch.recv(65536)) == 200
        with connection(endpoint) as late:
            late.sendall(head(endpoint, "GET /version HTTP/1.1"))
            late.settimeout(0.5)
            with pytest.raises(TimeoutError):
                late.recv(1)
            assert process.num_fds() < 128
            watches.close()
            late.settimeout(20)
            assert status(late.recv(65536)) == 200
