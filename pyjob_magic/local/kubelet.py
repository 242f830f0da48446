"""The kubelet: runs the pods of this machine, one task each.

A pod's directory ``pods/<uid>/`` holds ``work`` (where its programs start), ``tmp``, ``root``
(its volumes, by mount path) and, for each container and each of its runs, a directory with the
log, the pid and the exit code. That is all the state there is: a kubelet that finds such a
directory goes on where the last one stopped.
"""

from __future__ import annotations

import asyncio
import os
import shutil
import sys
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

from pyjob_magic.local import environment
from pyjob_magic.local.home import Home
from pyjob_magic.local.interpreter import interpreter, search_path, virtual_env
from pyjob_magic.local.objects import (
    GPUS,
    INTERPRETER,
    JOB_NAME,
    PORT,
    Json,
    ended,
    labels,
    notes,
    timestamp,
)
from pyjob_magic.local.process import Process, end_pod
from pyjob_magic.local.recorder import Recorder
from pyjob_magic.local.references import MissingError, References
from pyjob_magic.local.resources import CONFIG_MAPS, JOBS, PODS
from pyjob_magic.local.store import Store
from pyjob_magic.local.volumes import MountError, lay_out, within

COMPONENT = "kubelet"
ROOT_VARIABLE = "PYJOB_ROOT"
_FIRST_BACKOFF = 10.0  # seconds, doubled with every restart but the first, which is immediate
_LONGEST_BACKOFF = 300.0
_FORGIVEN_AFTER = 600.0  # seconds of running that make the restarts before forgotten
_CANNOT_RUN = 127


class StartError(Exception):
    """A program that cannot be started."""


@dataclass
class Run:
    """How one container of a pod fares."""

    container: Json
    key: str  # the name of its directory
    restarts: int = 0
    state: Json = field(default_factory=lambda: {"waiting": {"reason": "ContainerCreating"}})
    last_state: Json = field(default_factory=dict)

    @property
    def exit_code(self) -> int | None:
        """Its exit code if it has ended for good."""
        terminated = self.state.get("terminated")
        return None if terminated is None else int(terminated["exitCode"])

    def status(self) -> Json:
        """Return its entry in ``containerStatuses``."""
        running = "running" in self.state
        return {
            "name": self.container["name"],
            "state": self.state,
            "lastState": self.last_state,
            "ready": running,
            "restartCount": self.restarts,
            "image": self.container.get("image", ""),
            "imageID": "",
            "started": running,
        }


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
        self.first_backoff = float(os.environ.get("PYJOB_MAGIC_BACKOFF_SECONDS", _FIRST_BACKOFF))
        self.on_end: Callable[[str], None] = lambda _: None
        self._pods: dict[str, _PodRunner] = {}
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

    def directory(self, uid: str) -> Path:
        """Return the directory of a pod."""
        return self.home.pods / uid

    def runs(self, uid: str, container: Json, pod: Json) -> list[Process]:
        """Return the runs of a container that have left traces, oldest first."""
        base = self.directory(uid) / _key(pod, container)
        numbers = sorted(int(path.name) for path in base.glob("[0-9]*"))
        return [Process(base / str(number), uid, container["name"]) for number in numbers]

    def config_maps_changed(self) -> None:
        """Wake the pods that wait for a ConfigMap."""
        self.next_config_map.set()
        self.next_config_map = asyncio.Event()

    def remove(self, uid: str) -> None:
        """Remove the directory of a pod that is gone."""
        path = self.directory(uid)
        if path.exists():
            sweeper = asyncio.create_task(asyncio.to_thread(shutil.rmtree, path, True))
            self._sweepers.add(sweeper)
            sweeper.add_done_callback(self._sweepers.discard)

    def _done(self, uid: str, task: asyncio.Task[None]) -> None:
        runner = self._pods.pop(uid)
        if not task.cancelled() and (error := task.exception()):
            print(f"pod {runner.name} failed in the kubelet: {error!r}", file=sys.stderr)  # noqa: T201
            runner.fail(repr(error))
        if not task.cancelled():
            self.on_end(uid)


