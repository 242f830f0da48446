"""The panel in a real browser, with a fake kernel behind it."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Browser, expect

from pyjob_magic import _form
from pyjob_magic.options import CellOptions, flag, options
from tests.browser.cardpage import NOW
from tests.browser.panelpage import (
    SOURCE,
    PanelPage,
    compared,
    history,
    job,
    jobs,
    opened,
)
from tests.state import eventually

pytestmark = pytest.mark.browser

Open = Callable[..., PanelPage]
TABS = ["New job", "Jobs", "History"]
HOSTILE = (
    "<img src=x onerror=\"window.pwned='img'\"><script>window.pwned='script'</script>"
    "' onfocus=\"window.pwned='attribute'\" autofocus x=\"\u202e\x1b\x00"
)
CELLS = {
    "sources": ["import torch", "%%pytorchjob mnist -w 2\nprint(1)\n", "%pytorchjob panel"],
    "own": 2,
}


@pytest.fixture
def open_panel(browser: Browser) -> Iterator[Open]:
    """Return a function that opens a page with a panel; arguments are those of `PanelPage`."""
    panels: list[PanelPage] = []

    def open_panel(*args: Any, **options: Any) -> PanelPage:
        panels.append(PanelPage(browser, *args, **options))
        return panels[-1]

    yield open_panel

    for panel in panels:
        panel.close()


def code(panel: PanelPage) -> Any:
    """Return the text area of the code."""
    return panel.page.locator(".pj-codearea")


# What comes from a cluster is text.


def test_nothing_becomes_markup(open_panel: Open) -> None:
    """Names, offers, errors, the manifest and answers are shown as written."""
    everything = opened(
        jobs=jobs(3), history=history(2), compared=compared(), cards=[f"lost {HOSTILE}"]
    )
    traits = _poisoned(everything) | {"groups": _form.describe(), "status": HOSTILE}
    panel = open_panel(traits, {"sources": [HOSTILE], "own": None})
    panel.page.evaluate("model.busy = true")
    checked = {"errors": {"cpu": HOSTILE, "other": HOSTILE}, "source_error": HOSTILE}
    totals = [{"resource": HOSTILE, "each": HOSTILE, "replicas": 2, "total": "1", "left": "0"}]
    found = {"yaml": f"{HOSTILE}: {HOSTILE}", "line": HOSTILE, "place": HOSTILE, "totals": totals}
    panel.set(checked={"revision": 99, "missing": [HOSTILE], "marked": [1]} | checked | found)
    panel.page.get_by_role("radio", name="Cell").click()
    for tab in TABS:
        panel.open(tab)
        panel.drawn()
        assert panel.page.locator(".pyjob-panel :is(script, img, a, iframe, style)").count() == 0

    assert panel.page.get_by_text("<img src=x onerror=").count() > 5
    assert panel.page.evaluate("window.pwned") is None
    attributes = panel.page.evaluate(
        "[...document.querySelectorAll('.pyjob-panel *')]"
        ".flatMap(node => node.getAttributeNames())"
        ".filter(name => name.startsWith('on') || ['href', 'src', 'srcdoc'].includes(name))"
    )
    assert attributes == []


def _poisoned(value: Any, key: str = "") -> Any:
    if isinstance(value, dict):
        return {name: _poisoned(each, name) for name, each in value.items()}
    if isinstance(value, list):
        return [_poisoned(each, key) for each in value]
    keep = key in {"uid", "tone", "cards"} or not isinstance(value, str)
    return value if keep else HOSTILE


# The form.


def test_every_option_has_a_field(open_panel: Open) -> None:
    """Each is there once, with its flag, its help and what holds if nothing is said."""
    panel = open_panel()
    fields = panel.page.locator(".pj-option").evaluate_all(
        "nodes => nodes.map(node => [node.dataset.field,"
        " node.querySelector('.pj-flag').textContent, node.querySelector('.pj-hint').textContent])"
    )
    known = options(CellOptions)
    listed = [spec["field"] for group in _form.describe() for spec in group["fields"]]
    assert [name for name, _, _ in fields] == listed

    for name, typed, hint in fields:
        if name in known:
            assert typed == flag(name, known[name])
            assert known[name].help.startswith(hint.removesuffix("."))
    expect(panel.input("workers")).to_have_attribute("placeholder", "0")
    expect(panel.input("suspend")).to_have_attribute("type", "checkbox")
    expect(panel.input("backoff_limit")).to_have_attribute("inputmode", "numeric")


def test_a_field_is_checked_while_it_is_typed(open_panel: Open) -> None:
    """The message stands beside it, a reader hears it, and it goes when it is fixed."""
    panel = open_panel({"source": SOURCE})
    box = panel.input("cpu")
    box.press_sequentially("lots")

    wrong = panel.field("cpu").locator(".pj-wrong")
    expect(wrong).to_have_text("lots is no amount; say 2 or 500m")
    expect(box).to_have_attribute("aria-invalid", "true")
    assert wrong.get_attribute("id") in (box.get_attribute("aria-describedby") or "").split()
    expect(panel.page.locator(".pj-ready")).to_have_text("1 field to fix")
    submit = panel.page.get_by_role("button", name="Submit")
    expect(submit).to_have_attribute("aria-disabled", "true")
    submit.click(force=True)
    expect(box).to_be_focused()
    assert panel.sent("submit") == []

    box.fill("4")
    expect(wrong).to_be_hidden()
    expect(box).not_to_have_attribute("aria-invalid", "true")
    expect(panel.page.locator(".pj-ready")).to_have_text("Ready to submit.")
    assert panel.sent("check")[-1]["values"] == {"cpu": "4"}


def test_a_name_that_is_taken(open_panel: Open) -> None:
    """It is said beside the field, with one that is free; it goes with the job, and as one types.

    Nothing is wrong with the draft by itself: the job may be deleted, or the cell is for later.
    """
    panel = open_panel({"source": SOURCE, "values": {"name": "mnist"}})
    note, ready = panel.field("name").locator(".pj-remark"), panel.page.locator(".pj-ready")
    expect(ready).to_have_text("Ready to submit.")
    taken = {"name": "mnist", "free": "mnist-2"}
    for now in (None, taken):
        panel.set(taken=now)
        expect(note).to_have_text(
            "A job named mnist exists already; use mnist-2 or leave the name empty." if now else ""
        )
    expect(ready).to_have_text("Ready, but the name is taken.")
    described = panel.input("name").get_attribute("aria-describedby") or ""
    assert note.get_attribute("id") in described.split()
    panel.set(taken=None)
    expect(note).to_be_hidden()
    expect(ready).to_have_text("Ready to submit.")
    panel.set(taken=taken)
    note.get_by_role("button", name="mnist-2").click()

    expect(panel.input("name")).to_have_value("mnist-2")
    expect(panel.input("name")).to_be_focused()
    expect(note).to_be_hidden()
    eventually(lambda: panel.sent("check")[-1]["values"] == {"name": "mnist-2"})
    panel.page.get_by_role("button", name="Submit").click()
    assert panel.sent("submit")[0]["values"] == {"name": "mnist-2"}


def test_quick_typing_is_checked_once(open_panel: Open) -> None:
    """Keys in a row are one question; an answer to an old one is not shown."""
    panel = open_panel()
    expect(panel.page.locator(".pj-ready")).to_contain_text("missing: code")
    panel.page.evaluate("model.busy = true")
    before = len(panel.sent("check"))
    panel.input("name").evaluate(
        """node => {
            for (const text of ['a', 'ab', 'abc']) {
                node.value = text;
                node.dispatchEvent(new Event('input', { bubbles: true }));
            }
        }"""
    )
    eventually(lambda: len(panel.sent("check")) > before)
    last = panel.sent("check")[-1]
    assert len(panel.sent("check")) == before + 1
    assert last["values"] == {"name": "abc"}

    panel.set(checked={"revision": last["revision"] - 1, "errors": {"name": "late"}})
    panel.drawn()
    expect(panel.field("name").locator(".pj-wrong")).to_be_hidden()
    panel.set(checked={"revision": last["revision"], "errors": {"name": "current"}})
    expect(panel.field("name").locator(".pj-wrong")).to_have_text("current")


def test_a_folded_group_opens_for_an_error(open_panel: Open) -> None:
    """It says how many of its fields are said; closed by hand, it stays closed."""
    panel = open_panel({"values": {"env": ["A"], "ttl": "1h", "timeout": "2h"}})
    environment = panel.page.locator("details", has_text="Environment")
    policies = panel.page.locator("details", has_text="Policies")

    expect(environment).to_have_attribute("open", "")
    expect(policies).not_to_have_attribute("open", "")
    expect(policies.locator("summary")).to_have_text("Policies2")
    environment.locator("summary").click()
    panel.input("name").fill("mnist")
    expect(panel.page.locator(".pj-ready")).to_contain_text("1 field to fix")
    panel.drawn()
    expect(environment).not_to_have_attribute("open", "")
    panel.page.get_by_role("button", name="Variables", exact=True).click()
    expect(panel.input("env")).to_be_focused()


def test_lines_can_be_added_and_removed(open_panel: Open) -> None:
    """Each text has a row; an empty one says nothing; the focus never gets lost."""
    panel = open_panel()
    panel.page.locator("summary", has_text="Environment").click()
    field = panel.field("env")
    for text in ("A=1", "B=2", ""):
        field.get_by_role("button", name="Add").click()
        panel.page.keyboard.type(text)
    eventually(lambda: panel.sent("check")[-1]["values"] == {"env": ["A=1", "B=2"]})

    field.get_by_role("button", name="Remove").first.click()
    expect(field.locator("input").first).to_be_focused()
    eventually(lambda: panel.sent("check")[-1]["values"] == {"env": ["B=2"]})
    for _ in range(2):
        field.get_by_role("button", name="Remove").first.click()
    expect(field.get_by_role("button", name="Add")).to_be_focused()
    eventually(lambda: panel.sent("check")[-1]["values"] == {})


def test_offers_can_be_typed_over(open_panel: Open) -> None:
    """What the cluster knows is offered beside what is known anyway, when it comes."""
    panel = open_panel({"offers": {}})
    offered = "nodes => nodes.map(node => node.value)"
    words = panel.field("namespace").locator("datalist option")
    assert words.evaluate_all(offered) == ["default"]

    panel.set(offers={"namespace": ["team-a", "default"]})
    expect(words).to_have_count(2)
    assert words.evaluate_all(offered) == ["default", "team-a"]
    panel.page.locator("summary", has_text="Where").click()
    panel.input("namespace").fill("another")
    eventually(lambda: panel.sent("check")[-1]["values"] == {"namespace": "another"})


def test_another_profile_leaves_the_form_as_it_is(open_panel: Open) -> None:
    """Other defaults are shown, while somebody types and has groups open."""
    panel = open_panel()
    panel.page.locator("summary", has_text="Where").click()
    panel.input("profile").press_sequentially("big")
    groups = _form.describe()
    for field in (field for group in groups for field in group["fields"]):
        field["placeholder"] = "of the profile"
    panel.set(groups=groups)

    expect(panel.input("workers")).to_have_attribute("placeholder", "of the profile")
    expect(panel.input("profile")).to_be_focused()
    expect(panel.input("profile")).to_have_value("big")


def test_what_the_kernel_loads_is_in_the_form(open_panel: Open) -> None:
    """Values and code of it replace what was said, and are checked."""
    panel = open_panel({"values": {"cpu": "2"}})
    panel.set(values={"name": "mnist", "suspend": True, "env": ["A=1"], "cpu": None})

    expect(panel.input("name")).to_have_value("mnist")
    expect(panel.input("suspend")).to_be_checked()
    expect(panel.input("env")).to_have_value("A=1")
    expect(panel.input("cpu")).to_have_value("")
    eventually(lambda: panel.sent("check")[-1]["values"]["name"] == "mnist")


def test_what_is_said_is_kept(open_panel: Open) -> None:
    """The kernel gets it after a while, so that a page loaded again has it."""
    panel = open_panel()
    panel.input("name").fill("mnist")
    code(panel).fill("print(1)")

    eventually(lambda: panel.page.evaluate("model.saved.length") == 1)
    assert panel.page.evaluate("model.saved[0]") == {
        "values": {"name": "mnist"},
        "source": "print(1)",
    }


# The code.


def test_code_is_drawn_in_colours(open_panel: Open) -> None:
    """The layer behind the text area has the same lines; words have the kind that they are of."""
    source = (
        "# note\ndef f(x=0x1f):\n\treturn rb'''a\nb''' + \"un\\\"closed\n@dec.orator\n%magic x\n"
    )
    panel = open_panel({"source": source})
    lines = panel.page.locator(".pj-codeline").all_text_contents()
    assert "\n".join(lines) == source

    kinds = panel.page.locator(".pj-codeline span").evaluate_all(
        "nodes => nodes.map(node => [node.className.slice(7), node.textContent])"
    )
    assert kinds == [
        ["comment", "# note"],
        ["keyword", "def"],
        ["number", "0x1f"],
        ["keyword", "return"],
        ["string", "rb'''a"],
        ["string", "b'''"],
        ["string", '"un\\"closed'],
        ["decorator", "@dec.orator"],
        ["magic", "%magic x"],
    ]


def test_typing_redraws_only_what_changed(open_panel: Open) -> None:
    """In a source of 3,000 lines, a letter makes one line new."""
    panel = open_panel({"source": "x = 1\n" * 3000})
    expect(panel.page.locator(".pj-codeline")).to_have_count(3001)
    panel.page.evaluate(
        """() => {
            window.made = 0;
            const count = all => all.forEach(each => { made += each.addedNodes.length; });
            new MutationObserver(count)
                .observe(document.querySelector('.pj-codelines'), { childList: true });
        }"""
    )
    code(panel).evaluate("node => node.setSelectionRange(600, 600)")
    code(panel).press("y")
    panel.drawn()

    assert panel.page.evaluate("made") == 1
    expect(panel.page.locator(".pj-codeline").nth(100)).to_have_text("yx = 1")


def test_tab_indents_and_escape_leaves(open_panel: Open) -> None:
    """Enter keeps the indent; Tab moves lines; it can be undone; Escape, then Tab goes on."""
    panel = open_panel()
    area = code(panel)
    area.focus()
    keys = panel.page.keyboard
    keys.type("if x:")
    keys.press("Enter")
    keys.type("y")
    expect(area).to_have_value("if x:\n    y")
    keys.press("Control+a")
    keys.press("Tab")
    expect(area).to_have_value("    if x:\n        y")
    keys.press("Shift+Tab")
    keys.press("Shift+Tab")
    expect(area).to_have_value("if x:\ny")
    keys.press("Control+z")
    expect(area).to_have_value("if x:\n    y")

    keys.press("Escape")
    keys.press("Tab")
    expect(area).not_to_be_focused()
    expect(area).to_have_value("if x:\n    y")


def test_a_notebook_does_not_take_keys_away(open_panel: Open) -> None:
    """JupyterLab cancels line breaks and undoing within cells, where the focus is."""
    panel = open_panel()
    panel.page.evaluate(
        """() => document.addEventListener('keydown', ({ target }) => {
            const cancel = event =>
                ['insertLineBreak', 'historyUndo', 'historyRedo'].includes(event.inputType)
                && event.preventDefault();
            target.addEventListener('beforeinput', cancel, { once: true });
        }, true)"""
    )
    area = code(panel)
    area.focus()
    keys = panel.page.keyboard
    keys.type("a = 1\nb")
    expect(area).to_have_value("a = 1\nb")
    keys.press("Control+z")
    expect(area).not_to_have_value("a = 1\nb")
    keys.press("Control+Shift+z")
    expect(area).to_have_value("a = 1\nb")

    panel.input("name").press_sequentially("mnist")
    keys.press("Control+z")
    expect(panel.input("name")).not_to_have_value("mnist")


def test_code_of_a_cell_follows_the_cell(open_panel: Open) -> None:
    """Cells are offered by number and first line; what is typed there comes here at once."""
    panel = open_panel(None, CELLS)
    panel.page.get_by_role("radio", name="Cell").click()
    choice = panel.page.get_by_label("Cell of this notebook")
    expect(choice.locator("option")).to_have_text(
        ["Choose a cell", "1: import torch", "2: %%pytorchjob mnist -w 2", "3: %pytorchjob panel"]
    )

    choice.select_option(label="1: import torch")
    expect(code(panel)).to_have_value("import torch")
    eventually(lambda: panel.sent("check")[-1]["source"] == "import torch")
    panel.page.evaluate("model.notebook.edit(0, 'import numpy')")
    expect(code(panel)).to_have_value("import numpy")
    expect(code(panel)).to_have_attribute("readonly", "")

    panel.page.get_by_role("radio", name="Editor").click()
    panel.page.evaluate("model.notebook.edit(0, 'import os')")
    panel.drawn()
    expect(code(panel)).to_have_value("import numpy")
    expect(code(panel)).not_to_have_attribute("readonly", "")


def test_a_cell_of_the_magic_fills_the_form(open_panel: Open) -> None:
    """Its line is for the kernel to read."""
    panel = open_panel(None, CELLS)
    panel.page.get_by_role("radio", name="Cell").click()
    panel.page.get_by_label("Cell of this notebook").select_option(index=2)

    expect(panel.input("workers")).to_have_value("2")
    expect(code(panel)).to_have_value("print(1)\n")
    assert panel.sent("load")[0]["what"] == "cell"
    expect(panel.page.get_by_role("radio", name="Cell")).to_be_checked()


def test_code_of_a_file(open_panel: Open) -> None:
    """The kernel reads it; where it cannot, its words stay."""
    panel = open_panel()
    panel.page.get_by_role("radio", name="File").click()
    path = panel.page.get_by_label("Path to a Python file")
    expect(path).to_be_focused()
    path.fill("missing.py")
    path.press("Enter")
    alert = panel.page.get_by_role("alert")
    expect(alert).to_have_text("missing.py: there is no such file")

    path.fill("train.py")
    panel.page.get_by_role("button", name="Load file").click()
    expect(code(panel)).to_have_value('print("train.py")\n')
    expect(alert).to_have_count(0)
    expect(panel.page.locator(".pj-outcome:visible").first).to_have_text("Loaded from file.")


def test_a_page_without_a_notebook_says_so(open_panel: Open) -> None:
    """There are no cells to choose from, and the code can still be typed."""
    panel = open_panel()
    panel.page.get_by_role("radio", name="Editor").focus()
    panel.page.keyboard.press("ArrowRight")

    expect(panel.page.locator(".pj-from")).to_contain_text("choose File")
    expect(code(panel)).not_to_have_attribute("readonly", "")


# What it comes to.


def test_totals_and_what_is_left(open_panel: Open) -> None:
    """Replicas times resources; a bar where it is known what is left, words if it is too much."""
    panel = open_panel({"source": SOURCE, "values": {"workers": "2", "gpus": "4", "cpu": "8"}})
    rows = panel.page.locator(".pj-totals li")

    expect(rows).to_have_count(3)
    expect(rows.nth(1)).to_have_text("nvidia.com/gpu12 3 \u00d7 4more than the 8 left")
    expect(rows.nth(2)).to_have_text("cpu24 3 \u00d7 8of 64 left")
    widths = panel.page.locator(".pj-barfill").evaluate_all("n => n.map(x => x.style.width)")
    assert widths == ["100%", "37.5%"]


def test_what_is_left_is_said_without_limits(open_panel: Open) -> None:
    panel = open_panel({"source": SOURCE})
    rows = panel.page.locator(".pj-totals li")
    expect(panel.page.locator(".pj-ready")).to_have_text("Ready to submit.")
    free = [{"resource": "cpu", "left": "6"}, {"resource": "memory", "left": "20Gi"}]
    panel.set(checked=panel.get("checked") | {"totals": [], "free": free})

    expect(rows).to_have_text(["No limits set", "cpu6 left", "memory20Gi left"])


def test_the_preview_marks_what_differs(open_panel: Open) -> None:
    """Lines that the profile would not give are marked; YAML and line can be copied."""
    panel = open_panel({"source": SOURCE, "values": {"name": "mnist", "workers": "2"}})
    marked = panel.page.locator(".pj-yamlrow.pj-marked")
    expect(marked).to_have_count(2)
    assert "name: mnist" in marked.first.inner_text()
    expect(panel.page.locator(".pj-command code")).to_have_text("%%pytorchjob mnist --workers 2")

    panel.page.context.grant_permissions(["clipboard-read", "clipboard-write"])
    panel.page.get_by_role("button", name="Copy YAML").click()
    copied = "navigator.clipboard.readText()"
    eventually(lambda: panel.page.evaluate(copied).startswith("apiVersion: kubeflow.org/v1\nkind"))
    assert panel.page.evaluate(copied) == panel.get("checked")["yaml"]


def test_what_is_not_there_cannot_be_copied(open_panel: Open) -> None:
    """The clipboard keeps what it has."""
    panel = open_panel({"source": SOURCE, "values": {"name": "mnist"}})
    copy = panel.page.get_by_role("button", name="Copy YAML")
    expect(copy).to_be_visible()
    panel.set(checked=panel.get("checked") | {"yaml": ""})
    expect(copy).to_be_hidden()


def test_submit_says_what_is_missing(open_panel: Open) -> None:
    """Without code it leads there; then it submits, and shows the card."""
    panel = open_panel({"values": {"name": "mnist"}})
    submit = panel.page.get_by_role("button", name="Submit")
    expect(panel.page.locator(".pj-ready")).to_have_text("Still missing: code")
    submit.click(force=True)
    expect(code(panel)).to_be_focused()
    panel.page.keyboard.type("print(1)")
    expect(submit).not_to_have_attribute("aria-disabled", "true")

    submit.click()
    expect(panel.page.locator(".pj-side .pj-outcome")).to_have_text("mnist was submitted.")
    sent = panel.sent("submit")
    assert [(each["values"], each["source"]) for each in sent] == [({"name": "mnist"}, "print(1)")]
    expect(panel.page.locator(".pj-cardplace")).to_have_text("card of card-new")
    expect(panel.page.locator(".pj-cardplace")).to_be_in_viewport()


def test_the_server_objects_beside_the_field(open_panel: Open) -> None:
    """Its words are where they concern, and stay until something is changed."""
    panel = open_panel({"source": SOURCE, "values": {"queue": "fast"}})
    expect(panel.page.locator(".pj-ready")).to_have_text("Ready to submit.")
    panel.page.get_by_role("button", name="Check with the server").click()

    expect(panel.field("queue").locator(".pj-wrong")).to_contain_text("admission webhook denied")
    expect(panel.field("queue")).to_be_visible()
    expect(panel.page.get_by_role("alert")).to_have_text("The server objects to 1 field.")
    panel.input("queue").fill("slow")
    expect(panel.field("queue").locator(".pj-wrong")).to_be_hidden()


def test_what_came_of_an_action_passes(open_panel: Open) -> None:
    """It goes as soon as another draft, other rows or other filters are there."""
    panel = open_panel({"source": SOURCE, "values": {"queue": "fast"}})
    objects = panel.page.get_by_text("The server objects to 1 field.")
    panel.page.get_by_role("button", name="Check with the server").click()
    expect(objects).to_be_visible()
    panel.drawn()
    expect(objects).to_be_visible()
    panel.input("queue").fill("gpu")
    expect(objects).to_have_count(0)

    panel.set(jobs=jobs(0, rows=[job(i, can=["resume"]) for i in range(5)]))
    panel.open("Jobs")
    refused = panel.page.get_by_text("cannot be resumed")
    row = panel.page.locator(".pj-tbody .pj-tr")
    for selects in (True, False):
        row.first.locator("input").check()
        panel.page.get_by_role("button", name="Resume").click()
        expect(refused).to_be_visible()
        if selects:
            row.nth(1).locator("input").click()
        else:
            panel.page.get_by_label("Filter the jobs").fill("m")
        expect(refused).to_have_count(0)


@pytest.mark.parametrize(("own", "at"), [(1, 2), (None, 3)])
def test_as_a_cell(open_panel: Open, own: int | None, at: int) -> None:
    """It is written below the cell of the panel, else at the end, and says where."""
    panel = open_panel(
        {"source": "print(1)", "values": {"name": "mnist"}},
        {"sources": ["a", "b", "c"], "own": own},
    )
    expect(panel.page.locator(".pj-ready")).to_have_text("Ready to submit.")
    panel.page.get_by_role("button", name="As a cell").click()

    expect(panel.page.locator(".pj-side .pj-outcome")).to_contain_text(f"Inserted as cell {at + 1}")
    cells = panel.page.evaluate("model.notebook.cells.map(cell => cell.source)")
    assert cells.index("%%pytorchjob mnist\nprint(1)") == at
    assert len(cells) == 4


def test_a_cell_to_copy(open_panel: Open) -> None:
    """Where the page lets nobody write cells, the text is shown."""
    panel = open_panel({"source": "print(1)", "values": {"name": "mnist"}})
    expect(panel.page.locator(".pj-ready")).to_have_text("Ready to submit.")
    panel.page.get_by_role("button", name="As a cell").click()

    expect(panel.page.get_by_label("The cell", exact=True)).to_have_text(
        "%%pytorchjob mnist\nprint(1)"
    )
    expect(panel.page.get_by_role("button", name="Copy the cell")).to_be_visible()


def test_a_busy_kernel_is_said(open_panel: Open) -> None:
    """After a second without answer, of a check and of an action."""
    panel = open_panel({"source": SOURCE})
    expect(panel.page.locator(".pj-ready")).to_have_text("Ready to submit.")
    panel.page.evaluate("model.busy = true")
    panel.input("name").fill("mnist")
    side = panel.page.locator(".pj-side")
    expect(side.locator(".pj-hint")).to_contain_text("kernel is busy")
    panel.page.get_by_role("button", name="Submit").click()
    expect(side.locator(".pj-outcome")).to_contain_text("Submitting … The kernel may be busy")
    panel.page.get_by_role("button", name="Submit").click()
    assert len(panel.sent("submit")) == 1

    panel.page.evaluate("model.wake()")
    expect(side.locator(".pj-hint")).to_be_empty()
    expect(side.locator(".pj-outcome")).to_have_text("mnist was submitted.")


def test_a_panel_without_kernel_says_so(open_panel: Open) -> None:
    """Nothing is thrown, and what opens it again is said."""
    panel = open_panel({"source": SOURCE})
    panel.page.evaluate("model.gone = true")
    panel.input("name").fill("mnist")

    expect(panel.page.locator(".pyjob-panel > .pj-link")).to_contain_text(
        "Run %load_ext pyjob_magic and %pytorchjob panel to reopen the panel"
    )
    panel.open("Jobs")
    panel.page.locator(".pj-tbody .pj-tr").first.click()
    expect(panel.page.locator(".pj-board:visible .pj-outcome")).to_have_text("Opening …")
    panel.set(status="again")
    expect(panel.page.locator(".pyjob-panel > .pj-link")).to_be_empty()


# Jobs.


def test_few_of_many_rows_are_in_the_page(open_panel: Open) -> None:
    """Every one of 2,000 can be reached."""
    panel = open_panel({"jobs": jobs(2000)})
    panel.open("Jobs")
    expect(panel.table).to_have_attribute("aria-rowcount", "2001")
    assert len(panel.names()) < 40
    assert panel.names()[0] == job(0)["name"]

    panel.table.evaluate("node => { node.scrollTop = node.scrollHeight; }")
    eventually(lambda: panel.names()[-1] == job(1999)["name"])
    assert len(panel.names()) < 40
    panel.table.evaluate("node => { node.scrollTop = node.scrollHeight / 2; }")
    eventually(lambda: job(1000)["name"] in panel.names())


@pytest.mark.parametrize(
    ("column", "value"),
    [
        ("State", lambda row: row["state"]),
        ("Name", lambda row: row["name"].split("-")[0]),
        ("Age", lambda row: -row["created"]),
        ("Duration", lambda row: row["started"] and (row["ended"] or NOW) - row["started"]),
        ("Ready", lambda row: row["replicas"][0] / row["replicas"][1]),
        ("Request", lambda row: row["asked"]),
        ("User", lambda row: row["who"]),
        ("Progress", lambda row: row["progress"]),
    ],
)
def test_sorted_by_any_column(open_panel: Open, column: str, value: Callable[..., Any]) -> None:
    """Up and down, as the head says; rows without a value come last either way."""
    rows = jobs(12)["rows"]
    panel = open_panel({"jobs": jobs(12)})
    panel.open("Jobs")
    head = panel.page.get_by_role("columnheader", name=column)
    named = {row["name"]: row for row in rows}
    for _ in range(2):
        head.get_by_role("button").click()
        expect(head.get_by_role("button")).to_be_focused()
        panel.drawn()
        down = head.get_attribute("aria-sort") == "descending"
        values = [value(named[name]) for name in panel.names()]
        known = [each for each in values if each is not None]
        assert len(values) == 12
        assert values[: len(known)] == known
        assert known == sorted(known, reverse=down)


def test_filtered_by_words_and_states(open_panel: Open) -> None:
    """Words are those of name, person and resources; states say how many they have."""
    rows = jobs(60)["rows"]
    panel = open_panel({"jobs": jobs(60)})
    panel.open("Jobs")
    panel.page.get_by_label("Filter the jobs").fill("ADA bert")
    expected = [row for row in rows if row["who"] == "ada" and "bert" in row["name"]]
    expect(panel.table).to_have_attribute("aria-rowcount", str(len(expected) + 1))
    failed = panel.page.get_by_role("button", name="Failed")
    many = sum(row["state"] == "Failed" for row in expected)
    expect(failed).to_have_text(f"Failed{many}")

    failed.click()
    expect(failed).to_have_attribute("aria-pressed", "true")
    expect(panel.table).to_have_attribute("aria-rowcount", str(many + 1))
    failed.click()
    panel.page.get_by_label("Filter the jobs").fill("bert")
    panel.page.get_by_label("Filter the jobs").fill("nobody")
    expect(panel.page.locator(".pj-nothing:visible")).to_have_text("No jobs match the filter.")


def test_mine_is_offered_where_others_have_jobs_too(open_panel: Open) -> None:
    rows = jobs(60)["rows"]
    panel = open_panel({"jobs": jobs(60)})
    panel.open("Jobs")
    mine = panel.page.get_by_role("button", name="Mine")
    mine.click()
    expected = [row for row in rows if row["who"] == "ada"]
    expect(panel.table).to_have_attribute("aria-rowcount", str(len(expected) + 1))
    mine.click()

    panel.set(jobs=jobs(60) | {"rows": expected})
    expect(mine).to_be_hidden()


def test_rows_are_selected_with_the_mouse(open_panel: Open) -> None:
    """One by one, as a range, all; what the filter takes away is not selected any more."""
    panel = open_panel({"jobs": jobs(200)})
    panel.open("Jobs")
    chosen = panel.page.locator(".pj-chosen:visible")
    boxes = panel.page.locator(".pj-tbody input:visible")
    boxes.nth(1).click()
    expect(chosen).to_have_text("1 selected")
    boxes.nth(5).click(modifiers=["Shift"])
    expect(chosen).to_have_text("5 selected")
    boxes.nth(3).click()
    expect(chosen).to_have_text("4 selected")
    every = panel.page.get_by_label("Select all rows").locator("visible=true")
    assert every.evaluate("node => node.indeterminate")

    every.click()
    expect(chosen).to_have_text("200 selected")
    panel.page.get_by_role("button", name="Failed").click()
    many = sum(row["state"] == "Failed" for row in jobs(200)["rows"])
    expect(chosen).to_have_text(f"{many} selected")
    every.click()
    expect(chosen).to_have_text("None selected")
    assert panel.sent("jobs") == []


def test_rows_are_selected_with_keys(open_panel: Open) -> None:
    """Arrows move, space selects, Shift extends, Enter opens; the row that is meant is in sight."""
    panel = open_panel({"jobs": jobs(2000)})
    panel.open("Jobs")
    chosen = panel.page.locator(".pj-chosen:visible")
    panel.table.focus()
    keys = panel.page.keyboard
    for key in ("ArrowDown", "ArrowDown", " ", "Shift+ArrowDown", "Shift+ArrowDown"):
        keys.press(key)
    expect(chosen).to_have_text("3 selected")
    keys.press("End")
    active = panel.page.locator(".pj-tr[data-at]")
    expect(active).to_be_in_viewport()
    expect(active).to_contain_text(job(1999)["name"])
    assert active.get_attribute("id") == panel.table.get_attribute("aria-activedescendant")
    keys.press("Enter")
    expect(panel.page.locator(".pj-cardplace")).to_have_text("card of card-uid-1999")
    expect(panel.table).to_be_focused()

    keys.press("Control+a")
    expect(chosen).to_have_text("2,000 selected")
    keys.press("Escape")
    expect(chosen).to_have_text("None selected")


def test_an_update_keeps_what_one_is_at(open_panel: Open) -> None:
    """Selection, focus, and the rows in sight stay, when jobs come, change and go."""
    panel = open_panel({"jobs": jobs(500)})
    panel.open("Jobs")
    panel.table.evaluate("node => { node.scrollTop = 3000; }")
    eventually(lambda: job(100)["name"] in panel.names())
    panel.page.locator(".pj-tr", has_text=job(103)["name"]).locator("input").click()
    box = panel.page.locator(".pj-tr", has_text=job(103)["name"]).bounding_box()

    rows = [job(i, uid=f"new-{i}", created=NOW + i) for i in range(40)]
    rows += [
        job(i, state="Suspended" if i == 103 else job(i)["state"]) for i in range(500) if i != 99
    ]
    panel.set(jobs=jobs(0, rows=rows))
    row = panel.page.locator(".pj-tr", has_text=job(103)["name"])
    expect(row).to_contain_text("Suspended")

    assert row.bounding_box() == box
    expect(row.locator("input")).to_be_checked()
    expect(panel.table).to_be_focused()
    expect(row).to_have_attribute("data-at", "")


def test_ages_go_on(open_panel: Open) -> None:
    """They count by the kernel's clock, without a message."""
    panel = open_panel({"jobs": jobs(0, rows=[job(0, created=NOW - 3, started=NOW - 2)])})
    panel.open("Jobs")
    cells = panel.page.locator(".pj-tbody .pj-number")
    expect(cells.nth(0)).to_have_text("3 s")
    expect(cells.nth(0)).to_have_text("5 s")
    expect(cells.nth(1)).to_have_text("4 s")


