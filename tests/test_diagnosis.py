"""From replicas and the ends of their logs to what went wrong."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from pyjob_magic.diagnosis import (
    Diagnosis,
    blamed,
    diagnose,
    exit_code,
    failed,
    failed_first,
    how,
)
from pyjob_magic.models import Event, Pod, PyTorchJob
from pyjob_magic.models.pod import ContainerState, StateTerminated
from tests.data import read

RESET = "RuntimeError: [../gloo/transport/tcp/pair.cc:547] Connection closed by peer [127.0.0.1]"


def a_pod(
    replica: str, code: int | None, finished: str = "2026-01-01T00:00:05Z", **end: Any
) -> Pod:
    kind, index = replica.split("-")
    terminated = {"exitCode": code, "finishedAt": finished, "reason": "Error", **end}
    state = {"running": {}} if code is None else {"terminated": terminated}
    return Pod.from_wire(
        {
            "metadata": {
                "name": f"job-{replica}",
                "labels": {
                    "training.kubeflow.org/replica-type": kind,
                    "training.kubeflow.org/replica-index": index,
                },
            },
            "spec": {"containers": []},
            "status": {
                "phase": "Running" if code is None else "Failed" if code else "Succeeded",
                "containerStatuses": [{"name": "pytorch", "state": state}],
            },
        }
    )


def test_the_earliest_failure_counts() -> None:
    """Times are compared, not the order of the replicas."""
    pods = [
        a_pod("master-0", 1, "2026-01-01T00:00:09Z"),
        a_pod("worker-0", 1, "2026-01-01T00:00:05Z"),
        a_pod("worker-1", 0, "2026-01-01T00:00:01Z"),
        a_pod("worker-2", None),
    ]

    first = failed_first(pods, {})

    assert first
    assert first.replica == "worker-0"


@pytest.mark.parametrize("finished", ["2026-01-01T00:00:05Z", "2026-01-01T00:00:06Z"])
def test_who_lost_a_peer_is_not_the_first(finished: str) -> None:
    """Replicas that complain of a closed connection died because of another one."""
    pods = [a_pod("master-0", 1), a_pod("worker-0", 1, finished)]
    logs = {"job-master-0": RESET, "job-worker-0": "ValueError: bad shape"}

    first = failed_first(pods, logs)

    assert first
    assert first.replica == "worker-0"


def test_who_was_stopped_has_not_failed() -> None:
    """Replicas that the operator removes after a failure end by a signal, in the same second."""
    stopped = a_pod("master-0", 143)
    stopped.metadata.deletion_timestamp = "2026-01-01T00:00:05Z"

    assert failed([stopped, a_pod("worker-0", 1)]) == [a_pod("worker-0", 1)]


def test_a_restarted_replica_has_failed_before() -> None:
    """The exit code of the last run counts where this one was only stopped."""
    pod = a_pod("master-0", 143)
    assert pod.status.container_statuses
    last = ContainerState(terminated=StateTerminated(exit_code=7))
    pod.status.container_statuses[0].last_state = last
    pod.metadata.deletion_timestamp = "2026-01-01T00:00:05Z"

    assert exit_code(pod) == 7


def an_event(kind: str, name: str, reason: str, message: str) -> Event:
    obj = {"kind": kind, "name": name}
    wire = {"involvedObject": obj, "reason": reason, "message": message, "type": "Warning"}
    return Event.from_wire(wire)


EXITED = [
    an_event("PyTorchJob", "j", "ExitedWithCode", "Pod: ns.j-master-0 exited with code 0"),
    an_event("PyTorchJob", "j", "ExitedWithCode", "Pod: ns.j-worker-1 exited with code 3"),
    an_event("PyTorchJob", "j", "ExitedWithCode", "Pod: ns.j-worker-0 exited with code 1"),
]
BACK_OFF = [an_event("Pod", "j-worker-2", "BackOff", "Back-off restarting failed container")]


@pytest.mark.parametrize(
    ("events", "found"),
    [
        (EXITED, ("worker-1", "exited with code 3")),
        (BACK_OFF, ("worker-2", "failed again and again")),
        (EXITED[:1], None),
    ],
)
def test_events_tell_who_failed_where_no_replica_is_left(
    events: list[Event], found: tuple[str, str] | None
) -> None:
    """The operator removes replicas, what it said of them stays."""
    assert blamed(events, "j") == found


def test_without_a_failure_nobody_is_named() -> None:
    """A job can fail without any replica to blame."""
    assert failed_first([a_pod("master-0", None), a_pod("worker-0", 0)], {}) is None


@pytest.mark.parametrize(
    ("pod", "text"),
    [
        (a_pod("master-0", 3), "exited with code 3"),
        (a_pod("master-0", 139), "was ended by SIGSEGV, exit code 139"),
        (
            a_pod("master-0", 137, reason="OOMKilled"),
            "was ended by SIGKILL (OOMKilled), exit code 137",
        ),
        (a_pod("master-0", 255), "exited with code 255"),
        (
            Pod.from_wire(
                {
                    "spec": {"containers": []},
                    "status": {"phase": "Failed", "reason": "Evicted", "message": "no room"},
                }
            ),
            "never ran: Evicted: no room",
        ),
    ],
)
def test_how_a_replica_failed(pod: Pod, text: str) -> None:
    """Exit codes above 128 are signals."""
    assert how(pod) == text


NOW = datetime(2026, 11, 23, 12, 0, tzinfo=UTC)
LOGS = Path(__file__).parent / "data" / "logs"
FAILED = "PyTorchJob j is failed because 1 Worker replica(s) failed."


def a_job(message: str = "", state: str = "Failed", age: int = 300, **policy: Any) -> PyTorchJob:
    container = {"name": "pytorch", "image": "team/train:1"}
    spec = {"replicas": 1, "template": {"spec": {"containers": [container]}}}
    conditions = [{"type": state, "status": "True", "message": message}] if message else None
    created = (NOW - timedelta(seconds=age)).isoformat()
    return PyTorchJob.from_wire(
        {
            "metadata": {"name": "job", "creationTimestamp": created},
            "spec": {"pytorchReplicaSpecs": {"Master": spec, "Worker": spec}, "runPolicy": policy},
            "status": {"conditions": conditions},
        }
    )


def recorded(name: str) -> str:
    """Return what a real replica has printed."""
    return (LOGS / f"{name}.txt").read_text()


def after_failure(log: str, code: int = 1, **end: Any) -> Diagnosis:
    """Return what is said of a job whose worker-0 has failed with this log."""
    found = diagnose(
        a_job(FAILED), [a_pod("worker-0", code, **end)], [], {"job-worker-0": log}, NOW
    )
    assert found
    assert found.replica == "worker-0"
    return found


@pytest.mark.parametrize(
    ("name", "line", "says", "advice"),
    [
        (
            "value-error",
            7,
            "worker-0 exited with code 1: ValueError: no such file "
            '(line 7 of the cell: if mode=="raise": raise ValueError("no such file"))',
            "",
        ),
        ("data-loader", 7, "ValueError: bad sample 3 (line 7 of the cell: if i==3:", ""),
        ("gloo-timeout", 10, "waited in vain for another replica: a collective", "same calls"),
        ("lost-peer", 10, "it lost its connection to another replica (line 10", "logs job"),
        ("no-clients", 5, "waited in vain for the others: 1 of 2 processes came", "same calls"),
        ("no-master", 5, "worker-0 could not reach the Master", "--replica master-0"),
        ("torchrun", 7, "exited with code 1: ValueError: no such file (line 7", ""),
        ("torchrun-killed", None, "process of rank 0 in worker-0 was ended by SIGKILL", "--memory"),
        ("bus-error", 10, "ran out of shared memory (/dev/shm) (line 10", "--shm-size"),
    ],
)
def test_what_real_programs_printed_is_understood(
    name: str, line: int | None, says: str, advice: str
) -> None:
    """Recorded with PyTorch: what happened, the line of the cell, and what to do."""
    found = after_failure(recorded(name))

    assert says in found.summary
    assert advice in found.advice
    assert found.cell_line == line
    assert "[rank" not in found.traceback
    assert "ChildFailedError" not in found.traceback


NCCL = (
    "[rank0]:[E1124 10:00:00 ProcessGroupNCCL.cpp:616] [Rank 0] Watchdog caught collective "
    "operation timeout: WorkNCCL(SeqNum=7, OpType=ALLREDUCE, NumelIn=1, NumelOut=1, "
    "Timeout(ms)=600000) ran for 600029 milliseconds before timing out.\n"
    "terminate called after throwing an instance of 'c10::DistBackendError'\n"
)


@pytest.mark.parametrize(
    ("log", "code", "end", "says", "advice"),
    [
        (NCCL, 134, {}, "waited in vain for another replica", "timeout=..."),
        (
            "",
            137,
            {"reason": "OOMKilled", "message": "used 201Mi of 200Mi allowed"},
            "worker-0 was ended because it used 201Mi of memory, of 200Mi allowed (OOMKilled)",
            "--memory",
        ),
        ("", 137, {"reason": "OOMKilled"}, "used more than its share of memory", "--memory"),
        (
            "torch.OutOfMemoryError: CUDA out of memory. Tried to allocate 20.00 GiB. GPU 0 has "
            "a total capacity of 15.77 GiB of which 14.50 GiB is free.",
            1,
            {},
            "worker-0 ran out of GPU memory: it asked for 20.00 GiB more",
            "smaller batches",
        ),
        ("RuntimeError: No CUDA GPUs are available", 1, {}, "found none", "--gpus 1"),
        ("", 135, {}, "ran out of shared memory", "--shm-size"),
        ("ModuleNotFoundError: No module named 'einops'", 1, {}, "no package 'einops'", "--image"),
        ("", 139, {}, "was ended by SIGSEGV, exit code 139: a library", "PYTHONFAULTHANDLER"),
        ("", 137, {}, "was ended by SIGKILL, exit code 137: from outside", "--memory"),
        ("", 143, {}, "was ended by SIGTERM, exit code 143: it was told", "--restart-policy"),
        (
            "(no log: kubernetes refused to read the log of job-worker-0 (403): not you)",
            1,
            {},
            "worker-0 exited with code 1; its log, which would tell why, may not be read",
            "get pods/log",
        ),
        (
            "",
            128,
            {
                "reason": "StartError",
                "message": 'exec: "python3": executable file not found in $PATH: unknown',
            },
            "its image has no program 'python3'",
            "--image",
        ),
    ],
)
def test_failures_without_a_traceback(
    log: str, code: int, end: dict[str, Any], says: str, advice: str
) -> None:
    """What the cluster says, or the last lines, tell what happened and which option to change."""
    found = after_failure(log, code, **end)

    assert says in found.summary
    assert advice in found.advice


def test_a_traceback_that_was_survived_is_not_the_reason() -> None:
    """A program that logs an exception, goes on and is killed has not died of it."""
    found = after_failure(recorded("value-error"), 137)

    assert "ValueError" not in found.summary
    assert found.traceback == ""


def test_code_that_was_not_in_a_cell_has_its_own_lines() -> None:
    """Submitted from Python there is no line of a magic above the code."""
    log = {"job-worker-0": recorded("value-error")}
    found = diagnose(a_job(FAILED), [a_pod("worker-0", 1)], [], log, NOW, below_magic=False)

    assert found
    assert "(line 6 of the code: " in found.summary


def test_the_one_rank_that_raised_is_named_not_those_that_hang_or_lost_it() -> None:
    """Whether others lost their connection or waited in vain, the exception counts."""
    logs = {
        "job-master-0": recorded("lost-peer"),
        "job-worker-0": recorded("gloo-timeout"),
        "job-worker-1": recorded("value-error"),
    }
    pods = [a_pod(replica, 1) for replica in ("master-0", "worker-0", "worker-1")]

    found = diagnose(a_job(FAILED), pods, [], logs, NOW)

    assert found
    assert found.replica == "worker-1"
    assert found.traceback.endswith("ValueError: no such file")


def test_an_evicted_replica_is_told_apart() -> None:
    """What the node was short of is named."""
    pod = a_pod("worker-0", 1)
    pod.status.container_statuses = None
    pod.status.reason = "Evicted"
    pod.status.message = "The node was low on resource: memory. Threshold quantity: 100Mi."

    found = diagnose(a_job(FAILED), [pod], [], {}, NOW)

    assert found
    assert found.summary == "worker-0 was removed from its node, which ran low on memory (Evicted)"
    assert "--memory" in found.advice


DEADLINE = "Job job has failed because it was active longer than specified deadline"
BACKOFF = "Job job has failed because it has reached the specified backoff limit"


def test_limits_are_named_with_what_went_before() -> None:
    """Alone they say what to change; after a failure that comes first."""
    late, often = a_job(DEADLINE, activeDeadlineSeconds=60), a_job(BACKOFF, backoffLimit=3)
    short = an_event("Pod", "job-worker-0", "FailedScheduling", f"{NODES} 4 Insufficient cpu.")

    assert str(diagnose(late, [], [], {}, NOW)) == (
        "the job had not ended after 60 s and was stopped; give it more time with --timeout"
    )
    waited = str(diagnose(late, [], [short], {}, NOW))
    assert "60 s and was stopped; before that worker-0 waits for room: of 4 nodes 4 have" in waited
    failed_often = diagnose(often, [], BACK_OFF_OF_JOB, {"job-worker-2": "KeyError: 'x'"}, NOW)
    assert failed_often
    assert failed_often.replica == "worker-2"
    assert "failed as often as --backoff-limit 3 allows" in failed_often.summary


BACK_OFF_OF_JOB = [an_event("Pod", "job-worker-2", "BackOff", "Back-off restarting")]
NODES = "0/4 nodes are available:"
PULL = 'failed to pull and unpack image "docker.io/team/train:1": failed to resolve reference'


def a_pending_pod(*waiting: str, init: str = "", node: str | None = "n") -> Pod:
    """Return worker-0, which waits for "reason: message", after `init` has started."""
    pod = a_pod("worker-0", None)
    pod.status.phase = "Pending"
    pod.metadata.creation_timestamp = (NOW - timedelta(seconds=300)).isoformat()
    pod.spec.node_name = node
    wire = [
        {"name": "pytorch", "state": {"waiting": dict(zip(("reason", "message"), w, strict=True))}}
        for w in (text.split(": ", 1) for text in waiting)
    ]
    inits = [{"name": "init-pytorch", "state": {"running": {}}}] if init else None
    status = {"phase": "Pending", "containerStatuses": wire, "initContainerStatuses": inits}
    pod.status = type(pod.status).from_wire(status)
    return pod


def while_waiting(pod: Pod | None, *events: Event, **job: Any) -> Diagnosis | None:
    return diagnose(a_job(**job), [pod] if pod else [], events, {}, NOW)


@pytest.mark.parametrize(
    ("waiting", "says", "advice"),
    [
        (f"ErrImagePull: {PULL}: docker.io/team/train:1: not found", "no such image", "--image"),
        (
            f"ErrImagePull: {PULL}: unexpected status from HEAD request to https://r: 401 "
            "Unauthorized",
            "worker-0 may not pull the image 'team/train:1'",
            "--pull-secret",
        ),
        (
            f"ErrImagePull: {PULL}: unexpected status: 403 Forbidden",
            "may not pull",
            "--pull-secret",
        ),
        (
            f"ErrImagePull: {PULL}: pull access denied, repository does not exist or may require "
            "authorization: server message: insufficient_scope: authorization failed",
            "may not pull",
            "--pull-secret",
        ),
        (f"ErrImagePull: {PULL}: dial tcp: lookup r: no such host", "no such host", "--image"),
        ('ImagePullBackOff: Back-off pulling image "team/train:1"', "cannot pull", "events job"),
        (
            'CreateContainerConfigError: configmap "conf" not found',
            "worker-0 cannot start: the configmap 'conf' that the job uses does not exist",
            "--mount",
        ),
        (
            "CreateContainerConfigError: couldn't find key TOKEN in Secret ns/hub",
            "has no key TOKEN",
            "--mount",
        ),
    ],
)
def test_containers_that_cannot_start(waiting: str, says: str, advice: str) -> None:
    """The messages of kubelet and containerd become a sentence with the option to change."""
    found = while_waiting(a_pending_pod(waiting))

    assert found
    assert says in found.summary
    assert advice in found.advice
    assert found.replica == "worker-0"


def a_pod_event(reason: str, message: str) -> Event:
    return an_event("Pod", "job-worker-0", reason, message)


def test_a_missing_pull_secret_is_named() -> None:
    """It is why the registry asks for credentials; without it the pull may work all the same."""
    lacking = a_pod_event(
        "FailedToRetrieveImagePullSecret",
        "Unable to retrieve some image pull secrets (regcred); attempting to pull the image may "
        "not succeed.",
    )
    stuck = a_pending_pod(f"ErrImagePull: {PULL}: 401 Unauthorized")

    found = while_waiting(stuck, lacking)

    assert found
    assert "there is no Secret regcred" in found.summary
    assert while_waiting(a_pending_pod("ContainerCreating: "), lacking) is None


@pytest.mark.parametrize(
    ("reason", "message", "says", "advice"),
    [
        (
            "FailedMount",
            'MountVolume.SetUp failed for volume "c" : configmap "conf" not found',
            "the configmap 'conf' that the job uses does not exist",
            "--mount",
        ),
        (
            "FailedMount",
            'MountVolume.SetUp failed for volume "s" : secret "hub" not found',
            "the secret 'hub' that the job uses does not exist",
            "--mount",
        ),
        (
            "FailedAttachVolume",
            'Multi-Attach error for volume "pvc-1" Volume is already used by pod(s) other-0',
            "the volume pvc-1, which is in use on another node",
            "--mount",
        ),
        (
            "FailedMount",
            "Unable to attach or mount volumes: unmounted volumes=[data]: timed out",
            "a volume cannot be mounted: Unable to attach",
            "--mount",
        ),
    ],
)
def test_volumes_that_cannot_be_mounted(reason: str, message: str, says: str, advice: str) -> None:
    """Only the events tell; what is over when the replica runs is not told."""
    event = a_pod_event(reason, message)

    found = while_waiting(a_pending_pod("ContainerCreating: "), event)

    assert found
    assert says in found.summary
    assert advice in found.advice
    assert while_waiting(a_pod("worker-0", None), event) is None


@pytest.mark.parametrize(
    ("message", "says", "advice"),
    [
        (
            f"{NODES} 1 node(s) had untolerated taint {{gpu: only}}, 3 Insufficient nvidia.com/gpu."
            " preemption: 0/4 nodes are available: 4 No preemption victims found.",
            "worker-0 waits for room: of 4 nodes 1 has a taint that the job does not tolerate "
            "(gpu: only), 3 have not enough free GPUs (nvidia.com/gpu)",
            "--gpus or --workers, or wait",
        ),
        (f"{NODES} 4 Insufficient memory.", "of 4 nodes 4 have not enough free memory", "--memory"),
        (
            f"{NODES} 4 node(s) didn't match Pod's node affinity/selector.",
            "4 have not the labels that the job asks for",
            "--node-selector",
        ),
        (
            f'{NODES} persistentvolumeclaim "data" not found.',
            "the persistentvolumeclaim 'data' that the job uses does not exist",
            "--mount",
        ),
        ("no nodes available to schedule pods", "the cluster has no node", "ask who runs it"),
        (
            "0/1 nodes are available: waits for others to end: Insufficient nvidia.com/gpu: the "
            "job asks for 2, 1 of 2 are free",
            "not enough free GPUs (nvidia.com/gpu): the job asks for 2, 1 of 2 are free",
            "--gpus or --workers, or wait for others to end",
        ),
    ],
)
def test_what_is_short_and_on_how_many_nodes(message: str, says: str, advice: str) -> None:
    """The scheduler's counts become a sentence, without what preemption would gain."""
    found = while_waiting(a_pending_pod(node=None), a_pod_event("FailedScheduling", message))

    assert found
    assert says in found.summary
    assert "preemption" not in str(found)
    assert advice in found.advice


