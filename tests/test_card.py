"""What a notebook and a terminal show of a job."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from pyjob_magic._card import Card
from pyjob_magic._tables import EventTable, span
from pyjob_magic.models import Event, JobStatus, Pod, PyTorchJob
from tests.data import read

EVIL = "<script>alert(1)</script>&\x1b[2J"


def a_job(**metadata: Any) -> PyTorchJob:
    wire = read("exchanges/create.json")["response"]["body"]
    return PyTorchJob.from_wire({**wire, "metadata": {**wire["metadata"], **metadata}})


def test_text_and_html_hold_the_metadata_that_came_back() -> None:
    """One object is shown in a terminal and in a notebook, with every value of the answer."""
    job = a_job()
    shown = Card(job, "local")._repr_mimebundle_()

    assert set(shown) == {"text/plain", "text/html"}
    meta = job.metadata
    for fact in ("name", "namespace", "uid", "creationTimestamp", "generation", "resourceVersion"):
        assert f"  {fact} " in shown["text/plain"]
        assert f">{fact}</th>" in shown["text/html"]
    for value in (meta.name, meta.namespace, meta.uid, meta.creation_timestamp):
        assert value
        assert value in shown["text/plain"]
        assert value in shown["text/html"]


def test_self_link_is_shown_only_if_the_server_sent_one() -> None:
    """Kubernetes no longer sends it; Huawei Cloud does."""
    assert "selfLink" not in str(Card(a_job(), "local"))
    assert "/apis/x" in str(Card(a_job(selfLink="/apis/x"), "cci"))


def test_nothing_from_a_job_becomes_html_or_a_terminal_sequence() -> None:
    """Names, events and reasons are text wherever they are shown."""
    pod = Pod.from_wire(
        {
            "metadata": {"name": EVIL},
            "spec": {"containers": []},
            "status": {"phase": EVIL, "reason": EVIL},
        }
    )
    event = Event.from_wire(
        {"type": "Warning", "reason": EVIL, "message": EVIL, "involvedObject": {"name": EVIL}}
    )
    card = Card(a_job(name=EVIL, uid=EVIL), EVIL, [pod], [event])

    for shown in (card._repr_mimebundle_(), EventTable([event])._repr_mimebundle_()):
        assert "<script" not in shown["text/html"]
        assert "&lt;script&gt;" in shown["text/html"]
        assert "\x1b" not in shown["text/plain"]


def a_warning(kind: str, component: str, message: str) -> Event:
    return Event.from_wire(
        {
            "type": "Warning",
            "message": message,
            "involvedObject": {"kind": kind, "name": "x"},
            "source": {"component": component},
        }
    )


WARNINGS = [
    a_warning("Pod", "kubelet", "Back-off restarting failed container"),
    a_warning("PyTorchJob", "pytorchjob-controller", "Error pod x: Back-off"),
    a_warning("PyTorchJob", "pytorchjob-controller", "Error creating: quota"),
    a_warning("PyTorchJob", "kubelet", "the image is not used"),
]


@pytest.mark.parametrize(
    ("state", "told"),
    [
        ("Running", ["Back-off restarting", "Error creating: quota", "the image is not used"]),
        ("Succeeded", ["the image is not used"]),
    ],
)
def test_warnings_are_told_as_long_as_they_matter(state: str, told: list[str]) -> None:
    """A trouble that is over, or that is told twice, is not shown."""
    job = a_job()
    job.status = JobStatus.from_wire({"conditions": [{"type": state, "status": "True"}]})

    shown = str(Card(job, "local", events=WARNINGS))

    all_told = [event.message for event in WARNINGS if event.message and event.message in shown]
    assert len(all_told) == len(told)
    assert all(text in shown for text in told)


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(0, "0 s"), (119, "119 s"), (120, "2 min"), (7199, "119 min"), (7200, "2 h"), (200000, "2 d")],
)
def test_spans_have_two_digits_at_least(seconds: int, text: str) -> None:
    """90 seconds are not 1 minute."""
    start = datetime(2026, 1, 1, tzinfo=UTC)

    assert span(start, start + timedelta(seconds=seconds)) == text
