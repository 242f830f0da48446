"""Rules: what is recognised in the evidence, and what is said of it."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import NamedTuple


class Rule(NamedTuple):
    """A pattern and the sentences that it stands for.

    Parameters
    ----------
    evidence
        Regular expression that is searched for; ``.`` does not match newlines.
    says
        What happened; its named groups and the facts fill the braces.
    advice
        What to do.
    """

    evidence: str
    says: str
    advice: str = ""


class Verdict(NamedTuple):
    """What happened, and what to do."""

    says: str
    advice: str = ""


def judge(rules: Iterable[Rule], evidence: str, facts: Mapping[str, str]) -> Verdict | None:
    """Return what the first rule says that finds its pattern; None if none does."""
    for rule in rules:
        if found := re.search(rule.evidence, evidence, re.MULTILINE):
            known = {**facts, **{name: brief(text) for name, text in found.groupdict("").items()}}
            return Verdict(rule.says.format_map(known), rule.advice.format_map(known))
    return None


def brief(text: str, limit: int = 240) -> str:
    """Return the first line of a text, cut where it is too long for a sentence."""
    line = text.strip().partition("\n")[0].strip().rstrip(".")
    return line if len(line) <= limit else f"{line[:limit]} ..."


def some(names: Iterable[str]) -> str:
    """Return names as a sentence lists them: ``worker-0 and 3 others``."""
    first, *others = names
    if len(others) < 2:
        return " and ".join([first, *others])
    return f"{first} and {len(others)} others"
