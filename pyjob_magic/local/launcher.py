"""Start, find and stop the embedded API. Light to import: a kernel does it."""

from __future__ import annotations

import fcntl
import json
import os
import selectors
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, BinaryIO

from pyjob_magic import __version__
from pyjob_magic.errors import TargetError
from pyjob_magic.local import private
from pyjob_magic.local.home import Home
from pyjob_magic.local.kubelet.inheritance import REPLICA, inherited

STATUS_PATH = "/pyjob-magic/status"
STOP_PATH = "/pyjob-magic/stop"
READY = "ready"  # what an API process says when it answers; anything else is why it does not
_START_DEADLINE = 15.0
_STOP_DEADLINE = 30.0
_END_DEADLINE = 5.0
_LOG_LIMIT = 2**20  # bytes after which a new log is begun

# `python -m pyjob_magic.local`, of this very package: it may come from the directory of a notebook.
_MAIN = """
import sys
sys.path.insert(0, sys.argv.pop(1))
from pyjob_magic.local.__main__ import main
sys.exit(main())
"""

_children: set[int] = set()  # the APIs that this process has started


@dataclass(frozen=True)
class Endpoint:
    """Where the embedded API answers, and the token that it wants."""

    url: str
    token: str = field(repr=False)


@dataclass(frozen=True)
class Running:
    """An API process.

    Parameters
    ----------
    url
        Where it answers this machine's own clients.
    pid, version
        Of the process and of its package.
    secure_url
        Where it answers over TLS, for kubectl and others.
    lost_ports
        Ports where it answered before; somebody else has them now.
    """

    url: str
    pid: int
    version: str
    secure_url: str
    lost_ports: Sequence[int]

    @classmethod
    def from_announcement(cls, found: Mapping[str, Any]) -> Running | None:
        """Read what an API has announced, be it of another version; None if it is of no use."""
        try:
            return cls(**{name: found[name] for name in cls.__dataclass_fields__})
        except KeyError:
            return None


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
    try:
        if running := _current(home):
            return Endpoint(running.url, home.token())
        home.create()
        with _start_lock(home):
            if _current(home) is None:  # nobody else has started or replaced it meanwhile
                with suppress(TargetError):  # it has jobs: the next one who asks may find it idle
                    if status(home):
                        _stop(home, force=False)
            return _endpoint(home) or _start(home)
    except OSError as error:
        raise TargetError(f"local: {home.complaint(error)}") from None


def status(home: Home | None = None) -> Running | None:
    """Return the API process that serves this home; None if there is none."""
    found = (home or Home.default()).endpoint()
    return Running.from_announcement(found) if found else None


def active_jobs(running: Running, home: Home | None = None) -> list[str]:
    """Return the jobs that keep an API from stopping, as ``namespace/name``.

    Raises
    ------
    TargetError
        If it does not answer.
    """
    _, body = _ask(home or Home.default(), running, "GET", STATUS_PATH)
    jobs: list[str] = json.loads(body)["activeJobs"]
    return jobs


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
    asked: Running | None = None
    while _alive(home):
        # One that is not announced stops already.
        if asked is None and (running := status(home)) is not None:
            _ask_to_stop(home, running, force)
            asked = running
        if time.monotonic() > deadline:
            raise TargetError(f"local: the API of {home.path} does not stop")
        time.sleep(0.01)
    if asked is not None:
        _await_end(asked.pid)
    return True


def _await_end(pid: int) -> None:
    """Wait for the end of a process that has said goodbye; it may be a zombie by then."""
    deadline = time.monotonic() + _END_DEADLINE
    while time.monotonic() < deadline:
        _reap()
        try:
            os.kill(pid, 0)
        except ProcessLookupError:
            return
        time.sleep(0.01)


def _current(home: Home) -> Running | None:
    """Return the API if it is of this version of the package."""
    running = status(home)
    return running if running is not None and running.version == __version__ else None


def _left_behind(home: Home) -> bool:
    """Whether replicas may run without an API: some run has a pid but no exit code."""
    pids = home.pods.glob("*/*/*/pid")
    return any(not _exit_code(pid.with_name("exit")) for pid in pids)


def _exit_code(file: Path) -> str:
    try:
        return file.read_text().strip()
    except FileNotFoundError:
        return ""


def _endpoint(home: Home) -> Endpoint | None:
    running = status(home)
    return Endpoint(running.url, home.token()) if running else None


