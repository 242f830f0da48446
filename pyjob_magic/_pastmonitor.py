"""A job of the history, told as `_monitor` tells of one that there is: a card of what was kept."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

from pyjob_magic import _states, _view
from pyjob_magic._card import Card
from pyjob_magic._logbook import LogBook
from pyjob_magic._monitor import Part
from pyjob_magic._past import PastJob
from pyjob_magic._tables import some
from pyjob_magic.job import Job
from pyjob_magic.manifest import to_yaml
from pyjob_magic.models import read_time

Json = dict[str, Any]

_MOST_LINES = 1000  # of the log that are told at once


class PastMonitor:
    """Knows what was kept of a job; nothing of it changes any more.

    Parameters
    ----------
    past
        The job.
    rerun
        Submits it once more.
    """

    def __init__(self, past: PastJob, rerun: Callable[[], Job]) -> None:
        self.job = past
        self.rerun = rerun
        names = past.manifest.replica_names
        self.book = LogBook(names)
        self.view = ""
        for name, lines in past.log.items():
            if name in names and lines:
                self.book.add(name, lines)

    over = True

    @property
    def name(self) -> str:
        """Name of the job."""
        return self.job.name

    @property
    def state(self) -> str:
        """How it has ended, in one word."""
        return self.job.state

    def start(self) -> None:
        """Do nothing: there is nothing to follow."""

    close = start

    def changes(self, _: float) -> set[Part]:
        """Return no part."""
        return set()

    def follow(self, view: str, *, on_read: Callable[[], object] = lambda: None) -> None:
        """Tell of the lines of one replica from now on, or of all; all are read already.

        Raises
        ------
        KeyError
            If there is no such replica.
        """
        self.book.total(view)
        self.view = view
        on_read()

    def tell(self, part: Part) -> Json:
        """Return a part as the front end takes it."""
        past, now = self.job, datetime.now(UTC)
        names = past.manifest.replica_names
        told: dict[Part, Json] = {
            Part.HEAD: {"head": self._head(now)},
            Part.PROGRESS: {"progress": None},
            Part.REPLICAS: {"replicas": _view.replicas(names, (), ended=True)},
            Part.TIMELINE: {"timeline": {"start": now.timestamp(), "end": None, "rows": []}},
            Part.EVENTS: {"events": []},
            Part.MANIFEST: {"manifest": {"yaml": to_yaml(past.wire), "kubectl": []}},
            Part.LOG: self._log(names),
        }
        if part is Part.CHARTS:
            charts, note = _view.charts(past.series)
            return {"charts": charts, "charts_note": note, "metrics_note": ""}
        return told[part]

    def _head(self, now: datetime) -> Json:
        past = self.job
        card = Card(past.manifest, past.place, diagnosis=past.diagnosis, now=now)
        head = _view.head(card, now)
        started, ended = read_time(past.started or None), read_time(past.ended or None)
        return head | {
            "state": past.state,
            "tone": _states.state_tone(past.state),
            "started": started.timestamp() if started else None,
            "ended": (ended or now).timestamp(),
            "queued": None,
            "status": f"from the history, as last seen{self._kept()}",
            "actions": ["rerun"],
            "open_command": f"%pytorchjob history {past.name}",
        }

    def _kept(self) -> str:
        kept = [name for name in self.book.replicas if self.book.total(name)]
        if not kept or len(kept) == len(self.book.replicas):
            return ""
        return f"; only the log of {some(kept)} was kept"

    def _log(self, names: list[str]) -> Json:
        total = self.book.total(self.view)
        start = max(0, total - _MOST_LINES)
        lines = self.book.lines(self.view, start, _MOST_LINES)
        counts = {"totals": self.book.totals(), "total": self.book.total()}
        return {
            "log": {"replicas": names, "note": "Only the last lines were kept.", **counts},
            "view": self.view,
            "tail": {"view": self.view, "start": start, "lines": lines, "partial": [], "begun": []},
        }
