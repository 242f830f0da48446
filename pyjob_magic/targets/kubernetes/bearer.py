"""Credentials that are sent with each request: tokens, passwords, and on whose behalf."""

from __future__ import annotations

import re
from collections.abc import Callable, Generator, Sequence
from pathlib import Path

import httpx

from pyjob_magic.errors import TargetError

Flow = Generator[httpx.Request, httpx.Response, None]


def header(token: str, source: str) -> str:
    """Return the header that carries `token`.

    Raises
    ------
    TargetError
        If it is none; else the HTTP client would show it in its own error.
    """
    if not re.fullmatch(r"[\x21-\x7e]+", token):
        raise TargetError(f"{source} is empty or holds characters that no token has")
    return f"Bearer {token}"


class Bearer(httpx.Auth):
    """Sends a token; where it is refused and there is another one by now, that one, once.

    Parameters
    ----------
    read
        Returns the token as it is now.
    source
        What it is, for messages.
    """

    def __init__(self, read: Callable[[], str], source: str) -> None:
        self._read = read
        self._source = source

    @classmethod
    def fixed(cls, token: str, source: str) -> Bearer:
        """Return the credentials of a token that never changes."""
        return cls(lambda: token, source)

    @classmethod
    def of_file(cls, file: Path) -> Bearer:
        """Return the credentials of a token in a file, which is replaced from time to time."""
        return cls(lambda: _read(file), f"the token in {file}")

    def auth_flow(self, request: httpx.Request) -> Flow:
        """Add the token to `request`."""
        sent = request.headers["Authorization"] = header(self._read(), self._source)
        response = yield request
        if response.status_code == 401:
            fresh = header(self._read(), self._source)
            if fresh != sent:
                request.headers["Authorization"] = fresh
                yield request


class Impersonation(httpx.Auth):
    """Acts on behalf of somebody else.

    Parameters
    ----------
    auth
        Our own credentials.
    headers
        Who is meant, as the API server wants to be told.
    """

    def __init__(self, auth: httpx.Auth, headers: Sequence[tuple[str, str]]) -> None:
        self._auth = auth
        self._headers = headers

    def auth_flow(self, request: httpx.Request) -> Flow:
        """Add the headers, and what our own credentials add."""
        request.headers = httpx.Headers([*request.headers.multi_items(), *self._headers])
        yield from self._auth.auth_flow(request)


def _read(file: Path) -> str:
    try:
        return file.read_text(encoding="utf-8").strip()
    except (OSError, UnicodeDecodeError) as error:
        reason = getattr(error, "strerror", None) or "is no text"
        raise TargetError(f"cannot read the token in {file}: {reason}") from None
