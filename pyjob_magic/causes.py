"""Why an API refuses a job, told beside the options that set the fields.

The words stay the server's; only where the field stands is said as people have typed it.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any, NamedTuple

from pyjob_magic.edits import Wire
from pyjob_magic.fields import option_of

_STRICT = re.compile(r'(?:unknown|duplicate) field "([^"]+)"')
_PATH = r"(?:spec|metadata)[.\[][^\s:]*|spec"
_DENIED = re.compile(rf"({_PATH}): (.+)", re.DOTALL)
_NEXT = re.compile(rf", (?=(?:{_PATH}): )")

_Causes = list[tuple[str, str]]  # field and what is wrong with it


class Refusal(NamedTuple):
    """Why a job was refused."""

    text: str
    """A line for each cause, the same one once."""
    by_option: Mapping[str, str]
    """What is wrong with an option, as it is typed, such as ``--memory``."""


def explain(message: str, details: Mapping[str, Any], job: Wire) -> Refusal:
    """Return why `job` was refused.

    Parameters
    ----------
    message, details
        Those of the Status that came back.
    job
        The job as it was sent.
    """
    head, causes = _of_details(message, details)
    if not causes:
        head, causes = _of_strict(message) or _of_webhook(message) or (message, [])
    told = list(dict.fromkeys(_told(field, text, job) for field, text in causes))
    by_option = {where: text for where, text in told if where.startswith("--") or where == "NAME"}
    lines = [": ".join(filter(None, cause)) for cause in told]
    if len(lines) == 1:
        return Refusal(f"{head}: {lines[0]}", by_option)
    text = f"{head}:" + "".join(f"\n  {line}" for line in lines) if lines else message
    return Refusal(text, by_option)


def _of_details(message: str, details: Mapping[str, Any]) -> tuple[str, _Causes]:
    """Read the causes of a Status; of its message only what stands before them is needed."""
    head, invalid, _ = message.partition(" is invalid: ")
    causes = details.get("causes") or ()
    found = [(str(cause.get("field") or ""), str(cause.get("message") or "")) for cause in causes]
    return (f"{head} is invalid" if invalid else message), found


def _of_strict(message: str) -> tuple[str, _Causes] | None:
    """Read what a server says that prunes no unknown fields."""
    head, _, tail = message.partition("strict decoding error: ")
    parts = tail.split(", ")
    found = [_STRICT.fullmatch(part) for part in parts]
    if not all(found):
        return None
    causes = [(match[1], match[0].partition(' "')[0]) for match in found if match]
    return f"{head}strict decoding error", causes


def _of_webhook(message: str) -> tuple[str, _Causes] | None:
    """Read the field errors of an admission webhook."""
    head, denied, tail = message.partition(" denied the request: ")
    if tail.startswith("[") and tail.endswith("]"):
        tail = tail[1:-1]
    found = [_DENIED.fullmatch(part) for part in _NEXT.split(tail)]
    if not denied or not all(found):
        return None
    return f"{head} denied the request", [(match[1], match[2]) for match in found if match]


def _told(field: str, text: str, job: Wire) -> tuple[str, str]:
    """Return the option that has set a field, else the field, and what is wrong with it."""
    if field in ("", "<nil>"):
        return "", text
    shorter = text.replace(f"{field} in body ", "").replace(f"{field} ", "")
    return option_of(field, job) or field.lstrip("."), shorter
