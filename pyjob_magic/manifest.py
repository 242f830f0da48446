"""From what a person says, and the source, to the PyTorchJob that is sent.

Pure: the time, the suffix of generated names and where the cell stands are parameters.
"""

from __future__ import annotations

import copy
import itertools
import json
import re
from collections.abc import Container, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

import yaml
from pydantic import ValidationError

from pyjob_magic import __version__, overlays, payload
from pyjob_magic.dialects import KUBEFLOW, Dialect
from pyjob_magic.edits import (
    CONTAINER,
    EDITS,
    QUEUE,
    Wire,
    containers,
    mount,
    replicas,
    templates,
    unmount,
)
from pyjob_magic.errors import ManifestError, OptionError
from pyjob_magic.images import DEFAULT_IMAGE
from pyjob_magic.models import ConfigMap, OwnerReference, PyTorchJob, first_problem
from pyjob_magic.options import JobOptions
from pyjob_magic.payload import Payload
from pyjob_magic.values import NAME_LENGTH

SUFFIX_ALPHABET = "bcdfghjklmnpqrstvwxz2456789"
"""What generated names end in: no vowels, so no words. Source: ``k8s.io/apimachinery`` rand."""

ANNOTATIONS = "pyjob-magic/"
"""Prefix of the annotations that say where a job comes from."""
SUBMISSION = f"{ANNOTATIONS}submission"
"""Annotation that tells a submission from every other one."""
SUBMITTED = f"{ANNOTATIONS}submitted"
"""Annotation that tells when a job was submitted."""

APPLIED = "kubectl.kubernetes.io/last-applied-configuration"
"""Annotation of kubectl that repeats a whole object as it was applied."""

_SOURCE_VOLUME = "pyjob-source"


@dataclass(frozen=True)
class Origin:
    """Where a job comes from; kept as annotations, so that its code can be had back.

    Parameters
    ----------
    time
        When it was submitted, RFC 3339 in UTC.
    suffix
        Random end of generated names: five characters of `SUFFIX_ALPHABET`.
    notebook, cell
        File name of the notebook and id of the cell, where known.
    line
        The options as typed behind ``%%pytorchjob``.
    profile
        Name of the profile that was in force, if there was one.
    submission
        What tells this submission from every other one, to know it again if its answer is lost.
    user
        Who submits it, as this machine calls them.
    target
        Annotations that the target wants on its jobs.
    """

    time: str
    suffix: str
    notebook: str = ""
    cell: str = ""
    line: str = ""
    profile: str = ""
    submission: str = ""
    user: str = ""
    target: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, repr=False)
class Manifest:
    """A PyTorchJob ready to be sent, and the source that is too large to travel inside it.

    Parameters
    ----------
    job
        What submit POSTs, as `dialect` spells it.
    config_map
        The ConfigMap it mounts; it gets the job as its owner once that exists.
    dialect
        How the server it is for spells PyTorchJobs.
    """

    job: PyTorchJob
    config_map: ConfigMap | None = None
    dialect: Dialect = KUBEFLOW

    def owned_config_map(self, owner: PyTorchJob) -> ConfigMap:
        """Return the ConfigMap, owned by the created job `owner`: both are deleted together."""
        assert self.config_map is not None
        reference = OwnerReference(
            api_version=owner.api_version,
            kind=owner.kind,
            name=owner.name,
            uid=owner.metadata.uid or "",
        )
        owned = self.config_map.model_copy(deep=True)
        owned.metadata.owner_references = [reference]
        return owned

    def to_wire(self) -> list[dict[str, Any]]:
        """Return the objects that are sent, in their order."""
        config_maps = [self.config_map.to_wire()] if self.config_map else []
        return [self.dialect.encode(self.job), *config_maps]

    def __repr__(self) -> str:
        return f"Manifest({self.job.name!r})"

    def __str__(self) -> str:
        """Return what is sent, as YAML."""
        return "---\n".join(map(to_yaml, self.to_wire()))

    def to_json(self) -> str:
        """Return what is sent, as JSON; of two objects a List, which kubectl reads too."""
        objects = self.to_wire()
        whole = {"apiVersion": "v1", "kind": "List", "items": objects}
        return json.dumps(objects[0] if len(objects) == 1 else whole, indent=2) + "\n"

    def _repr_mimebundle_(self, **_: object) -> dict[str, str]:
        return {"text/plain": str(self).rstrip("\n")}


