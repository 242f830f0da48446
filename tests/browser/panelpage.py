"""A plain page with one panel on it, and what a kernel would tell the panel."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from playwright.sync_api import Browser, Locator

from pyjob_magic import _form, _frontend
from pyjob_magic._diff import diff
from tests.browser.cardpage import NOW, charts
from tests.browser.widgetpage import WidgetPage

FAKE_MODEL = Path(__file__).with_name("fakepanel.js")
STATES = [
    ("Running", "running"),
    ("Succeeded", "ok"),
    ("Failed", "bad"),
    ("Pending", "waiting"),
    ("Suspended", "idle"),
]
CAN = {"Running": "suspend", "Pending": "suspend", "Suspended": "resume"}
SOURCE = '''"""Train a small network."""
import os

import torch
from torch import nn

RANK = int(os.environ.get("RANK", 0))


@torch.no_grad()
def accuracy(model: nn.Module, images, labels) -> float:
    return (model(images).argmax(1) == labels).float().mean().item()


for epoch in range(12):  # a pass over all
    loss = 2.3 / (1 + epoch)
    print(f"epoch {epoch} loss={loss:.4f}")
'''


BODY = """<script src="fakepanel.js"></script>
<div class="jp-OutputArea-child" id="static"><div data-pyjob-card="panel-1">a note</div></div>
<div id="place"></div>"""


class PanelPage(WidgetPage):
    """A page on which `render` has run with a fake model.

    Parameters
    ----------
    browser
        Opens the page.
    traits
        What the kernel has said beyond `opened`.
    notebook
        Sources of the cells around, and which of them shows the panel; None where it cannot see.
    theme
        ``light`` or ``dark``.
    """

    def __init__(
        self,
        browser: Browser,
        traits: dict[str, Any] | None = None,
        notebook: dict[str, Any] | None = None,
        *,
        theme: str = "light",
        width: int = 1200,
        height: int = 1000,
    ) -> None:
        scripts = {"panel.mjs": _frontend.panel_esm(), "fakepanel.js": FAKE_MODEL.read_text()}
        size = {"width": width, "height": height}
        super().__init__(browser, scripts, _frontend.panel_css(), BODY, theme=theme, **size)
        self.page.evaluate(
            """async ([traits, notebook]) => {
                const { default: panel } = await import('./panel.mjs');
                window.model = new FakePanelModel(traits, notebook);
                model.everything = traits.history.rows;
                window.close_panel = panel.render({ model, el: document.getElementById('place') });
            }""",
            [opened() | (traits or {}), notebook],
        )

    @property
    def panel(self) -> Locator:
        """The panel itself."""
        return self.page.locator(".pyjob-panel")

    @property
    def table(self) -> Locator:
        """The table of the tab that is open."""
        return self.page.locator(".pj-table:visible")

    def field(self, name: str) -> Locator:
        """Return an option of the form."""
        return self.page.locator(f'.pj-option[data-field="{name}"]')

    def input(self, name: str) -> Locator:
        """Return the box of an option."""
        return self.field(name).locator("input").first

    def names(self) -> list[str]:
        """Return the names of the jobs that are in the page, from above."""
        names: list[str] = self.page.evaluate(
            """() => [...document.querySelectorAll('.pj-tbody .pj-tr')]
                .filter(row => row.offsetParent)
                .sort((a, b) => a.getAttribute('aria-rowindex') - b.getAttribute('aria-rowindex'))
                .map(row => row.querySelector('.pj-jobname').textContent)"""
        )
        return names

    def set(self, **traits: Any) -> None:
        """Change traits, as the kernel would."""
        self.page.evaluate(
            "traits => Object.entries(traits).forEach(([k, v]) => model.hear(k, v))", traits
        )

    def get(self, trait: str) -> Any:
        """Return a trait."""
        return self.page.evaluate("name => model.get(name)", trait)


def opened(**changes: Any) -> dict[str, Any]:
    """Return the traits of a panel that has just been opened."""
    traits = {
        "card_id": "panel-1",
        "groups": _form.describe(),
        "values": {},
        "source": "",
        "offers": {
            "namespace": ["team-vision", "team-text"],
            "queue": ["gpu", "cpu"],
            "mounts": ["pvc:datasets:/", "configmap:settings:/"],
        },
        "checked": {},
        "jobs": jobs(40),
        "history": history(25),
        "status": "",
        "taken": None,
        "cards": [],
        "compared": None,
    }
    return traits | changes


def jobs(many: int, **changes: Any) -> dict[str, Any]:
    """Return the jobs of a namespace, the newest first."""
    return {"rows": [job(i) for i in range(many)], "note": "", "now": NOW, "user": "ada"} | changes


def job(i: int, **changes: Any) -> dict[str, Any]:
    """Return a job, the older the higher its number."""
    state, tone = STATES[(i * 7) % 11 % 5]
    began = state not in ("Pending", "Suspended")
    row = {
        "uid": f"uid-{i}",
        "name": f"{('mnist-resnet50', 'bert-finetune', 'gpt-small', 'ablation')[i % 4]}-{i}",
        "namespace": "team-vision",
        "state": state,
        "tone": tone,
        "created": NOW - 60 - 977 * i,
        "started": NOW - 40 - 977 * i if began else None,
        "ended": NOW - 30 - 870 * i if tone in ("ok", "bad") else None,
        "replicas": [1 + i % 3 if state == "Running" else 0, 3 + i % 4 * 2],
        "asked": f"{1 + i % 4} GPU, {2 + i % 3 * 2} CPU, 16Gi",
        "can": [CAN[state], "delete", "rerun"] if state in CAN else ["delete", "rerun"],
        "who": ("ada", "grace", "linus")[i % 3],
        "progress": (i * 37 % 100) / 100 if state == "Running" else None,
    }
    return row | changes


def history(many: int) -> dict[str, Any]:
    """Return jobs that were submitted from here, also some that are gone."""
    rows = [
        {
            "uid": f"old-{i}",
            "name": f"run-{i}",
            "namespace": "default" if i % 2 else "team-vision",
            "target": "local" if i % 2 else "kubernetes",
            "state": STATES[1 + i % 2][0],
            "tone": STATES[1 + i % 2][1],
            "submitted": NOW - 3600 * i,
            "ended": NOW - 3600 * i + 700 + 31 * i,
            "gone": i > 3,
        }
        for i in range(many)
    ]
    return {"rows": rows, "note": ""}


def compared() -> dict[str, Any]:
    """Return two jobs and a third beside each other."""
    names = ["mnist-resnet50-0", "mnist-resnet50-4", "mnist-resnet50-8"]
    replicas = ["master-0", "worker-0", "worker-1"]
    lines = {f"{name} {replica}": [name, replica] for name in names[:2] for replica in replicas}
    return {
        "columns": names,
        "rows": [
            ["workers", ["2", "2", "4"], True],
            ["gpus", ["1", "1", "1"], False],
            ["memory", ["16Gi", "16Gi", "16Gi"], False],
            ["image", ["pytorch/pytorch:2.5.1", "pytorch/pytorch:2.5.1", "team/torch:7"], True],
            ["env", [["LR=0.1"], ["LR=0.01", "WARMUP=100"], ["LR=0.01"]], True],
            ["ttl", [None, None, "1d"], True],
        ],
        "diffs": [
            {"before": names[0], "after": name, **diff(SOURCE, changed)}
            for name, changed in zip(names[1:], _changed(), strict=True)
        ],
        "charts": charts([*lines]),
        "lines": lines,
    }


def _changed() -> list[str]:
    """Return the code of the second and the third job."""
    second = SOURCE.replace("range(12)", "range(24)").replace("import os\n\n", "import os\n")
    return [second, SOURCE.replace(" -> float", "")]
