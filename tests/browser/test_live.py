"""The live card as people see it: in JupyterLab, with a real kernel and real jobs."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Browser, Locator, expect

from tests.browser.conftest import Open
from tests.browser.lab import Lab, Notebook, shared_notebook

pytestmark = pytest.mark.browser

LOAD = "%load_ext pyjob_magic"
MOST_SAVED = 100_000  # bytes that a card may add to a notebook
HOSTILE = (
    "<img src=x onerror=\"window.pwned='img'\"><script>window.pwned='script'</script>"
    "</pre></style><svg onload=\"window.pwned='svg'\">"
)
SEEN = "<img src=x onerror"  # what must be read as it was written

expect.set_options(timeout=30_000)


class Card:
    """The card below a cell; of the two that stand there, people see one.

    Parameters
    ----------
    notebook, cell
        Where it is.
    """

    def __init__(self, notebook: Notebook, cell: int) -> None:
        self.cell = cell
        self.output = notebook.output(cell)
        self.live = self.output.locator(".pyjob-live")
        self.static = self.output.locator(".pyjob")

    @property
    def badge(self) -> Locator:
        """How the job fares, in a word."""
        return self.live.locator(".pj-badge")

    @property
    def lines(self) -> Locator:
        """The lines of the log that are on screen."""
        return self.live.locator(".pj-row .pj-text")

    def appears(self) -> None:
        """Wait for it and go there: it is drawn where it can be seen."""
        expect(self.live).to_be_attached()
        self.live.scroll_into_view_if_needed()
        expect(self.badge).not_to_be_empty()

    def is_alone(self) -> None:
        """Check that the other one is not seen."""
        expect(self.live).to_be_visible()
        expect(self.output.locator(":is(.pyjob, .pyjob-live):visible")).to_have_count(1)

    def press(self, button: str) -> None:
        self.live.get_by_role("button", name=button, exact=True).click()

    def open(self, tab: str) -> Locator:
        """Open a tab and return its panel."""
        self.live.get_by_role("tab", name=tab).click()
        return self.live.get_by_role("tabpanel", name=tab)


@pytest.fixture(scope="module")
def notebook(browser: Browser, lab: Lab) -> Iterator[Notebook]:
    """Lend a notebook with the extension loaded; the tests add cells to it."""
    with shared_notebook(browser, lab, "live", height=900) as notebook:
        yield notebook


@pytest.fixture(autouse=True)
def picture(notebook: Notebook, request: pytest.FixtureRequest) -> Iterator[None]:
    """Keep what the notebook looks like after each test."""
    yield
    notebook.screenshot(request.node.name)


def submit(notebook: Notebook, line: str, source: str = "pass") -> Card:
    """Run a cell as a job and return its card when that is there."""
    cell = notebook.append(f"%%pytorchjob {line}\n{source}")
    notebook.run(cell)
    card = Card(notebook, cell)
    card.appears()
    return card


def training(go: Path) -> str:
    """Return a program that prints metrics, waits for a file and ends in all replicas at once."""
    return f"""\
import os, time
for epoch in 1, 2, 3:
    print(f"epoch {{epoch}}/3 loss={{1 / epoch + int(os.environ['RANK']) / 10:.3f}}", flush=True)
open({str(go)!r} + os.environ["RANK"], "w").close()
while not all(map(os.path.exists, [{str(go)!r}, *(f"{go}{{rank}}" for rank in range(3))])):
    time.sleep(0.02)"""


def test_a_training_that_succeeds(notebook: Notebook, tmp_path: Path) -> None:
    """It goes from Running to Succeeded by itself while another cell runs."""
    go, end = tmp_path / "go", tmp_path / "end"
    card = submit(notebook, "trains --workers 2", training(go))
    expect(card.badge).to_have_text("Running")

    other = notebook.append(
        f"import os, time\nwhile not os.path.exists({str(end)!r}): time.sleep(0.01)"
    )
    notebook.start(other)
    go.touch()
    expect(card.badge).to_have_text("Succeeded")
    expect(card.lines).to_have_count(9)
    end.touch()
    notebook.wait_for_end(other)

    assert set(card.live.locator(".pj-who").all_inner_texts()) == {
        "master-0",
        "worker-0",
        "worker-1",
    }
    expect(card.live.get_by_role("progressbar")).to_have_attribute("aria-valuenow", "100")
    expect(card.open("Metrics").locator(".pj-chart")).to_have_count(1)
    card.is_alone()


def test_a_failure_in_one_rank(notebook: Notebook) -> None:
    """What is said first names the replica that failed, with its traceback."""
    source = """\
