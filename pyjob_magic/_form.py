"""Pure: the options of a cell as the fields of a form, and back. Each has the option's own check.

What a form holds is what people type, by field: a text for an option with a value, True for a
switch, a list of texts for an option that may be said several times; ``args`` are the words behind
``--``. What is not said is not there. Texts mean themselves: no brace or dollar is filled in.
"""

from __future__ import annotations

import re
import shlex
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from decimal import Decimal
from functools import cache
from typing import Any

from pyjob_magic import options as listed
from pyjob_magic._line import LineParser, cell_parser, expand, recall, typed_values, unexpand
from pyjob_magic.errors import OptionError
from pyjob_magic.models import PyTorchJob
from pyjob_magic.options import CellOptions, Option, flag
from pyjob_magic.profiles import NO_PROFILE, Profile, shown
from pyjob_magic.quantity import people
from pyjob_magic.values import arguments, is_secret

Values = Mapping[str, Any]

_OPTIONS = listed.options(CellOptions)


def _split(text: str) -> list[str]:
    try:
        return arguments(shlex.split(text))
    except ValueError as error:
        hint = "; quotes come in pairs" if "quotation" in str(error) else ""
        raise ValueError(f"{error}{hint}") from None


def _join(words: Iterable[str]) -> str:
    return shlex.join(words) or " "  # that there are to be none is something said


_ARGUMENTS = Option("Arguments of the program.", "ARGUMENTS", _split, _join, flag="--")
_FIELDS = {**_OPTIONS, "args": _ARGUMENTS}
_BY_FLAG = {flag(field, option): field for field, option in _FIELDS.items()}

_OPEN = {
    "Job": ("name", "image", "workers", "nproc_per_node"),
    "Resources": ("cpu", "memory", "gpus", "gpu_resource", "shm_size"),
}
_FOLDED = {
    "Policies": ("restart_policy", "backoff_limit", "timeout", "ttl", "clean_pods", "suspend"),
    "Environment": ("env", "args"),
    "Mounts and secrets": ("mounts", "pull_secrets", "service_account"),
    "Labels": ("labels", "annotations"),
    "Scheduling": ("queue", "priority_class", "node_selector", "tolerations"),
    "Where to run": ("on", "namespace", "context", "profile"),
    "Files": ("save", "from_", "pod_template", "patch"),
    "When run as a cell": ("wait", "follow", "dry_run", "out_job"),
}
_LABELS = {
    "nproc_per_node": "Processes",
    "cpu": "CPUs",
    "gpus": "GPUs",
    "gpu_resource": "GPU resource",
    "shm_size": "Shared memory",
    "ttl": "Delete after",
    "clean_pods": "Clean up",
    "env": "Variables",
    "args": "Arguments",
    "on": "Target",
    "save": "Save manifest as",
    "from_": "Start from",
    "out_job": "Assign to",
}
_DEFAULT = re.compile(r"\(([^()]*)\)\.$")
_MAGIC = re.compile(r"%%pytorchjob(?:\s+(.*))?")


# -- the fields ----------------------------------------------------------------------------------


def describe(profile: Profile = NO_PROFILE) -> list[dict[str, Any]]:
    """Return the groups of the form in order, each with its fields.

    Parameters
    ----------
    profile
        What it says holds where the form says nothing, and is shown there.
    """
    return [
        {"title": title, "folded": folded, "fields": [_field(name, profile) for name in names]}
        for groups, folded in ((_OPEN, False), (_FOLDED, True))
        for title, names in groups.items()
    ]


def field_of(option: str) -> str | None:
    """Return the field of an option as it is typed, such as ``--workers``; None if it is none."""
    return _BY_FLAG.get(option)


def flag_of(field: str) -> str:
    """Return how a field is typed in a cell."""
    return flag(field, _FIELDS[field])


def _field(field: str, profile: Profile) -> dict[str, Any]:
    option = _FIELDS[field]
    return {
        "field": field,
        "flag": flag(field, option),
        "label": _LABELS.get(field) or field.replace("_", " ").capitalize(),
        "help": option.help,
        "kind": _kind(option),
        "metavar": option.metavar,
        "placeholder": _placeholder(field, option, profile),
        "choices": list(option.choices),
    }