def test_deleting_asks_once_and_names_how_many(open_panel: Open) -> None:
    """Keep and Escape leave all as it is."""
    panel = open_panel()
    panel.open("Jobs")
    panel.page.locator(".pj-tbody input:visible").nth(0).click()
    panel.page.locator(".pj-tbody input:visible").nth(2).click(modifiers=["Shift"])
    for leave in ("Escape", "Enter"):  # the focus is on Keep
        panel.page.get_by_role("button", name="Delete").click()
        expect(panel.page.locator(".pj-question")).to_have_text("Delete 3 jobs with all logs?")
        expect(panel.page.get_by_role("button", name="Keep")).to_be_focused()
        panel.page.keyboard.press(leave)
    assert panel.sent("jobs") == []

    panel.page.get_by_role("button", name="Delete").click()
    panel.page.get_by_role("button", name="Delete 3 jobs").click()
    expect(panel.table).to_have_attribute("aria-rowcount", "38")
    uids = [each["uids"] for each in panel.sent("jobs") if each["action"] == "delete"]
    assert uids == [["uid-0", "uid-1", "uid-2"]]
    expect(panel.page.locator(".pj-chosen:visible")).to_have_text("None selected")


def test_actions_for_the_selection(open_panel: Open) -> None:
    """Each is off where it makes no sense; a failure is an alert that stays."""
    panel = open_panel()
    panel.open("Jobs")
    compare = panel.page.get_by_role("button", name="Compare")
    form = panel.page.get_by_role("button", name="Load into form")
    boxes = panel.page.locator(".pj-tbody input:visible")
    boxes.nth(0).click()
    expect(compare).to_have_attribute("aria-disabled", "true")
    expect(form).not_to_have_attribute("aria-disabled", "true")
    boxes.nth(1).click()
    expect(compare).not_to_have_attribute("aria-disabled", "true")
    expect(form).to_have_attribute("aria-disabled", "true")

    boxes.nth(6).click()
    panel.page.get_by_role("button", name="Resume").click()
    expect(panel.page.get_by_role("alert")).to_have_text("job-3 cannot be resumed: it has ended")
    panel.page.get_by_role("button", name="Rerun").click()
    expect(panel.page.get_by_role("alert")).to_have_count(0)
    actions = [each["action"] for each in panel.sent("jobs")]
    assert actions == ["resume", "rerun"]


