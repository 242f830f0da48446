"""The control loop: store, operator, scheduler and kubelet tied together.

It is woken by changes of the store and by the deadlines that the operator names; it polls nothing.
"""

from __future__ import annotations

import asyncio
import socket
import time
import uuid
from collections.abc import Iterable
from decimal import Decimal

from pyjob_magic.local import machine, operator, podstatus, scheduler
from pyjob_magic.local.caveats import caveats
from pyjob_magic.local.dependents import CONTROLLER
from pyjob_magic.local.faults import contained
from pyjob_magic.local.home import Home
from pyjob_magic.local.interpreter import interpreter
from pyjob_magic.local.keepsakes import Keepsakes
from pyjob_magic.local.kubelet import COMPONENT, Kubelet
from pyjob_magic.local.objects import (
    GPUS,
    INTERPRETER,
    JOB_NAME,
    PORT,
    Json,
    controller_of,
    ended,
    labels,
    notes,
    owners,
    terminating,
    timestamp,
)
from pyjob_magic.local.process import Process, kill_pod
from pyjob_magic.local.recorder import Recorder
from pyjob_magic.local.resources import CONFIG_MAPS, JOBS, PODS, SECRETS, SERVICES
from pyjob_magic.local.scheduler import Group
from pyjob_magic.local.store import Change, Store

SCHEDULER = "default-scheduler"
_DEPENDENTS = {"Pod": PODS, "Service": SERVICES}
_COLLECTED = (SERVICES, CONFIG_MAPS, SECRETS)  # go with the job that owns them
_LONGEST_GRACE = 86_400.0
Key = tuple[str, str]  # namespace and name of a job


