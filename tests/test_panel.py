"""The panel, in a real kernel and with real jobs: what it is told, answers and does."""

from __future__ import annotations

import itertools
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.kernels import Kernel, own_namespace, running_kernel
from tests.state import temporary_home

CODE = "print('loss=1')\n"

_numbers = itertools.count(1)


@pytest.fixture(scope="module")
def home() -> Iterator[Path]:
    with temporary_home() as home:
        yield home


@pytest.fixture(scope="module")
def shared(home: Path) -> Iterator[Kernel]:
    environment = {"PYJOB_MAGIC_HOME": str(home), "KUBECONFIG": str(home / "no-such-file")}
    with running_kernel(JPY_SESSION_NAME="test.ipynb", **environment) as kernel:
        yield kernel


@pytest.fixture
def kernel(shared: Kernel) -> Iterator[Kernel]:
    """Lend a kernel, in a namespace of its own; a test that leaves errors in it fails."""
    with own_namespace(shared) as kernel:
        yield kernel


class Panel:
    """A panel that is open in a kernel.

    Parameters
    ----------
    kernel
        The kernel.
    cell
        The source that opens it.
    """

    def __init__(self, kernel: Kernel, cell: str = "%pytorchjob panel") -> None:
        self.kernel = kernel
        kernel.run(cell)
        self.id = [name for name, each in kernel.widgets.items() if "groups" in each.state][-1]

    @property
    def state(self) -> dict[str, Any]:
        """What its front end knows."""
        return self.kernel.widgets[self.id].state

    def check(self, source: str = CODE, **values: Any) -> dict[str, Any]:
        """Say what is typed; return what is found of it."""
        revision = next(_numbers)
        self.kernel.send(self.id, do="check", revision=revision, values=values, source=source)
        self.kernel.listen(lambda: self.state["checked"].get("revision") == revision)
        return dict(self.state["checked"])

    def ask(self, do: str, **content: Any) -> dict[str, Any]:
        """Ask for something and return the answer to that."""
        number, said = next(_numbers), self.kernel.widgets[self.id].said
        self.kernel.send(self.id, do=do, id=number, **content)
        self.kernel.listen(lambda: any(each["id"] == number for each, _ in said))
        return next(each for each, _ in said if each["id"] == number)

    def submit(self, source: str = CODE, **values: Any) -> dict[str, Any]:
        return self.ask("submit", revision=next(_numbers), values=values, source=source)

    def run(self, source: str = CODE, **values: Any) -> str:
        """Submit a job, wait until its row says that it has succeeded and return its uid."""
        answer = self.submit(source, **values)
        assert answer["ok"], answer
        self.wait_for(values["name"], "Succeeded")
        return str(self.row(values["name"])["uid"])

    def act(self, action: str, *uids: str, do: str = "jobs") -> dict[str, Any]:
        return self.ask(do, action=action, uids=[*uids])

    def load(self, what: str, value: str) -> dict[str, Any]:
        return self.ask("load", what=what, value=value)

    def row(self, name: str, table: str = "jobs") -> dict[str, Any]:
        """Return the row of a job; an empty one if there is none."""
        return next((row for row in self.state[table]["rows"] if row["name"] == name), {})

    def wait_for(self, name: str, state: str, table: str = "jobs") -> None:
        self.kernel.listen(lambda: self.row(name, table).get("state") == state)

    def wait_for_none(self, name: str) -> None:
        self.kernel.listen(lambda: self.row(name) == {})

    def card(self) -> dict[str, Any]:
        """Return what the newest card below the panel shows."""
        return self.kernel.widgets[self.state["cards"][0].removeprefix("IPY_MODEL_")].state

    def wait_for_card(self, name: str, state: str) -> None:
        def fares() -> bool:
            head = self.card()["head"]
            return bool(head["name"] == name and head["state"] == state)

        self.kernel.listen(fares)


@pytest.fixture
def panel(kernel: Kernel) -> Panel:
    return Panel(kernel)


def waiting_for(go: Path) -> str:
    return f"import os, time\nwhile not os.path.exists({str(go)!r}): time.sleep(.01)\n"


def lines(found: dict[str, Any], numbers: list[int]) -> list[str]:
    """Return lines of the manifest."""
    return [found["yaml"].splitlines()[number - 1].strip() for number in numbers]


