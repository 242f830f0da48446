"""Profiles: tables of settings, read, inherited and merged. Pure.

What is said in a line goes before a profile, a profile before those that it inherits from, and
those before the defaults. Each of these tables may stand in several sources; later ones go first.
"""

from __future__ import annotations

import dataclasses
import re
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar

from pyjob_magic import values
from pyjob_magic.errors import OptionError, SettingsError
from pyjob_magic.options import JobOptions, flag, nearest, options
from pyjob_magic.targets import NAMES, Access
from pyjob_magic.targets.access import CREDENTIALS
from pyjob_magic.values import Mount

Options = TypeVar("Options", bound=JobOptions)

FILE = "pyjob.toml"
# With an underscore: access keys are upper-case words, too.
_VARIABLE = re.compile(r"[A-Z][A-Z0-9]*(_[A-Z0-9]+)+")
_OPTIONS = {name: option for name, option in options(JobOptions).items() if name != "name"}
_ACCESS = tuple(entry.name for entry in dataclasses.fields(Access))


@dataclass(frozen=True)
class Setting:
    """A value, and where it was said.

    Parameters
    ----------
    value
        As the reader of its option returns it.
    places
        Such as ``pyjob.toml: profiles.gpu.memory``; of values that were merged all of them.
    """

    value: Any = field(repr=False)  # may be a variable that is secret
    places: tuple[str, ...]


Table = dict[str, Setting]


@dataclass(frozen=True)
class Source(ABC):
    """A file of settings, or the environment: what it says, not yet read.

    Parameters
    ----------
    directory
        What the paths in it are relative to.
    profile
        Name of the default profile; empty if it names none.
    defaults
        Settings of every job.
    profiles
        Settings by name of the profile.
    """

    directory: Path
    profile: str = ""
    defaults: Mapping[str, Any] = field(default_factory=dict)
    profiles: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)

    @abstractmethod
    def place(self, *path: str) -> str:
        """Return where something stands, as people can find it."""


@dataclass(frozen=True)
class Profile:
    """What is in force: a profile on top of the defaults, or the defaults alone.

    Parameters
    ----------
    name
        Name of the profile; empty if there is none.
    asked_for
        Whether somebody has named it; else the settings do.
    settings
        By field of `JobOptions` and `Access`, and ``on`` and ``namespace``.
    """

    name: str = ""
    asked_for: bool = False
    settings: Mapping[str, Setting] = field(default_factory=dict)

    @property
    def on(self) -> str | None:
        """Target that it names."""
        target: str | None = self._value("on")
        return target

    @property
    def namespace(self) -> str | None:
        """Namespace that it names."""
        namespace: str | None = self._value("namespace")
        return namespace

    @property
    def access(self) -> Access:
        """How to get into the target."""
        return Access(**{key: self._value(key) for key in _ACCESS if key in self.settings})

    def under(self, said: Options) -> Options:
        """Return the options with what the profile says about those that were not said."""
        own = {name: self._value(name) for name in _OPTIONS if name in self.settings}
        typed = {name: getattr(said, name) for name in _OPTIONS}
        whole = merge(own, {name: value for name, value in typed.items() if value is not None})
        if not whole.get("gpus") and said.gpu_resource is None:
            whole.pop("gpu_resource", None)  # what GPUs are called is of no use without any
        return dataclasses.replace(said, **whole)

    def _value(self, name: str) -> Any:
        return self.settings[name].value if name in self.settings else None


NO_PROFILE = Profile()


