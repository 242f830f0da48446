"""The kubelet: runs the pods of this machine, one task each.

A pod's directory ``pods/<uid>/`` holds ``work`` (where its programs start), ``root`` (its volumes,
by mount path) and, for each container and each of its runs, a directory with the log and its
times, the pid and the exit code. That is all the state there is: a kubelet that finds such a
directory goes on where the last one stopped.
"""

from __future__ import annotations

import asyncio
import shutil
import time
import traceback
from collections.abc import Callable
from contextlib import suppress

from pyjob_magic.local import podstatus
from pyjob_magic.local.home import Home
from pyjob_magic.local.objects import JOB_NAME, Json, ended, labels, timestamp
from pyjob_magic.local.podstatus import Run
from pyjob_magic.local.process import Process, end_pod, kill_pod
from pyjob_magic.local.program import Place, StartError, check, program, working_directory
from pyjob_magic.local.recorder import Recorder
from pyjob_magic.local.references import MissingError
from pyjob_magic.local.resources import CONFIG_MAPS, JOBS, PODS
from pyjob_magic.local.settings import seconds
from pyjob_magic.local.store import Store
from pyjob_magic.local.timekeeper import Timekeeper
from pyjob_magic.local.volumes import MountError, lay_out

COMPONENT = "kubelet"
# Seconds before a ConfigMap is missed aloud: clients create it after the job that owns it.
_MOUNT_PATIENCE: float | None = 1.0
_FIRST_BACKOFF = 10.0  # seconds, doubled with every restart but the first, which is immediate
_LONGEST_BACKOFF = 300.0
_FORGIVEN_AFTER = 600.0  # seconds of running that make the restarts before forgotten
_CANNOT_RUN = 127