# -- the form ------------------------------------------------------------------------------------


def test_it_opens_with_a_form_and_with_what_the_place_knows(panel: Panel) -> None:
    """What a notebook keeps that is opened without a kernel stands beside it."""
    assert [group["title"] for group in panel.state["groups"]][:2] == ["Job", "Resources"]
    assert panel.state["checked"]["missing"] == ["the code"]
    panel.kernel.listen(lambda: "local" in panel.state["offers"].get("on", []))
    assert panel.state["status"] == ""


def test_the_function_opens_it_too(kernel: Kernel) -> None:
    panel = Panel(kernel, "import pyjob_magic; pyjob_magic.panel()")

    assert panel.check(name="a")["errors"] == {}


def test_errors_stand_at_their_fields(panel: Panel) -> None:
    found = panel.check("if x", name="No Name", cpu="lots", workers="2")

    assert set(found["errors"]) == {"name", "cpu"}
    assert "lots" in found["errors"]["cpu"]
    assert found["yaml"] == ""

    found = panel.check("x = 1\nif x", name="a-name", cpu="2")
    assert found["errors"] == {}
    assert found["source_error"].startswith("line 2 ")

    assert panel.check(name="a-name", cpu="2")["source_error"] is None


def test_what_is_complete_is_shown_as_it_would_be_sent(panel: Panel) -> None:
    """With what the profile would not give, the totals, and what this machine has left."""
    panel.kernel.listen(lambda: panel.state["checked"].get("place", ""))
    found = panel.check(name="shown", workers="2", cpu="1", memory="1Gi")

    assert found["missing"] == []
    assert "kind: PyTorchJob" in found["yaml"]
    assert "replicas: 2" in lines(found, found["marked"])
    assert "kind: PyTorchJob" not in lines(found, found["marked"])
    assert found["line"] == "shown --workers 2 --cpu 1 --memory 1Gi"
    assert found["place"].startswith("local")
    totals = {row["resource"]: row for row in found["totals"]}
    assert (totals["cpu"]["each"], totals["cpu"]["total"], totals["cpu"]["replicas"]) == (
        "1",
        "3",
        3,
    )
    assert totals["memory"]["total"] == "3Gi"


def test_what_this_machine_has_left_stands_beside_the_totals(panel: Panel) -> None:
    panel.kernel.listen(
        lambda: all(row["left"] for row in panel.check(name="a", cpu="1", memory="1Gi")["totals"])
    )


def test_without_limits_this_machine_says_what_it_has(kernel: Kernel) -> None:
    """As soon as that is known, though nothing is typed."""
    opened = Panel(kernel)

    opened.kernel.listen(
        lambda: {"cpu", "memory"} <= {row["resource"] for row in opened.state["checked"]["free"]}
    )
    assert opened.state["checked"]["totals"] == []


def test_without_code_nothing_is_submitted(panel: Panel) -> None:
    assert panel.check(" \n", name="empty")["missing"] == ["the code"]

    answer = panel.submit("", name="empty")

    assert (answer["is"], answer["ok"]) == ("submitted", False)
    assert panel.state["cards"] == []


def test_the_server_is_asked_and_nothing_is_created(panel: Panel) -> None:
    said = {"values": {"name": "asked"}, "source": CODE, "revision": next(_numbers)}

    answer = panel.ask("server", **said)

    assert (answer["is"], answer["ok"]) == ("checked", True)
    assert "nothing was created" in answer["message"]
    assert panel.state["jobs"]["rows"] == []


def test_a_name_that_is_taken_is_said_while_it_is_typed(panel: Panel) -> None:
    """With one that is free, also beside what is wrong elsewhere, as long as the job is there."""
    uid = panel.run(name="taken")

    assert panel.check(name="taken")["errors"] == {}
    assert panel.state["taken"] == {"name": "taken", "free": "taken-2"}
    panel.check(name="take")
    panel.kernel.listen(lambda: panel.state["taken"] is None)
    panel.check(name="taken", cpu="lots")
    panel.kernel.listen(lambda: panel.state["taken"] == {"name": "taken", "free": "taken-2"})
    panel.check(name="taken", namespace="another")
    panel.kernel.listen(lambda: panel.state["taken"] is None)
    panel.check(name="taken")
    panel.kernel.listen(lambda: panel.state["taken"] is not None)
    panel.act("delete", uid)
    panel.kernel.listen(lambda: panel.state["taken"] is None)


