"""Ports of this machine at which jobs meet."""

from __future__ import annotations

import errno
import random
import socket
from collections.abc import Container
from contextlib import ExitStack

# Below the ports that systems give to whoever connects: those are taken without being asked for.
_CANDIDATES = range(20_000, 30_000)
_TRIES = 1000


def free_port(taken: Container[int]) -> int:
    """Return a port that nobody uses now, and that is not among those `taken`."""
    for port in random.sample(_CANDIDATES, min(_TRIES, len(_CANDIDATES))):
        if port not in taken and _is_free(port):
            return port
    with socket.socket() as probe:  # a very busy machine: let it choose
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    return port if port not in taken else free_port(taken)


def _is_free(port: int) -> bool:
    """Whether nobody uses a port on any address, of either family."""
    families = [(socket.AF_INET, "0.0.0.0")]  # noqa: S104 - to ask; nothing listens
    if socket.has_ipv6:
        families.append((socket.AF_INET6, "::"))
    try:
        with ExitStack() as stack:
            for family, address in families:
                probe = stack.enter_context(socket.socket(family))
                if family == socket.AF_INET6:
                    probe.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
                probe.bind((address, port))
    except OSError as error:  # any other is about addresses that this machine does not have
        return error.errno != errno.EADDRINUSE
    return True
