"""Pure: from what a server answers to what it means for PyTorchJobs, and how to mend it."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import yaml

from pyjob_magic.edits import ACCELERATOR
from pyjob_magic.findings import Finding, State
from pyjob_magic.models import PyTorchJob
from pyjob_magic.quantity import Quantity

Json = Mapping[str, Any]

OPERATOR_NAMESPACE = "kubeflow"
"""Where the operator runs unless somebody moved it. Source: its overlay ``standalone``, v1.9.0."""
OPERATOR_LABEL = "control-plane=kubeflow-training-operator"
"""Label of its Deployment. Source: ``manifests/base/deployment.yaml``, v1.9.0."""
ANONYMOUS = "system:anonymous"
"""Name of whoever has sent no credentials. Source: ``k8s.io/apiserver``, ``user.Anonymous``."""
LEASE = "1ca428e5.training-operator.kubeflow.org"
"""Lease of the operator that leads, where it is started with ``--leader-elect``.

Source: ``cmd/training-operator.v1/main.go``, v1.9.0.
"""

_INSTALL = "install Kubeflow training-operator 1.9 in the cluster"
_RBAC = "rbac.authorization.k8s.io"
_SILENT = 60  # seconds after which a job without a status is nobody's


@dataclass(frozen=True)
class Right:
    """What one has to be allowed to do with a resource, and what it is good for."""

    check: str
    resource: str
    verbs: tuple[str, ...]
    group: str = ""
    subresource: str = ""
    lack: State = "fail"  # what it means not to have it
    purpose: str = ""

    def attributes(self, namespace: str, verb: str) -> dict[str, str]:
        """Return what a SelfSubjectAccessReview asks about."""
        asked = {"namespace": namespace, "verb": verb, "resource": self.resource}
        optional = {"group": self.group, "subresource": self.subresource}
        return asked | {key: text for key, text in optional.items() if text}

    @property
    def name(self) -> str:
        """How a Role names the resource."""
        return f"{self.resource}/{self.subresource}" if self.subresource else self.resource


RIGHTS = (
    Right("may create jobs", "pytorchjobs", ("create",), "kubeflow.org"),
    Right(
        "may look after jobs",
        "pytorchjobs",
        ("get", "list", "watch", "patch", "delete"),
        "kubeflow.org",
    ),
    Right("may read pods", "pods", ("get", "list", "watch"), purpose="replicas and their ends"),
    Right("may read logs", "pods", ("get",), subresource="log", lack="warn"),
    Right("may read events", "events", ("list",), lack="warn", purpose="why a job waits"),
    Right(
        "may create ConfigMaps",
        "configmaps",
        ("create", "get"),
        lack="warn",
        purpose="cells of more than 98,298 bytes",
    ),
)


def right(asked: Right, denied: Mapping[str, str]) -> Finding:
    """Judge a right by the verbs that were `denied`, each with the server's reason."""
    if not denied:
        return Finding(asked.check, "ok", "yes")
    reasons = "; ".join(dict.fromkeys(filter(None, denied.values())))
    lost = f" ({asked.purpose})" if asked.purpose else ""
    return Finding(
        asked.check,
        asked.lack,
        f"no: {', '.join(denied)} {asked.name} is not allowed{lost}"
        + (f": {reasons}" if reasons else ""),
        "ask for the Role below",
    )


def role(namespace: str, denied: Mapping[Right, Iterable[str]], user: str = "") -> str:
    """Return the Role that is missing, as YAML for whoever may grant it; empty if none is.

    With a RoleBinding for the `user`, if it is known who that is.
    """
    by_resource: dict[tuple[str, str], list[str]] = {}
    for asked, verbs in denied.items():
        by_resource.setdefault((asked.group, asked.name), []).extend(verbs)
    if not by_resource:
        return ""
    rules = [
        {"apiGroups": [group], "resources": [name], "verbs": verbs}
        for (group, name), verbs in by_resource.items()
    ]
    whole = {
        "apiVersion": f"{_RBAC}/v1",
        "kind": "Role",
        "metadata": {"name": "pyjob-magic", "namespace": namespace},
        "rules": rules,
    }
    binding = {
        **whole,
        "kind": "RoleBinding",
        "roleRef": {"apiGroup": _RBAC, "kind": "Role", "name": "pyjob-magic"},
        "subjects": [_subject(user)],
    }
    del binding["rules"]
    documents = [whole, binding] if user else [whole]
    return str(yaml.safe_dump_all(documents, sort_keys=False, default_flow_style=None))