def build(
    options: JobOptions,
    source: str,
    origin: Origin,
    *,
    namespace: str = "default",
    base: PyTorchJob | None = None,
) -> Manifest:
    """Return the manifest of a job that runs `source`.

    Without a `base` the job has one Master and ``options.workers`` Workers, and says explicitly
    what upstream would default badly: it does not restart failing code for ever, it frees the
    accelerators when it ends, and it has room in ``/dev/shm``. A `base` keeps everything that the
    options do not name.

    Raises
    ------
    SourceError
        If the source cannot travel or cannot run.
    OptionError, ManifestError
        If an option does not fit the base, or a patch leaves no PyTorchJob that runs the source.
    """
    packed = payload.pack(source)
    wire = _without_nulls(base.to_wire()) if base else copy.deepcopy(_DEFAULT)
    for option, edit in EDITS.items():
        if (value := getattr(options, option)) is not None:
            edit(wire, value)
    meta = wire.setdefault("metadata", {})
    subject = _first_comment(source) or origin.notebook
    meta["name"] = options.name or meta.get("name") or generated_name(subject, origin.suffix)
    meta["namespace"] = namespace
    meta["annotations"] = _where_from(meta.get("annotations", {}), packed, origin)
    config_map = None if packed.inline else f"{meta['name']}-source-{origin.suffix}"
    _run(wire, packed, config_map)
    for patch in options.patch or ():
        wire = _patched(wire, patch, packed, config_map)
    job = read(wire)
    return Manifest(job, _config_map(config_map, namespace, packed) if config_map else None)


def again(
    job: PyTorchJob, name: str, *, time: str, submission: str, suffix: str, source: str | None
) -> Manifest:
    """Return `job` so that it can be submitted once more, as `name`.

    What a server has added is left out, and it starts at once, but for one that waits in a queue.

    Parameters
    ----------
    time, submission, suffix
        As in `Origin`.
    source
        The code, where that lies in a ConfigMap of `job`; it gets another one.
    """
    wire = _without_nulls(fresh(job).to_wire())
    meta = wire["metadata"]
    meta["name"] = name
    said = {key: text for key, text in meta.get("annotations", {}).items() if key != APPLIED}
    meta["annotations"] = said | {SUBMITTED: time, SUBMISSION: submission}
    policy = wire["spec"].setdefault("runPolicy", {})
    policy.pop("suspend", None)
    if QUEUE in meta.get("labels", {}):
        policy["suspend"] = True  # Kueue resumes it when it is admitted
    if source is None:
        return Manifest(read(wire))
    config_map = f"{name}-source-{suffix}"
    for template in templates(wire):
        for volume in template["spec"].get("volumes", []):
            if volume["name"] == _SOURCE_VOLUME:
                volume["configMap"]["name"] = config_map
    namespace = meta.get("namespace", "default")
    return Manifest(read(wire), _config_map(config_map, namespace, Payload(source.encode())))


def next_name(name: str, taken: Container[str]) -> str:
    """Return the name of another run of the job `name`: ``train-2``, then ``train-3``."""
    numbered = re.fullmatch(r"(.+)-([0-9]{1,9})", name)
    stem, last = (numbered[1], int(numbered[2])) if numbered else (name, 1)
    ends = (f"-{number}" for number in itertools.count(last + 1))
    names = (f"{stem[: NAME_LENGTH - len(end)].rstrip('-')}{end}" for end in ends)
    return next(each for each in names if each not in taken)


