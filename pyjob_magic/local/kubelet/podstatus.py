"""What the status of a pod says, from how its containers fare.

Source: ``pkg/kubelet/kubelet_pods.go`` and ``pkg/kubelet/status/generate.go`` of Kubernetes.
"""

from __future__ import annotations

import copy
import time
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path

from pyjob_magic.local.kubelet.environment import LOOPBACK
from pyjob_magic.local.kubelet.process import LOST, Process
from pyjob_magic.local.objects import Json, timestamp

OOM_KILLED = "OOMKilled"
CANNOT_RUN = "ContainerCannotRun"
_SCHEME = "pyjob://"  # as containerd:// before the id of a container


@dataclass
class Run:
    """How one container of a pod fares.

    Parameters
    ----------
    container
        The container, as the pod has it.
    pod_uid, key
        Whose it is, and the name of its directory.
    policy
        When it is run again: Always, OnFailure or Never.
    sidecar
        Whether it is an init container that runs beside the others until they have ended.
    """

    container: Json
    pod_uid: str
    key: str
    policy: str
    sidecar: bool = False
    restarts: int = 0
    state: Json = field(default_factory=lambda: {"waiting": {"reason": "ContainerCreating"}})
    last_state: Json = field(default_factory=dict)

    @property
    def exit_code(self) -> int | None:
        """Its exit code if it has ended for good."""
        code = _code(self.state)
        return None if code is None or self.restarts_after(code) else code

    @property
    def fresh(self) -> bool:
        """Whether it has never run."""
        return "waiting" in self.state and not self.last_state

    @property
    def running(self) -> bool:
        """Whether it runs."""
        return "running" in self.state

    @property
    def initialized(self) -> bool:
        """Whether those that come after this init container may start."""
        return self.running if self.sidecar else self.exit_code == 0

    def status(self) -> Json:
        """Return its entry in ``containerStatuses``."""
        entry = {
            "name": self.container["name"],
            "state": self.state,
            "lastState": self.last_state,
            "ready": self.running,
            "restartCount": self.restarts,
            "image": self.container.get("image") or "",
            "imageID": "",
            "started": self.running,
        }
        if not self.fresh:
            entry["containerID"] = _container_id(self.pod_uid, self.key, str(self.restarts))
        return entry

    def init_status(self) -> Json:
        """Return its entry in ``initContainerStatuses``."""
        return {**self.status(), "ready": self.initialized}

    def restarts_after(self, code: int) -> bool:
        """Whether its policy has it run again after it has ended with `code`."""
        return self.policy == "Always" or (self.policy == "OnFailure" and code != 0)

    def ended_state(self) -> Json:
        """Return how its last run ended; empty if none has."""
        return self.state if "terminated" in self.state else self.last_state


def runs(pod: Json) -> tuple[list[Run], list[Run]]:
    """Return the init containers and the containers of a pod, none of them started."""
    uid, spec = pod["metadata"]["uid"], pod["spec"]
    policy = spec.get("restartPolicy", "Always")
    init = [
        Run(container, uid, container_key(pod, container), _init_policy(container, policy))
        for container in spec.get("initContainers") or ()
    ]
    main = [Run(c, uid, container_key(pod, c), policy) for c in spec["containers"]]
    for run in init:
        run.sidecar = is_sidecar(run.container)
    if init:
        for run in (*init, *main):
            run.state = {"waiting": {"reason": "PodInitializing"}}
    return init, main


def _init_policy(container: Json, pod_policy: str) -> str:
    if is_sidecar(container):
        return "Always"
    return "Never" if pod_policy == "Never" else "OnFailure"


def container_key(pod: Json, container: Json) -> str:
    """Return the name of a container's directory: by place, for its name is the user's."""
    init = pod["spec"].get("initContainers") or []
    if container in init:
        return f"init-{init.index(container)}"
    return f"container-{pod['spec']['containers'].index(container)}"


def together(pod: Json) -> list[Json]:
    """Return the containers of a pod that run at the same time: its sidecars are among them."""
    init = pod["spec"].get("initContainers") or ()
    return [*filter(is_sidecar, init), *pod["spec"]["containers"]]


def is_sidecar(container: Json) -> bool:
    """Whether an init container runs on beside those that come after it."""
    return container.get("restartPolicy") == "Always"


def phase(init: list[Run], main: list[Run]) -> str:
    """Return the phase of a pod."""
    first, sidecars = _split(init)
    if any(run.exit_code for run in first):
        return "Failed"
    if not all(run.initialized for run in first) or any(run.fresh for run in main):
        return "Pending"
    if any(run.running for run in sidecars) or any(run.exit_code is None for run in main):
        return "Running"
    return "Failed" if any(run.exit_code for run in main) else "Succeeded"


