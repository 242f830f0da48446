"""An embedded API for the time of a measurement, apart from the user's own."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from pyjob_magic import connect
from pyjob_magic.connection import Connection
from tests.state import VARIABLE, temporary_home


@contextmanager
def warm_api() -> Iterator[Connection]:
    """Lend a connection to an API that has answered before."""
    with temporary_home() as home, using(home):
        connection = connect()
        connection.list()
        yield connection
        connection.close()


@contextmanager
def using(home: Path) -> Iterator[None]:
    """Let `connect` find, or start, the API of `home`."""
    before = os.environ.get(VARIABLE)
    os.environ[VARIABLE] = str(home)
    try:
        yield
    finally:
        del os.environ[VARIABLE]
        if before is not None:
            os.environ[VARIABLE] = before
