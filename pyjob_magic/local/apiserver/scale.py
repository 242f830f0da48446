"""The scale of a PyTorchJob: how many Workers it has, as ``kubectl scale`` sees it.

Source: the scale subresource of the custom resource definition of training-operator v1.9.0.
"""

from __future__ import annotations

import copy
from typing import Any

from pyjob_magic.local.objects import Json
from pyjob_magic.local.resources import JOBS
from pyjob_magic.local.status import Cause, StatusError, bad_request, invalid

_API_VERSION = "autoscaling/v1"


def scale_of(job: Json) -> Json:
    """Return the Scale of a job.

    Raises
    ------
    StatusError
        404, if it has no Workers.
    """
    worker = _workers(job)
    counts = (job.get("status") or {}).get("replicaStatuses", {}).get("Worker", {})
    meta = job["metadata"]
    kept = ("name", "namespace", "uid", "resourceVersion", "creationTimestamp")
    status = {"replicas": counts.get("active", 0)}
    if selector := counts.get("selector"):
        status["selector"] = selector
    return {
        "kind": "Scale",
        "apiVersion": _API_VERSION,
        "metadata": {key: meta[key] for key in kept},
        "spec": {"replicas": worker.get("replicas", 1)},
        "status": status,
    }


def with_scale(job: Json, scale: Any) -> Json:
    """Return `job` with as many Workers as `scale` says.

    Raises
    ------
    StatusError
        400 or 422, if it says no number of replicas; 404, if the job has no Workers.
    """
    _workers(job)
    if not isinstance(scale, dict) or scale.get("kind") != "Scale":
        raise bad_request("the object provided is no Scale of autoscaling/v1")
    replicas = (scale.get("spec") or {}).get("replicas", 0)
    if type(replicas) is not int or not 0 <= replicas < 2**31:
        message = "must be a number that is not negative"
        cause = Cause("spec.replicas", "FieldValueInvalid", f"Invalid value: {message}")
        raise invalid(JOBS, job["metadata"]["name"], [cause])
    scaled = copy.deepcopy(job)
    _workers(scaled)["replicas"] = replicas
    scaled["metadata"]["resourceVersion"] = (scale.get("metadata") or {}).get(
        "resourceVersion", job["metadata"]["resourceVersion"]
    )
    return scaled


def _workers(job: Json) -> Json:
    worker: Json | None = job["spec"]["pytorchReplicaSpecs"].get("Worker")
    if worker is None:
        message = f'the job "{job["metadata"]["name"]}" has no Workers that could be scaled'
        raise StatusError(404, "NotFound", message, JOBS.details(job["metadata"]["name"]))
    return worker
