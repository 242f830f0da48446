"""Whoever has started an API process, and waits for a word from it."""

from __future__ import annotations

import os
import select
from contextlib import suppress


class Starter:
    """The other end of a pipe.

    Parameters
    ----------
    handle
        Our end, to write to; None if nobody waits, for example in a terminal.
    """

    def __init__(self, handle: int | None = None) -> None:
        self._handle = handle

    def tell(self, word: str) -> None:
        """Say that the API is ready, or why it cannot be; only the first word is heard."""
        handle, self._handle = self._handle, None
        if handle is not None:
            with suppress(OSError):  # it may be gone
                os.write(handle, word.encode())
            os.close(handle)

    def gone(self) -> bool:
        """Whether it has ended without having heard anything."""
        if self._handle is None:
            return False
        poll = select.poll()
        poll.register(self._handle, 0)  # errors are always told
        return bool(poll.poll(0))
