"""A whole job or nothing, first come first served."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest

from pyjob_magic.local.objects import GPUS
from pyjob_magic.local.scheduler import (
    GPU,
    Group,
    Verdict,
    asks,
    overcommitted,
    schedule,
    visible_gpus,
)

MACHINE = {"cpu": Decimal(2), "memory": Decimal(8 * 2**30), GPU: Decimal(2)}


def amounts(**given: int) -> dict[str, Decimal]:
    return {name.replace("gpu", GPU): Decimal(amount) for name, amount in given.items()}


def group(key: str, replicas: int = 1, least: int | None = None, **each: int) -> Group:
    return Group(key, {f"{key}-{index}": amounts(**each) for index in range(replicas)}, least)


def verdicts(waiting: list[Group], **used: int) -> dict[str, Verdict]:
    decided = schedule(waiting, amounts(**used), MACHINE)
    return {group.key: verdict for group, verdict in zip(waiting, decided, strict=True)}


def test_what_fits_starts() -> None:
    decided = schedule([group("a", 2, memory=2**30), group("b", gpu=1)], {}, MACHINE)
    assert decided == [Verdict(["a-0", "a-1"]), Verdict(["b-0"])]


def test_a_job_starts_whole_or_not_at_all() -> None:
    assert verdicts([group("a", 2, gpu=1)], gpu=1)["a"] == Verdict(
        [],
        "waits for others to end: Insufficient nvidia.com/gpu: the job asks for 2, 1 of 2 are free",
    )


def test_everything_that_is_missing_is_named() -> None:
    why = verdicts([group("a", gpu=2, memory=6 * 2**30)], gpu=2, memory=4 * 2**30)["a"].why
    assert why == (
        "waits for others to end: Insufficient memory: the job asks for 6Gi, 4Gi of 8Gi is free; "
        "Insufficient nvidia.com/gpu: the job asks for 2, 0 of 2 are free"
    )


def test_a_job_that_waits_keeps_younger_ones_back() -> None:
    """Each is told who comes before it, so that little changes when one starts."""
    decided = verdicts([group("big", gpu=2), group("small", gpu=1), group("tiny", memory=1)], gpu=1)
    assert not any(verdict.admitted for verdict in decided.values())
    assert decided["small"].why == "waits for big, which came first"
    assert decided["tiny"].why == "waits for small, which came first"


def test_a_job_that_can_never_fit_keeps_nobody_back() -> None:
    decided = verdicts([group("huge", 3, memory=4 * 2**30), group("small", memory=2**30)])
    assert decided["small"].admitted == ["small-0"]
    assert decided["huge"] == Verdict(
        [],
        "this machine can never run it: Insufficient memory: the job asks for 12Gi, "
        "this machine has 8Gi",
        never=True,
    )


@pytest.mark.parametrize("name", ["amd.com/gpu", "huawei.com/Ascend910", "hugepages-2Mi"])
def test_a_resource_that_is_not_here_never_fits(name: str) -> None:
    (verdict,) = schedule([Group("a", {"a-0": {name: Decimal(1)}})], {}, MACHINE)
    assert verdict.never
    assert verdict.why.endswith(f"Insufficient {name}: the job asks for 1, this machine has 0")


def test_some_of_a_job_are_enough_if_it_says_so() -> None:
    """``minAvailable``: the others follow when there is room, and wait in their place."""
    decided = verdicts([group("a", 3, least=1, gpu=1), group("b")])
    assert decided["a"].admitted == ["a-0", "a-1"]
    assert decided["a"].never
    assert decided["b"].admitted == ["b-0"]
    decided = verdicts([group("a", 2, least=1, gpu=1), group("b", memory=1)], gpu=1)
    assert decided["a"].admitted == ["a-0"]
    assert decided["b"].why == "waits for a, which came first"


def test_fewer_than_the_least_do_not_start() -> None:
    decided = verdicts([group("a", 3, least=2, memory=3 * 2**30)], memory=4 * 2**30)
    assert decided["a"].admitted == []
    assert "the job asks for 6Gi, 4Gi of 8Gi is free" in decided["a"].why


def test_what_joins_a_job_counts_with_what_the_job_holds() -> None:
    """Else a job that has grown beyond the machine would wait for its own end."""
    grown = Group("a", {"a-2": amounts(gpu=1)}, 1, amounts(gpu=2))
    decided = verdicts([grown, group("b")], gpu=2)
    assert decided["a"].never
    assert decided["a"].why.endswith("the job asks for 3, this machine has 2")
    assert decided["b"].admitted == ["b-0"]
    waits = Group("a", {"a-1": amounts(gpu=1)}, 1, amounts(gpu=1))
    assert verdicts([waits], gpu=2)["a"].why.endswith("the job asks for 1 more, 0 of 2 are free")


def test_cpus_are_shared_and_that_is_said() -> None:
    assert verdicts([group("a", 3, cpu=1)])["a"].admitted == ["a-0", "a-1", "a-2"]
    assert overcommitted({"cpu": Decimal(3)}, MACHINE) == (
        "all replicas ask for 3 CPUs and share the 2 of this machine"
    )
    assert overcommitted({"cpu": Decimal(2)}, MACHINE) == ""


def container(name: str = "c", always: bool = False, **requests: Any) -> dict[str, Any]:
    requests = {key.replace("gpu", GPU): amount for key, amount in requests.items()}
    sidecar = {"restartPolicy": "Always"} if always else {}
    return {"name": name, "resources": {"requests": requests}, **sidecar}


def test_limits_count_where_nothing_is_requested() -> None:
    resources = {"limits": {"cpu": 2, "memory": "4Gi"}, "requests": {"cpu": "500m"}}
    pod = {"spec": {"containers": [{"resources": resources}]}}
    assert asks(pod) == {"cpu": Decimal("0.5"), "memory": Decimal(4 * 2**30)}


def test_init_containers_count_by_the_largest_and_sidecars_with_the_others() -> None:
    """The first run one after the other, before the containers; the second beside them."""
    init = [
        container(cpu=3),
        container(always=True, cpu=1, memory=5),
        container(cpu=6, memory=1),
    ]
    pod = {"spec": {"initContainers": init, "containers": [container(cpu=2), container(memory=9)]}}
    assert asks(pod) == {"cpu": Decimal(7), "memory": Decimal(14)}
    assert asks({"spec": {**pod["spec"], "overhead": {"cpu": "1"}}})["cpu"] == 8


def test_containers_that_run_together_share_no_gpu() -> None:
    prepare, side = container("prepare", gpu=2), container("side", always=True, gpu=1)
    main, watcher = container("main", gpu=2), container("watcher")
    spec = {"initContainers": [side, prepare], "containers": [main, watcher]}
    pod = {"metadata": {"annotations": {GPUS: "4,6,7"}}, "spec": spec}
    assert asks(pod)[GPU] == 3
    seen = {c["name"]: visible_gpus(pod, c) for c in (prepare, side, main, watcher)}
    assert seen == {"side": "4", "prepare": "6,7", "main": "6,7", "watcher": ""}


def test_where_no_gpus_are_handed_out_none_are_hidden() -> None:
    pod = {"metadata": {}, "spec": {"containers": [container("main")]}}
    assert visible_gpus(pod, container("main")) is None


def test_what_takes_no_room_waits_for_nobody() -> None:
    """CPUs are shared: nobody starves for a job that asks for nothing else."""
    decided = verdicts([group("big", gpu=2), group("free"), group("busy", cpu=9)], gpu=1)
    assert [decided[key].admitted for key in ("big", "free", "busy")] == [
        [],
        ["free-0"],
        ["busy-0"],
    ]
