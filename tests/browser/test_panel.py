"""The panel as people use it: in JupyterLab, with a real kernel and real jobs."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Browser, Locator, expect

from tests.browser.conftest import Open
from tests.browser.lab import Lab, Notebook, shared_notebook
from tests.state import eventually

pytestmark = pytest.mark.browser

LOAD = "%load_ext pyjob_magic"
TRAINING = """\
import os
for step in range(20):
    print(f"step={step} loss={float(os.environ['LR']) / (step + 1):.4f}")"""

KEPT = """\
import gc
from pyjob_magic._panel import PanelWidget
print([each.values for each in gc.get_objects() if isinstance(each, PanelWidget)])"""


class Panel:
    """The panel below a cell.

    Parameters
    ----------
    notebook
        Where it is; one more cell opens it.
    """

    def __init__(self, notebook: Notebook, line: str = "%pytorchjob panel") -> None:
        self.notebook = notebook
        self.cell = notebook.append(line)
        notebook.run(self.cell)
        self.output = notebook.output(self.cell)
        self.node = self.output.locator(".pyjob-panel")
        expect(self.node).to_be_attached(timeout=30_000)
        self.node.scroll_into_view_if_needed()

    def field(self, name: str) -> Locator:
        return self.node.locator(f'.pj-option[data-field="{name}"]')

    def fill(self, **values: str) -> None:
        """Type values into their boxes, those of folded groups, too."""
        for name, value in values.items():
            self.unfold(name)
            self.field(name).locator("input").first.fill(value)

    def unfold(self, name: str) -> None:
        """Open the group of a field."""
        inside = self.node.page.locator(f'[data-field="{name}"]')
        folded = self.node.locator("details:not([open])", has=inside)
        if folded.count():
            folded.locator("summary").click()

    def add(self, name: str, value: str) -> None:
        """Say a repeatable option once more."""
        self.unfold(name)
        self.field(name).get_by_role("button", name="Add").click()
        self.field(name).locator("input").last.fill(value)

    def code(self, source: str) -> None:
        self.node.locator(".pj-codearea").fill(source)

    def press(self, button: str) -> None:
        self.node.get_by_role("button", name=button, exact=True).first.click()

    @property
    def ready(self) -> Locator:
        return self.node.locator(".pj-ready")

    def open(self, tab: str) -> Locator:
        """Open a tab and return what is in it."""
        self.node.get_by_role("tab", name=tab).first.click()
        return self.node.get_by_role("tabpanel", name=tab).first

    def row(self, name: str) -> Locator:
        """Return the row of a job in the table that is open."""
        named = self.node.page.locator(".pj-jobname").get_by_text(name, exact=True)
        return self.node.locator(".pj-table:visible .pj-tbody .pj-tr", has=named)

    def choose(self, *names: str) -> None:
        """Select these rows."""
        for name in names:
            self.row(name).locator(".pj-check input").check()

    def card(self, name: str) -> Locator:
        """Return the live card of a job below the panel."""
        named = self.node.page.locator(".pj-name").get_by_text(name, exact=True)
        return self.node.locator(".pj-cards .pyjob-live", has=named)

    def succeeds(self, name: str) -> None:
        badge = self.card(name).locator(".pj-badge")
        self.card(name).scroll_into_view_if_needed()  # it is drawn where it is seen
        expect(badge).to_have_text("Succeeded", timeout=30_000)


@pytest.fixture(scope="module")
def notebook(browser: Browser, lab: Lab) -> Iterator[Notebook]:
    """Lend a notebook with the extension loaded; the tests add cells to it."""
    with shared_notebook(browser, lab, "panel", height=1000) as notebook:
        yield notebook


@pytest.fixture(autouse=True)
def picture(notebook: Notebook, request: pytest.FixtureRequest) -> Iterator[None]:
    """Keep what the notebook looks like after each test."""
    yield
    notebook.screenshot(request.node.name)


def test_from_an_empty_form_to_a_comparison(notebook: Notebook) -> None:
    """Fill in, fix, preview, submit, watch, make a cell, run it, compare, delete, rerun."""
    panel = Panel(notebook)
    expect(panel.ready).to_contain_text("missing")

    panel.code(TRAINING)
    panel.fill(name="first", workers="1", cpu="lots")
    wrong = panel.field("cpu").locator(".pj-wrong")
    expect(wrong).to_contain_text("lots")
    expect(panel.ready).to_contain_text("1 field to fix")
    notebook.screenshot("panel-error")
    panel.fill(cpu="1")
    expect(wrong).to_be_hidden()
    panel.add("env", "LR=0.1")
    expect(panel.ready).to_have_text("Ready to submit.")
    preview = panel.node.locator(".pj-preview")
    expect(preview).to_contain_text("name: first")
    expect(preview.locator(".pj-marked").first).to_be_attached()
    expect(panel.node.locator(".pj-totals")).to_contain_text("2")

    panel.press("Check with the server")
    expect(panel.node.locator(".pj-outcome:visible").last).to_contain_text("nothing was created")
    panel.press("Submit")
    panel.succeeds("first")
    notebook.screenshot("panel-submitted")

    panel.fill(name="second")
    panel.field("env").locator("input").last.fill("LR=0.2")
    expect(preview).to_contain_text("name: second")
    panel.press("As a cell")
    below = panel.cell + 1
    eventually(lambda: len(notebook.sources()) > below)
    assert notebook.sources()[below].startswith("%%pytorchjob second --workers 1")
    assert notebook.sources()[below].endswith(TRAINING)
    notebook.run(below)
    card = notebook.output(below).locator(".pyjob-live")
    card.scroll_into_view_if_needed()
    expect(card.locator(".pj-badge")).to_have_text("Succeeded", timeout=30_000)

    panel.node.scroll_into_view_if_needed()
    panel.open("Jobs")
    expect(panel.row("second")).to_contain_text("Succeeded")
    notebook.screenshot("panel-jobs")
    panel.choose("first", "second")
    panel.press("Compare")
    comparison = panel.node.get_by_role("region", name="Comparison")
    expect(comparison.locator(".pj-compare")).to_contain_text("LR=0.2")
    expect(comparison.locator(".pj-chart")).to_have_count(1)
    comparison.scroll_into_view_if_needed()
    notebook.screenshot("panel-compared")

    panel.row("second").locator(".pj-check input").uncheck()
    panel.press("Delete")
    panel.press("Delete first")
    expect(panel.row("first")).to_have_count(0)
    panel.open("History")
    expect(panel.row("first")).to_contain_text("Succeeded")
    panel.choose("first")
    notebook.screenshot("panel-history")
    panel.press("Rerun")
    panel.succeeds("first-2")


def test_what_cannot_be_said_is_shown(notebook: Notebook) -> None:
    """A name that is taken, and a cluster that is not there: each has its sentence."""
    notebook.run(notebook.append("%%pytorchjob taken\npass"))
    panel = Panel(notebook)
    panel.code("pass")
    panel.fill(name="taken")
    expect(panel.field("name").locator(".pj-remark")).to_contain_text("exists already; use taken-2")
    expect(panel.ready).to_have_text("Ready, but the name is taken.")
    notebook.screenshot("panel-taken")

    panel.fill(name="elsewhere", on="kubernetes")

    expect(panel.field("on").locator(".pj-wrong")).to_contain_text("kube")
    expect(panel.ready).to_contain_text("1 field to fix")
    panel.fill(on="local")
    expect(panel.field("on").locator(".pj-wrong")).to_be_hidden()
    expect(panel.ready).to_have_text("Ready to submit.")


def test_a_card_fills_in_the_panel_that_is_open(notebook: Notebook) -> None:
    """It comes into sight; where none is shown any more, it opens below the card."""
    panel = Panel(notebook)
    panel.open("Jobs")
    cell = notebook.append("%%pytorchjob carded --workers 1 --env A=1\npass")
    notebook.run(cell)
    card = notebook.output(cell).locator(".pyjob-live").first
    card.scroll_into_view_if_needed()

    card.get_by_role("button", name="Open in panel").click()

    expect(panel.field("name").locator("input")).to_have_value("carded")
    expect(panel.field("workers").locator("input")).to_have_value("1")
    expect(panel.node.locator(".pj-codearea")).to_have_value("pass\n")
    expect(panel.node.get_by_role("tab", name="New job")).to_be_focused()
    expect(panel.field("name")).to_be_in_viewport()
    below = notebook.output(cell).locator(".pyjob-panel")
    expect(below).to_have_count(0)

    notebook.clear(panel.cell)
    expect(panel.node).to_have_count(0)
    card.scroll_into_view_if_needed()
    card.get_by_role("button", name="Open in panel").click()
    expect(below.locator('.pj-option[data-field="name"] input')).to_have_value("carded")
    expect(below).to_be_in_viewport()


def test_dark_and_narrow(notebook: Notebook) -> None:
    """It follows the theme, and nothing of it is cut off in a narrow window."""
    page = notebook.page
    panel = Panel(notebook)
    panel.code(TRAINING)
    panel.fill(name="looks", workers="2", cpu="2", memory="1Gi", image="No Image")
    expect(panel.ready).to_contain_text("to fix")
    try:
        notebook.set_theme("JupyterLab Dark")
        expect(panel.node).to_have_attribute("data-pj-theme", "dark")
        panel.node.scroll_into_view_if_needed()
        notebook.screenshot("panel-dark")
        notebook.hide_sidebar()
        page.set_viewport_size({"width": 400, "height": 1000})
        for tab in ("New job", "Jobs", "History"):
            panel.open(tab)
            panel.node.scroll_into_view_if_needed()
            notebook.screenshot(f"panel-narrow-{tab.lower().replace(' ', '-')}")
            assert panel.node.evaluate("node => node.scrollWidth - node.clientWidth") <= 0, tab
            box = panel.node.bounding_box()
            assert box
            assert box["x"] + box["width"] <= 400
    finally:
        page.set_viewport_size({"width": 1280, "height": 1000})
        notebook.set_theme("JupyterLab Light")


def test_axe_finds_nothing_serious(notebook: Notebook) -> None:
    """Within JupyterLab, whose colours and roles are around it."""
    panel = Panel(notebook)
    panel.code("if x")
    panel.fill(name="No Name", cpu="1")
    expect(panel.ready).to_contain_text("to fix")
    scope = f".jp-Notebook-cell[data-windowed-list-index='{panel.cell}'] .pyjob-panel"

    for tab in ("New job", "Jobs", "History"):
        panel.open(tab)
        found = Axe().run(notebook.page, context=scope).response["violations"]
        serious = [
            (each["id"], node["target"])
            for each in found
            if each["impact"] in {"serious", "critical"}
            for node in each["nodes"]
        ]
        assert serious == [], tab


def test_a_notebook_that_is_opened_again(open_notebook: Open) -> None:
    """As long as the kernel lives, so does the panel; then a note says how to get it back."""
    notebook = open_notebook(LOAD)
    notebook.run(0)
    panel = Panel(notebook)
    note = panel.output.locator(".pyjob", has_text="Run %pytorchjob panel to reopen it")
    expect(note).to_be_hidden()
    panel.fill(name="kept")
    expect(panel.node.locator(".pj-preview")).to_contain_text("name: kept")
    kept = notebook.append(KEPT)
    eventually(lambda: "'name': 'kept'" in notebook.run(kept))
    notebook.save()

    notebook.reload()
    expect(panel.field("name").locator("input")).to_have_value("kept", timeout=30_000)
    expect(note).to_be_hidden()

    notebook.restart()
    notebook.reload()
    expect(note).to_be_visible()
    expect(panel.node).to_have_count(0)
    expect(panel.output).not_to_contain_text("Error displaying widget", use_inner_text=True)
    notebook.screenshot("panel-reopened")
