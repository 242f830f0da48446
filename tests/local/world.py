"""A world for the operator: one job, what it controls, and a clock, all plain data."""

from __future__ import annotations

import copy
from typing import Any

from pyjob_magic.local.apiserver.patches import merge
from pyjob_magic.local.control.operator import Create, Delete, Plan, Remark, reconcile
from pyjob_magic.local.objects import timestamp

Json = dict[str, Any]
NOW = 1_795_451_640.0


class World:
    """A job, its pods and services; `step` lets the operator work until it has nothing to do.

    Attributes
    ----------
    created
        Pods and services as the operator made them, in this order.
    statuses
        Every status that the job has had.
    said
        How often each event was said: type, reason and message.
    """

    def __init__(self, job: Json) -> None:
        self.job = copy.deepcopy(job)
        self.job["metadata"] |= {"namespace": "op-test", "uid": "job-uid", "resourceVersion": "1"}
        self.pods: dict[str, Json] = {}
        self.services: dict[str, Json] = {}
        self.created: list[Json] = []
        self.statuses: list[Json] = []
        self.said: dict[tuple[str, str, str], int] = {}
        self.removed = False
        self.now = NOW

    def look(self) -> Plan:
        """Ask the operator once, and do nothing about it."""
        pods, services = list(self.pods.values()), list(self.services.values())
        return reconcile(self.job, pods, services, self.now)

    def step(self) -> Plan:
        while True:
            plan = self.look()
            changed = self._carry_out(plan)
            if self.removed or not changed:
                return plan

    def given(self, move: Json) -> None:
        """Do what happened in a recording, a second after what happened before."""
        self.now += move.get("seconds", 1)
        if "spec" in move:
            self.job = merge(self.job, {"spec": move["spec"]})
        elif move.get("gone"):
            self.pods.pop(move["pod"], None)
        elif move.get("terminating"):
            self.pods[move["pod"]]["metadata"]["deletionTimestamp"] = timestamp(self.now)
        elif "pod" in move:
            self.set(move["pod"], move["phase"], move.get("exitCode"), move.get("restartCount", 0))
        self.step()

    def set(self, pod: str, phase: str, code: int | None = None, restarts: int = 0) -> None:
        entry: Json = {"name": "pytorch", "restartCount": restarts, "state": {}}
        if code is not None:
            entry["state"] = {"terminated": {"exitCode": code, "reason": "Error"}}
        self.pods[pod]["status"] = {"phase": phase, "containerStatuses": [entry]}

    def all_run(self) -> None:
        for pod in self.pods:
            self.set(pod, "Running")
        self.step()

    def scale(self, workers: int) -> None:
        self.job["spec"]["pytorchReplicaSpecs"]["Worker"]["replicas"] = workers
        self.step()

    def suspend(self, value: bool) -> None:
        self.job["spec"].setdefault("runPolicy", {})["suspend"] = value
        self.step()

    def conditions(self) -> dict[str, tuple[str, str]]:
        entries = self.job.get("status", {}).get("conditions", [])
        return {entry["type"]: (entry["status"], entry["message"]) for entry in entries}

    def counts(self) -> dict[str, dict[str, int]]:
        statuses = self.job["status"]["replicaStatuses"]
        return {
            kind: {k: v for k, v in counts.items() if k != "selector"}
            for kind, counts in statuses.items()
        }

    def events(self, reason: str) -> dict[str, int]:
        """Return the messages of one reason, and how often each was said."""
        return {key[2]: count for key, count in self.said.items() if key[1] == reason}

    def _carry_out(self, plan: Plan) -> bool:
        changed = False
        for step in plan.steps:
            if isinstance(step, Remark):
                self._say(step.type, step.reason, step.message, step.once)
            else:
                changed = True
                self._change(step)
        if plan.remove:
            self.removed = True
        elif plan.status != self.job.get("status", {}):
            changed = True
            self.job["status"] = plan.status
            self.statuses.append(copy.deepcopy(plan.status))
        return changed

    def _change(self, step: Create | Delete) -> None:
        kind, name = step.what["kind"], step.what["metadata"]["name"]
        place = self.pods if kind == "Pod" else self.services
        if isinstance(step, Create):
            assert name not in place
            self.created.append(copy.deepcopy(step.what))
            place[name] = step.what
            place[name]["metadata"]["creationTimestamp"] = timestamp(self.now)
            self._say("Normal", f"SuccessfulCreate{kind}", f"Created {kind.lower()}: {name}")
        else:
            del place[name]
            self._say("Normal", f"SuccessfulDelete{kind}", f"Deleted {kind.lower()}: {name}")

    def _say(self, kind: str, reason: str, message: str, once: bool = False) -> None:
        key = kind, reason, message
        if not (once and key in self.said):
            self.said[key] = self.said.get(key, 0) + 1