class _PodRunner:
    """The life of one pod."""

    def __init__(self, kubelet: Kubelet, pod: Json) -> None:
        self.task: asyncio.Task[None] | None = None
        self._kubelet = kubelet
        self._pod = pod
        self._uid: str = pod["metadata"]["uid"]
        self._directory = kubelet.directory(self._uid)
        spec = pod["spec"]
        self._init = [Run(c, _key(pod, c)) for c in spec.get("initContainers") or ()]
        self._main = [Run(c, _key(pod, c)) for c in spec["containers"]]
        self._live: list[Process] = []
        self._stopping = asyncio.Event()
        self._grace = 0.0

    @property
    def name(self) -> str:
        return f"{self._pod['metadata']['namespace']}/{self._pod['metadata']['name']}"

    async def run(self) -> None:
        """Run all containers until the pod has ended or is stopped."""
        stopper = asyncio.create_task(self._end_when_stopped())
        try:
            await self._prepare()
            for run in self._init:
                if await self._run(run) != 0 or self._stopping.is_set():
                    break
            else:
                await asyncio.gather(*(self._run(run) for run in self._main))
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
        for name in ("work", "tmp", "root"):
            (self._directory / name).mkdir(mode=0o700, parents=True, exist_ok=True)
        while not self._stopping.is_set():
            change = self._kubelet.next_config_map  # before the look, so that none is missed
            try:
                lay_out(self._pod, self._directory / "root", self._config_map)
            except MountError as error:
                self._say("Warning", "FailedMount", f"MountVolume.SetUp failed: {error}", once=True)
                self._report()
                await self._first_of(change, self._stopping)
            else:
                return

    async def _first_of(self, *events: asyncio.Event) -> None:
        waits = [asyncio.create_task(event.wait()) for event in events]
        try:
            await asyncio.wait(waits, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for wait in waits:
                wait.cancel()

    async def _run(self, run: Run) -> int:
        """Run a container, again and again if its policy says so; return its last exit code."""
        runs = self._kubelet.runs(self._uid, run.container, self._pod)
        run.restarts = max(0, len(runs) - 1)
        if run.restarts:
            run.last_state = _terminated(runs[-2], runs[-2].exit_code())
        backoff = self._kubelet.first_backoff
        while not self._stopping.is_set():
            process = Process(
                self._directory / run.key / str(run.restarts), self._uid, run.container["name"]
            )
            code = await self._run_once(run, process)
            if self._stopping.is_set() or not self._restarts(run, code):
                return code
            if _duration(process) > _FORGIVEN_AFTER:
                backoff = self._kubelet.first_backoff
            if run.restarts or _duration(process) > _FORGIVEN_AFTER:
                await self._back_off(run, backoff)
                backoff = min(backoff * 2, _LONGEST_BACKOFF)
            run.last_state, run.restarts = _ended_state(run), run.restarts + 1
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
        run.state = {"running": {"startedAt": timestamp(_mtime(process.directory / "log", True))}}
        self._live.append(process)
        try:
            if process.exit_code() is None:
                self._report()
            if self._stopping.is_set():
                process.kill()
            code = await process.wait()
        finally:
            self._live.remove(process)
        if not self._stopping.is_set():
            run.state = _terminated(process, code)
            self._report_unless_last(run, code)
        return code

    async def _start(self, run: Run, process: Process) -> None:
        program = None
        while program is None:
            change = self._kubelet.next_config_map
            try:
                program = self._program(run.container)
            except MissingError as error:
                waiting = {"reason": "CreateContainerConfigError", "message": str(error)}
                run.state = {"waiting": waiting}
                self._say("Warning", "Failed", f"Error: {error}", once=True)
                self._report()
                await self._first_of(change, self._stopping)
                if self._stopping.is_set():
                    return
        cwd = self._working_directory(run.container)
        _check_command(program, cwd)
        process.start(program.argv, program.env, cwd)
        self._say("Normal", "Started", f"Started container {run.container['name']}")

    def _cannot_run(self, run: Run, process: Process, why: str) -> int:
        process.directory.mkdir(mode=0o700, parents=True, exist_ok=True)
        process.log.touch()
        (process.directory / "exit").write_text(f"{_CANNOT_RUN}\n")
        run.state = _terminated(process, _CANNOT_RUN)
        run.state["terminated"] |= {"reason": "ContainerCannotRun", "message": why}
        self._say("Warning", "Failed", f"Error: {why}", once=True)
        self._report_unless_last(run, _CANNOT_RUN)
        return _CANNOT_RUN

    def _report_unless_last(self, run: Run, code: int) -> None:
        """Report the end of a run; that of the last one is reported with the end of the pod."""
        if self._restarts(run, code) or any(other.exit_code is None for other in self._main):
            self._report()

    def _restarts(self, run: Run, code: int) -> bool:
        policy = self._pod["spec"].get("restartPolicy", "Always")
        if run in self._init:
            return policy != "Never" and code != 0
        return policy == "Always" or (policy == "OnFailure" and code != 0)

    async def _back_off(self, run: Run, delay: float) -> None:
        name, meta = run.container["name"], self._pod["metadata"]
        message = (
            f"back-off {delay:g}s restarting failed container={name} "
            f"pod={meta['name']}_{meta['namespace']}({meta['uid']})"
        )
        run.last_state = _ended_state(run)
        run.state = {"waiting": {"reason": "CrashLoopBackOff", "message": message}}
        self._say("Warning", "BackOff", f"Back-off restarting failed container {name}")
        self._report()
        with suppress(TimeoutError):
            await asyncio.wait_for(self._stopping.wait(), delay)

    def _program(self, container: Json) -> environment.Program:
        references = References(self._pod, container, self._config_map)
        job = self._job()
        spec = job["spec"] if job else {"pytorchReplicaSpecs": {}}
        count = sum(map(environment.replicas, spec["pytorchReplicaSpecs"].values()))
        nproc = environment.nproc_per_node(spec)
        program = environment.localize(
            self._pod,
            container,
            port=int(notes(self._pod).get(PORT, 0)),
            threads=environment.threads(container, os.cpu_count() or 1, count, nproc),
            resolve=references.value,
            env_from=references.variables,
        )
        return environment.Program(program.argv, self._base_env(job) | program.env)

    def _base_env(self, job: Json | None) -> dict[str, str]:
        """Return what every container of the pod has, user's variables aside."""
        try:
            python = interpreter(notes(job).get(INTERPRETER) if job else None)
        except ValueError as error:
            raise StartError(str(error)) from None
        env = {key: value for key, value in os.environ.items() if key != "VIRTUAL_ENV"}
        if home := virtual_env(python):
            env["VIRTUAL_ENV"] = home
        env["PATH"] = search_path(python, self._directory / "bin", env.get("PATH", ""))
        env["TMPDIR"] = str(self._directory / "tmp")
        env["HOSTNAME"] = self._pod["metadata"]["name"]
        env[ROOT_VARIABLE] = str(self._directory / "root")
        loopback = "lo0" if sys.platform == "darwin" else "lo"
        env.setdefault("GLOO_SOCKET_IFNAME", loopback)
        if GPUS in notes(self._pod):
            env["CUDA_VISIBLE_DEVICES"] = notes(self._pod)[GPUS]
        return env

    def _working_directory(self, container: Json) -> Path:
        given = container.get("workingDir")
        if not given:
            return self._directory / "work"
        try:
            path = within(self._directory / "root", given)
        except MountError as error:
            raise StartError(str(error)) from None
        path.mkdir(parents=True, exist_ok=True)
        return path

    def _job(self) -> Json | None:
        name = labels(self._pod).get(JOB_NAME, "")
        return self._kubelet.store.find(JOBS, self._pod["metadata"]["namespace"], name)

    def _config_map(self, name: str) -> Json | None:
        return self._kubelet.store.find(CONFIG_MAPS, self._pod["metadata"]["namespace"], name)

    def _phase(self) -> str:
        codes = [run.exit_code for run in self._main]
        if all(code is not None for code in codes):
            policy = self._pod["spec"].get("restartPolicy", "Always")
            if any(self._restarts(run, run.exit_code or 0) for run in self._main):
                return "Running"  # between two runs
            return "Failed" if any(codes) and policy != "Always" else "Succeeded"
        if any(run.exit_code and not self._restarts(run, run.exit_code) for run in self._init):
            return "Failed"
        waiting = all(_creating(run) for run in self._main)
        return "Pending" if waiting else "Running"

    def _report(self) -> None:
        """Write the status of the pod."""
        phase = self._phase()
        status: Json = {"phase": phase}
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
        pod["status"]["conditions"] = _conditions(pod["status"], self._init, now)
        if pod["status"] != old:
            self._kubelet.store.update(PODS, pod)

    def _say(self, kind: str, reason: str, message: str, *, once: bool = False) -> None:
        self._kubelet.recorder.record(self._pod, COMPONENT, kind, reason, message, once)


def _creating(run: Run) -> bool:
    waiting = run.state.get("waiting")
    return waiting is not None and run.restarts == 0 and not run.last_state


def _ended_state(run: Run) -> Json:
    return run.state if "terminated" in run.state else run.last_state


def _key(pod: Json, container: Json) -> str:
    """Return the name of a container's directory: by place, for its name is the user's."""
    init = pod["spec"].get("initContainers") or []
    if container in init:
        return f"init-{init.index(container)}"
    return f"container-{pod['spec']['containers'].index(container)}"


def _terminated(process: Process, code: int | None) -> Json:
    code = 137 if code is None else code
    return {
        "terminated": {
            "exitCode": code,
            "reason": "Completed" if code == 0 else "Error",
            "startedAt": timestamp(_mtime(process.directory / "pid")),
            "finishedAt": timestamp(_mtime(process.directory / "exit")),
        }
    }


def _mtime(path: Path, birth: bool = False) -> float:
    """Return when a file of a run was written; now, if it was not."""
    path = path.with_name("pid") if birth and path.with_name("pid").exists() else path
    try:
        return path.stat().st_mtime
    except OSError:
        return time.time()


def _duration(process: Process) -> float:
    return _mtime(process.directory / "exit") - _mtime(process.directory / "pid")


def _conditions(status: Json, init: list[Run], now: str) -> list[Json]:
    phase = status["phase"]
    containers = status.get("containerStatuses") or []
    ready = phase == "Running" and all(entry["ready"] for entry in containers)
    values = {
        "PodScheduled": True,
        "Initialized": all(run.exit_code == 0 for run in init),
        "ContainersReady": ready,
        "Ready": ready,
    }
    old = {entry["type"]: entry for entry in status.get("conditions") or ()}
    conditions = []
    for kind, value in values.items():
        text = "True" if value else "False"
        entry = old.get(kind)
        if entry is None or entry["status"] != text:
            entry = {"type": kind, "status": text, "lastTransitionTime": now}
            if not value and phase == "Succeeded":
                entry["reason"] = "PodCompleted"
            elif not value and phase == "Failed":
                entry["reason"] = "PodFailed"
        conditions.append(entry)
    return conditions


def _check_command(program: environment.Program, cwd: Path) -> None:
    """Raise if the program does not exist, in the words of a container runtime."""
    if not program.argv:
        raise StartError("no command given, and there is no image here that would have one")
    command = program.argv[0]
    if "/" in command:
        path = cwd / command
        if not path.exists():
            raise StartError(f'exec: "{command}": stat {command}: no such file or directory')
        if not os.access(path, os.X_OK) or path.is_dir():
            raise StartError(f'exec: "{command}": permission denied')
    elif shutil.which(command, path=program.env.get("PATH")) is None:
        raise StartError(f'exec: "{command}": executable file not found in $PATH')
    size = max(len(os.fsencode(word)) for word in program.argv)
    if size > 131_071 and sys.platform == "linux":
        raise StartError(f"argument list too long: one argument has {size} bytes, 131071 may be")
