"""The line of a magic: values from the notebook, words, options."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pyjob_magic._line import cell_parser, expand, read_cell_line, unexpand
from pyjob_magic.errors import OptionError

PARSER = cell_parser()


class Box:
    """Something with an attribute."""

    tag = "v2"


@pytest.mark.parametrize(
    ("line", "words"),
    [
        ("a --image {image}", ["a", "--image", "repo/image:1"]),
        ("--env MSG={message}", ["--env", "MSG=two words"]),
        ('--env "MSG=it is {message}"', ["--env", "MSG=it is two words"]),
        ("--image repo:$box.tag", ["--image", "repo:v2"]),
        ("-w {workers * 2}", ["-w", "4"]),
        ('--label a={table["key"]}', ["--label", "a=value"]),
        ("--env HOME_WAS=$HOME --env A=$$image", ["--env", "HOME_WAS=$HOME", "--env", "A=$image"]),
        ("-- '$image' {{image}} $(RANK)", ["--", "$image", "{image}", "$(RANK)"]),
        ("--env Q={quoted}", ["--env", 'Q=it\'s "so"']),
        ("", []),
    ],
)
def test_values_come_from_the_notebook(line: str, words: list[str]) -> None:
    """Braces and dollars take values; a value stays in its word, whatever it contains."""
    names = {
        "image": "repo/image:1",
        "message": "two words",
        "box": Box,
        "workers": 2,
        "table": {"key": "value"},
        "quoted": 'it\'s "so"',
    }

    assert expand(line, names) == words


@given(st.text(max_size=40))
def test_no_value_becomes_more_than_one_word(value: str) -> None:
    """Nothing in a variable can add an option to the line."""
    assert expand("--env A={value} tail", {"value": value}) == ["--env", f"A={value}", "tail"]


@given(st.lists(st.text(st.characters(exclude_categories=["Cs", "Co"]), max_size=20)))
def test_words_come_back_from_the_line_they_make(words: list[str]) -> None:
    """The line that a job remembers means what was typed, whatever names the notebook has."""
    assert expand(unexpand(words), dict.fromkeys("abcxyz", "wrong")) == words


@given(st.lists(st.text("x$'\"{}\\ ", max_size=9)))
def test_quotes_keep_dollars_from_being_filled_in(words: list[str]) -> None:
    """Wherever braces and other quotes stand in the line."""
    assert expand(unexpand(words), {"x": "wrong", "xx": "wrong"}) == words


@pytest.mark.parametrize(
    ("words", "line"),
    [
        (["one", "--env", "HF_TOKEN=s3cret"], "one --env HF_TOKEN={HF_TOKEN}"),
        (["--env=wandb_api_key=s3cret", "-w", "1"], "--env=wandb_api_key={wandb_api_key} -w 1"),
        (["--env", "DB_PASSWORD=s3cret", "--", "x"], "--env DB_PASSWORD={DB_PASSWORD} -- x"),
        (["--env", "TOKEN="], "--env TOKEN="),
        (["--env", "MAX_TOKENS=9"], "--env MAX_TOKENS=9"),
        (["--env", "TOKENIZERS_PARALLELISM=false"], "--env TOKENIZERS_PARALLELISM=false"),
        (["--label", "key=value"], "--label key=value"),
        (["--", "--env", "A_KEY=seen"], "-- --env A_KEY=seen"),
    ],
)
def test_a_remembered_line_holds_no_secret(words: list[str], line: str) -> None:
    """Its code may be put into a cell again, and the notebook be given to somebody."""
    assert unexpand(words) == line
    assert expand(line, {"HF_TOKEN": 1, "wandb_api_key": 1, "DB_PASSWORD": 1})


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("--image {nowhere}", "{nowhere}: NameError: name 'nowhere' is not defined; write {{"),
        ('-- {"a": 1}', '{"a": 1}: SyntaxError'),
        ("-w {int('x')}", "{int('x')}: ValueError: invalid literal for int()"),
        ("--image {1/0}", "{1/0}: ZeroDivisionError: division by zero"),
        ("--image {open", "the line: expected '}' before end of string; quotes and braces"),
        ("--env 'A=b", "the line: No closing quotation; quotes and braces come in pairs"),
    ],
)
def test_what_cannot_be_filled_in_is_told(line: str, message: str) -> None:
    """Half an expansion would be worse than none."""
    with pytest.raises(OptionError) as refused:
        expand(line, {})

    assert str(refused.value).startswith(message)


@pytest.mark.parametrize(
    ("words", "values"),
    [
        (["mnist", "-w", "2"], {"name": "mnist", "workers": 2}),
        (["--workers=2", "mnist"], {"name": "mnist", "workers": 2}),
        (["--dry-run", "mnist"], {"name": "mnist", "dry_run": "client"}),
        (["--dry-run=server"], {"dry_run": "server"}),
        (["--env", "A=1", "--env", "B=2=3"], {"env": {"A": "1", "B": "2=3"}}),
        (["a", "--", "--workers", "9", "--"], {"args": ["--workers", "9", "--"], "workers": None}),
        (["a", "--"], {"args": []}),
        (["a"], {"args": None, "wait": None}),
        (["--wait", "--from", "f.yaml", "-o", "job"], {"from_": "f.yaml", "out_job": "job"}),
    ],
)
def test_words_become_options(words: list[str], values: dict[str, Any]) -> None:
    """Names may come anywhere; what follows ``--`` belongs to the program."""
    options = read_cell_line(words, PARSER)

    assert {field: getattr(options, field) for field in values} == values


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--wrkers", "2"], "--wrkers: no such option (did you mean --workers?)"),
        (
            ["--name", "digits"],
            "--name: is no option: the name goes first, as in %%pytorchjob digits",
        ),
        (["--work", "2"], "--work: no such option (did you mean --workers?)"),
        (["--qqq"], "--qqq: no such option"),
        (["--workers"], "--workers: expected one argument"),
        (["a", "b"], "'b': is one word too many; arguments of the program go behind --"),
        (["--dry-run=maybe"], "--dry-run: 'maybe' is not known: choose from client, server"),
    ],
)
def test_slips_are_named(words: list[str], message: str) -> None:
    """One line says which word is wrong; options are never guessed from a beginning."""
    with pytest.raises(OptionError) as refused:
        read_cell_line(words, PARSER)

    assert str(refused.value) == message
