"""How servers spell PyTorchJobs: from ours to theirs and back, and what they can do at all."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

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

    def encode(self, job: PyTorchJob) -> Wire:
        """Return `job` as the server wants it."""
        return job.to_wire()

    def decode(self, wire: Wire) -> PyTorchJob:
        """Return the job that the server has sent."""
        return PyTorchJob.from_wire(wire)

    def encode_patch(self, patch: Mapping[str, Any]) -> Wire:
        """Return a merge patch of a job as the server wants it."""
        return dict(patch)


KUBEFLOW = Dialect()
