"""Faults that must not spread."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from contextlib import contextmanager

from pyjob_magic.local.storage import StorageError

_log = logging.getLogger(__name__)


@contextmanager
def contained() -> Iterator[None]:
    """Log what goes wrong with one thing, so that it does not keep the others from going on."""
    try:
        yield
    except StorageError as error:
        _log.error("%s", error)  # what could not be stored is done when the controller resumes
    except Exception:
        _log.exception("the others go on after an error")
