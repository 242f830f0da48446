"""What the status of a pod says, from how its containers fare."""

from __future__ import annotations

import copy
import time
from dataclasses import dataclass, field
from pathlib import Path

from pyjob_magic.local.objects import Json, timestamp
from pyjob_magic.local.process import LOST, Process


@dataclass
class Run:
    """How one container of a pod fares."""

    container: Json
    key: str  # the name of its directory
    policy: str  # when it is run again: Always, OnFailure or Never
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

    def restarts_after(self, code: int) -> bool:
        """Whether its policy has it run again after it has ended with `code`."""
        return self.policy == "Always" or (self.policy == "OnFailure" and code != 0)


def runs(pod: Json) -> tuple[list[Run], list[Run]]:
    """Return the init containers and the containers of a pod, none of them started."""
    spec = pod["spec"]
    policy = spec.get("restartPolicy", "Always")
    init = spec.get("initContainers") or ()
    return (
        [
            Run(c, container_key(pod, c), "Never" if policy == "Never" else "OnFailure")
            for c in init
        ],
        [Run(c, container_key(pod, c), policy) for c in spec["containers"]],
    )


def phase(init: list[Run], main: list[Run]) -> str:
    """Return the phase of a pod."""
    if any(run.exit_code and not run.restarts_after(run.exit_code) for run in init):
        return "Failed"
    if all(_creating(run) for run in main):
        return "Pending"
    if any(run.exit_code is None or run.restarts_after(run.exit_code) for run in main):
        return "Running"
    return "Failed" if any(run.exit_code for run in main) else "Succeeded"


def _creating(run: Run) -> bool:
    waiting = run.state.get("waiting")
    return waiting is not None and run.restarts == 0 and not run.last_state


def ended_state(run: Run) -> Json:
    """Return how the last run of a container ended."""
    return run.state if "terminated" in run.state else run.last_state


def container_key(pod: Json, container: Json) -> str:
    """Return the name of a container's directory: by place, for its name is the user's."""
    init = pod["spec"].get("initContainers") or []
    if container in init:
        return f"init-{init.index(container)}"
    return f"container-{pod['spec']['containers'].index(container)}"


def terminated(process: Process, code: int | None) -> Json:
    """Return the state of a container whose run has ended; None for a code that nobody knows."""
    code = LOST if code is None else code
    return {
        "terminated": {
            "exitCode": code,
            "reason": "Completed" if code == 0 else "Error",
            "startedAt": timestamp(_mtime(process.directory / "pid")),
            "finishedAt": timestamp(_mtime(process.directory / "exit")),
        }
    }


def running(process: Process) -> Json:
    """Return the state of a container that runs."""
    return {"running": {"startedAt": timestamp(_mtime(process.directory / "pid"))}}


def killed(status: Json, message: str, now: str) -> Json:
    """Return what becomes of the status of a pod whose processes were all killed."""
    entries = copy.deepcopy(status.get("containerStatuses") or [])
    for entry in entries:
        if started := entry["state"].get("running", {}).get("startedAt"):
            times = {"startedAt": started, "finishedAt": now}
            entry["state"] = {"terminated": {"exitCode": LOST, "reason": "Error", **times}}
            entry |= {"ready": False, "started": False}
    why = {"phase": "Failed", "reason": "Terminated", "message": message}
    return {**status, **why, **({"containerStatuses": entries} if entries else {})}


def _mtime(path: Path) -> float:
    """Return when a file of a run was written; now, if it was not."""
    try:
        return path.stat().st_mtime
    except OSError:
        return time.time()


def duration(process: Process) -> float:
    """Return for how many seconds a run has run."""
    return _mtime(process.directory / "exit") - _mtime(process.directory / "pid")


def conditions(status: Json, init: list[Run], now: str) -> list[Json]:
    """Return the conditions of a pod whose status is `status` otherwise."""
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
