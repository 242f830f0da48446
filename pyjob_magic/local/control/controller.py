"""The control loop: store, operator, scheduler and kubelet tied together.

It is woken by changes of the store and by the deadlines that the operator names; it polls nothing.
"""

from __future__ import annotations

import asyncio
import logging
import time
import uuid
from collections.abc import Callable, Iterable
from functools import partial

from pyjob_magic.local.control import nodes, operator
from pyjob_magic.local.control.dependents import CONTROLLER
from pyjob_magic.local.control.faults import contained
from pyjob_magic.local.control.garbage import DEPENDENTS, Garbage
from pyjob_magic.local.control.placement import Placement
from pyjob_magic.local.home import Home
from pyjob_magic.local.kubelet import machine, podstatus
from pyjob_magic.local.kubelet.keepsakes import Keepsakes
from pyjob_magic.local.kubelet.kubelet import COMPONENT, Kubelet
from pyjob_magic.local.kubelet.process import Process, kill_pod
from pyjob_magic.local.objects import (
    GPUS,
    JOB_NAME,
    PORT,
    QUEUED,
    Json,
    ended,
    labels,
    notes,
    placed,
    terminating,
    timestamp,
)
from pyjob_magic.local.recorder import Recorder
from pyjob_magic.local.resources import CONFIG_MAPS, EVENTS, JOBS, PODS, SECRETS, SERVICES
from pyjob_magic.local.storage import StorageError
from pyjob_magic.local.store import Change, Store

_DEPENDENTS = {"Pod": PODS, "Service": SERVICES}
_OWNERS = {resource.kind: resource for resource in DEPENDENTS}
_OWNING = {resource.plural for resource in DEPENDENTS if resource != EVENTS}
_LONGEST_GRACE = 86_400.0
_RETRY_SECONDS = 10.0
_LOOK_SECONDS = 1.0  # between two looks whether the store can be written
Key = tuple[str, str]  # namespace and name of a job

