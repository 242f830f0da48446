"""``python -m pyjob_magic.local``: the embedded API in the foreground."""

from __future__ import annotations

import argparse
import logging
import sys
from pathlib import Path

from pyjob_magic.local.home import Home
from pyjob_magic.local.server import AbandonedError, AlreadyRunningError, serve
from pyjob_magic.local.settings import SettingError
from pyjob_magic.local.starter import Starter
from pyjob_magic.local.status import StatusError


def main() -> int:
    """Serve the home of this user, or the one given."""
    parser = argparse.ArgumentParser(prog="python -m pyjob_magic.local", description=__doc__)
    parser.add_argument("--home", type=Path, help="state directory")
    parser.add_argument("--ready-fd", type=int, help="tell this file descriptor when ready")
    options = parser.parse_args()
    home = Home(options.home) if options.home else Home.default()
    return serve_home(home, Starter(options.ready_fd))


def serve_home(home: Home, starter: Starter) -> int:
    """Serve `home` until stopped and return the exit code; say why if it cannot be."""
    logging.basicConfig(format="%(asctime)s %(levelname)s %(name)s: %(message)s")
    try:
        serve(home, starter)
    except (AlreadyRunningError, AbandonedError, SettingError, StatusError) as error:
        return _failed(str(error), starter)
    except OSError as error:
        return _failed(home.complaint(error), starter)
    return 0


def _failed(why: str, starter: Starter) -> int:
    logging.getLogger(__name__).error("%s", why)
    starter.tell(why)
    return 1


if __name__ == "__main__":
    sys.exit(main())
