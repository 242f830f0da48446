"""Control groups of Linux, version 2: the kernel itself holds runs to their memory limits.

This needs a group in which this process may make others, and memory as one of its controllers: one
that was delegated to the API alone, as by ``systemd-run --user --scope -p Delegate=yes``. Anywhere
else nothing is touched, and runs are supervised instead.

Source: ``Documentation/admin-guide/cgroup-v2.rst`` of Linux.
"""

from __future__ import annotations

import os
from contextlib import suppress
from pathlib import Path

_MOUNT = Path("/sys/fs/cgroup")

_base: Path | None = None  # where groups are made; None where they cannot be


def take_over() -> bool:
    """Find out whether this process may make groups, and prepare its own for that."""
    global _base
    _base = _delegated()
    return _base is not None


def make(name: str, memory: int) -> Path | None:
    """Return a new group whose processes may use so many bytes together, if there can be one.

    When they use more, and nothing can be given back, the kernel kills all of them.
    """
    if _base is None:
        return None
    group = _base / name
    try:
        group.mkdir()
        (group / "memory.max").write_text(str(memory))
        (group / "memory.oom.group").write_text("1")
        with suppress(FileNotFoundError):  # a kernel without swap
            (group / "memory.swap.max").write_text("0")
    except OSError:
        remove(group)
        return None
    return group


def enter(group: Path) -> None:
    """Move this process into a group; what it starts is born there."""
    (group / "cgroup.procs").write_text("0")


def holds(group: Path, pid: int) -> bool:
    """Whether a process is in a group."""
    with suppress(OSError):
        return str(pid) in (group / "cgroup.procs").read_text().split()
    return False


def killed(group: Path) -> bool:
    """Whether the kernel has killed the processes of a group for their memory."""
    with suppress(OSError):
        events = (group / "memory.events").read_text().split()
        return int(dict(zip(events[::2], events[1::2], strict=True)).get("oom_kill", 0)) > 0
    return False


def remove(group: Path) -> None:
    """Remove a group whose processes have ended."""
    with suppress(OSError):
        group.rmdir()


def _delegated() -> Path | None:
    """Return the group of this process if others can be made in it."""
    try:
        entries = Path("/proc/self/cgroup").read_text().splitlines()
        (own,) = (_MOUNT / line[4:] for line in entries if line.startswith("0::/"))
        if "memory" not in (own / "cgroup.controllers").read_text().split():
            return None
        if (own / "cgroup.type").exists() and not _move_aside(own):  # the root alone has no type
            return None
        (own / "cgroup.subtree_control").write_text("+memory")
    except (OSError, ValueError):
        return None
    return own


def _move_aside(own: Path) -> bool:
    """Move this process into a leaf: only what has no processes itself can divide its memory."""
    if (own / "cgroup.procs").read_text().split() != [str(os.getpid())]:
        return False  # others live here
    leaf = own / "api"
    leaf.mkdir(exist_ok=True)
    enter(leaf)
    return True
