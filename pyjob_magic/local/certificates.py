"""The certificates of TLS: an authority of this state directory, and what it certifies.

They are made when they are first asked for. What makes them is imported only then: it weighs 7 MB,
and an API that nobody speaks TLS with does without it.
"""

from __future__ import annotations

import asyncio
import fcntl
import os
import ssl
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from pyjob_magic.local import private

_AUTHORITY_DAYS, _SERVER_DAYS = 3650, 365
_RENEWED = 0.8  # the part of its life after which a certificate is replaced
_DAY = 86_400.0
_END = "-----END CERTIFICATE-----\n"


class Certificates:
    """Two files of mode 0600, each with a certificate and its key.

    Parameters
    ----------
    directory
        Where they are; made if it does not exist.
    """

    def __init__(self, directory: Path) -> None:
        self._directory = directory
        self._authority = directory / "authority.pem"
        self._server = directory / "server.pem"
        self._context: ssl.SSLContext | None = None
        self._loaded = (0, 0)

    def authority(self) -> str:
        """Return the certificate that a client has to trust, as PEM."""
        self.ensure()
        certificate, end, _key = private.read(self._authority).partition(_END)
        return certificate + end

    async def context(self) -> ssl.SSLContext:
        """Return what a server needs to speak TLS."""
        if self._authority_is_due() or self._server_is_due():
            await asyncio.to_thread(self.ensure)
        found = self._server.stat()
        identity = (found.st_ino, found.st_mtime_ns)
        if self._context is None or self._loaded != identity:
            self._context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            self._context.load_cert_chain(self._server)
            self._loaded = identity
        return self._context

    def ensure(self) -> None:
        """Make what is missing, and replace what nears its end."""
        private.own_directory(self._directory)
        with self._lock():
            if self._authority_is_due():
                from pyjob_magic.local.authority import new_authority

                private.write(self._authority, new_authority(_AUTHORITY_DAYS))
            if self._server_is_due():
                from pyjob_magic.local.authority import new_server

                authority = private.read(self._authority)
                private.write(self._server, new_server(authority, _SERVER_DAYS))

    def _authority_is_due(self) -> bool:
        return _is_due(_written(self._authority), _AUTHORITY_DAYS, time.time())

    def _server_is_due(self) -> bool:
        written = _written(self._server)
        # What is older than the authority was certified by the one before it.
        replaced = written < _written(self._authority)
        return replaced or _is_due(written, _SERVER_DAYS, time.time())

    @contextmanager
    def _lock(self) -> Iterator[None]:
        handle = private.lock_file(self._directory / "lock")
        try:
            fcntl.flock(handle, fcntl.LOCK_EX)
            yield
        finally:
            os.close(handle)


def _written(file: Path) -> float:
    """Return when a file was written, in seconds since the epoch; the epoch if it never was.

    A power failure may leave an empty one.
    """
    try:
        found = file.stat()
    except FileNotFoundError:
        return 0.0
    return found.st_mtime if found.st_size else 0.0


def _is_due(written: float, days: int, now: float) -> bool:
    """Whether a certificate is to be replaced: soon it is no longer valid, or is not yet."""
    return not -_DAY < now - written < days * _RENEWED * _DAY
