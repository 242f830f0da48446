"""Pure: what the live card shows, as values of JSON; the front end draws them.

Whatever comes from a job is a stranger's: texts are cut to what a person reads, lists to what a
page bears. Times are seconds since the epoch.
"""

from __future__ import annotations

import math
import shlex
from collections.abc import Collection, Iterable, Mapping, Sequence
from datetime import datetime
from typing import Any

from pyjob_magic import _charts, _states
from pyjob_magic._card import Card, metadata
from pyjob_magic._tables import cut
from pyjob_magic.diagnosis import Diagnosis
from pyjob_magic.errors import OptionError
from pyjob_magic.manifest import fresh, to_yaml
from pyjob_magic.metrics import Progress, Series
from pyjob_magic.models import Event, Pod, PyTorchJob, read_time
from pyjob_magic.target import Target
from pyjob_magic.timeline import Mark, Row, Span, Timeline
from pyjob_magic.withheld import withhold

Json = dict[str, Any]

MOST_REPLICAS = 512
MOST_EVENTS = 200
MOST_CHARTS = 24
MOST_LINES = 16  # series in one chart
CHART_POINTS = 400  # of one series
MOST_YAML = 500_000  # characters
_MOST_SPANS = 6_000  # of all rows together
_LONG = 2_000  # characters of a sentence
_LONG_TRACEBACK = 20_000


def head(
    card: Card, now: datetime, *, gone: bool = False, status: str = "", can_suspend: bool = True
) -> Json:
    """Return what stands at the top of the card.

    Parameters
    ----------
    card
        The job with its replicas and events.
    now
        The time.
    gone
        Whether the job was deleted.
    status
        What there is to say about the connection.
    can_suspend
        Whether the target can suspend jobs.
    """
    job = card.job
    state = "Deleted" if gone else _states.state(job)
    said = str(card.diagnosis) if card.diagnosis else None
    return {
        "name": job.name,
        "state": state,
        "tone": _states.state_tone(state),
        "target": card.target,
        "namespace": job.metadata.namespace or "default",
        "now": now.timestamp(),
        "submitted": _seconds(job.metadata.creation_timestamp),
        "started": _seconds(job.status.start_time),
        "ended": _epoch(job.status.ended_at),
        "queued": queued(job, card.history(now)),
        "diagnosis": _diagnosis(card.diagnosis),
        "notes": [_cut(note) for note in card.notes if note != said][:20],
        "metadata": [[key, _cut(value)] for key, value in metadata(job)],
        "gone": gone,
        "status": _cut(status),
        "actions": actions(job, gone=gone, can_suspend=can_suspend),
        "open_command": card.open_command,
    }


def queued(job: PyTorchJob, history: Timeline) -> float | None:
    """Return the seconds from the submission until all replicas ran; None while they do not."""
    created, all_ran = read_time(job.metadata.creation_timestamp), history.all_ran
    if created is None or all_ran is None:
        return None
    return max(0.0, (all_ran - created).total_seconds())


def actions(job: PyTorchJob, *, gone: bool, can_suspend: bool = True) -> list[str]:
    """Return what can be done with a job."""
    if gone:
        return ["rerun"]
    if job.status.ended:
        return ["delete", "rerun"]
    policy = job.spec.run_policy
    toggle = "resume" if policy and policy.suspend else "suspend"
    return [*([toggle] if can_suspend else []), "delete", "rerun", "wait"]


def _diagnosis(found: Diagnosis | None) -> Json | None:
    if found is None:
        return None
    return {
        "text": _cut(str(found)),
        "summary": _cut(found.summary),
        "advice": _cut(found.advice),
        "replica": found.replica,
        "traceback": found.traceback[-_LONG_TRACEBACK:],
        "cell_line": found.cell_line,
    }


