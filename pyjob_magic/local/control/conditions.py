"""The conditions of a job, written by the operator's rules. Pure."""

from __future__ import annotations

from pyjob_magic.local.objects import Json, timestamp

# Of these two only one is there: writing one removes the other.
_INSTEAD_OF = {"Running": "Restarting", "Restarting": "Running"}


def write(status: Json, kind: str, value: str, reason: str, message: str, now: float) -> None:
    """Write a condition into `status` at the time `now`.

    Nothing is written after a job has failed, nor where status and reason stay as they are.

    Source: ``pkg/util/status.go``, training-operator v1.9.0.
    """
    entries = status.get("conditions") or []
    by_type = {entry["type"]: entry for entry in entries}
    if by_type.get("Failed", {}).get("status") == "True":
        return
    old = by_type.get(kind, {})
    reason = f"PyTorchJob{reason}"
    if (old.get("status"), old.get("reason")) == (value, reason):
        return
    gone = (kind, _INSTEAD_OF.get(kind))
    status["conditions"] = [entry for entry in entries if entry["type"] not in gone]
    if kind in ("Succeeded", "Failed") and "Running" in by_type:
        by_type["Running"]["status"] = "False"
    time = timestamp(now)
    since = old.get("lastTransitionTime", time) if old.get("status") == value else time
    status["conditions"].append(
        {
            "lastTransitionTime": since,
            "lastUpdateTime": time,
            "message": message,
            "reason": reason,
            "status": value,
            "type": kind,
        }
    )
