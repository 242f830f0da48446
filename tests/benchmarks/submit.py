"""How long a person looks at an empty output: from running a cell to the metadata on screen.

    python tests/benchmarks/submit.py [--warm 25] [--cold 7]

A real kernel runs the cells; a figure ends when the message with the card has arrived here, at the
kernel's client, where a front end would draw it.

Warm: the embedded API runs and the kernel has submitted before. Each round runs an empty cell, a
``%%pytorchjob`` cell with two Workers, and a bare POST of the same manifest over a connection that
stays open. The jobs are real; the next figure is taken when they have ended.

Cold: a fresh kernel and a state directory without an API; the first cell after ``%load_ext``
imports the client and starts the API. Beside it, a new Python imports the same libraries, and an
empty cell runs in the same kernel.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, ParamSpec

import httpx
from jupyter_client.blocking.client import BlockingKernelClient
from jupyter_client.manager import KernelManager

from pyjob_magic import connect
from pyjob_magic.connection import Connection
from pyjob_magic.local.launcher import ensure_running
from tests.benchmarks.api import using
from tests.benchmarks.figures import Figure, machine, table
from tests.state import VARIABLE, temporary_home

LOAD = "%load_ext pyjob_magic"
SOURCE = "print('ran')\n"
LIBRARIES = "import httpx, pydantic, starlette, uvicorn"
JOBS = "/apis/kubeflow.org/v1/namespaces/default/pytorchjobs"
TIMEOUT = 60.0  # seconds

Message = dict[str, Any]
P = ParamSpec("P")


def main() -> int:
    """Measure and print the tables."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--warm", type=int, default=25, help="rounds with a warm API (default 25)")
    parser.add_argument("--cold", type=int, default=7, help="rounds with no API (default 7)")
    options = parser.parse_args()

    print(f"{machine()}; from running the cell to the card\n")
    print(f"Warm API, {options.warm} jobs:\n\n{table(*warm(options.warm))}\n")
    print(f"API not started, {options.cold} fresh kernels:\n\n{table(*cold(options.cold))}")
    return 0


def warm(rounds: int) -> list[Figure]:
    """Measure cells of a kernel that has submitted before."""
    empty, post = Figure("empty cell"), Figure("bare POST")
    cell = Figure("%%pytorchjob cell", (empty, post), "at most 100 ms")
    with temporary_home() as home, using(home), running_kernel(home) as kernel:
        run(kernel, LOAD)
        run(kernel, a_cell("first"), until=is_card)
        connection = connect()
        with bare_client() as client:
            for number in range(-2, rounds):  # the first two warm up everybody
                seconds = [
                    timed(run, kernel, ""),
                    timed(run, kernel, a_cell(name("cell", number)), is_card),
                ]
                connection.get(name("cell", number)).wait(TIMEOUT)
                body = manifest(connection, name("post", number))
                seconds.append(timed(send, client, body))
                connection.get(name("post", number)).wait(TIMEOUT)
                if number >= 0:
                    for figure, figured in zip((empty, cell, post), seconds, strict=True):
                        figure.took(figured)
        connection.close()
    return [empty, post, cell]


def cold(rounds: int) -> list[Figure]:
    """Measure the first cell of kernels that find no API."""
    empty, imports = Figure("empty cell"), Figure("python that imports the libraries")
    cell = Figure("first %%pytorchjob cell, starts the API", (imports, empty), "at most 2 s")
    for _ in range(rounds):
        with temporary_home() as home, using(home), running_kernel(home) as kernel:
            run(kernel, LOAD)
            empty.took(timed(run, kernel, ""))
            imports.took(timed(import_libraries))
            cell.took(timed(run, kernel, a_cell("first"), is_card))
            connection = connect()
            connection.get("first").wait(TIMEOUT)
            connection.close()
    return [empty, imports, cell]


def timed(action: Callable[P, object], *args: P.args, **kwargs: P.kwargs) -> float:
    """Return how many seconds `action` takes."""
    start = time.perf_counter()
    action(*args, **kwargs)
    return time.perf_counter() - start


def name(kind: str, number: int) -> str:
    """Return the name of the job of one round."""
    return f"{kind}-{number}" if number >= 0 else f"{kind}-warm-{-number}"


def a_cell(name: str) -> str:
    """Return a cell whose job prints one line in each of three replicas."""
    return f"%%pytorchjob {name} --workers 2\n{SOURCE}"


def manifest(connection: Connection, name: str) -> Any:
    """Return what such a cell sends."""
    return connection.build(SOURCE, name=name, workers=2).job.to_wire()


def is_card(message: Message) -> bool:
    """Whether a message shows metadata that only the API can know."""
    if message["msg_type"] == "error":
        raise AssertionError(message["content"])
    shown: str = message["content"].get("data", {}).get("text/html", "")
    return message["msg_type"] == "display_data" and "resourceVersion" in shown


def is_idle(message: Message) -> bool:
    """Whether a message says that the kernel has done its work."""
    state: str | None = message["content"].get("execution_state")
    return state == "idle"


def run(
    kernel: BlockingKernelClient, code: str, until: Callable[[Message], bool] = is_idle
) -> None:
    """Run a cell and return when `until` has seen its message; skip those of earlier cells."""
    request = kernel.execute(code)
    while True:
        message = kernel.get_iopub_msg(timeout=TIMEOUT)
        if message["parent_header"].get("msg_id") == request and until(message):
            return


def send(client: httpx.Client, manifest: Any) -> None:
    """Create a job with nothing around it."""
    client.post(JOBS, json=manifest).raise_for_status()


def import_libraries() -> None:
    """Import what the client and the API are made of, in a new process."""
    subprocess.run([sys.executable, "-c", LIBRARIES], check=True)


@contextmanager
def running_kernel(home: Path) -> Iterator[BlockingKernelClient]:
    """Lend a kernel that answers; its state and the user's startup files are out of reach."""
    manager = KernelManager(kernel_name="python3")
    environment = os.environ | {"IPYTHONDIR": str(home / "ipython"), VARIABLE: str(home)}
    manager.start_kernel(env=environment, cwd=str(home), stderr=subprocess.DEVNULL)
    client = manager.blocking_client()
    client.start_channels()
    try:
        client.wait_for_ready(timeout=TIMEOUT)
        yield client
    finally:
        client.stop_channels()
        manager.shutdown_kernel(now=True)


@contextmanager
def bare_client() -> Iterator[httpx.Client]:
    """Lend a client that does nothing but send."""
    endpoint = ensure_running()
    headers = {"Authorization": f"Bearer {endpoint.token}"}
    with httpx.Client(base_url=endpoint.url, headers=headers) as client:
        yield client


if __name__ == "__main__":
    sys.exit(main())
