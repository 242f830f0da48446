"""What a job asks for that this machine cannot give: said once, never pretended."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from pyjob_magic.local.environment import nproc_per_node, replicas
from pyjob_magic.local.objects import Json
from pyjob_magic.local.operator import Remark
from pyjob_magic.local.scheduler import GPU, asks
from pyjob_magic.local.volumes import containers

_LAID_OUT = ("configMap", "emptyDir", "hostPath")
_SOURCE = "pyjob-source"  # what the package mounts for itself


def caveats(job: Json, python: Path) -> list[Remark]:
    """Return the warnings about a job: one for each subject, whatever number of replicas."""
    found: dict[tuple[str, str], None] = dict.fromkeys(_of_job(job["spec"]))
    for spec in job["spec"]["pytorchReplicaSpecs"].values():
        found |= dict.fromkeys(_of(spec["template"], python))
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
        if image:
            yield (
                "ImageNotUsed",
                f"local runs use this machine's Python {python}, not image {image}",
            )
        for name in _secrets(container):
            yield "SecretNotFound", f'there are no secrets here: secret "{name}" is left out'
    for volume in spec.get("volumes") or ():
        yield from _volume(volume)
    yield from _moved(spec)
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


def _moved(spec: Json) -> Iterator[tuple[str, str]]:
    """Say where volumes are that programs will look for elsewhere."""
    laid_out = {
        volume["name"]
        for volume in spec.get("volumes") or ()
        if any(kind in volume for kind in _LAID_OUT)
    }
    for container in spec.get("containers") or ():
        for mount in container.get("volumeMounts") or ():
            name, path = mount["name"], mount["mountPath"]
            # The machine has a /dev/shm; the source is looked for in the right place.
            if name in laid_out and path != "/dev/shm" and name != _SOURCE:  # noqa: S108 - a mount
                yield "VolumeElsewhere", f'volume "{name}" is at $PYJOB_ROOT{path}, not at {path}'


def _secrets(container: Json) -> Iterator[str]:
    for entry in container.get("env") or ():
        if ref := (entry.get("valueFrom") or {}).get("secretKeyRef"):
            yield ref.get("name", "")
    for entry in container.get("envFrom") or ():
        if ref := entry.get("secretRef"):
            yield ref.get("name", "")


def _volume(volume: Json) -> Iterator[tuple[str, str]]:
    name = volume["name"]
    if claim := volume.get("persistentVolumeClaim"):
        yield (
            "VolumeNotMounted",
            f'there are no volume claims here: volume "{name}" (persistentVolumeClaim '
            f'"{claim.get("claimName", "")}") is left out',
        )
    elif secret := volume.get("secret"):
        yield (
            "VolumeNotMounted",
            f'there are no secrets here: volume "{name}" (secret '
            f'"{secret.get("secretName", "")}") is left out',
        )
    elif host := volume.get("hostPath"):
        if not Path(host["path"]).exists():
            yield (
                "VolumeNotMounted",
                f'this machine has no {host["path"]}: volume "{name}" is left out',
            )
    elif not any(kind in volume for kind in _LAID_OUT):
        kind = next((key for key in volume if key != "name"), "unknown")
        yield "VolumeNotMounted", f'volume "{name}" ({kind}) is left out'