class Kubelet:
    """Start, watch and end the pods that were given a place.

    Parameters
    ----------
    store
        Where pods and ConfigMaps are.
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
        self._pods: dict[str, _PodRunner] = {}
        self.timekeeper = Timekeeper()
        self.next_config_map = asyncio.Event()  # set by the next ConfigMap that comes or changes
        self._sweepers: set[asyncio.Task[None]] = set()

    def start(self, pod: Json) -> None:
        """Run a pod, or go on with one that runs; nothing if it is at work already."""
        uid = pod["metadata"]["uid"]
        if uid not in self._pods:
            runner = self._pods[uid] = _PodRunner(self, pod)
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

    def config_maps_changed(self) -> None:
        """Wake the pods that wait for a ConfigMap."""
        self.next_config_map.set()
        self.next_config_map = asyncio.Event()

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
        try:
            if error := task.exception():
                traceback.print_exception(error)
                kill_pod(uid)  # nobody watches it any more
                runner.fail(repr(error))
        finally:
            self.on_end(uid)


class _PodRunner:
    """The life of one pod."""

    def __init__(self, kubelet: Kubelet, pod: Json) -> None:
        self.task: asyncio.Task[None] | None = None
        self._kubelet = kubelet
        self._pod = pod
        self._uid: str = pod["metadata"]["uid"]
        self._place = kubelet.place(self._uid)
        self._init, self._main = podstatus.runs(pod)
        self._live: list[Process] = []
        self._stopping = asyncio.Event()
        self._grace = 0.0

    async def run(self) -> None:
        """Run all containers until the pod has ended or is stopped."""
        stopper = asyncio.create_task(self._end_when_stopped())
        try:
            await self._prepare()
            for run in self._init:
                if await self._run(run) != 0 or self._stopping.is_set():
                    break
            else:
                async with asyncio.TaskGroup() as group:
                    for run in self._main:
                        group.create_task(self._run(run))
            if self._stopping.is_set():
                await end_pod(self._uid)
            else:
                self._report()
        finally:
            stopper.cancel()

    def stop(self, grace: float) -> None:
        """Ask all containers to end, and see to it after `grace` seconds."""
        if not self._stopping.is_set():
            self._grace = grace
            self._stopping.set()
        elif grace == 0:
            for process in self._live:
                process.kill()

    def fail(self, message: str) -> None:
        """Mark the pod as failed by no fault of its own."""
        self._update({"phase": "Failed", "reason": "KubeletError", "message": message})

    async def _end_when_stopped(self) -> None:
        await self._stopping.wait()
        if self._grace > 0:
            for process in self._live:
                process.terminate()
            await asyncio.sleep(self._grace)
        for process in self._live:
            process.kill()

    async def _prepare(self) -> None:
        """Make the directories; wait for the ConfigMaps of the volumes."""
        self._place.create()
        patience = _MOUNT_PATIENCE
        while not self._stopping.is_set():
            change = self._kubelet.next_config_map  # before the look, so that none is missed
            try:
                lay_out(self._pod, self._place.root, self._config_map)
            except MountError as error:
                if patience is None:
                    message = f"MountVolume.SetUp failed: {error}"
                    self._say("Warning", "FailedMount", message, once=True)
                self._report()
                await self._first_of(change, self._stopping, timeout=patience)
                patience = None
            else:
                return

    async def _first_of(self, *events: asyncio.Event, timeout: float | None = None) -> None:
        waits = [asyncio.create_task(event.wait()) for event in events]
        try:
            await asyncio.wait(waits, timeout=timeout, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for wait in waits:
                wait.cancel()

    async def _run(self, run: Run) -> int:
        """Run a container, again and again if its policy says so; return its last exit code."""
        runs = self._kubelet.runs(self._uid, run.container, self._pod)
        run.restarts = max(0, len(runs) - 1)
        if run.restarts:
            run.last_state = podstatus.terminated(runs[-2], runs[-2].exit_code())
        backoff = self._kubelet.first_backoff
        while not self._stopping.is_set():
            directory = self._place.directory / run.key / str(run.restarts)
            process = Process(directory, self._uid, run.container["name"])
            code = await self._run_once(run, process)
            if self._stopping.is_set() or not run.restarts_after(code):
                return code
            if podstatus.duration(process) > _FORGIVEN_AFTER:
                backoff = self._kubelet.first_backoff
            if run.restarts or podstatus.duration(process) > _FORGIVEN_AFTER:
                await self._back_off(run, backoff)
                backoff = min(backoff * 2, _LONGEST_BACKOFF)
            run.last_state, run.restarts = podstatus.ended_state(run), run.restarts + 1
        return 0

    async def _run_once(self, run: Run, process: Process) -> int:
        if not process.started:
            try:
                await self._start(run, process)
            except (StartError, OSError, ValueError) as error:
                return self._cannot_run(run, process, str(error))
        else:
            process.adopt()
        if self._stopping.is_set() and not process.started:
            return 0
        run.state = podstatus.running(process)
        self._live.append(process)
        try:
            if process.exit_code() is None:
                self._report()
            if self._stopping.is_set():
                process.kill()
            with self._kubelet.timekeeper.watching(process.log):
                code = await process.wait()
        finally:
            self._live.remove(process)
        if not self._stopping.is_set():
            run.state = podstatus.terminated(process, code)
            self._report_unless_last(run, code)
        return code

    async def _start(self, run: Run, process: Process) -> None:
        found = None
        while found is None:
            change = self._kubelet.next_config_map
            try:
                found = program(
                    self._pod, run.container, self._job(), self._place, self._config_map
                )
            except MissingError as error:
                waiting = {"reason": "CreateContainerConfigError", "message": str(error)}
                run.state = {"waiting": waiting}
                self._say("Warning", "Failed", f"Error: {error}", once=True)
                self._report()
                await self._first_of(change, self._stopping)
                if self._stopping.is_set():
                    return
        cwd = working_directory(run.container, self._place)
        check(found, cwd)
        process.start(found.argv, found.env, cwd)
        self._say("Normal", "Started", f"Started container {run.container['name']}")

    def _cannot_run(self, run: Run, process: Process, why: str) -> int:
        process.directory.mkdir(mode=0o700, parents=True, exist_ok=True)
        process.log.touch()
        (process.directory / "exit").write_text(f"{_CANNOT_RUN}\n")
        run.state = podstatus.terminated(process, _CANNOT_RUN)
        run.state["terminated"] |= {"reason": "ContainerCannotRun", "message": why}
        self._say("Warning", "Failed", f"Error: {why}", once=True)
        self._report_unless_last(run, _CANNOT_RUN)
        return _CANNOT_RUN

    def _report_unless_last(self, run: Run, code: int) -> None:
        """Report the end of a run; that of the last one is reported with the end of the pod."""
        if run.restarts_after(code) or any(other.exit_code is None for other in self._main):
            self._report()

    async def _back_off(self, run: Run, delay: float) -> None:
        name, meta = run.container["name"], self._pod["metadata"]
        message = (
            f"back-off {delay:g}s restarting failed container={name} "
            f"pod={meta['name']}_{meta['namespace']}({meta['uid']})"
        )
        run.last_state = podstatus.ended_state(run)
        run.state = {"waiting": {"reason": "CrashLoopBackOff", "message": message}}
        self._say("Warning", "BackOff", f"Back-off restarting failed container {name}")
        self._report()
        with suppress(TimeoutError):
            await asyncio.wait_for(self._stopping.wait(), delay)

    def _job(self) -> Json | None:
        name = labels(self._pod).get(JOB_NAME, "")
        return self._kubelet.store.find(JOBS, self._pod["metadata"]["namespace"], name)

    def _config_map(self, name: str) -> Json | None:
        return self._kubelet.store.find(CONFIG_MAPS, self._pod["metadata"]["namespace"], name)

    def _report(self) -> None:
        """Write the status of the pod."""
        status: Json = {"phase": podstatus.phase(self._init, self._main)}
        if self._init:
            status["initContainerStatuses"] = [run.status() for run in self._init]
        status["containerStatuses"] = [run.status() for run in self._main]
        self._update(status)

    def _update(self, status: Json) -> None:
        meta = self._pod["metadata"]
        pod = self._kubelet.store.find(PODS, meta["namespace"], meta["name"])
        if pod is None or pod["metadata"]["uid"] != self._uid or ended(pod):
            return
        old = pod["status"]
        now = timestamp(time.time())
        place = {"hostIP": "127.0.0.1", "podIP": "127.0.0.1", "startTime": now}
        pod["status"] = {**place, **old, **status}
        pod["status"]["conditions"] = podstatus.conditions(pod["status"], self._init, now)
        if pod["status"] != old:
            self._kubelet.store.update(PODS, pod)

    def _say(self, kind: str, reason: str, message: str, *, once: bool = False) -> None:
        self._kubelet.recorder.record(self._pod, COMPONENT, kind, reason, message, once)