def _subject(user: str) -> dict[str, str]:
    if user.startswith("system:serviceaccount:"):
        namespace, name = user.split(":")[2:]
        return {"kind": "ServiceAccount", "name": name, "namespace": namespace}
    return {"kind": "User", "name": user, "apiGroup": _RBAC}


def transport(url: str, warnings: Sequence[str]) -> Finding:
    """Judge whether anybody can listen in."""
    if warnings:
        remedy = "give the kubeconfig the cluster's CA" if url.startswith("https:") else "use https"
        return Finding("TLS", "warn", "; ".join(warnings), remedy)
    if url.startswith("https:"):
        return Finding("TLS", "ok", "the server's certificate is checked")
    if re.match(r"http://(localhost|127\.|\[::1\])", url):
        return Finding("TLS", "ok", "none, as it does not leave this machine")
    return Finding("TLS", "warn", "none: anybody on the way can read along", "use https")


def identity(user: str, groups: Sequence[str], *, sent: bool) -> Finding:
    """Judge who we are for the server.

    Parameters
    ----------
    user, groups
        What it calls us; empty if it does not tell.
    sent
        Whether credentials were sent.
    """
    if not user:
        return Finding("who am I", "unknown", "the server does not tell")
    if user == ANONYMOUS:
        if sent:
            return Finding("who am I", "fail", "nobody: the server does not know the credentials")
        return Finding("who am I", "fail", "nobody: no credentials were sent", "add them")
    told = f", in {', '.join(groups)}" if groups else ""
    return Finding("who am I", "ok", f"{user}{told}")


def named(refusal: str) -> str:
    """Return the user that a refusal names, or nothing: so tell servers too old to be asked."""
    found = re.search(r'User "([^"]+)"', refusal)
    return found[1] if found else ""


def version(info: Json) -> Finding:
    """Judge the server's version; what it must be able to do is 10 years old."""
    return Finding("server version", "ok", str(info.get("gitVersion") or "not said"))


def resource(group: Json | None) -> Finding:
    """Judge the resources of ``kubeflow.org/v1``; None if the group is not served."""
    check = "PyTorchJob resource"
    served = {entry.get("name") for entry in (group or {}).get("resources", [])}
    if "pytorchjobs" not in served:
        what = "kubeflow.org/v1 is served, but without PyTorchJobs" if group else "not there"
        return Finding(check, "fail", what, _INSTALL)
    parts = [name for name in ("status", "scale") if f"pytorchjobs/{name}" in served]
    with_parts = f" with {' and '.join(parts)}" if parts else ""
    return Finding(check, "ok", f"kubeflow.org/v1{with_parts}")


def operator(
    leases: Sequence[Json],
    deployments: Sequence[Json],
    jobs: Sequence[PyTorchJob],
    now: datetime,
) -> Finding:
    """Judge whether somebody reacts to jobs, by all that can be seen.

    What the jobs show counts most: a Deployment may be that of an operator for other namespaces,
    and a lease may be left over.
    """
    check, silent, handled = "operator", [], []
    for job in jobs:
        age = _age(job.metadata.creation_timestamp, now)
        if job.status.current:
            handled.append(job)
        elif age is not None and age > _SILENT and not job.metadata.deletion_timestamp:
            silent.append(job)
    newest = max(handled, key=_created, default=None)
    for job in silent:
        if newest is None or _created(job) > _created(newest):
            return Finding(
                check,
                "fail",
                f"nobody has reacted to {job.name!r} since {job.metadata.creation_timestamp}",
                f"see whether the operator runs; else {_INSTALL}",
            )
    signs = [_deployed(each) for each in deployments] or [_leading(each, now) for each in leases]
    if signs and not any(alive for alive, _ in signs):
        told = "; ".join(sign for _, sign in signs)
        return Finding(check, "fail", told, "have the operator mended or started")
    if newest is not None:
        state = newest.status.state
        signs.append((True, f"it has reacted to {newest.name!r} ({state})"))
    if not signs:
        return Finding(
            check,
            "unknown",
            "no sign of one: its Deployment cannot be seen, and no job is here to tell",
            "submit a job; if it stays Submitted, there is none",
        )
    return Finding(check, "ok", "; ".join(sign for _, sign in signs))


def _deployed(deployment: Json) -> tuple[bool, str]:
    """Return whether an operator is there to react, and what says so."""
    containers = deployment["spec"]["template"]["spec"]["containers"]
    images = ", ".join(str(container.get("image")) for container in containers)
    ready = deployment.get("status", {}).get("availableReplicas", 0)
    return ready > 0, f"{images}, {ready} available"


