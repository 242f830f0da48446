"""What the embedded API costs while it has nothing to do, and how long it takes to start.

    python tests/benchmarks/footprint.py [--seconds 20] [--starts 7] [--jobs 50]

Memory is the resident size of the API's process, CPU what it uses in some quiet seconds, in percent
of one core. Both are taken when the API has just started and answered, and when jobs of four
replicas each have run ``true``; their objects and logs are still there. Start: from asking for the
API to its first answer, in an empty state directory and in that of the jobs. Beside it, a bare
Starlette application in a process of its own.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from collections.abc import Callable
from typing import Any

from pyjob_magic.local import launcher
from pyjob_magic.local.home import Home
from tests.benchmarks.api import JOBS, PODS, Client, Server, minimal_api, started
from tests.benchmarks.figures import Figure, machine, table
from tests.state import eventually, temporary_home

WORKERS = 3
SETTLED = 2.0  # seconds after which an API that has done something is quiet
TIMEOUT = 300.0  # seconds


def main() -> int:
    """Measure and print the tables."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--seconds", type=float, default=20, help="of CPU (default 20)")
    parser.add_argument("--starts", type=int, default=7, help="rounds of starts (default 7)")
    parser.add_argument("--jobs", type=int, default=50, help="jobs that have run (default 50)")
    options = parser.parse_args()

    print(f"{machine()}\n")
    with temporary_home() as path:
        home = Home(path)
        idle = measure(home, options.seconds, options.jobs)
        print(f"Doing nothing, {options.seconds:g} s:\n\n{table(*idle)}\n")
        starts = measure_starts(home, options.starts)
        print(f"From asking for it to its first answer, {options.starts} starts:\n")
        print(table(*starts))
    return 0


def measure(home: Home, seconds: float, jobs: int) -> list[Figure]:
    """Measure before and after jobs have run."""
    least = [
        Figure("memory of bare Starlette", unit="MB"),
        Figure("CPU of bare Starlette", unit="%"),
    ]
    new = [
        Figure("memory of the API", (least[0],), "under 80 MB", "MB"),
        Figure("CPU of the API", target="under 0.5 %", unit="%"),
    ]
    used = [
        Figure(f"memory, {jobs} jobs of {WORKERS + 1} have run", (least[0], new[0]), unit="MB"),
        Figure(f"CPU, {jobs} jobs of {WORKERS + 1} have run", unit="%"),
    ]
    with minimal_api() as minimal:
        cost(minimal, seconds, *least)
    server = started(home)
    cost(server, seconds, *new)
    run_jobs(server, jobs)
    cost(server, seconds, *used)
    return [*least, *new, *used]


def cost(server: Server, seconds: float, memory: Figure, cpu: Figure) -> None:
    """Note what a server costs that nobody asks for anything."""
    answered(server)
    time.sleep(SETTLED)
    before = server.cpu_seconds()
    time.sleep(seconds)
    cpu.samples.append(100 * (server.cpu_seconds() - before) / seconds)
    memory.samples.append(server.process.memory_info().rss / 1e6)


def run_jobs(server: Server, count: int) -> None:
    """Run jobs to their end."""
    client = Client(server)
    for number in range(count):
        client.ask("POST", JOBS, json.dumps(a_job(f"job-{number}")).encode())
    replicas = count * (WORKERS + 1)
    eventually(lambda: phases(client).count("Succeeded") == replicas, timeout=TIMEOUT, every=0.5)
    client.close()


def phases(client: Client) -> list[str]:
    """Return the phases of all pods."""
    return [pod["status"]["phase"] for pod in json.loads(client.ask("GET", PODS))["items"]]


def measure_starts(warm: Home, rounds: int) -> list[Figure]:
    """Start servers, in turns."""
    least = Figure("bare Starlette")
    empty = Figure("the API, no state", (least,))
    full = Figure("the API, state of the jobs", (least, empty))
    ways: list[tuple[Figure, Callable[[], float]]] = [
        (least, start_minimal),
        (empty, start_empty),
        (full, lambda: start(warm)),
    ]
    for _ in range(rounds):
        for figure, way in ways:
            figure.took(way())
    return [least, empty, full]


def start_minimal() -> float:
    """Start the least server; return the seconds to its first answer."""
    begun = time.perf_counter()
    with minimal_api() as server:
        answered(server)
        return time.perf_counter() - begun


def start_empty() -> float:
    """Start an API without state; return the seconds to its first answer."""
    with temporary_home() as path:
        return start(Home(path))


def start(home: Home) -> float:
    """Start the API of a state directory; return the seconds to its first answer."""
    launcher.stop(home)
    begun = time.perf_counter()
    answered(started(home))
    return time.perf_counter() - begun


def answered(server: Server) -> None:
    """Return when a server has answered."""
    client = Client(server)
    client.ask("GET", f"{JOBS}?limit=1")
    client.close()


def a_job(name: str) -> Any:
    """Return a job whose replicas end at once."""
    container = {"name": "pytorch", "image": "none", "command": ["/bin/true"]}
    template = {"spec": {"containers": [container]}}
    return {
        "apiVersion": "kubeflow.org/v1",
        "kind": "PyTorchJob",
        "metadata": {"name": name},
        "spec": {
            "pytorchReplicaSpecs": {
                kind: {"replicas": count, "restartPolicy": "Never", "template": template}
                for kind, count in (("Master", 1), ("Worker", WORKERS))
            }
        },
    }


if __name__ == "__main__":
    sys.exit(main())
