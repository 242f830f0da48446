"""Why an API refuses a job, told beside the options that set the fields.

The words stay the server's; only where the field stands is said as people have typed it.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from pyjob_magic.edits import Wire
from pyjob_magic.fields import option_of

_STRICT = re.compile(r'(?:unknown|duplicate) field "([^"]+)"')
_PATH = r"(?:spec|metadata)[.\[][^\s:]*|spec"
_DENIED = re.compile(rf"({_PATH}): (.+)", re.DOTALL)
_NEXT = re.compile(rf", (?=(?:{_PATH}): )")

_Causes = list[tuple[str, str]]  # field and what is wrong with it


def explain(message: str, details: Mapping[str, Any], job: Wire) -> str:
    """Return why `job` was refused: a line for each cause, the same one once.

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
    lines = list(dict.fromkeys(_line(field, text, job) for field, text in causes))
    if len(lines) == 1:
        return f"{head}: {lines[0]}"
    return f"{head}:" + "".join(f"\n  {line}" for line in lines) if lines else message


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


def _line(field: str, text: str, job: Wire) -> str:
    """Say what is wrong with a field, which the text need not name again."""
    if field in ("", "<nil>"):
        return text
    shorter = text.replace(f"{field} in body ", "").replace(f"{field} ", "")
    return f"{option_of(field, job) or field.lstrip('.')}: {shorter}"
