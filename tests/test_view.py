"""What the live card shows, as values of JSON."""

from __future__ import annotations

import json
import math
import shlex
from datetime import UTC, datetime
from typing import Any

import pytest
import yaml

from pyjob_magic import _view
from pyjob_magic._card import Card
from pyjob_magic.diagnosis import Diagnosis
from pyjob_magic.dialects import CCI
from pyjob_magic.manifest import load
from pyjob_magic.metrics import Point, Progress, Series
from pyjob_magic.models import Event, PyTorchJob
from pyjob_magic.target import Target
from pyjob_magic.timeline import Timeline
from tests.test_timeline import a_job, a_pod, at, conditions, ended, running

NOW = at(100)
CLUSTER = Target("kubernetes", "https://k8s", context="prod")


def strict(value: Any) -> Any:
    """Return what a browser gets, which knows no NaN."""
    return json.loads(json.dumps(value, allow_nan=False))


def a_card(job: PyTorchJob, *pods: Any, **more: Any) -> Card:
    return Card(job, "kubernetes (prod)", pods, **more)


def test_the_head_of_a_running_job() -> None:
    """State, times, and how long it was until all ran."""
    status = {"startTime": "2026-01-01T00:00:02Z", "conditions": conditions(Created=1, Running=9)}
    pods = [
        a_pod("master-0", phase="Running", **running(5)),
        a_pod("worker-0", phase="Running", **running(9)),
    ]

    head = strict(_view.head(a_card(a_job(1, status=status), *pods), NOW))

    assert (head["state"], head["tone"], head["gone"]) == ("Running", "running", False)
    assert head["now"] - head["submitted"] == 100
    assert head["started"] - head["submitted"] == 2
    assert (head["ended"], head["queued"]) == (None, 9.0)
    assert head["actions"] == ["suspend", "delete", "rerun", "wait"]
    assert head["open_command"] == "%pytorchjob show j"
    assert ["replicas", "1 Master + 1 Worker"] in head["metadata"]


@pytest.mark.parametrize(
    ("suspend", "since", "state", "tone", "action"),
    [
        (True, {"Running": 5}, "Suspending", "waiting", "resume"),
        (True, {"Suspended": 5}, "Suspended", "idle", "resume"),
        (False, {"Suspended": 5}, "Resuming", "waiting", "suspend"),
        (False, {"Restarting": 5}, "Restarting", "waiting", "suspend"),
    ],
)
def test_what_was_asked_for_is_seen_before_it_is_done(
    suspend: bool, since: dict[str, float], state: str, tone: str, action: str
) -> None:
    """A job that is to be suspended says so, and what can be done is the other way round."""
    job = a_job(status={"conditions": conditions(**since)}, suspend=suspend)

    head = _view.head(a_card(job), NOW)

    assert (head["state"], head["tone"], head["actions"][0]) == (state, tone, action)


def test_what_can_be_done_with_a_job_that_is_over_or_gone() -> None:
    """And on a target that cannot suspend."""
    over = a_job(status={"conditions": conditions(Failed=5)})

    assert _view.actions(over, gone=False) == ["delete", "rerun"]
    assert _view.actions(over, gone=True) == ["rerun"]
    assert "suspend" not in _view.actions(a_job(), gone=False, can_suspend=False)
    assert _view.head(a_card(over), NOW, gone=True)["state"] == "Deleted"


def test_the_diagnosis_is_said_once() -> None:
    """It is not among the notes again; a traceback of a stranger has an end."""
    found = Diagnosis("worker-0 fell over", "lift it", "worker-0", "x" * 100_000, 3)
    job = a_job(status={"conditions": conditions(Failed=5)})

    head = strict(_view.head(a_card(job, diagnosis=found), NOW))

    assert head["diagnosis"]["text"] == "worker-0 fell over; lift it"
    assert (head["diagnosis"]["replica"], head["diagnosis"]["cell_line"]) == ("worker-0", 3)
    assert len(head["diagnosis"]["traceback"]) <= 20_000
    assert head["notes"] == []