def test_only_what_can_be_suspended_is(open_panel: Open) -> None:
    """And resumed likewise; why not is said; suspending asks once, as it takes progress away."""
    panel = open_panel({"jobs": jobs(8)})  # 0, 3 and 7 run, 2 waits, 6 is suspended
    panel.open("Jobs")
    boxes = panel.page.locator(".pj-tbody input:visible")
    suspend = panel.page.get_by_role("button", name="Suspend", exact=True)
    resume = panel.page.get_by_role("button", name="Resume")
    expect(suspend).to_have_attribute("title", "Select at least one row")
    for chosen, can_suspend, can_resume in ((1, False, False), (6, False, True), (0, True, True)):
        boxes.nth(chosen).click()
        for button, can in ((suspend, can_suspend), (resume, can_resume)):
            off = panel.page.locator("[aria-disabled]").and_(button)
            expect(off).to_have_count(0 if can else 1)
        if not can_suspend:
            expect(suspend).to_have_attribute("title", re.compile("None .* can be suspended"))
            suspend.click(force=True)
    boxes.nth(2).click()
    resume.click()
    suspend.click()
    question = panel.page.locator(".pj-question")
    expect(question).to_have_text("Suspend 2 jobs? Progress since the last checkpoint is lost.")
    expect(panel.page.get_by_role("button", name="Keep")).to_be_focused()
    panel.page.get_by_role("button", name="Suspend 2 jobs").click()
    sent = [(each["action"], each["uids"]) for each in panel.sent("jobs")]
    assert sent == [("resume", ["uid-6"]), ("suspend", ["uid-0", "uid-2"])]

    suspend.click()
    ended = [job(i, can=["delete"]) if i != 6 else job(i) for i in range(8)]
    panel.set(jobs=jobs(0, rows=ended))
    expect(question).to_have_count(0)
    expect(suspend).to_have_attribute("aria-disabled", "true")


