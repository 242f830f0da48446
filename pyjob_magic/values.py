"""Values as people type them: read, checked, and refused with a reason and an example.

Every function here takes what was typed, or the finished value when called from Python, and raises
ValueError with a message that says what to write instead.
"""

from __future__ import annotations

import json
import keyword
import re
from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

from pyjob_magic.quantity import Quantity

NAME_LENGTH = 54

_NAME = re.compile(r"[a-z]([-a-z0-9]*[a-z0-9])?")
_DURATION = re.compile(r"(?:(\d+)d)?(?:(\d+)h)?(?:(\d+)m)?(?:(\d+)s?)?")
ARGUMENT_BYTES = 131_071
"""Longest argument or NAME=VALUE of a program, without its NUL. Source: ``MAX_ARG_STRLEN``."""

_LONGEST = 2**31 - 1  # seconds: what the API's integers hold
_ENV_NAME = re.compile(r"[-._a-zA-Z][-._a-zA-Z0-9]*")
# Not the likes of MAX_TOKENS and TOKENIZERS_PARALLELISM.
_SECRET = re.compile(
    r"(TOKEN|SECRETS?|PASSW(OR)?DS?|PASSPHRASE|KEYS?|CREDENTIALS?)([-._]|$)", re.IGNORECASE
)
_LABEL_NAME = re.compile(r"[A-Za-z0-9]([-A-Za-z0-9_.]{0,61}[A-Za-z0-9])?")
_DNS_SUBDOMAIN = re.compile(r"[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*")
_EFFECTS = ("NoSchedule", "PreferNoSchedule", "NoExecute")


class Mount(NamedTuple):
    """A volume and where it appears: `kind` is pvc, secret, configmap or memory."""

    kind: str
    source: str  # the name of the object; for memory its size
    path: str
    read_only: bool

    def __str__(self) -> str:
        """Return it as it is typed."""
        return f"{self.kind}:{self.source}:{self.path}{':ro' if self.read_only else ''}"


class Toleration(NamedTuple):
    """A taint that replicas may live with; without a value any will do."""

    key: str
    value: str | None
    effect: str | None

    def __str__(self) -> str:
        """Return it as it is typed."""
        content = "" if self.value is None else f"={self.value}"
        return f"{self.key}{content}{f':{self.effect}' if self.effect else ''}"


def job_name(text: str) -> str:
    """Check a job's name: a DNS-1035 label short enough for the names of its replicas."""
    if not _NAME.fullmatch(text):
        raise ValueError(
            f"{text!r} is not a job name: use lower-case letters, digits and '-', "
            "starting with a letter and not ending with '-'"
        )
    if len(text) > NAME_LENGTH:
        raise ValueError(
            f"{text!r} has {len(text)} characters; at most {NAME_LENGTH} leave room "
            "for the names of the replicas"
        )
    return text


def seconds(text: Any) -> int:
    """Read a duration such as ``90``, ``90s``, ``30m``, ``2h`` or ``1h30m``, in seconds."""
    match = _DURATION.fullmatch(str(text))
    if match is None or not any(match.groups()):
        raise ValueError(f"{text!r} is not a duration: write 90, 90s, 30m, 2h or 1h30m")
    days, hours, minutes, rest = (int(group or 0) for group in match.groups())
    duration = ((days * 24 + hours) * 60 + minutes) * 60 + rest
    if duration > _LONGEST:
        raise ValueError(f"{text!r} is longer than 68 years")
    return duration


def positive_seconds(text: Any) -> int:
    """Read a duration that is longer than nothing, in seconds."""
    duration = seconds(text)
    if duration == 0:
        raise ValueError("must be longer than 0 seconds")
    return duration


def duration(seconds: int) -> str:
    """Return a duration as it is typed: ``1h30m``."""
    minutes, rest = divmod(seconds, 60)
    hours, minutes = divmod(minutes, 60)
    days, hours = divmod(hours, 24)
    parts = ((days, "d"), (hours, "h"), (minutes, "m"), (rest, "s"))
    return "".join(f"{count}{unit}" for count, unit in parts if count) or "0s"


def cpu(text: Any) -> Quantity:
    """Read a number of CPUs, such as ``2`` or ``500m``."""
    quantity = _quantity(text, "2 or 500m")
    if not 0.001 <= quantity.value <= 100_000:
        raise ValueError(f"{text!r} is not a number of CPUs: write 2 or 500m")
    return quantity


def byte_size(text: Any) -> Quantity:
    """Read an amount of memory, such as ``4Gi``; less than a megabyte is a slip."""
    quantity = _quantity(text, "4Gi (1024-based) or 4G (1000-based)")
    if quantity.value < 1_000_000:
        raise ValueError(f"{text!r} is less than a megabyte: write 4Gi, 512Mi or 4G")
    return quantity


