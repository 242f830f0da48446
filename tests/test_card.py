"""What a notebook and a terminal show of a job."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta
from html import unescape
from html.parser import HTMLParser
from typing import Any

import pytest

from pyjob_magic._card import Card
from pyjob_magic._tables import EventTable, span
from pyjob_magic.diagnosis import Diagnosis
from pyjob_magic.metrics import Point, Progress, Series
from pyjob_magic.models import Event, JobStatus, Pod, PyTorchJob
from pyjob_magic.timeline import Timeline
from tests.data import read
from tests.test_timeline import a_job as a_timed_job
from tests.test_timeline import a_pod, at, conditions, ended, running

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
    a_warning("PyTorchJob", "pytorchjob-controller", "(combined from similar): Error pod y: no"),
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


RUNNING = {"startTime": "2026-01-01T00:00:12Z", "conditions": conditions(Running=15)}
PODS = [a_pod(created=12, scheduled=13, phase="Running", **running(15))]


def a_rich_card(**more: Any) -> Card:
    """Return a card of a job of which everything is known."""
    points = [Point(float(step), 1 / step) for step in range(1, 10)]
    return Card(
        **{
            "job": a_timed_job(status=RUNNING),
            "target": "local",
            "pods": PODS,
            "events": [Event.from_wire({"type": "Normal", "reason": "Pulled", "message": "there"})],
            "series": [Series("master-0", "loss", "epoch", points)],
            "progress": Progress(3, 10, 0.3, "epoch", 120.0),
            "log_tail": [("master-0", "\x1b[31mred\x1b[0m alert"), ("master-0", "10%\r20%")],
            "log_total": 1_234,
            "yaml": "kind: PyTorchJob\n",
            "card_id": "c-1",
            "now": at(75),
            **more,
        }
    )


def words(html: str) -> str:
    """Return what is left where style, drawings and tags are stripped, as on GitHub."""
    bare = re.sub(r"<style>.*?</style>", "", html, flags=re.DOTALL)
    return " ".join(unescape(re.sub("<[^>]*>", " ", bare)).split())


def test_a_card_without_style_reads_well() -> None:
    """All that is known is there as words, and nothing that only a drawing explains."""
    text = words(a_rich_card()._repr_html_())

    for said in (
        "j Running local / default · 75 s",
        "epoch 3 of 10, 30%, about 2 min left",
        "Timeline, from 00:00:00 UTC job ■ queued 12 s ■ waiting for a node 1 s ■ preparing 2 s "
        "■ running 60 s master-0 ■ waiting for a node 1 s ■ preparing 2 s ■ running 60 s",
        "loss by epoch, from 0.1111 to 1; last: ■ master-0 0.1111",
        "Log: the last 2 of 1,234 lines master-0 red alert master-0 20%",
        "Events time (UTC)",
        "Manifest kind: PyTorchJob",
        "As of 2026-01-01 00:01:15 UTC; %pytorchjob show j shows it live.",
    ):
        assert said in text


def test_the_text_says_where_time_went_and_little_more() -> None:
    """A terminal shows neither logs nor manifests nor charts."""
    text = str(a_rich_card())

    assert "  epoch 3 of 10, 30%, about 2 min left\n" in text
    assert "  queued 12 s, waiting for a node 1 s, preparing 2 s, running 60 s\n" in text
    assert len(text.splitlines()) < 14


def test_the_live_card_finds_the_static_one() -> None:
    """By a mark on its outermost element, which is as hostile as all else."""
    html = Card(a_job(), "local", card_id="a'><b>")._repr_html_()

    assert "<div class='pyjob' data-pyjob-card='a&#x27;&gt;&lt;b&gt;'>" in html
    assert "data-pyjob-card=" not in Card(a_job(), "local")._repr_html_()


def test_a_card_without_a_time_says_nothing_of_times() -> None:
    """Nor how to see it live: it is what submit has answered."""
    text = words(a_rich_card(now=None)._repr_html_())

    assert "Timeline" not in text
    assert "%pytorchjob show" not in text


def test_a_suspension_that_was_asked_for_is_seen() -> None:
    """Before anything of it has happened."""
    card = a_rich_card(job=a_timed_job(status=RUNNING, suspend=True))

    assert str(card).startswith("PyTorchJob j: Suspending (")
    assert "Suspending" in words(card._repr_html_())


def test_many_replicas_are_counted() -> None:
    """And those of which there is something to say are named, the worst first."""
    pods = [
        a_pod("master-0", phase="Pending"),
        a_pod("worker-200", phase="Failed", state=ended(1, 2, 1)),
        *(a_pod(f"worker-{n}", phase="Running", **running(1)) for n in range(200)),
    ]
    card = Card(a_timed_job(201), "local", pods, now=at(9))

    text = words(card._repr_html_())
    assert "202 replicas: 200 Running, 1 Pending, 1 Failed" in text
    assert "worker-200 Failed 0 1 master-0 Pending" in text
    assert "202 replicas, 1 of which failed" in text
    assert "worker-7" not in text
    assert len(str(card).splitlines()) < 20


class Strict(HTMLParser):
    """Holds every tag that is opened to one that is closed, and knows which there are."""

    ALLOWED = (
        *("style", "div", "header", "strong", "span", "small", "p", "progress", "b", "i", "code"),
        *("table", "caption", "thead", "tbody", "tr", "th", "td", "details", "summary", "pre"),
        *("figure", "figcaption", "svg", "rect", "path"),
    )

    def __init__(self) -> None:
        super().__init__()
        self.open: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        assert tag in self.ALLOWED
        assert not [name for name, _ in attrs if name.startswith("on") or name in ("href", "src")]
        self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        assert tag in ("rect", "path")

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag


@pytest.mark.parametrize("evil", ["<&'\">" * 40, "\U0001f525\u202e" * 100, "x" * 100_000, "\ud800"])
def test_whatever_the_job_the_card_is_small_and_whole(evil: str) -> None:
    """Hundreds of replicas and series, lines of any length; no element but ours, none open."""
    job = a_timed_job(511, status={"conditions": conditions(Failed=15)})
    job.metadata.labels = {evil: evil}
    job.metadata.name = evil
    seen = Timeline(job)
    pods = []
    for number in range(512):
        for restart in range(8):
            last = ended(restart * 2, restart * 2 + 1, 1, restart - 1) if restart else None
            pod = a_pod(f"worker-{number}", phase="Failed", **running(restart * 2, restart, last))
            pod.status.reason = evil
            seen.see_pod(pod, at(9))
        pods.append(pod)
    points = [Point(float(step), (-1) ** step / (step + 1)) for step in range(3_000)]
    said = {"type": "Warning", "reason": evil, "message": evil}
    about = {"involvedObject": {"name": evil, "kind": "PyTorchJob"}}
    card = a_rich_card(
        job=job,
        target=evil,
        pods=pods,
        timeline=seen,
        events=[Event.from_wire({**said, **about, "message": f"{evil}{n}"}) for n in range(300)],
        series=[Series(f"{evil}{n % 20}", f"{evil}{n // 20}", "step", points) for n in range(200)],
        progress=Progress(1e300, 1e301, 0.1, evil, 1e9),
        diagnosis=Diagnosis(evil, evil, evil, f"{evil}\n" * 50),
        log_tail=[(evil, f"{evil}{n}") for n in range(100)],
        yaml=f"{evil}\n" * 100,
    )

    html = card._repr_html_()

    assert len(html.encode(errors="replace")) < 100_000
    parser = Strict()
    parser.feed(html)
    parser.close()
    assert parser.open == []
    assert "\u202e" not in html
    assert "\u202e" not in str(card)


def test_a_large_card_of_usual_things_holds_them_all() -> None:
    """Room is kept for everything where names and lines are as they usually are."""
    job = a_timed_job(31, status=RUNNING)
    names = ["master-0", *(f"worker-{n}" for n in range(31))]
    pods = [a_pod(name, scheduled=13, phase="Running", **running(15)) for name in names]
    points = [Point(float(step), 2 + (-1) ** step / (step + 1)) for step in range(3_000)]
    card = a_rich_card(
        job=job,
        pods=pods,
        series=[Series(name, f"m{n}", "step", points) for n in range(8) for name in names],
        metrics_note="7 lines came too fast",
        log_tail=[("worker-12", f"step {n}/3000 loss=0.1234 acc=0.9876 " * 4) for n in range(40)],
        yaml="line: of a manifest\n" * 800,
    )

    html = card._repr_html_()

    assert len(html) < 100_000
    assert "2 more metrics" in html
    assert "7 lines came too fast." in html
    assert "Log: the last 40 of" in html
    assert html.count("<svg") == 33 + 6
    assert "shows it live" in html
