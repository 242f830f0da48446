"""Connections to the API byte by byte, for what no HTTP client would send."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from contextlib import contextmanager

from pyjob_magic.local.launcher import Endpoint


def address(endpoint: Endpoint) -> tuple[str, int]:
    host, _, port = endpoint.url.rpartition("/")[2].partition(":")
    return host, int(port)


@contextmanager
def connection(endpoint: Endpoint, timeout: float = 20.0) -> Iterator[socket.socket]:
    with socket.create_connection(address(endpoint), timeout) as opened:
        yield opened


def head(endpoint: Endpoint, line: str, *headers: str) -> bytes:
    """Return the head of a request from somebody who knows the token."""
    host, port = address(endpoint)
    lines = [line, f"Host: {host}:{port}", f"Authorization: Bearer {endpoint.token}", *headers]
    return "".join(f"{text}\r\n" for text in lines).encode() + b"\r\n"


def rest(opened: socket.socket) -> bytes:
    """Return what comes until the other side closes the connection, however it does."""
    received = b""
    try:
        while chunk := opened.recv(65536):
            received += chunk
    except ConnectionResetError:
        pass
    return received


def until(opened: socket.socket, text: bytes) -> bytes:
    """Return what comes, up to the part that `text` comes with."""
    received = b""
    while text not in received:
        received += opened.recv(65536)
    return received


def answer(opened: socket.socket) -> bytes:
    """Return one answer whose length is told; head and body may come apart."""
    received = until(opened, b"\r\n\r\n")
    head, _, body = received.partition(b"\r\n\r\n")
    length = int(head.lower().partition(b"content-length:")[2].split(b"\r\n")[0])
    while len(body) < length:
        body += opened.recv(65536)
    return head + b"\r\n\r\n" + body


def status(answer: bytes) -> int:
    """Return the status code of an answer; 0 if there is none."""
    return int(answer.split(b" ", 2)[1]) if answer else 0
