"""What a person may say about a job: one list for the magic, the Python API and the help.

Each field of `JobOptions` and `CellOptions` is an option; its `Said` metadata holds how it is
typed and what the help says. None means "not said", so that a manifest given with ``--from`` is
changed only where the line says something.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Annotated, Any, Literal, Self, get_args

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    ValidationError,
    model_validator,
)

from pyjob_magic import values
from pyjob_magic.errors import OptionError
from pyjob_magic.models import Quantity

DEFAULT_IMAGE = "pytorch/pytorch:2.5.1-cuda12.4-cudnn9-runtime"


@dataclass(frozen=True)
class Said:
    """How an option is typed and explained.

    Parameters
    ----------
    help
        One sentence; what holds when it is not said comes in brackets.
    metavar
        The value in the help; empty for a switch without one.
    short
        A one-letter form, such as ``-w``.
    flag
        The long form where it is not the field's name.
    repeat
        Whether it may be said several times.
    choices
        Values that are known; offered by Tab.
    """

    help: str
    metavar: str = ""
    short: str = ""
    flag: str = ""
    repeat: bool = False
    choices: tuple[str, ...] = ()


RestartPolicy = Literal["Never", "OnFailure", "Always", "ExitCode"]
CleanPods = Literal["Running", "All", "None"]
DryRun = Literal["client", "server"]
_RESTART, _CLEAN, _DRY = get_args(RestartPolicy), get_args(CleanPods), get_args(DryRun)

Count = Annotated[int, BeforeValidator(values.count(0))]
Pairs = Annotated[dict[str, str], BeforeValidator(values.pairs)]


class JobOptions(BaseModel):
    """What a person may say about a job; every field is optional.

    Raises
    ------
    OptionError
        From `read`, if a value cannot be; it names the option as typed.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    name: Annotated[
        str | None,
        AfterValidator(lambda name: name and values.job_name(name)),
        Said("Name of the PyTorchJob, unique in its namespace (one is made).", "NAME"),
    ] = None
    workers: Annotated[
        Count | None, Said("Worker replicas beside the Master (0).", "N", short="-w")
    ] = None
    gpus: Annotated[Count | None, Said("GPUs of each replica (0).", "N")] = None
    gpu_resource: Annotated[
        Annotated[str, BeforeValidator(values.resource)] | None,
        Said(
            "What the cluster calls a GPU (nvidia.com/gpu).",
            "NAME",
            choices=("nvidia.com/gpu", "amd.com/gpu", "huawei.com/Ascend910"),
        ),
    ] = None
    cpu: Annotated[
        Annotated[Quantity, BeforeValidator(values.cpu)] | None,
        Said("CPUs of each replica, such as 2 or 500m (no limit).", "AMOUNT"),
    ] = None
    memory: Annotated[
        Annotated[Quantity, BeforeValidator(values.byte_size)] | None,
        Said("Memory of each replica, such as 4Gi (no limit).", "AMOUNT"),
    ] = None
    shm_size: Annotated[
        Annotated[Quantity, BeforeValidator(values.byte_size)] | None,
        Said("Size of /dev/shm, which DataLoader workers and NCCL use (no limit).", "AMOUNT"),
    ] = None
    image: Annotated[
        Annotated[str, BeforeValidator(values.image)] | None,
        Said(f"Container image ({DEFAULT_IMAGE}).", "IMAGE", choices=(DEFAULT_IMAGE,)),
    ] = None
    pull_secrets: Annotated[
        Annotated[list[str], BeforeValidator(values.each(values.object_name))] | None,
        Said("Secret to pull the image with.", "NAME", flag="--pull-secret", repeat=True),
    ] = None
    restart_policy: Annotated[
        Annotated[str, BeforeValidator(values.one_of(_RESTART))] | None,
        Said("When a replica that ended is started again (Never).", "POLICY", choices=_RESTART),
    ] = None
    backoff_limit: Annotated[
        Count | None,
        Said("Restarts of containers before the job fails; without effect under Never (3).", "N"),
    ] = None
    timeout: Annotated[
        Annotated[int, BeforeValidator(values.positive_seconds)] | None,
        Said("How long the job may run: 90, 90s, 30m or 2h (no limit).", "TIME"),
    ] = None
    ttl: Annotated[
        Annotated[int, BeforeValidator(values.seconds)] | None,
        Said("Delete the job this long after it has ended (keep it).", "TIME"),
    ] = None
    clean_pods: Annotated[
        Annotated[str, BeforeValidator(values.one_of(_CLEAN))] | None,
        Said("Replicas to remove when the job has ended (Running).", "WHICH", choices=_CLEAN),
    ] = None
    suspend: Annotated[
        bool | None, Said("Create the job suspended; `%pytorchjob resume NAME` starts it.")
    ] = None
    nproc_per_node: Annotated[
        Annotated[str, BeforeValidator(values.nproc)] | None,
        Said(
            "Processes in each replica, started by torchrun if not 1: N, auto, cpu or gpu (1).",
            "N",
            choices=("auto", "cpu", "gpu"),
        ),
    ] = None
    env: Annotated[
        Annotated[Pairs, AfterValidator(values.environment)] | None,
        Said("Environment variable of every replica.", "NAME=VALUE", repeat=True),
    ] = None
    labels: Annotated[
        Annotated[Pairs, AfterValidator(values.labels)] | None,
        Said("Label of the job and its replicas.", "KEY=VALUE", flag="--label", repeat=True),
    ] = None
    annotations: Annotated[
        Annotated[Pairs, AfterValidator(values.keyed)] | None,
        Said(
            "Annotation of the job and its replicas.",
            "KEY=VALUE",
            flag="--annotation",
            repeat=True,
        ),
    ] = None
    service_account: Annotated[
        Annotated[str, BeforeValidator(values.object_name)] | None,
        Said("Service account of the replicas (default).", "NAME"),
    ] = None
    node_selector: Annotated[
        Annotated[Pairs, AfterValidator(values.labels)] | None,
        Said("Label that the nodes must have.", "KEY=VALUE", repeat=True),
    ] = None
    tolerations: Annotated[
        Annotated[list[values.Toleration], BeforeValidator(values.each(values.toleration))] | None,
        Said(
            "Taint that the replicas tolerate.",
            "KEY[=VALUE][:EFFECT]",
            flag="--toleration",
            repeat=True,
        ),
    ] = None
    mounts: Annotated[
        Annotated[list[values.Mount], BeforeValidator(values.each(values.mount))] | None,
        Said(
            "Volume: pvc:NAME:/path[:ro], secret:NAME:/path, configmap:NAME:/path "
            "or memory:10Gi:/path.",
            "VOLUME",
            flag="--mount",
            repeat=True,
        ),
    ] = None
    args: list[str] | None = None

    @model_validator(mode="after")
    def _names_of_replicas_fit(self) -> Self:
        """Refuse names that only fit for fewer workers: each replica's name has 63 characters."""
        longest = len(self.name or "") + len("-worker-") + len(str(max(0, (self.workers or 1) - 1)))
        if longest > 63:
            raise ValueError(
                f"{self.name!r} is {longest - 63} characters too long for {self.workers} workers"
            )
        return self

    @classmethod
    def read(cls, said_values: Mapping[str, Any]) -> Self:
        """Check `said_values`, by field; those that are None were not said.

        Raises
        ------
        OptionError
            For the first value that cannot be.
        """
        try:
            return cls.model_validate({k: v for k, v in said_values.items() if v is not None})
        except ValidationError as error:
            raise _translated(cls, error) from None


