"""Replicas that failed: which one was the first, and why it did."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Self

from pyjob_magic.diagnosis.replicas import end, exit_code, failed, finished, how
from pyjob_magic.diagnosis.rules import Rule, Verdict, brief, judge
from pyjob_magic.diagnosis.tracebacks import Traceback, tracebacks
from pyjob_magic.models import Pod

# What a rank says that dies because another one has gone away, or did not come.
_LOST_PEER = (
    r"Connection (?:closed by|reset by) (?:remote )?peer|Broken pipe|recvValue failed"
    r"|DistNetworkError|DistStoreError|Socket Timeout|remote process exit"
    r"|ncclRemoteError|NCCL communicator was aborted"
)
# What it says when another one does not take part, which may still run.
_TIMED_OUT = (
    r"Timed out waiting \d+ms for (?:send|recv) operation"
    r"|Watchdog caught collective operation timeout"
)
# What torchrun says of a process of its own that a signal has ended.
_RANK_KILLED = r"Root Cause(?s:.*?)\brank +: (?P<rank>\d+) .*\n +exitcode +: -"
_LESS_MEMORY = "give it more with --memory, or use less: smaller batches, fewer DataLoader workers"
_LESS_GPU_MEMORY = "use smaller batches or mixed precision, or a GPU with more memory"
_EVERY_RANK = (
    "%pytorchjob logs {job} shows what each replica did last: every rank must make the same calls, "
    "and init_process_group(timeout=...) allows them more time"
)

FAILURES = (
    # -- what the cluster says of the container ----------------------------------------------
    Rule(
        r"OOMKilled.*\bused (?P<used>\S+) of (?P<allowed>\S+) allowed",
        "{replica} was ended because it used {used} of memory, of {allowed} allowed (OOMKilled)",
        _LESS_MEMORY,
    ),
    Rule(
        r"OOMKilled",
        "{replica} was ended because it used more than its {memory} of memory (OOMKilled)",
        _LESS_MEMORY,
    ),
    Rule(
        r"Evicted: The node was low on resource: (?P<resource>[\w-]+)",
        "{replica} was removed from its node, which ran low on {resource} (Evicted)",
        "reserve what it needs, as with --memory, so that it is put where there is enough",
    ),
    Rule(
        r"Evicted: (?P<why>.+)",
        "{replica} was removed from its node (Evicted): {why}",
        "run it again; --restart-policy OnFailure does so by itself",
    ),
    Rule(
        r"^init container init-pytorch ",
        "{replica} gave up waiting for the Master, which did not start in time",
        "see what kept the Master with %pytorchjob events {job}; then run it again",
    ),
    Rule(
        r'exec: \\?"(?P<program>[^"\\]+)\\?": (?:executable file not found|stat .*no such file)',
        "{replica} never ran: its image has no program {program!r}",
        "choose an --image with Python 3 and PyTorch",
    ),
    # -- what the program says ---------------------------------------------------------------
    Rule(
        r"CUDA out of memory\. Tried to allocate (?P<wanted>[\d.]+ \w+)",
        "{replica} ran out of GPU memory: it asked for {wanted} more{where}",
        _LESS_GPU_MEMORY,
    ),
    Rule(
        r"CUDA out of memory|CUDA error: out of memory|CUBLAS_STATUS_ALLOC_FAILED",
        "{replica} ran out of GPU memory{where}",
        _LESS_GPU_MEMORY,
    ),
    Rule(
        r"No CUDA GPUs are available|no NVIDIA driver|not compiled with CUDA enabled",
        "{replica} looked for a GPU and found none{where}",
        "ask for one with --gpus 1 and an --image with CUDA",
    ),
    Rule(
        r"[Bb]us error|SIGBUS|shared memory.*/dev/shm|out of shared memory"
        r"|No space left on device.*/(?:dev/shm|torch_)",
        "{replica} ran out of shared memory (/dev/shm){where}",
        "give it more with --shm-size (and --memory), or use fewer DataLoader workers",
    ),
    Rule(
        r"No space left on device",
        "{replica} ran out of disk space{where}",
        "write less, or to a volume: --mount pvc:NAME:/path",
    ),
    Rule(
        r"ModuleNotFoundError: No module named '(?P<module>[^']+)'",
        "{replica} has no package {module!r}{where}",
        "choose an --image that has it; on this machine %pip install it",
    ),
    Rule(
        _RANK_KILLED + r"\d+.*\(SIGKILL\)",
        "the process of rank {rank} in {replica} was ended by SIGKILL",
        "mostly that is for its memory: give it more with --memory",
    ),
    Rule(
        _RANK_KILLED + r"\d+.*\((?P<signal>SIG\w+)\)",
        "the process of rank {rank} in {replica} was ended by {signal}",
        "--env PYTHONFAULTHANDLER=1 lets Python say where",
    ),
    Rule(
        r"Timed out after \d+ seconds waiting for clients\. (?P<met>\d+)/(?P<all>\d+) clients",
        "{replica} waited in vain for the others: {met} of {all} processes came{where}",
        _EVERY_RANK,
    ),
    Rule(
        r"client socket has (?:timed out|failed)",
        "{replica} could not reach the Master{where}",
        "%pytorchjob logs {job} --replica master-0 shows what that did instead",
    ),
    Rule(
        _TIMED_OUT,
        "{replica} waited in vain for another replica: a collective operation timed out{where}",
        _EVERY_RANK,
    ),
    Rule(
        _LOST_PEER,
        "{replica} {how}: it lost its connection to another replica{where}",
        "%pytorchjob logs {job} shows which one stopped first",
    ),
    # -- how its process ended ---------------------------------------------------------------
    Rule(
        r"was ended by SIGKILL",
        "{replica} {how}: from outside, as when the machine is out of memory",
        "if it needs much memory, ask for that with --memory",
    ),
    Rule(
        r"was ended by (?:SIGTERM|SIGINT)",
        "{replica} {how}: it was told to stop",
        "run it again; --restart-policy ExitCode does so by itself",
    ),
    Rule(
        r"was ended by SIG(?:SEGV|ABRT|ILL|FPE)",
        "{replica} {how}: a library that is not Python crashed",
        "--env PYTHONFAULTHANDLER=1 lets Python say where",
    ),
    Rule(
        r"^\(no log: .*\(403",
        "{replica} {how}; its log, which would tell why, may not be read with these credentials",
        "%pytorchjob doctor shows the Role to ask for (get pods/log)",
    ),
)


@dataclass(frozen=True)
class Failure:
    """How a replica failed, and the end of its log.

    Parameters
    ----------
    replica, how
        Which, and how, such as ``exited with code 1``.
    code
        Its exit code, if that is known.
    log
        The end of its log.
    said
        What the cluster says of it, a line for each thing.
    facts
        What sentences may name beside.
    """

    replica: str
    how: str
    code: int | None = None
    log: str = ""
    said: Sequence[str] = ()
    facts: Mapping[str, str] = field(default_factory=dict)

    @classmethod
    def of(cls, pod: Pod, log: str) -> Self:
        """Return how `pod` failed; the end of its log is `log`."""
        ended = end(pod)
        said = [f"{pod.status.reason}: {pod.status.message}"] if pod.status.reason else []
        if ended and ended.message:
            said.append(f"{ended.reason}: {ended.message}")
        for init in pod.status.init_container_statuses or []:
            if init.state.terminated and init.state.terminated.exit_code:
                said.append(f"init container {init.name} failed")
        facts = {"memory": _limit(pod, "memory") or "share"}
        return cls(pod.replica, how(pod), exit_code(pod), log, said, facts)

    @cached_property
    def traceback(self) -> Traceback | None:
        """Where its program failed; None if it ended in another way.

        Of several the last counts, unless it complains of a lost peer: torchrun runs many ranks.
        """
        if self.code is not None and self.code >= 128:
            return None
        found = tracebacks(self.log)
        own = [each for each in found if not _because_of_another(each.exception)]
        return next(reversed(own or found), None)

    @property
    def evidence(self) -> str:
        """What speaks about the failure itself, not all that was ever printed."""
        told = [*self.traceback.exceptions] if self.traceback else []
        if not told or _because_of_another(told[0]):
            told.append(self.log)
        return "\n".join([self.how, *self.said, *told])

    @property
    def rank(self) -> int:
        """0 if it failed by itself, 1 if it waited in vain, 2 if another one had gone away."""
        killed = re.search(_RANK_KILLED, self.evidence)
        return 0 if killed else _because_of_another(self.evidence)

    def explain(self, job: str, where: str) -> Verdict:
        """Return what to say of it.

        Parameters
        ----------
        job
            Name of the job.
        where
            The line of the cell in brackets, if there is one.
        """
        facts = {"replica": self.replica, "how": self.how, "job": job, "where": where, **self.facts}
        if verdict := judge(FAILURES, self.evidence, facts):
            return verdict
        raised = f": {brief(self.traceback.exception)}" if self.traceback else ""
        return Verdict(f"{self.replica} {self.how}{raised}{where}")


def failed_first(pods: Sequence[Pod], log_ends: Mapping[str, str]) -> Pod | None:
    """Return the replica that failed by itself and first, or None if none failed.

    Parameters
    ----------
    pods
        The replicas of the job.
    log_ends
        The last lines of their logs, by name of the pod.

    When one rank dies the others lose their connection to it and die within milliseconds, while
    Kubernetes tells times in whole seconds. So those that complain of a lost peer come last.
    """
    return min(
        failed(pods),
        key=lambda pod: (Failure.of(pod, log_ends.get(pod.name, "")).rank, finished(pod)),
        default=None,
    )


def _because_of_another(evidence: str) -> int:
    if re.search(_LOST_PEER, evidence):
        return 2
    return int(bool(re.search(_TIMED_OUT, evidence)))


def _limit(pod: Pod, resource: str) -> str:
    """Return how much the container that trains may use; nothing if that is not limited."""
    for container in pod.spec.containers:
        if container.name == "pytorch" and container.resources:
            return str((container.resources.limits or {}).get(resource, ""))
    return ""