def _split(init: Iterable[Run]) -> tuple[list[Run], list[Run]]:
    """Return the init containers that end before the others start, and the sidecars."""
    return [run for run in init if not run.sidecar], [run for run in init if run.sidecar]


def terminated(process: Process, code: int | None) -> Json:
    """Return the state of a container whose run has ended; None for a code that nobody knows."""
    code = LOST if code is None else code
    why = process.explanation()
    if why.get("reason") == OOM_KILLED and code != LOST:
        why = {}  # it has ended by itself before it could be killed
    times = {
        "startedAt": timestamp(_mtime(process.directory / "pid")),
        "finishedAt": timestamp(_mtime(process.directory / "exit")),
    }
    place = process.directory
    owner = {"containerID": _container_id(process.pod_uid, place.parent.name, place.name)}
    reason = {"reason": "Completed" if code == 0 else "Error"}
    return {"terminated": {"exitCode": code, **reason, **why, **times, **owner}}


def running(process: Process) -> Json:
    """Return the state of a container that runs."""
    return {"running": {"startedAt": timestamp(_mtime(process.directory / "pid"))}}


def killed(status: Json, message: str, now: str) -> Json:
    """Return what becomes of the status of a pod whose processes were all killed."""
    lists = {
        key: [_killed_entry(entry, now) for entry in status[key]]
        for key in ("initContainerStatuses", "containerStatuses")
        if status.get(key)
    }
    why = {"phase": "Failed", "reason": "Terminated", "message": message}
    return {**status, **why, **lists}


def _killed_entry(entry: Json, now: str) -> Json:
    if "running" not in entry["state"]:
        return copy.deepcopy(entry)
    times = {"startedAt": entry["state"]["running"]["startedAt"], "finishedAt": now}
    owner = {"containerID": entry["containerID"]}
    state = {"terminated": {"exitCode": LOST, "reason": "Error", **times, **owner}}
    return {**entry, "state": state, "ready": False, "started": False}


def duration(process: Process) -> float:
    """Return for how many seconds a run has run."""
    return _mtime(process.directory / "exit") - _mtime(process.directory / "pid")


def placed(status: Json, now: str) -> Json:
    """Return `status` with where the pod is, and since when: from the time `now` if it is new."""
    place = {"hostIP": LOOPBACK, "hostIPs": [{"ip": LOOPBACK}]}
    own = {"podIP": LOOPBACK, "podIPs": [{"ip": LOOPBACK}]}
    return {**place, **own, "startTime": now, **status}


def conditions(
    status: Json, init: list[Run], main: list[Run], now: str, old: Iterable[Json]
) -> list[Json]:
    """Return the conditions of a pod.

    Parameters
    ----------
    status
        Its status otherwise.
    init, main
        How its containers fare.
    now
        The time of those that have changed.
    old
        The conditions of before.
    """
    before = {entry["type"]: entry for entry in old}
    ready = _ready(status["phase"], [*_split(init)[1], *main])
    values = {
        "PodReadyToStartContainers": {"status": "True"},
        "Initialized": _initialized(status["phase"], init, main),
        "Ready": ready,
        "ContainersReady": ready,
        "PodScheduled": {"status": "True"},
    }
    return [_condition(kind, value, before.get(kind, {}), now) for kind, value in values.items()]


def _condition(kind: str, value: Json, old: Json, now: str) -> Json:
    same = old.get("status") == value["status"]
    since = old["lastTransitionTime"] if same else now
    return {"type": kind, "lastProbeTime": None, "lastTransitionTime": since, **value}


def _initialized(phase: str, init: list[Run], main: list[Run]) -> Json:
    if phase == "Succeeded":
        return {"status": "True", "reason": "PodCompleted"}
    missing = [run for run in init if not run.initialized]
    if not missing or not all(run.fresh for run in main):
        return {"status": "True"}
    return _not("ContainersNotInitialized", "incomplete", missing)


def _ready(phase: str, runs: list[Run]) -> Json:
    if phase in ("Succeeded", "Failed"):
        reason = "PodCompleted" if phase == "Succeeded" else "PodFailed"
        return {"status": "False", "reason": reason}
    missing = [run for run in runs if not run.running]
    return _not("ContainersNotReady", "unready", missing) if missing else {"status": "True"}


def _not(reason: str, how: str, missing: list[Run]) -> Json:
    names = " ".join(run.container["name"] for run in missing)
    message = f"containers with {how} status: [{names}]"
    return {"status": "False", "reason": reason, "message": message}


def _code(state: Json) -> int | None:
    end = state.get("terminated")
    return None if end is None else int(end["exitCode"])


def _container_id(pod_uid: str, key: str, number: str) -> str:
    return f"{_SCHEME}{pod_uid}/{key}/{number}"


def _mtime(path: Path) -> float:
    """Return when a file of a run was written; now, if it was not."""
    try:
        return path.stat().st_mtime
    except OSError:
        return time.time()
