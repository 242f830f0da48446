"""What a person may say about a job: one list for the magic, its help, Tab and the Python API.

Each field of `JobOptions` and `CellOptions` is an option: how it is typed, what the help says and
how its value is read stand in one place. None means "not said", so that a manifest given with
``--from`` is changed only where something is said.

Plain dataclasses, not pydantic: ``%load_ext`` needs this list and should not cost 100 ms.
"""

from __future__ import annotations

import dataclasses
import difflib
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Self

from pyjob_magic import values
from pyjob_magic.errors import OptionError
from pyjob_magic.images import DEFAULT_IMAGE
from pyjob_magic.quantity import Quantity
from pyjob_magic.values import Mount, Toleration

RESTART_POLICIES = ("Never", "OnFailure", "Always", "ExitCode")
CLEAN_POD_POLICIES = ("Running", "All", "None")
DRY_RUNS = ("client", "server")
# Offered by Tab; any other will do.
_SIZES = ("1Gi", "4Gi", "16Gi", "64Gi")
_TIMES = ("30m", "2h", "1d")
_COUNTS = ("1", "2", "4", "8")


@dataclass(frozen=True)
class Option:
    """How an option is typed, read and explained.

    Parameters
    ----------
    help
        One sentence; what holds when it is not said comes in brackets.
    metavar
        The value in the help; empty for a switch without one.
    read
        Turns what was typed into the value; raises ValueError with what to type instead.
    write
        Turns a value, of those that may be said several times each, into what is typed for it.
    short
        A one-letter form, such as ``-w``.
    flag
        The long form where it is not the field's name.
    repeat
        Whether it may be said several times.
    choices
        Values that are known; offered by Tab.
    closed
        Whether no other values will do.
    """

    help: str
    metavar: str = ""
    read: Callable[[Any], Any] = str
    write: Callable[[Any], str] = str
    short: str = ""
    flag: str = ""
    repeat: bool = False
    choices: tuple[str, ...] = ()
    closed: bool = False


def _said(help: str, metavar: str = "", read: Callable[[Any], Any] = str, **typed: Any) -> Any:  # noqa: A002
    return dataclasses.field(
        default=None, metadata={"option": Option(help, metavar, read, **typed)}
    )


def _switch(help: str) -> Any:  # noqa: A002
    return _said(help, read=values.switch)


def _choice(help: str, metavar: str, choices: tuple[str, ...]) -> Any:  # noqa: A002
    return _said(help, metavar, values.one_of(choices), choices=choices, closed=True)


def _time(help: str, read: Callable[[Any], int]) -> Any:  # noqa: A002
    return _said(help, "TIME", read, write=values.duration, choices=_TIMES)


@dataclass(frozen=True, kw_only=True)
class JobOptions:
    """What a person may say about a job; every field is optional.

    Values may be given as typed (``workers="2"``) or as Python has them (``workers=2``).

    Raises
    ------
    OptionError
        If a value cannot be; it names the option as typed.
    """

    name: str | None = _said(
        "Name of the PyTorchJob, unique in its namespace (generated if empty).",
        "NAME",
        values.job_name,
    )
    workers: int | None = _said(
        "Worker replicas besides the Master (0).", "N", values.count(0), short="-w", choices=_COUNTS
    )
    gpus: int | None = _said("GPUs of each replica (0).", "N", values.count(0), choices=_COUNTS)
    gpu_resource: str | None = _said(
        "What the cluster calls a GPU (nvidia.com/gpu).",
        "NAME",
        values.resource,
        choices=("nvidia.com/gpu", "amd.com/gpu", "huawei.com/Ascend910"),
    )
    cpu: Quantity | None = _said(
        "CPUs of each replica, such as 2 or 500m (no limit).",
        "AMOUNT",
        values.cpu,
        choices=("500m", "1", "2", "4", "8"),
    )
    memory: Quantity | None = _said(
        "Memory of each replica, such as 4Gi (no limit).",
        "AMOUNT",
        values.byte_size,
        choices=_SIZES,
    )
    shm_size: Quantity | None = _said(
        "Size of /dev/shm, which DataLoader workers and NCCL use (no limit).",
        "AMOUNT",
        values.byte_size,
        choices=_SIZES,
    )
    image: str | None = _said(
        f"Container image ({DEFAULT_IMAGE}).", "IMAGE", values.image, choices=(DEFAULT_IMAGE,)
    )
    pull_secrets: list[str] | None = _said(
        "Secret to pull the image with.",
        "NAME",
        values.each(values.object_name),
        flag="--pull-secret",
        repeat=True,
    )
    restart_policy: str | None = _choice(
        "When to restart a replica that has ended (Never).", "POLICY", RESTART_POLICIES
    )
    backoff_limit: int | None = _said(
        "Runs of a failing container before the job fails; no effect with Never (3).",
        "N",
        values.count(0),
    )
    timeout: int | None = _time(
        "How long the job may run: 90, 90s, 30m or 2h (no limit).", values.positive_seconds
    )
    ttl: int | None = _time(
        "Delete the job this long after it has ended (keep it).", values.seconds
    )
    clean_pods: str | None = _choice(
        "Replicas to remove when the job has ended (Running).", "WHICH", CLEAN_POD_POLICIES
    )
    suspend: bool | None = _switch("Create the job suspended; %pytorchjob resume NAME starts it.")
    nproc_per_node: str | None = _said(
        "Processes in each replica, started by torchrun if not 1: N, auto, cpu or gpu (1).",
        "N",
        values.nproc,
        choices=(*_COUNTS, "auto", "cpu", "gpu"),
    )
    env: dict[str, str] | None = _said(
        "Environment variable of every replica.", "NAME=VALUE", values.environment, repeat=True
    )
    labels: dict[str, str] | None = _said(
        "Label of the job and its replicas.",
        "KEY=VALUE",
        values.labels,
        flag="--label",
        repeat=True,
    )
    annotations: dict[str, str] | None = _said(
        "Annotation of the job and its replicas.",
        "KEY=VALUE",
        values.annotation_pairs,
        flag="--annotation",
        repeat=True,
    )
    service_account: str | None = _said(
        "Service account of the replicas (default).", "NAME", values.object_name
    )
    node_selector: dict[str, str] | None = _said(
        "Label that the nodes must have.", "KEY=VALUE", values.labels, repeat=True
    )
    tolerations: list[Toleration] | None = _said(
        "Taint that the replicas tolerate.",
        "KEY[=VALUE][:EFFECT]",
        values.each(values.toleration),
        flag="--toleration",
        repeat=True,
    )
    mounts: list[Mount] | None = _said(
        "Volume: pvc:NAME:/path[:ro], secret:NAME:/path, configmap:NAME:/path "
        "or memory:10Gi:/path.",
        "VOLUME",
        values.each(values.mount),
        flag="--mount",
        repeat=True,
        choices=("pvc:", "secret:", "configmap:", "memory:"),
    )
    queue: str | None = _said(
        "Kueue queue that starts the job when there is room.", "NAME", values.queue
    )
    priority_class: str | None = _said(
        "Priority class of the replicas.", "NAME", values.object_name
    )
    pod_template: str | Mapping[str, Any] | None = _said(
        "Pod template, YAML or JSON; options override it.",
        "FILE",
        values.document,
        write=values.file_name,
    )
    patch: list[str | Mapping[str, Any]] | None = _said(
        "Merge patch applied to the finished manifest: JSON, YAML or @FILE.",
        "PATCH",
        values.documents,
        write=values.document_text,
        repeat=True,
    )
    args: list[str] | None = None

    def __post_init__(self) -> None:
        for field, option in options(type(self)).items():
            if (said := getattr(self, field)) is not None:
                object.__setattr__(self, field, _read(field, option, said))
        if self.args is not None:
            object.__setattr__(self, "args", _read_args(self.args))
        _check_replica_names(self.name or "", self.workers or 0)

    @classmethod
    def read(cls, said: Mapping[str, Any]) -> Self:
        """Return the options for what was said, by field.

        Raises
        ------
        OptionError
            If a value cannot be, or there is no such option.
        """
        known = [field.name for field in dataclasses.fields(cls)]
        for field in said:
            if field not in known:
                raise OptionError(field, f"no such option{nearest(field, known)}")
        return cls(**said)


