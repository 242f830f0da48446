"""The live card, in a real kernel and with real jobs: what it sends, saves and answers."""

from __future__ import annotations

import gzip
import secrets
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from tests.kernels import Kernel, own_namespace, running_kernel
from tests.state import eventually, temporary_home


@pytest.fixture(scope="module")
def home() -> Iterator[Path]:
    with temporary_home() as home:
        yield home


@pytest.fixture(scope="module")
def shared(home: Path) -> Iterator[Kernel]:
    with running_kernel(PYJOB_MAGIC_HOME=str(home), JPY_SESSION_NAME="test.ipynb") as kernel:
        yield kernel


@pytest.fixture
def kernel(shared: Kernel) -> Iterator[Kernel]:
    """Lend a kernel of a front end that shows widgets, in a namespace of its own."""
    with own_namespace(shared) as kernel:
        yield kernel


def waiting_for(go: Path, then: str = "") -> str:
    """Return a program that prints a line, waits for a file, and goes on."""
    wait = f"while not os.path.exists({str(go)!r}): time.sleep(.01)"
    return f"import os, time\nprint('begun', flush=True)\n{wait}\n{then}"


def submit(kernel: Kernel, line: str, source: str) -> str:
    """Run a cell as a job and return the id of its card."""
    kernel.run(f"%%pytorchjob {line}\n{source}")
    return kernel.card()


def state(kernel: Kernel, card: str) -> dict[str, Any]:
    return kernel.widgets[card].state


def wait_for_state(kernel: Kernel, card: str, word: str) -> None:
    kernel.listen(lambda: state(kernel, card)["head"]["state"] == word)


def texts(kernel: Kernel, card: str) -> list[str]:
    tail = state(kernel, card)["tail"] or {"lines": []}  # when the card has just been opened
    return [text for _, text in tail["lines"]]


def said(kernel: Kernel, card: str, lines: list[str]) -> bool:
    """Whether these are the last lines on the card."""
    return texts(kernel, card) == lines


def threads(kernel: Kernel) -> list[str]:
    """Return the names of our threads in the kernel, but of the one that writes the history."""
    names = "[t.name for t in threading.enumerate() if t.name.startswith('pyjob')]"
    found: list[str] = eval(kernel.run(f"import threading; print({names})"))
    return [name for name in found if not name.startswith("pyjob-history")]


def test_a_card_tells_of_its_job_until_the_end(kernel: Kernel) -> None:
    """Replicas, lines, metrics, progress, events; then its threads end."""
    source = "for n in 1, 2, 3: print(f'epoch {n}/3 loss={1 / n}')"
    card = submit(kernel, "told --workers 1", source)

    wait_for_state(kernel, card, "Succeeded")
    kernel.listen(lambda: state(kernel, card)["log"]["total"] == 6)
    kernel.listen(lambda: state(kernel, card)["progress"]["fraction"] == 1)
    kernel.listen(lambda: state(kernel, card)["charts"][0]["series"][0]["y"] == [1, 1 / 2, 1 / 3])
    kernel.listen(lambda: "JobSucceeded" in str(state(kernel, card)["events"]))
    kernel.listen(lambda: {r["phase"] for r in state(kernel, card)["replicas"]} == {"Succeeded"})

    told = state(kernel, card)
    assert {"uid", "creationTimestamp"} <= {key for key, _ in told["head"]["metadata"]}
    assert told["log"]["totals"] == {"master-0": 3, "worker-0": 3}
    assert [row["name"] for row in told["timeline"]["rows"]] == ["job", "master-0", "worker-0"]
    assert "kind: PyTorchJob" in told["manifest"]["yaml"]
    eventually(lambda: threads(kernel) == [])


def test_it_moves_while_another_cell_runs(kernel: Kernel, tmp_path: Path) -> None:
    card = submit(kernel, "moves", waiting_for(tmp_path / "go", "print('gone on')"))

    cell = kernel.start(
        f"open({str(tmp_path / 'go')!r}, 'w'); import time\nwhile 1: time.sleep(.1)"
    )
    kernel.listen(lambda: texts(kernel, card) == ["begun", "gone on"])
    wait_for_state(kernel, card, "Succeeded")

    kernel.manager.interrupt_kernel()
    kernel.wait_for(cell)
    assert "KeyboardInterrupt" in kernel.errors.pop()


