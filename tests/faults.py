"""A server that nobody wants: the embedded API behind a loopback proxy that breaks things.

Each request is put before a rule, which says what is to go wrong with it. The proxy knows HTTP: it
takes answers apart and puts them together again, so that an answer can be cut inside a line or a
chunk, end cleanly before its time, or be something else altogether.
"""

from __future__ import annotations

import contextlib
import random
import socket
import struct
import threading
import time
from collections.abc import Callable, Generator, Iterator
from dataclasses import dataclass, field
from enum import Enum, auto
from http.client import HTTPConnection, HTTPException, HTTPResponse
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qsl, urlencode, urlsplit

import httpx

from pyjob_magic.local.launcher import Endpoint
from pyjob_magic.target import Target

_RESET = struct.pack("ii", 1, 0)  # SO_LINGER: closing sends a reset, and forgets what is under way


class Kind(Enum):
    """How an answer goes wrong."""

    RESET = auto()  # the connection is reset
    CLOSE = auto()  # the connection is closed, though more was promised
    END = auto()  # the answer ends as if this were all
    GARBAGE = auto()  # what follows is no HTTP any more
    STALL = auto()  # nothing follows
    LIE = auto()  # Content-Length promises more than comes
    DROP = auto()  # the request is carried out and never answered
    REFUSE = auto()  # the request is not carried out, but refused


@dataclass(frozen=True)
class Fault:
    """What goes wrong with one answer.

    Parameters
    ----------
    kind
        How.
    after, within
        After how many bytes of the body, or seconds, whichever comes first.
    code, headers
        The refusal.
    """

    kind: Kind
    after: int = 0
    within: float = 60.0
    code: int = 503
    headers: dict[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Request:
    """What a rule can go by."""

    method: str
    path: str
    query: dict[str, str]
    token: str

    @property
    def is_watch(self) -> bool:
        return self.query.get("watch") == "true"

    @property
    def is_log(self) -> bool:
        return self.path.endswith("/log")


Rule = Callable[[Request], Fault | None]


class Proxy:
    """Stands before the embedded API; `rule` says what goes wrong with each request.

    Parameters
    ----------
    endpoint
        The embedded API.
    """

    def __init__(self, endpoint: Endpoint) -> None:
        self.rule: Rule = lambda _: None
        self.counts: dict[Kind, int] = dict.fromkeys(Kind, 0)
        self.token = "the first token"
        """The token that is accepted; another one is expired."""
        self._backend = urlsplit(endpoint.url)
        self._token = endpoint.token
        self._open: set[HTTPConnection] = set()
        self._stalled: set[socket.socket] = set()
        self._lock = threading.Lock()
        proxy = self

        class Handler(_Handler):
            def handle_one(self) -> None:
                proxy._serve(self)

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        self._server.block_on_close = False
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.05,))
        self._thread.start()

    @property
    def faults(self) -> int:
        """How many answers have gone wrong so far."""
        return sum(self.counts.values())

    def target(self, **settings: Any) -> Target:
        """Return the way through the proxy."""
        url = f"http://127.0.0.1:{self._server.server_address[1]}"
        return Target("faulty", url, auth=RenewedToken(self), **settings)

    def drop_connections(self) -> None:
        """Cut all answers that are under way."""
        with self._lock:
            for connection in self._open:
                _shut_down(connection)
            for stalled in self._stalled:
                with contextlib.suppress(OSError):
                    stalled.shutdown(socket.SHUT_RDWR)

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()
        self.drop_connections()

    def _serve(self, handler: _Handler) -> None:
        request = handler.request_line()
        body = handler.rfile.read(int(handler.headers.get("Content-Length", 0)))
        fault = self.rule(request)
        if request.token != self.token:
            return handler.refuse(401, {})
        if fault:
            with self._lock:
                self.counts[fault.kind] += 1
        if fault and fault.kind is Kind.REFUSE:
            return handler.refuse(fault.code, fault.headers)
        with self._answer(request, handler, body) as (connection, answer):
            if fault is None:
                handler.relay(answer, _body(connection, answer, None))
            elif fault.kind is Kind.DROP:
                if answer.getheader("Content-Length"):
                    answer.read()
                handler.reset()
            else:
                with self._lock:
                    self._stalled.add(handler.connection)
                handler.relay(answer, _body(connection, answer, fault), fault.kind)
        with self._lock:
            self._stalled.discard(handler.connection)
        return None

    @contextlib.contextmanager
    def _answer(
        self, request: Request, handler: _Handler, body: bytes
    ) -> Iterator[tuple[HTTPConnection, HTTPResponse]]:
        connection = HTTPConnection(self._backend.hostname or "", self._backend.port, timeout=120)
        query = dict(request.query)
        if "sinceTime" in query:  # as an API server tells it the kubelet
            query["sinceTime"] = query["sinceTime"][:19] + "Z"
        headers = {k: v for k, v in handler.headers.items() if k in ("Accept", "Content-Type")}
        headers["Authorization"] = f"Bearer {self._token}"
        with self._lock:
            self._open.add(connection)
        try:
            url = f"{request.path}?{urlencode(query)}"
            connection.request(request.method, url, body or None, headers)
            yield connection, connection.getresponse()
        except (OSError, HTTPException):
            handler.close_connection = True  # one of both is gone
        finally:
            with self._lock:
                self._open.discard(connection)
            _shut_down(connection)
            connection.close()


