"""How fast a log goes from one replica to one follower.

    python tests/benchmarks/logs.py [--rounds 5] [--lines 2000000]

The lines have 100 bytes. Kept: the replica has ended, and its log is read from the file. Live: it
prints as fast as it can while it is followed. Beside it, in the same rounds, ``cat`` passes the
same file, or what the same program prints, through a pipe; the same loop counts what arrives. In
the second table the lines of the kept log are taken one by one, as `Job.logs` hands them to a
notebook; beside it a loop over what Python decodes of ``cat``.
"""

from __future__ import annotations

import argparse
import os
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path

from pyjob_magic import Job
from pyjob_magic.connection import Connection
from pyjob_magic.local.home import Home
from tests.benchmarks.api import PODS, Server, started, warm_api
from tests.benchmarks.figures import Rate, machine, table
from tests.state import VARIABLE, eventually

BYTES = 100  # of a line
PROGRAM = f"""\
import os, time
open("ready", "w").close()
while not os.path.exists("go"): time.sleep(0.001)
lines = (b"x" * {BYTES - 1} + b"\\n") * 1000
for _ in range({{lines}} // 1000): os.write(1, lines)
"""
TIMEOUT = 60.0  # seconds


def main() -> int:
    """Measure and print the tables."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--rounds", type=int, default=5, help="rounds (default 5)")
    parser.add_argument("--lines", type=int, default=2_000_000, help="lines (default 2000000)")
    options = parser.parse_args()

    print(f"{machine()}; {options.lines} lines of {BYTES} bytes\n")
    with warm_api() as connection:
        source = PROGRAM.format(lines=options.lines)
        with submitted(connection, source) as (job, directory):
            (directory / "go").touch()
            job.wait(TIMEOUT)
            log = next((directory.parent / "container-0").glob("*/log"))
            assert log.stat().st_size == options.lines * BYTES
            figures = measure(connection, source, job, log, options.rounds)
            print(f"Bytes, {options.rounds} rounds:\n\n{table(*figures)}\n")
            lines = measure_lines(job, log, options.rounds, options.lines)
            print(f"Lines, {options.rounds} rounds:\n\n{table(*lines)}")
    return 0


def measure(connection: Connection, source: str, job: Job, log: Path, rounds: int) -> list[Rate]:
    """Read a log that is kept, and one that grows."""
    server, amount = started(Home.default()), log.stat().st_size / 1e6
    cat = Rate("cat of the file", unit="MB/s", amount=amount)
    kept = Rate("kept log", (cat,), "100 MB/s", "MB/s", amount=amount)
    dated = Rate("kept log, timestamps", (cat,), unit="MB/s", amount=amount)
    piped = Rate("the program through cat", unit="MB/s", amount=amount)
    live = Rate("live log", (piped,), "100 MB/s", "MB/s", amount=amount)
    ways: list[tuple[Rate, Callable[[], float]]] = [
        (cat, partial(through_cat, log)),
        (kept, partial(answered, server, job, "")),
        (dated, partial(answered, server, job, "timestamps=true")),
        (piped, partial(printed_through_cat, source)),
        (live, partial(followed, connection, server, source)),
    ]
    for number in range(-1, rounds):  # the first fills the caches
        for figure, way in ways:
            seconds = way()
            if number >= 0:
                figure.took(seconds)
    return [figure for figure, _ in ways]


def measure_lines(job: Job, log: Path, rounds: int, lines: int) -> list[Rate]:
    """Take a kept log line by line."""
    cat = Rate("lines of cat", unit="Mio/s", amount=lines / 1e6)
    logs = Rate("lines of Job.logs", (cat,), "1 Mio/s", "Mio/s", amount=lines / 1e6)
    for _ in range(rounds):
        with subprocess.Popen(["cat", str(log)], stdout=subprocess.PIPE, text=True) as process:
            assert process.stdout
            cat.took(counted(process.stdout, lines))
        logs.took(counted(job.logs(follow=True), lines))
    return [cat, logs]


def counted(lines: Iterable[object], expected: int) -> float:
    """Return the seconds until the last of the lines was taken."""
    start = time.perf_counter()
    assert sum(1 for _ in lines) == expected
    return time.perf_counter() - start


def through_cat(log: Path) -> float:
    """Read a file through ``cat`` and a pipe; return the seconds."""
    start = time.perf_counter()
    with subprocess.Popen(["cat", str(log)], stdout=subprocess.PIPE, bufsize=0) as process:
        drain(process.stdout.fileno() if process.stdout else -1)
    return time.perf_counter() - start


def printed_through_cat(source: str) -> float:
    """Read what the program prints through ``cat``; return the seconds from its first line."""
    with tempfile.TemporaryDirectory(prefix="pyjob-benchmark-") as directory:
        program = subprocess.Popen(
            [sys.executable, "-c", source], stdout=subprocess.PIPE, cwd=directory
        )
        with (
            program,
            subprocess.Popen(
                ["cat"], stdin=program.stdout, stdout=subprocess.PIPE, bufsize=0
            ) as cat,
        ):
            eventually((Path(directory) / "ready").exists, every=0.001)
            start = time.perf_counter()
            (Path(directory) / "go").touch()
            drain(cat.stdout.fileno() if cat.stdout else -1)
    return time.perf_counter() - start


def answered(server: Server, job: Job, query: str) -> float:
    """Read a log as the API sends it; return the seconds."""
    start = time.perf_counter()
    with requested(server, job, query) as stream:
        drain(stream.fileno())
    return time.perf_counter() - start


def followed(connection: Connection, server: Server, source: str) -> float:
    """Follow a replica while it prints; return the seconds from its first line."""
    with submitted(connection, source) as (job, directory):
        with requested(server, job, "follow=true") as stream:
            start = time.perf_counter()
            (directory / "go").touch()
            drain(stream.fileno())
        return time.perf_counter() - start


@contextmanager
def submitted(connection: Connection, source: str) -> Iterator[tuple[Job, Path]]:
    """Lend a job whose program waits for a file ``go`` in the directory that is lent with it."""
    job = connection.submit(connection.build(source))
    (pod,) = eventually(job.replicas)
    directory = Path(os.environ[VARIABLE]) / "pods" / str(pod.metadata.uid) / "work"
    eventually((directory / "ready").exists, every=0.001)
    yield job, directory
    job.delete()


@contextmanager
def requested(server: Server, job: Job, query: str) -> Iterator[socket.socket]:
    """Lend the connection on which a log is about to come."""
    lines = [f"GET {PODS}/{job.name}-master-0/log?{query} HTTP/1.1", "Connection: close"]
    lines += [f"Host: {':'.join(map(str, server.address))}"]
    lines += [f"{name}: {value}" for name, value in server.headers.items()]
    with socket.create_connection(server.address) as stream:
        stream.sendall("\r\n".join([*lines, "", ""]).encode())
        yield stream


def drain(handle: int) -> None:
    """Read a pipe or a connection to its end."""
    buffer = bytearray(1 << 20)
    while os.readv(handle, [buffer]):
        pass


if __name__ == "__main__":
    sys.exit(main())
