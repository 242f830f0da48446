"""A plain page with one live card on it, and what a kernel would tell the card."""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from playwright.sync_api import Browser, Locator

from pyjob_magic import _frontend
from tests.browser.widgetpage import WidgetPage

FAKE_MODEL = Path(__file__).with_name("fakemodel.js")
NOW = 1_700_000_000.0
BODY = """<script src="fakemodel.js"></script>
<div class="jp-OutputArea-child" id="static"><div data-pyjob-card="card-1">as saved</div></div>
<div class="jp-OutputArea-child"><div id="place"></div></div>"""


class CardPage(WidgetPage):
    """A page on which `render` has run with a fake model.

    Parameters
    ----------
    browser
        Opens the page.
    traits
        What the kernel has said, see `running`.
    log
        `replicas`, `total` and `special` lines of the log that the fake kernel has.
    theme
        ``light`` or ``dark``.
    """

    def __init__(
        self,
        browser: Browser,
        traits: dict[str, Any],
        log: dict[str, Any] | None = None,
        *,
        theme: str = "light",
        width: int = 1000,
        height: int = 1000,
    ) -> None:
        scripts = {"card.mjs": _frontend.esm(), "fakemodel.js": FAKE_MODEL.read_text()}
        size = {"width": width, "height": height}
        super().__init__(browser, scripts, _frontend.css(), BODY, theme=theme, **size)
        names = [replica["name"] for replica in traits["replicas"]]
        self.page.evaluate(
            """async ([traits, log]) => {
                const { default: card } = await import('./card.mjs');
                window.model = new FakeModel(traits, log);
                window.close_card = card.render({ model, el: document.getElementById('place') });
            }""",
            [traits, log or {"replicas": names, "total": 300}],
        )
        self.page.wait_for_function("document.querySelector('.pj-name')?.textContent")

    @property
    def card(self) -> Locator:
        """The card itself."""
        return self.page.locator(".pyjob-live")

    @property
    def log(self) -> Locator:
        """The window onto the lines."""
        return self.page.locator(".pj-log")

    def lines(self) -> list[str]:
        """Return the text of the lines that are in the page, in order."""
        return self.page.locator(".pj-row .pj-text").all_text_contents()

    def set(self, **traits: Any) -> None:
        """Change traits, as the kernel would."""
        self.page.evaluate(
            "traits => Object.entries(traits).forEach(([k, v]) => model.set(k, v))", traits
        )

    def print(self, count: int, partial: Sequence[tuple[int, str]] = ()) -> None:
        """Let the job print lines."""
        self.page.evaluate("([n, partial]) => model.print(n, partial)", [count, partial])


def running(replicas: int = 3, **changes: Any) -> dict[str, Any]:
    """Return the traits of a job that trains, as a kernel would say them."""
    names = ["master-0", *(f"worker-{i}" for i in range(replicas - 1))]
    traits = {
        "card_id": "card-1",
        "head": head(),
        "progress": {
            "fraction": 0.42,
            "label": "epoch 5/12, step 420/1000",
            "done": 420,
            "total": 1000,
            "left": 187.0,
            "replica": "master-0",
            "at": NOW,
        },
        "replicas": [
            {
                "name": name,
                "phase": "Running",
                "tone": "running",
                "node": f"gpu-node-{i % 16}",
                "restarts": int(i == 2),
                "exit": None,
                "reason": "",
            }
            for i, name in enumerate(names)
        ],
        "timeline": timeline(names),
        "charts": charts(names[:4]),
        "charts_note": "",
        "metrics_note": "",
        "events": EVENTS,
        "manifest": {"yaml": YAML, "kubectl": KUBECTL},
    }
    return traits | changes


def head(**changes: Any) -> dict[str, Any]:
    """Return the head of a job that runs since two minutes."""
    said = {
        "name": "mnist-resnet50",
        "state": "Running",
        "tone": "running",
        "target": "kubernetes (team-cluster)",
        "namespace": "team-vision",
        "now": NOW,
        "submitted": NOW - 158,
        "started": NOW - 136,
        "ended": None,
        "queued": 22.0,
        "diagnosis": None,
        "notes": [],
        "metadata": [
            ["name", "mnist-resnet50"],
            ["namespace", "team-vision"],
            ["uid", "5d3f5a0e-8a8a-4d43-9c2b-0f0de8f2a6f1"],
            ["creationTimestamp", "2023-11-14T22:10:42Z"],
            ["resourceVersion", "184467"],
            ["replicas", "1 Master + 2 Workers"],
        ],
        "gone": False,
        "status": "",
        "actions": ["wait", "suspend", "delete"],
        "open_command": "%pytorchjob show mnist-resnet50",
    }
    return said | changes


