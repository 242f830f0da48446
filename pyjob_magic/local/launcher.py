"""Start, find and stop the embedded API. Light to import: a kernel does it."""

from __future__ import annotations

import fcntl
import json
import os
import selectors
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path

from pyjob_magic import __version__
from pyjob_magic.errors import TargetError
from pyjob_magic.local.home import Home
from pyjob_magic.local.inheritance import inherited

STOP_PATH = "/pyjob-magic/stop"
_START_DEADLINE = 15.0
_STOP_DEADLINE = 30.0
_LOG_TAIL = 2000  # bytes

# `python -m pyjob_magic.local`, of this very package: it may come from the directory of a notebook.
_MAIN = """
import sys
sys.path.insert(0, sys.argv.pop(1))
from pyjob_magic.local.__main__ import main
sys.exit(main())
"""

_children: list[int] = []  # the APIs that this process has started


@dataclass(frozen=True)
class Endpoint:
    """Where the embedded API answers, and the token that it wants."""

    url: str
    token: str = field(repr=False)


@dataclass(frozen=True)
class Running:
    """An API process."""

    url: str
    pid: int
    version: str


def ensure_running(home: Home | None = None) -> Endpoint:
    """Return where the embedded API answers; start it if nobody has.

    However many processes call this at once, one API is started.

    Raises
    ------
    TargetError
        If it cannot be started.
    """
    home = home or Home.default()
    _reap()
    if running := _current(home):
        return Endpoint(running.url, home.token())
    try:
        home.create()
        with _start_lock(home):
            if _current(home) is None:  # nobody else has started or replaced it meanwhile
                with suppress(TargetError):  # it has jobs: the next one who asks may find it idle
                    if status(home):
                        _stop(home, force=False)
            return _endpoint(home) or _start(home)
    except OSError as error:
        raise TargetError(f"local: cannot use the state directory {home.path}: {error}") from None


def status(home: Home | None = None) -> Running | None:
    """Return the API process that serves this home; None if there is none."""
    home = home or Home.default()
    if not _alive(home):
        return None
    found = home.endpoint()
    return Running(found["url"], found["pid"], found["version"]) if found else None


def stop(home: Home | None = None, force: bool = False) -> bool:
    """Stop the API; return whether there was one.

    Parameters
    ----------
    home
        Its state directory.
    force
        Also when jobs are active; their replicas are ended then.

    Raises
    ------
    TargetError
        If jobs are active, or it does not stop.
    """
    home = home or Home.default()
    if not home.path.exists():
        return False
    with _start_lock(home):
        stopped = _stop(home, force)
    if force and _left_behind(home):
        ensure_running(home)  # it finds the replicas of one that died or was told to leave them
        with _start_lock(home):
            stopped = _stop(home, force)
    return stopped


def _stop(home: Home, force: bool) -> bool:
    """Stop the API, under the start lock."""
    if not _alive(home):
        return False
    deadline = time.monotonic() + _STOP_DEADLINE
    asked = False
    while _alive(home):
        # One that is not announced stops already.
        if not asked and (running := status(home)) is not None:
            _ask_to_stop(home, running, force)
            asked = True
        if time.monotonic() > deadline:
            raise TargetError(f"local: the API of {home.path} does not stop")
        time.sleep(0.01)
    return True


def _current(home: Home) -> Running | None:
    """Return the API if it is of this version of the package."""
    running = status(home)
    return running if running is not None and running.version == __version__ else None


def _left_behind(home: Home) -> bool:
    """Whether replicas may run without an API: some run has a pid but no exit code."""
    pids = home.pods.glob("*/*/*/pid")
    return any(not pid.with_name("exit").exists() for pid in pids)


def _endpoint(home: Home) -> Endpoint | None:
    if not _alive(home):
        return None
    found = home.endpoint()
    return Endpoint(found["url"], home.token()) if found else None


def _alive(home: Home) -> bool:
    """Whether an API process lives: it holds the lock as long as it does."""
    try:
        handle = os.open(home.lock, os.O_RDWR)
    except OSError:
        return False
    try:
        fcntl.flock(handle, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    finally:
        os.close(handle)
    return False


@contextmanager
def _start_lock(home: Home) -> Iterator[None]:
    """Be the only one who starts or stops the API."""
    handle = os.open(home.start_lock, os.O_RDWR | os.O_CREAT, 0o600)
    try:
        fcntl.flock(handle, fcntl.LOCK_EX)
        yield
    finally:
        os.close(handle)


def _start(home: Home) -> Endpoint:
    reader, writer = os.pipe()
    package = str(Path(__file__).parents[2])
    command = [sys.executable, "-c", _MAIN, package, "--home", str(home.path)]
    with os.fdopen(reader, "rb", buffering=0) as pipe:
        try:
            with home.log.open("ab") as log:
                start = log.tell()
                process = subprocess.Popen(
                    [*command, "--ready-fd", str(writer)],
                    stdin=subprocess.DEVNULL,
                    stdout=log,
                    stderr=log,
                    cwd=home.path,
                    env=_environment(home.path),
                    pass_fds=(writer,),
                    start_new_session=True,
                )
        finally:
            os.close(writer)
        with selectors.DefaultSelector() as selector:  # select() knows only 1024 descriptors
            selector.register(pipe, selectors.EVENT_READ)
            answered = bool(selector.select(_START_DEADLINE))
    if not answered:
        process.kill()
    process.returncode = 0  # it is ours to wait for: do not warn that it outlives us
    _children.append(process.pid)
    endpoint = _endpoint(home)  # of this one, or of one that somebody started in the foreground
    if endpoint is None:
        raise TargetError(_why_not(home.log, start, answered))
    return endpoint


def _reap() -> None:
    """Let go of the APIs that this process has started and that have ended."""
    for pid in tuple(_children):
        with suppress(ChildProcessError):
            if os.waitpid(pid, os.WNOHANG) == (0, 0):
                continue
        _children.remove(pid)


def _environment(home: Path) -> dict[str, str]:
    return inherited(os.environ) | {"PYJOB_MAGIC_HOME": str(home)}


def _why_not(log: Path, start: int, ended: bool) -> str:
    text = log.read_bytes()[start:][-_LOG_TAIL:].decode(errors="replace").strip()
    last = text.splitlines()[-1] if text else "it printed nothing"
    what = "ended while starting" if ended else f"did not answer within {_START_DEADLINE:g} s"
    return f"local: the embedded API {what}: {last} (see {log})"


def _ask_to_stop(home: Home, running: Running, force: bool) -> None:
    # Here, because a kernel that only submits does without it.
    from http.client import HTTPConnection, HTTPException

    host = running.url.removeprefix("http://")
    connection = HTTPConnection(host, timeout=_STOP_DEADLINE)
    try:
        connection.request(
            "POST",
            f"{STOP_PATH}?force={str(force).lower()}",
            headers={"Authorization": f"Bearer {home.token()}", "Content-Length": "0"},
        )
        response = connection.getresponse()
        body = response.read()
    except (OSError, HTTPException) as error:
        if not _alive(home):
            return
        raise TargetError(f"local: the API (pid {running.pid}) does not answer: {error}") from None
    finally:
        connection.close()
    if response.status >= 400:
        message = json.loads(body).get("message", "")
        raise TargetError(f"local: not stopped: {message}; --force ends them")


__all__ = ["STOP_PATH", "Endpoint", "Running", "ensure_running", "status", "stop"]