@dataclass(frozen=True)
class Settings:
    """All sources.

    Parameters
    ----------
    sources
        Later ones go before earlier ones.
    remarks
        What was looked for and is not there, or is there and not read.
    """

    sources: Sequence[Source] = ()
    remarks: Sequence[str] = ()

    @property
    def names(self) -> list[str]:
        """Names of the profiles."""
        return sorted({name for source in self.sources for name in source.profiles})

    @property
    def default(self) -> Setting | None:
        """Name of the profile of those who name none."""
        saying = [source for source in self.sources if source.profile]
        return Setting(saying[-1].profile, (saying[-1].place("profile"),)) if saying else None

    def choose(self, name: str | None = None) -> Profile:
        """Return what is in force for who asks for the profile `name`, or for none.

        Raises
        ------
        OptionError
            If there is no profile of this name.
        SettingsError
            If something that it needs cannot be.
        """
        if name is not None and name not in self.names:
            known = f"known: {', '.join(self.names)}" if self.names else f"no {FILE} has any"
            raise OptionError("--profile", f"{self._unknown(name)}; {known}")
        chosen = name
        if chosen is None and (default := self.default):
            chosen = default.value
            if chosen not in self.names:
                raise SettingsError([f"{default.places[0]}: {self._unknown(chosen)}"])
        own = self.profile(chosen) if chosen is not None else {}
        return Profile(chosen or "", name is not None, merge_tables(self.defaults(), own))

    def defaults(self) -> Table:
        """Return the settings of every job.

        Raises
        ------
        SettingsError
            If one of them cannot be.
        """
        tables = ((source, ("defaults",), source.defaults) for source in self.sources)
        return _read(tables, _KEYS)

    def profile(self, name: str, heirs: tuple[str, ...] = ()) -> Table:
        """Return the settings of a profile and of those that it inherits from.

        Raises
        ------
        SettingsError
            If one of them cannot be.
        """
        tables = (
            (source, ("profiles", name), source.profiles[name])
            for source in self.sources
            if name in source.profiles
        )
        own = _read(tables, _KEYS | {"inherits": "inherits"})
        if (parent := own.pop("inherits", None)) is None:
            return own
        if parent.value in (*heirs, name):
            circle = " -> ".join((*heirs, name, parent.value))
            raise SettingsError([f"{parent.places[-1]}: goes round in a circle: {circle}"])
        if parent.value not in self.names:
            raise SettingsError([f"{parent.places[-1]}: {self._unknown(parent.value)}"])
        return merge_tables(self.profile(parent.value, (*heirs, name)), own)

    def _unknown(self, name: Any) -> str:
        return f"there is no profile {name!r}{nearest(name, self.names)}"


def merge(lower: Mapping[str, Any], higher: Mapping[str, Any]) -> dict[str, Any]:
    """Return the values of both by field; what cannot be joined is taken from `higher`."""
    both = {name: join(name, lower[name], higher[name]) for name in lower if name in higher}
    return {**lower, **higher, **both}


def merge_tables(lower: Table, higher: Table) -> Table:
    """Return the settings of both, and where the values come from."""
    merged = {**lower, **higher}
    for name in lower.keys() & higher.keys():
        low, high = lower[name], higher[name]
        value = join(name, low.value, high.value)
        replaced = value == high.value
        places = high.places if replaced else tuple(dict.fromkeys(low.places + high.places))
        merged[name] = Setting(value, places)
    return merged


def join(name: str, lower: Any, higher: Any) -> Any:
    """Return what becomes of two values of one field: pairs and lists go together."""
    if name != "credentials" and not (name in _OPTIONS and _OPTIONS[name].repeat):
        return higher
    if isinstance(higher, dict):
        return {**lower, **higher}
    return [entry for entry in lower if not any(_same(entry, other) for other in higher)] + higher


def shown(name: str, value: Any) -> str:
    """Return the value of a field as it may be shown: no secret, and nothing that could be one."""
    if name == "env":
        pairs = ((key, "***" if values.is_secret(key) else text) for key, text in value.items())
        return ", ".join(f"{key}={text}" for key, text in pairs)
    if name == "patch":
        return ", ".join(patch if str(patch).startswith("@") else "..." for patch in value)
    if name == "pod_template" and not isinstance(value, str):
        return "..."
    if isinstance(value, dict):
        return ", ".join(f"{key}={text}" for key, text in value.items())
    if isinstance(value, list):
        return ", ".join(map(str, value))
    return str(value).lower() if isinstance(value, bool) else str(value)


def _same(one: Any, other: Any) -> bool:
    """Whether two entries cannot both be there: of two volumes at one place the latter counts."""
    if isinstance(one, Mount) and isinstance(other, Mount):
        return one.path == other.path
    return bool(one == other)