def test_replicas_in_the_order_in_which_they_were_asked_for() -> None:
    """Those that have no pod yet, or no longer, have a place all the same."""
    pods = [
        a_pod("worker-0", phase="Failed", state=ended(1, 2, 1), restartCount=2),
        a_pod("worker-1", phase="Pending", state={"waiting": {"reason": "ImagePullBackOff"}}),
    ]

    master, failed, pulling = _view.replicas(["master-0", "worker-0", "worker-1"], pods)

    assert (master["phase"], master["tone"]) == ("not started", "none")
    assert (failed["tone"], failed["exit"], failed["restarts"]) == ("bad", 1, 2)
    assert (pulling["tone"], pulling["reason"]) == ("bad", "ImagePullBackOff")


@pytest.mark.parametrize(
    ("over", "seen", "phase"),
    [
        (False, (), "not started"),
        (False, ("master-0",), "removed"),
        (True, (), "removed"),
    ],
)
def test_a_replica_without_a_pod(over: bool, seen: tuple[str, ...], phase: str) -> None:
    """It has not begun, or was removed: the operator does so when a job ends."""
    (shown,) = _view.replicas(["master-0"], (), ended=over, seen=seen)

    assert (shown["phase"], shown["tone"]) == (phase, "none")


def test_a_replica_that_is_being_deleted() -> None:
    """Neither it nor what a signal made of it is a failure."""
    pod = a_pod(phase="Running", state=ended(1, 2, 143))
    pod.metadata.deletion_timestamp = "2026-01-01T00:00:02Z"

    (shown,) = _view.replicas(["master-0"], [pod])

    assert (shown["phase"], shown["tone"]) == ("Terminating", "idle")


def test_a_timeline_of_hundreds_of_restless_replicas_has_an_end() -> None:
    """What is shown is bounded, the newest of it."""
    seen = Timeline(a_job(600))
    for number in range(600):
        for restart in range(20):
            last = ended(restart * 2, restart * 2 + 1, 1, restart - 1) if restart else None
            pod = a_pod(f"worker-{number}", phase="Running", **running(restart * 2, restart, last))
            seen.see_pod(pod, NOW)

    shown = strict(_view.timeline(seen, NOW))

    assert len(shown["rows"]) == 513
    assert sum(len(row["spans"]) for row in shown["rows"]) < 8_000
    assert shown["rows"][2]["spans"][-1]["end"] is None
    assert shown["end"] is None
    assert len(json.dumps(shown)) < 2_000_000


def test_a_timeline_that_is_over_has_an_end() -> None:
    """Whose job, and replicas, have ended."""
    status = {"startTime": "2026-01-01T00:00:01Z", "conditions": conditions(Running=1, Succeeded=9)}
    seen = Timeline(a_job())
    seen.see_job(a_job(status=status), NOW)

    shown = _view.timeline(seen, NOW)

    assert (shown["start"], shown["end"]) == (at(0).timestamp(), at(9).timestamp())


def test_a_timeline_of_nothing() -> None:
    """It begins with the submission, and goes on."""
    shown = strict(_view.timeline(Timeline(a_job()), NOW))

    assert (shown["start"], shown["end"]) == (at(0).timestamp(), None)
    assert [row["spans"] for row in shown["rows"]] == [[], []]


def test_progress() -> None:
    """Nothing as long as nobody tells; no time left that is not known."""
    heard = Progress(3, 10, 0.3, "epoch")

    assert _view.progress(None, "", None, 0) is None
    shown = strict(_view.progress(heard, "master-0", math.inf, 7.0))
    assert shown["fraction"] == 0.3
    assert (shown["left"], shown["replica"], shown["at"]) == (None, "master-0", 7.0)