def test_an_interrupt_ends_the_waiting_not_the_card(kernel: Kernel, tmp_path: Path) -> None:
    source = waiting_for(tmp_path / "go", "print('gone on')")
    others = len(kernel.widgets)
    cell = kernel.start(f"%%pytorchjob waited --wait\n{source}")
    kernel.listen(lambda: len(kernel.widgets) == others + 2)  # one is the layout of the other
    card = kernel.card()
    kernel.listen(lambda: said(kernel, card, ["begun"]))

    kernel.manager.interrupt_kernel()
    kernel.wait_for(cell)
    assert "goes on" in kernel.errors.pop()

    (tmp_path / "go").touch()
    kernel.listen(lambda: texts(kernel, card) == ["begun", "gone on"])
    wait_for_state(kernel, card, "Succeeded")


def test_what_is_saved_is_the_end(kernel: Kernel) -> None:
    """Plain HTML and text, updated in place; the output of the widget has no text beside it."""
    before = set(kernel.displays)
    card = submit(kernel, "saved --wait", "print('the last line')")

    (shown,) = (kernel.displays[name] for name in set(kernel.displays) - before)
    assert set(shown[-1]) == {"text/html", "text/plain"}
    assert "saved: Succeeded" in shown[-1]["text/plain"]
    assert "the last line" in shown[-1]["text/html"]
    assert state(kernel, card)["card_id"] in shown[-1]["text/html"]


def test_a_failed_job_ends_the_cell_and_says_why(kernel: Kernel) -> None:
    card = submit(kernel, "fails --wait", "raise RuntimeError('no data')")

    assert "RuntimeError: no data" in kernel.errors.pop()
    wait_for_state(kernel, card, "Failed")
    kernel.listen(lambda: state(kernel, card)["head"]["diagnosis"])  # found after the state is told
    found = state(kernel, card)["head"]["diagnosis"]
    assert found["replica"] == "master-0"
    assert found["cell_line"] == 2


def test_any_lines_can_be_had(kernel: Kernel) -> None:
    card = submit(kernel, "long --wait", "for n in range(5000): print('line', n)")

    answer, _ = kernel.ask(card, do="lines", id=7, view="", start=100, count=3)
    assert answer == {
        "is": "lines",
        "id": 7,
        "view": "",
        "start": 100,
        "total": 5000,
        "lines": [[0, "line 100"], [0, "line 101"], [0, "line 102"]],
    }
    found, _ = kernel.ask(card, do="find", id=8, view="", text="LINE 4321", start=0, forward=True)
    assert (found["number"], found["matches"]) == (4321, 1)
    piece, (data,) = kernel.ask(card, do="download", id=9, view="master-0")
    assert piece["name"] == "long-master-0.log"
    assert gzip.decompress(data).decode().splitlines()[-1] == "line 4999"
    piece, (data,) = kernel.ask(card, do="download", id=10, view="", end=3000, size=20)
    assert (piece["start"], piece["end"]) == (2998, 3000)
    assert gzip.decompress(data) == b"[master-0] line 2998\n[master-0] line 2999\n"


def test_nonsense_is_not_answered(kernel: Kernel) -> None:
    """Nor does it harm: the next question is."""
    card = submit(kernel, "asked --wait", "print('a')")
    nonsense: list[dict[str, Any]] = [
        {},
        {"do": "nothing"},
        {"do": "lines"},
        {"do": "lines", "id": 1, "view": "worker-7", "start": 0, "count": 1},
        {"do": "lines", "id": 1, "view": "", "start": "x", "count": None},
        {"do": "act", "id": 1, "action": "explode"},
        {"do": "view", "view": 3},
        {"do": "download", "id": 1, "view": "", "end": "x"},
    ]
    for content in nonsense:
        kernel.send(card, **content)

    answer, _ = kernel.ask(card, do="lines", id=2, view="", start=0, count=1)
    assert answer["id"] == 2
    assert kernel.errors == []


