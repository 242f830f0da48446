"""Looks at a target the way a person would who wants to know why jobs do not run there."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from functools import partial
from typing import Any

from pyjob_magic import checks
from pyjob_magic.checks import RIGHTS, Json, Right
from pyjob_magic.errors import (
    ApiError,
    ForbiddenError,
    NotFoundError,
    PyJobError,
    TargetError,
    UnauthorizedError,
)
from pyjob_magic.findings import Finding
from pyjob_magic.looks import Looks
from pyjob_magic.models import PyTorchJob
from pyjob_magic.target import Target

_SECONDS = 10.0  # for each answer
_REVIEW = {"kind": "SelfSubjectAccessReview", "apiVersion": "authorization.k8s.io/v1"}


@dataclass(frozen=True)
class Report:
    """What was found, and what to ask for where rights are missing.

    Parameters
    ----------
    findings
        One for each thing that was looked at.
    role
        The Role that is missing, as YAML; empty if none is.
    """

    findings: tuple[Finding, ...]
    role: str = ""


def examine(
    target: Target, namespace: str, *, now: datetime, pull_secrets: Sequence[str] = ()
) -> Report:
    """Look at `target` with the eyes of whoever would submit to `namespace`.

    A check that fails says so in its line; the others are made all the same, unless nothing
    answers at all.

    Parameters
    ----------
    now
        The time, for the ages of leases and jobs.
    pull_secrets
        Names of the secrets that images are to be pulled with.
    """
    with _Examination(target, namespace, now, pull_secrets) as examination:
        return Report(tuple(examination.findings()), examination.role())


@dataclass
class _Examination:
    target: Target
    namespace: str
    now: datetime
    pull_secrets: Sequence[str]
    denied: dict[Right, list[str]] = field(default_factory=dict)
    user: str = ""  # as the server calls us, where it tells

    def __enter__(self) -> _Examination:
        # Connections of its own: how they come about is part of what is looked at.
        self.looks = Looks(self.target, self.namespace, _SECONDS)
        return self

    def __exit__(self, *_: object) -> None:
        self.looks.close()

    def findings(self) -> Iterator[Finding]:
        where = self.target.full_name
        yield Finding("target", "ok", f"{where}, namespace {self.namespace}")
        if self.target.examine:
            yield checks.transport(self.target.base_url, self.target.warnings)
            try:
                yield from self.target.examine(self.looks.rest, self.namespace)
            except Exception as error:
                yield _unseen("what else there is", error)
            return
        reachable = self._safely("reachable", self._reach)
        yield from reachable
        if any(finding.state == "fail" for finding in reachable):
            return
        yield checks.transport(self.target.base_url, self.target.warnings)
        known = self._safely("who am I", self._identity)
        yield from known
        if any(finding.state == "fail" for finding in known):
            return  # nobody would be told anything
        looks: list[tuple[str, Callable[[], Finding | None]]] = [
            ("server version", lambda: checks.version(self.looks.ask("GET", "/version"))),
            ("PyTorchJob resource", self._resource),
            ("namespace", self._namespace),
            ("operator", self._operator),
            *((right.check, partial(self._right, right)) for right in RIGHTS),
            ("a job on trial", self._trial),
            ("quota", lambda: checks.quotas(self.looks.quotas())),
            ("GPUs", lambda: checks.accelerators(self.looks.nodes())),
            ("pull secrets", self._pull_secrets),
            ("queues", self._queues),
        ]
        for name, look in looks:
            yield from self._safely(name, look)

    def role(self) -> str:
        return checks.role(self.namespace, self.denied, self.user)

    def _safely(self, name: str, look: Callable[[], Finding | None]) -> list[Finding]:
        """Return what a look has found; that it could not look is a finding too."""
        try:
            finding = look()
        except Exception as error:
            return [_unseen(name, error)]
        return [finding] if finding else []

    # -- the looks ----------------------------------------------------------------------------

    def _reach(self) -> Finding:
        started = time.perf_counter()
        try:
            self.looks.ask("GET", "/version")
        except ApiError as error:
            if error.code not in (401, 403):
                return Finding("reachable", "fail", str(error), "is this a Kubernetes API?")
        except TargetError as error:
            # What lasts has said itself what to do.
            remedy = "check address, network and VPN" if error.passing else ""
            return Finding("reachable", "fail", str(error), remedy)
        milliseconds = 1000 * (time.perf_counter() - started)
        return Finding(
            "reachable", "ok", f"{self.target.base_url} answers in {milliseconds:.0f} ms"
        )

    def _identity(self) -> Finding:
        review = {"apiVersion": "authentication.k8s.io/v1", "kind": "SelfSubjectReview"}
        path = "/apis/authentication.k8s.io/v1/selfsubjectreviews"
        groups: list[str] = []
        try:
            info = self._post(path, review)["status"]["userInfo"]
            self.user, groups = str(info.get("username", "")), info.get("groups") or []
        except UnauthorizedError as error:
            remedy = "renew the credentials of this target"
            return Finding("who am I", "fail", f"not accepted: {error.message}", remedy)
        except (NotFoundError, ForbiddenError) as error:  # before Kubernetes 1.28
            self.user = checks.named(error.message)
        return checks.identity(self.user, groups, sent=self.target.auth is not None)

    def _resource(self) -> Finding:
        return checks.resource(self.looks.get_or_none("/apis/kubeflow.org/v1"))

    def _namespace(self) -> Finding:
        if self.looks.get_or_none(f"/api/v1/namespaces/{self.namespace}") is None:
            remedy = f"say another one with -n, or kubectl create namespace {self.namespace}"
            return Finding("namespace", "fail", f"there is no namespace {self.namespace!r}", remedy)
        return Finding("namespace", "ok", self.namespace)

    def _operator(self) -> Finding:
        if self.target.operator:
            return Finding("operator", "ok", self.target.operator)
        name = {"fieldSelector": f"metadata.name={checks.LEASE}"}
        leases = self._anywhere("/apis/coordination.k8s.io/v1", "leases", name)
        label = {"labelSelector": checks.OPERATOR_LABEL}
        deployments = self._anywhere("/apis/apps/v1", "deployments", label)
        try:
            jobs = [self.target.dialect.decode(job) for job in self.looks.items(self._jobs)]
        except ForbiddenError:
            jobs = []
        return checks.operator(leases, deployments, jobs, self.now)

    def _right(self, right: Right) -> Finding:
        denied: dict[str, str] = {}
        for verb in right.verbs:
            asked = {"resourceAttributes": right.attributes(self.namespace, verb)}
            path = "/apis/authorization.k8s.io/v1/selfsubjectaccessreviews"
            status = self._post(path, {**_REVIEW, "spec": asked})["status"]
            if not status.get("allowed"):
                denied[verb] = status.get("reason") or status.get("evaluationError") or ""
        if denied:
            self.denied[right] = list(denied)
        return checks.right(right, denied)

    def _trial(self) -> Finding | None:
        dialect = self.target.dialect
        if not dialect.dry_runs or any(right.resource == "pytorchjobs" for right in self.denied):
            return None
        query = {**dialect.creation, "dryRun": "All"}
        try:
            self.looks.ask("POST", self._jobs, json=dialect.encode(_SMALL), params=query)
        except ApiError as error:
            return checks.acceptance(error.message)
        return checks.acceptance(None)

    def _pull_secrets(self) -> Finding:
        return checks.pull_secrets(self.looks.pull_secrets(), self.pull_secrets)

    def _queues(self) -> Finding | None:
        queues = self.looks.queues()
        return None if queues is None else checks.queues(queues)

    @property
    def _jobs(self) -> str:
        return f"/apis/kubeflow.org/v1/namespaces/{self.namespace}/pytorchjobs"

    # -- asking -------------------------------------------------------------------------------

    def _anywhere(self, group: str, plural: str, selector: Mapping[str, str]) -> list[Json]:
        """Return objects of the whole cluster, or of where the operator usually is."""
        for place in ("", f"/namespaces/{checks.OPERATOR_NAMESPACE}"):
            try:
                return self.looks.items(f"{group}{place}/{plural}", selector)
            except ForbiddenError:
                continue
        return []

    def _post(self, path: str, body: Json) -> Any:
        return self.looks.ask("POST", path, json=body)


def _unseen(name: str, error: Exception) -> Finding:
    if isinstance(error, ForbiddenError):
        return Finding(name, "unknown", "not allowed to look")
    if isinstance(error, PyJobError):
        return Finding(name, "unknown", str(error))
    # What answered is no API server, or a strange one.
    reason = " ".join(f"{type(error).__name__}: {error}".split())[:200]
    return Finding(name, "unknown", f"what came back makes no sense: {reason}")


_SMALL = PyTorchJob.from_wire(
    {
        "metadata": {"name": "pyjob-magic-doctor"},
        "spec": {
            "pytorchReplicaSpecs": {
                "Master": {
                    "replicas": 1,
                    "restartPolicy": "Never",
                    "template": {"spec": {"containers": [{"name": "pytorch", "image": "python"}]}},
                }
            }
        },
    }
)