def test_a_name_that_only_the_server_knows_to_be_taken(panel: Panel) -> None:
    """It says the same; and the job that is there stays as it is."""
    panel.run(name="taken")
    panel.check(name="other")

    answer = panel.submit(name="taken")

    assert not answer["ok"]
    assert "taken" in answer["message"]
    panel.kernel.listen(lambda: panel.state["taken"] == {"name": "taken", "free": "taken-2"})
    assert len(panel.state["cards"]) == 1


def test_what_is_submitted_has_a_live_card(panel: Panel) -> None:
    answer = panel.submit(name="sent", workers="1")

    assert (answer["is"], answer["ok"]) == ("submitted", True)
    panel.wait_for_card("sent", "Succeeded")
    panel.wait_for("sent", "Succeeded")
    assert panel.row("sent")["replicas"] == [2, 2]
    panel.wait_for("sent", "Succeeded", "history")


def test_a_job_of_no_name_gets_one_each_time(panel: Panel) -> None:
    for _ in range(2):
        assert panel.submit()["ok"]

    panel.kernel.listen(lambda: len({row["name"] for row in panel.state["jobs"]["rows"]}) == 2)


def test_the_options_do_what_they_do_in_a_cell(panel: Panel, tmp_path: Path) -> None:
    """The job is given to a variable, the manifest is saved; what only a cell can do is refused."""
    assert panel.submit(name="kept", out_job="kept", save=str(tmp_path / "kept.yaml"))["ok"]

    assert panel.kernel.run("print(kept.name)").strip() == "kept"
    assert "name: kept" in (tmp_path / "kept.yaml").read_text()
    assert not panel.submit(name="dry", dry_run="client")["ok"]


def test_it_becomes_a_cell_that_does_the_same(panel: Panel) -> None:
    values = {"name": "cell", "env": ["A=it's {x} $HOME"], "suspend": True}
    source = "import os\nprint(os.environ['A'])\n"

    answer = panel.ask("as cell", values=values, source=source)

    assert answer["ok"]
    panel.kernel.run(answer["text"])
    panel.wait_for("cell", "Suspended")
    panel.act("resume", panel.row("cell")["uid"])
    panel.wait_for("cell", "Succeeded")
    printed = panel.kernel.run("%pytorchjob logs cell")
    assert "it's {x} $HOME" in printed
    assert not panel.ask("as cell", values={"name": "-x"}, source="")["ok"]


# -- where the code comes from -------------------------------------------------------------------


def test_code_of_a_file(panel: Panel, tmp_path: Path) -> None:
    (tmp_path / "train.py").write_text(CODE)
    (tmp_path / "cell.py").write_text("%%pytorchjob of-a-file --workers 3\nprint(2)\n")

    assert panel.load("file", str(tmp_path / "train.py"))["ok"]
    assert (panel.state["source"], panel.state["values"]) == (CODE, {})
    assert panel.load("file", str(tmp_path / "cell.py"))["ok"]
    assert panel.state["source"] == "print(2)\n"
    assert panel.state["values"] == {"name": "of-a-file", "workers": "3"}

    answer = panel.load("file", str(tmp_path / "none.py"))
    assert (answer["is"], answer["ok"]) == ("loaded", False)
    assert "none.py" in answer["message"]
    assert panel.state["source"] == "print(2)\n"


def test_code_of_a_name(panel: Panel) -> None:
    panel.kernel.run("text = 'print(3)'\ndef train():\n    print('trained')\nnumber = 3")

    assert panel.load("name", "text")["ok"]
    assert panel.state["source"] == "print(3)"
    assert panel.load("name", "train")["ok"]
    assert panel.state["source"].endswith("\n    train()\n")
    panel.run(panel.state["source"], name="of-a-name")
    assert "trained" in panel.kernel.run("%pytorchjob logs of-a-name")
    assert "int" in panel.load("name", "number")["message"]
    assert "'nobody'" in panel.load("name", "nobody")["message"]


