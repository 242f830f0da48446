"""How long until user code runs: from submit to the first line of the program in every replica.

    python tests/benchmarks/first_line.py [--plain 15] [--torch 7]

The program prints the time; the last of the three replicas counts. Against it, three processes of
the same interpreter, started by hand at once, with the same program in a file: plain ``python``
with the operator's variables, and ``torchrun --nnodes=3``. In the second table the first lines of
the program import torch and meet over gloo, and the time is printed after them.

Submit is the whole call: the manifest is built, checked, sent, stored and scheduled in it.
"""

from __future__ import annotations

import argparse
import os
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from pathlib import Path

from pyjob_magic.connection import Connection
from tests.benchmarks.api import warm_api
from tests.benchmarks.figures import Figure, machine, table

REPLICAS = 3
TIMEOUT = 120.0  # seconds
PLAIN = "import time; print('at', time.time())\n"
MEETING = f"""\
import torch
import torch.distributed as dist
dist.init_process_group("gloo")
{PLAIN}dist.destroy_process_group()
"""
TARGET = "at most 1.15"


def main() -> int:
    """Measure and print the tables."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--plain", type=int, default=15, help="rounds without torch (default 15)")
    parser.add_argument("--torch", type=int, default=7, help="rounds with torch (default 7)")
    options = parser.parse_args()

    print(f"{machine()}; from submit to the first line in each of {REPLICAS} replicas\n")
    with warm_api() as connection:
        plain = measure(connection, PLAIN, options.plain)
        print(f"The first line prints the time, {options.plain} rounds:\n\n{table(*plain)}\n")
        meeting = measure(connection, MEETING, options.torch)
        print(f"After import torch and gloo, {options.torch} rounds:\n\n{table(*meeting)}")
    return 0


def measure(connection: Connection, source: str, rounds: int) -> list[Figure]:
    """Start `source` in turns as a job and by hand."""
    python, torchrun = Figure("python by hand"), Figure("torchrun by hand")
    job = Figure("submitted job", (python, torchrun), TARGET)
    ways: list[tuple[Figure, Callable[[str], float]]] = [
        (python, by_python),
        (job, partial(submitted, connection)),
        (torchrun, by_torchrun),
    ]
    for number in range(-1, rounds):  # the first fills the caches of the disk
        for figure, way in ways:
            seconds = way(source)
            if number >= 0:
                figure.took(seconds)
        ways.append(ways.pop(0))  # whoever follows torchrun finds colder caches
    return [python, torchrun, job]


def submitted(connection: Connection, source: str) -> float:
    """Submit a job; return the seconds until all its replicas were in their first line."""
    start = time.time()
    job = connection.submit(connection.build(source, workers=REPLICAS - 1))
    job.wait(TIMEOUT)
    printed = [job.logs(pod.replica) for pod in job.replicas()]
    job.delete()
    return last(printed) - start


def by_python(source: str) -> float:
    """Start one process for each replica, as the operator's variables let them meet."""
    return by_hand(source, [[sys.executable]] * REPLICAS)


def by_torchrun(source: str) -> float:
    """Start one torchrun for each replica, as on as many machines."""
    port = free_port()
    common = ["--nnodes", str(REPLICAS), "--nproc-per-node", "1"]
    common += ["--master-addr", "127.0.0.1", "--master-port", str(port)]
    module = [sys.executable, "-m", "torch.distributed.run", *common]
    return by_hand(source, [[*module, "--node-rank", str(rank)] for rank in range(REPLICAS)])


def by_hand(source: str, commands: list[list[str]]) -> float:
    """Start `source` with each command; return the seconds until all were in their first line."""
    port = free_port()
    with tempfile.TemporaryDirectory(prefix="pyjob-benchmark-") as directory:
        program = Path(directory) / "main.py"
        program.write_text(source)
        start = time.time()
        processes = [
            subprocess.Popen(
                [*command, str(program)],
                cwd=directory,
                env=os.environ | variables(rank, port),
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                text=True,
            )
            for rank, command in enumerate(commands)
        ]
        try:
            printed = [process.communicate(timeout=TIMEOUT) for process in processes]
        finally:
            for process in processes:
                process.kill()
    failed = [
        errors
        for process, (_, errors) in zip(processes, printed, strict=True)
        if process.returncode
    ]
    assert not failed, failed[0]
    return last([output for output, _ in printed]) - start


def variables(rank: int, port: int) -> Mapping[str, str]:
    """Return what a replica of the embedded API finds in its environment."""
    return {
        "PYTHONUNBUFFERED": "1",
        "MASTER_ADDR": "127.0.0.1",
        "MASTER_PORT": str(port),
        "WORLD_SIZE": str(REPLICAS),
        "RANK": str(rank),
        "GLOO_SOCKET_IFNAME": "lo0" if sys.platform == "darwin" else "lo",
        "OMP_NUM_THREADS": str(max(1, (os.cpu_count() or 1) // REPLICAS)),
    }


def last(printed: Sequence[str]) -> float:
    """Return the latest of the times that the replicas have printed."""
    assert len(printed) == REPLICAS, printed
    times = [line.split()[1] for text in printed for line in text.splitlines() if "at " in line]
    assert len(times) == REPLICAS, printed
    return max(map(float, times))


def free_port() -> int:
    """Return a port that nobody listens on."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        port: int = listener.getsockname()[1]
        return port


if __name__ == "__main__":
    sys.exit(main())