import os, time
if os.environ["RANK"] == "2":
    raise ValueError("a bad batch")
time.sleep(600)"""
    card = submit(notebook, "rank-2-fails --workers 2", source)

    expect(card.badge).to_have_text("Failed")
    why = card.live.get_by_role("alert", name="Why")
    expect(why.locator(".pj-summary")).to_contain_text("worker-1")
    expect(why.locator(".pj-summary")).to_contain_text("ValueError: a bad batch")
    expect(why.locator("pre")).to_be_visible()
    expect(why.locator("pre")).to_contain_text("Traceback (most recent call last)")
    head, below = card.live.locator(".pj-head").bounding_box(), why.bounding_box()
    assert head
    assert below
    assert 0 <= below["y"] - head["y"] - head["height"] < 20


def test_what_waits_says_for_what(notebook: Notebook) -> None:
    """More memory than the machine has: the sentence names it."""
    card = submit(notebook, "waits --memory 900Ti")

    why = card.live.get_by_role("alert", name="Why").locator(".pj-summary")
    expect(why).to_contain_text("memory")
    expect(card.badge).not_to_have_text("Running")


def test_64_replicas(notebook: Notebook) -> None:
    """Each has a cell that can be read."""
    card = submit(notebook, "many --workers 63 --memory 900Ti")

    cells = card.live.get_by_role("listbox").get_by_role("option")
    expect(cells).to_have_count(64)
    expect(cells.last).to_contain_text("worker-62")


def test_what_a_job_says_is_text(notebook: Notebook) -> None:
    """Lines, names of metrics and exceptions never become elements."""
    card = submit(notebook, "hostile", hostile_source())
    expect(card.badge).to_have_text("Failed")
    expect(card.live.get_by_role("alert", name="Why")).to_contain_text(SEEN)
    expect(card.lines.first).to_contain_text(SEEN)

    for tab in ("Metrics", "Timeline", "Events", "Manifest", "Details", "Logs"):
        card.open(tab)
        expect(card.live.locator("img, script, iframe")).to_have_count(0)
    expect(card.open("Metrics")).to_contain_text(SEEN)
    assert notebook.page.evaluate("window.pwned") is None


def hostile_source() -> str:
    """Return a program all of whose words want to be more."""
    return f"""\
import json
hostile = {HOSTILE!r}
print(hostile)
for step in 1, 2:
    print(json.dumps({{"step": step, hostile: step / 2}}))
