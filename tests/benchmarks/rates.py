"""How many jobs one client creates and reads in a second, one request after the other.

    python tests/benchmarks/rates.py [--rounds 15] [--size 100] [--running 5]

One connection that stays open; the PyTorchJob of ``tests/data/seed-create.json``, two replicas.
Suspended, a job is checked, stored and looked at by the operator. Running, its two replicas are
started, too, while the next jobs come; they run ``true``, and the jobs of a round have ended
before the next round begins. Beside it the same requests go to a Starlette application with
nothing behind it, and a bare loop inserts the same texts into an SQLite database, each in a
transaction of its own and as durable as those of the API.
"""

from __future__ import annotations

import argparse
import json
import sqlite3
import sys
import tempfile
import time
from collections.abc import Callable, Iterable
from contextlib import closing
from functools import partial
from pathlib import Path
from typing import Any

from tests.benchmarks.api import JOBS, Client, Server, embedded_api, minimal_api
from tests.benchmarks.figures import Figure, Rate, machine, table
from tests.state import eventually

SEED = Path(__file__).parents[1] / "data" / "seed-create.json"
RUNNING = 20  # jobs of a round in which they run
TIMEOUT = 120.0  # seconds


def main() -> int:
    """Measure and print the tables."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--rounds", type=int, default=15, help="rounds (default 15)")
    parser.add_argument("--size", type=int, default=100, help="jobs of a round (default 100)")
    parser.add_argument("--running", type=int, default=5, help="rounds that run (default 5)")
    options = parser.parse_args()

    print(f"{machine()}; one client, one connection\n")
    with embedded_api() as embedded, minimal_api() as minimal:
        api, bare = Client(embedded), Client(minimal)
        stored = measure(api, bare, options.rounds, options.size)
        print(f"{options.rounds} rounds of {options.size} suspended jobs:\n\n{table(*stored)}\n")
        used = measure_cpu(embedded, minimal, options.rounds, options.size)
        print(f"CPU of the server's process, in as many rounds:\n\n{table(*used)}\n")
        ran = measure_running(api, bare, options.running)
        print(f"{options.running} rounds of {RUNNING} jobs that run:\n\n{table(*ran)}")
        api.close()
        bare.close()
    return 0


def measure(api: Client, bare: Client, rounds: int, size: int) -> list[Rate]:
    """Create and read suspended jobs."""
    least = Rate("POST to bare Starlette", amount=size)
    inserts = Rate("INSERT into bare SQLite", amount=size)
    creates = Rate("creates", (least, inserts), "500 /s", amount=size)
    reads = Rate("GET from bare Starlette", amount=size)
    gets = Rate("gets", (reads,), amount=size)
    with (
        tempfile.TemporaryDirectory(prefix="pyjob-benchmark-") as directory,
        closing(database(Path(directory))) as db,
    ):
        for number in range(-1, rounds):  # the first warms everybody up
            names = [f"round-{number + 1}-{index}" for index in range(size)]
            bodies = [a_job(name, suspend=True) for name in names]
            took = [
                timed(partial(bare.ask, "POST", JOBS), bodies),
                timed(partial(insert, db), bodies),
                timed(partial(api.ask, "POST", JOBS), bodies),
                timed(lambda name: bare.ask("GET", f"{JOBS}/{name}"), names),
                timed(lambda name: api.ask("GET", f"{JOBS}/{name}"), names),
            ]
            if number >= 0:
                for figure, seconds in zip(
                    (least, inserts, creates, reads, gets), took, strict=True
                ):
                    figure.took(seconds)
    api.ask("DELETE", JOBS)
    return [least, inserts, creates, reads, gets]


def measure_cpu(embedded: Server, minimal: Server, rounds: int, size: int) -> list[Figure]:
    """Create suspended jobs; other work on the machine does not change what that costs."""
    least = Figure("POST to bare Starlette")
    creates = Figure("create", (least,))
    for number in range(rounds):
        bodies = [a_job(f"cpu-{number}-{index}", suspend=True) for index in range(size)]
        for server, figure in ((minimal, least), (embedded, creates)):
            client, before = Client(server), server.cpu_seconds()
            timed(partial(client.ask, "POST", JOBS), bodies)
            figure.took((server.cpu_seconds() - before) / size)
            client.close()
    client = Client(embedded)
    client.ask("DELETE", JOBS)
    client.close()
    return [least, creates]


def measure_running(api: Client, bare: Client, rounds: int) -> list[Rate]:
    """Create jobs that are started while the next ones come."""
    least = Rate("POST to bare Starlette", amount=RUNNING)
    creates = Rate("creates, of jobs that run", (least,), amount=RUNNING)
    ended = Rate("jobs to their end", amount=RUNNING)
    for number in range(rounds):
        bodies = [a_job(f"runs-{number}-{index}", suspend=False) for index in range(RUNNING)]
        least.took(timed(partial(bare.ask, "POST", JOBS), bodies))
        start = time.perf_counter()
        creates.took(timed(partial(api.ask, "POST", JOBS), bodies))
        eventually(lambda: all(map(has_succeeded, jobs(api))), timeout=TIMEOUT)
        ended.took(time.perf_counter() - start)
        api.ask("DELETE", JOBS)
    return [least, creates, ended]


def timed(action: Callable[[Any], object], items: Iterable[Any]) -> float:
    """Return how many seconds it takes to do `action` with each of `items`."""
    start = time.perf_counter()
    for item in items:
        action(item)
    return time.perf_counter() - start


def a_job(name: str, *, suspend: bool) -> bytes:
    """Return the seed's job as it is sent; where it runs, it only runs ``true``."""
    job = json.loads(SEED.read_text())
    job["metadata"]["name"] = name
    job["spec"]["runPolicy"] = {"suspend": suspend}
    for replicas in job["spec"]["pytorchReplicaSpecs"].values():
        (container,) = replicas["template"]["spec"]["containers"]
        container |= {"command": ["true"], "args": []}
    return json.dumps(job).encode()


def jobs(api: Client) -> list[Any]:
    """Return the jobs that there are."""
    items: list[Any] = json.loads(api.ask("GET", JOBS))["items"]
    return items


def has_succeeded(job: Any) -> bool:
    """Whether a job has come to its good end."""
    conditions = job.get("status", {}).get("conditions", [])
    return any(entry["type"] == "Succeeded" for entry in conditions)


def database(directory: Path) -> sqlite3.Connection:
    """Return a database that is as durable as that of the API."""
    db = sqlite3.connect(directory / "bare.db", isolation_level=None)
    db.execute("PRAGMA journal_mode=WAL")
    db.execute("PRAGMA synchronous=NORMAL")
    db.execute("CREATE TABLE objects (version INTEGER PRIMARY KEY AUTOINCREMENT, json TEXT)")
    return db


def insert(db: sqlite3.Connection, body: bytes) -> None:
    """Store a text, in a transaction of its own."""
    db.execute("INSERT INTO objects (json) VALUES (?)", (body.decode(),))


if __name__ == "__main__":
    sys.exit(main())
