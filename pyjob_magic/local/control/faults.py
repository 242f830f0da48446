"""Faults that must not spread."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from pyjob_magic.local.storage import StorageError

_log = logging.getLogger(__name__)


@contextmanager
def contained(then: Callable[[], object] = lambda: None) -> Iterator[None]:
    """Log what goes wrong with one thing, so that it does not keep the others from going on.

    Parameters
    ----------
    then
        Called after something went wrong; not where nothing could be stored: what was to be is
        done when the controller resumes.
    """
    try:
        yield
    except StorageError as error:
        _log.error("%s", error)
    except Exception:
        _log.exception("the others go on after an error")
        then()
