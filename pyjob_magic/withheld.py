"""Secret values of variables: withheld from what is kept or shown, and filled in again.

In place of a value stands ``{NAME}``, as in the line of a cell that is put back.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from pyjob_magic.edits import Wire, templates
from pyjob_magic.manifest import APPLIED
from pyjob_magic.values import is_secret

_SHORTEST = 6  # characters of a value that is looked for in texts: `1` would be found everywhere


def withhold(wire: Wire) -> dict[str, str]:
    """Take the secret values out of a job, and return them by the name of their variable."""
    # It repeats the whole job as it was applied.
    (wire["metadata"].get("annotations") or {}).pop(APPLIED, None)
    taken = {}
    for variable in _variables(wire):
        if value := variable.get("value"):
            taken[variable["name"]] = str(value)
            variable["value"] = _place(variable["name"])
    return taken


def missing(wire: Wire) -> list[str]:
    """Return the names of the variables whose values are withheld."""
    names = [v["name"] for v in _variables(wire) if v.get("value") == _place(v["name"])]
    return [*dict.fromkeys(names)]


def fill(wire: Wire, values: Mapping[str, Any]) -> None:
    """Put values in place of those that are withheld, as far as they are known."""
    for variable in _variables(wire):
        name = variable["name"]
        if variable.get("value") == _place(name) and name in values:
            variable["value"] = str(values[name])


def blanked(text: str, taken: Mapping[str, str]) -> str:
    """Return a text with `taken` values withheld from it, too."""
    for name, value in taken.items():
        if len(value) >= _SHORTEST:
            text = text.replace(value, _place(name))
    return text


def _variables(wire: Wire) -> Iterator[Wire]:
    """Yield the variables that are likely to be secret, of all containers."""
    for template in templates(wire):
        pod = template["spec"]
        for container in (*(pod.get("initContainers") or ()), *pod["containers"]):
            for variable in container.get("env") or ():
                if is_secret(variable["name"]):
                    yield variable


def _place(name: str) -> str:
    return f"{{{name}}}"