def _leading(lease: Json, now: datetime) -> tuple[bool, str]:
    spec = lease.get("spec", {})
    age = _age(spec.get("renewTime"), now)
    if age is None:
        return False, "its lease was never renewed"
    # Clocks differ; an operator renews every few seconds.
    alive = age < max(60, 4 * (spec.get("leaseDurationSeconds") or 15))
    return alive, f"lease renewed {max(0, round(age))} s ago by {spec.get('holderIdentity')}"


def acceptance(refusal: str | None) -> Finding:
    """Judge the dry run of a small job: what all of admission, its webhooks too, says to it."""
    if refusal is None:
        return Finding("a job on trial", "ok", "accepted (nothing was created)")
    webhook = "failed calling webhook" in refusal
    remedy = "the operator's webhook does not answer: have it started" if webhook else ""
    return Finding("a job on trial", "fail", refusal, remedy)


def quotas(items: Sequence[Json]) -> Finding:
    """Judge the ResourceQuotas of the namespace by what they leave."""
    if not items:
        return Finding("quota", "ok", "none")
    left, full = [], []
    for quota in items:
        for name, used, limit in used_of(quota):
            left.append(f"{name}: {used} of {limit} used")
            if used.value >= limit.value:
                full.append(name)
    if full:
        remedy = f"nothing is left of {', '.join(full)}: delete jobs or ask for more"
        return Finding("quota", "warn", "; ".join(left), remedy)
    return Finding("quota", "ok", "; ".join(left))


def used_of(quota: Json) -> Iterator[tuple[str, Quantity, Quantity]]:
    """Yield for each resource of a ResourceQuota how much is used, and of how much."""
    status = quota.get("status") or {}
    hard = status.get("hard") or quota.get("spec", {}).get("hard") or {}
    for name, limit in hard.items():
        yield name, Quantity((status.get("used") or {}).get(name, "0")), Quantity(limit)


def accelerators(nodes: Sequence[Json]) -> Finding:
    """Judge which GPUs nodes offer, and how they are called."""
    offered: Counter[str] = Counter()
    carriers: Counter[str] = Counter()
    for node in nodes:
        for name, amount in gpus(node).items():
            offered[name] += int(amount.value)
            carriers[name] += 1
    if not offered:
        return Finding("GPUs", "ok", f"none on {_counted(len(nodes), 'node')}")
    told = [f"{n} {name} on {_counted(carriers[name], 'node')}" for name, n in offered.items()]
    others = [name for name in offered if name != "nvidia.com/gpu"]
    remedy = f"--gpu-resource {others[0]}" if len(others) == len(offered) else ""
    return Finding("GPUs", "ok", "; ".join(told), remedy)


def allocatable(node: Json) -> dict[str, Quantity]:
    """Return what a node has for pods, by resource."""
    amounts = node.get("status", {}).get("allocatable") or {}
    return {name: Quantity(amount) for name, amount in amounts.items()}


def gpus(node: Json) -> dict[str, Quantity]:
    """Return the GPUs that a node has for pods, by what they are called there."""
    amounts = allocatable(node)
    return {n: a for n, a in amounts.items() if ACCELERATOR.search(n) and a.value > 0}


def pull_secrets(there: Sequence[str], wanted: Sequence[str]) -> Finding:
    """Judge whether the secrets to pull images with are there, by name."""
    missing = [name for name in wanted if name not in there]
    if missing:
        kind = "docker-registry"
        return Finding(
            "pull secrets",
            "fail",
            f"{', '.join(missing)} is not there; there are {', '.join(there) or 'none'}",
            f"kubectl create secret {kind} {missing[0]} ...",
        )
    return Finding("pull secrets", "ok", ", ".join(wanted or there) or "none")


def queues(items: Sequence[Json]) -> Finding:
    """Judge the LocalQueues of Kueue."""
    names = [str(item.get("metadata", {}).get("name")) for item in items]
    remedy = f"--queue {names[0]}" if names else "ask for a LocalQueue, if jobs are to wait in one"
    return Finding("queues", "ok", ", ".join(names) or "Kueue is there, but no LocalQueue", remedy)


def _created(job: PyTorchJob) -> str:
    return job.metadata.creation_timestamp or ""


def _age(time: str | None, now: datetime) -> float | None:
    return None if not time else (now - datetime.fromisoformat(time)).total_seconds()


def _counted(number: int, noun: str) -> str:
    return f"{number} {noun}{'' if number == 1 else 's'}"
