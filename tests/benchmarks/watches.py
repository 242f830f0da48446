"""How long a change is under way: from sending a PATCH to the line in the hands of a watch.

    python tests/benchmarks/watches.py [--rounds 300]

One client changes a label of a suspended job, again and again; one watch of the jobs, or twenty at
once, wait for the line. With twenty, the last one to get it counts. Each is measured on an API that
does nothing else, and while the 50 replicas of a job print 20 lines a second each. Beside it, in
the same rounds, a bare Starlette application passes on what is patched.
"""

from __future__ import annotations

import argparse
import json
import queue
import selectors
import socket
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from tests.benchmarks.api import JOBS, PODS, Client, Server, embedded_api, minimal_api
from tests.benchmarks.figures import Figure, machine, table
from tests.state import eventually

MANY = 20
REPLICAS = 50
PRINT = "import time\nwhile True: print(time.time(), flush=True); time.sleep(0.05)"
PAUSE = 0.005  # seconds between two rounds
TIMEOUT = 60.0  # seconds
TARGET = "p99 under 20 ms"


def main() -> int:
    """Measure and print the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--rounds", type=int, default=300, help="changes each (default 300)")
    options = parser.parse_args()

    print(f"{machine()}; from PATCH to line, {options.rounds} changes each\n")
    with embedded_api() as embedded, minimal_api() as minimal:
        client = Client(embedded)
        client.ask("POST", JOBS, json.dumps(a_job("patched", suspend=True)).encode())
        figures = measure(embedded, minimal, options.rounds, "")
        with printing(client):
            figures += measure(embedded, minimal, options.rounds, f", {REPLICAS} replicas print")
        client.close()
    print(table(*figures))
    return 0


def measure(embedded: Server, minimal: Server, rounds: int, beside: str) -> list[Figure]:
    """Measure with one watch and with many."""
    figures = []
    for count in (1, MANY):
        least = Figure(f"bare Starlette, {count} watching", tail=99)
        figure = Figure(f"{count} watching{beside}", (least,), TARGET, tail=99)
        with Watches(minimal, count) as others, Watches(embedded, count) as watches:
            for number in range(rounds):
                least.took(others.latency(f"{count}-{number}"))
                figure.took(watches.latency(f"{count}-{number}"))
                time.sleep(PAUSE)
        figures += [least, figure]
    return figures


class Watches:
    """Watches of the jobs, and a client that changes one of them."""

    def __init__(self, server: Server, count: int) -> None:
        self._client = Client(server)
        self._streams = [opened(server) for _ in range(count)]
        self._chunks: queue.Queue[tuple[float, socket.socket, bytes]] = queue.Queue()
        self._reader = threading.Thread(target=self._read, daemon=True)

    def __enter__(self) -> Watches:
        self._reader.start()
        return self

    def __exit__(self, *_: object) -> None:
        for stream in self._streams:
            stream.shutdown(socket.SHUT_RDWR)
        self._reader.join()
        self._client.close()

    def latency(self, value: str) -> float:
        """Set a label to a new value; return the seconds until all watches have told so."""
        body = json.dumps({"metadata": {"labels": {"value": value}}}).encode()
        start = time.perf_counter()
        self._client.ask("PATCH", f"{JOBS}/patched", body, "merge-patch+json")
        waiting = dict.fromkeys(self._streams, b"")
        while waiting:
            arrived, stream, chunk = self._chunks.get(timeout=TIMEOUT)
            if stream in waiting:
                waiting[stream] += chunk
                if f'"{value}"'.encode() in waiting[stream]:
                    del waiting[stream]
        return arrived - start

    def _read(self) -> None:
        """Note what arrives when, until all streams have ended."""
        with selectors.DefaultSelector() as selector:
            for stream in self._streams:
                selector.register(stream, selectors.EVENT_READ, stream)
            while selector.get_map():
                for key, _ in selector.select():
                    if chunk := key.data.recv(65536):
                        self._chunks.put((time.perf_counter(), key.data, chunk))
                    else:
                        selector.unregister(key.data)
                        key.data.close()


def opened(server: Server) -> socket.socket:
    """Return the connection of a watch that has begun."""
    stream = socket.create_connection(server.address)
    lines = [f"GET {JOBS}?watch=true HTTP/1.1", f"Host: {':'.join(map(str, server.address))}"]
    lines += [f"{name}: {value}" for name, value in server.headers.items()]
    stream.sendall("\r\n".join([*lines, "", ""]).encode())
    answer = b""
    while b"\n" not in answer.partition(b"\r\n\r\n")[2].partition(b"\r\n")[2]:
        answer += stream.recv(65536)
    return stream


@contextmanager
def printing(client: Client) -> Iterator[None]:
    """Let many replicas print for as long as this lasts."""
    client.ask("POST", JOBS, json.dumps(a_job("prints", workers=REPLICAS - 1)).encode())
    eventually(lambda: phases(client).count("Running") == REPLICAS, timeout=TIMEOUT)
    try:
        yield
    finally:
        client.ask("DELETE", f"{JOBS}/prints")
        eventually(lambda: not phases(client), timeout=TIMEOUT)


def phases(client: Client) -> list[str]:
    """Return the phases of all pods."""
    pods = json.loads(client.ask("GET", PODS))["items"]
    return [pod["status"]["phase"] for pod in pods]


def a_job(name: str, *, workers: int = 0, suspend: bool = False) -> Any:
    """Return a job whose replicas print."""
    container = {"name": "pytorch", "image": "none", "command": ["python", "-c", PRINT]}
    template = {"spec": {"containers": [container], "terminationGracePeriodSeconds": 0}}
    replicas = {"Master": 1} | ({"Worker": workers} if workers else {})
    return {
        "apiVersion": "kubeflow.org/v1",
        "kind": "PyTorchJob",
        "metadata": {"name": name},
        "spec": {
            "runPolicy": {"suspend": suspend},
            "pytorchReplicaSpecs": {
                kind: {"replicas": count, "template": template} for kind, count in replicas.items()
            },
        },
    }


if __name__ == "__main__":
    sys.exit(main())
