"""A pod in the table that `kubectl get pods` prints. Pure.

Source: ``printPod`` in ``pkg/printers/internalversion/printers.go`` of Kubernetes.
"""

from __future__ import annotations

from typing import Any

from pyjob_magic.local.apiserver.ages import age
from pyjob_magic.local.objects import Json, condition, ended, terminating

_NONE = "<none>"


def pod_cells(pod: Json, now: float) -> list[Any]:
    """Return the cells of a pod as it is `now`, in seconds since the epoch."""
    meta, spec, status = pod["metadata"], pod["spec"], pod.get("status") or {}
    addresses = status.get("podIPs") or [{"ip": status.get("podIP")}]
    return [
        meta["name"],
        _ready(pod),
        _status(pod),
        _restarts(pod, now),
        age(meta.get("creationTimestamp"), now),
        addresses[0].get("ip") or _NONE,
        spec.get("nodeName") or _NONE,
        status.get("nominatedNodeName") or _NONE,
        _readiness_gates(pod),
    ]


def _ready(pod: Json) -> str:
    """Return how many containers are ready, sidecars among them."""
    sidecars = [entry for entry in _init(pod) if _is_started_sidecar(pod, entry)]
    ready = [entry for entry in sidecars if entry.get("ready")]
    ready += [entry for entry in _main(pod) if _is_up(entry)]
    return f"{len(ready)}/{len(pod['spec']['containers']) + len(_sidecars(pod))}"


def _status(pod: Json) -> str:
    """Return the word for how a pod fares: what ails its containers rather than its phase."""
    status = pod.get("status") or {}
    word: str = _initialising(pod) or status.get("reason") or status.get("phase") or ""
    if _past_initialising(pod):
        word = next((reason for entry in _main(pod) if (reason := _reason(entry))), word)
        if word == "Completed" and any(map(_is_up, _main(pod))):
            word = "Running" if condition(pod, "Ready") else "NotReady"
    if terminating(pod) and not ended(pod):
        return "Unknown" if status.get("reason") == "NodeLost" else "Terminating"
    return word


def _initialising(pod: Json) -> str:
    """Return how far the init containers are; empty if they are done."""
    for index, entry in enumerate(_init(pod)):
        end = _state(entry, "terminated")
        if end.get("exitCode") == 0 or _is_started_sidecar(pod, entry):
            continue
        reason = _reason(entry)
        if end or reason not in ("", "PodInitializing"):
            return f"Init:{reason}"
        return f"Init:{index}/{len(pod['spec']['initContainers'])}"
    return ""


def _past_initialising(pod: Json) -> bool:
    return not _initialising(pod) or condition(pod, "Initialized")


def _reason(entry: Json) -> str:
    """Return why a container does not run; empty if it does, or nobody says."""
    reason: str = _state(entry, "waiting").get("reason") or ""
    if reason or not (end := _state(entry, "terminated")):
        return reason
    how = f"Signal:{end['signal']}" if end.get("signal") else f"ExitCode:{end.get('exitCode', 0)}"
    return end.get("reason") or how


def _restarts(pod: Json, now: float) -> str:
    """Return how often containers were restarted, and when last."""
    entries = _init(pod)
    if _past_initialising(pod):
        entries = [entry for entry in entries if entry["name"] in _sidecars(pod)] + _main(pod)
    count = sum(entry.get("restartCount", 0) for entry in entries)
    ends = ((entry.get("lastState") or {}).get("terminated") or {} for entry in entries)
    last = max((end.get("finishedAt") or "" for end in ends), default="")
    return f"{count} ({age(last, now)} ago)" if count and last else str(count)


def _readiness_gates(pod: Json) -> str:
    gates = pod["spec"].get("readinessGates") or []
    passed = sum(condition(pod, gate["conditionType"]) for gate in gates)
    return f"{passed}/{len(gates)}" if gates else _NONE


def _main(pod: Json) -> list[Json]:
    return (pod.get("status") or {}).get("containerStatuses") or []


def _init(pod: Json) -> list[Json]:
    return (pod.get("status") or {}).get("initContainerStatuses") or []


def _sidecars(pod: Json) -> set[str]:
    """Return the init containers that are not waited for: they run beside the others."""
    init = pod["spec"].get("initContainers") or ()
    return {entry["name"] for entry in init if entry.get("restartPolicy") == "Always"}


def _is_started_sidecar(pod: Json, entry: Json) -> bool:
    return bool(entry.get("started")) and entry["name"] in _sidecars(pod)


def _is_up(entry: Json) -> bool:
    running = (entry.get("state") or {}).get("running")
    return bool(entry.get("ready")) and running is not None and not _reason(entry)


def _state(entry: Json, kind: str) -> Json:
    return (entry.get("state") or {}).get(kind) or {}
