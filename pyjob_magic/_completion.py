"""Tab behind ``%%pytorchjob`` and ``%pytorchjob``: options, values that are known, job names."""

from __future__ import annotations

import contextlib
import re
import threading
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import TYPE_CHECKING

from IPython.core.completer import (
    CompletionContext,
    SimpleCompletion,
    SimpleMatcherResult,
    context_matcher,
)

from pyjob_magic._verbs import VERBS, verb_parser
from pyjob_magic.errors import PyJobError
from pyjob_magic.options import CellOptions, Option, flag, options

if TYPE_CHECKING:
    from pyjob_magic._magic import PyTorchJobMagics
    from pyjob_magic.connection import Connection

_OF_PAST = ("history", "rerun", "cell", "logs")
"""Verbs that know jobs of the history."""
_MOMENT = 2.0  # seconds
_LOOKING = "pyjob-tab"  # name of the thread that looks
_LINE = re.compile(r"\s*(%%?)pytorchjob\s+(.*)", re.DOTALL)


def matcher(magics: PyTorchJobMagics) -> Callable[[CompletionContext], SimpleMatcherResult]:
    """Return the matcher that IPython asks."""

    @context_matcher()  # type: ignore[untyped-decorator]  # IPython's
    def pytorchjob_matcher(context: CompletionContext) -> SimpleMatcherResult:
        before = context.full_text.splitlines()[context.cursor_line : context.cursor_line + 1]
        typed = _LINE.fullmatch("".join(before)[: context.cursor_position])
        if typed is None or (typed[1] == "%%" and context.cursor_line > 0):
            return {"completions": []}
        *words, fragment = re.split(r"\s+", typed[2])
        if typed[1] == "%%":
            offers = cell_offers(words, fragment)
        else:
            offers = verb_offers(words, fragment, magics)
        found = [text for text in offers if text.startswith(fragment)]
        return {
            "completions": [SimpleCompletion(text=text, type="option") for text in found],
            "matched_fragment": fragment,
            "suppress": True,
        }

    matcher: Callable[[CompletionContext], SimpleMatcherResult] = pytorchjob_matcher
    return matcher


def cell_offers(words: list[str], fragment: str) -> Iterable[str]:
    """Return what may stand at `fragment` behind ``%%pytorchjob`` and `words`."""
    if "--" in words:
        return []
    typed = {flag(field, option): option for field, option in options(CellOptions).items()}
    typed |= {option.short: option for option in typed.values() if option.short}
    last = typed.get(words[-1]) if words else None
    if last is not None and last.metavar and not last.metavar.startswith("["):
        return _values(words[-1], last, fragment)
    name, equals, value = fragment.partition("=")
    if equals:
        option = typed.get(name)
        return [f"{name}={found}" for found in _values(name, option, value)] if option else []
    return [name for name in typed if name.startswith("--")]


def verb_offers(words: list[str], fragment: str, magics: PyTorchJobMagics) -> Iterable[str]:
    """Return what may stand at `fragment` behind ``%pytorchjob`` and `words`."""
    if not words:
        return VERBS
    if words[0] not in VERBS:
        return []
    if fragment.startswith("-"):
        return verb_parser(words[0]).flags()
    if words[-1] in ("-n", "--namespace"):
        return ["default"]
    if words[-1] == "--replica":
        return _replicas(magics, words)
    if words == ["use"]:
        return _targets()
    if words[-1] in _WHERE:
        return _WHERE[words[-1]]()
    verb = VERBS[words[0]]
    said = len(words) > 1 and not words[1].startswith("-")  # the name of a job
    if not verb.takes_job or words[-1].startswith("-") or (said and not verb.takes_jobs):
        return []
    names = [] if words[0] == "history" else [*_job_names(magics, words)]
    if words[0] in _OF_PAST:
        names += _past_names(magics, words)
    return [name for name in dict.fromkeys(names) if name not in words]


def _said(words: list[str], *flags: str) -> str | None:
    """Return the value of an option that has been typed before."""
    places = [index for index, word in enumerate(words[:-1]) if word in flags]
    return words[places[-1] + 1] if places else None


def _values(name: str, option: Option, fragment: str) -> Iterable[str]:
    if name in _WHERE:
        return _WHERE[name]()
    return _files(fragment) if option.metavar == "FILE" else option.choices


def _targets() -> Iterable[str]:
    from pyjob_magic.targets import NAMES

    return NAMES


def _contexts() -> Iterable[str]:
    from pyjob_magic.targets import contexts

    return contexts()


def _profiles() -> Iterable[str]:
    from pyjob_magic import settings

    try:
        return settings.read().names
    except PyJobError:
        return []


_WHERE = {"--on": _targets, "--context": _contexts, "--profile": _profiles}
"""What says where jobs go, for cells and verbs alike, and what is known of it."""


def _files(fragment: str) -> Iterable[str]:
    path = Path(fragment)
    directory = path if fragment.endswith("/") or not fragment else path.parent
    try:
        found = sorted(directory.expanduser().iterdir())
    except OSError:
        return []
    prefix = fragment.rpartition("/")[0] + "/" if "/" in fragment else ""
    return [f"{prefix}{file.name}{'/' if file.is_dir() else ''}" for file in found]


def _replicas(magics: PyTorchJobMagics, words: list[str]) -> Iterable[str]:
    names = [word for word in words[1:] if not word.startswith("-")]
    if not names:
        return []
    return _promptly(lambda: _connection(magics, words).get(names[0]).replica_names)


def _job_names(magics: PyTorchJobMagics, words: list[str]) -> Iterable[str]:
    return _promptly(lambda: [job.name for job in _connection(magics, words).list()])


def _past_names(magics: PyTorchJobMagics, words: list[str]) -> Iterable[str]:
    """Return names of jobs that were submitted from here: where the verb looks for them."""
    from pyjob_magic import history

    where = {}
    try:
        if words[0] != "history":
            connection = _connection(magics, words)
            where = {"place": connection.place, "namespace": connection.namespace}
        return [entry.name for entry in history.entries(where=where)]
    except PyJobError:
        return []


def _promptly(find: Callable[[], list[str]]) -> list[str]:
    """Return what is found in a moment: nobody who has pressed Tab waits for a distant cluster."""
    found: list[str] = []

    def look() -> None:
        with contextlib.suppress(PyJobError):  # nor wants to read a traceback
            found.extend(find())

    if any(thread.name == _LOOKING for thread in threading.enumerate()):
        return []  # the Tab before still waits for an answer
    looking = threading.Thread(target=look, name=_LOOKING, daemon=True)
    looking.start()
    looking.join(_MOMENT)
    return found


def _connection(magics: PyTorchJobMagics, words: list[str]) -> Connection:
    """Return the connection that the verb will use, by what has been typed so far."""
    flags = [("--on",), ("-n", "--namespace"), ("--profile",), ("--context",)]
    return magics.commands.find_connection(*(_said(words, *names) for names in flags))
