"""Open streams of one reader, which another thread can end."""

from __future__ import annotations

import contextlib
import logging
import socket
import threading
from collections.abc import Callable, Iterator

import httpx

log = logging.getLogger("pyjob_magic")
"""Where notes go that nobody else takes."""


class Streams:
    """What one reader has open, and how long it wants to wait.

    Parameters
    ----------
    notify
        Is told what keeps the reader waiting, in whatever thread that is found out.
    """

    def __init__(self, notify: Callable[[str], None] = log.warning) -> None:
        self.notify = notify
        self._lock = threading.Lock()
        self._open: set[httpx.Response] = set()
        self._closing = threading.Event()

    @property
    def closed(self) -> bool:
        """Whether the reader has gone."""
        return self._closing.is_set()

    def sleep(self, seconds: float) -> None:
        """Wait, but no longer than the reader is there."""
        self._closing.wait(seconds)

    @contextlib.contextmanager
    def opened(self, response: httpx.Response) -> Iterator[None]:
        """Hold `response` as long as it is read; close it afterwards."""
        with self._lock:
            self._open.add(response)
        if self.closed:
            _shut_down(response)
        try:
            yield
        finally:
            with self._lock:
                self._open.discard(response)
            response.close()

    def close(self) -> None:
        """End all streams, also those that are opened later."""
        self._closing.set()
        with self._lock:
            for response in self._open:
                _shut_down(response)


def _shut_down(response: httpx.Response) -> None:
    """End the connection, so that a thread that is blocked in reading it goes on."""
    stream = response.extensions.get("network_stream")
    connection = stream.get_extra_info("socket") if stream else None
    if connection is not None:
        with contextlib.suppress(OSError):
            connection.shutdown(socket.SHUT_RDWR)