def test_a_real_unschedulable_pod() -> None:
    """An API server's own pod tells it without any event."""
    pod = Pod.from_wire(read("story/pod-read-unschedulable.json")["response"]["body"])

    found = while_waiting(pod)

    assert found
    assert "waits for room: the cluster has no node that takes replicas" in found.summary


def test_a_quota_that_is_exceeded() -> None:
    """The operator cannot create a replica: its event is all there is."""
    message = (
        'Error creating: pods "job-master-0" is forbidden: exceeded quota: team, requested: '
        "requests.nvidia.com/gpu=8, used: requests.nvidia.com/gpu=2, "
        "limited: requests.nvidia.com/gpu=4"
    )
    found = while_waiting(None, an_event("PyTorchJob", "job", "FailedCreatePod", message))

    assert found
    assert "the quota team of the namespace allows requests.nvidia.com/gpu=4, of" in found.summary
    assert "--gpus" in found.advice


@pytest.mark.parametrize(("age", "told"), [(59, False), (60, True)])
def test_an_operator_that_does_not_react(age: int, told: bool) -> None:
    """Without a state after a minute somebody should look whether it runs."""
    found = while_waiting(None, age=age)

    assert (found is not None) is told
    assert not found or "Kubeflow's training operator" in found.advice


def test_workers_that_wait_for_the_master() -> None:
    """Named after a minute; what keeps the Master from starting comes first."""
    worker = a_pending_pod("PodInitializing: ", init="runs")
    master = a_pod("master-0", None)
    master.status = a_pending_pod(f"ErrImagePull: {PULL}: not found").status

    alone = diagnose(a_job(), [worker], [], {}, NOW)
    both = diagnose(a_job(), [master, worker], [], {}, NOW)
    soon = diagnose(a_job(), [worker], [], {}, NOW - timedelta(seconds=280))

    assert alone
    assert alone.summary == "worker-0 waits for the Master, which has not started"
    assert both
    assert both.replica == "master-0"
    assert soon is None