def replicas(
    names: Sequence[str],
    pods: Sequence[Pod],
    *,
    ended: bool = False,
    seen: Collection[str] = (),
) -> list[Json]:
    """Return how each replica fares: those that were asked for, also without a pod, and others.

    Parameters
    ----------
    names, pods
        Those that were asked for, and the pods there are.
    ended
        Whether the job has ended or is gone.
    seen
        Names of those that had a pod.
    """
    by_name: dict[str, Pod | None] = dict.fromkeys(names)
    by_name |= {pod.replica: pod for pod in pods}
    return [
        _replica(name, pod) if pod else _absent(name, ended=ended, seen=name in seen)
        for name, pod in [*by_name.items()][:MOST_REPLICAS]
    ]


def _absent(name: str, *, ended: bool, seen: bool) -> Json:
    return {
        "name": name,
        "phase": _states.absent(ended=ended, seen=seen),
        "tone": "none",
        "node": "",
        "restarts": 0,
        "exit": None,
        "reason": "",
    }


def _replica(name: str, pod: Pod) -> Json:
    container = pod.main_container
    return {
        "name": _cut(name, 253),
        "phase": _cut(_states.phase(pod), 100),
        "tone": _states.pod_tone(pod),
        "node": _cut(pod.spec.node_name or "", 253),
        "restarts": container.restart_count if container else 0,
        "exit": _states.exit_code(pod),
        "reason": _cut(_states.reason(pod), 200),
    }


