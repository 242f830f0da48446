"""The way to a cluster: TLS, a proxy if there is one, and client certificates that are renewed."""

from __future__ import annotations

import contextlib
import socket
import ssl
import threading

import httpx

from pyjob_magic.errors import TargetError
from pyjob_magic.targets.kubernetes import tls

# A follower of a quiet log waits for hours. After a minute of silence the machine asks whether
# the other side is still there, and half a minute later the connection counts as broken.
_IDLE, _INTERVAL, _PROBES = 60, 10, 3
_IDLE_OPTION = getattr(socket, "TCP_KEEPIDLE", None) or getattr(socket, "TCP_KEEPALIVE", None)
KEEP_ALIVE = [
    (socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1),
    *([(socket.IPPROTO_TCP, _IDLE_OPTION, _IDLE)] if _IDLE_OPTION else []),
    (socket.IPPROTO_TCP, socket.TCP_KEEPINTVL, _INTERVAL),
    (socket.IPPROTO_TCP, socket.TCP_KEEPCNT, _PROBES),
]
# Each log that is followed is a connection of its own, and there may be hundreds of replicas.
_LIMITS = httpx.Limits(max_connections=None, max_keepalive_connections=20)


class ClusterTransport(httpx.BaseTransport):
    """Sends requests to one cluster.

    Parameters
    ----------
    context
        Whom to trust, and who we are.
    proxy
        The proxy on the way.

    Raises
    ------
    TargetError
        If the proxy needs a package that is not there.
    """

    def __init__(self, context: ssl.SSLContext, proxy: httpx.Proxy | None = None) -> None:
        self._context = context
        self._proxy = proxy
        self._lock = threading.Lock()
        self._http = self._open()
        self._before: httpx.HTTPTransport | None = None

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        """Send `request`."""
        return self._http.handle_request(request)

    def present(self, certificate: bytes, key: bytes, what: str) -> None:
        """Show another client certificate from now on; see `tls.present`.

        It belongs to connections, not to requests, so that new requests take new ones. Streams
        that are open go on until the certificate is replaced once more.
        """
        with self._lock:
            tls.present(self._context, certificate, key, what)
            unused, self._before, self._http = self._before, self._http, self._open()
        if unused is not None:
            unused.close()

    def close(self) -> None:
        """Close the connections."""
        with self._lock, contextlib.ExitStack() as stack:
            for transport in filter(None, (self._http, self._before)):
                stack.callback(transport.close)

    def _open(self) -> httpx.HTTPTransport:
        try:
            return httpx.HTTPTransport(
                verify=self._context,
                proxy=self._proxy,
                limits=_LIMITS,
                socket_options=KEEP_ALIVE,
            )
        except ImportError:
            raise TargetError(
                "a socks5 proxy needs a package that is not installed: pip install 'httpx[socks]'"
            ) from None
