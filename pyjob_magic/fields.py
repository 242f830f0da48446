"""Fields of a PyTorchJob: which option sets one, and which ones a server has dropped."""

from __future__ import annotations

import re
from typing import Any

from pyjob_magic.edits import ACCELERATOR, CONTAINER, QUEUE, Wire
from pyjob_magic.options import CellOptions, flag, options

# Servers write a[Master].b, a.Master.b and .a.Master.b; all are read as a.Master.b.
_BRACKETS = re.compile(r"\[\"?([^]\"]*)\"?]")
_TEMPLATE = re.compile(r"spec\.pytorchReplicaSpecs\.(\w+)\.template\.(.+)")
_LISTED = re.compile(r"spec\.(containers|volumes)\.([^.]+)(?:\.(.+))?")
_MOUNTED = re.compile(r"volumeMounts\.(\d+)")
_OF_JOBS = {
    r"metadata\.name": "name",
    r"metadata\.namespace": "namespace",
    rf"metadata\.labels\.{re.escape(QUEUE)}": "queue",
    r"metadata\.labels": "labels",
    r"metadata\.annotations": "annotations",
    r"spec\.nprocPerNode": "nproc_per_node",
    # CCI has these without the runPolicy.
    r"spec\.(runPolicy\.)?backoffLimit": "backoff_limit",
    r"spec\.(runPolicy\.)?activeDeadlineSeconds": "timeout",
    r"spec\.(runPolicy\.)?ttlSecondsAfterFinished": "ttl",
    r"spec\.(runPolicy\.)?cleanPodPolicy": "clean_pods",
    r"spec\.(runPolicy\.)?suspend": "suspend",
    r"spec\.pytorchReplicaSpecs\.Worker\.replicas": "workers",
    r"spec\.pytorchReplicaSpecs\.\w+\.restartPolicy": "restart_policy",
}
_OF_TEMPLATES = {
    r"metadata\.labels": "labels",
    r"metadata\.annotations": "annotations",
    r"spec\.serviceAccountName": "service_account",
    r"spec\.nodeSelector": "node_selector",
    r"spec\.tolerations": "tolerations",
    r"spec\.imagePullSecrets": "pull_secrets",
    r"spec\.priorityClassName": "priority_class",
}
_OF_CONTAINERS = {
    r"image": "image",
    r"env": "env",
    r"args": "args",
    r"resources\.(limits|requests)\.cpu": "cpu",
    r"resources\.(limits|requests)\.memory": "memory",
    rf"resources\.(limits|requests)\.[^/]*{ACCELERATOR.pattern}\w*": "gpus",
}


def option_of(path: str, job: Wire) -> str | None:
    """Return the option, as typed, that sets the field at `path` of `job`; None if none does.

    Parameters
    ----------
    path
        As servers write it: ``spec.pytorchReplicaSpecs[Master].template.spec.nodeSelector``.
    job
        The job as it was sent, to know which container or volume an index means.
    """
    field = _field(_BRACKETS.sub(r".\1", path).strip("."), job)
    if field == "args":
        return "--"
    return flag(field, options(CellOptions)[field]) if field else None


def lost(sent: Any, stored: Any, path: str = "") -> list[str]:
    """Return the paths of what was `sent` and is not in what is `stored`."""
    if isinstance(sent, dict) and isinstance(stored, dict):
        parts = [(f"{path}.{key}".lstrip("."), sent[key], stored.get(key)) for key in sent]
    elif isinstance(sent, list) and isinstance(stored, list) and len(sent) == len(stored):
        pairs = enumerate(zip(sent, stored, strict=True))
        parts = [(f"{path}[{index}]", *pair) for index, pair in pairs]
    else:
        return []
    found: list[str] = []
    for place, value, kept in parts:
        found += [place] if value is not None and kept is None else lost(value, kept, place)
    return found


def _field(path: str, job: Wire) -> str | None:
    inner = _TEMPLATE.fullmatch(path)
    if inner is None:
        return _find(_OF_JOBS, path)
    kind, path = inner.groups()
    pod = job["spec"]["pytorchReplicaSpecs"].get(kind, {}).get("template", {}).get("spec", {})
    if (listed := _LISTED.fullmatch(path)) is None:
        return _find(_OF_TEMPLATES, path)
    plural, which, rest = listed.groups()
    entry = _entry(pod.get(plural, []), which)
    if plural == "volumes":
        return _of_volume(str(entry.get("name")), pod)
    if entry.get("name") != CONTAINER or rest is None:
        return None
    if mounted := _MOUNTED.match(rest):
        mount = _entry(entry.get("volumeMounts", []), mounted[1])
        return _of_volume(str(mount.get("name")), pod)
    return _find(_OF_CONTAINERS, rest)


def _find(fields: dict[str, str], path: str) -> str | None:
    """Return the option for a field, or for what is inside of it."""
    return next((option for p, option in fields.items() if re.match(rf"{p}(\.|$)", path)), None)


def _entry(entries: list[Wire], which: str) -> Wire:
    """Return the entry of a list by index or name."""
    if which.isdecimal():
        return entries[int(which)] if int(which) < len(entries) else {}
    return next((entry for entry in entries if entry.get("name") == which), {})


def _of_volume(name: str, pod: Wire) -> str | None:
    mounts: list[Any] = [
        mount
        for container in pod.get("containers", ())
        for mount in container.get("volumeMounts", ())
        if mount["name"] == name
    ]
    if any(mount["mountPath"] == "/dev/shm" for mount in mounts):  # noqa: S108 - in the replica
        return "shm_size"
    return "mounts" if re.fullmatch(r"mount-\d+", name) else None