def timeline(history: Timeline, now: datetime) -> Json:
    """Return what took how long, as far as it was seen."""
    rows = history.rows(now)[: MOST_REPLICAS + 1]
    most = max(6, _MOST_SPANS // len(rows))
    spans = [span for row in rows for span in row.spans]
    ends = [span.end.timestamp() for span in spans if span.end]
    ends += [mark.at.timestamp() for row in rows for mark in row.marks]
    starts = [span.start.timestamp() for span in spans]
    goes_on = any(span.end is None for span in spans)
    return {
        "start": min(starts + ends, default=now.timestamp()),
        "end": None if goes_on or not spans else max(ends),
        "rows": [_row(row, most) for row in rows],
    }


def _row(row: Row, most: int) -> Json:
    return {
        "name": _cut(row.name, 253),
        "spans": [_span(span) for span in row.spans[-most:]],
        "marks": [_mark(mark) for mark in row.marks[-most:]],
    }


def _span(span: Span) -> Json:
    end = span.end.timestamp() if span.end else None
    return {
        "kind": span.kind,
        "start": span.start.timestamp(),
        "end": end,
        "title": _cut(span.title, 200),
    }


def _mark(mark: Mark) -> Json:
    return {"kind": mark.kind, "at": mark.at.timestamp(), "title": _cut(mark.title, 200)}


def progress(heard: Progress | None, replica: str, left: float | None, at: float) -> Json | None:
    """Return how far a job says that it has come.

    Parameters
    ----------
    heard, replica
        What was heard last, and from whom.
    left, at
        The seconds that were left at a time.
    """
    if heard is None:
        return None
    return {
        "fraction": min(1.0, max(0.0, heard.fraction)),
        "label": _cut(heard.label, 100),
        "done": heard.done,
        "total": heard.total,
        "left": left if left is not None and math.isfinite(left) else None,
        "replica": replica,
        "at": at,
    }


def charts(series: Iterable[Series]) -> tuple[list[Json], str]:
    """Return the charts, one for each metric, and a note on what was left out."""
    grouped = _charts.grouped(series)
    shown = grouped[:MOST_CHARTS]
    left = []
    if len(grouped) > len(shown):
        left.append(f"{len(grouped) - len(shown)} of {len(grouped)} metrics")
    if any(len(group) > MOST_LINES for group in shown):
        left.append(f"all but the first {MOST_LINES} replicas of a metric")
    note = f"not drawn: {' and '.join(left)}; job.metrics() has them all" if left else ""
    return [_chart(group[:MOST_LINES]) for group in shown], note


def _chart(group: Sequence[Series]) -> Json:
    drawn = [(each, _charts.thinned(each.points, CHART_POINTS)) for each in group]
    return {
        "name": _cut(group[0].name, 200),
        "axis": _charts.axis_name(group[0].axis),
        "series": [
            {
                "replica": each.replica,
                "x": [point.step for point in points],
                "y": [point.value if math.isfinite(point.value) else None for point in points],
                "breaks": _charts.breaks(points),
            }
            for each, points in drawn
        ],
    }


def events(said: Sequence[Event]) -> list[Json]:
    """Return what was said about a job, newest first."""
    newest = sorted(said, key=lambda event: event.time, reverse=True)
    return [
        {
            "time": _seconds(event.time),
            "type": _cut(event.type or "", 100),
            "reason": _cut(event.reason or "", 200),
            "object": _cut(event.involved_object.name or "", 253),
            "message": _cut(event.message or ""),
            "count": event.count or 1,
        }
        for event in newest[:MOST_EVENTS]
    ]


def manifest(job: PyTorchJob, target: Target) -> Json:
    """Return the job as it can be sent again, and the lines of kubectl that do what we do."""
    return {"yaml": yaml_of(job, target)[:MOST_YAML], "kubectl": kubectl(job, target)}


def yaml_of(job: PyTorchJob, target: Target) -> str:
    """Return the job as YAML, as its target spells it, without what the server has added.

    Notebooks are shared: of a secret variable there is only a place to fill in.
    """
    sent = fresh(job)
    try:
        wire = target.dialect.encode(sent)
    except OptionError:  # somebody else's, who says more than we would
        wire = sent.to_wire()
    withhold(wire)
    return to_yaml(wire)


def kubectl(job: PyTorchJob, target: Target) -> list[dict[str, str]]:
    """Return what to type in a shell instead of using the card."""
    namespace = job.metadata.namespace or target.namespace
    context = ["--context", target.context] if target.context else []
    policy = job.spec.run_policy
    suspend = not (policy and policy.suspend)
    replica = next(iter(job.replica_names), "master-0")
    lines: Mapping[str, Sequence[str]] = {
        "submit the manifest": ["apply", *_SERVER_SIDE[target.dialect.dry_runs], "-f", "job.yaml"],
        "look at the job": ["get", "pytorchjob", job.name],
        "describe it": ["describe", "pytorchjob", job.name],
        "see its events": ["get", "events", "--field-selector", f"involvedObject.name={job.name}"],
        "follow the log of a replica": ["logs", "-f", f"{job.name}-{replica}"],
        "suspend it" if suspend else "resume it": [
            *("patch", "pytorchjob", job.name, "--type", "merge", "-p"),
            f'{{"spec":{{"runPolicy":{{"suspend":{str(suspend).lower()}}}}}}}',
        ],
        "delete it": ["delete", "pytorchjob", job.name],
    }
    if not target.dialect.suspends:
        lines = {does: words for does, words in lines.items() if "patch" not in words}
    place = ["--namespace", namespace, *context]
    typed = [
        {"does": does, "line": shlex.join(["kubectl", *words, *place])}
        for does, words in lines.items()
    ]
    return [*_way_in(target), *typed]


_SERVER_SIDE = {True: ["--server-side"], False: []}  # servers before 1.16 have no dry run either


def _way_in(target: Target) -> list[dict[str, str]]:
    """Return what kubectl needs before it can reach a target that has no kubeconfig."""
    if target.name == "local":
        file = "pyjob-magic kubeconfig --output local.yaml && export KUBECONFIG=$PWD/local.yaml"
        return [{"does": "let kubectl in", "line": file}]
    if target.name == "cci":
        keys = "--ak=$HUAWEICLOUD_SDK_AK --sk=$HUAWEICLOUD_SDK_SK"
        program = "cci-iam-authenticator generate-kubeconfig"
        endpoint = shlex.quote(f"--cci-endpoint={target.base_url}")
        return [{"does": "let kubectl in", "line": f"{program} {endpoint} {keys}"}]
    return []


def _cut(text: str, most: int = _LONG) -> str:
    return cut(text, most)


def _seconds(text: str | None) -> float | None:
    return _epoch(read_time(text))


def _epoch(time: datetime | None) -> float | None:
    return time.timestamp() if time else None
