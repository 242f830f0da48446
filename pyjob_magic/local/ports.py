"""The ports of the API: taken again at each start, so that a kubeconfig stays valid."""

from __future__ import annotations

import json
import socket
import time
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pyjob_magic.local import private

_ADDRESS = "127.0.0.1"
_BACKLOG = 256
_PATIENCE = 0.3  # seconds in which an API that was killed lets go of its ports


@dataclass(frozen=True)
class Listeners:
    """The sockets of the API."""

    plain: socket.socket  # HTTP, for our own client
    secure: socket.socket  # the same over TLS, for kubectl and others
    lost: tuple[int, ...]  # ports of before that somebody else has by now

    @property
    def ports(self) -> tuple[int, int]:
        """The ports of `plain` and `secure`."""
        return _port(self.plain), _port(self.secure)


def listen(memory: Path) -> Listeners:
    """Listen on the ports that a file remembers, or on others where those are taken."""
    wanted = _remembered(memory)
    plain, secure = _listener(wanted[0]), _listener(wanted[1])
    given = _port(plain), _port(secure)
    found = Listeners(plain, secure, tuple(port for port in wanted if port and port not in given))
    if given != wanted:
        with suppress(OSError):  # on a full disk they are remembered the next time
            private.write(memory, json.dumps(given))
    return found


def _remembered(memory: Path) -> tuple[int, int]:
    try:
        plain, secure = json.loads(private.read(memory))
    except (FileNotFoundError, ValueError, TypeError):
        return 0, 0
    return _valid(plain), _valid(secure)


def _valid(port: Any) -> int:
    return port if isinstance(port, int) and 0 < port < 65536 else 0


def _listener(port: int) -> socket.socket:
    """Listen on a port, or if it cannot be had on one that the system chooses."""
    deadline = time.monotonic() + _PATIENCE
    while True:
        # With its protocol named, asyncio switches Nagle's algorithm off: 40 ms for each answer.
        listener = socket.socket(proto=socket.IPPROTO_TCP)
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            listener.bind((_ADDRESS, port))
            listener.listen(_BACKLOG)
        except OSError:
            listener.close()
            if port == 0:
                raise
            if time.monotonic() > deadline:
                return _listener(0)
            time.sleep(0.02)
        else:
            return listener


def _port(listener: socket.socket) -> int:
    port: int = listener.getsockname()[1]
    return port
