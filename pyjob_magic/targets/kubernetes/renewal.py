"""A value that many threads use and that has to be fetched anew now and then, by one of them."""

from __future__ import annotations

import threading
from collections.abc import Callable
from concurrent.futures import Future
from typing import Generic, TypeVar

from pyjob_magic.errors import TargetError

T = TypeVar("T")


class Renewal(Generic[T]):
    """Fetches a value once for everybody who waits for it, and keeps it.

    Parameters
    ----------
    fetch
        Returns a new value, or raises; then all who wait get the error, and the next one who asks
        tries again.
    good
        Whether a value that was fetched before can still be used.
    """

    def __init__(self, fetch: Callable[[], T], good: Callable[[T], bool]) -> None:
        self._fetch = fetch
        self._good = good
        self._lock = threading.Lock()
        self._current: T | None = None
        self._coming: Future[T] | None = None

    def current(self, refused: T | None = None) -> T:
        """Return a value that is good and is not the one that was `refused`."""
        with self._lock:
            current = self._current
            if current is not None and current is not refused and self._good(current):
                return current
            coming, ours = self._coming, self._coming is None
            if coming is None:
                coming = self._coming = Future()
        if ours:
            self._complete(coming)
        return coming.result()

    def _complete(self, coming: Future[T]) -> None:
        try:
            value = self._fetch()
        except BaseException as error:
            with self._lock:
                self._coming = None
            # An interrupt is for the thread that was interrupted only.
            interrupted = TargetError("fetching the credentials was interrupted")
            coming.set_exception(error if isinstance(error, Exception) else interrupted)
            raise
        with self._lock:
            self._current, self._coming = value, None
        coming.set_result(value)
