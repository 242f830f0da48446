"""The least that answers the same requests: uvicorn and Starlette, and nothing behind them.

    python -m tests.benchmarks.minimal

What comes is parsed and sent back; nothing is checked, stored or run. A watch gets what is
patched. The URL goes to standard output; when standard input ends, so does the server.
"""

from __future__ import annotations

import asyncio
import json
import socket
import sys
from collections.abc import AsyncIterator
from functools import partial

import uvicorn
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response, StreamingResponse
from starlette.routing import Route

COLLECTION = "/apis/kubeflow.org/v1/namespaces/default/pytorchjobs"


class Minimal:
    """The handlers."""

    def __init__(self) -> None:
        self._last = b"{}"
        self._watches: set[asyncio.Queue[bytes]] = set()

    def routes(self) -> list[Route]:
        """Return the few paths that are answered."""
        return [
            Route(COLLECTION, self.create, methods=["POST"]),
            Route(COLLECTION, self.list_or_watch),
            Route(f"{COLLECTION}/{{name}}", self.read),
            Route(f"{COLLECTION}/{{name}}", self.patch, methods=["PATCH"]),
        ]

    async def create(self, request: Request) -> Response:
        """Send an object back."""
        self._last = json.dumps(await request.json()).encode()
        return Response(self._last, 201, media_type="application/json")

    async def read(self, request: Request) -> Response:
        """Send the object that was created last."""
        return Response(self._last, media_type="application/json")

    async def patch(self, request: Request) -> Response:
        """Send a change to all watches."""
        change = json.dumps(await request.json()).encode()
        for watch in self._watches:
            watch.put_nowait(change + b"\n")
        return Response(change, media_type="application/json")

    async def list_or_watch(self, request: Request) -> Response:
        """Send an empty list, or what is patched from now on."""
        if "watch" not in request.query_params:
            return Response(b'{"items": []}', media_type="application/json")
        return StreamingResponse(self._lines(), media_type="application/json")

    async def _lines(self) -> AsyncIterator[bytes]:
        lines: asyncio.Queue[bytes] = asyncio.Queue()
        self._watches.add(lines)
        try:
            yield b"\n"
            while True:
                yield await lines.get()
        finally:
            self._watches.discard(lines)


async def main() -> None:
    """Serve until standard input ends."""
    listener = socket.socket(proto=socket.IPPROTO_TCP)
    listener.bind(("127.0.0.1", 0))
    listener.listen(256)
    app = Starlette(routes=Minimal().routes())
    config = uvicorn.Config(
        app,
        lifespan="off",
        log_level="warning",
        access_log=False,
        ws="none",
        server_header=False,
        timeout_graceful_shutdown=1,
        timeout_keep_alive=75,
    )
    server = uvicorn.Server(config)
    asyncio.get_running_loop().add_reader(sys.stdin, partial(setattr, server, "should_exit", True))
    print(f"http://127.0.0.1:{listener.getsockname()[1]}", flush=True)
    await server.serve(sockets=[listener])


if __name__ == "__main__":
    asyncio.run(main())
