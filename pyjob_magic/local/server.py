"""The API process: one event loop for the routes, the control loop and the replicas."""

from __future__ import annotations

import asyncio
import fcntl
import logging
import os
import time
from contextlib import suppress
from functools import partial

import uvicorn
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from pyjob_magic.local import private
from pyjob_magic.local.apiserver import query
from pyjob_magic.local.apiserver.routes import application
from pyjob_magic.local.apiserver.wire import answer
from pyjob_magic.local.control.controller import Controller
from pyjob_magic.local.guard import Guard
from pyjob_magic.local.home import Home
from pyjob_magic.local.kubelet import cgroups, orphans
from pyjob_magic.local.launcher import READY, STATUS_PATH, STOP_PATH
from pyjob_magic.local.listening import Server
from pyjob_magic.local.ports import listen
from pyjob_magic.local.settings import seconds
from pyjob_magic.local.starter import Starter
from pyjob_magic.local.status import StatusError
from pyjob_magic.local.storage import StorageError, emptied, removed
from pyjob_magic.local.store import Store

_IDLE_SECONDS = 900.0
_REQUEST_SECONDS = 10.0  # for a request to arrive whole
_KEEP_ALIVE = 75  # seconds that a connection is kept between two requests
_OPEN_STREAMS = 1  # seconds that streams get to end when the API stops
_LOCK_PATIENCE = 0.5  # seconds; somebody who asks whether we live holds the lock for a moment
_STOP_PATIENCE = 10.0  # seconds for an API that stops to be gone: more than open streams get
_FORCED = "was ended by pyjob-magic stop --force"

_log = logging.getLogger(__name__)


class AlreadyRunningError(Exception):
    """Another API process serves this home."""


class AbandonedError(Exception):
    """Nobody wants this API process any more."""


def serve(home: Home, starter: Starter) -> None:
    """Serve until stopped.

    Parameters
    ----------
    home
        The state directory.
    starter
        Is told as soon as requests are answered.

    Raises
    ------
    AlreadyRunningError
        If another process serves this home.
    AbandonedError
        If whoever has started this process has ended before it serves.
    SettingError
        If a variable of the environment cannot be used.
    """
    idle = seconds("PYJOB_MAGIC_IDLE_SECONDS", _IDLE_SECONDS)
    patience = seconds("PYJOB_MAGIC_REQUEST_SECONDS", _REQUEST_SECONDS)
    home.create()
    lock = _lock(home, starter)
    orphans.take_in()
    cgroups.take_over()
    try:
        asyncio.run(_serve(home, starter, idle, patience))
    finally:
        os.close(lock)


async def _serve(home: Home, starter: Starter, idle_seconds: float, patience: float) -> None:
    store = Store(home.database)
    if store.version == 0 and any(home.pods.iterdir()):
        raise emptied(home.database)
    controller = Controller(store, home)
    app = application(controller)
    listeners = listen(home.ports_file)
    guard = Guard(app, home.ensure_token(), listeners.ports)
    config = uvicorn.Config(
        guard,
        lifespan="off",
        log_config=None,
        log_level="error",
        access_log=False,
        ws="none",
        workers=1,  # whatever the environment says
        proxy_headers=False,
        server_header=False,
        timeout_graceful_shutdown=_OPEN_STREAMS,
        timeout_keep_alive=_KEEP_ALIVE,
    )
    server = Server(config, home, patience)
    server.each_second = partial(_look_after, store, controller, server)
    app.router.routes += [_stop_route(controller, server), _status_route(controller)]
    tasks = {
        "the control loop": controller.run(),
        "the watch over idle time": _stop_when_idle(guard, controller, server, idle_seconds),
    }
    running = []
    for what, work in tasks.items():
        task = asyncio.create_task(work)
        task.add_done_callback(partial(server.give_up, what))
        running.append(task)
    server.listen(listeners)
    # The sockets listen already: who connects now is answered as soon as the loop runs.
    starter.tell(READY)
    try:
        await server.serve(sockets=[])
    finally:
        for task in running:
            task.cancel()
        controller.kubelet.leave()
        await asyncio.gather(*running, return_exceptions=True)
        server.withdraw()
        store.close()


def _look_after(store: Store, controller: Controller, server: Server) -> None:
    """Go on when what could not be written can be; stop when it would be lost."""
    if store.gone():
        _log.error("%s", removed(store.path))
        server.stop()
    elif store.failing:
        with suppress(StorageError):
            store.try_to_write()
            store.failing = False
            controller.resume()


def _status_route(controller: Controller) -> Route:
    async def status(request: Request) -> Response:
        """Tell what keeps the API from stopping."""
        await controller.in_charge.wait()
        return answer(request, {"activeJobs": controller.active_jobs()})

    return Route(STATUS_PATH, status, methods=["GET"])


def _stop_route(controller: Controller, server: Server) -> Route:
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
    guard: Guard, controller: Controller, server: Server, limit: float
) -> None:
    """Stop the API when it has had nothing to do for `limit` seconds."""
    left = limit
    while left > 0:
        await asyncio.sleep(left)
        left = guard.last_activity + limit - time.monotonic()
        if left <= 0 and (guard.open_requests or controller.active_jobs()):
            left = limit
    server.stop()


def _lock(home: Home, starter: Starter) -> int:
    """Lock the home for this process; the lock goes when the process goes."""
    handle = private.lock_file(home.lock)
    begun = time.monotonic()
    while not starter.gone():
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            # One that is not announced has just begun, or is about to end.
            patience = _LOCK_PATIENCE if home.endpoint() else _STOP_PATIENCE
            if time.monotonic() - begun > patience:
                os.close(handle)
                raise AlreadyRunningError(f"an API already serves {home.path}") from None
            time.sleep(0.01)
        else:
            return handle
    os.close(handle)
    raise AbandonedError("whoever has started this process is gone")
