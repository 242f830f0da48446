"""Field managers: who owns which fields of an object, as its ``managedFields`` tell.

Source: ``k8s.io/apimachinery`` ``pkg/util/managedfields/internal`` and
``pkg/apis/meta/v1/validation``; ``k8s.io/apiserver`` ``pkg/endpoints/handlers``.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple

from pyjob_magic.local.apiserver import query, schema
from pyjob_magic.local.apiserver.fields import NONE, Fields, from_wire, to_wire
from pyjob_magic.local.objects import Json, seconds, timestamp
from pyjob_magic.local.resources import Resource
from pyjob_magic.local.status import Cause, invalid

APPLY = "Apply"
UPDATE = "Update"
_LONGEST_NAME = 128  # bytes
_MOST_UPDATERS = 10
_OLD_UPDATERS = "ancient-changes"


class Manager(NamedTuple):
    """Who owns fields.

    Parameters
    ----------
    name
        What it calls itself.
    operation
        How it came by them: Apply or Update.
    api_version
        In which version of the object.
    subresource
        Through which subresource; empty for the object itself.
    """

    name: str
    operation: str
    api_version: str
    subresource: str = ""

    def __str__(self) -> str:
        """Return what the messages of conflicts call it."""
        through = f' with subresource "{self.subresource}"' if self.subresource else ""
        using = f" using {self.api_version}" if self.operation == UPDATE else ""
        return f'"{self.name}"{through}{using}'


@dataclass(frozen=True)
class Claim:
    """What a manager owns, and when it last took something: seconds since the epoch."""

    fields: Fields
    time: float | None = None


Claims = dict[Manager, Claim]


def read(entries: Any, api_version: str) -> Claims:
    """Read ``managedFields``; entries of other versions than `api_version` are left out.

    Raises
    ------
    ValueError
        If they are malformed.
    """
    if not isinstance(entries, list):
        raise ValueError("managedFields is a list")
    claims = dict(map(_read, entries))
    return {manager: claims[manager] for manager in claims if manager.api_version == api_version}


def write(claims: Claims) -> list[Json]:
    """Write ``managedFields``, in the order of Kubernetes."""
    return [_write(manager, claims[manager]) for manager in sorted(claims, key=_place_in(claims))]


def owned(claims: Claims) -> Fields:
    """Return all fields that have an owner."""
    fields = NONE
    for claim in claims.values():
        fields |= claim.fields
    return fields


def disown(claims: Claims, gone: Fields) -> Claims:
    """Take fields from their managers; a manager that has nothing left is left out."""
    kept = {manager: Claim(claim.fields - gone, claim.time) for manager, claim in claims.items()}
    return {manager: claim for manager, claim in kept.items() if claim.fields}


def capped(claims: Claims) -> Claims:
    """Put the oldest updaters together where there are more than Kubernetes keeps."""
    updaters = [one for one in sorted(claims, key=_place_in(claims)) if one.operation == UPDATE]
    excess = len(updaters) - _MOST_UPDATERS
    if excess <= 0:
        return claims
    oldest = {one: claims[one] for one in updaters[: excess + 1]}
    together = Manager(_OLD_UPDATERS, UPDATE, updaters[0].api_version)
    kept = {one: claim for one, claim in claims.items() if one not in oldest and one != together}
    known = owned(oldest) | claims.get(together, Claim(NONE)).fields
    return {**kept, together: Claim(known, claims[updaters[excess]].time)}


def of_update(params: Mapping[str, str], user_agent: str, *, options: str) -> str:
    """Return the name of the manager that creates, updates or patches an object.

    Parameters
    ----------
    params
        Of the request.
    user_agent
        Of the request; names the manager if ``fieldManager`` does not.
    options
        What Kubernetes calls the parameters: CreateOptions, UpdateOptions or PatchOptions.

    Raises
    ------
    StatusError
        422 for parameters that are not allowed.
    """
    name = params.get("fieldManager", "")
    causes = [*_name_causes(name)]
    if options == "PatchOptions" and "force" in params:
        message = "Forbidden: may not be specified for non-apply patch"
        causes.insert(0, Cause("force", "FieldValueForbidden", message))
    _refuse(options, causes)
    agent = "".join(filter(str.isprintable, user_agent.partition("/")[0]))
    return name or agent.encode()[:_LONGEST_NAME].decode(errors="ignore")


def of_apply(params: Mapping[str, str]) -> tuple[str, bool]:
    """Return the name of the manager that applies an object, and whether it forces conflicts.

    Raises
    ------
    StatusError
        422 for parameters that are not allowed.
    """
    name = params.get("fieldManager", "")
    causes = [*_name_causes(name)]
    if not name:
        message = "Required value: is required for apply patch"
        causes = [Cause("fieldManager", "FieldValueRequired", message)]
    _refuse("PatchOptions", causes)
    return name, query.flag(params, "force")


def _read(entry: Any) -> tuple[Manager, Claim]:
    if not isinstance(entry, dict) or entry.get("fieldsType") != "FieldsV1":
        raise ValueError("an entry of managedFields is an object of fieldsType FieldsV1")
    words = [entry.get(key, "") for key in ("manager", "operation", "apiVersion", "subresource")]
    if not all(isinstance(word, str) for word in words):
        raise ValueError("the manager, operation, apiVersion and subresource are strings")
    manager = Manager(*words)
    if manager.operation not in (APPLY, UPDATE) or any(_name_causes(manager.name)):
        raise ValueError(f"{manager} cannot own fields")
    return manager, Claim(from_wire(entry.get("fieldsV1") or {}), _time(entry.get("time")))


def _time(text: Any) -> float | None:
    try:
        return None if text is None else max(0, seconds(text))
    except (TypeError, OverflowError) as error:
        raise ValueError(f"{text!r} is no time") from error


def _write(manager: Manager, claim: Claim) -> Json:
    entry = {
        "manager": manager.name,
        "operation": manager.operation,
        "apiVersion": manager.api_version,
        "time": None if claim.time is None else timestamp(claim.time),
        "fieldsType": "FieldsV1",
        "fieldsV1": to_wire(claim.fields),
        "subresource": manager.subresource,
    }
    return {key: value for key, value in entry.items() if value not in (None, "")}


def _place_in(claims: Claims) -> Callable[[Manager], tuple[Any, ...]]:
    """Return the key by which managers are sorted: appliers first, then by time."""

    def place(manager: Manager) -> tuple[Any, ...]:
        time = claims[manager].time
        rest = (manager.name, manager.api_version, manager.subresource)
        return (manager.operation, int(time or 0), *rest)

    return place


def _name_causes(name: str) -> Iterator[Cause]:
    if len(name.encode(errors="surrogatepass")) > _LONGEST_NAME:
        message = f"Too long: may not be more than {_LONGEST_NAME} bytes"
        yield Cause("fieldManager", "FieldValueTooLong", message)
    for position, character in enumerate(name):
        if not character.isprintable():
            where = f"invalid character U+{ord(character):04X} (at position {position})"
            message = f"Invalid value: {schema.quote(name)}: {where}"
            yield Cause("fieldManager", "FieldValueInvalid", message)


def _refuse(options: str, causes: Iterable[Cause]) -> None:
    if found := list(causes):
        raise invalid(Resource("", options, "meta.k8s.io"), "", found)
