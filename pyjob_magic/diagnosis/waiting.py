"""Jobs that wait: what keeps their replicas from running."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import datetime, timedelta

from pyjob_magic.diagnosis.replicas import failed
from pyjob_magic.diagnosis.rules import Rule, Verdict, brief, judge, some
from pyjob_magic.diagnosis.scheduling import explain_unschedulable
from pyjob_magic.models import Event, Pod, PyTorchJob

PATIENCE = timedelta(seconds=60)
"""How long nothing need happen before that is worth a word."""

_NO_IMAGE = r"(?:ErrImagePull|ImagePullBackOff|Failed): .*(?:pull|image).*"
_OTHER_IMAGE = "correct --image"

# Each is held against all that is said of a replica, a line "reason: message" for each thing.
WAITING = (
    # -- the image; source: kubelet and containerd ---------------------------------------------
    Rule(
        r"init container init-pytorch: (?:ErrImagePull|ImagePullBackOff|InvalidImageName)",
        "{who} cannot start: the image of the operator's own init container cannot be pulled",
        "ask who runs the cluster to set the operator's --pytorch-init-container-image",
    ),
    Rule(
        r"(?:ErrImagePull|ImagePullBackOff)(?s:.*)"
        r"FailedToRetrieveImagePullSecret: .*\((?P<secret>[^)]+)\)",
        "{who} cannot pull the image {image}: there is no Secret {secret} in this namespace",
        "create it, or name the right one with --pull-secret",
    ),
    Rule(
        _NO_IMAGE + r"(?:\b401\b|\b403\b|[Uu]nauthorized|denied|Forbidden|authorization failed)",
        "{who} may not pull the image {image}: the registry wants other credentials",
        "name a Secret that holds them with --pull-secret, or correct --image",
    ),
    Rule(
        _NO_IMAGE + r"(?:not found|manifest unknown|does not exist)",
        "{who} cannot pull the image {image}: the registry has no such image",
        _OTHER_IMAGE,
    ),
    Rule(
        _NO_IMAGE + r"(?:toomanyrequests|\b429\b)",
        "{who} cannot pull the image {image} now: the registry allows no more pulls for a while",
        "wait, or log in to it with --pull-secret",
    ),
    Rule(
        r"InvalidImageName: ",
        "{who} cannot start: {image} is no name of an image",
        _OTHER_IMAGE,
    ),
    Rule(
        r"(?:ErrImagePull: |Failed to pull image .*?: )(?P<why>.+)",
        "{who} cannot pull the image {image}: {why}",
        _OTHER_IMAGE,
    ),
    Rule(
        r"ImagePullBackOff",
        "{who} cannot pull the image {image}",
        "%pytorchjob events {job} shows why; correct --image or --pull-secret",
    ),
    # -- what is mounted; source: kubelet and kube-scheduler -------------------------------------
    Rule(
        r'(?P<kind>configmap|secret|persistentvolumeclaim) "(?P<name>[^"]+)" not found',
        "{who} cannot start: the {kind} {name!r} that the job uses does not exist",
        "create it in the job's namespace, or correct --mount",
    ),
    Rule(
        r"(?:couldn't find key (?P<key>\S+) in|references non-existent \w+ key: (?P<other>\S+))",
        "{who} cannot start: a ConfigMap or Secret that the job uses has no key {key}{other}",
        "add it, or correct --mount",
    ),
    Rule(
        r"unbound immediate PersistentVolumeClaims",
        "{who} waits for a volume: a PersistentVolumeClaim of the job has none yet",
        "ask who runs the cluster for one, or correct --mount",
    ),
    Rule(
        r"Multi-Attach error for volume \"(?P<volume>[^\"]+)\"",
        "{who} waits for the volume {volume}, which is in use on another node",
        "end what uses it, or --mount one that many nodes may use",
    ),
    Rule(
        r"(?:FailedMount|FailedAttachVolume): (?P<why>.+)",
        "{who} cannot start: a volume cannot be mounted: {why}",
        "correct --mount",
    ),
    Rule(
        r"(?:CreateContainerConfigError|CreateContainerError|RunContainerError): (?P<why>.+)",
        "{who} cannot start: {why}",
        "correct what it names; %pytorchjob events {job} shows more",
    ),
    # -- what the namespace allows; source: ResourceQuota, PodSecurity ---------------------------
    Rule(
        r"exceeded quota: (?P<quota>[^,]+), requested: (?P<asked>.+?), used: (?P<used>.+?), "
        r"limited: (?P<limit>.+)",
        "{who} cannot be created: the quota {quota} of the namespace allows {limit}, "
        "of which {used} is used, and {asked} more is asked for",
        "ask for less with --workers, --gpus, --cpu or --memory, or delete jobs that have ended",
    ),
    Rule(
        r"failed quota: (?P<quota>\S+): must specify (?P<what>.+)",
        "{who} cannot be created: the quota {quota} of the namespace wants to be told {what}",
        "say so with --cpu and --memory",
    ),
    Rule(
        r"FailedCreate\w+: (?:Error creating: )?(?P<why>.+)",
        "{who} cannot be created: {why}",
        "correct what it names; %pytorchjob events {job} shows more",
    ),
    # -- room ------------------------------------------------------------------------------------
    Rule(
        r"SchedulingGated",
        "{who} waits to be admitted, as by a queue",
        "wait, or choose another --queue",
    ),
    Rule(
        r"(?:Unschedulable|FailedScheduling): (?P<unschedulable>.*this machine can never run it.*)",
        "{who} can never run on this machine: ",
    ),
    Rule(r"(?:Unschedulable|FailedScheduling): (?P<unschedulable>.+)", "{who} waits for room: "),
    # -- each other ------------------------------------------------------------------------------
    Rule(
        r"init container init-pytorch runs",
        "{who} waits for the Master, which has not started",
        "wait; %pytorchjob events {job} shows what the Master does",
    ),
)


def explain_waiting(
    job: PyTorchJob, pods: Sequence[Pod], events: Sequence[Event], now: datetime
) -> tuple[str, Verdict] | None:
    """Return which replica waits, and for what; None if none does that need not.

    Parameters
    ----------
    job, pods, events
        The job, its replicas, and what was said about them, oldest first.
    now
        The time.
    """
    evidence = _evidence(job, pods, events, now)
    for rule in WAITING:
        if found := [
            replica for replica, text in evidence.items() if re.search(rule.evidence, text)
        ]:
            first = found[0]
            facts = {"who": some(name or "a replica" for name in found), "job": job.name}
            facts["image"] = _image(job, first)
            verdict = _apply(rule, evidence[first], facts)
            return first, verdict
    if not job.status.conditions and not pods and _waits_since(job, now):
        return "", _unheard(job)
    return None


def explain_event(job: PyTorchJob, events: Sequence[Event]) -> Verdict | None:
    """Return what kept replicas from running when they were last heard of, if anything did."""
    of_pods = (event for event in reversed(events) if event.involved_object.kind == "Pod")
    event = next((event for event in of_pods if event.type == "Warning"), None)
    if event is None:
        return None
    replica = (event.involved_object.name or "").removeprefix(f"{job.name}-")
    facts = {"who": replica, "job": job.name, "image": _image(job, replica)}
    found = (rule for rule in WAITING if re.search(rule.evidence, _told(event)))
    return next((_apply(rule, _told(event), facts) for rule in found), None) or Verdict(
        f"{replica}: {brief(event.message or '')}"
    )


def _apply(rule: Rule, evidence: str, facts: Mapping[str, str]) -> Verdict:
    verdict = judge([rule], evidence, facts)
    assert verdict is not None
    found = re.search(rule.evidence, evidence)
    if found and (message := found.groupdict().get("unschedulable")):
        why, advice = explain_unschedulable(message)
        return Verdict(verdict.says + why, advice)
    return verdict


def _evidence(
    job: PyTorchJob, pods: Sequence[Pod], events: Sequence[Event], now: datetime
) -> dict[str, str]:
    """Return what is said of each replica that does not run; of the job itself under no name."""
    over = {pod.name for pod in failed(pods)}
    stuck = {pod.name: pod for pod in pods if _is_stuck(pod) and pod.name not in over}
    said = {pod.replica: [*_states(pod, now)] for pod in stuck.values()}
    if len(pods) < job.spec.replicas:
        said[""] = []
    for event in reversed(events):
        about = event.involved_object
        pod = stuck.get(about.name or "")
        if event.type != "Warning":
            continue
        if pod and not (event.reason == "FailedScheduling" and pod.spec.node_name):
            said[pod.replica].append(_told(event))
        elif about.kind == "PyTorchJob" and "" in said and "FailedCreate" in (event.reason or ""):
            said[""].append(_told(event))
    return {replica: "\n".join(lines) for replica, lines in said.items()}


def _is_stuck(pod: Pod) -> bool:
    return pod.status.phase in (None, "Pending") and not pod.metadata.deletion_timestamp


def _states(pod: Pod, now: datetime) -> Iterator[str]:
    """Say what a pod says of itself."""
    for init in pod.status.init_container_statuses or []:
        if (waits := init.state.waiting) and waits.reason != "PodInitializing":
            yield f"init container {init.name}: {waits.reason}: {waits.message}"
        if init.state.running and _waits_since(pod, now):
            yield f"init container {init.name} runs"
    for container in pod.status.container_statuses or []:
        if waits := container.state.waiting:
            yield f"{waits.reason}: {waits.message}"
    for condition in pod.status.conditions or []:
        if condition.get("type") == "PodScheduled" and condition.get("status") == "False":
            yield f"{condition.get('reason')}: {condition.get('message')}"


def _told(event: Event) -> str:
    return f"{event.reason}: {event.message}"


def _image(job: PyTorchJob, replica: str) -> str:
    specs = {kind.lower(): spec for kind, spec in job.spec.pytorch_replica_specs.items()}
    spec = specs.get(replica.partition("-")[0]) or next(iter(specs.values()), None)
    containers: Iterable[str | None] = (
        (container.image for container in spec.template.spec.containers) if spec else ()
    )
    return repr(next(iter(containers), ""))


def _waits_since(of: PyTorchJob | Pod, now: datetime) -> bool:
    """Whether it was created so long ago that something should have happened."""
    created = of.metadata.creation_timestamp
    return created is not None and now - datetime.fromisoformat(created) >= PATIENCE


def _unheard(job: PyTorchJob) -> Verdict:
    """Return what to say of a job that nobody has taken up."""
    policy = job.spec.run_policy
    other = policy.managed_by if policy else None
    if other and other != "kubeflow.org/training-operator":
        return Verdict(f"the job waits for {other}, which is to run it, and is not taken up")
    return Verdict(
        "nobody has taken up the job: it has no replicas and no state after more than a minute",
        "ask who runs the cluster whether Kubeflow's training operator runs and watches this "
        "namespace; %pytorchjob doctor looks",
    )