def test_a_function_brings_what_it_uses(panel: Panel) -> None:
    """As IPython keeps it: imports, classes, constants; its newest definition."""
    panel.kernel.run("import math as m\nfrom dataclasses import dataclass")
    panel.kernel.run("@dataclass\nclass Config:\n    lr: float = 0.25\nEPOCHS = 2")
    panel.kernel.run("def helper(): return 'old'")
    panel.kernel.run("%%time\ndef helper():\n    return f'{m.floor(2.5)} {open.__name__}'")
    panel.kernel.run("def train():\n    print('says', EPOCHS, Config().lr, helper())")

    answer = panel.load("name", "train")

    assert (answer["ok"], answer["message"]) == (True, "")
    assert "modified_open" not in panel.state["source"]  # IPython has its own
    panel.run(panel.state["source"], name="gathered")
    assert "says 2 0.25 2 open" in panel.kernel.run("%pytorchjob logs gathered")


def test_what_a_function_cannot_bring_is_said(panel: Panel) -> None:
    """What it needs to be called with, too; what is no function is refused."""
    panel.kernel.run("import os\nframe = object()\nHUB_TOKEN = 'abcdef'")
    panel.kernel.run("def train(lr): print(os, lr, frame, HUB_TOKEN)\ndef shell():\n    !ls")

    answer = panel.load("name", "train")
    assert answer["ok"]
    for said in ("frame is an object", "--env HUB_TOKEN=...", "train(lr=...)"):
        assert said in answer["message"]
    assert "abcdef" not in panel.state["source"]
    assert "any line that starts with % or !" in panel.load("name", "shell")["message"]
    assert not panel.load("name", "os")["ok"]


def test_a_cell_is_read_with_the_names_of_the_notebook(panel: Panel) -> None:
    panel.kernel.run("rate = 0.25")

    assert panel.load("cell", "%%pytorchjob c --env LR={rate}\nprint(4)\n")["ok"]

    assert panel.state["values"] == {"name": "c", "env": ["LR=0.25"]}
    assert not panel.load("cell", "%%pytorchjob c --no-such\nprint(4)\n")["ok"]


def test_a_job_becomes_a_form(panel: Panel) -> None:
    """With all that was said."""
    values: dict[str, Any] = {
        "name": "whole",
        "workers": "1",
        "env": ["A={rate}"],
        "labels": ["team=a"],
    }
    uid = panel.run(**values)

    assert panel.load("job", uid)["ok"]

    assert (panel.state["values"], panel.state["source"]) == (values, CODE)
    assert not panel.load("job", "no-such-uid")["ok"]


def test_a_secret_is_looked_up_again(panel: Panel) -> None:
    """It is in no line, and in no history."""
    panel.run(name="secret", env=["API_TOKEN=abc"])
    uid = panel.row("secret", "history")["uid"]

    assert panel.load("history", uid)["ok"]
    assert panel.state["values"]["env"] == ["API_TOKEN={API_TOKEN}"]
    panel.kernel.run("API_TOKEN = 'xyz'")
    assert panel.load("history", uid)["ok"]
    assert panel.state["values"]["env"] == ["API_TOKEN=xyz"]


def test_nothing_that_a_job_says_is_evaluated(panel: Panel, tmp_path: Path) -> None:
    """Anybody may have submitted it: nor does a variable of the notebook get into a label."""
    file = tmp_path / "pwned"
    line = f"hostile --env A={{open({str(file)!r},'w')}} --label x={{API_KEY}}".replace("'", '"')
    panel.kernel.run(
        "API_KEY = 'zzz'\n"
        "jobs = get_ipython().magics_manager.registry['PyTorchJobMagics'].commands.connection()\n"
        "manifest = jobs.build('pass', name='hostile')\n"
        f"manifest.job.metadata.annotations['pyjob-magic/line'] = {line!r}\n"
        "jobs.submit(manifest)"
    )
    panel.wait_for("hostile", "Succeeded")
    uid = panel.row("hostile")["uid"]

    assert panel.load("job", uid)["ok"]
    panel.act("compare", uid, uid)
    Panel(panel.kernel, "%pytorchjob panel hostile")

    assert panel.state["values"]["env"][0].startswith("A={open(")
    assert panel.state["values"]["labels"] == ["x={API_KEY}"]
    assert not file.exists()