def _quantity(text: Any, example: str) -> Quantity:
    try:
        return Quantity(text)
    except ValueError:
        raise ValueError(f"{str(text)!r} is not an amount: write {example}") from None


def nproc(text: Any) -> str:
    """Read a number of processes, or the words that torchrun knows."""
    if str(text) in ("auto", "cpu", "gpu") or (str(text).isdecimal() and int(text) >= 1):
        return str(text)
    raise ValueError(f"{str(text)!r} is neither a number from 1 up nor auto, cpu or gpu")


def count(least: int) -> Callable[[Any], int]:
    """Return a reader of whole numbers from `least` up."""

    def check(value: Any) -> int:
        try:
            number = int(str(value))
        except ValueError:
            raise ValueError(f"{str(value)!r} is not a whole number") from None
        if not least <= number <= _LONGEST:
            raise ValueError(f"{number} is out of range: it must be {least} or more")
        return number

    return check


def pairs(value: Any) -> dict[str, str]:
    """Read ``K=V`` as typed; a mapping, from Python, is taken as it is."""
    if isinstance(value, Mapping):
        return {str(key): str(text) for key, text in value.items()}
    pairs = {}
    for text in _listed(value):
        key, equals, content = str(text).partition("=")
        if not equals:
            raise ValueError(f"{text!r} is not of the form NAME=VALUE")
        pairs[key] = content
    return pairs


def environment(typed: Any) -> dict[str, str]:
    """Read variables; those that the operator sets are refused."""
    env = pairs(typed)
    for name in env:
        if not _ENV_NAME.fullmatch(name):
            raise ValueError(f"{name!r} is not the name of an environment variable")
        _check_length(name, f"{name}={env[name]}")
        if _set_by_operator(name):
            raise ValueError(f"{name} is set by the training operator, which would override it")
    return env


def is_secret(name: str) -> bool:
    """Whether a variable of this name is likely to hold what nobody should see."""
    return _SECRET.search(name) is not None


def arguments(typed: Any) -> list[str]:
    """Read the arguments of the program."""
    found = [str(argument) for argument in typed]
    for number, argument in enumerate(found, start=1):
        _check_length(f"argument {number}", argument)
    return found


def _check_length(what: str, text: str) -> None:
    size = len(text.encode(errors="surrogateescape"))
    if size > ARGUMENT_BYTES:
        raise ValueError(
            f"{what} has {size:,} bytes, but programs take at most {ARGUMENT_BYTES:,}; use a file"
        )
    if "\0" in text:
        raise ValueError(f"{what} holds a NUL character, which no program takes")


def _set_by_operator(name: str) -> bool:
    """Whether the operator overrides a variable. Source: ``pytorch/envvar.go``, v1.9.0."""
    fixed = ("RANK", "WORLD_SIZE", "MASTER_ADDR", "MASTER_PORT", "PYTHONUNBUFFERED")
    return name in fixed or name.startswith("PET_")


def labels(typed: Any) -> dict[str, str]:
    """Read labels; those that the operator sets are refused."""
    found = annotation_pairs(typed)
    for key, value in found.items():
        if value and not _LABEL_NAME.fullmatch(value):
            raise ValueError(
                f"{value!r} is not a label value: at most 63 letters, digits, '-', '_' and '.', "
                "with a letter or digit at both ends"
            )
        if key.startswith("training.kubeflow.org/"):
            raise ValueError(f"{key} is set by the training operator, which would override it")
    return found


def annotation_pairs(typed: Any) -> dict[str, str]:
    """Read annotations: any text under a key."""
    found = pairs(typed)
    for key in found:
        _check_key(key)
    return found


def _check_key(key: str) -> None:
    prefix, slash, name = key.rpartition("/")
    if not _LABEL_NAME.fullmatch(name) or (slash and not _DNS_SUBDOMAIN.fullmatch(prefix)):
        raise ValueError(f"{key!r} is not a label key: write name or example.com/name")


def mount(value: Any) -> Mount:
    """Read ``pvc:NAME:/path[:ro]`` and its siblings."""
    if isinstance(value, Mount):
        return value
    text = str(value)
    kind, _, rest = text.partition(":")
    source, _, path = rest.partition(":")
    path, _, mode = path.partition(":")
    if kind not in ("pvc", "secret", "configmap", "memory"):
        raise ValueError(f"{text!r} starts with no known kind: pvc, secret, configmap or memory")
    if mode not in ("", "ro") or (mode and kind == "memory"):
        raise ValueError(f"{text!r} ends with {mode!r}; only ':ro' may follow the path")
    if not source or not path.startswith("/"):
        raise ValueError(f"{text!r} is not of the form {kind}:{_SOURCE[kind]}:/path")
    if kind == "memory":
        byte_size(source)
    elif not _DNS_SUBDOMAIN.fullmatch(source):
        raise ValueError(f"{source!r} is not the name of a {kind}")
    if path == "/":
        raise ValueError(f"{text!r} would cover the whole file system; name a directory below /")
    return Mount(kind, source, path, bool(mode))