def test_charts_have_gaps_and_bounds() -> None:
    """What is no number is a gap; of too many metrics and replicas it is said what is missing."""
    points = [Point(float(step), math.nan if step == 5 else step / 7) for step in range(5_000)]
    one = [Series("master-0", "loss", "step", points)]
    many = [
        Series(f"worker-{replica}", f"m{metric}", "step", [Point(1, 2)])
        for metric in range(40)
        for replica in range(30)
    ]

    (chart,), note = _view.charts(one)
    charts, many_note = _view.charts(many)

    assert note == ""
    assert len(chart["series"][0]["x"]) <= 400
    assert strict(chart)["series"][0]["y"][-1] == points[-1].value
    assert (len(charts), len(charts[0]["series"])) == (24, 16)
    assert many_note.startswith("not drawn: 16 of 40 metrics and all but the first 16 replicas")


def test_events_newest_first() -> None:
    """Bounded in number and length; a time that cannot be read is none."""
    said = [
        Event.from_wire({"lastTimestamp": f"2026-01-01T00:00:{n % 60:02}Z", "message": "x" * 9_999})
        for n in range(500)
    ]
    strange = Event.from_wire({"lastTimestamp": "~then", "count": 3})

    shown = strict(_view.events([*said, strange]))

    assert len(shown) == 200
    assert (shown[0]["time"], shown[0]["count"]) == (None, 3)
    assert shown[1]["time"] == at(59).timestamp()
    assert len(shown[1]["message"]) == 2_000


def a_served_job() -> PyTorchJob:
    job = a_job(1, status={"conditions": conditions(Created=1)}, suspend=False)
    job.metadata.namespace = "team a"
    job.metadata.uid, job.metadata.resource_version = "u", "7"
    container = job.spec.pytorch_replica_specs["Master"].template.spec.containers[0]
    wire = {"name": "pytorch", "env": [{"name": "HF_TOKEN", "value": "s3cret"}]}
    job.spec.pytorch_replica_specs["Master"].template.spec.containers = [
        type(container).from_wire(wire)
    ]
    return job


def test_the_manifest_can_be_sent_again() -> None:
    """Nothing of what a server adds is in it, and no secret."""
    text = _view.manifest(a_served_job(), CLUSTER)["yaml"]

    again = load(text, file="job.yaml")
    assert again.name == "j"
    assert "uid" not in yaml.safe_load(text)["metadata"]
    assert "status" not in yaml.safe_load(text)
    assert "s3cret" not in text
    assert "{HF_TOKEN}" in text


def lines(job: PyTorchJob, target: Target) -> dict[str, list[str]]:
    return {
        line["does"]: shlex.split(line["line"]) for line in _view.manifest(job, target)["kubectl"]
    }


def test_kubectl_lines_say_where_and_what() -> None:
    """Quoted for a shell; the context is the one that is meant, whatever the current one."""
    said = lines(a_served_job(), CLUSTER)

    place = ["--namespace", "team a", "--context", "prod"]
    assert said["look at the job"] == ["kubectl", "get", "pytorchjob", "j", *place]
    assert said["follow the log of a replica"][1:4] == ["logs", "-f", "j-master-0"]
    patch = '{"spec":{"runPolicy":{"suspend":true}}}'
    assert patch in said["suspend it"]
    assert json.loads(patch)


def test_kubectl_lines_for_other_targets() -> None:
    """The embedded API has to let kubectl in first; CCI cannot suspend."""
    local = lines(a_served_job(), Target("local", "http://localhost"))
    cci = lines(a_served_job(), Target("cci", "https://cci.x.example", dialect=CCI()))

    assert local["let kubectl in"][:2] == ["pyjob-magic", "kubeconfig"]
    assert "--cci-endpoint=https://cci.x.example" in cci["let kubectl in"]
    assert "suspend it" not in cci
    assert not any("--context" in words for words in local.values())


def test_everything_at_once_is_json() -> None:
    """Of hostile names, too; `now` may be any time."""
    evil = "\ud800<script>\x1b[2J\x00"
    job = a_job(1)
    job.metadata.name = evil
    card = a_card(job, a_pod(phase=evil))

    for value in (
        _view.head(card, datetime(2026, 1, 1, tzinfo=UTC)),
        _view.replicas([evil], card.pods),
        _view.manifest(job, CLUSTER),
    ):
        strict(value)
