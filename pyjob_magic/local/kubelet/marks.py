"""Marks: how the processes of a pod are told from all others, by any API process.

Linux hands resource limits down to whatever a process starts, and tells those of every process of
the same user. One of them it has not minded for twenty years: the limit on file locks. So that is
where the mark is, and a program that throws its environment away keeps it. Elsewhere the mark is
in the environment.

Source: ``setrlimit(2)``, RLIMIT_LOCKS.
"""

from __future__ import annotations

import resource
from contextlib import suppress
from hashlib import blake2b

import psutil

from pyjob_magic.local.kubelet.inheritance import REPLICA

MARK = REPLICA
CONTAINER_MARK = "PYJOB_CONTAINER"
_FILE_LOCKS = 10  # RLIMIT_LOCKS, which Python does not name
_CONTAINER_BITS = 22  # below the 40 of the pod
_CONTAINERS = (1 << _CONTAINER_BITS) - 1


def _limits_serve() -> bool:
    """Whether the limit can be read of others, and set to anything."""
    if not hasattr(resource, "prlimit"):
        return False
    try:
        return resource.getrlimit(_FILE_LOCKS)[1] == resource.RLIM_INFINITY
    except (OSError, ValueError):
        return False


_BY_LIMIT = _limits_serve()


def environment(pod_uid: str, container: str) -> dict[str, str]:
    """Return the variables that say where a process belongs."""
    return {MARK: pod_uid, CONTAINER_MARK: container}


def put(pod_uid: str, container: str) -> None:
    """Mark this process, and with it what it starts."""
    if _BY_LIMIT:
        value = _pod(pod_uid) << _CONTAINER_BITS | _container(container)
        resource.setrlimit(_FILE_LOCKS, (value, resource.RLIM_INFINITY))


def marked(pod_uid: str, container: str | None = None) -> list[int]:
    """Return the processes of a pod, or of one of its containers."""
    return [pid for pid in psutil.pids() if bears(pid, pod_uid, container)]


def bears(pid: int, pod_uid: str, container: str | None = None) -> bool:
    """Whether a process lives and belongs to a pod, or to one of its containers."""
    bearing = _by_limit if _BY_LIMIT else _by_environment
    return bearing(pid, pod_uid, container) and _lives(pid)


def _by_limit(pid: int, pod_uid: str, container: str | None) -> bool:
    try:
        value: int = resource.prlimit(pid, _FILE_LOCKS)[0]
    except OSError:  # gone, or another user's
        return False
    if value < 0 or value >> _CONTAINER_BITS != _pod(pod_uid):
        return False
    return container is None or value & _CONTAINERS == _container(container)


def _by_environment(pid: int, pod_uid: str, container: str | None) -> bool:
    with suppress(OSError, psutil.Error):
        env = psutil.Process(pid).environ()
        return env.get(MARK) == pod_uid and container in (None, env.get(CONTAINER_MARK))
    return False


def _lives(pid: int) -> bool:
    """Whether a process is no zombie, which bears its mark until somebody reaps it."""
    with suppress(psutil.Error):
        return bool(psutil.Process(pid).status() != psutil.STATUS_ZOMBIE)
    return False


def _pod(uid: str) -> int:
    return int.from_bytes(blake2b(uid.encode(), digest_size=5).digest())


def _container(name: str) -> int:
    return int.from_bytes(blake2b(name.encode(), digest_size=3).digest()) & _CONTAINERS
