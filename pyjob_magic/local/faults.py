"""Faults that must not spread."""

from __future__ import annotations

import traceback
from collections.abc import Callable, Iterator
from contextlib import contextmanager


@contextmanager
def contained(then: Callable[[], object] = lambda: None) -> Iterator[None]:
    """Log what goes wrong with one thing, so that it does not keep the others from going on.

    Parameters
    ----------
    then
        Called after something went wrong.
    """
    try:
        yield
    except Exception:
        traceback.print_exc()
        then()
