"""What a card reads out of the lines of a job while it runs: its metrics, and how far it has come.

A job may print faster than its lines can be understood. Then some are passed over, so that the
kernel stays free for its user, and it is counted how many. It may also print for weeks: then of
each metric only so many values are kept that a chart of them looks the same.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence

from pyjob_magic._charts import thinned
from pyjob_magic.metrics import Collector, Progress, Series, progress, time_left

_SHARE = 0.05  # of one processor, that reading may take
_CREDIT = 0.2  # seconds of it that may be saved up
_LOOK = 32  # lines between two looks at the clock
_MOST_POINTS = 500_000  # of all series together
_LEAST_POINTS = 2_000  # of each series in any case
_LOOK_AT_SIZE = 10_000  # lines between two looks at how many there are
_BACKLOG = 1.0  # seconds from the first lines on, within which old ones come at once
_HISTORY = 400  # times that the progress of a replica is remembered


class Readings:
    """Takes lines as they come.

    Parameters
    ----------
    clock
        What reading costs, in seconds.
    most_points
        Values that are kept of all metrics together, or some thousands of each.
    """

    def __init__(
        self, clock: Callable[[], float] = time.thread_time, most_points: int = _MOST_POINTS
    ) -> None:
        self.passed_over = 0
        """Lines that were not read."""
        self._clock = clock
        self._most_points = most_points
        self._collector = Collector()
        self._progress: dict[str, list[tuple[float, Progress]]] = {}
        self._heard: dict[str, float] = {}  # when each replica first told of its progress
        self._credit, self._last = _CREDIT, 0.0
        self._unlooked = 0  # lines since the last look at how many points there are

    @property
    def series(self) -> list[Series]:
        """The metrics, in the order in which they were first heard of."""
        return self._collector.series

    @property
    def note(self) -> str:
        """What there is to know of the metrics: that not all lines were read, if so."""
        if not self.passed_over:
            return ""
        lines = "1 line" if self.passed_over == 1 else f"{self.passed_over:,} lines"
        return f"{lines} came too fast to be read for metrics; job.metrics() reads all"

    def take(self, replica: str, texts: Sequence[str], now: float) -> None:
        """Read lines of a replica, as many as there is time for.

        Parameters
        ----------
        replica, texts
            Who has printed what.
        now
            The time in seconds.
        """
        self._credit = min(_CREDIT, self._credit + _SHARE * max(0.0, now - self._last))
        self._last = now
        self._unlooked += len(texts)
        if self._unlooked > _LOOK_AT_SIZE:
            self._unlooked = 0
            self._thin()
        begun = self._clock()
        for number in range(0, len(texts), _LOOK):
            if self._clock() - begun > self._credit:
                self.passed_over += len(texts) - number
                break
            for text in filter(_may_tell, texts[number : number + _LOOK]):
                self._collector.take(replica, text)
                self._note_progress(replica, text, now)
        self._credit -= self._clock() - begun

    def _thin(self) -> None:
        series = self._collector.series
        most = max(_LEAST_POINTS, self._most_points // max(1, len(series)))
        for each in series:
            if len(each.points) > most:
                each.points[:] = thinned(each.points, most // 2)

    def progress(
        self, replicas: Sequence[str], partial: Mapping[str, str], now: float
    ) -> tuple[str, Progress, float | None] | None:
        """Return who tells how far the job is, how far, and the seconds left as far as is known.

        Parameters
        ----------
        replicas
            All of them; the first one that tells of its progress is believed.
        partial
            Lines that have not ended yet, by replica: of bars that are redrawn.
        now
            The time in seconds.
        """
        for replica, text in partial.items():
            self._note_progress(replica, text, now)
        for replica in replicas:
            if history := self._progress.get(replica):
                return replica, history[-1][1], time_left(history, now)
        return None

    def _note_progress(self, replica: str, text: str, now: float) -> None:
        if (told := progress(text)) is None:
            return
        history = self._progress.setdefault(replica, [])
        if history and history[-1][1] == told:
            return  # a bar that is looked at twice has not moved
        if now - self._heard.setdefault(replica, now) < _BACKLOG:
            history.clear()  # what was printed before somebody looked says nothing of the speed
        history.append((now, told))
        if len(history) > _HISTORY:
            history[:-1] = history[:-1:2]


def _may_tell(text: str) -> bool:
    """Whether a line may hold a metric or tell of progress: most lines of most logs cannot."""
    return "=" in text or ":" in text or "/" in text or "%" in text or " of " in text
