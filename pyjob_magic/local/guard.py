"""The door: who may speak to the embedded API, and when it was spoken to last."""

from __future__ import annotations

import hmac
import time
from typing import Any

from starlette.types import ASGIApp, Receive, Scope, Send

from pyjob_magic.local.status import failure
from pyjob_magic.local.wire import render

_HOSTS = ("127.0.0.1", "localhost")


class Guard:
    """Let only those in who name this machine as the host and know the token.

    A web page that makes a browser believe that its own name is 127.0.0.1 sends its own name as
    the ``Host``; a process of another user does not know the token.
    """

    def __init__(self, app: ASGIApp, token: str, port: int) -> None:
        self._app = app
        self._token = f"Bearer {token}".encode()
        self._hosts = {f"{host}:{port}".encode() for host in _HOSTS}
        self.open_requests = 0
        self.last_activity = time.monotonic()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve a request, or refuse it."""
        if scope["type"] != "http":
            return
        headers = dict(scope["headers"])
        if headers.get(b"host", b"").lower() not in self._hosts:
            await _refuse(send, 403, "Forbidden", "the Host header names another machine")
        elif not hmac.compare_digest(headers.get(b"authorization", b""), self._token):
            await _refuse(send, 401, "Unauthorized", "Unauthorized")
        else:
            self.open_requests += 1
            try:
                await self._app(scope, receive, send)
            finally:
                self.open_requests -= 1
                self.last_activity = time.monotonic()


async def _refuse(send: Send, code: int, reason: str, message: str) -> None:
    body = render(failure(code, reason, message))
    headers: list[Any] = [
        (b"content-type", b"application/json"),
        (b"content-length", str(len(body)).encode()),
    ]
    await send({"type": "http.response.start", "status": code, "headers": headers})
    await send({"type": "http.response.body", "body": body})
