"""A server that lets in whom it is told to, proxies on the way to it, and kubeconfigs for both."""

from __future__ import annotations

import base64
import json
import select
import socket
import ssl
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from functools import cache
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import trustme
import yaml

Json = dict[str, Any]


@cache
def authority() -> trustme.CA:
    """Return the authority that the servers of this run are certified by."""
    return trustme.CA()


def ca_pem() -> str:
    return authority().cert_pem.bytes().decode()


def as_data(pem: str | bytes) -> str:
    """Return PEM as kubeconfigs hold it."""
    return base64.b64encode(pem.encode() if isinstance(pem, str) else pem).decode()


def client_certificate(name: str) -> tuple[str, str]:
    """Return a certificate and its key, both PEM, for a user of this name."""
    made = authority().issue_cert(common_name=name)
    certificate = made.cert_chain_pems[0].bytes().decode()
    return certificate, made.private_key_pem.bytes().decode()


@dataclass
class Seen:
    """A request as the server saw it."""

    path: str
    headers: list[tuple[str, str]]
    user: str  # of the client certificate

    def header(self, name: str) -> str | None:
        found = [value for key, value in self.headers if key.lower() == name.lower()]
        return ", ".join(found) if found else None

    @property
    def bearer(self) -> str:
        return (self.header("Authorization") or "").removeprefix("Bearer ")


@dataclass
class Cluster:
    """Answers like an API server without PyTorchJobs.

    Parameters
    ----------
    accepted
        Values of ``Authorization`` that are let in.
    users
        Names in client certificates that are let in.
    """

    accepted: set[str] = field(default_factory=set)
    users: set[str] = field(default_factory=set)
    requests: list[Seen] = field(default_factory=list)
    server_names: list[str | None] = field(default_factory=list)
    port: int = 0
    scheme: str = "https"

    @property
    def url(self) -> str:
        return f"{self.scheme}://127.0.0.1:{self.port}"

    def accept(self, *tokens: str) -> None:
        """Let in these tokens, and nobody else."""
        self.accepted = {f"Bearer {token}" for token in tokens}

    def lets_in(self, seen: Seen) -> bool:
        return seen.user in self.users or seen.header("Authorization") in self.accepted


@contextmanager
def serving(
    *, tls: bool = True, names: tuple[str, ...] = ("127.0.0.1", "localhost"), **issue: Any
) -> Iterator[Cluster]:
    """Run a server whose certificate is for `names`, over plain HTTP without `tls`."""
    cluster = Cluster(scheme="https" if tls else "http")
    context = _server_context(cluster, names, **issue) if tls else None
    with _Server(("127.0.0.1", 0), _handler(cluster), context) as server:
        cluster.port = server.server_address[1]
        yield cluster


def _server_context(cluster: Cluster, names: tuple[str, ...], **issue: Any) -> ssl.SSLContext:
    required = issue.pop("certificate_required", False)
    signer = issue.pop("signer", None) or authority()
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    signer.issue_cert(*names, **issue).configure_cert(context)
    context.verify_mode = ssl.CERT_REQUIRED if required else ssl.CERT_OPTIONAL
    authority().configure_trust(context)

    def note(_: ssl.SSLObject, name: str | None, __: ssl.SSLContext) -> None:
        cluster.server_names.append(name)

    context.sni_callback = note
    return context


class _Server(ThreadingHTTPServer):
    """Serves in a thread of its own, and takes every connection down at the end."""

    daemon_threads = True
    request_queue_size = 128  # a full queue makes clients wait for a second
    block_on_close = False

    def __init__(self, address: Any, handler: Any, context: ssl.SSLContext | None = None) -> None:
        super().__init__(address, handler)
        self._context = context
        self._connections: list[socket.socket] = []
        self._thread = threading.Thread(target=self.serve_forever, args=(0.01,))

    def __enter__(self) -> _Server:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.shutdown()
        self._thread.join()
        for connection in self._connections:
            with suppress(OSError):
                connection.shutdown(socket.SHUT_RDWR)
        self.server_close()

    def process_request_thread(self, request: Any, client_address: Any) -> None:
        self._connections.append(request)
        with suppress(OSError):
            if self._context is not None:
                request.settimeout(20)
                request = self._context.wrap_socket(request, server_side=True)
                self._connections.append(request)
            super().process_request_thread(request, client_address)
        request.close()

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Clients that go away are what the tests are about."""


def _handler(cluster: Cluster) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self) -> None:
            certificate: Json = getattr(self.connection, "getpeercert", dict)() or {}
            subject = dict(pair for part in certificate.get("subject", ()) for pair in part)
            seen = Seen(self.path, list(self.headers.items()), subject.get("commonName", ""))
            cluster.requests.append(seen)
            if cluster.lets_in(seen):
                self.answer(200, {"kind": "PyTorchJobList", "items": []})
            else:
                self.answer(401, {"kind": "Status", "message": "Unauthorized", "code": 401})

        def answer(self, code: int, content: Json) -> None:
            body = json.dumps(content).encode()
            self.send_response(code)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: object) -> None:
            """Say nothing."""

    return Handler


@contextmanager
def connect_proxy(to: Cluster) -> Iterator[tuple[str, list[str]]]:
    """Run an HTTP proxy; whatever it is asked to connect to, it connects to the cluster `to`.

    Yields its URL and what it was asked for.
    """
    asked: list[str] = []

    class Handler(BaseHTTPRequestHandler):
        def do_CONNECT(self) -> None:
            asked.append(self.path)
            with socket.create_connection(("127.0.0.1", to.port)) as there:
                self.send_response(200)
                self.end_headers()
                _pump(self.connection, there)

        def log_message(self, *_: object) -> None:
            """Say nothing."""

    with _Server(("127.0.0.1", 0), Handler) as server:
        yield f"http://127.0.0.1:{server.server_address[1]}", asked


def _pump(one: socket.socket, other: socket.socket) -> None:
    """Carry bytes both ways until one side has no more."""
    while True:
        readable, _, _ = select.select([one, other], [], [])
        for source in readable:
            data = source.recv(65_536)
            if not data:
                return
            (other if source is one else one).sendall(data)


def kubeconfig(
    path: Path,
    cluster: Cluster | None = None,
    user: Json | None = None,
    *,
    name: str = "here",
    context: Json | None = None,
    **settings: Any,
) -> Path:
    """Write a kubeconfig with one cluster, one user and one context, all of one name.

    Parameters
    ----------
    user
        Without one, the context has none.
    context, settings
        What else the context and the cluster have.
    """
    trust = {"certificate-authority-data": as_data(ca_pem())} if not settings else {}
    server = {"server": cluster.url if cluster else "https://127.0.0.1:1"}
    whole = {
        "apiVersion": "v1",
        "kind": "Config",
        "current-context": name,
        "clusters": [{"name": name, "cluster": server | trust | settings}],
        "users": [{"name": name, "user": user}] if user is not None else None,
        "contexts": [
            {
                "name": name,
                "context": {"cluster": name}
                | ({"user": name} if user is not None else {})
                | (context or {}),
            }
        ],
    }
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(yaml.safe_dump(whole))
    return path