def _kind(option: Option) -> str:
    if not option.metavar:
        return "switch"
    if option.repeat:
        return "lines"
    if option.closed:
        return "choice"
    # Processes per replica may also be words.
    numeric = option.metavar == "N" and all(choice.isdecimal() for choice in option.choices)
    return "number" if numeric else "text"


def _placeholder(field: str, option: Option, profile: Profile) -> str:
    """Return what holds where nothing is said."""
    if setting := profile.settings.get(field):
        return shown(field, setting.value)
    default = _DEFAULT.search(option.help)
    return default[1] if default else ""


# -- checks --------------------------------------------------------------------------------------


def check(values: Values) -> dict[str, str]:
    """Return what is wrong, by field: with each by itself, then with all that are right so far.

    Of values in which nothing is wrong, `options` and `line` can be had.
    """
    problems: dict[str, str] = {}
    right: dict[str, Any] = {}
    for field, said in _said(values).items():
        try:
            right[field] = _FIELDS[field].read(said)
            _check_typed(field, said)
            _check_kept(field, said)
        except ValueError as error:
            problems[field] = str(error)
    try:
        CellOptions.read({field: right[field] for field in right if field not in problems})
    except OptionError as error:
        problems.setdefault(_BY_FLAG[error.option], error.reason)
    return problems


def options(values: Values) -> CellOptions:
    """Return the options that the values are.

    Raises
    ------
    OptionError
        If one cannot be.
    """
    said = _said(values)
    with _naming("args"):
        return CellOptions.read(said | ({"args": _split(said["args"])} if "args" in said else {}))


def _said(values: Values) -> dict[str, Any]:
    """Return what is said by field, in the order of the help; empty texts say nothing."""
    said: dict[str, Any] = {}
    for field, option in _FIELDS.items():
        value = values.get(field)
        if not option.metavar:
            value = value is True
        elif option.repeat:
            value = [text for text in map(str, value or ()) if text]
        elif value is not None:
            value = str(value)
        if value:
            said[field] = value
    return said


def _check_typed(field: str, said: Any) -> None:
    """Refuse what no line of a cell can say."""
    texts = _split(said) if field == "args" else said if isinstance(said, list) else [said]
    if "--" in texts and field != "args":
        raise ValueError("'--' is not a value: arguments of the program follow it")
    # The notebook ends lines where Python does, not only at line feeds.
    if any(len(f"{text}.".splitlines()) > 1 for text in texts):
        hint = "; write it to a file and name that: @FILE" if field == "patch" else ""
        raise ValueError(f"has a line break, but all options must fit on one line{hint}")


def _check_kept(field: str, said: Any) -> None:
    """Refuse the place of a secret value for the value: who brings a job back has to say it."""
    for name, _, value in (pair.partition("=") for pair in (said if field == "env" else ())):
        if is_secret(name) and value == f"{{{name}}}":
            raise ValueError(f"the value of {name} was not kept; type it again")


# -- cells ---------------------------------------------------------------------------------------


def line(values: Values) -> str:
    """Return what stands behind ``%%pytorchjob`` to say the same; see `unexpand` for secrets.

    Raises
    ------
    OptionError
        If a value cannot be in a line.
    """
    said = _said(values)
    for field, value in said.items():
        with _naming(field):
            _check_typed(field, value)
    return unexpand([*_words(said), *(["--", *_split(said["args"])] if "args" in said else [])])


def cell(values: Values, source: str) -> str:
    """Return the cell that runs `source` with these options; see `line`."""
    return f"{f'%%pytorchjob {line(values)}'.rstrip()}\n{source}"


def parts(cell: str) -> tuple[str, str]:
    """Return the line behind ``%%pytorchjob`` and the source; of another cell the line is empty."""
    head, _, source = cell.lstrip().partition("\n")
    magic = _MAGIC.fullmatch(head.rstrip())
    return (magic[1] or "", source) if magic else ("", cell)


