"""Programs whose children hide, and how the tests find them all the same."""

from __future__ import annotations

from pathlib import Path

import psutil

from tests.state import eventually

# `hide` leaves behind a process that has a session of its own, no parent that started it and no
# environment; it notes its pid.
HIDE = """
import os, time

def hide(program=("sleep", "600")):
    if os.fork() == 0:
        os.setsid()
        if os.fork() == 0:
            with open("hidden", "a") as file:
                file.write(f"{os.getpid()}\\n")
            os.execve("/usr/bin/env", ["env", "-i", *program], {})
        os._exit(0)
    os.wait()
"""
UP = "print('up', flush=True)\n"
STAY = UP + "time.sleep(600)\n"
UNTIL_GO = UP + "while not os.path.exists('go'): time.sleep(0.01)\n"


def hidden(directory: Path, count: int = 1) -> list[psutil.Process]:
    """Wait for `count` processes that hide and were started in `directory`."""

    def pids() -> list[str]:
        path = directory / "hidden"
        found = path.read_text().split() if path.exists() else []
        return found if len(found) == count else []

    return [psutil.Process(int(pid)) for pid in eventually(pids)]


def gone(processes: list[psutil.Process]) -> bool:
    """Whether all have ended; that somebody waits for them is not asked."""
    return not any(p.is_running() and p.status() != psutil.STATUS_ZOMBIE for p in processes)