def test_a_worker_that_gave_up_waiting_for_the_master() -> None:
    """Its init container failed, its own program never ran."""
    pod = a_pending_pod("PodInitializing: ", init="runs")
    assert pod.status.init_container_statuses
    ended = ContainerState(terminated=StateTerminated(exit_code=1))
    pod.status.init_container_statuses[0].state = ended
    pod.status.phase = "Failed"

    found = diagnose(a_job(FAILED), [pod], [], {}, NOW)

    assert found
    assert found.summary.startswith("worker-0 gave up waiting for the Master")


@pytest.mark.parametrize("state", ["Running", "Succeeded", "Suspended"])
def test_of_a_healthy_job_nothing_is_said(state: str) -> None:
    """Also not of one whose restarted replica runs again."""
    pod = a_pod("master-0", None)
    assert pod.status.container_statuses
    before = ContainerState(terminated=StateTerminated(exit_code=1))
    pod.status.container_statuses[0].last_state = before

    assert diagnose(a_job("m", state), [pod, a_pod("worker-0", None)], [], {}, NOW) is None


@pytest.mark.parametrize(
    ("recording", "says"),
    [
        ("deadline", "the job had not ended after 3 s and was stopped"),
        ("onfailure-restarts-backoff", "failed as often as --backoff-limit 3 allows"),
        ("fail-never", "worker-0 exited with code 1"),
        ("exitcode-permanent", "worker-0 exited with code 1"),
    ],
)
def test_what_a_real_operator_said_is_understood(recording: str, says: str) -> None:
    """Its last status and its events suffice where no replica is left."""
    life = read(f"lifecycles/{recording}.json")
    job = PyTorchJob.from_wire({**life["create"], "status": life["statuses"][-1]})
    events = [
        an_event("PyTorchJob", job.name, reason, message)
        for _, reason, message, _ in life["events"]
    ]

    found = diagnose(job, [], events, {}, NOW)

    assert found
    assert says in found.summary