# -- jobs ----------------------------------------------------------------------------------------


def test_rows_are_live(panel: Panel, tmp_path: Path) -> None:
    """Also those of jobs that were submitted elsewhere."""
    panel.kernel.run(f"%%pytorchjob elsewhere --workers 1\n{waiting_for(tmp_path / 'go')}")
    panel.wait_for("elsewhere", "Running")
    panel.kernel.listen(lambda: panel.row("elsewhere")["replicas"] == [2, 2])
    assert panel.row("elsewhere")["tone"] == "running"
    assert panel.row("elsewhere")["ended"] is None

    (tmp_path / "go").touch()

    panel.wait_for("elsewhere", "Succeeded")
    assert panel.row("elsewhere")["ended"] is not None
    panel.kernel.run("%pytorchjob delete elsewhere")
    panel.wait_for_none("elsewhere")


def test_several_jobs_at_once(panel: Panel, tmp_path: Path) -> None:
    """Suspended, resumed, and deleted."""
    go = tmp_path / "go"
    for name in ("one", "two"):
        assert panel.submit(waiting_for(go), name=name)["ok"]
        panel.wait_for(name, "Running")
    uids = [panel.row(name)["uid"] for name in ("one", "two")]

    answer = panel.act("suspend", *uids)
    assert (answer["is"], answer["ok"]) == ("done", True)
    assert answer["message"].startswith("2 jobs ")
    for name in ("one", "two"):
        panel.wait_for(name, "Suspended")
    assert panel.act("resume", *uids)["ok"]
    for name in ("one", "two"):
        panel.wait_for(name, "Running")
    answer = panel.act("delete", *uids)
    assert answer["message"] == "2 jobs were deleted."
    for name in ("one", "two"):
        panel.wait_for_none(name)


def test_of_several_jobs_those_that_can_be_are(panel: Panel) -> None:
    """And the others are said."""
    uid = panel.run(name="there")

    answer = panel.act("delete", "no-such-uid", uid)

    assert not answer["ok"]
    assert "no longer exists" in answer["message"]
    panel.wait_for_none("there")


def test_a_job_runs_again(panel: Panel) -> None:
    uid = panel.run(name="again")

    assert panel.act("rerun", uid)["ok"]

    panel.wait_for_card("again-2", "Succeeded")
    panel.wait_for("again-2", "Succeeded")


def test_a_row_opens_its_card(panel: Panel) -> None:
    uid = panel.run(name="opened")
    before = len(panel.state["cards"])

    assert panel.act("open", uid)["ok"]

    panel.kernel.listen(lambda: len(panel.state["cards"]) == before + 1)
    panel.wait_for_card("opened", "Succeeded")


def test_a_card_is_closed_while_another_one_opens(panel: Panel) -> None:
    """None is lost."""
    first, second = (panel.run(name=name) for name in ("first", "second"))
    before = [*panel.state["cards"]]
    assert len(before) == 2

    panel.kernel.send(panel.id, do="jobs", id=0, action="open", uids=[first, second])
    for card in before:
        panel.kernel.send(panel.id, do="close", card=card)

    panel.kernel.listen(
        lambda: len(panel.state["cards"]) == 2 and not {*before} & {*panel.state["cards"]}
    )
    panel.kernel.send(panel.id, do="close", card="no-such-card")
    assert panel.check(name="after")["errors"] == {}


def test_jobs_beside_each_other(panel: Panel) -> None:
    """Their options, their code, and what they have measured, in one chart."""
    uids = []
    for number, name in enumerate(("slow", "fast"), start=1):
        source = f"for step in 1, 2: print(f'loss={{{number} / step}}')\n"
        uids.append(panel.run(source, name=name, env=[f"LR=0.{number}"], suspend=False))

    assert panel.act("compare", *uids)["ok"]

    compared = panel.state["compared"]
    rows = {key: (values, differs) for key, values, differs in compared["rows"]}
    assert compared["columns"] == ["slow", "fast"]
    assert rows["--env"] == ([["LR=0.1"], ["LR=0.2"]], True)
    assert rows["state"] == (["Succeeded", "Succeeded"], False)
    assert rows["code"][1]
    (chart,) = compared["charts"]
    assert {each["replica"]: each["y"] for each in chart["series"]} == {
        "slow": [1.0, 0.5],
        "fast": [2.0, 1.0],
    }


