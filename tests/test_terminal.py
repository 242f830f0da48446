"""The live card in a real terminal: IPython on a pty, real jobs, and what the screen shows."""

from __future__ import annotations

import re
import time
from pathlib import Path

import pytest

import pyjob_magic
from tests.state import eventually
from tests.terminals import Terminal, ipython

pytestmark = pytest.mark.usefixtures("home")

DRAWN = b"\x1b[?25h"
EVIL = "\\x1b[2J\\x1b[H\\x1b]0;owned\\x07\\x1b[5Aevil\\x9b2J"


def run(terminal: Terminal, options: str, source: str, file: Path) -> None:
    """Type a cell; as one line, as its text is not what is tested."""
    file.write_text(source)
    code = f"open({str(file)!r}).read()"
    terminal.type(f"get_ipython().run_cell_magic('pytorchjob', {options!r}, {code})")


def wait_for(file: Path) -> str:
    return f"import os, time\nwhile not os.path.exists({str(file)!r}): time.sleep(0.01)\n"


def heads(lines: list[str], name: str) -> list[str]:
    """Return the first lines of blocks: there is to be one, however often it was drawn."""
    return [line for line in lines if line.startswith(f"{name}  ")]


def test_a_job_is_seen_to_run_and_end(tmp_path: Path) -> None:
    """In a block that stays in its place: state, progress, and what each replica says."""
    half, end = tmp_path / "half", tmp_path / "end"
    source = (
        "import os\nprint('epoch 1/4 of rank', os.environ['RANK'], flush=True)\n"
        f"{wait_for(half)}print('\\r 50%|##  | 2/4 [00:02<01:40]', end='', flush=True)\n"
        f"{wait_for(end)}print()"
    )
    with ipython(tmp_path) as terminal:
        begun = time.monotonic()
        run(terminal, "train --workers 1 --wait", source, tmp_path / "cell.py")

        lines = terminal.until_shown("master-0  Running  epoch 1/4 of rank 0")
        lines = terminal.until_shown("worker-0  Running  epoch 1/4 of rank 1")
        assert "train  Running  0:0" in heads(lines, "train")[0]
        terminal.until_shown("25%  epoch 1/4")
        half.touch()
        lines = terminal.until_shown("50%")
        assert any("1:40 left" in line or "1:39 left" in line for line in lines)
        terminal.until_shown("master-0  Running  50%|##  | 2/4 [00:02<01:40]")
        end.touch()
        lines = terminal.until(lambda lines: lines[-1].startswith("In [3]:"))

        (head,) = heads(lines, "train")
        assert "train  Succeeded" in head
        assert [line for line in lines if "25%" in line] == []
        assert terminal.shows_cursor
        assert 2 < terminal.raw.count(DRAWN) <= 5 * (time.monotonic() - begun) + 1
        assert "PyTorchJob train" in "\n".join(lines)  # the metadata that came back, once
        assert sum("creationTimestamp" in line for line in lines) == 1


def test_why_a_job_failed_is_said_once(tmp_path: Path) -> None:
    """By the error, with the traceback."""
    with ipython(tmp_path, columns=200) as terminal:
        run(terminal, "bad --wait", "raise ValueError('no such file')", tmp_path / "cell.py")
        lines = terminal.until(lambda lines: lines[-1].startswith("In [3]:"))

    assert sum("Traceback of master-0" in line for line in lines) == 1
    assert sum("failed: master-0 exited with code 1: ValueError" in line for line in lines) == 1
    assert sum('main.py", line 1, in <module>' in line for line in lines) == 1
    (head,) = heads(lines, "bad")
    assert "bad  Failed" in head
    assert any("master-0  Failed (exit code 1)" in line for line in lines)


