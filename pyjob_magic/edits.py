"""What each option changes in a manifest.

An edit takes the manifest as the JSON object it is on the wire, and a value that has been checked.
It changes only what the option says, so that it serves a manifest made here and a foreign one.
"""

from __future__ import annotations

import copy
import re
from collections.abc import Callable, Iterator, Mapping
from typing import Any

from pyjob_magic import overlays, payload
from pyjob_magic.errors import ManifestError, OptionError
from pyjob_magic.values import Mount, Toleration

Wire = dict[str, Any]

ACCELERATOR = re.compile(r"/.*(gpu|npu|tpu|ascend|gaudi|neuron|accelerator)", re.IGNORECASE)
"""What resources that count as GPUs are called; others, such as ``rdma/hca``, are none."""
CONTAINER = "pytorch"
"""Name of the container that trains. Source: training-operator v1.9.0, which insists on it."""
QUEUE = "kueue.x-k8s.io/queue-name"
"""Label of a job that names its queue. Source: Kueue v0.10, ``constants.QueueLabel``."""


def replicas(job: Wire) -> dict[str, Wire]:
    """Return the replica specs by type."""
    specs: dict[str, Wire] = job["spec"]["pytorchReplicaSpecs"]
    return specs


def templates(job: Wire) -> Iterator[Wire]:
    """Yield the pod template of each replica type."""
    yield from (spec["template"] for spec in replicas(job).values())


def containers(job: Wire) -> Iterator[Wire]:
    """Yield the container that trains, of each replica type.

    Raises
    ------
    ManifestError
        If a replica type has none.
    """
    for kind, spec in replicas(job).items():
        named = [c for c in spec["template"]["spec"]["containers"] if c["name"] == CONTAINER]
        if not named:
            raise ManifestError(f"{kind} has no container named {CONTAINER!r}; rename the main one")
        yield named[0]


def mount(template: Wire, name: str, volume: Wire, path: str, *, read_only: bool = False) -> None:
    """Add a volume to the template and mount it in the container that trains."""
    spec = template["spec"]
    spec.setdefault("volumes", []).append({"name": name, **volume})
    for container in spec["containers"]:
        if container["name"] == CONTAINER:
            mounts = container.setdefault("volumeMounts", [])
            if any(mounted["mountPath"] == path for mounted in mounts):
                raise OptionError("--mount", f"{path} is mounted already")
            mounts.append(
                {"name": name, "mountPath": path} | ({"readOnly": True} if read_only else {})
            )


def unmount(template: Wire, name: str) -> None:
    """Remove a volume from the template, wherever it is mounted."""
    spec = template["spec"]
    for holder, key in [(spec, "volumes"), *((c, "volumeMounts") for c in spec["containers"])]:
        if key in holder:
            holder[key] = [entry for entry in holder[key] if entry["name"] != name]
            if not holder[key]:
                del holder[key]


def _pod_template(job: Wire, template: Mapping[str, Any]) -> None:
    merged = overlays.pod_template(template, training=CONTAINER)
    for spec in replicas(job).values():
        spec["template"] = overlays.merge_template(spec["template"], merged)


def _workers(job: Wire, workers: int) -> None:
    specs = replicas(job)
    if workers == 0:
        # The webhook denies 0 replicas; to have no Workers is to have no such key.
        specs.pop("Worker", None)
        if not specs:
            raise OptionError("--workers", "0 leaves no replica: the manifest has no Master")
        return
    if "Worker" not in specs:
        specs["Worker"] = copy.deepcopy(specs["Master"])
    specs["Worker"]["replicas"] = workers


def _image(job: Wire, image: str) -> None:
    for container in containers(job):
        container["image"] = image


def _amount_of(resource: str) -> Callable[[Wire, Any], None]:
    def edit(job: Wire, amount: Any) -> None:
        for container in containers(job):
            _set_amount(container, resource, str(amount))

    return edit


def _set_amount(container: Wire, resource: str, amount: str) -> None:
    """Set limit and request alike: what a replica may use is what is set aside for it."""
    resources = container.setdefault("resources", {})
    for key in ("limits", "requests"):
        resources.setdefault(key, {})[resource] = amount


def _gpus(job: Wire, gpus: int) -> None:
    for container in containers(job):
        resource = _gpu_resource(container) or "nvidia.com/gpu"
        if gpus:
            _set_amount(container, resource, str(gpus))
        else:
            _rename(container, resource, None)


def _gpu_name(job: Wire, resource: str) -> None:
    for container in containers(job):
        known = _gpu_resource(container)
        if known is None:
            raise OptionError("--gpu-resource", "names no GPUs as none are asked for; add --gpus N")
        _rename(container, known, resource)


def _gpu_resource(container: Wire) -> str | None:
    limits = container.get("resources", {}).get("limits", {})
    return next((name for name in limits if ACCELERATOR.search(name)), None)


def _rename(container: Wire, resource: str, new: str | None) -> None:
    for amounts in container.get("resources", {}).values():
        amount = amounts.pop(resource, None)
        if new and amount is not None:
            amounts[new] = amount


