"""What a container says at its end: the message that its status shows.

A program writes it into the file at ``terminationMessagePath``, below the pod's root.

Source: ``pkg/kubelet/kuberuntime/kuberuntime_container.go`` of Kubernetes.
"""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path

from pyjob_magic.local.kubelet.podstatus import together
from pyjob_magic.local.kubelet.process import Process
from pyjob_magic.local.kubelet.volumes import MountError, within
from pyjob_magic.local.objects import Json

TERMINATION_LOG = "/dev/termination-log"  # where it is, if a container does not say
_LONGEST = 4096  # bytes, of the file
_LONGEST_FALLBACK, _MOST_LINES = 2048, 80  # bytes and lines, of the log


def prepare(container: Json, root: Path) -> None:
    """Make the file, empty, so that a program can write it and nothing older is read."""
    with suppress(MountError, OSError):
        path = _path(container, root)
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(b"")


def message(pod: Json, container: Json, root: Path, run: Process, code: int) -> str:
    """Return what a container has said at its end; empty if it has said nothing."""
    said = b"" if _shared(pod, container) else _read(container, root)
    if not said and code != 0 and container.get("terminationMessagePolicy") == _FALLBACK:
        said = _tail(run.log)
    return said.decode(errors="replace")


_FALLBACK = "FallbackToLogsOnError"


def _shared(pod: Json, container: Json) -> bool:
    """Whether another container that runs at the same time writes to the same file."""
    others = (each for each in together(pod) if each["name"] != container["name"])
    return any(_given(other) == _given(container) for other in others)


def _read(container: Json, root: Path) -> bytes:
    with suppress(MountError, OSError), _path(container, root).open("rb") as file:
        return file.read(_LONGEST)
    return b""


def _tail(log: Path) -> bytes:
    with suppress(OSError), log.open("rb") as file:
        file.seek(max(0, log.stat().st_size - _LONGEST_FALLBACK))
        return b"".join(file.read().splitlines(keepends=True)[-_MOST_LINES:])
    return b""


def _path(container: Json, root: Path) -> Path:
    return within(root, _given(container))


def _given(container: Json) -> str:
    return container.get("terminationMessagePath") or TERMINATION_LOG
