"""State directories for tests: each with an embedded API of its own, none left behind."""

from __future__ import annotations

import shutil
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TypeVar

import psutil

from pyjob_magic.local import launcher
from pyjob_magic.local.home import Home
from tests.guardian import guard

VARIABLE = "PYJOB_MAGIC_HOME"

T = TypeVar("T")


@contextmanager
def temporary_home() -> Iterator[Path]:
    """Lend a new state directory; at the end stop its embedded API and remove it.

    Raises
    ------
    AssertionError
        If a process that was started for this directory outlives its API.
    """
    home = Path(tempfile.mkdtemp(prefix="pyjob-test-"))
    guard(home)
    try:
        yield home
    finally:
        try:
            if any(home.iterdir()):  # else nobody started an API here
                launcher.stop(Home(home), force=True)
        finally:
            survivors = _given_time_to_end(home)
            for process in survivors:
                process.kill()
            shutil.rmtree(home, ignore_errors=True)
    assert not survivors, f"still running for {home}: {survivors}"


def processes_with(variable: str, value: str | Path) -> list[psutil.Process]:
    """Return the live processes that were started with this variable in their environment."""
    return [p for p in psutil.process_iter() if _environment(p).get(variable) == str(value)]


def eventually(
    condition: Callable[[], T | None], *, timeout: float = 20.0, every: float = 0.02
) -> T:
    """Wait until `condition` returns something true, and return that.

    Parameters
    ----------
    timeout
        Seconds until the waiting ends with an `AssertionError`.
    every
        Seconds between two looks.
    """
    deadline = time.monotonic() + timeout
    while not (found := condition()):
        if time.monotonic() > deadline:
            raise AssertionError(f"not within {timeout:g} s: {condition}; last seen: {found!r}")
        time.sleep(every)
    return found


def _given_time_to_end(home: Path, timeout: float = 5.0) -> list[psutil.Process]:
    """Return the processes of `home` that have not ended after `timeout` seconds."""
    _, alive = psutil.wait_procs(processes_with(VARIABLE, home), timeout)
    return alive


def _environment(process: psutil.Process) -> dict[str, str]:
    try:
        return process.environ()
    except (psutil.Error, OSError):  # gone meanwhile, or another user's
        return {}
