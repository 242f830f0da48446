"""Places: which pods run, which wait, and on which GPUs and at which port they meet.

The hands of the scheduler. All that it knows it can read from the pods again: an API that starts
goes on where the last one stopped, with the same queue.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from decimal import Decimal

from pyjob_magic.local import scheduler
from pyjob_magic.local.control import operator
from pyjob_magic.local.control.caveats import caveats
from pyjob_magic.local.control.dependents import is_wanted, replica_count
from pyjob_magic.local.control.faults import contained
from pyjob_magic.local.control.rendezvous import free_port
from pyjob_magic.local.kubelet import machine
from pyjob_magic.local.kubelet.interpreter import interpreter
from pyjob_magic.local.kubelet.kubelet import COMPONENT, Kubelet
from pyjob_magic.local.objects import (
    GPUS,
    INTERPRETER,
    JOB_NAME,
    PORT,
    QUEUED,
    Json,
    controller_of,
    ended,
    labels,
    notes,
    placed,
    terminating,
    timestamp,
)
from pyjob_magic.local.recorder import Recorder
from pyjob_magic.local.resources import JOBS, PODS
from pyjob_magic.local.scheduler import Amounts, Group
from pyjob_magic.local.store import Store

SCHEDULER = "default-scheduler"
_UNAVAILABLE = "0/1 nodes are available"
_NOT_ALL = f"{_UNAVAILABLE}: waits for replicas of an earlier job of this name to end"


@dataclass(frozen=True)
class Claim:
    """What a pod holds, or waits for.

    Parameters
    ----------
    namespace, name, job
        Whose it is; the name of the job.
    owner
        Uid of the job.
    asks
        How much of each resource.
    ticket
        Its place in the queue: the lower, the earlier.
    placed
        Whether it holds it.
    port, gpus
        What it was given.
    """

    namespace: str
    name: str
    job: str
    owner: str
    asks: Amounts
    ticket: int
    placed: bool
    port: int
    gpus: tuple[str, ...]

    @classmethod
    def of(cls, pod: Json) -> Claim:
        """Read it from a pod."""
        meta, noted, there = pod["metadata"], notes(pod), placed(pod)
        ticket = noted.get(QUEUED, "")  # a pod of no job has none
        return cls(
            meta["namespace"],
            meta["name"],
            labels(pod).get(JOB_NAME, ""),
            controller_of(pod) or meta["uid"],
            scheduler.asks(pod),
            int(ticket if ticket.isdecimal() else meta["resourceVersion"]),
            there,
            int(noted[PORT]) if there else 0,
            tuple(gpu for gpu in noted.get(GPUS, "").split(",") if gpu) if there else (),
        )


class Placement:
    """Give pods their places: all of a job together, first come first served.

    A job that has a place keeps it: a replica that is made again takes that of the one before,
    whoever else waits.

    Parameters
    ----------
    store, recorder
        Where pods and events are.
    kubelet
        Runs what has a place.
    on_fault
        Called when something could not be written; `say_again` makes the next try.
    """

    def __init__(
        self, store: Store, recorder: Recorder, kubelet: Kubelet, on_fault: Callable[[], None]
    ) -> None:
        self._store = store
        self._recorder = recorder
        self._kubelet = kubelet
        self._on_fault = on_fault
        self._gpus: list[str] = []
        self._capacity: dict[str, Decimal] = {}
        self._claims: dict[str, Claim] = {}  # by pod uid; of pods that wait or may have processes
        self._places: dict[str, dict[str, Amounts]] = {}  # of active jobs, by uid and pod name
        self._least: dict[str, int | None] = {}  # of active jobs: how many must start together
        self._refused: dict[str, str] = {}  # what pods that wait have been told, by uid
        self._stale = False
        self._closed = False

    def open(self, gpus: list[str]) -> None:
        """Begin, on a machine with these GPUs and with the pods and jobs that are stored."""
        self._gpus = gpus
        self._capacity = machine.capacity(len(gpus))
        for job in self._store.objects(JOBS):
            self.job_changed(job)
        for pod in self._store.objects(PODS):
            with contained():
                self.pod_changed(pod)
        for claim in self._claims.values():
            if claim.placed and claim.owner in self._least:
                self._keep(claim)

    def close(self) -> None:
        """Give no more places."""
        self._closed = True

    def claim(self, uid: str) -> Claim | None:
        """Return what a pod holds or waits for; None if it has ended."""
        return self._claims.get(uid)

    def holders(self) -> Iterable[Claim]:
        """Return what is held by pods that may have processes."""
        return (claim for claim in self._claims.values() if claim.placed)

    def job_changed(self, job: Json) -> None:
        """Take note of a job that was stored."""
        uid = _uid(job)
        if not operator.active(job):
            self.job_gone(uid)
            return
        policy = (job["spec"].get("runPolicy") or {}).get("schedulingPolicy") or {}
        self._least[uid] = policy.get("minAvailable")
        for name in [name for name in self._places.get(uid, ()) if not is_wanted(job, name)]:
            del self._places[uid][name]
            self._stale = True

    def job_gone(self, uid: str) -> None:
        """Take note of a job that has ended, is suspended or was deleted: it keeps no place."""
        self._least.pop(uid, None)
        self._stale = self._places.pop(uid, None) is not None or self._stale

    def pod_changed(self, pod: Json) -> None:
        """Take note of a pod that was stored."""
        uid = pod["metadata"]["uid"]
        if pod["status"].get("phase") == "Succeeded":
            self._places.get(controller_of(pod) or "", {}).pop(pod["metadata"]["name"], None)
        if ended(pod) and not self._kubelet.knows(uid):
            self.pod_gone(uid)
            return
        if uid in self._claims and self._claims[uid].placed:
            return  # its processes may live, whatever else changes
        claim, before = Claim.of(pod), self._claims.get(uid)
        self._claims[uid] = replace(claim, ticket=before.ticket) if before else claim
        self._stale = self._stale or not claim.placed

    def pod_gone(self, uid: str) -> None:
        """Take note of a pod that has no processes and waits for none."""
        self._refused.pop(uid, None)
        self._stale = self._claims.pop(uid, None) is not None or self._stale

    def say_again(self) -> None:
        """Look at the pods that wait again, and tell them again why they do."""
        self._refused.clear()
        self._stale = True

    @property
    def stale(self) -> bool:
        """Whether something has changed since pods were served last."""
        return self._stale

    async def serve(self) -> None:
        """Give the pods that wait a place, as far as there is room."""
        self._stale = False
        waiting = self._waiting()
        groups = [self._group(claims) for claims in waiting]
        verdicts = scheduler.schedule(groups, self._used(), self._capacity)
        for claims, verdict in zip(waiting, verdicts, strict=True):
            names, message = set(verdict.admitted), f"{_UNAVAILABLE}: {verdict.why}"
            admitted = [uid for uid, claim in claims.items() if claim.name in names]
            others = (uid for uid, claim in claims.items() if claim.name not in names)
            untold = [uid for uid in others if self._refused.get(uid) != message]
            if admitted or untold:
                await asyncio.sleep(0)  # others want to be served, too
            if self._closed:
                return
            with contained(then=self._on_fault):
                self._admit(admitted)
            with contained(then=self._on_fault):
                self._refuse(untold, message)

    def _waiting(self) -> list[dict[str, Claim]]:
        """Return the pods that wait, those that start together in one group; who is first, first.

        First are the replicas that are made again: their place was theirs already.
        """
        groups: dict[tuple[bool, str], dict[str, Claim]] = {}
        for uid, claim in self._claims.items():
            active = claim.owner in self._least or claim.owner == uid
            if active and not claim.placed:
                new = claim.name not in self._places.get(claim.owner, ())
                groups.setdefault((new, claim.owner), {})[uid] = claim
        for key, claims in groups.items():
            groups[key] = dict(sorted(claims.items(), key=lambda item: item[1].ticket))
        ordered = sorted(groups.items(), key=lambda item: (item[0][0], _first(item[1]).ticket))
        return [claims for _, claims in ordered]

    def _group(self, claims: dict[str, Claim]) -> Group:
        first = _first(claims)
        pods = {claim.name: claim.asks for claim in claims.values()}
        places = self._places.get(first.owner, {})
        held = scheduler.total(asks for name, asks in places.items() if name not in pods)
        # What joins a job that runs need not come all at once.
        least = 1 if places else self._least.get(first.owner)
        return Group(_key(first), pods, None if least is None else max(1, least), held)

    def _used(self) -> dict[str, Decimal]:
        """Return what is not to be had: what pods hold, and what is kept for those made again."""
        there = {(claim.owner, claim.name) for claim in self._claims.values()}
        kept = [
            asks
            for owner, places in self._places.items()
            for name, asks in places.items()
            if (owner, name) not in there
        ]
        return scheduler.total([*(claim.asks for claim in self.holders()), *kept])

    def _admit(self, uids: list[str]) -> None:
        """Place the pods of one job and start them."""
        pods = [pod for uid in uids if (pod := self._pod(uid))]
        if not pods:
            return
        job = self._store.job_of(pods[0])
        gone = len(pods) < len(uids) or (controller_of(pods[0]) and job is None)
        if gone or (job and not operator.active(job)):
            self._stale = True  # things have changed while others were served
            return
        siblings = self._store.owned(PODS, controller_of(pods[0]) or "")
        if job and len(siblings) < replica_count(job) and not self._places.get(_uid(job)):
            self._refuse(uids, _NOT_ALL)
            return
        port = self._port(siblings)
        taken = {gpu for claim in self.holders() for gpu in claim.gpus}
        free = [gpu for gpu in self._gpus if gpu not in taken]
        with self._store.transaction():
            for pod in pods:
                self._place(pod, port, free)
            if job:
                self._warn(job, [scheduler.asks(pod) for pod in pods])
        for pod in pods:
            if job:
                self._keep(self._claims[pod["metadata"]["uid"]])
            self._kubelet.start(pod)

    def _keep(self, claim: Claim) -> None:
        """Keep a place for a replica as long as its job is active, whatever becomes of the pod."""
        self._places.setdefault(claim.owner, {})[claim.name] = claim.asks

    def _port(self, siblings: list[Json]) -> int:
        """Return where these pods of one job meet: where they did before, else a new port."""
        ports = [int(notes(sibling)[PORT]) for sibling in siblings if PORT in notes(sibling)]
        return ports[0] if ports else free_port({claim.port for claim in self.holders()})

    def _place(self, pod: Json, port: int, free: list[str]) -> None:
        """Write into a pod where it is, and what it was given; takes that from the `free` GPUs."""
        meta, node = pod["metadata"], machine.name()
        given = {PORT: str(port)}
        if self._gpus:
            count = int(scheduler.asks(pod).get(scheduler.GPU, 0))
            given[GPUS] = ",".join(free[:count])
            del free[:count]
        meta["annotations"] = {**notes(pod), **given}
        pod["spec"]["nodeName"] = node
        pod["status"]["conditions"] = [_scheduled("True")]
        self._store.update(PODS, pod)
        message = f"Successfully assigned {meta['namespace']}/{meta['name']} to {node}"
        self._recorder.record(pod, SCHEDULER, "Normal", "Scheduled", message)

    def _warn(self, job: Json, asked: list[dict[str, Decimal]]) -> None:
        """Say what this machine does not honour of a job that starts and asks for so much."""
        try:
            python = interpreter(notes(job).get(INTERPRETER))
        except ValueError:
            return  # the kubelet will say so
        remarks = caveats(job, python)
        crowded = scheduler.overcommitted(scheduler.total([self._used(), *asked]), self._capacity)
        if crowded and scheduler.total(asked).get("cpu"):
            remarks.append(operator.Remark("Warning", "CPUOvercommitted", crowded, once=True))
        for said in remarks:
            self._recorder.record(job, COMPONENT, said.type, said.reason, said.message, said.once)

    def _refuse(self, uids: list[str], message: str) -> None:
        """Tell pods why they have to wait."""
        pods = [pod for uid in uids if (pod := self._pod(uid))]
        if not pods:
            return
        with self._store.transaction():
            for pod in pods:
                conditions = pod["status"].get("conditions") or ()
                known = message in [entry.get("message") for entry in conditions]
                if not known:
                    why_not = {"reason": "Unschedulable", "message": message}
                    pod["status"]["conditions"] = [_scheduled("False") | why_not]
                    self._store.update(PODS, pod)
                self._recorder.record(
                    pod, SCHEDULER, "Warning", "FailedScheduling", message, once=known
                )
        self._refused.update(dict.fromkeys(uids, message))

    def _pod(self, uid: str) -> Json | None:
        """Return a pod that waits as it is stored; None if it waits no longer."""
        claim = self._claims.get(uid)
        pod = self._store.find(PODS, claim.namespace, claim.name) if claim else None
        waits = pod and pod["metadata"]["uid"] == uid and not (ended(pod) or terminating(pod))
        return pod if waits and pod and not placed(pod) else None


def _uid(job: Json) -> str:
    uid: str = job["metadata"]["uid"]
    return uid


def _first(claims: dict[str, Claim]) -> Claim:
    return next(iter(claims.values()))


def _key(claim: Claim) -> str:
    """Return whose a claim is, as messages name it."""
    return f"{claim.namespace}/{claim.job or claim.name}"


def _scheduled(value: str) -> Json:
    now = timestamp(time.time())
    return {"type": "PodScheduled", "status": value, "lastTransitionTime": now}