def test_a_job_goes_to_the_form(open_panel: Open) -> None:
    """What was said of it is loaded, and the form is shown."""
    panel = open_panel()
    panel.open("Jobs")
    panel.page.locator(".pj-tbody input:visible").nth(0).click()
    panel.page.get_by_role("button", name="Load into form").click()

    expect(panel.input("name")).to_have_value("loaded")
    assert [(each["what"], each["value"]) for each in panel.sent("load")] == [("job", "uid-0")]


# History, comparison, cards.


def test_the_history_is_searched_by_the_kernel(open_panel: Open) -> None:
    """It finds also what is not in the rows; until it answers, the rows at hand are filtered."""
    rows = history(25)["rows"]
    rows[7]["found"] = "optimizer"
    panel = open_panel({"history": {"rows": rows, "note": ""}})
    panel.open("History")
    eventually(lambda: panel.names()[:1] == ["run-0"])
    search = panel.page.get_by_label("Filter the history")
    search.fill("optimizer")
    eventually(lambda: panel.names() == ["run-7"])

    panel.page.evaluate("model.busy = true")
    search.fill("optimizer run-8")
    eventually(lambda: panel.names() == [])
    panel.page.evaluate("model.wake()")
    search.fill("")
    eventually(lambda: len(panel.names()) > 10)