def test_one_that_is_gone_cannot_be_compared(panel: Panel) -> None:
    """It is said where it was asked for."""
    answer = panel.act("compare", panel.run(name="here"), "no-such-uid")

    assert not answer["ok"]
    assert "no longer exists" in answer["message"]


# -- the history ---------------------------------------------------------------------------------


def test_a_deleted_job_stays_in_the_history(panel: Panel) -> None:
    """It can be shown, loaded, compared with another one, run again, and forgotten."""
    uid = panel.run("print('loss=0.5')\nprint('the last line')\n", name="bygone", workers="1")
    panel.kernel.listen(lambda: panel.row("bygone", "history").get("state") == "Succeeded")
    assert not panel.row("bygone", "history")["gone"]
    kept = f"import pyjob_magic.history as kept; print(kept.get({uid!r}).log)"
    panel.kernel.listen(lambda: "the last line" in panel.kernel.run(kept))
    panel.act("delete", uid)
    panel.wait_for_none("bygone")
    panel.kernel.listen(lambda: panel.row("bygone", "history")["gone"])

    assert panel.act("open", uid, do="history")["ok"]
    assert panel.card()["head"]["name"] == "bygone"
    assert "the last line" in str(panel.card()["tail"])
    assert panel.card()["head"]["actions"] == ["rerun", "panel"]
    assert panel.load("history", uid)["ok"]
    assert panel.state["values"] == {"name": "bygone", "workers": "1"}
    other = panel.run(name="other")
    assert panel.act("compare", uid, other, do="history")["ok"]
    assert panel.state["compared"]["columns"] == ["bygone", "other"]
    assert panel.act("rerun", uid, do="history")["ok"]
    panel.kernel.listen(lambda: panel.row("bygone-2").get("state") == "Succeeded")

    assert panel.act("remove", uid, do="history")["ok"]
    panel.kernel.listen(lambda: uid not in {row["uid"] for row in panel.state["history"]["rows"]})
    assert not panel.act("open", uid, do="history")["ok"]


def test_the_card_of_a_deleted_job_runs_it_again(panel: Panel) -> None:
    """And becomes the card of that; or its code and options come back into the form above."""
    uid = panel.run(name="gone", workers="1", env=["LR=0.1"])
    panel.act("delete", uid)
    panel.wait_for_none("gone")
    panel.act("open", uid, do="history")
    card = panel.state["cards"][0]

    answer, _ = panel.kernel.ask(card, do="act", action="panel", id=1)
    assert answer["ok"], answer
    assert panel.card()["panel"] == panel.id
    assert panel.state["values"] == {"name": "gone", "workers": "1", "env": ["LR=0.1"]}
    assert panel.state["source"] == CODE
    assert {"is": "filled"} in [each for each, _ in panel.kernel.widgets[panel.id].said]

    answer, _ = panel.kernel.ask(card, do="act", action="rerun", id=2)
    assert answer["message"] == "runs again as gone-2"
    panel.wait_for_card("gone-2", "Succeeded")
    assert "delete" in panel.card()["head"]["actions"]


def test_a_card_fills_in_the_panel_that_was_opened_last(panel: Panel) -> None:
    """A new one only where there is none; of two it is the newer one."""
    panel.kernel.run("%%pytorchjob carded --workers 1\npass")
    card = panel.kernel.card()

    for again in (False, True):
        expected = Panel(panel.kernel) if again else panel
        before = {*panel.kernel.widgets}
        answer, _ = panel.kernel.ask(card, do="act", action="panel", id=1)
        assert answer["ok"], answer
        assert panel.kernel.widgets[card].state["panel"] == expected.id
        assert expected.state["values"] == {"name": "carded", "workers": "1"}
        assert {*panel.kernel.widgets} == before
    panel.kernel.run(
        "commands = get_ipython().magics_manager.registry['PyTorchJobMagics'].commands\n"
        "commands._panel._widget.close()"
    )
    answer, _ = panel.kernel.ask(card, do="act", action="panel", id=2)
    assert answer["ok"], answer
    fresh = panel.kernel.widgets[card].state["panel"]
    assert fresh not in before
    assert panel.kernel.widgets[fresh].state["values"]["name"] == "carded"