def from_line(line: str, names: Mapping[str, Any]) -> dict[str, Any]:
    """Return the values that a line says, which need not be right.

    Parameters
    ----------
    line
        What stands behind ``%%pytorchjob``.
    names
        The variables that it may be filled in from.

    Raises
    ------
    OptionError
        If there is no such option, or an expression cannot be evaluated.
    """
    return _values(expand(line, names))


def recalled(line: str) -> dict[str, Any]:
    """Return the values of a line that was kept with a job, of which nothing is evaluated.

    Raises
    ------
    OptionError
        If it is no line of a cell.
    """
    return _values(recall(line))


def _values(words: Sequence[str]) -> dict[str, Any]:
    typed = typed_values(words, _parser())
    values = {field: said for field, said in typed.items() if said is not None}
    return values | ({"args": _join(values["args"])} if "args" in values else {})


def values_of(options: CellOptions) -> dict[str, Any]:
    """Return the values that make these options.

    Raises
    ------
    OptionError
        If one cannot be typed.
    """
    values: dict[str, Any] = {}
    for field, option in _FIELDS.items():
        if (value := getattr(options, field)) is not None:
            with _naming(field):
                values[field] = _typed(option, value)
    return _said(values)


def _typed(option: Option, value: Any) -> Any:
    if not option.metavar:
        return value
    if not option.repeat:
        return option.write(value)
    if isinstance(value, dict):
        return [f"{key}={text}" for key, text in value.items()]
    return [option.write(each) for each in value]


@contextmanager
def _naming(field: str) -> Iterator[None]:
    try:
        yield
    except ValueError as error:
        raise OptionError(flag(field, _FIELDS[field]), str(error)) from None


@cache
def _parser() -> LineParser:
    return cell_parser()


def _words(said: Values) -> Iterator[str]:
    """Yield the words before ``--``."""
    for field, value in said.items():
        name = flag(field, _FIELDS[field])
        if field == "name":
            if value.startswith("-"):
                raise OptionError(name, f"{value!r} would be taken for an option")
            yield value
        elif value is True:
            yield name
        elif field != "args":
            for text in value if isinstance(value, list) else [value]:
                joined = text.startswith("-") or _FIELDS[field].metavar.startswith("[")
                yield from [f"{name}={text}"] if joined else [name, text]


# -- what it comes to ----------------------------------------------------------------------------


def totals(job: PyTorchJob) -> list[dict[str, Any]]:
    """Return what all replicas ask for together, by resource.

    Each entry has the `resource`, what `each` replica asks for (of replica types that differ:
    ``2 or 4``), the `replicas` that do, and the `total`.
    """
    asked: dict[str, list[tuple[Decimal, int]]] = {}
    for spec in job.spec.pytorch_replica_specs.values():
        for resource, amount in spec.template.spec.asked.items():
            asked.setdefault(resource, []).append((amount, spec.count))
    return [
        {
            "resource": resource,
            "each": " or ".join(dict.fromkeys(people(resource, amount) for amount, _ in found)),
            "replicas": sum(count for _, count in found),
            "total": people(resource, sum((amount * count for amount, count in found), Decimal())),
        }
        for resource, found in asked.items()
    ]


def differing(yaml: str, other: str) -> list[int]:
    """Return the numbers of the lines, from 1, of what `yaml` says and `other` does not.

    A line says the same where it stands below the same lines, wherever those are.
    """
    left = Counter(_paths(other))
    found = []
    for number, path in enumerate(_paths(yaml), start=1):
        if left[path] > 0:
            left[path] -= 1
        else:
            found.append(number)
    return found


def _paths(yaml: str) -> Iterator[tuple[str, ...]]:
    """Yield each line, stripped, behind those that it stands below."""
    above: list[tuple[int, str]] = []
    for text in yaml.splitlines():
        stripped = text.strip()
        if stripped:
            # An entry of a list may be indented no more than its key.
            depth = len(text) - len(text.lstrip()) + stripped.startswith("- ")
            while above and above[-1][0] >= depth:
                above.pop()
            above.append((depth, stripped))
        yield tuple(line for _, line in above)
