"""The operator tells the stories that the real one told, step by step.

Where ours differs, `pyjob_magic.local.operator` says so and why; each exception has its line here.
"""

from __future__ import annotations

import copy
import json
from pathlib import Path
from typing import Any

import pytest

from tests.local.world import Json, World

DATA = Path(__file__).parents[1] / "data" / "lifecycles"
NAMES = sorted(path.stem for path in DATA.glob("*.json"))

# Upstream makes the pods of a failed job once more, by a race of its cache.
_MADE_AGAIN = "onfailure-restarts-backoff"
# Upstream notices a deadline only when the job is touched.
_LATE = "deadline"
# Upstream happened to visit the Worker first, or the Master last; here it is always the Master.
_WORKER_FIRST = "exitcode-retryable"
# Upstream removes Workers in the moment that the Master succeeds; here they get some seconds.
_LINGERS = "success-worker-still-running"
# The recording did not look at the pods after the job was resumed.
_PODS_NOT_RECORDED = "created-suspended"
# Upstream says these whenever it looks at a job.
_REPEATED = ("ExitedWithCode", "PyTorchJobSuspended", "PyTorchJobFailed")


def lifecycle(name: str) -> Json:
    found: Json = json.loads((DATA / f"{name}.json").read_text())
    return found


def essence(status: Json | None) -> Any:
    """Return a status without its times, but with what times it has."""
    if status is None:
        return None
    status = copy.deepcopy(status)
    for entry in status.get("conditions", ()):
        for key in ("lastTransitionTime", "lastUpdateTime"):
            entry.pop(key, None)
    return {key: "T" if key.endswith("Time") else value for key, value in status.items()}


def replay(name: str) -> World:
    """Let the world go through a recorded life."""
    recorded = lifecycle(name)
    world = World(recorded["create"])
    world.step()
    for step in recorded["steps"]:
        for move in step["given"]:
            world.given(move)
    return world


def expected_status(name: str, step: Json) -> Json | None:
    if name == _LATE and step["step"] == "after 5 s, nothing touched":
        last: Json = lifecycle(name)["steps"][-1]["status"]
        return last
    status: Json | None = step["status"]
    if name == _WORKER_FIRST and step["step"] == "all succeed":
        assert status
        del status["replicaStatuses"]["Worker"]["selector"]
    return status


def expected_names(name: str, step: Json) -> tuple[Json, list[str]]:
    """Return the pods with their phases, and the services, that are left after a step."""
    failed = (_MADE_AGAIN, "three restarts"), (_LATE, "after 5 s, nothing touched")
    if (name, step["step"]) in failed:
        return {}, []
    return step["pods"], step["services"]


@pytest.mark.parametrize("name", NAMES)
def test_every_step_ends_as_it_did(name: str) -> None:
    """The status, the pods with their phases and the services are those of the recording."""
    recorded = lifecycle(name)
    world = World(recorded["create"])
    world.step()
    for step in recorded["steps"]:
        for move in step["given"]:
            world.given(move)
        if name == _LINGERS and step["step"] == "master succeeded":
            world.given({"seconds": 5})
        if step["status"] is None:
            assert world.removed
            continue
        assert essence(world.job["status"]) == essence(expected_status(name, step)), step["step"]
        if step["pods"] is not None:
            pods, services = expected_names(name, step)
            assert {n: p["status"]["phase"] for n, p in world.pods.items()} == pods, step["step"]
            assert sorted(world.services) == services, step["step"]


@pytest.mark.parametrize("name", [n for n in NAMES if n != _WORKER_FIRST])
def test_every_status_between_is_the_same(name: str) -> None:
    """What a watch shows of the job is what it showed, change by change."""
    world = replay(name)
    assert [essence(s) for s in world.statuses] == [essence(s) for s in lifecycle(name)["statuses"]]


@pytest.mark.parametrize("name", NAMES)
def test_the_same_events_are_said(name: str) -> None:
    """Type, reason and message of each; its count too, where that counts what happened."""
    world, recorded = replay(name), lifecycle(name)["events"]
    wanted = {(kind, reason, message): count for kind, reason, message, count in recorded}
    if name == _MADE_AGAIN:
        wanted = dict.fromkeys(wanted, 1)
    counted = [key for key in wanted if key[1] not in _REPEATED]

    assert sorted(world.said) == sorted(wanted)
    assert {key: world.said[key] for key in counted} == {key: wanted[key] for key in counted}


@pytest.mark.parametrize("name", NAMES)
def test_pods_are_made_as_they_were(name: str) -> None:
    """Labels, owner, environment, ports and restart policy; there is no init container here."""
    made = {}
    for obj in replay(name).created:
        if obj["kind"] == "Pod":
            meta, (container, *others) = obj["metadata"], obj["spec"]["containers"]
            assert not others
            made[meta["name"]] = {
                "labels": meta["labels"],
                "annotations": meta.get("annotations"),
                "ownerReferences": meta["ownerReferences"],
                "restartPolicy": obj["spec"]["restartPolicy"],
                "env": container["env"],
                "ports": container["ports"],
            }
    wanted = lifecycle(name)["pods"]
    assert {pod: made[pod] for pod in wanted} == wanted
    assert wanted or name == _PODS_NOT_RECORDED


@pytest.mark.parametrize("name", NAMES)
def test_services_are_made_as_they_were(name: str) -> None:
    """All of them, as often as they were made."""
    made = [obj for obj in replay(name).created if obj["kind"] == "Service"]
    for service in made:
        del service["metadata"]["namespace"]
    wanted = lifecycle(name)["services"]
    if name == _MADE_AGAIN:
        wanted = wanted[:2]

    def by_name(services: list[Json]) -> list[Json]:
        keys = ("metadata", "spec")
        found = [{key: service[key] for key in keys} for service in services]
        return sorted(found, key=lambda service: str(service["metadata"]["name"]))

    assert by_name(made) == by_name(wanted)
