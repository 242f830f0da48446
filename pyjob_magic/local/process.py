"""One run of a container: a process group, a log file, an exit code.

A small shell leads the process group. It writes its own pid and, at the end, the exit code of the
program into files, so that an API process that was not there at the start can take over. What the
program prints goes straight into the log file.

Everything that a pod starts carries its uid in the environment: the mark that identifies a process
across restarts of the API, and finds grandchildren that left the process group. What threw its
environment away is found by its session, as long as it has not left both.
"""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import psutil

MARK = "PYJOB_POD_UID"
CONTAINER_MARK = "PYJOB_CONTAINER"
LOST = 137  # the exit code of a run whose end nobody has seen

# The shell keeps what it would say itself ("Killed") out of the log, and outlives a SIGTERM to
# the group, to report how the program took it. At last it kills its group, itself included: what
# the program has left there does not outlive it even if no API is there to see to it.
_SHIM = """
exec 3>&2 2>/dev/null
trap : TERM INT HUP
echo $$ >"$0/pid"
(exec "$@" 2>&3 3>&-)
echo $? >"$0/exit"
kill -KILL 0
"""


@dataclass
class Process:
    """A run of a container, ours or that of an API process before us.

    Parameters
    ----------
    directory
        Where its files are: ``log``, ``pid``, ``exit``.
    pod_uid, container
        Whose it is.
    """

    directory: Path
    pod_uid: str
    container: str
    _popen: subprocess.Popen[bytes] | None = None
    _pid: int = 0

    @property
    def log(self) -> Path:
        """What it has printed."""
        return self.directory / "log"

    @property
    def started(self) -> bool:
        """Whether it was ever started."""
        return self.log.exists()

    def start(self, argv: list[str], env: Mapping[str, str], cwd: Path) -> None:
        """Start it.

        Raises
        ------
        OSError
            If the machine cannot start another process.
        """
        self.directory.mkdir(mode=0o700, parents=True, exist_ok=True)
        marks = {MARK: self.pod_uid, CONTAINER_MARK: self.container}
        with self.log.open("ab") as log:
            self._popen = subprocess.Popen(
                ["/bin/sh", "-c", _SHIM, str(self.directory), *argv],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                cwd=cwd,
                env={**env, **marks},
                start_new_session=True,
            )
        self._pid = self._popen.pid

    def adopt(self) -> bool:
        """Take over a run that another API process has started; False if it runs no longer."""
        try:
            pid = int((self.directory / "pid").read_text())
        except (OSError, ValueError):  # its shell had no time to write it
            leaders = [pid for pid in marked(self.pod_uid, self.container) if _group(pid) == pid]
            pid = next(iter(leaders), 0)
        if _marks(pid) == (self.pod_uid, self.container):
            self._pid = pid
        return bool(self._pid)

    async def wait(self) -> int:
        """Wait for its end and return the exit code, 128 + n after signal n."""
        if self._pid:
            await _ended(self._pid)
        self.kill()  # what it has left behind; before its pid is free to be another's
        returned = self._popen.wait() if self._popen else None
        self._pid = 0
        code = self.exit_code()
        if code is None:  # its shell was killed, too
            code = 128 - returned if returned is not None and returned < 0 else LOST
            with suppress(OSError):
                (self.directory / "exit").write_text(f"{code}\n")
        return code

    def alive(self) -> bool:
        """Whether the shell that leads it still runs."""
        try:
            os.kill(int((self.directory / "pid").read_text()), 0)
        except (OSError, ValueError):
            return False
        return True

    def exit_code(self) -> int | None:
        """Return the exit code; None if it has none yet, or its shell was killed."""
        try:
            return int((self.directory / "exit").read_text())
        except (OSError, ValueError):
            return None

    def terminate(self) -> None:
        """Ask all of it to end."""
        self._signal(signal.SIGTERM)

    def kill(self) -> None:
        """End all of it, grandchildren in sessions of their own included."""
        self._signal(signal.SIGKILL)

    def _signal(self, number: int) -> None:
        # The group at once, then what has left it.
        group = self._pid
        if group:
            with suppress(ProcessLookupError, PermissionError):
                os.killpg(group, number)
        seen: set[int] = set()
        while new := self._processes() - seen:
            for pid in new:
                if not group or _group(pid) != group:
                    _send(pid, number)
            seen |= new

    def _processes(self) -> set[int]:
        return _with_sessions(marked(self.pod_uid, self.container), self._pid)


def marked(pod_uid: str, container: str | None = None) -> list[int]:
    """Return the live processes of a pod, or of one of its containers."""
    found = []
    for pid in psutil.pids():
        marks = _marks(pid)
        if marks[0] == pod_uid and container in (None, marks[1]):
            found.append(pid)
    return found


def kill_pod(pod_uid: str) -> set[int]:
    """End all processes of a pod and return which there were."""
    pids = _with_sessions(marked(pod_uid))
    for pid in pids:
        _send(pid, signal.SIGKILL)
    return pids


async def end_pod(pod_uid: str) -> None:
    """End all processes of a pod, and wait until they are gone."""
    while pids := kill_pod(pod_uid):
        await asyncio.gather(*map(_ended, pids))


def _marks(pid: int) -> tuple[str, str]:
    """Return the pod uid and the container that a process belongs to; empty if to none."""
    try:
        if os.path.exists(f"/proc/{pid}"):
            with open(f"/proc/{pid}/environ", "rb") as file:
                raw = file.read()
            if MARK.encode() not in raw:
                return "", ""
            env = dict(
                entry.decode(errors="replace").partition("=")[::2] for entry in raw.split(b"\0")
            )
        else:
            env = psutil.Process(pid).environ()
    except (OSError, psutil.Error):
        return "", ""
    return env.get(MARK, ""), env.get(CONTAINER_MARK, "")


def _with_sessions(pids: list[int], leader: int = 0) -> set[int]:
    """Return processes with all others of their sessions, and those that `leader` leads."""
    sessions = {leader, *map(_session, pids)} - {0, _session(0)}
    return {*pids, *(pid for pid in psutil.pids() if _session(pid) in sessions)}


def _send(pid: int, number: int) -> None:
    with suppress(ProcessLookupError, PermissionError):
        os.kill(pid, number)


def _session(pid: int) -> int:
    try:
        return os.getsid(pid)
    except OSError:
        return 0


def _group(pid: int) -> int:
    try:
        return os.getpgid(pid)
    except ProcessLookupError:
        return 0


async def _ended(pid: int) -> None:
    """Wait until a process has ended; it need not be a child."""
    try:
        handle = os.pidfd_open(pid)
    except ProcessLookupError:
        return
    except (AttributeError, OSError):  # not Linux, or an old one
        with suppress(psutil.NoSuchProcess):  # it may go between two looks
            while psutil.Process(pid).status() != psutil.STATUS_ZOMBIE:
                await asyncio.sleep(0.05)
        return
    loop, ended = asyncio.get_running_loop(), asyncio.Event()
    loop.add_reader(handle, ended.set)
    try:
        await ended.wait()
    finally:
        loop.remove_reader(handle)
        os.close(handle)
