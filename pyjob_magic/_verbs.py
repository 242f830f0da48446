"""The verbs of the line magic: how they are typed and what the help says."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any

from pyjob_magic._line import LineParser
from pyjob_magic.errors import OptionError
from pyjob_magic.options import nearest


@dataclass(frozen=True)
class Verb:
    """A verb of ``%pytorchjob``.

    Parameters
    ----------
    help
        What it does.
    typed
        What follows it, for the help.
    arguments
        Names or flags with the keywords of ``add_argument``.
    """

    help: str
    typed: str = ""
    arguments: tuple[tuple[str, dict[str, Any]], ...] = ()

    @property
    def takes_job(self) -> bool:
        """Whether a job's name follows."""
        return any(name in ("name", "names") for name, _ in self.arguments)

    @property
    def takes_jobs(self) -> bool:
        """Whether names of several jobs may follow."""
        return any(name == "names" for name, _ in self.arguments)


_NAME = ("name", {"metavar": "NAME"})
_SWITCH = {"action": "store_const", "const": True}

VERBS = {
    "list": Verb("the jobs of the namespace"),
    "show": Verb("a job's card: state, metadata, replicas", "NAME", (_NAME,)),
    "logs": Verb(
        "what the replicas print",
        "NAME [--replica worker-1] [--tail N] [--follow]",
        (
            _NAME,
            ("--replica", {"metavar": "REPLICA"}),
            ("--tail", {"metavar": "N"}),
            ("--follow", _SWITCH),
        ),
    ),
    "events": Verb("what happened to a job", "NAME", (_NAME,)),
    "wait": Verb(
        "block until a job has ended",
        "NAME [--timeout TIME]",
        (_NAME, ("--timeout", {"metavar": "TIME"})),
    ),
    "delete": Verb(
        "delete jobs, their replicas and logs",
        "NAME...",
        (("names", {"metavar": "NAME", "nargs": "+"}),),
    ),
    "suspend": Verb("stop the replicas and keep the job", "NAME", (_NAME,)),
    "resume": Verb("start the replicas of a suspended job", "NAME", (_NAME,)),
    "rerun": Verb(
        "submit the same job once more",
        "NAME [NEW_NAME]",
        (_NAME, ("new_name", {"metavar": "NEW_NAME", "nargs": "?"})),
    ),
    "panel": Verb(
        "a form for jobs, and the jobs there are",
        "[NAME]",
        (("name", {"metavar": "NAME", "nargs": "?"}),),
    ),
    "history": Verb(
        "jobs submitted from here, also those that are gone",
        "[NAME] [--limit N]",
        (
            ("name", {"metavar": "NAME", "nargs": "?"}),
            ("--limit", {"metavar": "N"}),
        ),
    ),
    "doctor": Verb("look whether jobs can run here, and what to mend if not"),
    "use": Verb(
        "the target, namespace and profile from here on",
        "[TARGET] [--context NAME] [-n NAMESPACE] [--profile NAME]",
        (("target", {"metavar": "TARGET", "nargs": "?"}),),
    ),
    "profiles": Verb("the settings that are in force, and where they come from"),
    "cell": Verb("put the code of a job into a new cell", "NAME", (_NAME,)),
}


@cache
def verb_parser(verb: str) -> LineParser:
    """Return the parser of what follows `verb`.

    Raises
    ------
    OptionError
        If there is no such verb.
    """
    if verb not in VERBS:
        verbs = ", ".join(VERBS)
        raise OptionError(repr(verb), f"no such verb{nearest(verb, VERBS)}; known: {verbs}")
    parser = LineParser(prog=f"%pytorchjob {verb}")
    for name, settings in VERBS[verb].arguments:
        parser.add_argument(name, **settings)
    parser.add_argument("-n", "--namespace", metavar="NAME")
    parser.add_argument("--on", metavar="TARGET")
    parser.add_argument("--context", metavar="NAME")
    parser.add_argument("--profile", metavar="NAME")
    return parser


def usage(verb: str | None = None) -> str:
    """Return the verbs with what they do, a line each; or only one of them."""
    typed = {name: f"%pytorchjob {name} {what.typed}".rstrip() for name, what in VERBS.items()}
    if verb is not None:
        return f"{typed[verb]}: {VERBS[verb].help}"
    width = max(map(len, typed.values()))
    return "\n".join(f"  {typed[name]:<{width}}  {what.help}" for name, what in VERBS.items())


def asks_for_help(words: Sequence[str]) -> bool:
    """Whether one of the words is what people type who want help."""
    return any(word in ("--help", "-h") for word in words)
