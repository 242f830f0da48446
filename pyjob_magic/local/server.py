"""The API process: one event loop for the routes, the control loop and the replicas."""

from __future__ import annotations

import asyncio
import fcntl
import os
import socket
import sys
import time
from functools import partial
from types import FrameType

import uvicorn
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from pyjob_magic import __version__
from pyjob_magic.local import orphans, query
from pyjob_magic.local.api import application
from pyjob_magic.local.controller import Controller
from pyjob_magic.local.guard import Guard
from pyjob_magic.local.home import Home
from pyjob_magic.local.launcher import STOP_PATH
from pyjob_magic.local.settings import seconds
from pyjob_magic.local.status import StatusError
from pyjob_magic.local.store import Store
from pyjob_magic.local.wire import answer

_IDLE_SECONDS = 900.0
_OPEN_STREAMS = 1  # seconds that streams get to end when the API stops
_LOCK_PATIENCE = 0.5  # seconds; somebody who asks whether we live holds the lock for a moment
_STOP_PATIENCE = 10.0  # seconds for an API that stops to be gone: more than open streams get
_FORCED = "was ended by pyjob-magic stop --force"


class AlreadyRunningError(Exception):
    """Another API process serves this home."""


def serve(home: Home, ready: int | None = None) -> None:
    """Serve until stopped.

    Parameters
    ----------
    home
        The state directory.
    ready
        File descriptor to write to and close as soon as requests are answered.

    Raises
    ------
    AlreadyRunningError
        If another process serves this home.
    SettingError
        If a variable of the environment cannot be used.
    """
    idle = seconds("PYJOB_MAGIC_IDLE_SECONDS", _IDLE_SECONDS)
    home.create()
    lock = _lock(home)
    orphans.take_in()
    try:
        asyncio.run(_serve(home, ready, idle))
    finally:
        home.api_file.unlink(missing_ok=True)
        os.close(lock)


class _Server(uvicorn.Server):
    """A server that is announced for as long as it means to go on.

    Who asks for the API while it stops finds none, and waits until its lock is free.
    """

    def __init__(self, config: uvicorn.Config, home: Home) -> None:
        super().__init__(config)
        self._home = home

    def withdraw(self) -> None:
        """Be announced no more; requests are still answered."""
        self._home.api_file.unlink(missing_ok=True)

    def stop(self) -> None:
        """Begin to stop: connections get no more time than open streams do."""
        self.withdraw()
        self.should_exit = True

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        """Stop on a signal."""
        self.withdraw()
        super().handle_exit(sig, frame)


async def _serve(home: Home, ready: int | None, idle_seconds: float) -> None:
    store = Store(home.database)
    controller = Controller(store, home)
    app = application(controller)
    # With its protocol named, asyncio switches Nagle's algorithm off: 40 ms for each answer.
    listener = socket.socket(proto=socket.IPPROTO_TCP)
    listener.bind(("127.0.0.1", 0))
    listener.listen(256)
    port = listener.getsockname()[1]
    guard = Guard(app, home.ensure_token(), port)
    config = uvicorn.Config(
        guard,
        lifespan="off",
        log_level="warning",
        access_log=False,
        ws="none",
        server_header=False,
        timeout_graceful_shutdown=_OPEN_STREAMS,
        timeout_keep_alive=75,
    )
    server = _Server(config, home)
    app.router.routes.append(_stop_route(controller, server))
    control = asyncio.create_task(controller.run())
    idle = asyncio.create_task(_stop_when_idle(guard, controller, server, idle_seconds))
    for task, what in ((control, "the control loop"), (idle, "the watch over idle time")):
        task.add_done_callback(partial(_give_up, what, server))
    home.announce(f"http://127.0.0.1:{port}", __version__)
    if ready is not None:
        # The socket listens already: who connects now is answered as soon as the loop runs.
        os.write(ready, b"ready")
        os.close(ready)
    try:
        await server.serve(sockets=[listener])
    finally:
        for task in (idle, control):
            task.cancel()
        controller.kubelet.leave()
        await asyncio.gather(idle, control, return_exceptions=True)
        store.close()


def _stop_route(controller: Controller, server: _Server) -> Route:
    async def stop(request: Request) -> Response:
        """Stop the API; with ``force`` also the replicas that run."""
        await controller.in_charge.wait()
        active = controller.active_jobs()
        if active and not query.flag(request.query_params, "force"):
            jobs = ", ".join(active[:5]) + (", …" if len(active) > 5 else "")
            raise StatusError(409, "Conflict", f"{len(active)} active job(s): {jobs}")
        server.withdraw()
        try:
            await controller.end_jobs(_FORCED)  # if there are any, force was said
        finally:
            server.stop()
        return answer(request, {"kind": "Status", "apiVersion": "v1", "status": "Success"})

    return Route(STOP_PATH, stop, methods=["POST"])


async def _stop_when_idle(
    guard: Guard, controller: Controller, server: _Server, limit: float
) -> None:
    """Stop the API when it has had nothing to do for `limit` seconds."""
    left = limit
    while left > 0:
        await asyncio.sleep(left)
        left = guard.last_activity + limit - time.monotonic()
        if left <= 0 and (guard.open_requests or controller.active_jobs()):
            left = limit
    server.stop()


def _give_up(what: str, server: _Server, task: asyncio.Task[None]) -> None:
    """End the process if a task that it cannot do without has failed: a new one takes over."""
    if not task.cancelled() and (error := task.exception()):
        print(f"{what} failed: {error!r}", file=sys.stderr)  # noqa: T201 - the log
        server.stop()


def _lock(home: Home) -> int:
    """Lock the home for this process; the lock goes when the process goes."""
    handle = os.open(home.lock, os.O_RDWR | os.O_CREAT, 0o600)
    begun = time.monotonic()
    while True:
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            # One that is not announced has just begun, or is about to end.
            patience = _LOCK_PATIENCE if home.api_file.exists() else _STOP_PATIENCE
            if time.monotonic() - begun > patience:
                os.close(handle)
                raise AlreadyRunningError(f"an API already serves {home.path}") from None
            time.sleep(0.01)
        else:
            return handle