_SOURCE = {"pvc": "NAME", "secret": "NAME", "configmap": "NAME", "memory": "10Gi"}


def toleration(value: Any) -> Toleration:
    """Read ``KEY[=VALUE][:EFFECT]``, as kubectl writes taints."""
    if isinstance(value, Toleration):
        return value
    text = str(value)
    head, _, effect = text.partition(":")
    key, equals, content = head.partition("=")
    _check_key(key)
    if effect and effect not in _EFFECTS:
        raise ValueError(f"{text!r} ends with no known effect: {', '.join(_EFFECTS)}")
    return Toleration(key, content if equals else None, effect or None)


def each(check: Callable[[Any], Any]) -> Callable[[Any], list[Any]]:
    """Return a reader of lists; a single text counts as a list of one."""

    def check_all(values: Any) -> list[Any]:
        return [check(value) for value in _listed(values)]

    return check_all


def _listed(value: Any) -> Sequence[Any]:
    """Return the values of a list; a single text counts as a list of one."""
    if isinstance(value, str):
        return [value]
    if isinstance(value, Sequence):
        return value
    raise ValueError(f"{value!r} is not a list")


def document(value: Any) -> str | Mapping[str, Any]:
    """Read the name of a file, or take the object that such a file would hold."""
    if isinstance(value, Mapping):
        return value
    if isinstance(value, str) and value:
        return value
    raise ValueError(f"{value!r} is neither the name of a file nor an object")


def documents(value: Any) -> list[str | Mapping[str, Any]]:
    """Read several documents."""
    return each(document)([value] if isinstance(value, Mapping) else value)


def document_text(value: str | Mapping[str, Any]) -> str:
    """Return a document as it is typed: an object as JSON."""
    return value if isinstance(value, str) else json.dumps(value)


def file_name(value: str | Mapping[str, Any]) -> str:
    """Return the name of a file; raises ValueError for an object, which has none."""
    if isinstance(value, str):
        return value
    raise ValueError("is an object, which cannot be typed: write it to a file and name that")


def switch(value: Any) -> bool:
    """Read what is on or off."""
    known = {"true": True, "1": True, "false": False, "0": False}
    if str(value).lower() not in known:
        raise ValueError(f"{value!r} is neither true nor false")
    return known[str(value).lower()]


def queue(value: Any) -> str:
    """Check the name of a queue, which has to be a label value as well."""
    if not _DNS_SUBDOMAIN.fullmatch(str(value)) or len(str(value)) > 63:
        raise ValueError(f"{value!r} is not a queue: use at most 63 of a-z, 0-9, '-' and '.'")
    return str(value)


def object_name(value: Any) -> str:
    """Check the name of a Kubernetes object."""
    if not _DNS_SUBDOMAIN.fullmatch(str(value)) or len(str(value)) > 253:
        raise ValueError(f"{value!r} is not a Kubernetes name: use a-z, 0-9, '-' and '.'")
    return str(value)


def namespace(value: Any) -> str:
    """Check the name of a namespace."""
    if not re.fullmatch(r"[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?", str(value)):
        raise ValueError(f"{value!r} is not a namespace: use at most 63 of a-z, 0-9 and '-'")
    return str(value)


def image(value: Any) -> str:
    """Check that an image reference is one word."""
    text = str(value)
    if not text or text != text.strip() or re.search(r"\s", text):
        raise ValueError(f"{text!r} is not an image reference")
    return text


def resource(value: Any) -> str:
    """Check the name of an extended resource, such as ``nvidia.com/gpu``."""
    prefix, slash, name = str(value).rpartition("/")
    if not slash or not _DNS_SUBDOMAIN.fullmatch(prefix) or not _LABEL_NAME.fullmatch(name):
        raise ValueError(f"{value!r} is not a resource name: write it as nvidia.com/gpu")
    return str(value)


def one_of(choices: Sequence[str]) -> Callable[[Any], str]:
    """Return a check that a value is one of `choices`."""

    def check(value: Any) -> str:
        if value not in choices:
            near = next((c for c in choices if c.lower() == str(value).lower()), None)
            hint = f"write {near}" if near else f"choose from {', '.join(choices)}"
            raise ValueError(f"{str(value)!r} is not known: {hint}")
        return str(value)

    return check


def variable(text: str) -> str:
    """Check the name of a Python variable."""
    if not text.isidentifier() or keyword.iskeyword(text):
        raise ValueError(f"{text!r} is not the name of a variable")
    return text
