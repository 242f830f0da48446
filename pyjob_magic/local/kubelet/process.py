"""One run of a container: a tree of processes, a log file, an exit code.

A small shell leads the run. It writes its own pid and, at the end, the exit code of the program
into files, so that an API process that was not there at the start can take over. What the program
prints goes straight into the log file.

The shell is a subreaper: all that the program starts stays in the tree below it, whatever it does,
and is ended with it. Everything that a pod starts also bears its mark, which identifies the shell
across restarts of the API, and finds what is left of a run whose shell was killed, together with
the others of its sessions; what comes to the API as an orphan is ended in any case.

`Process.start` is the one place where a program becomes a process. A process that is warm, with
torch imported, can take over there: it forks below such a shell, opens the log as its output, puts
the program's environment, directory and arguments in place of its own, and runs it. Nothing else
asks where a run comes from.
"""

from __future__ import annotations

import asyncio
import json
import os
import signal
import subprocess
from collections.abc import Collection, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from pyjob_magic.local.kubelet import cgroups
from pyjob_magic.local.kubelet.marks import bears, environment, marked, put
from pyjob_magic.local.kubelet.orphans import end_orphans, expect, forget
from pyjob_magic.local.kubelet.trees import (
    become_subreaper,
    descendants,
    ended,
    in_sessions,
    send,
    session,
)

LOST = 137  # the exit code of a run whose end nobody has seen
_NO_CODE_YET = "\n"  # keeps the place of the exit code: it is written on a full disk, too

# The shell keeps what it would say itself ("Killed") out of the log, and outlives signals to its
# group, to report how the program took them. At last it ends what the program has left in its
# tree, though no API may be there to see to it: round by round, for what is killed leaves orphans;
# each subshell gives it the occasion to reap. Only when it has seen that nobody is left does it
# exit, with the program's own code: on a full disk that is all an API learns.
_SHIM = """
exec 3>&2 2>/dev/null
trap : HUP INT QUIT PIPE ALRM TERM USR1 USR2
echo $$ >"$0/pid"
(exec "$@" 2>&3 3>&-)
code=$?
echo $code 1<>"$0/exit"
children=/proc/$$/task/$$/children
round=0
while [ -e $children ] && [ $((round += 1)) -lt 1000 ]; do
    pids=
    read -r pids <$children
    [ "$pids" ] || exit $code
    kill -KILL $pids
    (:)
done
kill -KILL 0
"""


