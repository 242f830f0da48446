"""What ``%pytorchjob profiles`` shows: every setting, and where it comes from."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from pyjob_magic._tables import Rows, Table
from pyjob_magic.errors import SettingsError
from pyjob_magic.profiles import Settings, shown
from pyjob_magic.profiles import Table as SettingsByField


class SettingsTable(Table[tuple[str, ...]]):
    """Settings, one in each row."""

    head = ("profile", "setting", "value", "from")
    empty = "nothing is set"

    def rows(self) -> Rows:
        """Return what is shown of each setting."""
        return list(self)


def rows(settings: Settings, environment: Mapping[str, str]) -> tuple[Rows, list[str]]:
    """Return the rows of the table, and what is wrong with what has none.

    Parameters
    ----------
    settings
        All of them.
    environment
        Where the variables are that hold credentials.
    """
    found: Rows = []
    problems: list[str] = []
    for name in ("", *settings.names):
        try:
            table = settings.profile(name) if name else settings.defaults()
        except SettingsError as error:
            problems += error.problems
        else:
            found += _of_table(name or "(defaults)", table, environment)
    return found, list(dict.fromkeys(problems))


def in_force(settings: Settings, used: str | None) -> str:
    """Return which profile is in force, and why."""
    if used is not None:
        return f"Profile {used} is in force: %pytorchjob use"
    if settings.default is None:
        return "Who names no profile gets the defaults only"
    name, place = settings.default.value, settings.default.places[0]
    if name not in settings.names:
        return f"{place} asks for profile {name}, but there is none"
    return f"Profile {name} is in force: {place}"


def _of_table(profile: str, table: SettingsByField, environment: Mapping[str, str]) -> Rows:
    if not table:
        return [(profile, "", "", "")]
    return [
        (
            profile,
            field.replace("_", "-"),
            _text(field, setting.value, environment),
            ", ".join(setting.places),
        )
        for field, setting in table.items()
    ]


def _text(field: str, value: Any, environment: Mapping[str, str]) -> str:
    """Return a value as it may be shown."""
    if field == "credentials":
        held = (f"{key}: {name} ({_is_set(name, environment)})" for key, name in value.items())
        return ", ".join(held)
    if field == "command":
        return f"{value[0]} ..." if len(value) > 1 else str(value[0])
    return shown(field, value)


def _is_set(variable: str, environment: Mapping[str, str]) -> str:
    return "set" if environment.get(variable) else "not set"
