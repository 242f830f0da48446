"""A job that is being written in a form: what is wrong with it so far, and what would be sent."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from pyjob_magic import _form
from pyjob_magic.connection import Connection
from pyjob_magic.edits import ACCELERATOR
from pyjob_magic.errors import (
    OptionError,
    PyJobError,
    SettingsError,
    SourceError,
    TargetError,
)
from pyjob_magic.manifest import Manifest, to_yaml
from pyjob_magic.options import CellOptions
from pyjob_magic.withheld import withhold

Json = dict[str, Any]
Build = Callable[[CellOptions, str], tuple[Connection, Manifest]]

_NO_CODE = "pass"  # stands for code that is still to come, so that all else can be seen
# What says which job it is and where it goes: all the rest may come from the profile.
_WHERE = ("name", "on", "namespace", "context", "profile", "from_")
_LONGEST = 200_000  # characters of YAML that are shown


@dataclass(frozen=True)
class Draft:
    """What a form holds, looked at.

    Parameters
    ----------
    errors
        What is wrong, by field.
    source_error
        What is wrong with the code, if anything is.
    missing
        What is still to be said.
    problem
        What is wrong with nothing in particular.
    options, connection, manifest
        What it comes to; None as long as something is wrong.
    plain
        The manifest that the profile alone would give.
    """

    errors: Mapping[str, str] = field(default_factory=dict)
    source_error: str | None = None
    missing: Sequence[str] = ()
    problem: str = ""
    options: CellOptions | None = None
    connection: Connection | None = None
    manifest: Manifest | None = None
    plain: Manifest | None = None

    @property
    def whole(self) -> tuple[CellOptions, Connection, Manifest] | None:
        """What can be submitted, once nothing is missing."""
        if self.missing or not (self.options and self.connection and self.manifest):
            return None
        return self.options, self.connection, self.manifest

    def told(self, left: Mapping[str, str]) -> Json:
        """Return it as values of JSON, beside what is left of each resource."""
        told: Json = {
            "errors": dict(self.errors),
            "source_error": self.source_error,
            "missing": [*self.missing],
            "yaml": "",
            "marked": [],
            "totals": [],
            "free": [],
            "place": "",
        }
        if self.manifest and self.plain and self.connection:
            yaml = _shown(self.manifest)
            told["yaml"] = yaml
            told["marked"] = _form.differing(yaml, _shown(self.plain))
            totals = _form.totals(self.manifest.job)
            told["totals"] = [each | {"left": left.get(each["resource"])} for each in totals]
            asked = {each["resource"] for each in totals}
            told["free"] = [
                {"resource": resource, "left": amount}
                for resource, amount in left.items()
                if resource not in asked and _worth_saying(resource)
            ]
            told["place"] = f"{self.connection.place}, namespace {self.connection.namespace}"
        return told


def _worth_saying(resource: str) -> bool:
    """Whether people choose how much of it they want: a quota limits much else."""
    return resource in ("cpu", "memory") or bool(ACCELERATOR.search(resource))


def _shown(manifest: Manifest) -> str:
    """Return a manifest as YAML; a front end may store what it is told, so without secrets."""
    wires = manifest.to_wire()
    withhold(wires[0])  # the others have no variables
    return "---\n".join(map(to_yaml, wires))[:_LONGEST]


def look_at(values: Mapping[str, Any], source: str, build: Build) -> Draft:
    """Return what a form comes to.

    Parameters
    ----------
    values, source
        What it holds; the values as `_form` has them.
    build
        Makes a manifest.
    """
    missing = () if source.strip() else ("the code",)
    if errors := _form.check(values):
        return Draft(errors, missing=missing)
    options = _form.options(values)
    plain = _form.options({name: said for name, said in values.items() if name in _WHERE})
    problem = ""
    try:
        connection, manifest = build(options, source if source.strip() else _NO_CODE)
        _, without = build(plain, source if source.strip() else _NO_CODE)
    except OptionError as error:
        field_ = _form.field_of(error.option)
        errors = {field_: error.reason} if field_ else {}
        problem = "" if field_ else str(error)
        more = ("what the message above asks for",) if problem else ()
        return Draft(errors, missing=(*missing, *more), problem=problem)
    except SourceError as error:
        where = f"line {error.line} " if error.line else ""
        return Draft(source_error=f"{where}{error.reason}", missing=missing, options=options)
    except (TargetError, SettingsError) as error:
        return Draft({"on": str(error)}, missing=missing)
    except PyJobError as error:
        return Draft(missing=(*missing, "what the message above asks for"), problem=str(error))
    return Draft(
        missing=missing, options=options, connection=connection, manifest=manifest, plain=without
    )