def test_a_row_of_the_history_can_be_removed(open_panel: Open) -> None:
    """It asks; one that is gone from the cluster says so."""
    panel = open_panel()
    panel.open("History")
    row = panel.page.locator(".pj-tr:visible", has_text="run-5")
    expect(row).to_contain_text("deleted")
    expect(panel.page.locator(".pj-tr:visible", has_text="run-1").first).to_contain_text("yes")
    row.locator("input").click()
    panel.page.get_by_role("button", name="Remove").click()
    panel.page.get_by_role("button", name="Remove run-5").click()

    expect(row).to_have_count(0)
    assert panel.sent("history")[-1]["uids"] == ["old-5"]


PENS = """lines => lines.map(line => ({
    stroke: line.getAttribute('stroke'), dash: line.getAttribute('stroke-dasharray')
}))"""


def test_jobs_side_by_side(open_panel: Open) -> None:
    """What differs is marked, what is the same is shown on demand, metrics share their charts.

    There a job has one colour, and a replica has one dash.
    """
    panel = open_panel({"compared": compared()})
    box = panel.page.get_by_role("region", name="Comparison")
    expect(box.locator("tbody tr")).to_have_count(4)
    other = box.locator("td.pj-other")
    expect(other).to_have_text(
        ["4", "team/torch:7", "LR=0.1", "LR=0.01\nWARMUP=100", "LR=0.01", "1d"]
    )
    expect(box.locator(".pj-chart")).to_have_count(4)
    lines = box.locator(".pj-chart").first.locator(".pj-line")
    pens = [(pen["stroke"], pen["dash"]) for pen in lines.evaluate_all(PENS)]
    assert len({colour for colour, _ in pens[:3]}) == 1
    assert len({colour for colour, _ in pens}) == 2
    assert [dash for _, dash in pens[:3]] == [dash for _, dash in pens[3:]]
    assert len(set(pens)) == 6
    expect(box.get_by_label("Lines of the charts").get_by_role("listitem")).to_have_text(
        ["mnist-resnet50-0", "mnist-resnet50-4", "master-0", "worker-0", "worker-1"]
    )

    box.get_by_label("Only differences").uncheck()
    expect(box.locator("tbody tr")).to_have_count(6)
    box.get_by_role("button", name="Close").click()
    expect(box).to_be_hidden()
    assert panel.get("compared") is None
    panel.set(compared=compared())
    expect(box.locator("h4")).to_be_focused()


