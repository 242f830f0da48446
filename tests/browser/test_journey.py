"""What a person types into a notebook, and what they then see."""

from __future__ import annotations

import re

import pytest

from tests.browser.conftest import Open
from tests.browser.lab import Lab, Notebook
from tests.state import eventually

pytestmark = pytest.mark.browser

RANKS = "import os\nprint('rank', os.environ['RANK'], 'of', os.environ['WORLD_SIZE'])"
UID = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}")


@pytest.fixture
def notebook(open_notebook: Open) -> Notebook:
    """Open a notebook with the extension loaded."""
    notebook = open_notebook("%load_ext pyjob_magic")
    assert notebook.run(0) == ""
    return notebook


def run(notebook: Notebook, source: str) -> str:
    """Run one more cell and return what it shows."""
    return notebook.run(notebook.append(source))


def test_a_cell_becomes_a_job_and_its_card_is_shown(notebook: Notebook) -> None:
    """The metadata that the API returned stands below the cell."""
    cell = notebook.append(f"%%pytorchjob hello --workers 1 --wait\n{RANKS}")

    assert {"hello", "default"} <= set(notebook.run(cell).split())
    notebook.output(cell).get_by_role("tab", name="Details").click()

    shown = notebook.output(cell).get_by_role("tabpanel", name="Details").inner_text()
    assert UID.search(shown)
    for fact in ("uid", "creationTimestamp", "generation", "resourceVersion"):
        assert fact in shown


def test_logs_show_every_replica(notebook: Notebook, lab: Lab) -> None:
    """What each replica printed can be read, and told apart."""
    # The job ends with its master, whatever the worker does: the master waits for it.
    run(
        notebook,
        "%%pytorchjob ranks --workers 1 --wait --clean-pods None\n"
        f"{RANKS}\n"
        "import pathlib, sys, time\n"
        "sys.stdout.flush()\n"
        f"printed = pathlib.Path({str(lab.root / 'printed')!r})\n"
        "printed.touch() if os.environ['RANK'] == '1' else None\n"
        "while not printed.exists():\n"
        "    time.sleep(0.05)",
    )

    logs = run(notebook, "%pytorchjob logs ranks")

    assert "rank 0 of 2" in logs
    assert "rank 1 of 2" in logs


def test_a_wrong_option_is_one_line_and_submits_nothing(notebook: Notebook) -> None:
    """The line names the option; there is no traceback and no job."""
    shown = run(notebook, f"%%pytorchjob wrong --wrokers 1\n{RANKS}")

    assert "--wrokers" in shown
    assert len(shown.strip().splitlines()) == 1
    assert "wrong" not in run(notebook, "%pytorchjob list")


def test_a_deleted_job_is_gone(notebook: Notebook) -> None:
    """A job is in the list until it is deleted."""
    run(notebook, f"%%pytorchjob brief --wait\n{RANKS}")
    assert "brief" in run(notebook, "%pytorchjob list")

    run(notebook, "%pytorchjob delete brief")

    assert "brief" not in run(notebook, "%pytorchjob list")


def test_tab_completes_options_and_values(notebook: Notebook) -> None:
    """Tab knows the options of the cell magic and the values they take."""
    assert "--restart-policy" in notebook.complete(notebook.append("%%pytorchjob x --res"))
    assert "OnFailure" in notebook.complete(notebook.append("%%pytorchjob x --restart-policy "))


def test_interrupt_stops_the_waiting_not_the_job(notebook: Notebook, lab: Lab) -> None:
    """The cell says that the job goes on, and it does."""
    started, go = lab.root / "started", lab.root / "go"
    cell = notebook.append(
        "%%pytorchjob long --wait\n"
        "import pathlib, time\n"
        f"pathlib.Path({str(started)!r}).touch()\n"
        f"while not pathlib.Path({str(go)!r}).exists():\n"
        "    time.sleep(0.05)\n"
        "print('went on')"
    )
    notebook.start(cell)
    eventually(started.exists)

    notebook.interrupt()
    notebook.wait_for_end(cell)

    shown = notebook.text(cell)
    assert "goes on" in shown
    assert "Traceback" not in shown
    go.touch()
    run(notebook, "%pytorchjob wait long")
    assert "went on" in run(notebook, "%pytorchjob logs long")


def test_a_failed_job_stops_run_all_and_says_why(open_notebook: Open) -> None:
    """A waiting cell fails with its job: it names the replica and shows the end of its log."""
    notebook = open_notebook(
        "%load_ext pyjob_magic",
        "%%pytorchjob broken --wait\nprint('so far so good')\nraise RuntimeError('no data')",
        "print('not reached')",
    )

    notebook.run_all()

    shown = notebook.text(1)
    assert "master-0 exited with code 1" in shown
    assert "RuntimeError: no data" in shown
    assert "not reached" not in notebook.text(2)


def test_jobs_outlive_the_kernel_and_cards_the_page(notebook: Notebook) -> None:
    """After a restart the job is found again; the saved card needs no kernel to be read."""
    cell = notebook.append(f"%%pytorchjob kept --wait\n{RANKS}")
    notebook.run(cell)

    notebook.restart()
    run(notebook, "%load_ext pyjob_magic")

    assert "kept" in run(notebook, "%pytorchjob list")
    saved = notebook.save()[cell]["outputs"]
    assert any("kept" in str(output.get("data", {}).get("text/html")) for output in saved)