def test_an_interrupt_leaves_the_last_state(tmp_path: Path) -> None:
    """The job goes on, and can be waited for again."""
    end = tmp_path / "end"
    with ipython(tmp_path) as terminal:
        run(terminal, "long --wait", f"print('begun', flush=True)\n{wait_for(end)}", tmp_path / "c")
        terminal.until_shown("master-0  Running  begun")

        terminal.interrupt()
        lines = terminal.until(lambda lines: lines[-1].startswith("In [3]:"))

        (head,) = heads(lines, "long")
        assert "long  Running" in head
        assert "stopped waiting for PyTorchJob 'long', which goes on" in "".join(lines)
        assert terminal.shows_cursor
        terminal.type("%pytorchjob wait long")
        terminal.until(lambda lines: len(heads(lines, "long")) == 2)
        end.touch()
        lines = terminal.until(lambda lines: lines[-1].startswith("In [4]:"))
        assert [head.split()[1] for head in heads(lines, "long")] == ["Running", "Succeeded"]


def test_followed_lines_scroll_above(tmp_path: Path) -> None:
    """Each once, in order; long ones too, and they may be coloured, but steer nothing."""
    source = (
        "for n in range(500): print('line', n, 'x' * (n % 120), flush=n % 7 == 0)\n"
        f"print('\\x1b[32mgreen\\x1b[0m {EVIL}', flush=True)\n"
    )
    with ipython(tmp_path, rows=12) as terminal:
        run(terminal, "talk --follow", source, tmp_path / "cell.py")
        lines = terminal.until(lambda lines: lines[-1].startswith("In [3]:"))

        numbers = [re.match(r"\[master-0\] line (\d+)\b", line) for line in lines]
        assert [int(found[1]) for found in numbers if found] == [*range(500)]
        assert sum(line.count("x") for line in lines if re.match(r"\[master-0\] l|x+$", line)) == (
            sum(n % 120 for n in range(500))
        )
        assert "[master-0] green evil\\x9b2J" in lines
        assert b"\x1b[32mgreen" in terminal.raw
        assert b"owned" not in terminal.raw
        (head,) = heads(lines, "talk")
        assert lines.index(head) > lines.index("[master-0] green evil\\x9b2J")
        assert any("master-0  Succeeded  green evil" in line for line in lines)


def test_what_keeps_a_job_waiting_is_in_the_block(tmp_path: Path) -> None:
    """As long as it waits; a narrow terminal wraps it."""
    with ipython(tmp_path, columns=50, NO_COLOR="1") as terminal:
        run(terminal, "big --memory 900Ti --wait", "1", tmp_path / "cell.py")
        lines = terminal.until_shown("  master-0 can never run on this machine")

        (head,) = heads(lines, "big")
        below = lines[lines.index(head) :]
        assert "not enough free memory" in " ".join(line.strip() for line in below)
        assert max(map(len, below)) <= 50
        assert b"\x1b[33m" not in terminal.raw
        pyjob_magic.connect().get("big").delete()
        lines = terminal.until(lambda lines: lines[-1].startswith("In [3]:"))
        assert "it was deleted" in " ".join(lines)


def test_a_dumb_terminal_is_told_what_is_new(tmp_path: Path) -> None:
    """Line by line, without any escape sequence of ours; the traceback comes once."""
    go = tmp_path / "go"
    with ipython(tmp_path, columns=200, TERM="dumb") as terminal:
        source = f"print('begun', flush=True)\n{wait_for(go)}raise ValueError('no')"
        run(terminal, "plain --follow", source, tmp_path / "cell.py")
        terminal.until_shown("[master-0] begun")
        eventually(lambda: "PyTorchJob 'plain': Running" in "\n".join(terminal.lines))
        go.touch()
        lines = terminal.until(lambda lines: lines[-1].startswith("In [3]:"))

        assert b"\x1b[?25l" not in terminal.raw
        assert b"\x1b[K" not in terminal.raw
    assert sum("PyTorchJob plain: Failed" in line for line in lines) == 1
    assert sum("Traceback of master-0" in line for line in lines) == 1
