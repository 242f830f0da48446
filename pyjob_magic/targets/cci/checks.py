"""What must be there before jobs run on CCI: the API, a namespace with a flavor, a network."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence

from pyjob_magic.dialects import CCI
from pyjob_magic.errors import NotFoundError, OptionError, PyJobError, UnauthorizedError
from pyjob_magic.findings import Finding
from pyjob_magic.models import APIGroupList, KubeList, Namespace, Network
from pyjob_magic.rest import Rest

FLAVOR = "namespace.kubernetes.io/flavor"
"""Annotation of a namespace: what its pods run on."""

_CREATE_NAMESPACE = "create it in the CCI console (its name is unique in all of CCI), or use -n"
_CREATE_NETWORK = "create a network for it in the CCI console: without one no pod runs"


def examine(rest: Rest, namespace: str) -> Iterator[Finding]:
    """Yield what is found of credentials, the API, `namespace` and its networks.

    What cannot be found out is a finding, too. Nothing more is asked where the first answer shows
    that nobody is let in: five wrong signatures lock a key for five minutes.
    """
    try:
        groups = rest.ask("list the API groups", "GET", "/apis")
    except OptionError as error:
        yield Finding("credentials", "fail", error.reason.removeprefix("cci: "))
        return
    except UnauthorizedError as error:
        yield Finding("credentials", "fail", str(error))
        return
    except PyJobError as error:
        yield Finding("reachable", "fail", str(error), "check region, network and proxy")
        return
    yield Finding("credentials", "ok", "accepted")
    yield _read("API", lambda: api_served(APIGroupList.from_wire(groups)))
    yield _read("namespace", lambda: _look_at_namespace(rest, namespace))
    yield _read("network", lambda: _look_at_networks(rest, namespace))


def api_served(groups: APIGroupList) -> Finding:
    """Tell whether the region still has PyTorchJobs."""
    if groups.serves("kubeflow.org/v1"):
        return Finding("API", "ok", "kubeflow.org/v1 is served (deprecated by Huawei in 2020)")
    return Finding("API", "fail", "kubeflow.org/v1 is not served", CCI.absent)


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


def _look_at_namespace(rest: Rest, namespace: str) -> Finding:
    path = f"/api/v1/namespaces/{namespace}"
    return namespace_usable(Namespace.from_wire(rest.ask(f"read {path}", "GET", path)))


def _look_at_networks(rest: Rest, namespace: str) -> Finding:
    path = f"/apis/networking.cci.io/v1beta1/namespaces/{namespace}/networks"
    return network_there(KubeList[Network].from_wire(rest.ask(f"read {path}", "GET", path)).items)


def _read(check: str, look: Callable[[], Finding]) -> Finding:
    try:
        return look()
    except NotFoundError as error:
        return Finding(check, "fail", str(error), _CREATE_NAMESPACE)
    except (PyJobError, ValueError) as error:  # among the latter what no model takes
        return Finding(check, "unknown", " ".join(str(error).split()))
