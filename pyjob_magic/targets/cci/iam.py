"""Tokens of Huawei Cloud's identity service (IAM): fetched once, renewed in time.

Source: "IAM API Reference", ``POST /v3/auth/tokens``.
"""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Generator
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import httpx

from pyjob_magic import errors, unlogged
from pyjob_magic.models import Status
from pyjob_magic.targets.cci.credentials import MARGIN, Password, Secret

_TIMEOUT = httpx.Timeout(30.0, connect=5.0)
_LIFETIME = 24 * 3600.0  # seconds that a token lives, where IAM does not say it
Flow = Generator[httpx.Request, httpx.Response, None]


class Tokens:
    """The token of the account that was asked for last.

    Parameters
    ----------
    url
        Where IAM is, without ``/v3``.
    now
        The time, in seconds since 1970.
    """

    def __init__(self, url: str, now: Callable[[], float]) -> None:
        self._url = url
        self._now = now
        self._lock = threading.Lock()
        self._held: _Held | None = None

    def flow(self, request: httpx.Request, account: Password) -> Flow:
        """Send `request` with a token; once more with a new one if the token is refused."""
        token = yield from self._token(account)
        request.headers["X-Auth-Token"] = token
        response = yield request
        if response.status_code == 401:
            request.headers["X-Auth-Token"] = yield from self._token(account, refused=token)
            yield request

    def _token(
        self, account: Password, refused: Secret | None = None
    ) -> Generator[httpx.Request, httpx.Response, Secret]:
        # Whoever waits here for the lock takes the token that another thread has fetched.
        with self._lock:
            held = self._held
            if held is None or not held.serves(account, refused, self._now()):
                response = yield _request(self._url, account)
                response.read()
                held = self._held = self._accept(response, account)
            return held.token

    def _accept(self, response: httpx.Response, account: Password) -> _Held:
        token = response.headers.get("X-Subject-Token")
        if response.status_code != 201 or not token:
            raise _refusal(response, account)
        return _Held(account, Secret(token), self._now() + _lifetime(response) - MARGIN)


@dataclass(frozen=True)
class _Held:
    account: Password
    token: Secret
    renewal: float  # seconds since 1970

    def serves(self, account: Password, refused: Secret | None, now: float) -> bool:
        return self.account == account and self.token != refused and now < self.renewal


def password_body(account: Password) -> dict[str, Any]:
    """Return what IAM is asked: a token for one project, for a user with a password."""
    user = {
        "name": account.user,
        "password": account.password,
        "domain": {"name": account.domain},
    }
    return {
        "auth": {
            "identity": {"methods": ["password"], "password": {"user": user}},
            "scope": {"project": {"name": account.project}},
        }
    }


def _request(url: str, account: Password) -> httpx.Request:
    return httpx.Request(
        "POST",
        f"{url}/v3/auth/tokens",
        params={"nocatalog": "true"},  # the catalog has hundreds of kilobytes
        headers={"Content-Type": "application/json;charset=utf8"},
        content=json.dumps(password_body(account)).encode(),
        extensions={"timeout": _TIMEOUT.as_dict()},
    )


def _lifetime(response: httpx.Response) -> float:
    """Return for how many seconds a token lives, by IAM's own clock."""
    try:
        token = response.json()["token"]
        issued, expires = (datetime.fromisoformat(token[k]) for k in ("issued_at", "expires_at"))
        return (expires - issued).total_seconds()
    except (KeyError, TypeError, ValueError):
        return _LIFETIME


def _refusal(response: httpx.Response, account: Password) -> errors.ApiError:
    code = response.status_code
    try:
        status = Status.read(response.json())
    except ValueError:
        status = Status()
    kind = errors.UnauthorizedError if code == 401 else errors.ApiError
    refusal = kind(
        f"give a token to user {account.user!r} of account {account.domain!r} "
        f"for project {account.project!r}",
        status.message or f"HTTP {code} without a token",
        target=response.request.url.host,
        code=code,
        reason=status.reason or "",
        error_code=status.error_code or "",
        request_id=status.request_id or "",
        hint=_HINTS.get(code, ""),
    )
    after = response.headers.get("Retry-After", "")
    refusal.retry_after = float(after) if after.isdecimal() else None
    return refusal


_HINTS = {
    400: "check the names of the account (domain) and of the project, which is the region's",
    401: "check user, password and account (domain); a HUAWEI ID gets no token, so make an IAM "
    "user or use an access key",
    403: "the user may be disabled, or kept from programmatic access",
}


unlogged.keep_out("httpcore.http11", "x-subject-token")  # a header of the answer
