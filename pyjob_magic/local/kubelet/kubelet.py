"""The kubelet: runs the pods of this machine, one task each.

A pod's directory ``pods/<uid>/`` holds ``work`` (where its programs start), ``root`` (its volumes,
by mount path) and, for each container and each of its runs, a directory with the log and its
times, the pid and the exit code. That is all the state there is: a kubelet that finds such a
directory goes on where the last one stopped.
"""

from __future__ import annotations

import asyncio
import logging
import os
import shutil
from collections.abc import Callable

from pyjob_magic.local.home import Home
from pyjob_magic.local.kubelet import cpus, machine, podstatus
from pyjob_magic.local.kubelet.limits import limit
from pyjob_magic.local.kubelet.memory import MemoryGuard
from pyjob_magic.local.kubelet.podrunner import COMPONENT, PodRunner
from pyjob_magic.local.kubelet.process import Process, kill_pod
from pyjob_magic.local.kubelet.program import Place
from pyjob_magic.local.kubelet.timekeeper import Timekeeper
from pyjob_magic.local.objects import Json
from pyjob_magic.local.recorder import Recorder
from pyjob_magic.local.settings import seconds
from pyjob_magic.local.storage import is_storage_trouble
from pyjob_magic.local.store import Store

__all__ = ["COMPONENT", "Kubelet"]

_FIRST_BACKOFF = 10.0  # seconds, doubled with every restart but the first, which is immediate

_log = logging.getLogger(__name__)


class Kubelet:
    """Start, watch and end the pods that were given a place.

    Parameters
    ----------
    store
        Where pods, ConfigMaps and Secrets are.
    home
        Where the directories of the pods are.
    recorder
        Takes the events.
    """

    def __init__(self, store: Store, home: Home, recorder: Recorder) -> None:
        self.store = store
        self.home = home
        self.recorder = recorder
        self.first_backoff = seconds("PYJOB_MAGIC_BACKOFF_SECONDS", _FIRST_BACKOFF)
        self.on_end: Callable[[str], None] = lambda _: None
        self.memory = MemoryGuard()
        self._pods: dict[str, PodRunner] = {}
        self.timekeeper = Timekeeper()
        self.next_source = asyncio.Event()  # set by the next ConfigMap or Secret that changes
        self._sweepers: set[asyncio.Task[None]] = set()

    def start(self, pod: Json) -> None:
        """Run a pod, or go on with one that runs; nothing if it is at work already."""
        uid = pod["metadata"]["uid"]
        if uid not in self._pods:
            runner = self._pods[uid] = PodRunner(self, pod)
            runner.task = asyncio.create_task(runner.run())
            runner.task.add_done_callback(lambda task: self._done(uid, task))

    def knows(self, uid: str) -> bool:
        """Whether processes of the pod may be alive."""
        return uid in self._pods

    def stop(self, uid: str, grace: float) -> None:
        """End a pod: SIGTERM to all of it, SIGKILL after `grace` seconds."""
        if runner := self._pods.get(uid):
            runner.stop(grace)

    async def stop_all(self) -> None:
        """End all pods at once, without grace."""
        for runner in tuple(self._pods.values()):
            runner.stop(0)
        await asyncio.gather(
            *(runner.task for runner in self._pods.values() if runner.task),
            return_exceptions=True,
        )

    def leave(self) -> None:
        """Let go of all pods; they run on, and a later kubelet goes on with them."""
        for runner in self._pods.values():
            if runner.task:
                runner.task.cancel()

    def place(self, uid: str) -> Place:
        """Return where a pod is at home."""
        return Place(self.home.pods / uid, self.home.scratch(uid))

    def runs(self, uid: str, container: Json, pod: Json) -> list[Process]:
        """Return the runs of a container that have left traces, oldest first."""
        base = self.place(uid).directory / podstatus.container_key(pod, container)
        numbers = sorted(int(path.name) for path in base.glob("[0-9]*"))
        return [Process(base / str(number), uid, container["name"]) for number in numbers]

    def own_cpus(self, container: Json) -> set[int] | None:
        """Return the CPUs that a container is kept to; None if it may use all of them."""
        if not hasattr(os, "sched_setaffinity"):
            return None
        here, runners = machine.cpus(), self._pods.values()
        kept = (run.cpus() for runner in runners for run in runner.live)
        taken = {cpu for own in kept if own != here for cpu in own}
        pods = (runner.pod for runner in runners)
        limits = (limit(each, "cpu") for pod in pods for each in podstatus.together(pod))
        return cpus.own_cpus(limit(container, "cpu"), filter(None, limits), here, taken)

    def sources_changed(self) -> None:
        """Wake the pods that wait for a ConfigMap or a Secret."""
        self.next_source.set()
        self.next_source = asyncio.Event()

    def remove(self, uid: str) -> None:
        """Remove the directories of a pod that is gone."""
        place = self.place(uid)
        for path in (place.directory, place.scratch):
            if path.exists():
                sweeper = asyncio.create_task(asyncio.to_thread(shutil.rmtree, path, True))
                self._sweepers.add(sweeper)
                sweeper.add_done_callback(self._sweepers.discard)

    def _done(self, uid: str, task: asyncio.Task[None]) -> None:
        runner = self._pods.pop(uid)
        if task.cancelled():
            return
        error = task.exception()
        if error and is_storage_trouble(error):
            _log.error("pod %s: %s", uid, error)
            self.store.failing = True  # it runs on; the controller resumes it when there is room
            return
        try:
            if error:
                _log.error("pod %s failed", uid, exc_info=error)
                kill_pod(uid)  # nobody watches it any more
                runner.fail(repr(error))
        finally:
            self.on_end(uid)
