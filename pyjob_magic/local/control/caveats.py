"""What a job asks for that this machine cannot give: said once, never pretended."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from posixpath import normpath
from typing import Any

from pyjob_magic.images import DEFAULT_IMAGE
from pyjob_magic.local.control.operator import Remark
from pyjob_magic.local.kubelet.environment import nproc_per_node, replicas
from pyjob_magic.local.kubelet.projections import PROJECTED
from pyjob_magic.local.kubelet.volumes import mounts
from pyjob_magic.local.objects import QUEUE, Json, containers, labels
from pyjob_magic.local.scheduler import GPU, asks

_LAID_OUT = (*PROJECTED, "emptyDir", "hostPath")
_SOURCE = "pyjob-source"  # what the package mounts for itself
# What a container would have or be held to, and a process does without.
_IGNORED_OF_PODS = (
    "activeDeadlineSeconds",
    "dnsConfig",
    "hostAliases",
    "hostUsers",
    "hostname",
    "priorityClassName",
    "readinessGates",
    "resourceClaims",
    "resources",
    "runtimeClassName",
    "schedulingGates",
    "securityContext",
    "subdomain",
)
_IGNORED_OF_CONTAINERS = (
    "lifecycle",
    "livenessProbe",
    "readinessProbe",
    "restartPolicyRules",
    "securityContext",
    "startupProbe",
    "stdin",
    "tty",
    "volumeDevices",
)
_USUAL = {"dnsPolicy": "ClusterFirst", "schedulerName": "default-scheduler"}
_KEPT_LIMITS = ("cpu", "memory")  # of Kubernetes' own; what has a slash is handed out


def caveats(job: Json, python: Path) -> list[Remark]:
    """Return the warnings about a job: one for each subject, whatever number of replicas."""
    found: dict[tuple[str, str], None] = dict.fromkeys(_of_job(job["spec"]))
    if queue := labels(job).get(QUEUE):
        message = f'there is no Kueue here: jobs of queue "{queue}" are admitted at once'
        found["QueueIgnored", message] = None
    ignored: set[str] = set()
    for spec in job["spec"]["pytorchReplicaSpecs"].values():
        found |= dict.fromkeys(_of(spec["template"], python))
        ignored |= set(_ignored(spec["template"]))
    if ignored:
        message = f"local runs are processes of this machine, without {', '.join(sorted(ignored))}"
        found["FieldsIgnored", message] = None
    return [Remark("Warning", reason, message, once=True) for reason, message in found]


def _of_job(spec: Json) -> Iterator[tuple[str, str]]:
    if (spec.get("elasticPolicy") or {}).get("metrics"):
        yield (
            "AutoscalingIgnored",
            "there is no autoscaler here: elasticPolicy.metrics is left out; scale by hand",
        )
    if _starts_too_many(spec):
        yield (
            "ProcessesOvercommitted",
            "in every replica torchrun starts a process for each CPU of this machine: set "
            "nprocPerNode to a number",
        )
    policy = (spec.get("runPolicy") or {}).get("schedulingPolicy") or {}
    if ignored := sorted(set(policy) - {"minAvailable"}):
        yield (
            "SchedulingPolicyIgnored",
            f"jobs are served in the order in which they come: {', '.join(ignored)} of "
            "schedulingPolicy means nothing here",
        )


def _starts_too_many(spec: Json) -> bool:
    """Whether several replicas leave it to torchrun how many processes to start, without GPUs."""
    specs = spec["pytorchReplicaSpecs"].values()
    nproc = nproc_per_node(spec)
    if sum(map(replicas, specs)) == 1 or nproc is None or nproc.isdecimal():
        return False
    return any(
        _runs_torchrun(container) and not asks(spec["template"]).get(GPU)
        for spec in specs
        for container in containers(spec["template"])
    )


def _runs_torchrun(container: Json) -> bool:
    words = (*(container.get("command") or ()), *(container.get("args") or ()))
    return any(name in word for word in words for name in ("torchrun", "torch.distributed.run"))


def _of(pod: Json, python: Path) -> Iterator[tuple[str, str]]:
    spec = pod["spec"]
    for container in containers(pod):
        image = container.get("image")
        if image not in (None, "", DEFAULT_IMAGE):  # somebody has chosen it
            yield (
                "ImageNotUsed",
                f"local runs use this machine's Python {python}, not image {image}",
            )
    for volume in spec.get("volumes") or ():
        yield from _volume(volume)
    yield from _moved(pod)
    if spec.get("nodeSelector") or spec.get("affinity"):
        yield "NodeSelectorIgnored", "local runs stay on this machine, whatever nodes are selected"
    if spec.get("tolerations"):
        yield "TolerationsIgnored", "this machine has no taints: tolerations mean nothing here"
    account = spec.get("serviceAccountName")
    if account:
        yield (
            "ServiceAccountIgnored",
            f'local runs act as the user who started them, not as service account "{account}"',
        )


def _moved(pod: Json) -> Iterator[tuple[str, str]]:
    """Say where volumes are that programs will look for elsewhere; containers share one root."""
    there: dict[str, str] = {}
    for volume, mount in mounts(pod):
        name, path = mount["name"], mount["mountPath"]
        if not any(kind in volume for kind in _LAID_OUT):
            continue
        first = there.setdefault(normpath(path), name)
        if first != name:
            yield "VolumeNotMounted", f'volume "{name}" is left out: "{first}" is at {path}'
        # The machine has a /dev/shm; the source is looked for in the right place.
        elif path != "/dev/shm" and name != _SOURCE:  # noqa: S108 - a mount
            yield "VolumeElsewhere", f'volume "{name}" is at $PYJOB_ROOT{path}, not at {path}'


def _volume(volume: Json) -> Iterator[tuple[str, str]]:
    name = volume["name"]
    if claim := volume.get("persistentVolumeClaim"):
        yield (
            "VolumeNotMounted",
            f'there are no volume claims here: volume "{name}" (persistentVolumeClaim '
            f'"{claim.get("claimName", "")}") is left out',
        )
    elif host := volume.get("hostPath"):
        if not host.get("type") and not Path(host["path"]).exists():
            yield (
                "VolumeNotMounted",
                f'this machine has no {host["path"]}: volume "{name}" is left out',
            )
    elif projected := volume.get("projected"):
        kinds = {kind for source in projected.get("sources") or () for kind in source}
        if missing := sorted(kinds - {*PROJECTED}):
            yield "VolumeNotMounted", f'volume "{name}" has no {", ".join(missing)} here'
    elif not any(kind in volume for kind in _LAID_OUT):
        kind = next((key for key in volume if key != "name"), "unknown")
        yield "VolumeNotMounted", f'volume "{name}" ({kind}) is left out'


def _ignored(pod: Json) -> Iterator[str]:
    """Name the fields that a container would honour."""
    spec = pod["spec"]
    yield from _given(spec, _IGNORED_OF_PODS)
    yield from (key for key, usual in _USUAL.items() if spec.get(key, usual) not in ("", usual))
    for container in containers(pod):
        yield from _given(container, _IGNORED_OF_CONTAINERS)
        limits = (container.get("resources") or {}).get("limits") or {}
        yield from (f"a limit of {k}" for k in limits if "/" not in k and k not in _KEPT_LIMITS)
    for volume, mount in mounts(pod):
        yield from _given(mount, ("subPathExpr",))
        if mount.get("readOnly") and "hostPath" in volume:
            yield "readOnly of a hostPath"
        empty = volume.get("emptyDir") or {}
        # That of a memory-backed one at /dev/shm is what every job of ours has.
        if empty.get("sizeLimit") and empty.get("medium") != "Memory":
            yield "sizeLimit of an emptyDir"


def _given(obj: Json, fields: tuple[str, ...]) -> Iterator[str]:
    """Name those of the fields that say something."""
    nothing: tuple[Any, ...] = (None, False, "", {}, [])
    yield from (key for key in fields if obj.get(key) not in nothing)