_log = logging.getLogger(__name__)


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
        self.placement = Placement(store, self.recorder, self.kubelet, self._place_later)
        self.keepsakes = Keepsakes(home.keepsakes)
        self.garbage = Garbage(store, self.delete_pod)
        self.on_charge: list[Callable[[], None]] = []  # called when it takes charge, or resumes
        self._dirty: dict[Key, None] = {}
        self._orphaned: list[str] = []
        self._timers: dict[Key, asyncio.TimerHandle] = {}
        self._wake = asyncio.Event()
        self.in_charge = asyncio.Event()  # set once all replicas of before are known
        self._paused = False
        store.subscribe(self._changed)

    async def run(self) -> None:
        """Work until cancelled."""
        gpus = await asyncio.to_thread(machine.gpus)
        while not self._take_charge(gpus):
            await asyncio.sleep(_LOOK_SECONDS)
        async with asyncio.TaskGroup() as group:
            group.create_task(self._work())
            group.create_task(self.recorder.expire(self._say_again))

    def _take_charge(self, gpus: list[str]) -> bool:
        """Begin to work; return False if the store cannot be written now."""
        try:
            nodes.register(self.store, machine.name(), machine.capacity(len(gpus)), time.time())
            self._take_over()
        except StorageError as error:
            _log.error("%s", error)
            return False
        self.placement.open(gpus)
        self.in_charge.set()
        return True

    def resume(self) -> None:
        """Go on where the store could not be written, as after a start."""
        with contained():
            self._take_over()
            self.placement.say_again()
        self._wake.set()

    def pause(self) -> None:
        """Do nothing more: the API stops, and what is to be done is for the next one."""
        self._paused = True
        self.placement.close()

    def active_jobs(self) -> list[str]:
        """Return the jobs that run or wait for a place, as ``namespace/name``."""
        active = {
            f"{job['metadata']['namespace']}/{job['metadata']['name']}"
            for job in self.store.objects(JOBS)
            if operator.active(job)
        }
        running = {
            f"{claim.namespace}/{claim.job or claim.name}" for claim in self.placement.holders()
        }
        return sorted(active | running)

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
            self._job_changed(change)
        elif change.resource == PODS.plural:
            self._pod_changed(change)
        elif change.resource in (CONFIG_MAPS.plural, SECRETS.plural):
            self.kubelet.sources_changed()
        elif change.resource not in _OWNING:
            return
        if change.type == "DELETED":
            self._orphaned.append(change.uid)
        elif change.type == "ADDED":
            self._orphaned += self._gone([change.object])
        self._wake.set()

    def _job_changed(self, change: Change) -> None:
        job = change.object
        self._dirty[job["metadata"]["namespace"], job["metadata"]["name"]] = None
        if change.type == "DELETED":
            self.placement.job_gone(change.uid)
            self.keepsakes.drop(change.uid)
        else:
            self.placement.job_changed(job)

    def _pod_changed(self, change: Change) -> None:
        pod = change.object
        if name := labels(pod).get(JOB_NAME):
            self._dirty[pod["metadata"]["namespace"], name] = None
        if change.type == "DELETED":
            self.placement.pod_gone(change.uid)
            with contained():  # a log less is no reason to keep the pod
                self._keep_logs(pod)
            self.kubelet.remove(change.uid)
        else:
            with contained():
                self.placement.pod_changed(pod)

    async def _work(self) -> None:
        while True:
            while self._has_work() and not self._paused:
                await self._look_around()
            await self._wake.wait()
            self._wake.clear()

    def _has_work(self) -> bool:
        return bool(self._dirty or self._orphaned or self.placement.stale)

    async def _look_around(self) -> None:
        """Do what is to be done now; between two jobs let others be served."""
        while self._orphaned:
            uid = self._orphaned.pop()
            with contained(then=partial(self._later, self._orphaned.append, uid)):
                self.garbage.collect(uid)
        dirty, self._dirty = self._dirty, {}
        for key in dirty:
            if self._paused:
                return
            with contained(then=partial(self._later, self._look_again, key)):
                self._reconcile(key)
            await asyncio.sleep(0)
        if self.placement.stale:
            with contained(then=self._place_later):
                await self.placement.serve()

    def _later(self, what: Callable[..., object], *args: object) -> None:
        """Try again what has failed: the reason may pass."""

        def again() -> None:
            what(*args)
            self._wake.set()

        asyncio.get_running_loop().call_later(_RETRY_SECONDS, again)

    def _place_later(self) -> None:
        self._later(self.placement.say_again)

    def _say_again(self) -> None:
        """Have the parts say what still holds, although it was said long ago."""
        self.placement.say_again()
        self._wake.set()

    def _take_over(self) -> None:
        """Go on where the API process before this one stopped."""
        jobs = list(self.store.objects(JOBS))
        for job in jobs:
            self._dirty[job["metadata"]["namespace"], job["metadata"]["name"]] = None
        pods = list(self.store.objects(PODS))
        for pod in pods:
            if placed(pod) and not ended(pod):
                self.kubelet.start(pod)
            if terminating(pod):
                self.delete_pod(pod)
        self._orphaned += self._gone(obj for r in DEPENDENTS for obj in self.store.objects(r))
        known = {pod["metadata"]["uid"] for pod in pods}
        for path in self.home.pods.iterdir():
            if path.name not in known:
                self._clear_away(path.name)
        self.keepsakes.drop_all_but(job["metadata"]["uid"] for job in jobs)
        self.garbage.resume()
        for go_on in self.on_charge:
            go_on()

    def _clear_away(self, uid: str) -> None:
        """Remove what is left of a pod that was deleted in the last moment of the API before."""
        kill_pod(uid)
        with contained():
            if pod := self.store.last(uid):  # there was no time to keep its logs
                self._keep_logs(pod)
        self.kubelet.remove(uid)

    def _keep_logs(self, pod: Json) -> None:
        """Keep what a pod that is gone has printed, if its job still exists."""
        job = self.store.job_of(pod)
        if job is None:
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

    def _gone(self, owned: Iterable[Json]) -> set[str]:
        """Return the uids of those owners of objects that do not exist."""
        owners = {
            (kind, obj["metadata"]["namespace"], reference.get("name", ""), reference["uid"])
            for obj in owned
            for reference in obj["metadata"].get("ownerReferences") or ()
            if (kind := reference.get("kind")) in _OWNERS and reference.get("uid")
        }
        return {uid for *place, uid in owners if self._uid(*place) != uid}

    def _uid(self, kind: str, namespace: str, name: str) -> str | None:
        found = self.store.find(_OWNERS[kind], namespace, name)
        return found["metadata"]["uid"] if found else None

    def _pod_ended(self, uid: str) -> None:
        """Take note that no process of a pod is left."""
        claim = self.placement.claim(uid)
        if claim is None:
            return
        self._dirty[claim.namespace, claim.job] = None
        self._wake.set()
        with contained(then=partial(self._later, self._pod_ended, uid)):
            pod = self.store.find(PODS, claim.namespace, claim.name)
            if pod and pod["metadata"]["uid"] == uid:
                if terminating(pod):
                    self.store.delete(PODS, pod)
                elif ended(pod):
                    self.placement.pod_gone(uid)

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
            self.garbage.delete(JOBS, job)
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
            "creationTimestamp": timestamp(time.time()),
        }
        if kind == "Pod":
            identity["generation"] = 1
            given = {key: text for key, text in notes(obj).items() if key not in (GPUS, PORT)}
            meta = {**meta, "annotations": {**given, QUEUED: str(self.store.version)}}
        self.store.create(resource, {**obj, "metadata": {**identity, **meta}})
        message = f"Created {kind.lower()}: {meta['name']}"
        self._remark(job, operator.Remark("Normal", f"SuccessfulCreate{kind}", message))

    def _delete(self, job: Json, obj: Json) -> None:
        kind = obj["kind"]
        if kind == "Pod":
            self.delete_pod(obj)
        else:
            self.garbage.delete(SERVICES, obj)
        message = f"Deleted {kind.lower()}: {obj['metadata']['name']}"
        self._remark(job, operator.Remark("Normal", f"SuccessfulDelete{kind}", message))

    def _job_of(self, pod: Json) -> Json | None:
        name = labels(pod).get(JOB_NAME, "")
        return self.store.find(JOBS, pod["metadata"]["namespace"], name)