def test_code_side_by_side(open_panel: Open) -> None:
    """Lines that differ have a sign, a word for it and a colour, and scroll inside their box."""
    panel = open_panel({"compared": compared()}, width=400)
    diffs = panel.page.get_by_role("region", name="Comparison").locator(".pj-diff")
    expect(diffs.locator("figcaption")).to_have_text(
        [f"Code: mnist-resnet50-0 \u2192 mnist-resnet50-{other}" for other in (4, 8)]
    )
    removed, added = diffs.first.locator("[data-sign]").all()[-2:]
    assert "\u2212 removed: for epoch in range(12):" in " ".join(removed.inner_text().split())
    assert "+ added: for epoch in range(24):" in " ".join(added.inner_text().split())
    colour = "node => getComputedStyle(node).backgroundColor"
    assert len({removed.evaluate(colour), added.evaluate(colour), "rgba(0, 0, 0, 0)"}) == 3
    box = diffs.last.locator(".pj-difflines")
    assert box.evaluate("node => node.scrollWidth > node.clientWidth")

    same = compared() | {"diffs": []}
    panel.set(compared=same)
    expect(diffs).to_have_count(0)


def test_a_new_card_comes_into_sight(open_panel: Open) -> None:
    """Also what of it is drawn only later."""
    panel = open_panel({"source": SOURCE}, height=500)
    panel.page.get_by_role("button", name="Submit").click()
    card = panel.page.locator(".pj-cardbox").first
    expect(card).to_be_in_viewport(ratio=1)
    card.locator(".pj-cardplace").evaluate("node => { node.style.height = '300px'; }")
    expect(card).to_be_in_viewport(ratio=1)


