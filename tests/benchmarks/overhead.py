"""What is put on top of a bare POST: building a manifest, checking it, sending it, reading it back.

    python tests/benchmarks/overhead.py [--rounds 300]

Manifests are built for two Workers, from a cell of one line and from the largest that travels
inside the manifest, and read back as a server's answer is. Then jobs of the small cell are
submitted to the embedded API, suspended, so that nothing is started; beside it, in the same rounds,
an httpx client that stays open posts the same body. That is what anybody pays; the ratio is what we
add.
"""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Callable
from functools import partial
from typing import Any

import httpx

from pyjob_magic import connect
from pyjob_magic.connection import Connection
from pyjob_magic.local.home import Home
from pyjob_magic.models import PyTorchJob
from pyjob_magic.payload import INLINE_BYTES
from tests.benchmarks.api import JOBS, Server, started, using
from tests.benchmarks.figures import Figure, machine, table
from tests.benchmarks.submit import timed
from tests.state import temporary_home

SMALL = "print('ran')\n"
LARGE = "x = 1\n" * (INLINE_BYTES // 6)
WARM_UP = 5
TARGET = "under 1.5 times"


def main() -> int:
    """Measure and print the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--rounds", type=int, default=300, help="jobs each (default 300)")
    options = parser.parse_args()

    print(f"{machine()}; {options.rounds} rounds\n")
    with temporary_home() as home, using(home):
        server, connection = started(Home(home)), connect()
        figures = measure_building(connection, options.rounds)
        figures += measure_sending(server, connection, options.rounds)
        print(table(*figures))
        connection.close()
    return 0


def measure_building(connection: Connection, rounds: int) -> list[Figure]:
    """Measure what is done before anything is sent, and what is done with an answer."""
    figures = []
    for source, size in ((SMALL, "one line"), (LARGE, f"{len(LARGE):,} bytes")):
        built = Figure(f"build, {size}", unit="µs")
        checked = Figure(f"validate, {size}", unit="µs")
        for _ in range(rounds):
            seconds, job = timed_build(connection, source, "built")
            built.samples.append(1e6 * seconds)
            checked.samples.append(1e6 * timed(PyTorchJob.from_wire, job.to_wire()))
        figures += [built, checked]
    return figures


def measure_sending(server: Server, connection: Connection, rounds: int) -> list[Figure]:
    """Measure submits beside bare requests; they take turns at being first."""
    post = Figure("bare httpx POST")
    submit = Figure("submit of the same body", (post,), TARGET)
    with httpx.Client(base_url=server.url, headers=server.headers) as client:

        def bare(body: dict[str, Any]) -> None:
            client.post(JOBS, json=body).raise_for_status().json()

        for number in range(-WARM_UP, rounds):
            _, ours = timed_build(connection, SMALL, f"ours-{number + WARM_UP}")
            _, theirs = timed_build(connection, SMALL, f"bare-{number + WARM_UP}")
            turns: list[tuple[Figure, Callable[[], object]]] = [
                (submit, partial(connection.submit, ours)),
                (post, partial(bare, theirs.to_wire())),
            ]
            for figure, send in turns if number % 2 else reversed(turns):
                seconds = timed(send)
                if number >= 0:
                    figure.took(seconds)
    return [post, submit]


def timed_build(connection: Connection, source: str, name: str) -> tuple[float, PyTorchJob]:
    """Return how long a manifest takes to build, and the job in it."""
    started = time.perf_counter()
    manifest = connection.build(source, name=name, workers=2, suspend=True)
    return time.perf_counter() - started, manifest.job


if __name__ == "__main__":
    sys.exit(main())
