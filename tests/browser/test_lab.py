"""The tools of these tests hold what they promise, before they judge anything of ours."""

from __future__ import annotations

import pytest

from tests.browser.conftest import Open
from tests.state import eventually

pytestmark = pytest.mark.browser


def test_a_cell_shows_its_result(open_notebook: Open) -> None:
    """A cell runs in the kernel and its text appears below it."""
    notebook = open_notebook("1 + 1")

    assert "2" in notebook.run(0)


def test_html_is_rendered(open_notebook: Open) -> None:
    """HTML output becomes elements, and the saved notebook holds it."""
    notebook = open_notebook("from IPython.display import HTML\nHTML('<b id=bold>fat</b>')")

    notebook.run(0)

    assert notebook.output(0).locator("b#bold").inner_text() == "fat"
    assert "<b id=bold>" in str(notebook.save()[0]["outputs"][0]["data"])


def test_all_cells_run_in_order(open_notebook: Open) -> None:
    """Run all waits for the last cell, and an appended cell sees what they left."""
    notebook = open_notebook("a = 1", "b = a + 1", "print('sum', a + b)")

    notebook.run_all()

    assert notebook.text(2).strip() == "sum 3"
    assert "5" in notebook.run(notebook.append("a + 2 * b"))


def test_tab_completes(open_notebook: Open) -> None:
    """Tab at the end of a cell offers what the kernel knows."""
    notebook = open_notebook("import math", "math.cos", "math.isclo")
    notebook.run(0)

    assert {"cos", "cosh"} <= set(notebook.complete(1))
    assert notebook.complete(2) == ["isclose"]


def test_interrupt_ends_a_cell(open_notebook: Open) -> None:
    """A blocked cell ends on interrupt and shows it; the kernel lives on, until restarted."""
    notebook = open_notebook("from time import sleep\nprint('in it')\nsleep(600)", "'alive'")
    notebook.start(0)
    eventually(lambda: "in it" in notebook.text(0))

    notebook.interrupt()
    notebook.wait_for_end(0)

    assert "KeyboardInterrupt" in notebook.text(0)
    assert "alive" in notebook.run(1)
    notebook.restart()
    assert "NameError" in notebook.run(notebook.append("sleep"))