def test_cards_can_be_closed(open_panel: Open) -> None:
    """The kernel, which may add one at the same time, is asked to; their widgets are removed.

    One that cannot be shown says so.
    """
    panel = open_panel({"cards": ["one", "lost"]})
    expect(panel.page.get_by_role("alert")).to_have_text(
        "The card could not be shown: widget model not found"
    )
    places = panel.page.locator(".pj-cardplace")
    panel.set(cards=["two", "one", "lost"])
    expect(places).to_have_count(3)
    expect(places.first).to_have_text("card of two")

    panel.page.evaluate("model.busy = true")
    panel.page.get_by_role("button", name="Close the card").first.click()
    expect(places).to_have_count(2)
    assert panel.page.evaluate("model.widget_manager.removed") == ["two"]
    panel.page.evaluate("model.wake()")
    eventually(lambda: panel.get("cards") == ["one", "lost"])
    assert [each["card"] for each in panel.sent("close")] == ["two"]
    assert panel.page.evaluate("model.saved") == []


# How it behaves on a page.


def test_a_card_that_fills_in_the_form_brings_it_into_sight(open_panel: Open) -> None:
    """Whatever tab is open, and however far away it is."""
    panel = open_panel({"cards": ["one"]}, height=500)
    panel.open("Jobs")
    panel.page.evaluate("document.body.style.paddingBottom = '3000px'; scrollTo(0, 2000)")
    expect(panel.panel).not_to_be_in_viewport()
    panel.page.evaluate("model.trigger('msg:custom', { is: 'filled' }, [])")

    expect(panel.page.get_by_role("tab", name="New job")).to_be_focused()
    expect(panel.page.get_by_role("tab", name="New job")).to_be_in_viewport()
    expect(panel.page.get_by_role("tabpanel", name="New job")).to_be_visible()


def test_errors_stay_until_they_are_closed(open_panel: Open) -> None:
    """An error of the kernel is an alert above all; the same can come again."""
    panel = open_panel({"status": "ApiError: no answer"})
    alert = panel.page.get_by_role("alert")
    expect(alert).to_contain_text("ApiError: no answer")
    for tab in TABS:
        panel.open(tab)
        expect(alert).to_be_visible()
    alert.get_by_role("button", name="Close").click()
    expect(alert).to_have_count(0)
    panel.set(status="ApiError: no answer")
    expect(alert).to_be_visible()


def test_an_error_of_its_own_is_shown(open_panel: Open) -> None:
    """What cannot be drawn is said, not swallowed."""
    panel = open_panel()
    panel.open("Jobs")
    panel.set(jobs={"rows": [None], "note": ""})

    expect(panel.page.get_by_role("alert")).to_contain_text("The panel could not be drawn")