def test_one_replica_can_be_followed(kernel: Kernel) -> None:
    source = "import os\nfor n in range(3): print('rank', os.environ['RANK'], n)"
    card = submit(kernel, "ranks --workers 1 --wait", source)

    kernel.send(card, do="view", view="worker-0")

    kernel.listen(lambda: state(kernel, card)["view"] == "worker-0")
    assert texts(kernel, card) == [f"rank 1 {n}" for n in range(3)]
    assert state(kernel, card)["tail"]["start"] == 0


def test_a_replica_can_be_chosen_when_the_job_has_ended(kernel: Kernel) -> None:
    """Of very many replicas not all are followed; the lines of another one are read then."""
    kernel.run("import pyjob_magic._monitor as m; most, m.MOST_FOLLOWED = m.MOST_FOLLOWED, 1")
    source = "import os\nprint('rank', os.environ['RANK'])"
    card = submit(kernel, "chosen --workers 1 --wait", source)
    eventually(lambda: threads(kernel) == [])
    assert texts(kernel, card) == ["rank 0"]

    kernel.send(card, do="view", view="worker-0")

    kernel.listen(lambda: texts(kernel, card) == ["rank 1"])
    kernel.run("m.MOST_FOLLOWED = most")


def test_a_button_that_cannot_is_answered(kernel: Kernel) -> None:
    """Also where nobody has thought of what went wrong."""
    card = submit(kernel, "unthought -o job --wait", "print('a')")
    kernel.run("job.client.create_job = lambda *_, **__: {}['unheard of']")

    answer, _ = kernel.ask(card, do="act", id=1, action="rerun")

    assert (answer["ok"], answer["message"]) == (False, "KeyError: 'unheard of'")


def test_what_is_not_understood_does_not_end_the_card(kernel: Kernel, tmp_path: Path) -> None:
    """It is said, and the rest is shown until the end."""
    card = submit(kernel, "strange -o job", waiting_for(tmp_path / "go"))
    kernel.run("job.examine = lambda *_: 1 / 0")
    kernel.listen(lambda: "ZeroDivisionError" in state(kernel, card)["head"]["status"])

    (tmp_path / "go").touch()

    wait_for_state(kernel, card, "Succeeded")
    eventually(lambda: threads(kernel) == [])


def test_who_waits_hears_that_the_job_is_followed_no_longer(kernel: Kernel, tmp_path: Path) -> None:
    submit(kernel, "left -o job", waiting_for(tmp_path / "never"))

    kernel.run(
        "from pyjob_magic._monitor import Monitor\n"
        "monitor = Monitor(job); monitor.start(); monitor.close(); monitor.wait()"
    )

    assert "it goes on" in kernel.errors.pop()


def test_what_is_saved_of_a_job_that_was_run_again(kernel: Kernel) -> None:
    """Its own end, for which who waits for it waits."""
    card = submit(kernel, "first --wait", "import time; print('a line'); time.sleep(.5)")
    kernel.ask(card, do="act", id=1, action="rerun")

    answer, _ = kernel.ask(card, do="act", id=2, action="wait")

    assert answer["message"] == "has ended: Succeeded"
    saved = kernel.displays[state(kernel, card)["card_id"]][-1]
    assert "first-2: Succeeded" in saved["text/plain"]


def test_a_bar_moves_within_its_line(kernel: Kernel, tmp_path: Path) -> None:
    """It is redrawn for a long time before the line ends."""
    go = tmp_path / "go"
    source = waiting_for(go, "").replace("'begun'", "'epoch 1/4\\repoch 2/4', end=''")
    card = submit(kernel, "bar", source)

    kernel.listen(lambda: (state(kernel, card)["progress"] or {}).get("fraction") == 0.5)
    kernel.listen(lambda: state(kernel, card)["tail"]["partial"] == [[0, "epoch 2/4"]])

    go.touch()
    kernel.listen(lambda: state(kernel, card)["tail"]["partial"] == [])
    assert texts(kernel, card) == ["epoch 2/4"]


