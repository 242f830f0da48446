"""A whole job or nothing, first come first served."""

from __future__ import annotations

from decimal import Decimal

from pyjob_magic.local.scheduler import GPU, Group, asks, overcommitted, schedule
from tests.local.api import a_job

MACHINE = {"cpu": Decimal(2), "memory": Decimal(8 * 2**30), GPU: Decimal(2)}


def group(key: str, replicas: int = 1, **amounts: int) -> Group:
    each = {name.replace("gpu", GPU): Decimal(amount) for name, amount in amounts.items()}
    return Group(key, {f"{key}-{index}": each for index in range(replicas)})


def test_what_fits_starts() -> None:
    decision = schedule([group("a", 2, memory=2**30), group("b", gpu=1)], {}, MACHINE)
    assert decision.admitted == ["a", "b"]


def test_a_job_starts_whole_or_not_at_all() -> None:
    decision = schedule([group("a", 2, gpu=1)], {GPU: Decimal(1)}, MACHINE)
    assert decision.admitted == []
    assert decision.refused["a"] == (
        "waits for others to end: Insufficient nvidia.com/gpu: the job asks for 2, 1 of 2 are free"
    )


def test_a_job_that_waits_keeps_younger_ones_back() -> None:
    waiting = [group("big", gpu=2), group("small", gpu=1)]
    decision = schedule(waiting, {GPU: Decimal(1)}, MACHINE)
    assert decision.admitted == []
    assert decision.refused["small"] == "waits for big, which came first"


def test_a_job_that_can_never_fit_keeps_nobody_back() -> None:
    waiting = [group("huge", 3, memory=4 * 2**30), group("small", memory=2**30)]
    decision = schedule(waiting, {}, MACHINE)
    assert decision.admitted == ["small"]
    assert decision.refused["huge"] == (
        "this machine can never run it: Insufficient memory: the job asks for 12Gi, 8Gi is free"
    )


def test_a_resource_that_is_not_here_never_fits() -> None:
    asked = Group("a", {"a-0": {"amd.com/gpu": Decimal(1)}})
    assert "Insufficient amd.com/gpu" in schedule([asked], {}, MACHINE).refused["a"]


def test_cpus_are_shared_and_that_is_said() -> None:
    assert schedule([group("a", 3, cpu=1)], {}, MACHINE).admitted == ["a"]
    assert overcommitted({"cpu": Decimal(3)}, MACHINE) == (
        "all replicas ask for 3 CPUs and share the 2 of this machine"
    )
    assert overcommitted({"cpu": Decimal(2)}, MACHINE) == ""


def test_limits_count_where_nothing_is_requested() -> None:
    resources = {"limits": {"cpu": 2, "memory": "4Gi"}, "requests": {"cpu": "500m"}}
    job = a_job(container={"resources": resources})
    pod = job["spec"]["pytorchReplicaSpecs"]["Master"]["template"]
    assert asks(pod) == {"cpu": Decimal("0.5"), "memory": Decimal(4 * 2**30)}