def test_an_unseen_panel_draws_nothing(open_panel: Open) -> None:
    """Scrolled away it leaves the page alone; seen again it is up to date."""
    panel = open_panel()
    panel.open("Jobs")
    panel.page.evaluate("document.body.style.paddingTop = '5000px'; scrollTo(0, 0)")
    panel.drawn()
    panel.page.evaluate(
        """() => {
            window.changes = 0;
            new MutationObserver(all => { changes += all.length; })
                .observe(document.querySelector('.pyjob-panel'),
                    { childList: true, subtree: true, attributes: true, characterData: true });
        }"""
    )
    panel.set(jobs=jobs(7), status="something")
    panel.drawn()
    assert panel.page.evaluate("changes") == 0

    panel.page.evaluate("document.body.style.paddingTop = ''")
    expect(panel.table).to_have_attribute("aria-rowcount", "8")


def test_closing_leaves_nothing_behind(open_panel: Open) -> None:
    """No listener is left at the model or the notebook; cards are removed; what is said is kept."""
    panel = open_panel({"cards": ["one"]}, CELLS)
    expect(panel.page.locator(".pj-cardplace")).to_have_text("card of one")
    expect(panel.page.locator("#static")).to_be_hidden()
    panel.input("name").fill("mnist")
    panel.page.evaluate("close_panel()")
    expect(panel.page.locator("#static")).to_be_visible()

    assert panel.page.locator(".pyjob-panel").count() == 0
    assert panel.page.evaluate("model.listeners") == 0
    assert [each["visible"] for each in panel.sent("visible")] == [True, False]
    assert panel.page.evaluate("model.notebook.heard.size") == 0
    assert panel.page.evaluate("model.widget_manager.removed") == ["one"]
    assert panel.page.evaluate("model.saved.at(-1).values") == {"name": "mnist"}
    panel.set(status="x", jobs=jobs(3))
    panel.drawn()


def test_two_views_show_one_draft(open_panel: Open) -> None:
    """What is said in one is in the other after a while, and neither loses letters."""
    panel = open_panel()
    panel.page.evaluate(
        """async () => {
            const { default: panel } = await import('./panel.mjs');
            const place = document.createElement('div');
            document.querySelector('main').append(place);
            panel.render({ model, el: place });
        }"""
    )
    boxes = panel.page.locator('.pj-option[data-field="name"] input')
    boxes.nth(0).press_sequentially("mnist")
    expect(boxes.nth(1)).to_have_value("mnist")
    boxes.nth(1).press("End")
    boxes.nth(1).press_sequentially("-2")
    expect(boxes.nth(0)).to_have_value("mnist-2")
    ids = panel.page.evaluate("[...document.querySelectorAll('[id]')].map(node => node.id)")
    assert len(set(ids)) == len(ids)


def test_the_keyboard_reaches_everything(open_panel: Open) -> None:
    """Tab goes through tabs, the form and its buttons; JupyterLab's shortcuts stay away."""
    panel = open_panel({"source": SOURCE})
    code(panel).press("Escape")
    reached: list[str] = []
    for _ in range(40):
        panel.page.keyboard.press("Tab")
        reached.append(
            panel.page.evaluate(
                "document.activeElement.textContent"
                " || document.activeElement.closest('[data-field]')?.dataset.field"
            )
        )
        if reached[-1] == "Copy YAML":
            break
    order = ["name", "image", "workers", "memory", "Policies", "Files", "Submit", "Copy YAML"]
    assert [each for each in reached if each in order] == order
    expect(panel.page.locator(":focus")).to_have_attribute("data-lm-suppress-shortcuts", "true")


@pytest.mark.parametrize("width", [400, 700, 1600])
def test_it_fits_its_width(open_panel: Open, width: int) -> None:
    """Nothing makes the page scroll sideways or stands out, in no tab, with all groups open."""
    panel = open_panel(
        {"source": SOURCE, "compared": compared(), "status": "x" * 300}, CELLS, width=width
    )
    panel.page.locator("summary").evaluate_all("nodes => nodes.forEach(node => node.click())")
    for tab in TABS:
        panel.open(tab)
        panel.drawn()
        assert panel.page.evaluate("document.documentElement.scrollWidth") <= width
        beyond = panel.page.evaluate(
            """() => {
                const panel = document.querySelector('.pyjob-panel').getBoundingClientRect();
                return [...document.querySelectorAll('.pyjob-panel *')]
                    .filter(node => !node.closest('pre, code, .pj-comparebox, .pj-code'))
                    .filter(node => !node.closest('.pj-difflines'))
                    .filter(node => node.getBoundingClientRect().right > panel.right + 1)
                    .map(node => String(node.className.baseVal ?? node.className));
            }"""
        )
        assert beyond == []


@pytest.mark.parametrize("width", [400, 900, 1200])
def test_flags_can_be_read(open_panel: Open, width: int) -> None:
    """None is cut; in a narrow panel all fields are as wide as it is."""
    panel = open_panel(width=width)
    panel.page.locator("summary").evaluate_all("nodes => nodes.forEach(node => node.click())")
    cut = "nodes => nodes.filter(node => node.scrollWidth > node.clientWidth).length"
    assert panel.page.locator(".pj-flag:visible").count() == len(options(CellOptions)) + 1
    assert panel.page.locator(".pj-flag").evaluate_all(cut) == 0
    wide = panel.page.locator(".pj-option").evaluate_all("nodes => nodes.map(n => n.clientWidth)")
    assert (len({*wide}) == 1) == (width == 400)


@pytest.mark.parametrize("theme", ["light", "dark"])
@pytest.mark.parametrize("kind", ["filled", "wrong"])
def test_axe_finds_nothing_serious(open_panel: Open, theme: str, kind: str) -> None:
    """Contrast, names and roles, in every tab."""
    wrong = {"values": {"cpu": "lots", "env": ["A"]}, "source": "1 x", "status": "ApiError: no"}
    right = {"values": {"gpus": "9", "workers": "2"}, "source": SOURCE, "compared": compared()}
    panel = open_panel(wrong if kind == "wrong" else right, CELLS, theme=theme, width=1000)
    panel.page.locator("summary").evaluate_all(
        "nodes => nodes.forEach(node => { node.parentNode.open = true; })"
    )
    for tab in TABS:
        panel.open(tab)
        panel.drawn()
        if tab != "New job":
            panel.page.locator(".pj-tbody input:visible").nth(1).click()
            panel.page.get_by_role("button", name="Failed").click()
        found = Axe().run(panel.page, options={"resultTypes": ["violations"]})
        serious = [
            (each["id"], node["target"], node["any"] and node["any"][0]["message"])
            for each in found.response["violations"]
            if each["impact"] in {"serious", "critical"}
            for node in each["nodes"]
        ]
        assert serious == [], tab
