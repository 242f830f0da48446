"""Ends the embedded APIs of a test session that was killed before it could do so.

As a program it reads state directories from standard input, one a line. When the input ends, the
session is gone, however it went, and what it has left is stopped.
"""

from __future__ import annotations

import atexit
import shutil
import subprocess
import sys
from functools import cache
from pathlib import Path

from pyjob_magic.errors import TargetError
from pyjob_magic.local import launcher
from pyjob_magic.local.home import Home


def guard(home: Path) -> None:
    """See to it that nothing of the state directory `home` outlives this process."""
    guardian = _guardian()
    assert guardian.stdin
    guardian.stdin.write(f"{home}\n")
    guardian.stdin.flush()


@cache
def _guardian() -> subprocess.Popen[str]:
    """Start the guardian of this process; at the end it finds nothing to do."""
    # In a session of its own: what ends us by a signal to the group must not end it.
    guardian = subprocess.Popen(
        [sys.executable, "-m", "tests.guardian"],
        stdin=subprocess.PIPE,
        text=True,
        cwd=Path(__file__).parents[1],
        start_new_session=True,
    )
    atexit.register(guardian.communicate)
    return guardian


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
