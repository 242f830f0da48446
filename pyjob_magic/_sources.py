"""Sources of settings, read with pydantic-settings, one by one: so it is known who said what."""

from __future__ import annotations

import shlex
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pydantic import Field, ValidationError, create_model
from pydantic_settings import (
    BaseSettings,
    EnvSettingsSource,
    PydanticBaseSettingsSource,
    PyprojectTomlConfigSettingsSource,
    SettingsConfigDict,
    TomlConfigSettingsSource,
)

from pyjob_magic.errors import SettingsError
from pyjob_magic.options import JobOptions, nearest, options
from pyjob_magic.profiles import Source
from pyjob_magic.settings import VARIABLES

_WORDS = {"dict_type": "must be a table", "string_type": "must be a text"}
_REPEATED = {field for field, option in options(JobOptions).items() if option.repeat}


class _Tables(BaseSettings):
    """The shape of a file; what is in the tables is read when it is needed."""

    model_config = SettingsConfigDict(extra="forbid")
    profile: str = ""
    defaults: dict[str, Any] = Field(default_factory=dict)
    profiles: dict[str, dict[str, Any]] = Field(default_factory=dict)

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],  # noqa: ARG003 - these are what the library passes
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,  # noqa: ARG003
        dotenv_settings: PydanticBaseSettingsSource,  # noqa: ARG003
        file_secret_settings: PydanticBaseSettingsSource,  # noqa: ARG003
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """Take what one file says, and nothing else."""
        return (init_settings,)


class _InPyproject(_Tables):
    """The same inside of a ``pyproject.toml``."""

    model_config = SettingsConfigDict(pyproject_toml_table_header=("tool", "pyjob_magic"))


_Variables: type[BaseSettings] = create_model(
    "_Variables",
    __base__=BaseSettings,
    **{
        field: (str | None, Field(None, validation_alias=name)) for name, field in VARIABLES.items()
    },  # type: ignore[call-overload]  # a model made of our list
)


@dataclass(frozen=True, kw_only=True)
class File(Source):
    """A ``pyjob.toml`` or ``pyproject.toml``.

    Parameters
    ----------
    name
        As it is shown.
    """

    name: str

    def place(self, *path: str) -> str:
        """Return the file and the key."""
        table = ("tool", "pyjob_magic") if Path(self.name).name == "pyproject.toml" else ()
        return f"{self.name}: {'.'.join((*table, *path))}"


@dataclass(frozen=True)
class Environment(Source):
    """The variables ``PYJOB_MAGIC_...``; they are defaults."""

    def place(self, *path: str) -> str:
        """Return the variable."""
        return next(name for name, field in VARIABLES.items() if field == path[-1])


def file(path: Path, name: str) -> File:
    """Return what a file says.

    Raises
    ------
    SettingsError
        If it is no TOML, or has no such tables.
    """
    try:
        tables = _Tables(**_source(path)())
    except ValidationError as error:
        where = File(path.parent, name=name)
        raise SettingsError(
            [f"{where.place(*map(str, e['loc']))}: {_reason(e)}" for e in error.errors()]
        ) from None
    except OSError as error:
        raise SettingsError([f"{name}: cannot be read: {error.strerror}"]) from None
    except ValueError as error:  # also text that is no UTF-8
        raise SettingsError([f"{name}: is no TOML: {error}"]) from None
    return File(path.parent, tables.profile, tables.defaults, tables.profiles, name=name)


def _source(path: Path) -> TomlConfigSettingsSource:
    if path.name == "pyproject.toml":
        return PyprojectTomlConfigSettingsSource(_InPyproject, path)
    return TomlConfigSettingsSource(_Tables, path)


def environment() -> Environment:
    """Return what the environment says.

    Raises
    ------
    SettingsError
        If quotes are not closed.
    """
    source = EnvSettingsSource(_Variables, case_sensitive=True, env_ignore_empty=True)
    said: dict[str, Any] = {VARIABLES[name]: text for name, text in source().items()}
    profile = said.pop("profile", "")
    for field in _REPEATED & said.keys():
        try:
            said[field] = shlex.split(said[field])
        except ValueError as error:
            where = Environment(Path()).place(field)
            raise SettingsError([f"{where}: {error}; quotes come in pairs"]) from None
    return Environment(Path(), profile, said)


def _reason(error: Any) -> str:
    if error["type"] == "extra_forbidden":
        return f"no such key{nearest(error['loc'][-1], _Tables.model_fields)}"
    return _WORDS.get(error["type"]) or str(error["msg"])
