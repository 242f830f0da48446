"""What an API that has died leaves behind is not taken for one that lives."""

from __future__ import annotations

import fcntl
import os
import socket
import threading
from collections.abc import Iterator
from contextlib import suppress

import pytest

from pyjob_magic.local import launcher, private
from pyjob_magic.local.home import Home
from tests.local.test_launcher import kill, pid, pretend, running


class Stranger:
    """A program of somebody else that listens on a port and notes what it is sent."""

    def __init__(self, port: int) -> None:
        self.heard = b""
        self._listener = socket.create_server(("127.0.0.1", port))
        threading.Thread(target=self._listen, daemon=True).start()

    def close(self) -> None:
        self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()

    def _listen(self) -> None:
        with suppress(OSError):
            while True:
                connection, _ = self._listener.accept()
                with connection:
                    connection.settimeout(5)
                    self.heard += connection.recv(65536)


@pytest.fixture
def stranger(own_home: Home) -> Iterator[Stranger]:
    """Lend a stranger on the port of an API that was killed, which it has announced for good."""
    port = int(launcher.ensure_running(own_home).url.rpartition(":")[2])
    kill(own_home)
    stranger = Stranger(port)
    yield stranger
    stranger.close()
    assert own_home.token().encode() not in stranger.heard
    assert b"HTTP" not in stranger.heard


def test_a_stranger_on_the_port_of_a_dead_api_gets_no_token(
    own_home: Home, stranger: Stranger
) -> None:
    assert own_home.api_file.exists()
    assert launcher.status(own_home) is None
    assert not launcher.stop(own_home)
    with running(own_home) as api:
        assert api.http.get("/readyz").text == "ok"


def test_nor_while_another_api_starts(own_home: Home, stranger: Stranger) -> None:
    """It holds the lock of the directory already, and has announced nothing yet."""
    starting = private.lock_file(own_home.lock)
    fcntl.flock(starting, fcntl.LOCK_EX)
    assert launcher.status(own_home) is None
    os.close(starting)


def test_a_pid_that_is_somebody_elses_by_now_is_no_api(own_home: Home) -> None:
    launcher.ensure_running(own_home)
    kill(own_home)
    pretend(own_home, pid=os.getpid())
    assert launcher.status(own_home) is None
    launcher.ensure_running(own_home)
    assert pid(own_home) != os.getpid()


@pytest.mark.parametrize("text", ["", "null", "[]", "{", '{"url": "http://127.0.0.1:1"}'])
def test_what_is_no_announcement_is_none(own_home: Home, text: str) -> None:
    own_home.create()
    held = private.write_locked(own_home.api_file, text)
    assert launcher.status(own_home) is None
    os.close(held)
