"""Logs of replicas that are gone, kept as long as their job.

The operator removes replicas, and Kubernetes their logs with them: when the limit of restarts or
the deadline is reached, after a failure those that still ran, and on suspension all. Here the logs
stay readable under the names of the pods: those of the last runs, for a replica may be made again
all night long.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path

from pyjob_magic.local.kubelet.process import Process
from pyjob_magic.local.objects import Json, is_dns_label

MOST_RUNS = 10  # of a container


class Keepsakes:
    """Runs of containers that are over, by the uid of the job and the name of the pod.

    Parameters
    ----------
    directory
        Where they are kept.
    """

    def __init__(self, directory: Path) -> None:
        self._directory = directory

    def keep(self, job_uid: str, pod: Json, container: str, runs: Iterable[Process]) -> None:
        """Take over the `runs` of a container, oldest first, from a pod that is being removed."""
        place = self._place(job_uid, pod["metadata"]["name"], container)
        place.mkdir(mode=0o700, parents=True, exist_ok=True)
        number = max(self._numbers(place), default=-1) + 1
        for offset, run in enumerate(runs):
            with suppress(OSError):  # a log less is no reason to keep the pod
                os.replace(run.directory, place / str(number + offset))
        for old in self._numbers(place)[:-MOST_RUNS]:
            shutil.rmtree(place / str(old), ignore_errors=True)

    def last(self, job_uid: str, pod_name: str, container: str) -> Process | None:
        """Return the last run of a container that has printed something, or that there was."""
        if not (is_dns_label(pod_name) and is_dns_label(container)):
            return None  # asked for by a request: no name may lead elsewhere
        place = self._place(job_uid, pod_name, container)
        runs = [Process(place / str(n), "", container) for n in reversed(self._numbers(place))]
        # The run that was ended by the removal may have had no time to say anything.
        return next((run for run in runs if run.log.stat().st_size), next(iter(runs), None))

    def drop(self, job_uid: str) -> None:
        """Forget what belongs to a job."""
        shutil.rmtree(self._directory / job_uid, ignore_errors=True)

    def drop_all_but(self, job_uids: Iterable[str]) -> None:
        """Forget what belongs to jobs that are gone."""
        if self._directory.is_dir():
            for uid in {path.name for path in self._directory.iterdir()} - set(job_uids):
                self.drop(uid)

    def _place(self, job_uid: str, pod_name: str, container: str) -> Path:
        return self._directory / job_uid / pod_name / container

    def _numbers(self, place: Path) -> list[int]:
        return sorted(int(path.name) for path in place.iterdir()) if place.is_dir() else []
