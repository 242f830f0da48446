"""The one node there is: this machine, as ``kubectl describe node`` shows it."""

from __future__ import annotations

import platform
import uuid
from collections.abc import Mapping
from decimal import Decimal

from pyjob_magic import __version__
from pyjob_magic.local.objects import Json, timestamp
from pyjob_magic.local.resources import NODES
from pyjob_magic.local.store import Store

_ARCHITECTURES = {"x86_64": "amd64", "aarch64": "arm64"}  # as Go calls them


def register(store: Store, name: str, capacity: Mapping[str, Decimal], now: float) -> None:
    """Store this machine as a node, or what has changed about it; others were other names of it.

    Parameters
    ----------
    store
        Where nodes are.
    name
        The name of the machine.
    capacity
        How much of each resource it has.
    now
        Seconds since the epoch.
    """
    for other in store.objects(NODES):
        if other["metadata"]["name"] != name:
            store.delete(NODES, other)
    found = store.find(NODES, "", name)
    new = {**(found or _new(name, now)), "status": _status(name, capacity, now)}
    if found is None:
        store.create(NODES, new)
    else:
        store.update(NODES, new)


def _new(name: str, now: float) -> Json:
    return {
        "apiVersion": "v1",
        "kind": "Node",
        "metadata": {
            "name": name,
            "uid": str(uuid.uuid4()),
            "creationTimestamp": timestamp(now),
            "labels": {
                "kubernetes.io/arch": _ARCHITECTURES.get(platform.machine(), platform.machine()),
                "kubernetes.io/hostname": name,
                "kubernetes.io/os": platform.system().lower(),
            },
        },
        "spec": {},
    }


def _status(name: str, capacity: Mapping[str, Decimal], now: float) -> Json:
    amounts = {resource: f"{amount:f}" for resource, amount in capacity.items() if amount}
    ready = {
        "type": "Ready",
        "status": "True",
        "lastHeartbeatTime": timestamp(now),
        "lastTransitionTime": timestamp(now),
        "reason": "KubeletReady",
        "message": "the embedded API runs replicas as processes of this machine",
    }
    return {
        "addresses": [
            {"type": "InternalIP", "address": "127.0.0.1"},
            {"type": "Hostname", "address": name},
        ],
        "allocatable": amounts,
        "capacity": amounts,
        "conditions": [ready],
        "nodeInfo": {
            "architecture": _ARCHITECTURES.get(platform.machine(), platform.machine()),
            "containerRuntimeVersion": f"pyjob-magic://{__version__}",
            "kernelVersion": platform.release(),
            "kubeletVersion": f"v{__version__}",
            "operatingSystem": platform.system().lower(),
            "osImage": platform.platform(terse=True),
        },
    }