def _read(
    tables: Iterator[tuple[Source, tuple[str, ...], Mapping[str, Any]]], keys: Mapping[str, str]
) -> Table:
    """Read one table as it stands in several sources."""
    merged: Table = {}
    problems: list[str] = []
    for source, path, raw in tables:
        read: Table = {}
        for key, value in raw.items():
            place = source.place(*path, key)
            try:
                name = _field(key, keys)
                if name in read:
                    raise ValueError(f"is said twice: {read[name].places[0]}")
                read[name] = Setting(_value(name, value, source.directory), (place,))
            except ValueError as error:
                problems.append(f"{place}: {error}")
        merged = merge_tables(merged, read)
    if problems:
        raise SettingsError(problems)
    return merged


def _field(key: str, keys: Mapping[str, str]) -> str:
    """Return the field that a key means: an option's name, with either kind of dash."""
    name = keys.get(key.replace("-", "_"))
    if name is None:
        dashed = [known.replace("_", "-") for known in keys]
        raise ValueError(f"no such setting{nearest(key.replace('_', '-'), dashed)}")
    return name


def _value(name: str, value: Any, directory: Path) -> Any:
    """Read the value of a field; raises ValueError with what to write instead."""
    option = _OPTIONS.get(name)
    if isinstance(value, list) and not (option.repeat if option else name == "command"):
        raise ValueError("takes one value, not a list")
    if isinstance(value, dict):
        for key, inner in value.items():
            if name in _PAIRS and not isinstance(inner, str):
                raise ValueError(f"{key} must be a text: write it in quotes")
    read: Callable[[Any], Any] = option.read if option else _READERS[name]
    found = read(value)
    if name == "pod_template" and isinstance(found, str):
        return _path(found, directory)
    if name == "patch":
        return [_patch(patch, directory) for patch in found]
    if name == "kubeconfig":
        return ":".join(_path(file, directory) for file in found.split(":"))
    return found


def _path(file: str, directory: Path) -> str:
    return str(directory / Path(file).expanduser())


def _patch(patch: Any, directory: Path) -> Any:
    if isinstance(patch, str) and patch.startswith("@"):
        return f"@{_path(patch[1:], directory)}"
    return patch


def _text(value: Any) -> str:
    if not isinstance(value, str) or not value.strip():
        raise ValueError(f"{value!r} is no text")
    return value


def _target(value: Any) -> str:
    if value not in NAMES:
        hint = nearest(str(value), NAMES)
        raise ValueError(f"there is no target {value!r}{hint}; known: {', '.join(NAMES)}")
    return str(value)


def _command(value: Any) -> tuple[str, ...]:
    if not isinstance(value, list) or not value:
        raise ValueError("must be a list: the program and its arguments")
    return tuple(_text(word) for word in value)


def _credentials(value: Any) -> dict[str, str]:
    """Read which variable holds which credential; no message repeats what might be a secret."""
    if not isinstance(value, dict):
        raise ValueError("must be a table: for each credential the variable that holds it")
    found = {}
    for key, variable in value.items():
        name = key.replace("-", "_")
        if name not in CREDENTIALS:
            known = ", ".join(CREDENTIALS)
            raise ValueError(f"{key} is no credential{nearest(name, CREDENTIALS)}; known: {known}")
        if not _VARIABLE.fullmatch(variable):
            raise ValueError(
                f"{key} must name an environment variable, such as HUAWEICLOUD_SDK_AK; "
                "the secret itself belongs into no file"
            )
        found[name] = variable
    return found


_PAIRS = ("env", "labels", "annotations", "node_selector", "credentials")
_READERS: dict[str, Callable[[Any], Any]] = {
    "on": _target,
    "namespace": values.namespace,
    "inherits": _text,
    "context": _text,
    "kubeconfig": _text,
    "region": _text,
    "endpoint": _text,
    "iam_endpoint": _text,
    "credentials": _credentials,
    "command": _command,
}
FIELDS = (*_OPTIONS, *(name for name in _READERS if name != "inherits"))
"""What a table may say."""
_KEYS = {name: name for name in FIELDS} | {
    flag(name, option).strip("-").replace("-", "_"): name for name, option in _OPTIONS.items()
}
