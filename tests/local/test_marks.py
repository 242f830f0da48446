"""The processes of a pod are known by their marks."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial

import psutil
import pytest

from pyjob_magic.local.kubelet import marks
from pyjob_magic.local.kubelet.marks import bears, environment, marked, put
from tests.state import eventually

UID = "pod-of-test-marks"
SLEEP = [sys.executable, "-c", "import time; time.sleep(600)"]


@contextmanager
def a_process(uid: str = UID, container: str = "c", **env: str) -> Iterator[int]:
    """Run a process with a mark, and in an environment that is as empty as it is given."""
    begin = partial(put, uid, container)
    with subprocess.Popen(SLEEP, env=env, preexec_fn=begin, start_new_session=True) as process:
        yield process.pid
        process.kill()


def test_a_process_is_known_without_its_environment() -> None:
    """The mark of its pod, and that of its container."""
    with a_process() as pid:
        assert marked(UID) == marked(UID, "c") == [pid]
        assert marked(UID, "other") == marked("other") == []


def test_what_it_starts_bears_its_mark() -> None:
    """Whatever it does to its session and environment."""
    hides = "import os; os.setsid(); os.execve('/bin/sleep', ['sleep', '600'], {})"
    code = f"import os, time; os.fork() or exec({hides!r}); time.sleep(600)"
    with subprocess.Popen(
        [sys.executable, "-c", code], preexec_fn=partial(put, UID, "c")
    ) as process:
        eventually(lambda: len(marked(UID)) == 2)
        for pid in marked(UID):
            psutil.Process(pid).kill()
        process.wait()


def test_nobody_else_is_known() -> None:
    """Neither this process, nor one that is gone, nor none."""
    assert not any(bears(pid, UID) for pid in (psutil.Process().pid, 2**22 + 1, 0))


def test_a_process_that_has_ended_is_not_known() -> None:
    """Though nobody has waited for it yet."""
    with a_process() as pid:
        psutil.Process(pid).kill()
        eventually(lambda: psutil.Process(pid).status() == psutil.STATUS_ZOMBIE)
        assert not bears(pid, UID)


def test_where_limits_do_not_serve_the_environment_does(monkeypatch: pytest.MonkeyPatch) -> None:
    """As on a system that does not tell the limits of others."""
    monkeypatch.setattr(marks, "_BY_LIMIT", False)
    with a_process(**environment(UID, "c")) as pid, a_process():
        assert marked(UID) == marked(UID, "c") == [pid]
        assert marked(UID, "other") == []
