"""What the ``Accept`` header of a request asks for. Pure.

Source: ``k8s.io/apiserver/pkg/endpoints/handlers/negotiation``.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator
from typing import NamedTuple

from pyjob_magic.local.status import StatusError

_JSON = ("application/json", "application/*", "*/*")


class Form(NamedTuple):
    """A kind that an answer can be brought into."""

    group: str
    version: str
    kind: str


def choose(accept: str, forms: Collection[Form] = ()) -> Form | None:
    """Return which of `forms` an ``Accept`` header asks for first; None for plain JSON.

    Raises
    ------
    StatusError
        406 if it names nothing that can be had. Only JSON can be.
    """
    if not accept.strip():
        return None
    for media_type, params in sorted(_clauses(accept), key=_preference):
        if media_type not in _JSON or params.get("stream", "watch") != "watch":
            continue
        form = Form(params.get("g", ""), params.get("v", ""), params.get("as", ""))
        if not any(form):
            return None
        if form in forms:
            return form
    raise not_acceptable("only the following media types are accepted: application/json")


def not_acceptable(message: str) -> StatusError:
    """406: nothing of what the client would take can be had."""
    return StatusError(406, "NotAcceptable", message)


def _clauses(accept: str) -> Iterator[tuple[str, dict[str, str]]]:
    for clause in accept.split(","):
        media_type, *params = clause.split(";")
        pairs = (param.partition("=") for param in params)
        yield (
            media_type.strip().lower(),
            {name.strip().lower(): value.strip().strip('"') for name, _, value in pairs},
        )


def _preference(clause: tuple[str, dict[str, str]]) -> tuple[float, int]:
    """Return the place of a clause: by its weight, then the exact ones first."""
    media_type, params = clause
    try:
        weight = float(params.get("q", "1"))
    except ValueError:
        weight = 0.0
    return -weight, media_type.count("*")
