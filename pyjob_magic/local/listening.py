"""The HTTP server of the API: where it listens, and until when it is announced."""

from __future__ import annotations

import asyncio
import logging
import os
import socket
from collections.abc import Callable
from contextlib import suppress
from dataclasses import asdict
from functools import partial
from types import FrameType

import uvicorn

from pyjob_magic import __version__
from pyjob_magic.local.certificates import Certificates
from pyjob_magic.local.connections import Reception, raise_file_limit
from pyjob_magic.local.home import Home
from pyjob_magic.local.launcher import Running
from pyjob_magic.local.ports import Listeners

_TICK = 1.0  # seconds

_log = logging.getLogger(__name__)


class Server(uvicorn.Server):
    """A server that is announced for as long as it means to go on.

    Who asks for the API while it stops finds none, and waits until its lock is free.

    Parameters
    ----------
    config
        What uvicorn is told.
    home
        Where it is announced, and its certificates are.
    patience
        Seconds for a request to arrive.
    """

    def __init__(self, config: uvicorn.Config, home: Home, patience: float) -> None:
        super().__init__(config)
        self.each_second: Callable[[], None] = lambda: None
        self._home = home
        self._announcement: int | None = None
        self._reception = Reception(self, raise_file_limit(), patience)
        self._receiving: list[asyncio.Task[None]] = []
        self._stopping = asyncio.Event()
        self._loop = asyncio.get_running_loop()

    def listen(self, listeners: Listeners) -> None:
        """Take in connections, and announce where."""
        tls = Certificates(self._home.certificates).context
        for work in (
            self._reception.run(listeners.plain),
            self._reception.run(listeners.secure, tls),
        ):
            task = self._loop.create_task(work)
            task.add_done_callback(partial(self.give_up, "the reception of connections"))
            self._receiving.append(task)
        plain, secure = listeners.ports
        endpoint = Running(
            url=f"http://127.0.0.1:{plain}",
            secure_url=f"https://127.0.0.1:{secure}",
            lost_ports=listeners.lost,
            pid=os.getpid(),
            version=__version__,
        )
        self._announcement = self._home.announce(asdict(endpoint))

    def withdraw(self) -> None:
        """Be announced no more; requests are still answered."""
        announcement, self._announcement = self._announcement, None  # a signal may come now
        if announcement is not None:
            os.close(announcement)

    def stop(self) -> None:
        """Begin to stop: connections get no more time than open streams do."""
        self.withdraw()
        self.should_exit = True
        self._stopping.set()

    def give_up(self, what: str, task: asyncio.Task[None]) -> None:
        """Stop if a task that we cannot do without has failed: a new API takes over."""
        if not task.cancelled() and (error := task.exception()):
            _log.error("%s failed", what, exc_info=error)
            self.stop()

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        """Stop on a signal."""
        self.withdraw()
        super().handle_exit(sig, frame)
        self._loop.call_soon_threadsafe(self._stopping.set)

    async def main_loop(self) -> None:
        """Wait until it is time to stop; once a second is often enough for the time of day."""
        while not await self.on_tick(0):
            self.each_second()
            with suppress(TimeoutError):
                await asyncio.wait_for(self._stopping.wait(), _TICK)

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """Take in nobody any more, and let those who are there finish."""
        for task in self._receiving:
            task.cancel()
        await super().shutdown(sockets)
