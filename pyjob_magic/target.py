"""A target: where PyTorchJobs live, how to get in, and how they are spelled there."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import httpx

from pyjob_magic.dialects import KUBEFLOW, Dialect
from pyjob_magic.findings import Finding
from pyjob_magic.models import PyTorchJob

if TYPE_CHECKING:
    from pyjob_magic.rest import Rest


def _as_it_is(job: PyTorchJob) -> PyTorchJob:
    return job


@dataclass(frozen=True)
class Target:
    """Where the API lives and how to get in; its representation shows no credentials.

    Parameters
    ----------
    name
        As typed behind ``--on``.
    base_url
        URL that the API's paths are appended to.
    namespace
        Used where none is said.
    place
        What tells it from others of its name: a context, a region; empty where there is only one.
    context
        Name of the kubeconfig's context that it is; empty where there is none.
    auth, transport
        Credentials, and the way to the server where it is no plain URL.
    annotations
        What the target wants to find on its jobs, without the prefix.
    dialect
        How the server spells PyTorchJobs, and what it can do.
    prepare
        Adds to a job what the target insists on, before it is shown or sent; raises `OptionError`
        for a job that it would not run. What it has prepared, it leaves as it is.
    hints
        What to do about an error, by the server's own error code.
    keeps_logs
        Whether logs can be read after the replica is gone, as long as the job exists.
    examine
        Looks of its own, where those at a Kubernetes cluster would be of no use: given the
        requests and a namespace, it yields what it finds.
    operator
        Who reacts to jobs, where nobody needs to look; empty where it has to be found out.
    warnings
        What whoever uses it should know, such as that nobody checks who answers.
    is_outdated
        Whether what it was made from has changed, as when somebody has logged in anew.
    """

    name: str
    base_url: str
    namespace: str = "default"
    place: str = ""
    context: str = ""
    auth: httpx.Auth | None = field(default=None, repr=False)
    transport: httpx.BaseTransport | None = field(default=None, repr=False)
    annotations: Mapping[str, str] = field(default_factory=dict)
    dialect: Dialect = KUBEFLOW
    prepare: Callable[[PyTorchJob], PyTorchJob] = field(default=_as_it_is, repr=False)
    hints: Mapping[str, str] = field(default_factory=dict, repr=False)
    keeps_logs: bool = False
    examine: Callable[[Rest, str], Iterable[Finding]] | None = field(default=None, repr=False)
    operator: str = ""
    warnings: tuple[str, ...] = ()
    is_outdated: Callable[[], bool] = field(default=lambda: False, repr=False)

    @property
    def full_name(self) -> str:
        """The name with what tells it from others of its name: ``kubernetes (prod)``."""
        return f"{self.name} ({self.place})" if self.place else self.name
