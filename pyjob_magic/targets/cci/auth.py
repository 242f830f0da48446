"""How requests show who sends them: signed with a key, or with a token."""

from __future__ import annotations

import time
from collections.abc import Callable, Generator
from datetime import UTC, datetime

import httpx

from pyjob_magic.targets.cci.credentials import Keys, Source, Token
from pyjob_magic.targets.cci.iam import Tokens
from pyjob_magic.targets.cci.signature import sign


class CloudAuth(httpx.Auth):
    """Huawei Cloud's ways in; which one is decided by the credentials there are.

    Parameters
    ----------
    source
        The credentials; asked for each request.
    iam
        URL of the identity service.
    now
        The time, in seconds since 1970.
    """

    requires_request_body = True  # it is signed

    def __init__(self, source: Source, iam: str, *, now: Callable[[], float] = time.time) -> None:
        self._source = source
        self._now = now
        self._tokens = Tokens(iam, now)

    def __repr__(self) -> str:
        return "CloudAuth()"

    def auth_flow(self, request: httpx.Request) -> Generator[httpx.Request, httpx.Response, None]:
        """Send `request` with what proves who asks."""
        credentials = self._source.current()
        if isinstance(credentials, Keys):
            sign(request, credentials, datetime.fromtimestamp(self._now(), UTC))
            response = yield request
        elif isinstance(credentials, Token):
            request.headers["X-Auth-Token"] = credentials.value
            response = yield request
        else:
            yield from self._tokens.flow(request, credentials)
            return
        if response.status_code == 401:
            # Not sent again: five wrong signatures lock a key for five minutes.
            self._source.forget()
