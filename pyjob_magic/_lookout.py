"""Keeps the board of a place up to date for as long as somebody sees it."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable

from pyjob_magic._board import Board
from pyjob_magic.client import Client

_APART = 0.05  # seconds between two tellings
_SHARE = 0.3  # of one processor, that telling may take
_QUIET = 2.0  # seconds between two tellings where nothing has changed
_UNSEEN = 300.0  # seconds that nobody sees the board, after which it is kept no longer
_AGAIN = 10.0  # seconds until jobs are asked for again where nobody has answered

Start = Callable[[Callable[[], None]], None]


class Lookout:
    """Follows the jobs of one place after the other.

    Parameters
    ----------
    tell
        Called with the board, or None while there is none, and whether its jobs have changed; in a
        thread, also now and then while they have not.
    start
        Runs what it is given in a thread, and shows what goes wrong there.
    """

    def __init__(self, tell: Callable[[Board | None, bool], None], start: Start) -> None:
        self.board: Board | None = None
        """The jobs of the place; None while nobody sees them."""
        self._tell = tell
        self._start = start
        self._client: Client | None = None
        self._lock = threading.RLock()  # held while the board is exchanged
        self._works = False  # whether a thread tells of the jobs
        self._changed = threading.Event()
        self._seen = threading.Event()  # set while somebody sees the board, as far as is known
        self._seen.set()

    def move(self, client: Client) -> None:
        """Follow the jobs of another place from now on."""
        with self._lock:
            self._client = client
            self._follow(client)

    def see(self, *, visible: bool) -> None:
        """Take note of whether somebody sees the board."""
        if visible:
            self._seen.set()
            self.work()
        else:
            self._seen.clear()

    def work(self) -> None:
        """See to it that the jobs are told of."""
        with self._lock:
            if self._works:
                return
            self._works = True
            if self.board is None and self._client is not None:
                self._follow(self._client)
        self._start(self._run)

    def _follow(self, client: Client | None) -> None:
        if self.board is not None:
            self.board.close()
        self.board = Board(client, self._changed.set) if client else None

    # -- in a thread ------------------------------------------------------------------------------

    def _run(self) -> None:
        try:
            while not self._rests():
                changed = self._changed.wait(_QUIET)
                self._changed.clear()
                board, begun = self.board, time.thread_time()
                self._tell(board, changed)
                if board is not None and board.failed_at is not None:
                    self._follow_again(board, board.failed_at)
                time.sleep(max(_APART, (time.thread_time() - begun) / _SHARE))
        except Exception:
            self._works = False  # who looks again begins again
            raise

    def _rests(self) -> bool:
        """Wait until somebody sees the board; give up if that is not for long."""
        if self._seen.wait(_UNSEEN):
            return False
        with self._lock:
            if self._seen.is_set():
                return False
            self._follow(None)
            self._works = False
            return True

    def _follow_again(self, board: Board, failed_at: float) -> None:
        """Ask anew for the jobs of a place that does not answer, unless another one is shown."""
        with self._lock:
            if self.board is board and time.monotonic() - failed_at > _AGAIN:
                self._follow(board.client)
