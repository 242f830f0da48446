"""What this machine cannot give is said, once for each subject."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from pyjob_magic.images import DEFAULT_IMAGE
from pyjob_magic.local.control.caveats import caveats
from tests.local.api import a_job

PYTHON = Path("/venv/bin/python")


def said(container: dict[str, Any], pod: dict[str, Any]) -> list[tuple[str, str]]:
    job = a_job("j", workers=3, container={"image": None, **container}, pod=pod)
    return [(remark.reason, remark.message) for remark in caveats(job, PYTHON)]


def mounted(path: str, name: str = "v") -> dict[str, Any]:
    return {"volumeMounts": [{"name": name, "mountPath": path}]}


def test_the_image_is_named_once() -> None:
    """Four replicas of one image are one warning."""
    assert said({"image": "a/b:c"}, {}) == [
        ("ImageNotUsed", "local runs use this machine's Python /venv/bin/python, not image a/b:c")
    ]


@pytest.mark.parametrize("image", [DEFAULT_IMAGE, "", None])
def test_an_image_that_nobody_chose_is_not_mentioned(image: str | None) -> None:
    """Who has not asked for one misses none."""
    assert said({"image": image}, {}) == []


@pytest.mark.parametrize(
    "kind",
    [{"emptyDir": {}}, {"configMap": {"name": "c"}}, {"secret": {"secretName": "s"}}],
)
def test_a_volume_that_is_elsewhere_is_pointed_to(kind: dict[str, Any]) -> None:
    """A program that looks at the path of the mount would find nothing."""
    pod = {"volumes": [{"name": "v", **kind}]}

    assert said(mounted("/cache"), pod) == [
        ("VolumeElsewhere", 'volume "v" is at $PYJOB_ROOT/cache, not at /cache')
    ]


@pytest.mark.parametrize(("path", "name"), [("/dev/shm", "dshm"), ("/etc/pyjob", "pyjob-source")])
def test_what_is_where_it_is_looked_for_is_not_mentioned(path: str, name: str) -> None:
    """The machine has a /dev/shm, and the source is found."""
    assert said(mounted(path, name), {"volumes": [{"name": name, "emptyDir": {}}]}) == []


def test_a_claim_is_left_out_aloud() -> None:
    """There are no volume claims here."""
    pod = {"volumes": [{"name": "v", "persistentVolumeClaim": {"claimName": "data"}}]}

    ((reason, message),) = said(mounted("/data"), pod)

    assert reason == "VolumeNotMounted"
    assert '"data"' in message


@pytest.mark.parametrize(
    ("container", "pod", "named"),
    [
        (
            {"livenessProbe": {"exec": {}}, "lifecycle": {"preStop": {}}},
            {},
            "lifecycle, livenessProbe",
        ),
        ({}, {"hostAliases": [{"ip": "1.2.3.4"}], "dnsPolicy": "None"}, "dnsPolicy, hostAliases"),
        (
            {"securityContext": {"runAsUser": 1}},
            {"securityContext": {"runAsNonRoot": True}},
            "securityContext",
        ),
        (
            {
                "resources": {
                    "limits": {"cpu": 1, "memory": 1, "nvidia.com/gpu": 1, "hugepages-2Mi": 1}
                }
            },
            {},
            "a limit of hugepages-2Mi",
        ),
    ],
)
def test_fields_that_are_ignored_are_named_together(
    container: dict[str, Any], pod: dict[str, Any], named: str
) -> None:
    """Those of the pod and of its containers, each once."""
    assert said(container, pod) == [
        ("FieldsIgnored", f"local runs are processes of this machine, without {named}")
    ]


def test_what_means_nothing_is_not_mentioned() -> None:
    """Defaults, and what a process has anyway."""
    pod = {
        "securityContext": {},
        "dnsPolicy": "ClusterFirst",
        "schedulerName": "default-scheduler",
        "hostNetwork": True,
        "hostPID": True,
        "volumes": [{"name": "v", "emptyDir": {"medium": "Memory", "sizeLimit": "1Gi"}}],
    }
    assert said({**mounted("/dev/shm"), "tty": False, "lifecycle": {}}, pod) == []


def test_a_token_is_left_out_aloud() -> None:
    """There are no service accounts here; the rest of the volume is there."""
    sources = [{"serviceAccountToken": {"path": "token"}}, {"configMap": {"name": "c"}}]
    pod = {"volumes": [{"name": "v", "projected": {"sources": sources}}]}

    assert said({}, pod) == [
        ("VolumeNotMounted", 'volume "v" has no serviceAccountToken here'),
    ]


def test_two_volumes_at_one_path_are_one_too_many() -> None:
    """Containers have a root each, the processes of a pod share one."""
    beside = {"name": "beside", "volumeMounts": [{"name": "w", "mountPath": "/data"}]}
    pod = {
        "initContainers": [beside],
        "volumes": [{"name": "v", "emptyDir": {}}, {"name": "w", "emptyDir": {}}],
    }

    assert said(mounted("/data"), pod) == [
        ("VolumeElsewhere", 'volume "w" is at $PYJOB_ROOT/data, not at /data'),
        ("VolumeNotMounted", 'volume "v" is left out: "w" is at /data'),
    ]


def test_there_is_no_autoscaler_and_that_is_said() -> None:
    """An elastic job with metrics is accepted, and stays as large as it is."""
    metrics = [{"type": "Resource", "resource": {"name": "cpu", "target": {"type": "Utilization"}}}]
    job = a_job(container={"image": None}, spec={"elasticPolicy": {"metrics": metrics}})
    assert [remark.reason for remark in caveats(job, PYTHON)] == ["AutoscalingIgnored"]
    del job["spec"]["elasticPolicy"]["metrics"]
    assert caveats(job, PYTHON) == []


def test_what_means_nothing_of_a_scheduling_policy_is_named() -> None:
    """How many replicas are enough is minded; there is one queue, and no priority in it."""
    policy = {"queue": "gpu", "priorityClass": "high", "minAvailable": 1}
    job = a_job(container={"image": None}, schedulingPolicy=policy)
    (remark,) = caveats(job, PYTHON)
    assert remark.reason == "SchedulingPolicyIgnored"
    assert "priorityClass, queue of schedulingPolicy means nothing here" in remark.message
    del policy["queue"], policy["priorityClass"]
    assert caveats(job, PYTHON) == []


@pytest.mark.parametrize(
    ("command", "nproc", "gpus", "warned"),
    [
        (["torchrun", "x.py"], None, 0, True),
        (["bash", "-c", "exec python -m torch.distributed.run x.py"], "cpu", 0, True),
        (["torchrun", "x.py"], "2", 0, False),
        (["torchrun", "x.py"], "auto", 1, False),
        (["python", "x.py"], None, 0, False),
    ],
)
def test_replicas_that_would_each_fill_the_machine_are_warned_of(
    command: list[str], nproc: str | None, gpus: int, warned: bool
) -> None:
    """Left alone, torchrun starts a process for each CPU: in every replica, of the same machine."""
    resources = {"resources": {"limits": {"nvidia.com/gpu": gpus}}}
    spec = {"nprocPerNode": nproc} if nproc else {}
    container = {"image": None, **resources}
    job = a_job(workers=1, command=command, container=container, spec=spec)
    reasons = [remark.reason for remark in caveats(job, PYTHON)]
    assert ("ProcessesOvercommitted" in reasons) is warned


def test_a_queue_means_nothing() -> None:
    """A job that names one does not wait for a Kueue that is not there."""
    job = a_job("j", container={"image": None})
    job["metadata"]["labels"] = {"kueue.x-k8s.io/queue-name": "team-a"}

    assert [(remark.reason, remark.message) for remark in caveats(job, PYTHON)] == [
        ("QueueIgnored", 'there is no Kueue here: jobs of queue "team-a" are admitted at once')
    ]