raise ValueError(hostile)"""


def test_buttons(notebook: Notebook, tmp_path: Path) -> None:
    """A click does what the button says; suspending and deleting are asked for once."""
    go = tmp_path / "go"
    card = submit(notebook, "pressed", training(go).replace("range(3)", "range(1)"))
    expect(card.badge).to_have_text("Running")

    card.press("Suspend")
    expect(card.live).to_contain_text("progress since the last checkpoint is lost")
    card.press("Suspend")
    expect(card.badge).to_have_text("Suspended")
    card.press("Resume")
    expect(card.badge).to_have_text("Running")
    go.touch()
    expect(card.badge).to_have_text("Succeeded")
    card.press("Rerun")
    expect(card.live.locator(".pj-name")).to_have_text("pressed-2")
    expect(card.badge).to_have_text("Succeeded")

    card.press("Delete")
    expect(card.live).to_contain_text("Delete pressed-2 and its logs?")
    card.press("Keep")
    expect(card.badge).to_have_text("Succeeded")
    card.press("Delete")
    card.press("Delete")
    expect(card.badge).to_have_text("Deleted")
    listed = notebook.run(notebook.append("%pytorchjob list"))
    assert "pressed" in listed
    assert "pressed-2" not in listed


def test_dark_and_narrow(notebook: Notebook, tmp_path: Path) -> None:
    """It follows the theme, and nothing of it is cut off in a narrow window."""
    card = submit(notebook, "narrow --workers 2", training(tmp_path / "go"))
    (tmp_path / "go").touch()
    expect(card.badge).to_have_text("Succeeded")
    page, tabs = notebook.page, ("Metrics", "Timeline", "Events", "Manifest", "Details", "Logs")
    try:
        notebook.set_theme("JupyterLab Dark")
        expect(card.live).to_have_attribute("data-pj-theme", "dark")
        card.live.scroll_into_view_if_needed()
        notebook.screenshot("dark")
        notebook.hide_sidebar()
        page.set_viewport_size({"width": 400, "height": 900})
        for tab in tabs:
            card.open(tab)
            notebook.screenshot(f"narrow-{tab.lower()}")
            assert card.live.evaluate("card => card.scrollWidth - card.clientWidth") <= 0, tab
            box = card.live.bounding_box()
            assert box
            assert box["x"] + box["width"] <= 400
    finally:
        page.set_viewport_size({"width": 1280, "height": 900})
        notebook.set_theme("JupyterLab Light")


def test_axe_finds_nothing_serious(notebook: Notebook) -> None:
    """Within JupyterLab, whose colours and roles are around it."""
    card = submit(notebook, "accessible --workers 1", "print('loss=1'); raise RuntimeError('no')")
    expect(card.badge).to_have_text("Failed")
    scope = f".jp-Notebook-cell[data-windowed-list-index='{card.cell}'] .pyjob-live"

    for tab in ("Metrics", "Timeline", "Events", "Manifest", "Details", "Logs"):
        card.open(tab)
        found = Axe().run(notebook.page, context=scope).response["violations"]
        serious = [
            (each["id"], node["target"])
            for each in found
            if each["impact"] in {"serious", "critical"}
            for node in each["nodes"]
        ]
        assert serious == [], tab


def test_a_page_that_is_loaded_again(open_notebook: Open, tmp_path: Path) -> None:
    """As long as the kernel lives, the card does."""
    notebook = open_notebook(LOAD)
    notebook.run(0)
    card = submit(notebook, "stays --workers 2", training(tmp_path / "go"))
    expect(card.lines).to_have_count(9)
    notebook.save()

    notebook.reload()

    card.appears()
    expect(card.badge).to_have_text("Running")
    expect(card.lines).to_have_count(9)
    (tmp_path / "go").touch()
    expect(card.badge).to_have_text("Succeeded")
    card.is_alone()


def test_a_notebook_that_is_opened_again(open_notebook: Open) -> None:
    """Without the kernel there is what was known last, still harmless; it can be revived."""
    notebook = open_notebook(LOAD)
    notebook.run(0)
    card = submit(notebook, "reopened", hostile_source())
    expect(card.badge).to_have_text("Failed")
    expect(card.static).to_contain_text("Failed")
    notebook.save()

    notebook.restart()
    notebook.reload()

    expect(card.static).to_be_visible()
    expect(card.static).to_contain_text("Failed")
    expect(card.static).to_contain_text(SEEN)
    expect(card.live).to_have_count(0)
    expect(card.output).not_to_contain_text("Error displaying widget", use_inner_text=True)
    expect(card.static.locator("img, script, iframe")).to_have_count(0)
    assert notebook.page.evaluate("window.pwned") is None
    notebook.screenshot("reopened")
    notebook.run(0)
    again = Card(notebook, notebook.append("%pytorchjob show reopened"))
    notebook.run(again.cell)
    again.appears()
    expect(again.badge).to_have_text("Failed")
    expect(again.lines.first).to_contain_text(SEEN)


def test_an_exported_notebook(notebook: Notebook, browser: Browser, tmp_path: Path) -> None:
    """It shows how the job has ended without a kernel or a network, and is small."""
    card = submit(
        notebook, "exported --workers 2 --wait", training(tmp_path / "go").split("open")[0]
    )
    expect(card.badge).to_have_text("Succeeded")
    saved = json.dumps(notebook.save()[card.cell]["outputs"])
    assert len(saved.encode()) < MOST_SAVED

    html = tmp_path / "exported.html"
    command = [sys.executable, "-m", "nbconvert", "--to", "html", "--log-level", "ERROR"]
    subprocess.run([*command, str(notebook.path), "--output", str(html)], check=True)
    page = browser.new_context(offline=True).new_page()
    page.goto(html.as_uri())
    exported = page.locator(".pyjob", has_text="exported")
    expect(exported).to_be_visible()
    expect(exported).to_contain_text("Succeeded")
    expect(exported).to_contain_text("epoch 3/3")
    if directory := os.environ.get("PYJOB_MAGIC_SCREENSHOTS"):
        page.screenshot(path=Path(directory) / "exported.png", full_page=True)
    page.context.close()
