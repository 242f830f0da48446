"""A panel that stays in a notebook for long: what it follows, and what it leaves behind."""

from __future__ import annotations

import secrets
from collections.abc import Iterator
from typing import Any

import pytest

from tests.kernels import Kernel, running_kernel
from tests.state import eventually, temporary_home

NAMES = """
import gc, threading
import pyjob_magic._lookout as module
jobs = get_ipython().magics_manager.registry['PyTorchJobMagics'].commands.connection
def threads(*names): return sorted(
    t.name for t in threading.enumerate() if t.name.startswith(names))
"""


@pytest.fixture
def kernel() -> Iterator[Kernel]:
    with (
        temporary_home() as home,
        running_kernel(PYJOB_MAGIC_HOME=str(home), JPY_SESSION_NAME="test.ipynb") as kernel,
    ):
        kernel.run(f"%pytorchjob use local -n test-{secrets.token_hex(4)}\n{NAMES}")
        yield kernel
        kernel.run("for job in jobs().list(): job.delete()")
        assert kernel.errors == []


def open_panel(kernel: Kernel) -> str:
    kernel.run("%pytorchjob panel")
    return [name for name, each in kernel.widgets.items() if "groups" in each.state][-1]


def rows(kernel: Kernel, panel: str, table: str = "jobs") -> dict[str, Any]:
    return {row["name"]: row for row in kernel.widgets[panel].state[table]["rows"]}


def threads(kernel: Kernel, *names: str) -> list[str]:
    return list(eval(kernel.run(f"print(threads{names!r})")))


def submit(kernel: Kernel, name: str, source: str = "pass") -> None:
    """Submit a job that nobody looks at."""
    kernel.run(f"_ = jobs().submit(jobs().build({source!r}, name={name!r}))")


def test_what_nobody_sees_is_not_followed(kernel: Kernel) -> None:
    """A notebook may be closed for days, and the output be cleared; who looks again sees all."""
    kernel.run("module._UNSEEN = .2")
    panel = open_panel(kernel)
    submit(kernel, "before")
    kernel.listen(lambda: "before" in rows(kernel, panel))

    kernel.send(panel, do="visible", visible=False)
    eventually(lambda: threads(kernel, "pyjob-panel", "pyjob-watch") == [])
    submit(kernel, "unseen")
    kernel.send(panel, do="visible", visible=True)

    kernel.listen(lambda: {"before", "unseen"} <= {*rows(kernel, panel)})


def test_an_error_is_shown_and_not_the_end(kernel: Kernel) -> None:
    """Who looks again sees the jobs that there are then."""
    panel = open_panel(kernel)
    kernel.run("rows, module.Board.rows = module.Board.rows, lambda self: 1 / 0")
    submit(kernel, "unseen")
    kernel.listen(lambda: "ZeroDivisionError" in kernel.widgets[panel].state["status"])

    kernel.run("module.Board.rows = rows")
    kernel.send(panel, do="visible", visible=True)
    submit(kernel, "seen")

    kernel.listen(lambda: {"unseen", "seen"} <= {*rows(kernel, panel)})


def test_a_card_that_is_taken_away_is_not_followed(kernel: Kernel) -> None:
    """Its job goes on."""
    panel = open_panel(kernel)
    submit(kernel, "long", "import time; time.sleep(60)")
    kernel.listen(lambda: rows(kernel, panel).get("long", {}).get("state") == "Running")
    uid = rows(kernel, panel)["long"]["uid"]
    kernel.send(panel, do="jobs", action="open", uids=[uid], id=1)
    kernel.listen(lambda: kernel.widgets[panel].state["cards"])
    assert threads(kernel, "pyjob-card") != []

    kernel.send(panel, do="close", card=kernel.widgets[panel].state["cards"][0])

    eventually(lambda: threads(kernel, "pyjob-card", "pyjob-logs") == [])
    assert kernel.run("print(jobs().get('long').state)").strip() == "Running"


def test_the_history_hears_how_jobs_end(kernel: Kernel) -> None:
    """Also of those that have no card."""
    panel = open_panel(kernel)
    submit(kernel, "quiet")

    kernel.listen(
        lambda: rows(kernel, panel, "history").get("quiet", {}).get("state") == "Succeeded"
    )


def test_jobs_are_asked_for_again(kernel: Kernel) -> None:
    """Who does not answer for long may answer later; until then the last jobs stay in sight."""
    panel = open_panel(kernel)
    submit(kernel, "there")
    kernel.listen(lambda: "there" in rows(kernel, panel))
    kernel.run(
        "from pyjob_magic.informer import News\n"
        "board = next(o for o in gc.get_objects() if isinstance(o, module.Board))\n"
        "board.close(); board._hear(News.FAILED, 'nobody answers')"
    )
    kernel.listen(lambda: kernel.widgets[panel].state["jobs"]["note"] == "nobody answers")
    assert "there" in rows(kernel, panel)

    kernel.run("module._AGAIN = 0")

    submit(kernel, "later")
    kernel.listen(lambda: {"there", "later"} <= {*rows(kernel, panel)})
    assert kernel.widgets[panel].state["jobs"]["note"] == ""


def test_a_name_that_is_being_typed_is_no_place(kernel: Kernel) -> None:
    """The jobs of a namespace are asked for when its name stays, not for each letter of it."""
    panel = open_panel(kernel)
    kernel.run(
        "made, Board = [], module.Board\n"
        "module.Board = lambda client, tell: made.append(client.namespace) or Board(client, tell)"
    )

    for number in range(1, 5):
        values = {"namespace": "team"[:number]}
        kernel.send(panel, do="check", revision=number, values=values, source="pass")

    eventually(lambda: kernel.run("print(made)").strip() == "['team']")