def test_a_job_of_the_history_without_code_does_not_fit_into_a_form(panel: Panel) -> None:
    """It can run again."""
    panel.kernel.run(
        "commands = get_ipython().magics_manager.registry['PyTorchJobMagics'].commands\n"
        "jobs = commands.connection()\n"
        "manifest = jobs.build('pass', name='plain')\n"
        "(container,) = next(\n"
        "    iter(manifest.job.spec.pytorch_replica_specs.values())\n"
        ").template.spec.containers\n"
        "container.command, container.args, container.env = ['true'], None, None\n"
        "jobs.submit(manifest)"
    )
    panel.wait_for("plain", "Succeeded")
    panel.kernel.listen(lambda: panel.row("plain", "history"))
    uid = panel.row("plain", "history")["uid"]
    panel.act("delete", uid)
    panel.wait_for_none("plain")

    panel.act("open", uid, do="history")

    assert panel.card()["head"]["actions"] == ["rerun"]


def test_a_job_of_the_history_that_is_still_there_has_its_live_card(panel: Panel) -> None:
    uid = panel.run(name="present")
    panel.kernel.listen(lambda: panel.row("present", "history"))
    panel.wait_for("present", "Succeeded")

    assert panel.act("open", uid, do="history")["ok"]

    assert panel.card()["head"]["actions"] == ["delete", "rerun", "panel"]
    assert [each["phase"] for each in panel.card()["replicas"]] == ["Succeeded"]


def test_the_history_is_searched(panel: Panel) -> None:
    panel.run("print('a needle')\n", name="found")
    panel.run(name="not-found")

    panel.ask("history", action="search", text="NEEDLE")

    panel.kernel.listen(
        lambda: [row["name"] for row in panel.state["history"]["rows"]] == ["found"]
    )
    panel.ask("history", action="search", text="")
    panel.kernel.listen(lambda: panel.row("not-found", "history") != {})


# -- what goes wrong -----------------------------------------------------------------------------

NONSENSE: list[dict[str, Any]] = [
    {},
    {"do": "nothing"},
    {"do": "check"},
    {"do": "check", "values": 3, "source": None},
    {"do": "submit", "values": {"name": ["a"]}},
    {"do": "load", "what": "nothing", "value": "x"},
    {"do": "jobs", "action": "explode", "uids": ["x"]},
    {"do": "jobs", "action": "delete", "uids": 3},
    {"do": "history", "action": "explode", "uids": []},
    {"do": "history"},
]


@pytest.mark.parametrize("message", NONSENSE, ids=str)
def test_nonsense_is_said_to_be_and_does_no_harm(panel: Panel, message: dict[str, Any]) -> None:
    """Whoever asks is answered, so that no button waits for ever."""
    number, said = next(_numbers), panel.kernel.widgets[panel.id].said

    panel.kernel.send(panel.id, id=number, **message)

    panel.kernel.listen(lambda: any(each["id"] == number and not each["ok"] for each, _ in said))
    assert panel.check(name="after")["errors"] == {}


def test_a_target_that_cannot_be_reached(panel: Panel) -> None:
    """Why is said, and nothing waits for it; when another one is said, so is that."""
    begun = time.monotonic()
    found = panel.check(name="lost", on="kubernetes")

    assert time.monotonic() - begun < 2
    assert found["yaml"] == ""
    assert "kubeconfig" in found["errors"]["on"]
    assert not panel.submit(name="lost", on="kubernetes")["ok"]
    found = panel.check(name="found", on="local")
    assert "kind: PyTorchJob" in found["yaml"]
    assert found["errors"] == {}


def test_a_namespace_that_is_typed_shows_its_jobs(panel: Panel) -> None:
    """And those of the one before no more."""
    panel.run(name="of-the-first")

    panel.check(name="x", namespace="another")

    panel.kernel.listen(lambda: panel.state["jobs"]["rows"] == [])
    panel.check(name="x")
    panel.wait_for("of-the-first", "Succeeded")
