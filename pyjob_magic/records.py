"""Pure: what the history keeps of a job: little enough for thousands, and nothing secret."""

from __future__ import annotations

import json
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import asdict, fields
from datetime import datetime
from typing import Any

from pyjob_magic import payload
from pyjob_magic._charts import thinned
from pyjob_magic._past import Entry, PastJob
from pyjob_magic._tables import asked, cut
from pyjob_magic.diagnosis import Diagnosis
from pyjob_magic.manifest import ANNOTATIONS, SUBMITTED, Manifest, fresh_wire
from pyjob_magic.metrics import Collector, Point, Series
from pyjob_magic.models import PyTorchJob
from pyjob_magic.target import Target
from pyjob_magic.withheld import blanked, withhold

MOST_LINES = 200
"""Last lines that are kept of a replica."""
MOST_REPLICAS = 8
"""Replicas of which lines are kept."""
MOST_SERIES = 200
MOST_POINTS = 400  # of one series
_LONGEST_LINE = 2_000  # characters
_LONGEST_TRACEBACK = 20_000

Row = dict[str, Any]
AT_A_GLANCE = [each.name for each in fields(Entry)]


def submitted(sent: Manifest, created: PyTorchJob, target: Target) -> Row:
    """Return what is kept of a job that was just created.

    Parameters
    ----------
    sent
        What was sent.
    created
        What the API has made of it.
    target
        Where it went.
    """
    wire = fresh_wire(sent.job)
    wire["metadata"] |= {"name": created.name, "namespace": created.metadata.namespace or "default"}
    taken = withhold(wire)
    notes = wire["metadata"].get("annotations") or {}
    if line := notes.get(f"{ANNOTATIONS}line"):
        notes[f"{ANNOTATIONS}line"] = blanked(line, taken)
    return {
        "uid": created.metadata.uid,
        **{key: wire["metadata"][key] for key in ("name", "namespace")},
        "target": target.name,
        "context": target.context,
        "place": target.full_name,
        **{key: notes.get(f"{ANNOTATIONS}{key}", "") for key in ("profile", "notebook", "line")},
        "asked": asked(sent.job),
        "submitted": created.metadata.creation_timestamp or notes.get(SUBMITTED, ""),
        "source": _source(sent),
        "manifest": json.dumps(wire),
    }


def outcome(
    job: PyTorchJob,
    *,
    diagnosis: Diagnosis | None = None,
    series: Iterable[Series] = (),
    log: Mapping[str, Sequence[str]] | None = None,
    failed: Collection[str] = (),
    gone: datetime | None = None,
) -> Row:
    """Return what is kept of a job that has ended, or is gone.

    Parameters
    ----------
    job
        The job as it was last seen.
    diagnosis
        Why it failed.
    series
        What it has measured; without any, what the lines tell.
    log
        Lines by replica; the last ones are kept.
    failed
        Replicas whose lines are wanted first.
    gone
        When it was deleted.
    """
    taken = withhold(fresh_wire(job))
    known = {name: (log or {}).get(name, ()) for name in job.replica_names}
    kept = _last_lines(known, failed, taken)
    measured = [*series] or _measured(kept)
    status = job.status
    ended = status.ended_at
    return {
        "uid": job.metadata.uid,
        "state": status.state if status.ended else "",
        "started": status.start_time or "",
        "ended": f"{ended:%Y-%m-%dT%H:%M:%SZ}" if ended else "",
        "deleted": f"{gone:%Y-%m-%dT%H:%M:%SZ}" if gone else "",
        "summary": blanked(str(diagnosis or ""), taken),
        "diagnosis": _dumped(diagnosis, taken) if diagnosis else "",
        "points": sum(len(each.points) for each in measured),
        "series": json.dumps([_packed(each) for each in measured[:MOST_SERIES]]),
        "lines": sum(map(len, kept.values())),
        "log": json.dumps(kept),
    }


def past(row: Mapping[str, Any]) -> PastJob:
    """Return the job that a row of the history tells of."""
    found = row["diagnosis"]
    return PastJob(
        **{name: row[name] for name in AT_A_GLANCE},
        source=row["source"],
        wire=json.loads(row["manifest"]),
        diagnosis=Diagnosis(**json.loads(found)) if found else None,
        series=[_unpacked(each) for each in json.loads(row["series"])],
        log=json.loads(row["log"]),
    )


def _source(sent: Manifest) -> str | None:
    if sent.config_map is not None:
        return (sent.config_map.data or {}).get(payload.FILE_NAME)
    for spec in sent.job.spec.pytorch_replica_specs.values():
        for container in spec.template.spec.containers:
            if (packed := payload.unpack(container)) and packed[1] is not None:
                return packed[1].decode(errors="replace")
    return None


def _last_lines(
    log: Mapping[str, Sequence[str]], failed: Collection[str], taken: Mapping[str, str]
) -> dict[str, list[str]]:
    names = sorted((name for name in log if log[name]), key=lambda name: name not in failed)
    # A value is withheld before the cut, behind which half of it would not be known again.
    return {
        name: [cut(blanked(text, taken), _LONGEST_LINE) for text in log[name][-MOST_LINES:]]
        for name in names[:MOST_REPLICAS]
    }


def _measured(lines: Mapping[str, Sequence[str]]) -> list[Series]:
    collector = Collector()
    for replica, texts in lines.items():
        for text in texts:
            collector.take(replica, text)
    return collector.series


def _dumped(found: Diagnosis, taken: Mapping[str, str]) -> str:
    said = {
        name: blanked(value, taken) if isinstance(value, str) else value
        for name, value in asdict(found).items()
    }
    return json.dumps(said | {"traceback": said["traceback"][-_LONGEST_TRACEBACK:]})


def _packed(series: Series) -> list[Any]:
    points = thinned(series.points, MOST_POINTS)
    return [series.replica, cut(series.name, 200), series.axis, points]


def _unpacked(packed: Sequence[Any]) -> Series:
    replica, name, axis, points = packed
    return Series(replica, name, axis, [Point(*point) for point in points])
