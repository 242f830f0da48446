"""The source reaches the replica byte for byte, or is refused before anything is sent."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pyjob_magic import payload
from pyjob_magic.errors import SourceError
from pyjob_magic.models import Container
from pyjob_magic.values import ARGUMENT_BYTES
from tests.sources import HOSTILE, program


@pytest.mark.parametrize("text", HOSTILE)
def test_hostile_source_survives_the_bootstrap(text: str, tmp_path: Path) -> None:
    """The program that runs is, byte for byte, the one that was typed."""
    source = program(text)

    written, _ = bootstrap(source, tmp_path)

    assert written == source.encode()


@settings(max_examples=200, deadline=None)
@given(st.text(st.characters(exclude_categories=["Cs"]), max_size=300))
def test_any_text_survives_the_manifest(text: str) -> None:
    """What is unpacked from a container is what was packed into it."""
    source = program(text)
    packed = payload.pack(source)

    container = Container(name="pytorch", command=packed.command(torchrun=False))

    assert payload.unpack(container) == (packed.sha256, source.encode())


def test_nothing_that_kubernetes_expands_is_in_the_command() -> None:
    """No element of the command holds a dollar sign, whatever the source holds."""
    command = payload.pack("print('$(RANK) $$ $HOME')").command(torchrun=False)

    assert not any("$" in element for element in command)


def test_no_argument_is_longer_than_the_kernel_takes() -> None:
    """The longest source that travels inside still fits into one argument."""
    longest = payload.pack("#" * (payload.INLINE_BYTES - 5) + "\npass")

    assert longest.inline
    assert max(map(len, longest.command(torchrun=False))) <= ARGUMENT_BYTES
    assert not payload.pack("#" * (payload.INLINE_BYTES - 4) + "\npass").inline


def test_damaged_source_does_not_start(tmp_path: Path) -> None:
    """A replica that gets other bytes than were packed says so and ends."""
    command = payload.pack("print('one')").command(torchrun=False)
    other = payload.pack("print('two')").command(torchrun=False)
    command[-2] = other[-2]

    ended = subprocess.run(
        [sys.executable, *command[1:]],
        env={"TMPDIR": str(tmp_path)},
        capture_output=True,
        text=True,
        check=False,
    )

    assert ended.returncode == 1
    assert "the source arrived damaged" in ended.stderr
    assert ended.stdout == ""


def test_traceback_names_a_file_and_the_right_line(tmp_path: Path) -> None:
    """An exception in line 3 of the cell is one in line 3 of a real file."""
    _, ended = bootstrap("x = 1\n\nraise ValueError('here')\n", tmp_path)

    assert 'main.py", line 3, in <module>\n    raise ValueError' in ended.stderr


def test_arguments_arrive_as_typed(tmp_path: Path) -> None:
    """The program sees its own file as argv[0] and then what was typed."""
    _, ended = bootstrap("import sys; print(sys.argv)", tmp_path, "--epochs", "3", "a b")

    assert ended.stdout.endswith("main.py', '--epochs', '3', 'a b']\n")


def test_spawned_workers_can_import_the_program(tmp_path: Path) -> None:
    """`multiprocessing` finds `__main__` again in a new process."""
    source = (
        "import multiprocessing as mp\n"
        "def double(x): return 2 * x\n"
        "if __name__ == '__main__':\n"
        "    with mp.get_context('spawn').Pool(1) as pool: print(pool.map(double, [21]))\n"
    )

    _, ended = bootstrap(source, tmp_path)

    assert ended.stdout == "[42]\n"


@pytest.mark.parametrize(
    ("source", "message"),
    [
        ("", "the cell is empty"),
        ("  \n# only a comment\n", "the cell is empty"),
        ("import os\n!pip install x\n", "line 2 of the cell is IPython syntax, not Python: '!pip"),
        ("%matplotlib inline\n", "line 1 of the cell is IPython syntax"),
        ("x = 1\n\nfiles = !ls\n", "line 3 of the cell is IPython syntax"),
        ("print?\n", "line 1 of the cell is IPython syntax"),
        ("def f(:\n", "line 1 of the cell is not Python (invalid syntax): 'def f(:'"),
        ("x = 1\nreturn x\n", "line 2 of the cell is not Python ('return' outside function)"),
        ("x = '\ud800'\n", "line 1 of the cell holds a lone surrogate"),
        ("# coding: latin-1\nx = 'é'\n", "line 1 of the cell declares the encoding iso-8859-1"),
        ("x = 1\0\n", "line 1 of the cell holds a NUL"),
        ("#" * 1_048_600, "the cell has 1,048,600 bytes, but at most 1,048,576 can travel"),
    ],
)
def test_source_that_cannot_run_is_refused(source: str, message: str) -> None:
    """A cell that would fail on every replica gets one line that names where and why."""
    with pytest.raises(SourceError) as refused:
        payload.pack(source)

    assert str(refused.value).startswith(message)
    assert "\n" not in str(refused.value)


def bootstrap(
    source: str, directory: Path, *args: str
) -> tuple[bytes, subprocess.CompletedProcess[str]]:
    """Run `source` as a container would; return the file that was written and what came of it."""
    command = payload.pack(source).command(torchrun=False)
    ended = subprocess.run(
        [sys.executable, *command[1:], *args],
        env={"TMPDIR": str(directory)},
        capture_output=True,
        text=True,
        check=False,
    )
    return (directory / "pyjob" / payload.FILE_NAME).read_bytes(), ended
