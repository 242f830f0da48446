"""Every body that CCI documents goes through the models and comes back as it came."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from pyjob_magic.dialects import CCI
from pyjob_magic.models import (
    APIGroupList,
    ConfigMap,
    Event,
    GatewayError,
    KubeList,
    KubeModel,
    KubeObject,
    Namespace,
    Network,
    Pod,
    Status,
)
from pyjob_magic.targets.cci.credentials import Password, Secret
from pyjob_magic.targets.cci.iam import password_body
from tests.data import read

Json = dict[str, Any]
BODIES = sorted(path.stem for path in (Path(__file__).parents[2] / "data" / "cci").glob("*.json"))


def through_dialect(wire: Json) -> Json:
    return CCI().encode(CCI().decode(wire))


def through_jobs(wire: Json) -> Json:
    return {**wire, "items": [through_dialect(item) for item in wire["items"]]}


def through_patch(wire: Json) -> Json:
    return CCI().encode_patch(wire)


def through_login(wire: Json) -> Json:
    user = wire["auth"]["identity"]["password"]["user"]
    project = wire["auth"]["scope"]["project"]["name"]
    secret = Secret(user["password"])
    return password_body(Password(user["name"], secret, user["domain"]["name"], project))


def through(model: type[KubeModel]) -> Callable[[Json], Json]:
    return lambda wire: model.from_wire(wire).to_wire()


WAYS: dict[str, Callable[[Json], Json]] = {
    "api-group-list": through(APIGroupList),
    "configmap": through(ConfigMap),
    "delete-collection": through_jobs,
    "delete-response": through(Status),
    "error": through(Status),
    "event-list": through(KubeList[Event]),
    "gateway-error": through(GatewayError),
    "gpu-pod": through(Pod),
    "iam-token": through_login,
    "list": through_jobs,
    "namespace": through(Namespace),
    "network": through(Network),
    "obs-job": through(KubeObject),
    "patch-request": through_patch,
    "pod-list": through(KubeList[Pod]),
    "secret": through(KubeObject),
    "tfjob": through(KubeObject),
}


def way(body: str) -> Callable[[Json], Json]:
    return next((WAYS[name] for name in WAYS if body.startswith(name)), through_dialect)


def test_all_documented_bodies_are_there() -> None:
    """None is forgotten below."""
    assert len(BODIES) == 27


@pytest.mark.parametrize("body", BODIES)
def test_bodies_come_back_equal(body: str) -> None:
    """Numbers stay numbers, nulls stay nulls, and what nobody knows stays too."""
    wire = read(f"cci/{body}.json")

    there_and_back = way(body)(wire)

    assert there_and_back == wire
    assert json.dumps(there_and_back, sort_keys=True) == json.dumps(wire, sort_keys=True)


def test_run_policies_are_flat_on_the_wire_only() -> None:
    """What CCI writes into spec is the run policy to everything above."""
    job = CCI().decode(read("cci/replace-response.json"))

    assert job.spec.run_policy is not None
    assert job.spec.run_policy.ttl_seconds_after_finished == 3000
