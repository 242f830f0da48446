"""What servers answer is judged as a person would judge it, who knows what jobs need."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest
import yaml

from pyjob_magic import checks
from pyjob_magic.checks import RIGHTS
from pyjob_magic.models import PyTorchJob
from tests.data import SEED, read

NOW = datetime(2026, 11, 24, 12, 0, 0, tzinfo=UTC)


def a_job(name: str, created: str, state: str = "") -> PyTorchJob:
    conditions = [{"type": state, "status": "True"}] if state else []
    return PyTorchJob.from_wire(
        {
            **SEED,
            "metadata": {"name": name, "creationTimestamp": created},
            "status": {"conditions": conditions},
        }
    )


def a_deployment(available: int) -> dict[str, Any]:
    container = {"image": "kubeflow/training-operator:v1-855e096"}
    return {
        "spec": {"template": {"spec": {"containers": [container]}}},
        "status": {"availableReplicas": available} if available else {},
    }


def a_lease(renewed: str) -> dict[str, Any]:
    return {"spec": {"renewTime": renewed, "holderIdentity": "op-1", "leaseDurationSeconds": 15}}


OLD, OLDER, NEW = "2026-11-24T11:50:00Z", "2026-11-24T11:40:00Z", "2026-11-24T11:59:50Z"


@pytest.mark.parametrize(
    ("leases", "deployments", "jobs", "state", "words"),
    [
        ([], [], [], "unknown", "no sign of one"),
        ([], [a_deployment(1)], [], "ok", "v1-855e096, 1 available"),
        ([], [a_deployment(0)], [], "fail", "0 available"),
        ([a_lease("2026-11-24T11:59:55.000000Z")], [], [], "ok", "renewed 5 s ago by op-1"),
        ([a_lease(OLDER)], [], [], "fail", "renewed 1200 s ago"),
        ([{"spec": {}}], [], [], "fail", "never renewed"),
        # A lease may be left over from when there were several operators.
        ([a_lease(OLDER)], [a_deployment(1)], [], "ok", "1 available"),
        ([], [], [a_job("a", OLD, "Running")], "ok", "has reacted to 'a' (Running)"),
        ([], [], [a_job("a", OLD)], "fail", "nobody has reacted to 'a' since"),
        ([], [], [a_job("a", NEW)], "unknown", "no sign of one"),
        ([], [a_deployment(1)], [a_job("a", OLD)], "fail", "nobody has reacted to 'a'"),
        ([], [], [a_job("a", OLDER), a_job("b", OLD, "Failed")], "ok", "has reacted to 'b'"),
        ([], [], [a_job("a", OLDER, "Failed"), a_job("b", OLD)], "fail", "reacted to 'b'"),
    ],
)
def test_an_operator_is_alive_if_something_shows_it(
    leases: list[Any], deployments: list[Any], jobs: list[PyTorchJob], state: str, words: str
) -> None:
    """Its Deployment, its lease, or what it did to jobs; a silent job counts more than all."""
    finding = checks.operator(leases, deployments, jobs, NOW)

    assert finding.state == state
    assert words in finding.found


def test_the_recorded_resources_of_the_operators_crd_are_found() -> None:
    """What a real API server lists."""
    served = read("api-group.json")["body"]

    assert checks.resource(served).found == "kubeflow.org/v1 with status and scale"
    assert checks.resource(None).state == "fail"
    assert "without PyTorchJobs" in checks.resource({"resources": [{"name": "mpijobs"}]}).found


def test_missing_rights_become_a_role() -> None:
    """Whoever may grant them can apply it as it is."""
    create, look, _, logs, *_ = RIGHTS

    text = checks.role("team-a", {create: ["create"], look: ["list", "watch"], logs: ["get"]})

    assert yaml.safe_load(text)["metadata"] == {"name": "pyjob-magic", "namespace": "team-a"}
    assert yaml.safe_load(text)["rules"] == [
        {
            "apiGroups": ["kubeflow.org"],
            "resources": ["pytorchjobs"],
            "verbs": ["create", "list", "watch"],
        },
        {"apiGroups": [""], "resources": ["pods/log"], "verbs": ["get"]},
    ]
    assert checks.role("team-a", {}) == ""


def test_a_right_that_is_missing_tells_what_it_is_good_for() -> None:
    """Jobs can do without some of them."""
    create, *_, config_maps = RIGHTS

    assert checks.right(create, {}).state == "ok"
    assert checks.right(create, {"create": "no RBAC policy"}).state == "fail"
    finding = checks.right(config_maps, {"create": ""})
    assert (finding.state, finding.remedy) == ("warn", "ask for the Role below")
    assert "98,298 bytes" in finding.found


def test_a_server_too_old_for_the_question_names_the_user_all_the_same() -> None:
    """Its refusal does."""
    refusal = 'selfsubjectreviews.authentication.k8s.io is forbidden: User "bob" cannot create'

    assert checks.named(refusal) == "bob"
    assert checks.named("404 page not found") == ""


@pytest.mark.parametrize(
    ("user", "sent", "state", "found"),
    [
        ("bob", True, "ok", "bob, in devs"),
        ("", True, "unknown", "the server does not tell"),
        ("system:anonymous", False, "fail", "nobody: no credentials were sent"),
        ("system:anonymous", True, "fail", "nobody: the server does not know the credentials"),
    ],
)
def test_who_we_are_is_what_the_server_says(user: str, sent: bool, state: str, found: str) -> None:
    """Credentials that it does not know make nobody of us."""
    finding = checks.identity(user, ["devs"], sent=sent)

    assert (finding.state, finding.found) == (state, found)


@pytest.mark.parametrize(
    ("user", "subject"),
    [
        ("bob", {"kind": "User", "name": "bob", "apiGroup": "rbac.authorization.k8s.io"}),
        (
            "system:serviceaccount:team-a:notebook",
            {"kind": "ServiceAccount", "name": "notebook", "namespace": "team-a"},
        ),
    ],
)
def test_the_role_comes_with_what_gives_it_to_the_user(user: str, subject: dict[str, str]) -> None:
    """Both can be applied as they are."""
    role, binding = yaml.safe_load_all(checks.role("team-a", {RIGHTS[0]: ["create"]}, user))

    assert role["kind"] == "Role"
    assert binding["kind"] == "RoleBinding"
    assert binding["metadata"] == role["metadata"]
    assert binding["roleRef"]["name"] == role["metadata"]["name"]
    assert binding["subjects"] == [subject]


@pytest.mark.parametrize(
    ("url", "warnings", "state"),
    [
        ("https://k8s", [], "ok"),
        ("https://k8s", ["the certificate is not checked"], "warn"),
        ("http://127.0.0.1:8080", [], "ok"),
        ("http://k8s", [], "warn"),
    ],
)
def test_who_could_listen_in(url: str, warnings: list[str], state: str) -> None:
    """Only what leaves this machine needs to be hidden."""
    assert checks.transport(url, warnings).state == state


def test_who_sends_nothing_secret_is_told_to_use_tls() -> None:
    """A better authority would be of no use."""
    assert checks.transport("http://k8s", ["no credentials are sent"]).remedy == "use https"
    assert "cluster's CA" in checks.transport("https://k8s", ["not checked"]).remedy


def test_a_full_quota_is_a_warning() -> None:
    """Quantities are compared as amounts, not as texts."""
    quota = {
        "spec": {"hard": {"requests.memory": "1Ti"}},
        "status": {
            "hard": {"requests.memory": "1Ti", "count/pytorchjobs.kubeflow.org": "3"},
            "used": {"requests.memory": "1024Gi", "count/pytorchjobs.kubeflow.org": "1"},
        },
    }

    finding = checks.quotas([quota])

    assert finding.state == "warn"
    assert "nothing is left of requests.memory" in finding.remedy
    assert "count/pytorchjobs.kubeflow.org: 1 of 3 used" in finding.found
    assert checks.quotas([{"spec": {"hard": {"pods": "4"}}, "status": {}}]).state == "ok"
    assert checks.quotas([]).found == "none"


def test_gpus_are_counted_by_the_name_they_go_by() -> None:
    """What a node cannot hand out does not count, and a NIC is no GPU."""
    nodes: list[dict[str, Any]] = [
        {"status": {"allocatable": {"cpu": "8", "nvidia.com/gpu": "8", "rdma/hca": "2"}}},
        {"status": {"allocatable": {"nvidia.com/gpu": "4"}}},
        {"status": {"allocatable": {"huawei.com/Ascend910": "8", "amd.com/gpu": "0"}}},
        {"status": {}},
    ]

    assert checks.accelerators(nodes).found == (
        "12 nvidia.com/gpu on 2 nodes; 8 huawei.com/Ascend910 on 1 node"
    )
    assert checks.accelerators(nodes[2:]).remedy == "--gpu-resource huawei.com/Ascend910"
    assert checks.accelerators([]).found == "none on 0 nodes"


def test_a_pull_secret_that_is_missing_is_named() -> None:
    """A job would wait for its image for ever."""
    finding = checks.pull_secrets(["regcred"], ["regcred", "other"])

    assert (finding.state, finding.found) == ("fail", "other is not there; there are regcred")
    assert checks.pull_secrets(["regcred"], []).found == "regcred"
    assert checks.pull_secrets([], []).found == "none"


def test_a_silent_webhook_is_told_from_a_refusal() -> None:
    """The operator's webhook answers for every creation: without the operator there is none."""
    silent = 'Internal error occurred: failed calling webhook "validator.pytorchjob": refused'

    assert "operator's webhook" in checks.acceptance(silent).remedy
    assert checks.acceptance("denied by policy").remedy == ""
    assert checks.acceptance(None).state == "ok"
