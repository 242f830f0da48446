"""The lines that a terminal shows of a job."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from wcwidth import wcwidth

from pyjob_magic._block import Block, clock, coloured, plain
from pyjob_magic._card import Card
from pyjob_magic.diagnosis import Diagnosis
from pyjob_magic.metrics import Progress
from pyjob_magic.models import Pod, PyTorchJob

NOW = datetime(2026, 1, 1, 0, 1, 7, tzinfo=UTC)
SGR = re.compile(r"\x1b\[[0-9;]*m")
RUNNING: dict[str, Any] = {"running": {}}


def a_job(state: str = "Running", name: str = "train") -> PyTorchJob:
    wire = {
        "metadata": {"name": name, "creationTimestamp": "2026-01-01T00:00:00Z"},
        "spec": {"pytorchReplicaSpecs": {"Master": {"template": {"spec": {"containers": []}}}}},
        "status": {
            "conditions": [{"type": state, "status": "True"}],
            "completionTime": "2026-01-01T00:00:30Z" if state == "Succeeded" else None,
        },
    }
    return PyTorchJob.from_wire(wire)


def a_pod(replica: str, phase: str = "Running", restarts: int = 0, **state: Any) -> Pod:
    kind, _, index = replica.rpartition("-")
    status = {"name": "pytorch", "restartCount": restarts, "state": state or RUNNING}
    labels = {
        "training.kubeflow.org/replica-type": kind,
        "training.kubeflow.org/replica-index": index,
    }
    return Pod.from_wire(
        {
            "metadata": {"name": f"train-{replica}", "labels": labels},
            "spec": {"containers": []},
            "status": {"phase": phase, "containerStatuses": [status]},
        }
    )


def lines(
    *pods: Pod,
    job: PyTorchJob | None = None,
    replicas: Sequence[str] = (),
    width: int = 80,
    height: int = 24,
    diagnosis: Diagnosis | None = None,
    last: Mapping[str, str] | None = None,
    **said: Any,
) -> list[str]:
    card = Card(job or a_job(), "local", pods, diagnosis=diagnosis)
    names = replicas or [pod.replica for pod in pods]
    return Block(card, names, last or {}, **said).lines(NOW, width, height, colours=False)


def test_what_stands_there() -> None:
    progress = ("master-0", Progress(3, 10, 0.25, "epoch"), 75.0)
    last = {"master-0": "loss=0.5"}

    shown = lines(
        a_pod("master-0"), replicas=["master-0", "worker-0"], last=last, progress=progress
    )

    assert shown == [
        "train  Running  1:07  local / default",
        "━━━━━━────────────────────  25%  epoch 3/10  1:15 left",
        "  master-0  Running      loss=0.5",
        "  worker-0  not started",
    ]


@pytest.mark.parametrize(
    ("state", "seen", "told"),
    [
        ("Running", [], "not started"),
        ("Running", ["worker-0"], "removed"),
        ("Succeeded", [], "removed"),
    ],
)
def test_a_replica_without_a_pod(state: str, seen: list[str], told: str) -> None:
    """It has not begun, or the operator has removed it; its last words stay."""
    last = {"worker-0": "bye"}
    shown = lines(job=a_job(state), replicas=["worker-0"], seen=seen, last=last)

    assert shown[1:] == [f"  worker-0  {told}  bye"]


@pytest.mark.parametrize(
    ("pod", "told"),
    [
        (a_pod("master-0", restarts=1), "Running (restarted)"),
        (a_pod("master-0", restarts=3), "Running (restarted 3 x)"),
        (a_pod("master-0", "Succeeded", terminated={"exitCode": 0}), "Succeeded"),
        (
            a_pod("master-0", "Failed", terminated={"exitCode": 137, "reason": "OOMKilled"}),
            "Failed (OOMKilled, exit code 137)",
        ),
        (
            a_pod("master-0", "Failed", terminated={"exitCode": 1, "reason": "Error"}),
            "Failed (exit code 1)",
        ),
        (
            a_pod("master-0", "Pending", waiting={"reason": "ImagePullBackOff"}),
            "Pending (ImagePullBackOff)",
        ),
    ],
)
def test_how_a_replica_fares(pod: Pod, told: str) -> None:
    assert lines(pod)[1:] == [f"  master-0  {told}"]


def test_the_clock_stops_when_the_job_has_ended() -> None:
    assert lines(job=a_job("Succeeded"))[0] == "train  Succeeded  0:30  local / default"


def test_why_a_job_waits() -> None:
    """Only as long as it waits: why it has failed is said by an error."""
    found = Diagnosis("worker-0 waits for its image " * 9, "look at the name")

    shown = lines(diagnosis=found, width=40)
    assert len(shown) == 4
    assert shown[1].startswith("  worker-0 waits for its image")
    assert shown[3].endswith(" …")
    assert len(lines(diagnosis=found, job=a_job("Failed"))) == 1


def test_of_many_replicas_those_are_named_that_are_not_fine() -> None:
    names = ["master-0", *(f"worker-{n}" for n in range(511))]
    pods = [a_pod(name) for name in names[:500]]
    pods += [a_pod(name, "Pending", waiting={"reason": "ErrImagePull"}) for name in names[500:509]]

    shown = lines(*pods, replicas=names, last={"worker-3": "older", "worker-1": "latest"})

    assert shown[1] == "  512 replicas: 500 Running, 9 Pending, 3 not started"
    assert shown[2] == "  worker-499  Pending (ErrImagePull)"
    assert len(shown) == 10
    assert shown[-2:] == ["  … and 3 more of those", "  [worker-1] latest"]


def test_a_low_terminal_shows_what_fits_above_the_cursor() -> None:
    pods = [a_pod(f"worker-{n}") for n in range(8)]

    assert len(lines(*pods, height=6)) == 5
    assert len(lines(*pods, height=1)) == 1


@given(st.text(), st.text(), st.integers(8, 60))
def test_no_text_steers_the_terminal(name: str, text: str, width: int) -> None:
    """Nor makes a line wider than it may be."""
    card = Card(a_job(name=name), text, [a_pod("master-0")], diagnosis=Diagnosis(text))
    block = Block(card, ["master-0"], {"master-0": text})

    for line in block.lines(NOW, width, 24):
        bare = SGR.sub("", line)
        assert sum(max(0, wcwidth(character)) for character in bare) <= width
        assert bare.isprintable()


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("a\x1b[31mb\x1b[0m", "ab"),
        ("a\x1b[2Jb\x1b[?25lc\x1b[5 qd", "abcd"),
        ("a\x1b]0;title\x07b\x1b]8;;http://x\x1b\\c", "abc"),
        ("a\x1bPq#0\x1b\\b\x1bcd", "abd"),
        ("a\x1b", "a"),
        ("a\x1b[", "a"),
        ("a\tb", "a       b"),
        ("a\x07\x08\x9b2J\u202eb\r", "a\\x07\\x08\\x9b2J\\u202eb\\r"),
        ("日本 é", "日本 é"),
    ],
)
def test_plain_text(text: str, expected: str) -> None:
    assert plain(text) == expected


def test_a_line_may_colour_itself() -> None:
    """And nothing that follows it."""
    assert coloured("a\x1b[1;31mb\x1b[2Jc") == "a\x1b[1;31mbc\x1b[0m"
    assert coloured("a\x1b[Kb") == "ab"


def test_wide_characters_take_two_columns() -> None:
    shown = lines(a_pod("master-0"), last={"master-0": "日" * 40}, width=40)[1]

    assert shown == f"  master-0  Running  {'日' * 9}…"


@pytest.mark.parametrize(
    ("seconds", "shown"), [(-1, "0:00"), (7.4, "0:07"), (754, "12:34"), (90_061, "25:01:01")]
)
def test_a_clock(seconds: float, shown: str) -> None:
    assert clock(seconds) == shown
