"""What must be there before jobs run on CCI: the API, a namespace with a flavor, a network."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Any

from pyjob_magic.dialects import CCI
from pyjob_magic.errors import NotFoundError, PyJobError
from pyjob_magic.findings import Finding
from pyjob_magic.models import APIGroupList, KubeList, Namespace, Network
from pyjob_magic.rest import Rest

FLAVOR = "namespace.kubernetes.io/flavor"
"""Annotation of a namespace: what its pods run on."""

_NETWORKS = "/apis/networking.cci.io/v1beta1/namespaces/{}/networks"
_CREATE_NAMESPACE = "create it in the CCI console (its name is unique in all of CCI), or use -n"
_CREATE_NETWORK = "create a network for it in the CCI console: without one no pod runs"


def examine(rest: Rest, namespace: str) -> Iterator[Finding]:
    """Yield what is found of the API, of `namespace` and of its networks.

    What cannot be found out is a finding, too.
    """
    yield _asked(rest, "api", "/apis", lambda wire: api_served(APIGroupList.from_wire(wire)), "")
    yield _asked(
        rest,
        "namespace",
        f"/api/v1/namespaces/{namespace}",
        lambda wire: namespace_usable(Namespace.from_wire(wire)),
        _CREATE_NAMESPACE,
    )
    yield _asked(
        rest,
        "network",
        _NETWORKS.format(namespace),
        lambda wire: network_there(KubeList[Network].from_wire(wire).items),
        _CREATE_NAMESPACE,
    )


def api_served(groups: APIGroupList) -> Finding:
    """Tell whether the region still has PyTorchJobs."""
    if groups.serves("kubeflow.org/v1"):
        return Finding("api", "ok", "kubeflow.org/v1 is served (deprecated by Huawei in 2020)")
    return Finding("api", "fail", "kubeflow.org/v1 is not served", CCI.absent)


def namespace_usable(namespace: Namespace) -> Finding:
    """Tell what the namespace is for, and whether it is there to stay."""
    meta = namespace.metadata
    flavor = (meta.annotations or {}).get(FLAVOR)
    phase = (namespace.status or {}).get("phase", "Active")
    found = f"{meta.name} is {phase}, flavor {flavor}"
    if phase != "Active":
        return Finding("namespace", "fail", found, "wait until it is gone, or use another one")
    if flavor is None:
        return Finding("namespace", "warn", found, f"CCI wants the annotation {FLAVOR}")
    if flavor != "gpu-accelerated":
        return Finding("namespace", "ok", f"{found}: no GPUs there")
    return Finding("namespace", "ok", found)


def network_there(networks: Sequence[Network]) -> Finding:
    """Tell whether pods have a network to be in."""
    if not networks:
        return Finding("network", "fail", "none", _CREATE_NETWORK)
    states = {n.metadata.name: (n.status or {}).get("state", "unknown") for n in networks}
    found = ", ".join(f"{name} is {state}" for name, state in states.items())
    if "Active" in states.values():
        return Finding("network", "ok", found)
    return Finding("network", "warn", found, "wait until it is Active, or look in the CCI console")


def _asked(
    rest: Rest, check: str, path: str, read: Callable[[Any], Finding], missing: str
) -> Finding:
    try:
        return read(rest.ask(f"read {path}", "GET", path))
    except NotFoundError as error:
        return Finding(check, "fail", str(error), missing)
    except (PyJobError, ValueError) as error:  # among the latter what no model takes
        return Finding(check, "unknown", " ".join(str(error).split()))