class Controller:
    """Do what the jobs in the store ask for.

    Parameters
    ----------
    store
        The objects.
    home
        Where the kubelet keeps its files.
    """

    def __init__(self, store: Store, home: Home) -> None:
        self.store = store
        self.home = home
        self.recorder = Recorder(store)
        self.kubelet = Kubelet(store, home, self.recorder)
        self.kubelet.on_end = self._pod_ended
        self.keepsakes = Keepsakes(home.keepsakes)
        self._dirty: dict[Key, None] = {}
        self._orphaned: list[str] = []
        self._timers: dict[Key, asyncio.TimerHandle] = {}
        self._queue: dict[str, None] = {}  # jobs whose pods wait for a place, oldest first
        self._wake = asyncio.Event()
        self.in_charge = asyncio.Event()  # set once all replicas of before are known
        self._paused = False
        self._gpus: list[str] = []
        self._capacity: dict[str, Decimal] = {}
        store.subscribe(self._changed)

    async def run(self) -> None:
        """Work until cancelled."""
        self._gpus = await asyncio.to_thread(machine.gpus)
        self._capacity = machine.capacity(len(self._gpus))
        self._take_over()
        self.in_charge.set()
        async with asyncio.TaskGroup() as group:
            group.create_task(self._work())
            group.create_task(self.recorder.expire())

    def pause(self) -> None:
        """Do nothing more: the API stops, and what is to be done is for the next one."""
        self._paused = True

    def active_jobs(self) -> list[str]:
        """Return the jobs that run or wait for a place, as ``namespace/name``."""
        active = {
            f"{job['metadata']['namespace']}/{job['metadata']['name']}"
            for job in self.store.objects(JOBS)
            if operator.active(job)
        }
        for pod in self.store.objects(PODS):
            if self.kubelet.knows(pod["metadata"]["uid"]):
                active.add(f"{pod['metadata']['namespace']}/{labels(pod).get(JOB_NAME, '')}")
        return sorted(active)

    async def end_jobs(self, why: str) -> None:
        """Mark the jobs that are active as failed, and end all replicas; pauses the controller.

        Parameters
        ----------
        why
            Ends the sentence that begins with ``PyTorchJob`` and the name.
        """
        self.pause()
        now = time.time()
        for job in [job for job in self.store.objects(JOBS) if operator.active(job)]:
            message = f"PyTorchJob {job['metadata']['name']} {why}"
            with contained(), self.store.transaction():
                job["status"] = operator.failed_status(job, message, now)
                self.store.update(JOBS, job)
                self._remark(job, operator.Remark("Normal", "PyTorchJobFailed", message))
        await self.kubelet.stop_all()
        for pod in [pod for pod in self.store.objects(PODS) if not ended(pod)]:
            with contained():
                pod["status"] = podstatus.killed(pod["status"], f"The pod {why}", timestamp(now))
                self.store.update(PODS, pod)

    def delete_pod(self, pod: Json, grace: float | None = None) -> Json:
        """Delete a pod: its processes first, then the object; return its state.

        Parameters
        ----------
        pod
            The pod as stored.
        grace
            Seconds between SIGTERM and SIGKILL; None for what the pod asks for.
        """
        uid, spec = pod["metadata"]["uid"], pod["spec"]
        grace = spec.get("terminationGracePeriodSeconds", 30) if grace is None else grace
        grace = min(max(grace, 0), _LONGEST_GRACE)
        if not self.kubelet.knows(uid):
            return self.store.delete(PODS, pod)
        if not terminating(pod):
            pod["metadata"]["deletionTimestamp"] = timestamp(time.time() + grace)
            pod["metadata"]["deletionGracePeriodSeconds"] = int(grace)
            self.store.update(PODS, pod)
            for container in spec["containers"]:
                message = f"Stopping container {container['name']}"
                self.recorder.record(pod, COMPONENT, "Normal", "Killing", message)
        self.kubelet.stop(uid, grace)
        return pod

    def _changed(self, change: Change) -> None:
        if change.resource == JOBS.plural:
            meta = change.object["metadata"]
            self._dirty[meta["namespace"], meta["name"]] = None
            if change.type == "DELETED":
                self._orphaned.append(change.uid)
                self.keepsakes.drop(change.uid)
        elif change.resource == PODS.plural:
            pod = change.object
            if name := labels(pod).get(JOB_NAME):
                self._dirty[pod["metadata"]["namespace"], name] = None
            if change.type == "DELETED":
                self._keep_logs(pod)
                self.kubelet.remove(change.uid)
        elif change.resource == CONFIG_MAPS.plural:
            self.kubelet.config_maps_changed()
            if change.type != "ADDED":
                return
            self._orphaned += self._gone(owners(change.object))
        else:
            return
        self._wake.set()

    async def _work(self) -> None:
        while True:
            while (self._dirty or self._orphaned) and not self._paused:
                self._look_around()
            await self._wake.wait()
            self._wake.clear()

    def _look_around(self) -> None:
        """Do what is to be done now."""
        while self._orphaned:
            self._collect(self._orphaned.pop())
        dirty, self._dirty = self._dirty, {}
        for key in dirty:
            with contained():
                self._reconcile(key)
        with contained():
            self._schedule()

    def _take_over(self) -> None:
        """Go on where the API process before this one stopped."""
        jobs = {job["metadata"]["uid"]: job for job in self.store.objects(JOBS)}
        for job in sorted(jobs.values(), key=_age):
            self._dirty[job["metadata"]["namespace"], job["metadata"]["name"]] = None
            self._queue[job["metadata"]["uid"]] = None
        pods = list(self.store.objects(PODS))
        for pod in pods:
            if pod["spec"].get("nodeName") and not ended(pod):
                self.kubelet.start(pod)
            if terminating(pod):
                self.delete_pod(pod)
        owned = [*pods, *(obj for kind in _COLLECTED for obj in self.store.objects(kind))]
        self._orphaned += self._gone({uid for obj in owned for uid in owners(obj)})
        known = {pod["metadata"]["uid"] for pod in pods}
        for path in self.home.pods.iterdir():
            if path.name not in known:
                kill_pod(path.name)
                self.kubelet.remove(path.name)
        self.keepsakes.drop_all_but(jobs)

    def _keep_logs(self, pod: Json) -> None:
        """Keep what a pod that is gone has printed, if its job still exists."""
        job = self._job_of(pod)
        if job is None or job["metadata"]["uid"] not in owners(pod):
            return
        for container in pod["spec"]["containers"]:
            runs = self.kubelet.runs(pod["metadata"]["uid"], container, pod)
            started = [run for run in runs if run.started]
            self.keepsakes.keep(job["metadata"]["uid"], pod, container["name"], started)

    def kept_run(self, namespace: str, pod_name: str, container: str | None) -> Process | None:
        """Return the last run of a container whose pod is gone, but not its job."""
        for job in self.store.objects(JOBS, namespace):
            if pod_name.startswith(f"{job['metadata']['name']}-"):
                uid = job["metadata"]["uid"]
                if run := self.keepsakes.last(uid, pod_name, container or "pytorch"):
                    return run
        return None

    def _gone(self, uids: Iterable[str]) -> set[str]:
        """Return which of these owners do not exist."""
        wanted = set(uids)
        if wanted:
            for resource in (JOBS, PODS, CONFIG_MAPS):
                wanted -= {obj["metadata"]["uid"] for obj in self.store.objects(resource)}
        return wanted

    def _collect(self, uid: str) -> None:
        """Delete what belonged to a job that is gone."""
        for pod in self.store.owned(PODS, uid):
            self.delete_pod(pod)
        for resource in _COLLECTED:
            for obj in self.store.owned(resource, uid):
                self.store.delete(resource, obj)
        self._queue.pop(uid, None)

    def _pod_ended(self, uid: str) -> None:
        """Take note that no process of a pod is left."""
        for pod in self.store.objects(PODS):
            if pod["metadata"]["uid"] == uid:
                if terminating(pod):
                    self.store.delete(PODS, pod)
                key = pod["metadata"]["namespace"], labels(pod).get(JOB_NAME, "")
                self._dirty[key] = None
        self._wake.set()

    def _reconcile(self, key: Key) -> None:
        job = self.store.find(JOBS, *key)
        if timer := self._timers.pop(key, None):
            timer.cancel()
        if job is None:
            return
        now, uid = time.time(), job["metadata"]["uid"]
        pods, services = (self.store.owned(resource, uid) for resource in (PODS, SERVICES))
        plan = operator.reconcile(job, pods, services, now)
        with self.store.transaction():
            self._carry_out(plan, job)
        if plan.wake_at is not None:
            loop = asyncio.get_running_loop()
            delay = max(0.0, plan.wake_at - now)
            self._timers[key] = loop.call_later(delay, self._look_again, key)

    def _look_again(self, key: Key) -> None:
        self._timers.pop(key, None)
        self._dirty[key] = None
        self._wake.set()

    def _carry_out(self, plan: operator.Plan, job: Json) -> None:
        for step in plan.steps:
            if isinstance(step, operator.Remark):
                self._remark(job, step)
            elif isinstance(step, operator.Create):
                self._create(job, step.what)
            else:
                self._delete(job, step.what)
        if plan.remove:
            self.store.delete(JOBS, job)
        elif plan.status != job.get("status", {}):
            job["status"] = plan.status
            self.store.update(JOBS, job)

    def _remark(self, job: Json, said: operator.Remark) -> None:
        self.recorder.record(job, CONTROLLER, said.type, said.reason, said.message, said.once)

    def _create(self, job: Json, obj: Json) -> None:
        """Store a new pod or service; not while one of its name still ends."""
        kind, meta = obj["kind"], obj["metadata"]
        resource = _DEPENDENTS[kind]
        if self.store.find(resource, meta["namespace"], meta["name"]) is not None:
            return
        identity = {
            "name": meta["name"],
            "namespace": meta["namespace"],
            "uid": str(uuid.uuid4()),
            "resourceVersion": "",
            **({"generation": 1} if kind == "Pod" else {}),
            "creationTimestamp": timestamp(time.time()),
        }
        self.store.create(resource, {**obj, "metadata": {**identity, **meta}})
        if kind == "Pod":
            self._queue.setdefault(job["metadata"]["uid"])
        message = f"Created {kind.lower()}: {meta['name']}"
        self._remark(job, operator.Remark("Normal", f"SuccessfulCreate{kind}", message))

    def _delete(self, job: Json, obj: Json) -> None:
        kind = obj["kind"]
        if kind == "Pod":
            self.delete_pod(obj)
        else:
            self.store.delete(SERVICES, obj)
        message = f"Deleted {kind.lower()}: {obj['metadata']['name']}"
        self._remark(job, operator.Remark("Normal", f"SuccessfulDelete{kind}", message))

    def _schedule(self) -> None:
        """Give the pods that wait a place, all of a job together."""
        if not self._queue:
            return
        waiting: dict[str, list[Json]] = {uid: [] for uid in self._queue}
        placed = []
        for pod in self.store.objects(PODS):
            owner = controller_of(pod) or pod["metadata"]["uid"]
            if pod["spec"].get("nodeName"):
                if not ended(pod) or self.kubelet.knows(pod["metadata"]["uid"]):
                    placed.append(pod)
            elif owner in waiting and not ended(pod) and not terminating(pod):
                waiting[owner].append(pod)
        self._queue = {uid: None for uid in self._queue if waiting[uid]}
        groups, by_key = [], {}
        for pods in filter(None, waiting.values()):
            with contained():
                key = f"{pods[0]['metadata']['namespace']}/{labels(pods[0]).get(JOB_NAME)}"
                asked = {pod["metadata"]["name"]: scheduler.asks(pod) for pod in pods}
                groups.append(Group(key, asked))
                by_key[key] = pods
        decision = scheduler.schedule(groups, _used(placed), self._capacity)
        for key in decision.admitted:
            with contained():
                self._admit(by_key[key], placed)
                placed += by_key[key]
        for key, why in decision.refused.items():
            with contained():
                self._refuse(by_key[key], why)

    def _admit(self, pods: list[Json], placed: list[Json]) -> None:
        """Place the pods of one job and start them."""
        owner = controller_of(pods[0])
        job = self._job_of(pods[0])
        siblings = [pod for pod in placed if controller_of(pod) == owner]
        ports = [notes(pod)[PORT] for pod in siblings if PORT in notes(pod)]
        port = next(iter(ports), None) or _free_port({notes(pod).get(PORT) for pod in placed})
        taken = {gpu for pod in placed for gpu in notes(pod).get(GPUS, "").split(",") if gpu}
        free = [gpu for gpu in self._gpus if gpu not in taken]
        with self.store.transaction():
            for pod in pods:
                own = pod["metadata"].setdefault("annotations", {})
                own[PORT] = port
                if self._gpus:
                    count = int(scheduler.asks(pod).get(scheduler.GPU, 0))
                    own[GPUS] = ",".join(free[:count])
                    del free[:count]
                self._place(pod)
            if job is not None:
                self._warn(job, [*placed, *pods])
        for pod in pods:
            self.kubelet.start(pod)

    def _place(self, pod: Json) -> None:
        meta, node = pod["metadata"], machine.name()
        pod["spec"]["nodeName"] = node
        condition = {
            "type": "PodScheduled",
            "status": "True",
            "lastTransitionTime": timestamp(time.time()),
        }
        pod["status"]["conditions"] = [condition]
        self.store.update(PODS, pod)
        message = f"Successfully assigned {meta['namespace']}/{meta['name']} to {node}"
        self.recorder.record(pod, SCHEDULER, "Normal", "Scheduled", message)

    def _refuse(self, pods: list[Json], why: str) -> None:
        message = f"0/1 nodes are available: {why}"
        condition = {
            "type": "PodScheduled",
            "status": "False",
            "lastTransitionTime": timestamp(time.time()),
            "reason": "Unschedulable",
            "message": message,
        }
        for pod in pods:
            said = [entry.get("message") for entry in pod["status"].get("conditions") or ()]
            if message not in said:
                pod["status"]["conditions"] = [condition]
                self.store.update(PODS, pod)
                self.recorder.record(pod, SCHEDULER, "Warning", "FailedScheduling", message)

    def _warn(self, job: Json, placed: Iterable[Json]) -> None:
        """Say what this machine does not honour of a job."""
        try:
            python = interpreter(notes(job).get(INTERPRETER))
        except ValueError:
            return  # the kubelet will say so
        remarks = caveats(job, python)
        pods = list(placed)
        own = [pod for pod in pods if job["metadata"]["uid"] in owners(pod)]
        crowded = scheduler.overcommitted(_used(pods), self._capacity)
        if crowded and _used(own).get("cpu"):
            remarks.append(operator.Remark("Warning", "CPUOvercommitted", crowded, once=True))
        for remark in remarks:
            self.recorder.record(
                job, COMPONENT, remark.type, remark.reason, remark.message, remark.once
            )

    def _job_of(self, pod: Json) -> Json | None:
        name = labels(pod).get(JOB_NAME, "")
        return self.store.find(JOBS, pod["metadata"]["namespace"], name)


def _used(placed: Iterable[Json]) -> dict[str, Decimal]:
    """Return what the pods that have a place ask for, all together."""
    amounts = []
    for pod in placed:
        with contained():
            amounts.append(scheduler.asks(pod))
    return scheduler.total(amounts)


def _age(job: Json) -> tuple[str, int]:
    meta = job["metadata"]
    return meta["creationTimestamp"], int(meta["resourceVersion"])


def _free_port(taken: set[str | None]) -> str:
    """Return a port of this machine that nobody uses and no live job was given."""
    while True:
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            port = str(probe.getsockname()[1])
        if port not in taken:
            return port
