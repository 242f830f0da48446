"""What an API server fills in on a new pod, as far as clients show it. Pure.

Source: ``pkg/apis/core/v1/defaults.go`` of Kubernetes, and its admission plugins Priority and
DefaultTolerationSeconds.
"""

from __future__ import annotations

from collections.abc import Iterator

from pyjob_magic.local.kubelet.terminationlog import TERMINATION_LOG
from pyjob_magic.local.objects import Json

_MODE = 0o644
_FOR_LONG = (None, "", "NoExecute")  # effects that are about how long a pod stays
_TOLERATED = ("node.kubernetes.io/not-ready", "node.kubernetes.io/unreachable")


def fill_in(spec: Json) -> None:
    """Give the spec of a pod what it does not say itself."""
    usual = {
        "terminationGracePeriodSeconds": 30,
        "dnsPolicy": "ClusterFirst",
        "securityContext": {},
        "schedulerName": "default-scheduler",
        "priority": 0,
        "enableServiceLinks": True,
        "preemptionPolicy": "PreemptLowerPriority",
    }
    _default(spec, usual)
    spec["tolerations"] = [*(spec.get("tolerations") or ()), *_tolerations(spec)]
    for container in (*(spec.get("initContainers") or ()), *spec["containers"]):
        _container(container)
    for volume in spec.get("volumes") or ():
        _volume(volume)


def _tolerations(spec: Json) -> Iterator[Json]:
    """Yield how long a pod stays on a node that fails; those of its own come first."""
    own = spec.get("tolerations") or ()
    keys = {entry.get("key") or "" for entry in own if entry.get("effect") in _FOR_LONG}
    for key in _TOLERATED:
        if not keys & {key, ""}:
            usual = {"operator": "Exists", "effect": "NoExecute", "tolerationSeconds": 300}
            yield {"key": key, **usual}


def _container(container: Json) -> None:
    image = str(container.get("image") or "")
    tag = image.rpartition("/")[2].partition("@")[0].partition(":")[2]
    newest = "@" not in image and tag in ("", "latest")
    usual = {
        "resources": {},
        "terminationMessagePath": TERMINATION_LOG,
        "terminationMessagePolicy": "File",
        "imagePullPolicy": "Always" if newest else "IfNotPresent",
    }
    _default(container, usual)
    if limits := container["resources"].get("limits"):
        container["resources"]["requests"] = {
            **limits,
            **(container["resources"].get("requests") or {}),
        }
    for port in container.get("ports") or ():
        _default(port, {"protocol": "TCP"})
    for entry in container.get("env") or ():
        _fields(entry.get("valueFrom") or {})


def _volume(volume: Json) -> None:
    for kind in ("configMap", "secret", "downwardAPI", "projected"):
        if kind in volume:
            _default(volume[kind], {"defaultMode": _MODE})
    if "hostPath" in volume:
        _default(volume["hostPath"], {"type": ""})
    projected = (volume.get("projected") or {}).get("sources") or ()
    for source in (volume, *projected):
        for item in (source.get("downwardAPI") or {}).get("items") or ():
            _fields(item)


def _fields(source: Json) -> None:
    """Complete a reference to a field of the pod or to an amount of a container."""
    if ref := source.get("fieldRef"):
        _default(ref, {"apiVersion": "v1"})
    if ref := source.get("resourceFieldRef"):
        _default(ref, {"divisor": "0"})


def _default(obj: Json, values: Json) -> None:
    """Set what an object does not say; null says nothing."""
    obj |= {key: value for key, value in values.items() if obj.get(key) is None}