class CellOptions(JobOptions):
    """The options of a job and what to do with it."""

    namespace: Annotated[
        Annotated[str, BeforeValidator(values.namespace)] | None,
        Said("Namespace of the job (the target's).", "NAME", short="-n"),
    ] = None
    on: Annotated[str | None, Said("Target to run on (local).", "TARGET")] = None
    dry_run: Annotated[
        Annotated[str, BeforeValidator(values.one_of(_DRY))] | None,
        Said(
            "Show the manifest and submit nothing; =server lets the API check it too.",
            "[=client|server]",
            choices=_DRY,
        ),
    ] = None
    wait: Annotated[bool | None, Said("Block until the job has ended; raise if it failed.")] = None
    follow: Annotated[bool | None, Said("Show the log while waiting; implies --wait.")] = None
    save: Annotated[
        str | None, Said("Write the manifest to FILE, as JSON if it ends in .json.", "FILE")
    ] = None
    from_: Annotated[
        str | None,
        Said("Start from the manifest in FILE, YAML or JSON.", "FILE", flag="--from"),
    ] = None
    out_job: Annotated[
        Annotated[str, AfterValidator(values.variable)] | None,
        Said("Assign the Job to VAR in the notebook.", "VAR", short="-o"),
    ] = None


def said(model: type[JobOptions]) -> dict[str, Said]:
    """Return the options of `model` by field, in the order of the help."""
    return {
        name: meta
        for name, info in model.model_fields.items()
        for meta in info.metadata
        if isinstance(meta, Said)
    }


def flag(field: str, option: Said) -> str:
    """Return how the option is typed: ``--workers``; the name has no dashes."""
    return "NAME" if field == "name" else option.flag or f"--{field.replace('_', '-')}"


def _translated(model: type[JobOptions], error: ValidationError) -> OptionError:
    first = error.errors(include_url=False)[0]
    field = str(first["loc"][0]) if first["loc"] else "name"
    reason = str(first["ctx"]["error"]) if "error" in first.get("ctx", {}) else first["msg"]
    option = said(model).get(field)
    return OptionError(flag(field, option) if option else field, reason)


def nearest(word: str, known: Iterable[str]) -> str:
    """Return `` (did you mean X?)`` for a word that is close to a known one, else nothing."""
    close = difflib.get_close_matches(word, list(known), n=1)
    return f" (did you mean {close[0]}?)" if close else ""