def load(text: str, *, file: str) -> PyTorchJob:
    """Read a manifest, YAML or JSON, as found in `file`.

    What a server adds (uid, status and the like) is left out, so that a fetched job can be sent
    again; of several documents the one PyTorchJob counts.

    Raises
    ------
    ManifestError
        If it is no PyTorchJob; the message names the field.
    """
    try:
        documents = [doc for doc in yaml.safe_load_all(text) if doc is not None]
    except (yaml.YAMLError, ValueError) as error:  # the latter for dates that there are not
        reason = " ".join(str(error).split())
        raise ManifestError(f"{file}: neither YAML nor JSON: {reason}") from None
    jobs = [doc for doc in _flat(documents) if doc.get("kind") == "PyTorchJob"]
    if len(jobs) != 1:
        raise ManifestError(f"{file}: holds {len(jobs)} PyTorchJobs; one is needed")
    try:
        return fresh(read(jobs[0]))
    except ManifestError as error:
        raise ManifestError(f"{file}: {error}") from None


def read(wire: Mapping[str, Any]) -> PyTorchJob:
    """Return the PyTorchJob that a JSON object is.

    Raises
    ------
    ManifestError
        If it is none; the message names the field.
    """
    try:
        return PyTorchJob.from_wire(wire)
    except ValidationError as error:
        raise ManifestError(first_problem(error, "the manifest")) from None


def to_yaml(wire: Mapping[str, Any]) -> str:
    """Return a wire object as YAML, in its own order and without anchors."""
    return yaml.dump(wire, Dumper=_Dumper, sort_keys=False, allow_unicode=True, width=float("inf"))


class _Dumper(yaml.SafeDumper):
    """Writes texts of several lines as blocks, and repeats what YAML would alias."""

    def ignore_aliases(self, _: Any) -> bool:
        return True


def _text(dumper: _Dumper, data: str) -> yaml.ScalarNode:
    # Plain and block scalars lose what YAML takes for a line break; quotes escape it.
    printable = data.replace("\n", "").isprintable()
    style = ("|" if "\n" in data else None) if printable else '"'
    return dumper.represent_scalar("tag:yaml.org,2002:str", data, style=style)


_Dumper.add_representer(str, _text)


def _flat(documents: Iterable[Any]) -> Iterator[dict[str, Any]]:
    """Yield the objects of several documents, also those inside a List."""
    for document in documents:
        if isinstance(document, dict):
            items = document.get("items")
            yield from _flat(items) if isinstance(items, list) else [document]


def fresh(job: PyTorchJob) -> PyTorchJob:
    """Return `job` without what a server adds, so that it can be sent again."""
    return PyTorchJob.from_wire(fresh_wire(job))


def fresh_wire(job: PyTorchJob) -> Wire:
    """Return the JSON object of `fresh`."""
    wire = job.to_wire()
    wire.pop("status", None)
    said = ("name", "namespace", "labels", "annotations")
    wire["metadata"] = {key: wire["metadata"][key] for key in said if key in wire["metadata"]}
    return wire


_DEFAULT: Wire = {
    "apiVersion": "kubeflow.org/v1",
    "kind": "PyTorchJob",
    "metadata": {},
    "spec": {
        "nprocPerNode": "1",
        # A limit of 0 would make the operator delete every log when a replica fails.
        "runPolicy": {"cleanPodPolicy": "Running", "backoffLimit": 3},
        "pytorchReplicaSpecs": {
            "Master": {
                "replicas": 1,
                "restartPolicy": "Never",
                "template": {
                    # Istio's proxy would block the rendezvous and keep replicas from ending.
                    "metadata": {"annotations": {"sidecar.istio.io/inject": "false"}},
                    "spec": {
                        "containers": [
                            {
                                "name": CONTAINER,
                                "image": DEFAULT_IMAGE,
                                "volumeMounts": [{"name": "dshm", "mountPath": "/dev/shm"}],  # noqa: S108
                            }
                        ],
                        # Containers get 64 MiB otherwise, too little for DataLoader and NCCL.
                        "volumes": [{"name": "dshm", "emptyDir": {"medium": "Memory"}}],
                    },
                },
            }
        },
    },
}
"""What a job is that nothing was said of."""


