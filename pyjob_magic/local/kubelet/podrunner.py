"""The life of one pod: its containers in their order, their restarts, its end."""

from __future__ import annotations

import asyncio
import shutil
import time
from typing import TYPE_CHECKING

from pyjob_magic.local.kubelet import podstatus, terminationlog
from pyjob_magic.local.kubelet.keepsakes import MOST_RUNS
from pyjob_magic.local.kubelet.limits import limit
from pyjob_magic.local.kubelet.podstatus import Run
from pyjob_magic.local.kubelet.process import Process, end_pod
from pyjob_magic.local.kubelet.program import StartError, check, program, working_directory
from pyjob_magic.local.kubelet.references import MissingError
from pyjob_magic.local.kubelet.volumes import MountError, lay_out
from pyjob_magic.local.objects import Json, ended, timestamp
from pyjob_magic.local.resources import PODS, Resource

if TYPE_CHECKING:
    from pyjob_magic.local.kubelet.kubelet import Kubelet

COMPONENT = "kubelet"
# Seconds before a ConfigMap is missed aloud: clients create it after the job that owns it.
_MOUNT_PATIENCE = 1.0
_RETRY = 30.0  # seconds, for what is missing on disk; ConfigMaps and Secrets tell when they come
_LONGEST_BACKOFF = 300.0  # seconds; doubled up to it with every restart but the first
_FORGIVEN_AFTER = 600.0  # seconds of running that make the restarts before forgotten
_GRACE = 30.0  # seconds, where a pod says nothing else


