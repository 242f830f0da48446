"""Ends the embedded APIs of a test session that was killed before it could do so.

Reads state directories from standard input, one a line. When the input ends, the session is gone,
however it went, and what it has left is stopped.
"""

from __future__ import annotations

import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from pyjob_magic.errors import TargetError
from pyjob_magic.local import launcher
from pyjob_magic.local.home import Home


class Guardian:
    """The process that outlives the session."""

    def __init__(self, process: subprocess.Popen[str]) -> None:
        self._process = process

    def guard(self, home: Path) -> None:
        """See to it that nothing of this directory outlives us."""
        assert self._process.stdin
        self._process.stdin.write(f"{home}\n")
        self._process.stdin.flush()


@contextmanager
def guardian() -> Iterator[Guardian]:
    """Start a guardian; at the end it finds nothing to do."""
    command = [sys.executable, "-m", __spec__.name]
    # In a session of its own: what ends us by a signal to the group must not end it.
    with subprocess.Popen(command, stdin=subprocess.PIPE, text=True, start_new_session=True) as it:
        yield Guardian(it)


def main() -> None:
    """Wait for the end of the session."""
    homes = [Path(line.rstrip("\n")) for line in sys.stdin]
    for home in filter(Path.exists, homes):
        try:
            launcher.stop(Home(home), force=True)
        except TargetError as error:
            print(error, file=sys.stderr)  # noqa: T201 - nobody else is left to tell
        shutil.rmtree(home, ignore_errors=True)


if __name__ == "__main__":
    main()