def _shm_size(job: Wire, size: str) -> None:
    for template in templates(job):
        names = {
            mounted["name"]
            for container in template["spec"]["containers"]
            for mounted in container.get("volumeMounts", [])
            if mounted["mountPath"] == "/dev/shm"  # noqa: S108 - a path in the replica
        }
        volumes = [v for v in template["spec"].get("volumes", []) if v["name"] in names]
        for volume in volumes:
            volume.update(_memory(size))
        if not volumes:
            mount(template, "dshm", _memory(size), "/dev/shm")  # noqa: S108 - as above


def _memory(size: str) -> Wire:
    return {"emptyDir": {"medium": "Memory", "sizeLimit": str(size)}}


def _pull_secrets(job: Wire, names: list[str]) -> None:
    _pod_field("imagePullSecrets")(job, [{"name": name} for name in names])


def _restart_policy(job: Wire, policy: str) -> None:
    for spec in replicas(job).values():
        spec["restartPolicy"] = policy


def _run_policy(key: str) -> Callable[[Wire, Any], None]:
    def edit(job: Wire, value: Any) -> None:
        job["spec"].setdefault("runPolicy", {})[key] = value

    return edit


def _queue(job: Wire, queue: str) -> None:
    job.setdefault("metadata", {}).setdefault("labels", {})[QUEUE] = queue
    _run_policy("suspend")(job, True)  # Kueue resumes it when it is admitted


def _nproc(job: Wire, nproc: str) -> None:
    job["spec"]["nprocPerNode"] = nproc


def _env(job: Wire, env: Mapping[str, str]) -> None:
    for container in containers(job):
        kept = [variable for variable in container.get("env", []) if variable["name"] not in env]
        said = [{"name": name, "value": payload.literal(text)} for name, text in env.items()]
        container["env"] = kept + said


def _metadata(key: str) -> Callable[[Wire, Mapping[str, str]], None]:
    def edit(job: Wire, pairs: Mapping[str, str]) -> None:
        for holder in (job, *templates(job)):
            holder.setdefault("metadata", {}).setdefault(key, {}).update(pairs)

    return edit


def _pod_field(key: str) -> Callable[[Wire, Any], None]:
    def edit(job: Wire, value: Any) -> None:
        for template in templates(job):
            template["spec"][key] = copy.deepcopy(value)

    return edit


def _node_selector(job: Wire, labels: Mapping[str, str]) -> None:
    for template in templates(job):
        template["spec"].setdefault("nodeSelector", {}).update(labels)


def _tolerations(job: Wire, tolerations: list[Toleration]) -> None:
    _pod_field("tolerations")(job, [_toleration(each) for each in tolerations])


def _toleration(said: Toleration) -> dict[str, str]:
    operator = "Exists" if said.value is None else "Equal"
    optional = {"value": said.value, "effect": said.effect}
    return {"key": said.key, "operator": operator} | {k: v for k, v in optional.items() if v}


def _mounts(job: Wire, mounts: list[Mount]) -> None:
    for template in templates(job):
        for said in mounts:
            taken = {volume["name"] for volume in template["spec"].get("volumes", [])}
            name = next(n for i in range(len(taken) + 1) if (n := f"mount-{i}") not in taken)
            mount(template, name, _volume(said), said.path, read_only=said.read_only)


def _volume(said: Mount) -> Wire:
    match said.kind:
        case "pvc":
            return {"persistentVolumeClaim": {"claimName": said.source}}
        case "secret":
            return {"secret": {"secretName": said.source}}
        case "configmap":
            return {"configMap": {"name": said.source}}
        case _:
            return _memory(said.source)


def _args(job: Wire, args: list[str]) -> None:
    for container in containers(job):
        container["args"] = [payload.literal(arg) for arg in args]


EDITS: dict[str, Callable[[Wire, Any], None]] = {
    "pod_template": _pod_template,  # first: options win over it
    "workers": _workers,  # early: the copy of the Master must get the other options too
    "image": _image,
    "cpu": _amount_of("cpu"),
    "memory": _amount_of("memory"),
    "gpus": _gpus,
    "gpu_resource": _gpu_name,  # after gpus: renames what that has set
    "shm_size": _shm_size,
    "pull_secrets": _pull_secrets,
    "restart_policy": _restart_policy,
    "backoff_limit": _run_policy("backoffLimit"),
    "timeout": _run_policy("activeDeadlineSeconds"),
    "ttl": _run_policy("ttlSecondsAfterFinished"),
    "clean_pods": _run_policy("cleanPodPolicy"),
    "suspend": _run_policy("suspend"),
    "nproc_per_node": _nproc,
    "env": _env,
    "labels": _metadata("labels"),
    "annotations": _metadata("annotations"),
    "queue": _queue,  # after suspend and labels: it sets both
    "priority_class": _pod_field("priorityClassName"),
    "service_account": _pod_field("serviceAccountName"),
    "node_selector": _node_selector,
    "tolerations": _tolerations,
    "mounts": _mounts,
    "args": _args,
}
"""By field of `JobOptions`, in the order in which they are applied."""
