"""What CCI takes of a pod, checked before anything is sent.

Source: CCI's "Notes and Constraints" and data structures of "Pod", tables 19, 21, 27, 29 and 35.
"""

from __future__ import annotations

from collections.abc import Iterable
from decimal import Decimal
from typing import Any

from pyjob_magic.errors import OptionError
from pyjob_magic.quantity import Quantity
from pyjob_magic.targets.cci import sizes

Wire = dict[str, Any]

DRIVER = "cri.cci.io/gpu-driver"
DRIVERS = ("gpu-460.106", "gpu-418.126")
"""Drivers, for CUDA up to 11.2.2 and 10.1; the first is the default."""

MOST_CONTAINERS = 5

_CLOSED = {
    "nodeSelector": "--node-selector",
    "tolerations": "--toleration",
    "serviceAccountName": "--service-account",
    "serviceAccount": "--service-account",
    "affinity": "affinity",
    "nodeName": "nodeName",
    "schedulerName": "schedulerName",
    "hostNetwork": "hostNetwork",
    "hostPID": "hostPID",
    "hostIPC": "hostIPC",
}
"""Fields of a pod that cannot be set, and how they are typed here."""


def check(template: Wire) -> None:
    """Refuse a pod template, complete with resources, that CCI would not run.

    Raises
    ------
    OptionError
        For the first rule that is broken; it names the option or the field, and what to use.
    """
    spec = template["spec"]
    _check_fields(spec)
    for container in containers(spec):
        _check_container(container)
    _check_count(spec)
    _check_size(template)
    _check_memory_volumes(spec)


def containers(spec: Wire) -> list[Wire]:
    """Return all containers of a pod, those that run first included."""
    return [*(spec.get("initContainers") or []), *spec["containers"]]


def amount(container: Wire, resource: str) -> Decimal:
    """Return how much of a resource a container is limited to; 0 without a limit."""
    limits = (container.get("resources") or {}).get("limits") or {}
    return Quantity(limits.get(resource, 0)).value


def pod_size(spec: Wire, resource: str) -> Decimal:
    """Return a resource of the whole pod: the sum, or what the largest init container needs."""
    first = [amount(container, resource) for container in spec.get("initContainers") or []]
    return max([sum((amount(c, resource) for c in spec["containers"]), Decimal(0)), *first])


def gpu_resource(container: Wire) -> str | None:
    """Return the GPU resource that a container asks for."""
    limits = (container.get("resources") or {}).get("limits") or {}
    return next((name for name in limits if "/gpu" in name), None)


def memory_volumes(spec: Wire) -> Iterable[tuple[Wire, str]]:
    """Yield each volume in memory as its ``emptyDir``, and the option that sets its size."""
    shm = {
        mounted["name"]
        for container in containers(spec)
        for mounted in container.get("volumeMounts") or []
        if mounted.get("mountPath") == "/dev/shm"  # noqa: S108 - a path in the replica
    }
    for volume in spec.get("volumes") or []:
        directory = volume.get("emptyDir") or {}
        if directory.get("medium") == "Memory":
            yield directory, "--shm-size" if volume["name"] in shm else "--mount"


def _check_fields(spec: Wire) -> None:
    for field, option in _CLOSED.items():
        if spec.get(field):
            raise OptionError(option, f"cci lets nobody set {field}; leave it out")
    if spec.get("dnsPolicy") == "Default":
        raise OptionError("dnsPolicy", "cci does not take Default; use ClusterFirst")
    priority = spec.get("priority") or 0
    if not -10 <= priority <= 10:
        near = max(-10, min(10, priority))
        raise OptionError("priority", f"{priority} is not within -10 and 10; use {near}")
    for volume in spec.get("volumes") or []:
        if "hostPath" in volume:
            raise OptionError(
                f"volume {volume['name']!r}", "cci has no hostPath; use --mount pvc:NAME:/path"
            )


def _check_container(container: Wire) -> None:
    name = f"container {container['name']!r}"
    if container.get("imagePullPolicy") not in (None, "Always"):
        raise OptionError(f"imagePullPolicy of {name}", "cci takes only Always")
    if (container.get("securityContext") or {}).get("privileged"):
        raise OptionError(f"privileged of {name}", "cci runs no privileged containers")
    for port in container.get("ports") or []:
        if field := next((key for key in ("hostPort", "hostIP") if port.get(key)), None):
            raise OptionError(f"{field} of {name}", "cci has no ports of hosts; leave it out")
    sizes.check_container(amount(container, "cpu"), amount(container, "memory"))


def _check_count(spec: Wire) -> None:
    count = len(spec["containers"])
    if count > MOST_CONTAINERS:
        raise OptionError("containers", f"a pod on cci has {MOST_CONTAINERS} at most, not {count}")


def _check_size(template: Wire) -> None:
    spec = template["spec"]
    cpu, memory = pod_size(spec, "cpu"), pod_size(spec, "memory")
    users = [container for container in containers(spec) if gpu_resource(container)]
    if not users:
        sizes.check_pod(cpu, memory)
        return
    if len(users) > 1:
        raise OptionError("--gpus", "only one container of a pod on cci may have GPUs")
    resource = gpu_resource(users[0]) or ""
    sizes.check_gpu_size(resource, amount(users[0], resource), cpu, memory)
    driver = ((template.get("metadata") or {}).get("annotations") or {}).get(DRIVER, DRIVERS[0])
    if driver not in DRIVERS:
        raise OptionError(
            "--annotation", f"{DRIVER}: cci has no {driver!r}; use {' or '.join(DRIVERS)}"
        )


def _check_memory_volumes(spec: Wire) -> None:
    half = pod_size(spec, "memory") / 2
    for directory, option in memory_volumes(spec):
        if (size := directory.get("sizeLimit")) and Quantity(size).value > half:
            near = megabytes(half)
            raise OptionError(option, f"{size} is over half of the pod's memory; use {near}")


def megabytes(size: Decimal) -> str:
    """Return a size in bytes as Gi or, if that is not whole, as Mi."""
    whole = size % sizes.GI == 0
    return f"{int(size / sizes.GI)}Gi" if whole else f"{int(size / 2**20)}Mi"