@dataclass
class Process:
    """A run of a container, ours or that of an API process before us.

    Parameters
    ----------
    directory
        Where its files are: ``log``, ``pid``, ``exit``, ``cgroup`` if it has one, and ``why``
        if there is more to say.
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
        """Whether it was ever started; an API that is killed may leave a log and nothing more."""
        if self._pid or not self.log.exists():
            return bool(self._pid)
        if (self.directory / "pid").exists() or self.exit_code() is not None:
            return True
        return bool(marked(self.pod_uid, self.container))

    def start(
        self,
        argv: list[str],
        env: Mapping[str, str],
        cwd: Path,
        *,
        cpus: set[int] | None = None,
        memory: int = 0,
    ) -> None:
        """Start it.

        Parameters
        ----------
        argv, env, cwd
            The command, its environment and where it starts.
        cpus
            The CPUs that it is kept to; None for all that this process may use.
        memory
            How many bytes it may use, 0 for all; see `group` for whether the kernel sees to that.

        Raises
        ------
        OSError
            If the machine cannot start another process.
        """
        self.directory.mkdir(mode=0o700, parents=True, exist_ok=True)
        (self.directory / "exit").write_text(_NO_CODE_YET)
        owner = self.pod_uid, self.container
        with self._grouped(memory) as group, self.log.open("ab") as log:
            self._popen = subprocess.Popen(
                ["/bin/sh", "-c", _SHIM, str(self.directory), *argv],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                cwd=cwd,
                env={**env, **environment(*owner)},
                start_new_session=True,
                preexec_fn=partial(_begin, owner, cpus, group),
            )
        self._pid = self._popen.pid
        expect(self._pid)

    @contextmanager
    def _grouped(self, memory: int) -> Iterator[Path | None]:
        """Make a group for it, and note where that is for the API processes after this one."""
        name = f"{self.pod_uid}.{self.directory.parent.name}.{self.directory.name}"
        group = cgroups.make(name, memory) if memory else None
        note = self.directory / "cgroup"
        if group is not None:
            note.write_text(str(group))
        try:
            yield group
        finally:
            if group is not None and not cgroups.holds(
                group, self._popen.pid if self._popen else 0
            ):
                note.unlink()  # it could not enter, or not even start
                cgroups.remove(group)

    def group(self) -> Path | None:
        """Return the control group in which the kernel holds it to its memory, if there is one."""
        try:
            return Path((self.directory / "cgroup").read_text())
        except OSError:
            return None

    def cpus(self) -> set[int]:
        """Return the CPUs that it is kept to; none if it runs no longer."""
        with suppress(OSError):
            return os.sched_getaffinity(self._pid) if self._pid else set()
        return set()

    def adopt(self) -> bool:
        """Take over a run that another API process has started; False if it runs no longer."""
        try:
            pid = int((self.directory / "pid").read_text())
        except (OSError, ValueError):  # its shell had no time to write it
            leaders = [pid for pid in marked(self.pod_uid, self.container) if session(pid) == pid]
            pid = next(iter(leaders), 0)
        if bears(pid, self.pod_uid, self.container):
            self._pid = pid
        return bool(self._pid)

    async def wait(self) -> int:
        """Wait for its end and return the exit code, 128 + n after signal n."""
        if self._pid:
            await ended(self._pid)
        if not self._left_nothing():
            self.kill()  # before its pid is free to be another's
        await end_orphans()
        returned = self._popen.wait() if self._popen else None
        forget(self._pid)
        self._pid = 0
        code = self.exit_code()
        if code is None:  # its shell was killed, too, or the disk is full
            code = LOST if returned is None else returned if returned >= 0 else 128 - returned
            with suppress(OSError):
                self.write_exit_code(code)
        return code

    def alive(self) -> bool:
        """Whether the shell that leads it still runs."""
        try:
            os.kill(int((self.directory / "pid").read_text()), 0)
        except OSError:
            return False
        except ValueError:  # it is about to write its pid
            return True
        return True

    def over(self) -> bool:
        """Whether its exit code is known: the quick way to ask."""
        try:
            return os.stat(self.directory / "exit").st_size > len(_NO_CODE_YET)
        except OSError:
            return False

    def write_exit_code(self, code: int) -> None:
        """Write down the exit code of what has no shell that would."""
        (self.directory / "exit").write_text(f"{code}\n")

    def exit_code(self) -> int | None:
        """Return the exit code; None if it has none yet, or its shell was killed."""
        try:
            return int((self.directory / "exit").read_text())
        except (OSError, ValueError):
            return None

    def _left_nothing(self) -> bool:
        """Whether its shell has seen that nobody was left, and has ended by itself."""
        if self._popen is None or not self._pid or not hasattr(os, "waitid"):
            return False
        result = os.waitid(os.P_PID, self._pid, os.WEXITED | os.WNOWAIT)
        return result is not None and result.si_code == os.CLD_EXITED

    def explain(self, reason: str, message: str) -> None:
        """Write down why it ends or has ended, for this API process and those after it."""
        text = json.dumps({"reason": reason, "message": message})
        with suppress(OSError):  # its end is known without it
            (self.directory / "why").write_text(text)

    def explanation(self) -> dict[str, str]:
        """Return the ``reason`` and the ``message`` that were written down, as far as they were."""
        try:
            why: dict[str, str] = json.loads((self.directory / "why").read_text())
        except (OSError, ValueError):
            return {}
        return {key: text for key, text in why.items() if text}

    def terminate(self) -> None:
        """Ask all of it to end."""
        self._signal(signal.SIGTERM)

    def kill(self) -> None:
        """End all of it, wherever it has gone."""
        self._signal(signal.SIGKILL)

    def members(self) -> set[int]:
        """Return what has come of the program; the shell that leads it is not the user's."""
        return descendants(self._pid) if self._pid else set()

    def _signal(self, number: int) -> None:
        # The shell comes last: as long as it lives, nothing leaves its tree.
        shell = {self._pid} - {0}
        seen = set(shell)
        while new := self._processes() - seen:
            send(new, number)
            seen |= new
        send(shell, number)

    def _processes(self) -> set[int]:
        return family({self._pid, *marked(self.pod_uid, self.container)} - {0})


def _begin(owner: tuple[str, str], cpus: set[int] | None, group: Path | None) -> None:
    """Prepare the process that becomes the shell of a run.

    What it starts inherits all of that but the first.
    """
    become_subreaper()
    put(*owner)
    if group:
        with suppress(OSError):  # whoever has started it will see
            cgroups.enter(group)
    if cpus:
        with suppress(OSError):  # some of them may just have gone offline
            os.sched_setaffinity(0, cpus)


def family(pids: Collection[int]) -> set[int]:
    """Return processes with all that descends from them and all others of their sessions."""
    found = set(pids).union(*map(descendants, pids))
    return found | in_sessions({session(pid) for pid in found} - {0, session(0)})


def kill_pod(pod_uid: str) -> set[int]:
    """End all processes of a pod and return which there were."""
    pids: set[int] = set()
    while new := family(marked(pod_uid)) - pids:
        send(new, signal.SIGKILL)
        pids |= new
    return pids


async def end_pod(pod_uid: str) -> None:
    """End all processes of a pod, and wait until they are gone."""
    while pids := kill_pod(pod_uid):
        await asyncio.gather(*map(ended, pids))
    await end_orphans()
