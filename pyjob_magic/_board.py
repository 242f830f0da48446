"""The jobs of a namespace as rows, kept up to date by the one watch that there is for them."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from typing import Any

from pyjob_magic import _states
from pyjob_magic._tables import asked
from pyjob_magic._view import actions
from pyjob_magic.client import Client
from pyjob_magic.informer import News
from pyjob_magic.manifest import ANNOTATIONS, next_name
from pyjob_magic.models import PyTorchJob, read_time

Json = dict[str, Any]


class Board:
    """Knows the jobs of a namespace.

    Parameters
    ----------
    client
        Where they are.
    on_change
        Called when something has changed; in whatever thread has heard of it.
    """

    def __init__(self, client: Client, on_change: Callable[[], None]) -> None:
        self.client = client
        self._can_suspend = client.target.dialect.suspends
        self.note = ""
        """What keeps it from being up to date."""
        self.synced = False
        """Whether all jobs have been told of."""
        self.failed_at: float | None = None
        """Since when it is told of nothing more, by the monotonic clock; the note says why."""
        self._lock = threading.Lock()
        self._jobs: dict[str, PyTorchJob] = {}  # by uid
        self._rows: dict[str, Json] = {}
        self._on_change = on_change
        self._end = client.watch_jobs(self._hear)

    def close(self) -> None:
        """Hear of no more changes."""
        self._end()

    def rows(self) -> list[Json]:
        """Return the rows, the newest job first."""
        with self._lock:
            rows = [*self._rows.values()]
        return sorted(rows, key=lambda row: (row["created"] or 0, row["name"]), reverse=True)

    def jobs(self) -> list[PyTorchJob]:
        """Return the jobs as they are now."""
        with self._lock:
            return [*self._jobs.values()]

    def job(self, uid: str) -> PyTorchJob | None:
        """Return a job as it is now, if it is there."""
        with self._lock:
            return self._jobs.get(uid)

    def free_name(self, name: str) -> str:
        """Return the name, or where a job has it the next one, as another run of it is called."""
        taken = {job.name for job in self.jobs()}
        return next_name(name, taken) if name in taken else name

    def _hear(self, news: News, value: Any) -> None:
        with self._lock:
            if news is News.CHANGED:
                uid = value.metadata.uid or value.name
                self._jobs[uid] = value
                self._rows[uid] = row(value, can_suspend=self._can_suspend)
                self.note = ""
            elif news is News.DELETED:
                uid = value.metadata.uid or value.name
                self._jobs.pop(uid, None)
                self._rows.pop(uid, None)
            elif news is News.SYNCED:
                self.synced = True
            else:
                self.note = str(value)
                if news is News.FAILED:
                    self.failed_at = time.monotonic()
        self._on_change()


def row(job: PyTorchJob, *, can_suspend: bool = True) -> Json:
    """Return what is shown of a job, as values of JSON; times are seconds since the epoch.

    Parameters
    ----------
    job
        The job.
    can_suspend
        Whether its target can suspend jobs.
    """
    status, meta = job.status, job.metadata
    word = _states.state(job)
    return {
        "uid": meta.uid or job.name,
        "name": job.name,
        "namespace": meta.namespace or "default",
        "state": word,
        "tone": _states.state_tone(word),
        "created": _epoch(meta.creation_timestamp),
        "started": _epoch(status.start_time),
        "ended": status.ended_at.timestamp() if status.ended_at else None,
        "replicas": [ready(job), job.spec.replicas],
        "asked": asked(job),
        "can": actions(job, gone=False, can_suspend=can_suspend),
        "who": (meta.annotations or {}).get(f"{ANNOTATIONS}user", ""),
    }


def ready(job: PyTorchJob) -> int:
    """Return how many replicas run or have succeeded."""
    counts = (job.status.replica_statuses or {}).values()
    return sum(each.active + each.succeeded for each in counts)


def _epoch(text: str | None) -> float | None:
    moment = read_time(text)
    return moment.timestamp() if moment else None
