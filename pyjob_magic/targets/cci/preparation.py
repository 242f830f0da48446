"""What a job gets before it is shown or sent: all that CCI insists on and nobody has to say."""

from __future__ import annotations

import re
from typing import Any

from pyjob_magic.dialects import CCI
from pyjob_magic.errors import OptionError
from pyjob_magic.models import PyTorchJob
from pyjob_magic.quantity import Quantity
from pyjob_magic.targets.cci import podrules, sizes

Wire = dict[str, Any]

PULL_SECRET = "imagepull-secret"  # noqa: S105 - the name of one
"""Secret for the account's own images, which CCI makes in each namespace."""

_NAME = re.compile(r"[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?")
_SET_BY_SERVER = ("uid", "resourceVersion", "selfLink", "creationTimestamp")


def prepare(job: PyTorchJob) -> PyTorchJob:
    """Return `job` as CCI runs it: requests like limits, pull secret and policy, GPU driver.

    What is said stays as it is; a prepared job stays the same.

    Raises
    ------
    OptionError
        If CCI would not run it; see `podrules`.
    """
    wire = CCI().decode(job.to_wire()).to_wire()
    meta = wire["metadata"]
    for key in _SET_BY_SERVER:  # a creation that has one of them fails
        meta.pop(key, None)
    if (name := meta.get("name")) and not _NAME.fullmatch(name):
        raise OptionError("NAME", f"{name!r} is no name on cci: use 1 to 63 of a-z, 0-9 and '-'")
    for replica in wire["spec"]["pytorchReplicaSpecs"].values():
        template = replica["template"]
        for container in podrules.containers(template["spec"]):
            _equalise(container)
        podrules.check(template)
        _complete(template)
    return PyTorchJob.from_wire(wire)


def _equalise(container: Wire) -> None:
    """Make requests what the limits are, or the other way round."""
    resources = dict(container.get("resources") or {})
    limits: Wire = dict(resources.get("limits") or {})
    requests: Wire = dict(resources.get("requests") or {})
    for name in sorted(limits.keys() & requests.keys()):
        if Quantity(limits[name]).value != Quantity(requests[name]).value:
            raise OptionError(
                _OPTIONS.get(name, name),
                f"cci wants limit and request to be equal, not {limits[name]} and "
                f"{requests[name]}; use {limits[name]}",
            )
    both = {**requests, **limits}
    if missing := [option for name, option in _OPTIONS.items() if name not in both]:
        raise OptionError(missing[0], f"cci must be told; {_sizes_for(both)}")
    container["resources"] = {**resources, "limits": both, "requests": dict(both)}


_OPTIONS = {"cpu": "--cpu", "memory": "--memory"}


def _sizes_for(limits: Wire) -> str:
    """Return which sizes to say, where none is said."""
    if resource := podrules.gpu_resource({"resources": {"limits": limits}}):
        known = sizes.gpu_sizes(resource)
        size = known.get(int(Quantity(limits[resource]).value), known[1])
        return f"with these GPUs say --cpu {size.cpu} --memory {size.memory}Gi"
    return (
        f"say both, such as --cpu 2 --memory 4Gi (CPUs: {sizes.CPUS}; "
        f"memory: 2 to 8 whole Gi for each CPU, {sizes.MOST_MEMORY}Gi at most)"
    )


def _complete(template: Wire) -> None:
    spec = template["spec"]
    if not spec.get("imagePullSecrets"):
        spec["imagePullSecrets"] = [{"name": PULL_SECRET}]
    for container in podrules.containers(spec):
        container["imagePullPolicy"] = "Always"
    if any(map(podrules.gpu_resource, podrules.containers(spec))):
        meta = template["metadata"] = template.get("metadata") or {}
        meta["annotations"] = {
            podrules.DRIVER: podrules.DRIVERS[0],
            **(meta.get("annotations") or {}),
        }
    half = podrules.pod_size(spec, "memory") / 2
    for directory, _ in podrules.memory_volumes(spec):
        # Without a limit, what is written there takes the memory of the program itself.
        directory.setdefault("sizeLimit", podrules.megabytes(half))