class PodRunner:
    """The life of one pod.

    Init containers run one after the other, then the containers all together. A sidecar, an init
    container that always restarts, only has to have started before the next one; it is ended after
    the containers.
    """

    def __init__(self, kubelet: Kubelet, pod: Json) -> None:
        self.task: asyncio.Task[None] | None = None
        self._kubelet = kubelet
        self._pod = pod
        self._uid: str = pod["metadata"]["uid"]
        self._place = kubelet.place(self._uid)
        self._init, self._main = podstatus.runs(pod)
        self._live: dict[str, Process] = {}  # by key of the container
        self._sidecars: dict[str, asyncio.Task[int]] = {}  # in the order of their start
        self._up = asyncio.Event()  # set by the next container that starts
        self._served = asyncio.Event()  # set when sidecars are needed no longer
        self._stopping = asyncio.Event()
        self._grace = 0.0

    @property
    def pod(self) -> Json:
        """The pod, as it was when it got its place."""
        return self._pod

    @property
    def live(self) -> list[Process]:
        """Its runs that have not ended."""
        return list(self._live.values())

    async def run(self) -> None:
        """Run all containers until the pod has ended or is stopped."""
        stopper = asyncio.create_task(self._end_when_stopped())
        try:
            await self._prepare()
            async with asyncio.TaskGroup() as beside:
                if await self._initialize(beside):
                    async with asyncio.TaskGroup() as group:
                        for run in self._main:
                            group.create_task(self._run(run))
                await self._end_sidecars()
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
            self._kill()

    def fail(self, message: str) -> None:
        """Mark the pod as failed by no fault of its own."""
        self._update({"phase": "Failed", "reason": "KubeletError", "message": message})

    async def _end_when_stopped(self) -> None:
        await self._stopping.wait()
        if self._grace > 0:
            for key, process in self._live.items():
                if key not in self._sidecars:
                    process.terminate()
            await asyncio.sleep(self._grace)
        self._kill()

    def _kill(self) -> None:
        for process in self._live.values():
            process.kill()

    async def _prepare(self) -> None:
        """Make the directories and lay out the volumes; wait for what those are made of."""
        self._place.create()
        if any(self._kubelet.runs(self._uid, run.container, self._pod) for run in self._all()):
            return  # it runs, and has its volumes
        patience = _MOUNT_PATIENCE
        while not self._stopping.is_set():
            change = self._kubelet.next_source  # before the look, so that none is missed
            try:
                lay_out(self._pod, self._place.root, self._find)
            except MountError as error:
                if patience == _RETRY:
                    self._say("Warning", "FailedMount", str(error), once=True)
                self._report()
                await self._first_of(change, timeout=patience)
                patience = _RETRY
            else:
                return

    async def _initialize(self, beside: asyncio.TaskGroup) -> bool:
        """Run the init containers; return whether the others may start."""
        for run in self._init:
            if run.sidecar:
                self._sidecars[run.key] = beside.create_task(self._run(run))
                while not (run.running or self._must_end(run)):
                    await self._first_of(self._up)
            elif await self._run(run) != 0:
                return False
            if self._stopping.is_set():
                return False
        return True

    async def _end_sidecars(self) -> None:
        """End the sidecars, the one that came last first."""
        self._served.set()
        grace = self._grace if self._stopping.is_set() else self._own_grace()
        deadline = time.monotonic() + grace
        for key, task in reversed(self._sidecars.items()):
            if process := self._live.get(key):
                process.terminate()
                await asyncio.wait([task], timeout=max(0.0, deadline - time.monotonic()))
            if process := self._live.get(key):
                process.kill()

    def _own_grace(self) -> float:
        grace = self._pod["spec"].get("terminationGracePeriodSeconds")
        return _GRACE if grace is None else float(grace)

    async def _run(self, run: Run) -> int:
        """Run a container, again and again if its policy says so; return its last exit code."""
        runs = self._kubelet.runs(self._uid, run.container, self._pod)
        run.restarts = int(runs[-1].directory.name) if runs else 0
        if len(runs) > 1:
            run.last_state = podstatus.terminated(runs[-2], runs[-2].exit_code())
        backoff = self._kubelet.first_backoff
        while not self._must_end(run):
            directory = self._place.directory / run.key / str(run.restarts)
            for old in self._kubelet.runs(self._uid, run.container, self._pod)[:-MOST_RUNS]:
                shutil.rmtree(old.directory, ignore_errors=True)
            process = Process(directory, self._uid, run.container["name"])
            code = await self._run_once(run, process)
            if self._must_end(run) or not run.restarts_after(code):
                return code
            if podstatus.duration(process) > _FORGIVEN_AFTER:
                backoff = self._kubelet.first_backoff
            if run.restarts or podstatus.duration(process) > _FORGIVEN_AFTER:
                await self._back_off(run, backoff)
                backoff = min(backoff * 2, _LONGEST_BACKOFF)
            if not self._must_end(run):
                run.last_state, run.restarts = run.ended_state(), run.restarts + 1
        return 0

    def _must_end(self, run: Run) -> bool:
        return self._stopping.is_set() or (run.sidecar and self._served.is_set())

    async def _run_once(self, run: Run, process: Process) -> int:
        if not process.started:
            try:
                await self._start(run, process)
            except StartError as error:
                return self._cannot_run(run, process, str(error), error.code)
            except (OSError, ValueError) as error:
                return self._cannot_run(run, process, str(error), StartError.code)
            if not process.started:
                return 0  # told to end before it could start
        else:
            process.adopt()
            if process.explanation().get("reason") == podstatus.OOM_KILLED:
                process.kill()  # the API that decided it may not have come to it
        run.state = podstatus.running(process)
        self._live[run.key] = process
        try:
            if process.exit_code() is None:
                self._is_up()
            if self._must_end(run):
                process.kill()
            kubelet = self._kubelet
            with (
                kubelet.timekeeper.watching(process.log),
                kubelet.memory.watching(process, run.container),
            ):
                code = await process.wait()
        finally:
            del self._live[run.key]
        self._has_ended(run, process, code)
        return code

    async def _start(self, run: Run, process: Process) -> None:
        found = None
        while found is None:
            change = self._kubelet.next_source
            try:
                found = program(
                    self._pod,
                    run.container,
                    self._kubelet.store.job_of(self._pod),
                    self._place,
                    self._find,
                )
            except MissingError as error:
                waiting = {"reason": "CreateContainerConfigError", "message": str(error)}
                run.state = {"waiting": waiting}
                self._say("Warning", "Failed", f"Error: {error}", once=True)
                self._report()
                await self._first_of(change)
                if self._must_end(run):
                    return
        for sentence in found.skipped:
            self._say("Warning", "InvalidEnvironmentVariableNames", sentence, once=True)
        cwd = working_directory(run.container, self._place)
        check(found, cwd)
        terminationlog.prepare(run.container, self._place.root)
        cpus, memory = self._kubelet.own_cpus(run.container), limit(run.container, "memory")
        process.start(found.argv, found.env, cwd, cpus=cpus, memory=int(memory or 0))
        self._say("Normal", "Started", f"Started container {run.container['name']}")

    def _cannot_run(self, run: Run, process: Process, why: str, code: int) -> int:
        process.directory.mkdir(mode=0o700, parents=True, exist_ok=True)
        process.log.touch()
        process.explain(podstatus.CANNOT_RUN, why)
        process.write_exit_code(code)
        run.state = podstatus.terminated(process, code)
        self._say("Warning", "Failed", f"Error: {why}", once=True)
        self._report_unless_last(run, code)
        return code

    def _is_up(self) -> None:
        self._report()
        self._up.set()
        self._up = asyncio.Event()

    def _has_ended(self, run: Run, process: Process, code: int) -> None:
        if self._stopping.is_set():
            return
        if not process.explanation():
            root = self._place.root
            if said := terminationlog.message(self._pod, run.container, root, process, code):
                process.explain("", said)
        run.state = podstatus.terminated(process, code)
        self._report_unless_last(run, code)

    def _report_unless_last(self, run: Run, code: int) -> None:
        """Report the end of a run; that of the last one is reported with the end of the pod."""
        others = any(other.exit_code is None for other in self._main)
        if others or self._sidecars or run.restarts_after(code):
            self._report()

    async def _back_off(self, run: Run, delay: float) -> None:
        name, meta = run.container["name"], self._pod["metadata"]
        pod = f"{meta['name']}_{meta['namespace']}({meta['uid']})"
        message = f"back-off {delay:g}s restarting failed container={name} pod={pod}"
        run.last_state = run.ended_state()
        run.state = {"waiting": {"reason": "CrashLoopBackOff", "message": message}}
        said = f"Back-off restarting failed container {name} in pod {pod}"
        self._say("Warning", "BackOff", said)
        self._report()
        await self._first_of(timeout=delay)

    async def _first_of(self, *events: asyncio.Event, timeout: float | None = None) -> None:
        """Wait for one of `events`, at most until it is time to end."""
        ends = (self._stopping, self._served)
        waits = [asyncio.create_task(event.wait()) for event in (*events, *ends)]
        try:
            await asyncio.wait(waits, timeout=timeout, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for wait in waits:
                wait.cancel()

    def _all(self) -> list[Run]:
        return [*self._init, *self._main]

    def _find(self, resource: Resource, name: str) -> Json | None:
        return self._kubelet.store.find(resource, self._pod["metadata"]["namespace"], name)

    def _report(self) -> None:
        """Write the status of the pod."""
        status: Json = {"phase": podstatus.phase(self._init, self._main)}
        if self._init:
            status["initContainerStatuses"] = [run.init_status() for run in self._init]
        status["containerStatuses"] = [run.status() for run in self._main]
        self._update(status)

    def _update(self, status: Json) -> None:
        meta = self._pod["metadata"]
        pod = self._kubelet.store.find(PODS, meta["namespace"], meta["name"])
        if pod is None or pod["metadata"]["uid"] != self._uid or ended(pod):
            return
        old = pod["status"]
        now = timestamp(time.time())
        pod["status"] = podstatus.placed(old, now) | status
        pod["status"]["conditions"] = podstatus.conditions(
            pod["status"], self._init, self._main, now, old.get("conditions") or ()
        )
        if pod["status"] != old:
            self._kubelet.store.update(PODS, pod)

    def _say(self, kind: str, reason: str, message: str, *, once: bool = False) -> None:
        self._kubelet.recorder.record(self._pod, COMPONENT, kind, reason, message, once)
