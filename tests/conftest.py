"""Fixtures that all tests share."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.state import VARIABLE, eventually, temporary_home

__all__ = ["eventually"]  # tests say `from tests.conftest import eventually`


@pytest.fixture(scope="module")
def home() -> Iterator[Path]:
    """State directory of one test module: its tests share one embedded API."""
    with temporary_home() as path, pytest.MonkeyPatch.context() as patch:
        patch.setenv(VARIABLE, str(path))
        yield path
