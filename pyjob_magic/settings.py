"""Where settings are looked for: the project's file, the user's file, the environment.

Of the project it is the nearest ``pyjob.toml``, or ``pyproject.toml`` with ``[tool.pyjob_magic]``,
at or above the working directory. Files are read anew each time, as they may be edited meanwhile.
"""

from __future__ import annotations

import os
import stat
import tomllib
from collections.abc import Iterator
from pathlib import Path

import platformdirs

from pyjob_magic.errors import SettingsError
from pyjob_magic.profiles import FIELDS, FILE, Settings, Source

VARIABLES = {
    f"PYJOB_MAGIC_{'TARGET' if field == 'on' else field.upper()}": field
    for field in ("profile", *FIELDS)
    if field not in ("credentials", "command")
}
"""Fields that the environment may set, by variable; what repeats is separated as in a shell."""
_SHARED = "pyproject.toml"


def read(directory: Path | None = None) -> Settings:
    """Return the settings that hold in `directory`, the working directory if none is given.

    Raises
    ------
    SettingsError
        If a file is no TOML, or has no such tables.
    """
    found, remarks = _files(directory or _working_directory())
    said = {field: text for name, field in VARIABLES.items() if (text := os.environ.get(name))}
    if not found and not said:
        return Settings((), remarks)  # and the settings library need not be imported
    from pyjob_magic._sources import environment, file

    sources: list[Source] = []
    problems: list[str] = []
    for path in found:
        try:
            sources.append(file(path, shown(path)))
        except SettingsError as error:
            problems += error.problems
    if problems:
        raise SettingsError(problems)
    if said:
        sources.append(environment())
    return Settings(sources, remarks)


def shown(path: Path) -> str:
    """Return a path as people write it: relative to where they are, or to their home."""
    here, home = _working_directory(), Path.home()
    if path.is_relative_to(here):
        return str(path.relative_to(here))
    return f"~/{path.relative_to(home)}" if path.is_relative_to(home) else str(path)


def _files(directory: Path) -> tuple[list[Path], list[str]]:
    """Return the files that are there, the user's last, and what to know about the others."""
    found: list[Path] = []
    remarks: list[str] = []
    if project := _nearest(directory):
        found.append(project)
        if project.name == FILE and _has_table(project.with_name(_SHARED)):
            other = shown(project.with_name(_SHARED))
            remarks.append(f"{shown(project)} goes before {other}, which is not read")
    else:
        remarks.append(f"no {FILE}, and no [tool.pyjob_magic] in a {_SHARED}, from here upwards")
    user = platformdirs.user_config_path("pyjob_magic") / FILE
    if user.is_file():
        found.append(user)
    else:
        remarks.append(f"no {shown(user)}")
    return found, remarks


def _nearest(directory: Path) -> Path | None:
    for folder in _trusted(directory):
        if (own := folder / FILE).is_file():
            return own
        if _has_table(shared := folder / _SHARED):
            return shared
    return None


def _trusted(directory: Path) -> Iterator[Path]:
    """Yield a directory and those above it, without those where anybody may put a file."""
    yield directory
    for parent in directory.parents:
        try:
            if not parent.stat().st_mode & stat.S_IWOTH:
                yield parent
        except OSError:
            return


def _has_table(path: Path) -> bool:
    """Whether a pyproject.toml is about us; one that is broken is, if it names our table."""
    try:
        content = path.read_bytes()
        if b"pyjob_magic" not in content:
            return False
        tool = tomllib.loads(content.decode()).get("tool")
    except OSError:
        return False
    except ValueError:
        return b"tool.pyjob_magic" in content
    return isinstance(tool, dict) and isinstance(tool.get("pyjob_magic"), dict)


def _working_directory() -> Path:
    try:
        return Path.cwd()
    except OSError:  # it was removed
        return Path.home()
