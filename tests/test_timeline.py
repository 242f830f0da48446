"""From what is seen of a job, again and again, to rows of what took how long."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pyjob_magic.models import Event, Pod, PyTorchJob
from pyjob_magic.timeline import Row, Timeline
from tests.data import read

START = datetime(2026, 1, 1, tzinfo=UTC)
RECORDED = read("watched-statuses.json")


def at(seconds: float) -> datetime:
    return START + timedelta(seconds=seconds)


def wire_time(seconds: float) -> str:
    """Return a time as Kubernetes writes it."""
    return f"{at(seconds):%Y-%m-%dT%H:%M:%SZ}"


def a_job(
    workers: int = 0, created: str | None = None, status: Any = None, **policy: Any
) -> PyTorchJob:
    template = {"spec": {"containers": [{"name": "pytorch"}]}}
    specs: dict[str, Any] = {"Master": {"replicas": 1, "template": template}}
    if workers:
        specs["Worker"] = {"replicas": workers, "template": template}
    return PyTorchJob.from_wire(
        {
            "metadata": {"name": "j", "creationTimestamp": created or wire_time(0)},
            "spec": {"pytorchReplicaSpecs": specs, "runPolicy": policy},
            "status": status or {},
        }
    )


def conditions(**since: float | tuple[float, str, str]) -> list[dict[str, Any]]:
    """Return conditions by type: since when they hold, or also a status and a reason."""
    found = []
    for kind, value in since.items():
        seconds, status, reason = value if isinstance(value, tuple) else (value, "True", "")
        found.append(
            {
                "type": kind,
                "status": status,
                "reason": reason or f"PyTorchJob{kind}",
                "message": f"it is {kind}",
                "lastTransitionTime": wire_time(seconds),
            }
        )
    return found


def a_pod(
    replica: str = "master-0",
    created: float = 1,
    scheduled: float | None = None,
    phase: str = "Pending",
    uid: str = "",
    **container: Any,
) -> Pod:
    status: dict[str, Any] = {"phase": phase}
    if scheduled is not None:
        entry = {"type": "PodScheduled", "status": "True"}
        status["conditions"] = [{**entry, "lastTransitionTime": wire_time(scheduled)}]
    if container:
        status["containerStatuses"] = [{"name": "pytorch", **container}]
    meta = {"name": f"j-{replica}", "uid": uid or replica, "creationTimestamp": wire_time(created)}
    kind, index = replica.split("-")
    meta["labels"] = {  # type: ignore[assignment]
        "training.kubeflow.org/replica-type": kind,
        "training.kubeflow.org/replica-index": index,
    }
    return Pod.from_wire({"metadata": meta, "spec": {"containers": []}, "status": status})


def running(since: float, restarts: int = 0, last: Any = None) -> dict[str, Any]:
    state: dict[str, Any] = {
        "restartCount": restarts,
        "containerID": f"run-{restarts}",
        "state": {"running": {"startedAt": wire_time(since)}},
    }
    return {**state, "lastState": last} if last else state


def ended(start: float, end: float, code: int = 0, number: int = 0) -> dict[str, Any]:
    return {
        "terminated": {
            "exitCode": code,
            "containerID": f"run-{number}",
            "startedAt": wire_time(start),
            "finishedAt": wire_time(end),
        }
    }


def told(row: Row) -> list[tuple[str, float, float | None]]:
    """Return the spans of a row in seconds."""
    return [
        (
            span.kind,
            (span.start - START).total_seconds(),
            None if span.end is None else (span.end - START).total_seconds(),
        )
        for span in row.spans
    ]


def watched(name: str) -> tuple[Timeline, list[PyTorchJob]]:
    """Return what is made of a job as a real operator has told of it."""
    states = RECORDED[name]
    created = states[1]["status"]["conditions"][0]["lastTransitionTime"]
    jobs = [a_job(1, created, state["status"], **(state["runPolicy"] or {})) for state in states]
    seen = Timeline(jobs[0])
    for job in jobs:
        seen.see_job(job, datetime.fromisoformat(created))
    return seen, jobs


def lengths(row: Row) -> list[tuple[str, float | None]]:
    return [
        (span.kind, None if span.end is None else (span.end - span.start).total_seconds())
        for span in row.spans
    ]


@pytest.mark.parametrize(
    ("name", "lasted"),
    [
        ("success", [("scheduling", 2), ("succeeded", 2)]),
        (
            "suspend-resume",
            [
                ("scheduling", 1),
                ("stopped", 1),
                ("suspended", 3),
                ("scheduling", 1),
                ("running", None),
            ],
        ),
        ("created-suspended", [("suspended", 1), ("scheduling", None)]),
        ("exitcode-retryable", [("scheduling", 1), ("failed", 1), ("succeeded", 3)]),
        ("onfailure-restarts-backoff", [("scheduling", 1), ("failed", 2)]),
        ("deadline", [("scheduling", 1), ("failed", 7)]),
        ("exitcode-permanent", [("scheduling", 1), ("failed", 2)]),
    ],
)
def test_what_a_real_operator_tells(name: str, lasted: list[tuple[str, float | None]]) -> None:
    """The changes of the recorded statuses become spans; nothing that was seen is lost."""
    seen, _ = watched(name)

    job, *_ = seen.rows(datetime(2027, 1, 1, tzinfo=UTC))

    assert lengths(job) == lasted


def test_a_job_that_is_seen_late_is_told_as_far_as_it_is_known() -> None:
    """Of a suspended job that ran, nothing but its start is left."""
    _, jobs = watched("suspend-resume")
    suspended = next(job for job in jobs if job.status.state == "Suspended")
    seen = Timeline(suspended)
    seen.see_job(suspended, at(0))

    job, *_ = seen.rows(datetime(2027, 1, 1, tzinfo=UTC))

    assert lengths(job) == [("stopped", 2), ("suspended", None)]


def seen_of(job: PyTorchJob, pods: Sequence[Pod], now: float = 100) -> Timeline:
    seen = Timeline(job)
    seen.see_job(job, at(now))
    for pod in pods:
        seen.see_pod(pod, at(now))
    return seen


def test_the_life_of_a_replica() -> None:
    """It waits for a node, for its image, and runs."""
    pod = a_pod(scheduled=4, phase="Running", **running(9))
    pulled = Event.from_wire(
        {
            "metadata": {"uid": "e"},
            "reason": "Pulled",
            "message": "Successfully pulled image in 4 s",
            "involvedObject": {"kind": "Pod", "name": "j-master-0", "uid": "master-0"},
            "firstTimestamp": wire_time(8),
            "lastTimestamp": wire_time(8),
        }
    )
    seen = seen_of(a_job(status={"startTime": wire_time(1), "conditions": []}), [pod])
    seen.see_events([pulled, pulled])

    job, master = seen.rows(at(100))

    assert told(master) == [("scheduling", 1, 4), ("preparing", 4, 9), ("running", 9, None)]
    assert [(mark.kind, mark.at) for mark in master.marks] == [
        ("scheduled", at(4)),
        ("pulled", at(8)),
        ("started", at(9)),
    ]
    assert told(job)[:2] == [("queued", 0, 1), ("scheduling", 1, 4)]


def test_earlier_runs_are_remembered() -> None:
    """A container tells of its last run only; those before were seen."""
    seen = Timeline(a_job())
    seen.see_pod(a_pod(scheduled=1, phase="Running", **running(2)), at(3))
    first, second = ended(2, 5, 1), ended(6, 6, 1, number=1)
    seen.see_pod(a_pod(scheduled=1, phase="Running", **running(6, 1, first)), at(6))
    seen.see_pod(a_pod(scheduled=1, phase="Running", **running(9, 2, second)), at(9))

    _, master = seen.rows(at(20))

    assert told(master) == [
        ("preparing", 1, 2),
        ("failed", 2, 5),
        ("backoff", 5, 6),
        ("failed", 6, 6),
        ("backoff", 6, 9),
        ("running", 9, None),
    ]
    assert [mark.kind for mark in master.marks] == [
        "scheduled",
        "started",
        "restarted",
        "restarted",
    ]
    assert "exit code 1" in master.spans[1].title


def test_two_runs_within_one_second_are_two() -> None:
    """What crashes at once is started again at once."""
    seen = Timeline(a_job())
    seen.see_pod(a_pod(scheduled=1, phase="Running", **running(2)), at(2))
    seen.see_pod(a_pod(scheduled=1, phase="Running", **running(2, 1, ended(2, 2, 1))), at(3))

    _, master = seen.rows(at(9))

    assert told(master)[1:] == [("failed", 2, 2), ("running", 2, None)]


def test_pods_that_the_operator_deletes_stay_where_they_were_seen() -> None:
    """At the limit of restarts it deletes them all; what ran has been stopped then."""
    seen = Timeline(a_job(1))
    seen.see_job(a_job(1, status={"conditions": conditions(Created=1, Running=2)}), at(2))
    seen.see_pod(a_pod("master-0", scheduled=1, phase="Running", **running(2)), at(3))
    crashed: dict[str, Any] = {
        "restartCount": 1,
        "state": {"waiting": {"reason": "CrashLoopBackOff"}},
    }
    pod = a_pod("worker-0", scheduled=1, phase="Running", **crashed, lastState=ended(2, 4, 1))
    seen.see_pod(pod, at(4))
    status = {"conditions": conditions(Created=1, Running=(2, "False", ""), Failed=8)}
    over = a_job(1, status=status, cleanPodPolicy="Running")
    seen.see_job(over, at(8))

    job, master, worker = seen.rows(at(20))

    assert told(job)[-1] == ("failed", 2, 8)
    assert told(master)[-1] == ("stopped", 2, 8)
    assert told(worker)[-2:] == [("failed", 2, 4), ("backoff", 4, 8)]


def test_a_worker_may_outlive_its_job() -> None:
    """Where nothing is cleaned up, a replica that still runs does so."""
    status = {"conditions": conditions(Created=1, Running=(2, "False", ""), Succeeded=8)}
    pods = [a_pod("worker-0", scheduled=1, phase="Running", **running(2))]

    *_, worker = seen_of(a_job(1, status=status, cleanPodPolicy="None"), pods).rows(at(20))

    assert told(worker)[-1] == ("running", 2, None)


def test_a_replica_that_is_made_again_has_one_row() -> None:
    """The operator deletes a pod that was killed and makes another of its name."""
    seen = Timeline(a_job())
    seen.see_pod(a_pod(scheduled=1, phase="Running", uid="a", **running(2)), at(3))
    seen.see_pod(a_pod(created=7, scheduled=8, phase="Running", uid="b", **running(9)), at(9))

    _, master = seen.rows(at(20))

    assert told(master) == [
        ("preparing", 1, 2),
        ("stopped", 2, 7),
        ("scheduling", 7, 8),
        ("preparing", 8, 9),
        ("running", 9, None),
    ]
    assert master.marks[-1].kind == "restarted"


def test_suspension_ends_what_ran() -> None:
    """Also if the pods were not seen to go."""
    pods = [a_pod(scheduled=1, phase="Running", **running(2))]
    conditions_ = conditions(Created=1, Running=(6, "False", "PyTorchJobSuspended"), Suspended=6)
    status = {"startTime": wire_time(1), "conditions": conditions_}

    job, master = seen_of(a_job(status=status), pods).rows(at(20))

    assert told(job)[-1] == ("suspended", 6, None)
    assert told(master)[-1] == ("stopped", 2, 6)


def test_what_runs_and_fails_within_a_second_is_told_once() -> None:
    """Also if a condition tells that it ran, at the very moment of its end."""
    pods = [a_pod(scheduled=1, phase="Failed", state=ended(1, 2, 1))]
    conditions_ = conditions(Created=1, Running=(2, "False", "PyTorchJobRunning"), Failed=2)
    status = {"startTime": wire_time(1), "conditions": conditions_}

    job, _ = seen_of(a_job(status=status), pods).rows(at(20))

    assert told(job) == [("queued", 0, 1), ("failed", 1, 2)]


def test_an_evicted_pod_has_ended() -> None:
    """It has no containers any more, and nobody says when they ended."""
    seen = Timeline(a_job())
    seen.see_pod(a_pod(scheduled=1, phase="Running", **running(2)), at(3))
    seen.see_pod(a_pod(phase="Failed"), at(9))

    _, master = seen.rows(at(20))

    assert told(master)[-1] == ("failed", 2, 9)
    assert master.marks[-1].kind == "ended"


def test_a_deleted_job_has_ended() -> None:
    """And its replicas with it."""
    seen = seen_of(a_job(), [a_pod(scheduled=1, phase="Running", **running(2))])
    seen.see_gone(at(30))

    assert [row.spans[-1].end for row in seen.rows(at(99))] == [at(30), at(30)]


def test_all_replicas_run_when_the_last_has_started() -> None:
    """One that has never run keeps the others waiting."""
    pods = [a_pod("master-0", phase="Running", **running(3))]
    seen = seen_of(a_job(1), pods)
    assert seen.all_ran is None

    seen.see_pod(a_pod("worker-0", phase="Running", **running(7)), at(9))

    assert seen.all_ran == at(7)


def test_warnings_are_marked_once_for_each_time_they_are_said() -> None:
    """Events come again and again; the same one has a higher count when it happened again."""
    seen = Timeline(a_job())

    def said(count: int, second: int) -> Event:
        return Event.from_wire(
            {
                "metadata": {"uid": "e"},
                "type": "Warning",
                "reason": "BackOff",
                "message": "again",
                "count": count,
                "lastTimestamp": wire_time(second),
                "involvedObject": {"name": "j-master-0"},
            }
        )

    for event in (said(1, 3), said(1, 3), said(2, 5), said(2, 5)):
        seen.see_events([event])

    _, master = seen.rows(at(9))
    assert [mark.at for mark in master.marks] == [at(3), at(5)]
    assert master.marks[0].title == "BackOff: again"


SECONDS = st.integers(-5, 60)
CONDITIONS = st.dictionaries(
    st.sampled_from(["Created", "Running", "Restarting", "Suspended", "Succeeded", "Failed"]),
    st.tuples(
        SECONDS, st.sampled_from(["True", "False"]), st.sampled_from(["", "PyTorchJobSuspended"])
    ),
)
JOBS = st.builds(
    lambda found, start, policy: a_job(
        1,
        status={"conditions": conditions(**found)} | ({"startTime": wire_time(start)}),
        cleanPodPolicy=policy,
    ),
    CONDITIONS,
    SECONDS,
    st.sampled_from(["None", "Running", "All"]),
)
ENDS = st.builds(ended, SECONDS, SECONDS, st.sampled_from([0, 1, 143]), st.integers(0, 3))
STATES = st.one_of(
    st.builds(running, SECONDS, st.integers(0, 3), st.none() | ENDS),
    st.builds(
        lambda end, count, last: {"state": end, "restartCount": count, "lastState": last},
        ENDS | st.just({"waiting": {"reason": "CrashLoopBackOff"}}),
        st.integers(0, 3),
        st.just({}) | ENDS,
    ),
    st.just({}),
)
PODS = st.builds(
    lambda replica, created, scheduled, phase, uid, state: a_pod(
        replica, created, scheduled, phase, f"{replica}-{uid}", **state
    ),
    st.sampled_from(["master-0", "worker-0", "worker-7"]),
    SECONDS,
    SECONDS | st.none(),
    st.sampled_from(["Pending", "Running", "Succeeded", "Failed", "Unknown"]),
    st.integers(0, 2),
    STATES,
)


@given(st.lists(st.tuples(JOBS | PODS, st.booleans())), SECONDS, st.booleans())
def test_no_order_of_times_breaks_a_row(
    seen_things: list[tuple[PyTorchJob | Pod, bool]], now: int, gone: bool
) -> None:
    """Whatever clocks say, spans follow each other, none is negative, only the last goes on."""
    seen = Timeline(a_job(1))
    for thing, deleted in seen_things:
        if isinstance(thing, Pod):
            seen.see_pod(thing, at(now), deleted=deleted)
        else:
            seen.see_job(thing, at(now))
    if gone:
        seen.see_gone(at(now))

    rows = seen.rows(at(now))

    assert [row.name for row in rows][:3] == ["job", "master-0", "worker-0"]
    for row in rows:
        assert all(span.end is not None for span in row.spans[:-1])
        assert all(span.start <= (span.end or at(now)) <= at(now) for span in row.spans)
        for before, after in pairwise(row.spans):
            assert before.end is not None
            assert before.end <= after.start
        assert [mark.at for mark in row.marks] == sorted(mark.at for mark in row.marks)
