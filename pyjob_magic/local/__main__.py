"""``python -m pyjob_magic.local``: the embedded API in the foreground."""

from __future__ import annotations

import argparse
import logging
import os
import sys
from pathlib import Path
from typing import TextIO

from pyjob_magic.local.home import Home
from pyjob_magic.local.server import AlreadyRunningError, serve, tell
from pyjob_magic.local.settings import SettingError
from pyjob_magic.local.status import StatusError


def main() -> int:
    """Serve the home of this user, or the one given."""
    parser = argparse.ArgumentParser(prog="python -m pyjob_magic.local", description=__doc__)
    parser.add_argument("--home", type=Path, help="state directory")
    parser.add_argument("--ready-fd", type=int, help="tell this file descriptor when ready")
    options = parser.parse_args()
    home = Home(options.home) if options.home else Home.default()
    ready = None if options.ready_fd is None else os.fdopen(options.ready_fd, "w")
    return serve_home(home, ready)


def serve_home(home: Home, ready: TextIO | None = None) -> int:
    """Serve `home` until stopped and return the exit code; say why if it cannot be."""
    logging.basicConfig(format="%(asctime)s %(levelname)s %(name)s: %(message)s")
    try:
        serve(home, ready)
    except (AlreadyRunningError, SettingError, StatusError) as error:
        return _failed(str(error), ready)
    except OSError as error:
        return _failed(home.complaint(error), ready)
    return 0


def _failed(why: str, ready: TextIO | None) -> int:
    logging.getLogger(__name__).error("%s", why)
    if ready is not None and not ready.closed:
        tell(ready, why)
    return 1


if __name__ == "__main__":
    sys.exit(main())