def test_buttons(kernel: Kernel, tmp_path: Path) -> None:
    """Each says what it has done, and the card shows it."""
    card = submit(kernel, "pressed", waiting_for(tmp_path / "go"))
    wait_for_state(kernel, card, "Running")

    def press(action: str) -> str:
        answer, _ = kernel.ask(card, do="act", id=action, action=action)
        assert (answer["id"], answer["action"], answer["ok"]) == (action, action, True)
        return str(answer["message"])

    assert press("suspend") == "is being suspended"
    wait_for_state(kernel, card, "Suspended")
    kernel.listen(lambda: [r["phase"] for r in state(kernel, card)["replicas"]] == ["removed"])
    press("resume")
    wait_for_state(kernel, card, "Running")
    (tmp_path / "go").touch()
    assert press("wait") == "has ended: Succeeded"
    assert press("rerun") == "runs again as pressed-2"
    kernel.listen(lambda: state(kernel, card)["head"]["name"] == "pressed-2")
    wait_for_state(kernel, card, "Succeeded")
    assert press("delete") == "is deleted"
    wait_for_state(kernel, card, "Deleted")
    answer, _ = kernel.ask(card, do="act", id=1, action="delete")
    assert not answer["ok"]
    assert "pressed-2" in answer["message"]


def test_a_deleted_job(kernel: Kernel, tmp_path: Path) -> None:
    """The card says so, and its threads end."""
    card = submit(kernel, "doomed", waiting_for(tmp_path / "never"))
    wait_for_state(kernel, card, "Running")

    kernel.run("%pytorchjob delete doomed")

    wait_for_state(kernel, card, "Deleted")
    assert state(kernel, card)["head"]["gone"]
    eventually(lambda: threads(kernel) == [])


def test_several_cards_of_one_job(kernel: Kernel, tmp_path: Path) -> None:
    """A job that is shown again, also as the last value of a cell."""
    first = submit(kernel, "twice -o job", waiting_for(tmp_path / "go"))
    kernel.run("%pytorchjob show twice")
    second = kernel.card()
    kernel.run("job")
    third = kernel.card()
    assert len({first, second, third}) == 3

    (tmp_path / "go").touch()

    for card in (first, second, third):
        wait_for_state(kernel, card, "Succeeded")
        kernel.listen(partial(said, kernel, card, ["begun"]))


def test_updates_are_few_however_much_is_printed(kernel: Kernel, tmp_path: Path) -> None:
    """At most ten a second, of bounded size, with the last lines in each; fewer while hidden."""
    go = tmp_path / "go"
    source = (
        "import os, time\n"
        f"while not os.path.exists({str(go)!r}):\n"
        "    print('\\n'.join(['x' * 60] * 500), flush=True)\n"
        "    time.sleep(.005)"
    )
    card = submit(kernel, "talks", source)
    updates = kernel.widgets[card].updates
    kernel.listen(lambda: state(kernel, card)["log"]["total"] > 10_000)

    before = len(updates)
    kernel.listen_for(2.0)
    sent = [at for at, _ in updates[before:]]  # they may come late, and then many at once
    assert 5 <= len(sent) <= 10 * (sent[-1] - sent[0]) + 1
    assert max(len(str(told)) for _, told in updates) < 400_000

    kernel.send(card, do="visible", visible=False)
    kernel.listen_for(0.3)
    before = len(updates)
    kernel.listen_for(2.0)
    assert len(updates) - before <= 3

    go.touch()
    kernel.send(card, do="visible", visible=True)
    wait_for_state(kernel, card, "Succeeded")
    total = state(kernel, card)["log"]["total"]
    tail = state(kernel, card)["tail"]
    assert tail["start"] + len(tail["lines"]) == total
    assert len(tail["lines"]) >= 200


def test_a_front_end_without_widgets(home: Path) -> None:
    """Where nobody shows widgets there is none: the card is HTML, which moves and ends right."""
    with running_kernel(PYJOB_MAGIC_HOME=str(home)) as kernel:
        kernel.run(f"%pytorchjob use local -n test-{secrets.token_hex(4)}")
        kernel.run("%%pytorchjob plain\nprint('a line')")
        assert kernel.widgets == {}
        (shown,) = kernel.displays.values()

        kernel.listen(lambda: "plain: Succeeded" in shown[-1]["text/plain"])
        kernel.listen(lambda: "a line" in shown[-1]["text/html"])
        assert kernel.errors == []
        kernel.run("%pytorchjob delete plain")
