"""The door: who may speak to the embedded API, and when it was spoken to last."""

from __future__ import annotations

import hmac
import time
from collections.abc import Iterable
from typing import Any

from starlette.requests import ClientDisconnect
from starlette.types import ASGIApp, Receive, Scope, Send

from pyjob_magic.local.apiserver.wire import render
from pyjob_magic.local.connections import HEAD_LIMIT
from pyjob_magic.local.status import StatusError, forbidden, head_too_large, unauthorized

_HOSTS = ("127.0.0.1", "localhost")


class Guard:
    """Let only those in who name this machine as the host and know the token.

    A web page that makes a browser believe that its own name is 127.0.0.1 sends its own name as
    the ``Host``; a process of another user does not know the token.
    """

    def __init__(self, app: ASGIApp, token: str, ports: Iterable[int]) -> None:
        self._app = app
        self._token = token.encode()
        self._hosts = {f"{host}:{port}".encode() for host in _HOSTS for port in ports}
        self.open_requests = 0
        self.last_activity = time.monotonic()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve a request, or refuse it."""
        if scope["type"] != "http":
            return
        try:
            self._check(scope)
        except StatusError as refusal:
            await _refuse(send, refusal)
            return
        self.open_requests += 1
        try:
            await self._app(scope, receive, send)
        except ClientDisconnect:
            pass  # it went before all of its request was here
        finally:
            self.open_requests -= 1
            self.last_activity = time.monotonic()

    def _check(self, scope: Scope) -> None:
        """Raise if a request is not to be served."""
        headers: list[tuple[bytes, bytes]] = scope["headers"]
        size = len(scope["raw_path"]) + len(scope["query_string"])
        if size + sum(len(name) + len(value) for name, value in headers) > HEAD_LIMIT:
            raise head_too_large(HEAD_LIMIT)
        hosts = [value.lower() for name, value in headers if name == b"host"]
        credentials = [value for name, value in headers if name == b"authorization"]
        if len(hosts) != 1 or hosts[0] not in self._hosts:
            raise forbidden("the Host header names another machine")
        if len(credentials) != 1 or not self._knows(credentials[0]):
            raise unauthorized()

    def _knows(self, credential: bytes) -> bool:
        scheme, _, token = credential.partition(b" ")
        return scheme.lower() == b"bearer" and hmac.compare_digest(token.strip(), self._token)


async def _refuse(send: Send, refusal: StatusError) -> None:
    body = render(refusal.body)
    headers: list[Any] = [
        (b"content-type", b"application/json"),
        (b"content-length", str(len(body)).encode()),
    ]
    await send({"type": "http.response.start", "status": refusal.code, "headers": headers})
    await send({"type": "http.response.body", "body": body})
