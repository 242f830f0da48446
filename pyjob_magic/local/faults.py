"""Faults that must not spread."""

from __future__ import annotations

import traceback
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def contained() -> Iterator[None]:
    """Log what goes wrong with one thing, so that it does not keep the others from going on."""
    try:
        yield
    except Exception:
        traceback.print_exc()
