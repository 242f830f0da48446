"""The README says what there is, and there is what it says."""

from __future__ import annotations

import re
from pathlib import Path

from pyjob_magic._verbs import VERBS
from pyjob_magic.options import CellOptions, flag, options

README = (Path(__file__).parents[1] / "README.md").read_text()


def table() -> dict[str, str]:
    """Return the rows of the table of options: what is typed, and what it means."""
    rows = README.partition("| option |")[2].partition("\n\n")[0].splitlines()[2:]
    # A bar inside a cell is escaped.
    cells = [re.split(r"(?<!\\)\|", row) for row in rows]
    return {typed.strip(" `"): meaning.strip() for _, typed, meaning, _ in cells}


def test_the_table_holds_the_options() -> None:
    """Each option, and no other, with the help that the magic shows."""
    known = {flag(field, option): option.help for field, option in options(CellOptions).items()}
    typed = {re.findall(r"--[a-z-]+|NAME", key)[0]: text for key, text in table().items()}

    assert {key: text.removesuffix(" Repeatable.") for key, text in typed.items()} == known


def test_every_verb_is_explained() -> None:
    """Each with what follows it."""
    for verb in VERBS:
        assert re.search(rf"%pytorchjob [\w ,`]*\b{verb}\b", README), verb
