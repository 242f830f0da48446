"""What a replica's environment becomes on this machine."""

from __future__ import annotations

from typing import Any

import pytest

from pyjob_magic.local.control.dependents import new_pod
from pyjob_magic.local.kubelet.environment import Program, expand, localize, threads
from tests.local.api import a_job


def local(container: dict[str, Any] | None = None, **job: Any) -> Program:
    manifest = a_job(container=container, **job)
    manifest["metadata"] |= {"namespace": "n", "uid": "u"}
    pod = new_pod(manifest, "Master" if "Master" in specs(manifest) else "Worker", 0)
    return localize(
        pod,
        pod["spec"]["containers"][0],
        port=4000,
        threads=3,
        resolve=lambda source: "resolved",
        env_from=lambda source: {"FROM": "map", "RANK": "map"},
    )


def specs(manifest: dict[str, Any]) -> dict[str, Any]:
    found: dict[str, Any] = manifest["spec"]["pytorchReplicaSpecs"]
    return found


def test_the_job_meets_on_loopback_and_a_port_of_its_own() -> None:
    env = local(workers=1).env
    assert env["MASTER_ADDR"] == env["PET_MASTER_ADDR"] == "127.0.0.1"
    assert env["MASTER_PORT"] == env["PET_MASTER_PORT"] == "4000"
    assert (env["WORLD_SIZE"], env["RANK"], env["PET_NNODES"]) == ("2", "0", "2")


def elastic(index: int, container: dict[str, Any] | None = None, **policy: Any) -> dict[str, str]:
    manifest = a_job(workers=2, container=container, spec={"elasticPolicy": policy})
    del specs(manifest)["Master"]
    manifest["metadata"] |= {"namespace": "n", "uid": "u"}
    pod = new_pod(manifest, "Worker", index)
    program = localize(
        pod,
        pod["spec"]["containers"][0],
        port=4000,
        threads=1,
        resolve=lambda source: None,
        env_from=lambda source: {},
    )
    return program.env


def test_an_elastic_job_meets_there_too() -> None:
    env = elastic(0, minReplicas=1)
    assert env["PET_RDZV_ENDPOINT"] == "127.0.0.1:4000"
    assert env["PET_LOCAL_ADDR"] == "127.0.0.1"
    assert env["PET_NNODES"] == "1:1"


def test_the_first_worker_of_an_elastic_job_is_the_host() -> None:
    """By its address each of them would be."""
    conf = [{"key": "last_call_timeout", "value": "5"}]
    assert [elastic(index)["PET_RDZV_CONF"] for index in (0, 1)] == ["is_host=1", "is_host=0"]
    assert elastic(1, rdzvConf=conf)["PET_RDZV_CONF"] == "last_call_timeout=5,is_host=0"


def test_what_the_user_says_of_the_rendezvous_stays() -> None:
    conf = [{"key": "is_host", "value": "true"}]
    own = {"env": [{"name": "TORCH_DISABLE_SHARE_RDZV_TCP_STORE", "value": "0"}]}
    env = elastic(1, own, rdzvConf=conf)
    assert env["PET_RDZV_CONF"] == "is_host=true"
    assert env["TORCH_DISABLE_SHARE_RDZV_TCP_STORE"] == "0"
    assert "PET_RDZV_CONF" not in elastic(0, rdzvHost="etcd", rdzvBackend="etcd-v2")


def test_the_operators_variables_win() -> None:
    env = local({"env": [{"name": "RANK", "value": "7"}], "envFrom": [{}]}).env
    assert env["RANK"] == "0"
    assert env["FROM"] == "map"


def test_arguments_are_expanded_and_dollars_escape() -> None:
    args = ["$(RANK)", "$$(RANK)", "$(NOT_THERE)", "$RANK", "$$", "a$(WORLD_SIZE)b"]
    assert local({"command": ["x"], "args": args}).argv == [
        "x",
        "0",
        "$(RANK)",
        "$(NOT_THERE)",
        "$RANK",
        "$",
        "a1b",
    ]


def test_a_variable_sees_only_those_before_it() -> None:
    env = [
        {"name": "A", "value": "$(B)"},
        {"name": "B", "value": "b"},
        {"name": "C", "value": "$(B)"},
    ]
    assert {k: v for k, v in local({"env": env}).env.items() if k in "ABC"} == {
        "A": "$(B)",
        "B": "b",
        "C": "b",
    }


@pytest.mark.parametrize(
    ("text", "expanded"), [("$(A)$(A)", "xx"), ("$$$(A)", "$x"), ("$(A", "$(A"), ("$", "$")]
)
def test_expand(text: str, expanded: str) -> None:
    assert expand(text, {"A": "x"}) == expanded


def test_values_from_elsewhere() -> None:
    env = [{"name": "X", "valueFrom": {"fieldRef": {"fieldPath": "metadata.name"}}}]
    assert local({"env": env}).env["X"] == "resolved"


def test_threads_follow_the_limit_unless_the_user_sets_them() -> None:
    assert local().env["OMP_NUM_THREADS"] == "3"
    own = {"env": [{"name": "OMP_NUM_THREADS", "value": "5"}]}
    assert local(own).env["OMP_NUM_THREADS"] == "5"


@pytest.mark.parametrize(
    ("limit", "cpus", "replicas", "nproc", "expected"),
    [
        ("4", 8, 2, "auto", 4),
        ("500m", 8, 2, None, 1),
        (None, 8, 2, "auto", 4),
        (None, 2, 3, "auto", 1),
        (None, 8, 1, "4", 2),
    ],
)
def test_threads(
    limit: str | None, cpus: int, replicas: int, nproc: str | None, expected: int
) -> None:
    container = {"resources": {"limits": {"cpu": limit}}} if limit else {}
    assert threads(container, cpus, replicas, nproc) == expected


@pytest.mark.parametrize(
    ("word", "becomes"),
    [
        ("j-master-0", "127.0.0.1"),
        ("j-worker-12:29500", "127.0.0.1:29500"),
        ("--rdzv_endpoint=j-worker-0:29400", "--rdzv_endpoint=127.0.0.1:29400"),
        ("tcp://j-master-0:23456", "tcp://127.0.0.1:23456"),
        ("print('j-master-0')", "print('j-master-0')"),
        ("x=1\n--a=j-master-0", "x=1\n--a=j-master-0"),
        ("other-master-0", "other-master-0"),
        ("/data/j-master-0", "/data/j-master-0"),
    ],
)
def test_names_of_replicas_become_addresses(word: str, becomes: str) -> None:
    """As words of their own only: the source of a program is never touched."""
    program = local({"command": ["run", word], "env": [{"name": "A", "value": word}]})
    assert (program.argv, program.env["A"]) == (["run", becomes], becomes)
