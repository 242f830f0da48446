"""What holds for a whole run of pytest, tests and notebooks alike."""

from __future__ import annotations

import os
from contextlib import ExitStack

import pytest

from pyjob_magic.settings import VARIABLES
from tests.state import VARIABLE, temporary_home

_run = ExitStack()


def pytest_configure() -> None:
    """Keep the user's own jobs and settings away, also from the kernels that nbval starts."""
    home = _run.enter_context(temporary_home())
    os.environ[VARIABLE] = str(home)
    os.environ["XDG_CONFIG_HOME"] = str(home / "config")
    for name in VARIABLES:
        os.environ.pop(name, None)


def pytest_sessionfinish(session: pytest.Session) -> None:
    """Stop the embedded API of the notebooks; what it leaves running fails the run."""
    try:
        _run.close()
    except AssertionError as survivors:
        session.exitstatus = pytest.ExitCode.TESTS_FAILED
        session.config.get_terminal_writer().line(f"\n{survivors}", red=True)


@pytest.hookimpl(trylast=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Put the cells of notebooks back in order after pytest-randomly, browser tests last.

    Playwright leaves an event loop running in the main thread, where no other test can use it.
    """
    items.sort(key=_place)


def _place(item: pytest.Item) -> tuple[int, str, int]:
    if item.get_closest_marker("browser"):
        return (2, "", 0)
    if (cell := getattr(item, "cell_num", None)) is not None:
        return (1, str(item.path), cell)
    return (0, "", 0)