def failed() -> dict[str, Any]:
    """Return the traits of a job that failed in one replica."""
    traits = running()
    for replica in traits["replicas"][:2]:
        replica |= {"phase": "Stopped", "tone": "idle"}
    traits["replicas"][2] |= {"phase": "Failed", "tone": "bad", "exit": 1, "reason": "Error"}
    for i, row in enumerate(traits["timeline"]["rows"]):
        kind = "failed" if i in (0, 3) else "stopped"
        row["spans"][-1] |= {"kind": kind, "end": NOW - 4}
        row["marks"].append({"kind": "ended", "at": NOW - 4, "title": kind})
    traits["timeline"]["end"] = NOW - 4
    return traits | {
        "head": head(
            state="Failed",
            tone="bad",
            ended=NOW - 4,
            diagnosis=DIAGNOSIS,
            notes=["The image is cut to 1 GiB of shared memory, as the target allows no more."],
            actions=["rerun", "delete"],
        ),
        "progress": None,
    }


def timeline(names: Sequence[str]) -> dict[str, Any]:
    """Return a timeline of replicas of which the third has restarted."""
    start = NOW - 158

    def row(name: str, i: int) -> dict[str, Any]:
        ready = start + 22 + i % 5
        spans = [
            {"kind": "queued", "start": start, "end": start + 8, "title": "waits for quota"},
            {"kind": "scheduling", "start": start + 8, "end": start + 11, "title": ""},
            {"kind": "preparing", "start": start + 11, "end": ready, "title": "pulls the image"},
        ]
        marks = [{"kind": "started", "at": ready, "title": "started"}]
        if i == 3:
            spans += [
                {"kind": "failed", "start": ready, "end": start + 60, "title": "exit code 137"},
                {"kind": "backoff", "start": start + 60, "end": start + 70, "title": ""},
            ]
            marks += [{"kind": "restarted", "at": start + 70, "title": "restarted"}]
            ready = start + 70
        spans += [{"kind": "running", "start": ready, "end": None, "title": ""}]
        return {"name": name, "spans": spans, "marks": marks}

    return {"start": start, "end": None, "rows": [row(n, i) for i, n in enumerate(["job", *names])]}


def charts(names: Sequence[str]) -> list[dict[str, Any]]:
    """Return four metrics of these replicas."""
    steps = list(range(0, 420, 3))

    def chart(name: str, value: Any) -> dict[str, Any]:
        series = [
            {"replica": replica, "x": steps, "y": [value(step, i) for step in steps]}
            for i, replica in enumerate(names)
        ]
        return {"name": name, "axis": "step", "series": series}

    def noise(step: int, i: int) -> float:
        return math.sin(step / 9 + i * 2) * math.cos(step / 31 + i) * 0.5

    return [
        chart("loss", lambda s, i: 2.2 * math.exp(-s / 130) + 0.15 + 0.08 * noise(s, i)),
        chart("accuracy", lambda s, i: 0.95 - 0.8 * math.exp(-s / 110) + 0.02 * noise(s, i)),
        chart("lr", lambda s, _: 0.1 * (1 + math.cos(s / 420 * math.pi)) / 2),
        chart("samples_per_second", lambda s, i: None if s == 408 else 812 + 90 * noise(s, i)),
    ]


DIAGNOSIS = {
    "text": "worker-1 failed first: ValueError: too many values to unpack (expected 2)",
    "summary": "worker-1 failed first: ValueError: too many values to unpack (expected 2)",
    "advice": "Line 14 of the cell takes two values from each batch, but the loader gives three.",
    "replica": "worker-1",
    "traceback": """Traceback (most recent call last):
  File "<cell>", line 21, in <module>
    train(model, loader)
  File "<cell>", line 14, in train
    for images, labels in loader:
        ^^^^^^^^^^^^^^
ValueError: too many values to unpack (expected 2)""",
    "cell_line": 14,
}
EVENTS = [
    {
        "time": NOW - seconds,
        "type": kind,
        "reason": reason,
        "object": thing,
        "message": message,
        "count": count,
    }
    for seconds, kind, reason, thing, message, count in [
        (40, "Warning", "BackOff", "mnist-worker-1", "Back-off restarting failed container", 4),
        (136, "Normal", "Started", "mnist-master-0", "Started container pytorch", 1),
        (140, "Normal", "Pulled", "mnist-master-0", "Successfully pulled image in 9.2 s", 1),
        (150, "Normal", "Scheduled", "mnist-master-0", "Assigned team-vision to gpu-node-0", 1),
    ]
]
YAML = """apiVersion: kubeflow.org/v1
kind: PyTorchJob
metadata:
  name: mnist-resnet50
  namespace: team-vision
spec:
  nprocPerNode: "4"
  pytorchReplicaSpecs:
    Master:
      replicas: 1
      restartPolicy: OnFailure
    Worker:
      replicas: 2
      restartPolicy: OnFailure
"""
KUBECTL = [
    {"does": "Submit it", "line": "kubectl --namespace team-vision apply -f mnist-resnet50.yaml"},
    {"does": "See it", "line": "kubectl -n team-vision get pytorchjob mnist-resnet50 -o yaml"},
    {"does": "Delete it", "line": "kubectl -n team-vision delete pytorchjob mnist-resnet50"},
]