class _Handler(BaseHTTPRequestHandler):
    """One connection of a client."""

    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True

    def handle_one(self) -> None:
        raise NotImplementedError

    do_GET = do_POST = do_PATCH = do_DELETE = lambda self: self.handle_one()  # noqa: N815

    def log_message(self, *_: object) -> None:
        pass

    def request_line(self) -> Request:
        url = urlsplit(self.path)
        token = self.headers.get("Authorization", "").removeprefix("Bearer ")
        return Request(self.command, url.path, dict(parse_qsl(url.query)), token)

    def refuse(self, code: int, headers: dict[str, str]) -> None:
        body = b'{"kind":"Status","message":"out of order"}'
        self._head(code, {"Content-Length": str(len(body)), **headers})
        self.wfile.write(body)

    def relay(self, answer: HTTPResponse, body: Iterator[bytes], kind: Kind | None = None) -> None:
        """Pass an answer on, as far as `body` goes; then let it go wrong."""
        length = answer.getheader("Content-Length")
        headers = {"Content-Type": answer.getheader("Content-Type", "")}
        if kind is Kind.LIE:
            headers["Content-Length"] = str(int(length or 0) + 1000)
        elif length is not None:
            headers["Content-Length"] = length
        else:
            headers["Transfer-Encoding"] = "chunked"
        self._head(answer.status, headers)
        chunked = "Transfer-Encoding" in headers
        for piece in body:
            self.wfile.write(b"%x\r\n%s\r\n" % (len(piece), piece) if chunked else piece)
        if kind is None or kind is Kind.END:
            if chunked:
                self.wfile.write(b"0\r\n\r\n")
            self.close_connection = kind is Kind.END
        elif kind is Kind.RESET:
            self.reset()
        elif kind is Kind.GARBAGE:
            self.wfile.write(b"\x00garbage\xff\r\n" * 3)
            self.close_connection = True
        elif kind is Kind.STALL:
            with contextlib.suppress(OSError):
                self.connection.recv(1)  # until the client has had enough
            self.close_connection = True
        else:
            if chunked:
                self.wfile.write(b"400\r\nhalf a chunk")
            self.close_connection = True

    def reset(self) -> None:
        self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET)
        self.close_connection = True
        self.connection.close()

    def _head(self, code: int, headers: dict[str, str]) -> None:
        self.send_response(code)
        for name, value in headers.items():
            self.send_header(name, value)
        self.end_headers()

    def finish(self) -> None:
        with contextlib.suppress(OSError):
            super().finish()


def _body(
    connection: HTTPConnection, answer: HTTPResponse, fault: Fault | None
) -> Generator[bytes, None, None]:
    """Yield an answer as it comes, up to where it goes wrong."""
    left = None if fault is None or fault.kind is Kind.LIE else fault.after
    deadline = time.monotonic() + (fault.within if fault else 3600.0)
    while left is None or left > 0:
        if connection.sock:
            connection.sock.settimeout(max(0.001, deadline - time.monotonic()))
        try:
            piece = answer.read1(65536 if left is None else min(left, 65536))
        except TimeoutError:
            return
        if not piece:
            return
        left = left and left - len(piece)
        yield piece


def _shut_down(connection: HTTPConnection) -> None:
    if connection.sock:
        with contextlib.suppress(OSError):
            connection.sock.shutdown(socket.SHUT_RDWR)


class RenewedToken(httpx.Auth):
    """A bearer token that is fetched again when it was not accepted."""

    def __init__(self, proxy: Proxy) -> None:
        self._proxy = proxy
        self._token = proxy.token

    def auth_flow(self, request: httpx.Request) -> Generator[httpx.Request, httpx.Response, None]:
        request.headers["Authorization"] = f"Bearer {self._token}"
        response = yield request
        if response.status_code == 401:
            self._token = self._proxy.token
            request.headers["Authorization"] = f"Bearer {self._token}"
            yield request


def at_random(
    seed: int, *, until: Callable[[], bool], concerns: Callable[[Request], bool], most: int
) -> Rule:
    """Return a rule that cuts all answers that it `concerns`, somewhere and somehow.

    Parameters
    ----------
    seed
        Of the dice.
    until
        Whether it is enough.
    concerns
        Which requests.
    most
        Bytes after which they are cut at the latest.
    """
    dice, lock = random.Random(seed), threading.Lock()
    kinds = [Kind.RESET, Kind.CLOSE, Kind.END, Kind.GARBAGE]

    def rule(request: Request) -> Fault | None:
        if until() or not concerns(request):
            return None
        with lock:
            if dice.random() < 0.01:
                return Fault(Kind.DROP)
            return Fault(dice.choice(kinds), dice.randrange(most), dice.uniform(0, 0.03))

    return rule
