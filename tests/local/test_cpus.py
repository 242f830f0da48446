"""CPU limits keep containers to CPUs of their own, as long as there are enough."""

from __future__ import annotations

import os
from collections.abc import Iterator, Set
from decimal import Decimal

import pytest

from pyjob_magic.local.home import Home
from pyjob_magic.local.kubelet.cpus import own_cpus
from tests.local.api import Api, a_job
from tests.local.test_launcher import running
from tests.state import eventually

FOUR = {0, 1, 2, 3}


def own(
    limit: str | None, *others: str, here: Set[int] = FOUR, taken: Set[int] = frozenset()
) -> set[int] | None:
    limits = [Decimal(text) for text in (limit, *others) if text]
    return own_cpus(limits[0] if limit else None, limits, here, taken)


@pytest.mark.parametrize(
    ("limit", "expected"),
    [("1", {0}), ("0.5", {0}), ("1.5", {0, 1}), ("3", {0, 1, 2}), ("4", None), ("9", None)],
)
def test_a_limit_is_that_many_cpus(limit: str, expected: set[int] | None) -> None:
    """Rounded up; whoever may use all CPUs is kept to none."""
    assert own(limit) == expected


def test_who_has_no_limit_may_use_all() -> None:
    """Also those that are others' own."""
    assert own(None, "1", taken={0}) is None


def test_no_two_get_the_same() -> None:
    """The next one gets what is free."""
    assert own("2", "1", taken={1}) == {0, 2}


def test_more_than_there_are_share_all() -> None:
    """Three with one CPU each, on two CPUs."""
    assert own("1", "1", "1", here={0, 1}) is None


def test_who_came_before_keeps_its_own() -> None:
    """What is left may be too little, though all limits together would fit."""
    assert own("2", "1", "1", taken={0, 1, 2}) is None


def test_only_those_that_there_are() -> None:
    """Their numbers need not begin with 0."""
    assert own("1", here={5, 7}, taken={5}) == {7}


needs_two = pytest.mark.skipif(
    not hasattr(os, "sched_getaffinity") or len(os.sched_getaffinity(0)) < 2,
    reason="needs two CPUs, and a system that keeps processes to some of them",
)
SAYS = 'import os, time; print("cpus", *os.sched_getaffinity(0), flush=True); time.sleep(600)'


def limited(cpus: int) -> dict[str, object]:
    return {"resources": {"limits": {"cpu": cpus}}}


def said(api: Api, pod: str) -> set[int]:
    return set(map(int, api.wait_log(pod, "cpus ").split()[1:]))


@needs_two
def test_a_replica_is_kept_to_its_cpus(api: Api) -> None:
    """One of two; and two replicas to different ones."""
    here = os.sched_getaffinity(0)
    api.submit(a_job(code=SAYS, workers=1, container=limited(len(here) // 2)))
    first, second = (said(api, pod) for pod in ("j-master-0", "j-worker-0"))

    assert len(first) == len(second) == len(here) // 2
    assert not first & second
    assert first | second <= here


@needs_two
def test_replicas_share_what_is_too_little(api: Api) -> None:
    """All of them all of it, so that none is slower than another."""
    here = os.sched_getaffinity(0)
    api.submit(a_job(code=SAYS, workers=2, container=limited((len(here) + 1) // 2)))
    found = [said(api, pod) for pod in ("j-master-0", "j-worker-0", "j-worker-1")]

    assert found == [here, here, here]


@needs_two
def test_cpus_are_given_back(api: Api) -> None:
    """To those that start after the replica has ended."""
    one = limited(len(os.sched_getaffinity(0)) // 2)
    for name in ("a", "b", "c"):
        api.submit(a_job(name, SAYS.replace("time.sleep(600)", ""), container=one))
        api.wait(name, "Succeeded")
    assert len({frozenset(said(api, f"{name}-master-0")) for name in ("a", "b", "c")}) == 1


@pytest.fixture
def one_cpu() -> Iterator[int]:
    """Keep this process, and what it starts, to one CPU."""
    here = os.sched_getaffinity(0)
    os.sched_setaffinity(0, {max(here)})
    yield max(here)
    os.sched_setaffinity(0, here)


@needs_two
def test_the_api_gives_no_cpu_that_it_has_not(own_home: Home, one_cpu: int) -> None:
    """Neither to replicas, nor in what it says that there is."""
    with running(own_home) as api:
        api.submit(a_job(code=SAYS, workers=1, container=limited(1)))
        assert said(api, "j-master-0") == said(api, "j-worker-0") == {one_cpu}
        eventually(lambda: "CPUOvercommitted" in {reason for _, reason, _ in api.events("j")})
