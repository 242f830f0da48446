"""What it costs a notebook to watch many jobs of one namespace.

    python tests/benchmarks/many_jobs.py [--jobs 500] [--rounds 3]

Each round is a process of its own that does what a notebook does: it watches jobs and their pods,
keeps each as it was last told, and counts its memory, threads and connections. Told: from the first
subscription until all jobs and pods were told. Passed on: from changing a label of all jobs until
all changes were told, per job. The pods wait for memory that no machine has. Beside it, in the same
rounds, a process that watches one job in the same namespace.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import time
from pathlib import Path

import psutil

from pyjob_magic.connection import Connection
from pyjob_magic.informer import News
from pyjob_magic.models import Pod, PyTorchJob
from tests.benchmarks.api import warm_api
from tests.benchmarks.figures import Figure, machine, table
from tests.state import eventually

TIMEOUT = 300.0  # seconds
KINDS = {
    "memory": ("MB", "under 100 MB"),
    "threads": ("", "O(1)"),
    "connections": ("", "O(1)"),
    "told": ("ms", ""),
    "passed on": ("ms/job", ""),
}


def main() -> int:
    """Measure and print the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--jobs", type=int, default=500, help="jobs (default 500)")
    parser.add_argument("--rounds", type=int, default=3, help="rounds (default 3)")
    parser.add_argument("--watch", type=int, help=argparse.SUPPRESS)
    options = parser.parse_args()

    if options.watch:
        return watch(options.watch)
    one = {kind: Figure(f"{kind}, 1 job", unit=unit) for kind, (unit, _) in KINDS.items()}
    many = {
        kind: Figure(f"{kind}, {options.jobs} jobs", (one[kind],), target, unit)
        for kind, (unit, target) in KINDS.items()
    }
    with warm_api() as connection:
        fill(connection, options.jobs)
        for _ in range(options.rounds):
            for figures, count in ((one, 1), (many, options.jobs)):
                for kind, value in counted(connection, count).items():
                    figures[kind].samples.append(value)
    print(f"{machine()}; {options.rounds} rounds, {options.jobs} jobs in the namespace\n")
    print(table(*(each for kind in KINDS for each in (one[kind], many[kind]))))
    return 0


def fill(connection: Connection, jobs: int) -> None:
    """Submit jobs whose pods wait."""
    for number in range(jobs):
        connection.submit(connection.build("print('ran')", name=f"job-{number}", memory="900Ti"))
    eventually(lambda: all(job.replicas() for job in connection.list()[-3:]), timeout=TIMEOUT)


def counted(connection: Connection, jobs: int) -> dict[str, float]:
    """Let a process watch so many jobs; return what it has counted."""
    command = [sys.executable, __file__, "--watch", str(jobs)]
    environment = {**os.environ, "PYTHONPATH": str(Path(__file__).parents[2])}
    with subprocess.Popen(
        command, env=environment, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stdin
        assert process.stdout
        figures: dict[str, float] = json.loads(process.stdout.readline())
        value, start = str(time.time_ns()), time.perf_counter()
        for number in range(jobs):
            labels = {"metadata": {"labels": {"value": value}}}
            connection.client.patch_job(f"job-{number}", labels)
        process.stdin.write(f"{value}\n")
        process.stdin.flush()
        assert process.stdout.readline() == "all\n"
        figures["passed on"] = 1000 * (time.perf_counter() - start) / jobs
    return figures


def watch(count: int) -> int:
    """Watch jobs, print what that costs, and tell when all have changed."""
    from pyjob_magic import connect

    connection = connect()
    jobs: dict[str, PyTorchJob] = {}
    pods: dict[str, Pod] = {}
    wanted = [job.manifest for job in connection.list()[:count]]
    start = time.perf_counter()

    def hear_of_job(news: News, value: PyTorchJob) -> None:
        if news is News.CHANGED:
            jobs[value.name] = value

    def hear_of_pod(news: News, value: Pod) -> None:
        if news is News.CHANGED:
            pods[value.name] = value

    for job in wanted:
        connection.client.watch_job(job.name, hear_of_job)
        connection.client.watch_pods(job, hear_of_pod)
    eventually(lambda: len(jobs) == len(pods) == count, timeout=TIMEOUT, every=0.001)
    told = time.perf_counter() - start
    process = psutil.Process()
    figures = {
        "memory": process.memory_info().rss / 1e6,
        "threads": process.num_threads(),
        "connections": len(process.net_connections("tcp")),
        "told": 1000 * told,
    }
    print(json.dumps(figures), flush=True)
    value = sys.stdin.readline().strip()
    eventually(
        lambda: all((job.metadata.labels or {}).get("value") == value for job in [*jobs.values()]),
        timeout=TIMEOUT,
        every=0.001,
    )
    print("all", flush=True)
    connection.close()
    return 0


if __name__ == "__main__":
    sys.exit(main())