def generated_name(subject: str, suffix: str) -> str:
    """Return a name that tells the subject and is new: ``train-mnist-x7k2p``."""
    words = re.sub(r"[^a-z0-9]+", "-", subject.lower()).lstrip("0123456789-")
    return f"{words[: NAME_LENGTH - len(suffix) - 1].rstrip('-') or 'job'}-{suffix}"


def _first_comment(source: str) -> str:
    """Return the first words of a comment at the top of the source, or nothing."""
    first = source.lstrip().partition("\n")[0]
    return " ".join(re.findall(r"[\w-]+", first)[:4]) if first.startswith("#") else ""


def _without_nulls(value: Any) -> Any:
    """Return a JSON value without fields that are null, which say as much as none at all."""
    if isinstance(value, dict):
        return {key: _without_nulls(held) for key, held in value.items() if held is not None}
    return [_without_nulls(item) for item in value] if isinstance(value, list) else value


def _where_from(annotations: Mapping[str, str], packed: Payload, origin: Origin) -> dict[str, str]:
    said = {
        "version": __version__,
        "submitted": origin.time,
        "source-sha256": packed.sha256,
        "notebook": origin.notebook,
        "cell": origin.cell,
        "line": origin.line,
        "profile": origin.profile,
        "submission": origin.submission,
        "user": origin.user,
        **origin.target,
    }
    kept = {key: text for key, text in annotations.items() if not key.startswith(ANNOTATIONS)}
    return kept | {ANNOTATIONS + key: text for key, text in said.items() if text}


def _run(wire: Wire, packed: Payload, config_map: str | None) -> None:
    """Make the packed source what every replica runs."""
    for container in containers(wire):
        container["command"] = _command(wire, packed)
    for template in templates(wire):
        unmount(template, _SOURCE_VOLUME)
        if config_map:
            volume = {"configMap": {"name": config_map}}
            mount(template, _SOURCE_VOLUME, volume, payload.MOUNT_PATH, read_only=True)


def _command(wire: Wire, packed: Payload) -> list[str]:
    spec = wire["spec"]
    torchrun = spec.get("nprocPerNode", "1") != "1" or "elasticPolicy" in spec
    return packed.command(torchrun=torchrun)


def _patched(wire: Wire, patch: Any, packed: Payload, config_map: str | None) -> Wire:
    """Return the job with a merge patch applied; the source must still be what runs."""
    before = _command(wire, packed)
    changed: Wire = overlays.merge_patch(wire, patch)
    try:
        read(changed)
    except ManifestError as error:
        raise ManifestError(f"--patch: leaves no PyTorchJob: {error}") from None
    if not replicas(changed):
        raise OptionError("--patch", "leaves no replica")
    for kind, spec in replicas(changed).items():
        if not _carries_source(spec["template"]["spec"], before, config_map):
            raise OptionError(
                "--patch",
                f"takes the cell from {kind}, whose container {CONTAINER!r} must keep its command "
                "and volumes; a patch replaces whole lists: say containers in --pod-template",
            )
    for container in containers(changed):
        container["command"] = _command(changed, packed)  # processes per replica may be new
    return changed


def _carries_source(pod: Wire, command: list[str], config_map: str | None) -> bool:
    """Whether the container that trains still starts the source, and finds it."""
    main: Wire = next((c for c in pod["containers"] if c["name"] == CONTAINER), {})
    named = [entry["name"] for entry in (*pod.get("volumes", ()), *main.get("volumeMounts", ()))]
    carried = 0 if config_map is None else 2  # as a volume, and where it is mounted
    return main.get("command") == command and named.count(_SOURCE_VOLUME) == carried


def _config_map(name: str, namespace: str, packed: Payload) -> ConfigMap:
    meta = {"name": name, "namespace": namespace}
    return ConfigMap.from_wire(
        {"metadata": meta, "data": {payload.FILE_NAME: packed.source.decode()}}
    )
