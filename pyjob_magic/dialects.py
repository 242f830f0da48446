"""How servers spell PyTorchJobs: from ours to theirs and back, and what they can do at all."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from pyjob_magic.edits import QUEUE
from pyjob_magic.errors import OptionError
from pyjob_magic.models import PyTorchJob

Wire = dict[str, Any]


class Dialect:
    """Kubeflow's own, which training-operator v1 speaks; others differ from it.

    Everything above knows only this way of saying things.
    """

    creation: Mapping[str, str] = {"fieldManager": "pyjob-magic", "fieldValidation": "Strict"}
    """Query of a create request."""
    patching: Mapping[str, str] = {"fieldManager": "pyjob-magic"}
    """Query of a patch request."""
    watching: Mapping[str, str] = {"allowWatchBookmarks": "true"}
    """Query of a watch, beside what every server takes."""
    pod_selector: str | None = "training.kubeflow.org/operator-name=pytorchjob-controller"
    """Label selector of all pods that are replicas; None where they have no labels."""
    deletes_by_uid = True
    """Whether a delete request may say which job of that name is meant."""
    dry_runs = True
    """Whether the server can check a job without creating it."""
    suspends = True
    """Whether the server can suspend a job and resume it."""
    absent = "it has no PyTorchJobs: Kubeflow's training-operator v1 is not installed there"
    """What it means if the server does not know PyTorchJobs, and what to do."""

    def check(self, job: PyTorchJob) -> None:
        """Refuse what there is no word for.

        Raises
        ------
        OptionError
            If the server cannot do what `job` asks for.
        """

    def encode(self, job: PyTorchJob) -> Wire:
        """Return `job` as the server wants it."""
        return job.to_wire()

    def decode(self, wire: Wire) -> PyTorchJob:
        """Return the job that the server has sent, without its notes on who has set which field.

        They would be a third of every job that is held or shown, and nobody reads them.
        """
        if "managedFields" in (metadata := wire.get("metadata") or {}):
            kept = {key: value for key, value in metadata.items() if key != "managedFields"}
            wire = {**wire, "metadata": kept}
        return PyTorchJob.from_wire(wire)

    def encode_patch(self, patch: Mapping[str, Any]) -> Wire:
        """Return a merge patch of a job as the server wants it."""
        return dict(patch)


KUBEFLOW = Dialect()


class CCI(Dialect):
    """Huawei Cloud Container Instance: the pytorch-operator of mid-2019.

    - What training-operator v1 holds in ``spec.runPolicy`` stands flat in ``spec``.
    - Nothing is suspended, gang-scheduled or elastic. The operator starts one process in each
      replica: it sets ``RANK``, ``WORLD_SIZE`` (replicas, not processes), ``MASTER_PORT`` and
      ``MASTER_ADDR``, which is ``localhost`` on the Master, and no ``PET_*`` for torchrun.
    - Workers start when the Master runs, and the Master decides how the job ends.
    - Pods are named as upstream; that they have labels is not documented.
    - Queries know nothing of field managers, field validation, bookmarks and dry runs.

    Source: CCI's "PyTorchJob" pages; kubeflow/pytorch-operator 614cdee6.
    """

    creation: Mapping[str, str] = {}
    patching: Mapping[str, str] = {}
    watching: Mapping[str, str] = {}
    pod_selector = None
    deletes_by_uid = False
    dry_runs = False
    suspends = False
    absent = (
        "this region of CCI does not serve PyTorchJobs any more, an API that Huawei deprecated in "
        "2020; use --on kubernetes, or Volcano Jobs, which Huawei points to"
    )

    def check(self, job: PyTorchJob) -> None:
        """Refuse what the operator of 2019 does not have."""
        spec = job.to_wire()["spec"]
        policy = spec.get("runPolicy") or {}
        if QUEUE in (job.metadata.labels or {}):
            raise OptionError("--queue", "cci has no Kueue whose queues a job could wait in")
        if policy.get("suspend"):
            raise OptionError("--suspend", _NO_SUSPEND)
        if spec.get("nprocPerNode") not in (None, "1"):
            raise OptionError(
                "--nproc-per-node", "cci runs one process in each replica; use --workers for more"
            )
        if "Master" not in spec["pytorchReplicaSpecs"]:
            raise OptionError("pytorchReplicaSpecs", "cci needs a Master; add one")
        known = (*_POLICY, "suspend")
        strange = [f"runPolicy.{key}" for key in policy if policy[key] and key not in known]
        strange += ["elasticPolicy"] if spec.get("elasticPolicy") else []
        if strange:
            raise OptionError(strange[0], "cci has nothing of the kind; leave it out")

    def encode(self, job: PyTorchJob) -> Wire:
        """Return `job` with its run policy flat in ``spec``."""
        self.check(job)
        wire = job.to_wire()
        spec = wire["spec"]
        policy = spec.pop("runPolicy", None) or {}
        for key in ("nprocPerNode", "elasticPolicy"):
            spec.pop(key, None)
        spec.update({key: policy[key] for key in _POLICY if key in policy})
        return wire

    def decode(self, wire: Wire) -> PyTorchJob:
        """Return the job, whose run policy may be flat, nested or, in a file, both."""
        spec = dict(wire.get("spec") or {})
        if flat := {key: spec.pop(key) for key in _POLICY if key in spec}:
            spec["runPolicy"] = {**flat, **(spec.get("runPolicy") or {})}
        return PyTorchJob.from_wire({**wire, "spec": spec})

    def encode_patch(self, patch: Mapping[str, Any]) -> Wire:
        """Return a merge patch of the few fields that may change.

        Raises
        ------
        OptionError
            If it would change another one.
        """
        wire: Wire = dict(patch)
        if isinstance(spec := wire.get("spec"), Mapping):
            wire["spec"] = {k: v for k, v in spec.items() if k != "runPolicy"}
            wire["spec"] |= spec.get("runPolicy") or {}
        for path in _paths(wire):
            if path == "spec.suspend":
                raise OptionError("--suspend", _NO_SUSPEND)
            if path not in _CHANGEABLE:
                raise OptionError(
                    path,
                    "cci changes nothing of a job but labels, annotations, timeout, ttl and which "
                    "pods to clean; delete the job and submit it again",
                )
        return wire


_NO_SUSPEND = "cci cannot suspend jobs; delete the job, and submit it when it shall run"
_POLICY = ("activeDeadlineSeconds", "backoffLimit", "cleanPodPolicy", "ttlSecondsAfterFinished")
_CHANGEABLE = (
    "metadata.labels",
    "metadata.annotations",
    "spec.activeDeadlineSeconds",
    "spec.ttlSecondsAfterFinished",
    "spec.cleanPodPolicy",
)


def _paths(patch: Mapping[str, Any]) -> Iterable[str]:
    """Yield what a patch changes, two levels deep: ``metadata.labels``."""
    for key, value in patch.items():
        if isinstance(value, Mapping):
            yield from (f"{key}.{inner}" for inner in value)
        else:
            yield key
