"""A terminal whose screen can be looked at, and IPython in it."""

from __future__ import annotations

import os
import sys
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

import pexpect
import pyte

from tests.state import eventually


class Terminal:
    """Runs a program on a pty and draws what it writes.

    Parameters
    ----------
    program
        The words of its command line.
    columns, rows
        The size of the screen.
    environment
        Of the program.
    """

    def __init__(
        self, program: list[str], columns: int, rows: int, environment: Mapping[str, str]
    ) -> None:
        self.raw = b""
        """All that was written."""
        self._screen = pyte.HistoryScreen(columns, rows, history=10_000, ratio=0.0001)
        self._stream = pyte.ByteStream(self._screen)
        self._lock = threading.Lock()
        self._child = pexpect.spawn(
            program[0], program[1:], dimensions=(rows, columns), env=dict(environment), echo=False
        )
        self._reader = threading.Thread(target=self._read)
        self._reader.start()

    def _read(self) -> None:
        while True:
            try:
                data = self._child.read_nonblocking(65_536, timeout=None)
            except (pexpect.EOF, OSError):
                return
            with self._lock:
                self.raw += data
                self._stream.feed(data)

    @property
    def lines(self) -> list[str]:
        """What is on the screen, and above it what has left it; without empty lines at the end."""
        with self._lock:
            width = range(self._screen.columns)
            gone = ["".join(line[x].data for x in width) for line in self._screen.history.top]
            lines = [line.rstrip() for line in [*gone, *self._screen.display]]
        while lines and not lines[-1]:
            lines.pop()
        return lines

    @property
    def shows_cursor(self) -> bool:
        with self._lock:
            return not self._screen.cursor.hidden

    def until(self, condition: Callable[[list[str]], object]) -> list[str]:
        """Wait until the lines are as they should be; return them."""

        def look() -> list[str] | None:
            lines = self.lines
            return lines if condition(lines) else None

        try:
            return eventually(look)
        except AssertionError:
            raise AssertionError("the terminal shows:\n" + "\n".join(self.lines)) from None

    def until_shown(self, text: str) -> list[str]:
        """Wait until a text is there."""
        return self.until(lambda lines: any(text in line for line in lines))

    def type(self, line: str) -> None:
        """Type a line."""
        self._child.sendline(line)

    def interrupt(self) -> None:
        """Press Ctrl-C."""
        self._child.sendintr()

    def close(self) -> None:
        """End the program, however it fares."""
        self._child.close(force=True)
        self._reader.join()


@contextmanager
def ipython(
    directory: Path, *, columns: int = 80, rows: int = 24, **variables: str
) -> Iterator[Terminal]:
    """Lend a terminal in which IPython has loaded the extension."""
    environment = os.environ | {
        "TERM": "xterm-256color",
        "IPYTHONDIR": str(directory / "ipython"),
        **variables,
    }
    flags = ["--simple-prompt", "--no-banner", "--colors=NoColor", "--HistoryManager.enabled=False"]
    terminal = Terminal([sys.executable, "-m", "IPython", *flags], columns, rows, environment)
    try:
        terminal.until_shown("In [1]:")
        terminal.type("%load_ext pyjob_magic")
        terminal.until_shown("In [2]:")
        yield terminal
    finally:
        terminal.close()
