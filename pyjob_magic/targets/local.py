"""The embedded API of this machine: started on first use, found again afterwards."""

from __future__ import annotations

import sys

import httpx

from pyjob_magic.local.home import Home
from pyjob_magic.local.launcher import ensure_running
from pyjob_magic.target import Target


def target() -> Target:
    """Return the target ``local``; nothing is started before the first request."""
    return Target(
        name="local",
        base_url="http://localhost",
        transport=LocalTransport(Home.default()),
        # Replicas run with the Python of the notebook that submitted them.
        annotations={"interpreter": sys.executable},
        keeps_logs=True,
        operator="the embedded API is its own",
    )


class LocalTransport(httpx.BaseTransport):
    """Sends each request to wherever the embedded API is now.

    It stops when it is idle and has another port when it is started again, so that neither can be
    part of a base URL that lives as long as a notebook does.
    """

    def __init__(self, home: Home) -> None:
        self._home = home
        self._http = httpx.HTTPTransport(limits=httpx.Limits(max_keepalive_connections=20))

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        """Send `request`, starting the embedded API where there is none."""
        try:
            return self._send(request)
        except httpx.ConnectError:
            # It has just stopped, or been killed: nothing was sent yet, a new one is started.
            return self._send(request)

    def _send(self, request: httpx.Request) -> httpx.Response:
        endpoint = ensure_running(self._home)
        request.url = httpx.URL(endpoint.url).join(request.url.raw_path.decode())
        request.headers["Host"] = request.url.netloc.decode()
        request.headers["Authorization"] = f"Bearer {endpoint.token}"
        return self._http.handle_request(request)

    def close(self) -> None:
        """Close the connections; the embedded API goes on."""
        self._http.close()