def _alive(home: Home) -> bool:
    """Whether an API process lives, also one that starts or stops: it holds a lock that long."""
    return private.is_locked(home.lock)


@contextmanager
def _start_lock(home: Home) -> Iterator[None]:
    """Be the only one who starts or stops the API."""
    handle = private.lock_file(home.start_lock)
    try:
        fcntl.flock(handle, fcntl.LOCK_EX)
        yield
    finally:
        os.close(handle)


def _start(home: Home) -> Endpoint:
    if REPLICA in os.environ:
        raise TargetError(
            "local: a replica starts no API, which would end with it; submit elsewhere"
        )
    reader, writer = os.pipe()
    with os.fdopen(reader, "rb", buffering=0) as pipe:
        try:
            process = _spawn(home, writer)
        finally:
            os.close(writer)
        said = _first_word(pipe)
    if said is None:
        process.kill()
    if said != READY:  # what it has opened is closed when it has ended
        with suppress(subprocess.TimeoutExpired):
            process.wait(_END_DEADLINE)
    if process.returncode is None:
        process.returncode = 0  # it is ours to wait for: do not warn that it outlives us
        _children.add(process.pid)
    endpoint = _endpoint(home)  # of this one, or of one that somebody started in the foreground
    if endpoint is None:
        raise TargetError(f"local: {_why_not(home.log, said)}")
    return endpoint


def _spawn(home: Home, ready: int) -> subprocess.Popen[bytes]:
    """Start an API process that tells `ready` when requests are answered, or why it cannot be."""
    program = [sys.executable, "-c", _MAIN, str(Path(__file__).parents[2])]
    with _open_log(home.log) as log:
        return subprocess.Popen(
            [*program, "--home", str(home.path), "--ready-fd", str(ready)],
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            cwd=home.path,
            env=_environment(home.path),
            pass_fds=(ready,),
            start_new_session=True,
        )


def _open_log(log: Path) -> BinaryIO:
    """Open the log to append to it; a new one if it is long."""
    with suppress(FileNotFoundError):
        if log.stat().st_size > _LOG_LIMIT:
            log.replace(log.with_suffix(".old.log"))
    return os.fdopen(os.open(log, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600), "wb")


def _first_word(pipe: BinaryIO) -> str | None:
    """Return what an API says when it has started, or cannot; None if it says nothing in time."""
    with selectors.DefaultSelector() as selector:  # select() knows only 1024 descriptors
        selector.register(pipe, selectors.EVENT_READ)
        if not selector.select(_START_DEADLINE):
            return None
    return pipe.read().decode()


def _reap() -> None:
    """Let go of the APIs that this process has started and that have ended."""
    for pid in tuple(_children):
        with suppress(ChildProcessError):
            if os.waitpid(pid, os.WNOHANG) == (0, 0):
                continue
        _children.discard(pid)  # another thread may have done so


def _environment(home: Path) -> dict[str, str]:
    return inherited(os.environ) | {"PYJOB_MAGIC_HOME": str(home)}


def _why_not(log: Path, said: str | None) -> str:
    if said and said != READY:
        return f"the embedded API cannot start: {said}"
    if said is None:
        return f"the embedded API did not answer within {_START_DEADLINE:g} s; see {log}"
    last = log.read_text(errors="replace").rstrip().rpartition("\n")[2]
    return f"the embedded API ended while starting: {last} (see {log})"


def _ask_to_stop(home: Home, running: Running, force: bool) -> None:
    path = f"{STOP_PATH}?force={str(force).lower()}"
    try:
        code, body = _ask(home, running, "POST", path)
    except TargetError:
        if _alive(home):
            raise
        return
    if code >= 400:
        message = json.loads(body).get("message", "")
        raise TargetError(f"local: not stopped: {message}; --force ends them")


def _ask(home: Home, running: Running, method: str, path: str) -> tuple[int, bytes]:
    # Here, because a kernel that only submits does without it.
    from http.client import HTTPConnection, HTTPException

    host = running.url.removeprefix("http://")
    connection = HTTPConnection(host, timeout=_STOP_DEADLINE)
    headers = {"Authorization": f"Bearer {home.token()}", "Content-Length": "0"}
    try:
        connection.request(method, path, headers=headers)
        response = connection.getresponse()
        return response.status, response.read()
    except (OSError, HTTPException) as error:
        raise TargetError(f"local: the API (pid {running.pid}) does not answer: {error}") from None
    finally:
        connection.close()