@dataclass(frozen=True, kw_only=True)
class CellOptions(JobOptions):
    """The options of a job and what to do with it."""

    namespace: str | None = _said(
        "Namespace of the job (the target's).",
        "NAME",
        values.namespace,
        short="-n",
        choices=("default",),
    )
    on: str | None = _said("Target to run on (local).", "TARGET")
    context: str | None = _said(
        "Context of the kubeconfig, for --on kubernetes (the current one).", "NAME"
    )
    profile: str | None = _said(
        "Settings profile for what the line does not say (the default one).", "NAME"
    )
    dry_run: str | None = _choice(
        "Show the manifest without submitting it; =server also lets the API check it.",
        "[=client|server]",
        DRY_RUNS,
    )
    wait: bool | None = _switch("Block until the job has ended; raise if it failed.")
    follow: bool | None = _switch("Show the log while waiting; implies --wait.")
    save: str | None = _said("Write the manifest to FILE, as JSON if it ends in .json.", "FILE")
    from_: str | None = _said(
        "Start from the manifest in FILE, YAML or JSON.", "FILE", flag="--from"
    )
    out_job: str | None = _said(
        "Assign the Job (on a dry run the manifest) to VAR in the notebook.",
        "VAR",
        values.variable,
        short="-o",
    )

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.suspend and (self.wait or self.follow):
            raise OptionError(
                "--suspend", "a suspended job never ends by itself; leave --wait and --follow out"
            )


def options(of: type[JobOptions]) -> dict[str, Option]:
    """Return the options of a class by field, in the order of the help."""
    fields = dataclasses.fields(of)
    return {field.name: field.metadata["option"] for field in fields if field.metadata}


def flag(field: str, option: Option) -> str:
    """Return how the option is typed: ``--workers``; the name has no dashes."""
    return "NAME" if field == "name" else option.flag or f"--{field.replace('_', '-')}"


def nearest(word: str, known: Iterable[str]) -> str:
    """Return `` (did you mean X?)`` for a word that is close to a known one, else nothing."""
    close = difflib.get_close_matches(word, list(known), n=1)
    return f" (did you mean {close[0]}?)" if close else ""


def _read(field: str, option: Option, said: Any) -> Any:
    try:
        return option.read(said)
    except ValueError as error:
        raise OptionError(flag(field, option), str(error)) from None


def _read_args(args: Any) -> list[str]:
    if isinstance(args, str):
        raise OptionError("args", f"{args!r} is one text; give a list of arguments")
    try:
        return values.arguments(args)
    except ValueError as error:
        raise OptionError("--", str(error)) from None


def _check_replica_names(name: str, workers: int) -> None:
    """Refuse a name that leaves no room for the last Worker: its name has 63 characters at most."""
    over = len(f"{name}-worker-{max(0, workers - 1)}") - 63
    if name and over > 0:
        raise OptionError("NAME", f"{name!r} is {over} characters too long for {workers} workers")
