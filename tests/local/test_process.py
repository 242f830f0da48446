"""A run of a container: what it starts ends with it, and its exit code is known."""

from __future__ import annotations

import asyncio
import os
import signal
import sys
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest

from pyjob_magic.local.kubelet.process import Process
from pyjob_magic.local.kubelet.trees import descendants
from tests.local.hiding import HIDE, STAY, UNTIL_GO, UP, gone, hidden
from tests.state import eventually

BOMB = """
import os, time

def grow(depth):
    for _ in range(3):
        if os.fork() == 0:
            os.setsid()
            if depth < 3:
                grow(depth + 1)
            time.sleep(600)

grow(1)
"""


@pytest.fixture
def run(tmp_path: Path) -> Iterator[Process]:
    """Lend a run that is not started yet, and end it after the test."""
    run = Process(tmp_path / "run", f"uid-of-{tmp_path.name}", "c")
    yield run
    run.kill()
    asyncio.run(run.wait())


def start(run: Process, code: str) -> Path:
    """Start `code` and wait until it says that it is up; return where it runs."""
    cwd = run.directory.parent
    run.start([sys.executable, "-c", code], dict(os.environ), cwd)
    eventually(lambda: "up" in run.log.read_text())
    return cwd


def shell(run: Process) -> psutil.Process:
    return psutil.Process(int(eventually((run.directory / "pid").read_text)))


def test_the_end_of_the_program_ends_what_hides(run: Process) -> None:
    """No API has to be there: nobody waits for this run, the shell does it."""
    cwd = start(run, HIDE + "hide(); hide()\n" + UNTIL_GO + "os._exit(3)")
    processes = hidden(cwd, 2)

    (cwd / "go").touch()

    eventually(lambda: gone([*processes, shell(run)]))
    assert run.exit_code() == 3


def test_killing_a_run_ends_what_hides(run: Process) -> None:
    """A process that is no child, in another session and without environment."""
    cwd = start(run, HIDE + "hide()\n" + STAY)
    processes = hidden(cwd)

    run.kill()

    assert asyncio.run(run.wait()) == 137
    eventually(lambda: gone(processes))


def test_what_hides_is_asked_to_end(run: Process) -> None:
    """SIGTERM reaches the whole tree of a program that takes its time to end."""
    asked = "import os, signal; signal.signal(15, lambda *_: os.mkdir('asked')); "
    asked += "os.mkdir('waits'); signal.pause()"
    stubborn = "import signal, sys; signal.signal(15, signal.SIG_IGN)\n"
    cwd = start(run, stubborn + HIDE + f"hide((sys.executable, '-c', {asked!r}))\n" + STAY)
    eventually((cwd / "waits").exists)

    run.terminate()

    eventually((cwd / "asked").exists)


def test_an_adopted_run_is_ended_whole(run: Process) -> None:
    """Who adopts it has not seen it start."""
    cwd = start(run, HIDE + "hide()\n" + STAY)
    processes = [*hidden(cwd), shell(run)]
    later = Process(run.directory, run.pod_uid, run.container)
    assert later.adopt()

    later.kill()

    eventually(lambda: gone(processes))


@pytest.mark.parametrize("end", ["by itself", "killed"])
def test_many_that_multiply_are_ended(run: Process, end: str) -> None:
    """Each of 39 processes leads a session of its own."""
    cwd = start(run, BOMB + UNTIL_GO)
    eventually(lambda: len(descendants(shell(run).pid)) == 40)
    processes = [psutil.Process(pid) for pid in descendants(shell(run).pid)]

    if end == "killed":
        run.kill()
    else:
        (cwd / "go").touch()

    assert asyncio.run(run.wait()) == (137 if end == "killed" else 0)
    eventually(lambda: gone(processes))


def test_what_is_stopped_is_ended(run: Process) -> None:
    """The whole group stands still, its shell included."""
    start(run, UP + "import os; os.killpg(0, 19)\n" + "import time; time.sleep(600)")
    eventually(lambda: shell(run).status() == psutil.STATUS_STOPPED)

    run.kill()

    assert asyncio.run(run.wait()) == 137


@pytest.mark.parametrize("number", [signal.SIGUSR1, signal.SIGALRM, signal.SIGPIPE])
def test_a_program_may_signal_its_group(run: Process, number: signal.Signals) -> None:
    """It sees no shell there, and does not end it."""
    n = int(number)
    ignores = f"import os, signal; signal.signal({n}, signal.SIG_IGN); os.killpg(0, {n})\n"
    start(run, ignores + UP + "raise SystemExit(3)")

    assert asyncio.run(run.wait()) == 3


def test_an_exit_code_that_cannot_be_written_is_known(run: Process) -> None:
    """As long as somebody waits for it."""
    cwd = start(run, "import os, time\n" + UNTIL_GO + "raise SystemExit(3)")
    (run.directory / "exit").unlink()
    (run.directory / "exit").mkdir()

    (cwd / "go").touch()

    assert asyncio.run(run.wait()) == 3


def test_a_run_is_over_when_its_exit_code_is_known(run: Process) -> None:
    """The place for the code, kept from the start, is none."""
    cwd = start(run, "import os, time\n" + UNTIL_GO + "raise SystemExit(3)")
    assert (run.over(), run.exit_code()) == (False, None)

    (cwd / "go").touch()

    eventually(run.over)
    assert run.exit_code() == 3
