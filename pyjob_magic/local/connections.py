"""Connections: how many there may be, and how long a request may take to arrive.

uvicorn sets no limit to either, nor to the head of a request.
"""

from __future__ import annotations

import asyncio
import logging
import resource
import socket
import ssl
from collections.abc import Awaitable, Callable
from contextlib import suppress

import uvicorn
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol
from uvicorn.server import ServerState

HEAD_LIMIT = 65_536  # bytes of a request's first line and headers
_MOST = 4096  # connections
_SHARE = 4  # one part in so many of the file descriptors is for connections
_PAUSE = 0.1  # seconds between two looks whether there is room for another
_IDLE = 1.0  # seconds of silence after which a connection may have to make room
_GOODBYE = 1.0  # seconds for the end of a TLS connection

Tls = Callable[[], Awaitable[ssl.SSLContext]]

_log = logging.getLogger(__name__)


def raise_file_limit() -> int:
    """Let this process open as many files as it may; return how many connections it can afford."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    with suppress(ValueError, OSError):  # macOS calls it unlimited, but does not allow that
        resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
        soft = hard
    return _MOST if soft == resource.RLIM_INFINITY else min(_MOST, soft // _SHARE)


class Connection(HttpToolsProtocol):
    """A connection on which a request is whole within `patience` seconds, or it is closed.

    The answer may take as long as it likes.
    """

    def __init__(self, config: uvicorn.Config, state: ServerState, patience: float) -> None:
        super().__init__(config, state, app_state={})
        self._patience = patience
        self._deadline: asyncio.TimerHandle | None = None
        self._head = True  # whether what comes belongs to the head of a request
        self._head_size = 0
        self._whole = False
        self._heard = 0.0

    def make_room(self) -> None:
        """Close the connection if nobody seems to need it."""
        answered = self.cycle is None or self.cycle.response_complete
        if answered and self.loop.time() - self._heard > _IDLE:
            self.transport.close()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Begin to wait for the first request."""
        assert isinstance(transport, asyncio.Transport)
        self._heard = self.loop.time()
        super().connection_made(transport)
        self._expect_more()

    def connection_lost(self, exc: Exception | None) -> None:
        """Wait for nothing any more."""
        self._expect_nothing()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        """Take in a part of a request."""
        self._heard = self.loop.time()
        self._whole = False
        self._head_size += len(data)
        super().data_received(data)
        if self._whole:
            self._expect_nothing()
        elif self._head and self._head_size > HEAD_LIMIT:
            self.send_400_response("The head of the request is too large.")
        elif self._deadline is None:
            self._expect_more()

    def on_message_begin(self) -> None:
        """Begin another request."""
        self._whole = False
        super().on_message_begin()

    def on_headers_complete(self) -> None:
        """Go on with the body."""
        self._head = False
        super().on_headers_complete()

    def on_message_complete(self) -> None:
        """Be content until another request begins."""
        self._whole = self._head = True
        self._head_size = 0
        super().on_message_complete()

    def _expect_more(self) -> None:
        self._deadline = self.loop.call_later(self._patience, self.transport.abort)

    def _expect_nothing(self) -> None:
        if self._deadline is not None:
            self._deadline.cancel()
            self._deadline = None


class Reception:
    """Takes connections in, `most` at a time.

    Where there is no room for another, those that are idle make some.

    Parameters
    ----------
    server
        Answers the requests.
    most
        How many connections there may be.
    patience
        Seconds for a TLS handshake, and for a request to arrive.
    """

    def __init__(self, server: uvicorn.Server, most: int, patience: float) -> None:
        self._server = server
        self._most = most
        self._patience = patience
        self._greeted: set[asyncio.Task[None]] = set()

    async def run(self, listener: socket.socket, tls: Tls | None = None) -> None:
        """Take in what comes to `listener` until cancelled, and close it then."""
        loop = asyncio.get_running_loop()
        with listener:
            listener.setblocking(False)
            while True:
                while self._crowded():
                    await asyncio.sleep(_PAUSE)
                try:
                    connection, _ = await loop.sock_accept(listener)
                except OSError as error:  # the machine has no descriptor left, for example
                    _log.warning("cannot take another connection: %s", error)
                    await asyncio.sleep(_PAUSE)
                    continue
                task = loop.create_task(self._greet(connection, tls))
                self._greeted.add(task)
                task.add_done_callback(self._greeted.discard)

    def _crowded(self) -> bool:
        connections = self._server.server_state.connections
        if len(connections) + len(self._greeted) < self._most:
            return False
        for connection in tuple(connections):
            if isinstance(connection, Connection):  # all are; uvicorn knows other kinds
                connection.make_room()
        return True

    async def _greet(self, connection: socket.socket, tls: Tls | None) -> None:
        loop = asyncio.get_running_loop()
        try:
            if tls is None:
                await loop.connect_accepted_socket(self._protocol, connection)
                return
            await loop.connect_accepted_socket(
                self._protocol,
                connection,
                ssl=await tls(),
                ssl_handshake_timeout=self._patience,
                ssl_shutdown_timeout=_GOODBYE,
            )
        except OSError:  # it went again, or did not speak TLS, or did not finish in time
            connection.close()

    def _protocol(self) -> Connection:
        return Connection(self._server.config, self._server.server_state, self._patience)
