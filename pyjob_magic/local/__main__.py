"""``python -m pyjob_magic.local``: the embedded API in the foreground."""

from __future__ import annotations

import argparse
import sqlite3
import sys
from pathlib import Path

from pyjob_magic.local.home import Home
from pyjob_magic.local.server import AlreadyRunningError, serve
from pyjob_magic.local.settings import SettingError


def main() -> int:
    """Serve the home of this user, or the one given."""
    parser = argparse.ArgumentParser(prog="python -m pyjob_magic.local", description=__doc__)
    parser.add_argument("--home", type=Path, help="state directory")
    parser.add_argument("--ready-fd", type=int, help="tell this file descriptor when ready")
    options = parser.parse_args()
    home = Home(options.home) if options.home else Home.default()
    return serve_home(home, options.ready_fd)


def serve_home(home: Home, ready: int | None = None) -> int:
    """Serve `home` until stopped and return the exit code; say why if it cannot be."""
    try:
        serve(home, ready)
    except (AlreadyRunningError, SettingError, OSError, sqlite3.DatabaseError) as error:
        print(f"{type(error).__name__}: {error}", file=sys.stderr)  # noqa: T201 - the log
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
