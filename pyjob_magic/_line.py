"""The line of a magic: its text to words, its words to options."""

from __future__ import annotations

import argparse
import re
import shlex
from collections.abc import Iterator, Mapping, Sequence
from itertools import pairwise
from string import Formatter
from typing import Any, NoReturn

from IPython.utils.text import FullEvalFormatter

from pyjob_magic.errors import OptionError
from pyjob_magic.options import CellOptions, flag, nearest, options
from pyjob_magic.values import is_secret

# Stand for a value while the line is split, so that no value is split or unquoted.
_OPEN, _CLOSE = "\ue000", "\ue001"
_HELD = re.compile(f"{_OPEN}([0-9]+){_CLOSE}")
# A dollar with a name; two dollars are one that is meant. And what turns quotes on and off.
_MARK = re.compile(r"\$(\$?)([A-Za-z_]\w*(?:\.\w+)*)|\\[\\'\"]|['\"]")


class LineParser(argparse.ArgumentParser):
    """An argparse parser that raises `OptionError`, takes no abbreviations and never exits."""

    def __init__(self, **options: Any) -> None:
        super().__init__(add_help=False, allow_abbrev=False, **options)

    def error(self, message: str) -> NoReturn:
        """Raise the error that argparse found."""
        if missing := message.partition("are required: ")[2]:
            raise OptionError(self.prog, f"{missing} is missing")
        match = re.fullmatch(r"argument ([^:]+): (.*)", message, re.DOTALL)
        if match is None:
            raise OptionError(self.prog, message)
        names, reason = match.groups()
        raise OptionError(names.rpartition("/")[2], reason)

    def read(self, words: Sequence[str]) -> dict[str, Any]:
        """Return the values of `words` by destination; None for what was not said.

        Raises
        ------
        OptionError
            If a word is unknown or a value is missing.
        """
        values, unknown = self.parse_known_args(list(words))
        if unknown:
            self._refuse(unknown[0])
        return vars(values)

    def flags(self) -> list[str]:
        """Return the long options."""
        return [name for name in self._option_string_actions if name.startswith("--")]

    def _refuse(self, word: str) -> NoReturn:
        name = word.partition("=")[0]
        if not name.startswith("-"):
            raise OptionError(
                repr(word), "is one word too many; arguments of the program go behind --"
            )
        if name == "--name":
            raise OptionError(name, f"is no option: the name goes first, as in {self.prog} digits")
        raise OptionError(name, f"no such option{nearest(name, self.flags())}")


def expand(line: str, names: Mapping[str, Any]) -> list[str]:
    """Split `line` into words as a shell would, with ``{expression}`` and ``$name`` filled in.

    A value stays in its word, whatever it contains. Names that are unknown stay behind a ``$``, as
    IPython has it; inside braces they are an error.

    Raises
    ------
    OptionError
        If an expression cannot be evaluated or a quote is not closed.
    """
    return _split(line, _Holding(names))


def recall(line: str) -> list[str]:
    """Split a line like `expand`, but fill nothing in: anybody may have written it.

    What stands in braces stays there.

    Raises
    ------
    OptionError
        If a quote or a brace is not closed.
    """
    return _split(line, _Recalling({}))


def _split(line: str, formatter: _Holding) -> list[str]:
    try:
        list(formatter.parse(line))
        words = shlex.split(formatter.vformat(line, (), formatter.names))
    except ValueError as error:
        raise OptionError("the line", f"{error}; quotes and braces come in pairs") from None
    return [_HELD.sub(lambda match: formatter.values[int(match[1])], word) for word in words]


def unexpand(words: Sequence[str]) -> str:
    """Return a line that `expand` splits into `words`.

    Secret values of ``--env`` are kept out: their places are to be filled in anew, from variables
    of the notebook with the same names.
    """
    head, args = split_arguments(words)
    told = [_without_secret(before, word) for before, word in pairwise(["", *head])]
    return " ".join([*told, *(["--", *map(_quoted, args)] if args is not None else [])])


def _without_secret(before: str, word: str) -> str:
    start = "--env=" if word.startswith("--env=") else ""
    name, _, value = word.removeprefix(start).partition("=")
    if value and (start or before == "--env") and is_secret(name):
        return f"{start}{_quoted(name)}={{{name}}}"
    return _quoted(word)


def _quoted(word: str) -> str:
    # Quotes keep a dollar from being filled in, but not braces.
    return shlex.quote(word).replace("{", "{{").replace("}", "}}")


def _unquoted(text: str, quote: str) -> tuple[list[re.Match[str]], str]:
    """Return the dollars of a text that are in no single quotes, and the quote that is left open.

    Parameters
    ----------
    quote
        The one that is open at the start; empty for none.
    """
    found, place = [], 0
    while match := _MARK.search(text, place):
        place = match.end()
        if quote == "'" and match[0] != "'":
            place = match.start() + 1  # all but its end is text
        elif match[0] in ("'", '"'):
            quote = "" if match[0] == quote else quote or match[0]
        elif match[2]:
            found.append(match)
    return found, quote


class _Holding(FullEvalFormatter):
    """Evaluates expressions and puts marks where their values belong."""

    def __init__(self, names: Mapping[str, Any]) -> None:
        self.names = names
        self.values: list[str] = []
        self.field: str | None = None  # the one in braces that is evaluated

    def parse(self, format_string: str) -> Iterator[tuple[Any, Any, Any, Any]]:
        """Yield literals and fields; a ``$name`` that is known is a field too."""
        quote = ""
        for literal, field, spec, conversion in Formatter.parse(self, format_string):
            self.field = f"{field}:{spec}" if spec else field
            done = 0
            dollars, quote = _unquoted(literal, quote)
            for match in dollars:
                escaped, name = match.groups()
                if escaped:
                    yield literal[done : match.start()] + f"${name}", None, None, None
                elif name.partition(".")[0] in self.names:
                    yield literal[done : match.start()], name, "", None
                else:
                    continue
                done = match.end()
            yield literal[done:], field, spec, conversion

    def vformat(self, format_string: str, args: Sequence[Any], kwargs: Mapping[str, Any]) -> str:
        """Evaluate the fields of `format_string`."""
        try:
            return super().vformat(format_string, args, kwargs)
        except Exception as error:
            raise OptionError(
                f"{{{self.field}}}",
                f"{type(error).__name__}: {error}; write {{{{ and }}}} for braces that are meant",
            ) from None

    def format_field(self, value: Any, _: str) -> str:
        """Keep `value` and return its mark."""
        self.values.append(str(value))
        return f"{_OPEN}{len(self.values) - 1}{_CLOSE}"


class _Recalling(_Holding):
    """Puts marks where values belong, for what was typed there."""

    def vformat(self, format_string: str, *_: Any, **__: Any) -> str:
        """Evaluate nothing."""
        return "".join(self._parts(format_string))

    def _parts(self, line: str) -> Iterator[str]:
        for literal, field, spec, conversion in self.parse(line):
            yield literal
            if field is not None:
                typed = (
                    f"{field}{f'!{conversion}' if conversion else ''}{f':{spec}' if spec else ''}"
                )
                yield self.format_field(f"{{{typed}}}", "")


def cell_parser() -> LineParser:
    """Return the parser of ``%%pytorchjob``, made from the option list."""
    parser = LineParser(
        prog="%%pytorchjob",
        usage="%%pytorchjob [NAME] [OPTIONS] [-- ARGUMENTS OF THE PROGRAM]".replace("%", "%%"),
        formatter_class=lambda prog: argparse.HelpFormatter(prog, max_help_position=30, width=78),
    )
    for field, option in options(CellOptions).items():
        text = f"{option.help}{' Repeatable.' if option.repeat else ''}".replace("%", "%%")
        if field == "name":
            parser.add_argument("name", nargs="?", metavar="NAME", help=text)
            continue
        names = [name for name in (option.short, flag(field, option)) if name]
        if not option.metavar:
            parser.add_argument(*names, dest=field, action="store_const", const=True, help=text)
        elif option.repeat:
            metavar = option.metavar
            parser.add_argument(*names, dest=field, action="append", metavar=metavar, help=text)
        else:
            parser.add_argument(*names, dest=field, metavar=option.metavar, help=text)
    return parser


def read_cell_line(words: Sequence[str], parser: LineParser) -> CellOptions:
    """Return the options that the words behind ``%%pytorchjob`` say.

    Raises
    ------
    OptionError
        If one cannot be; it names the option.
    """
    return CellOptions.read(typed_values(words, parser))


def typed_values(words: Sequence[str], parser: LineParser) -> dict[str, Any]:
    """Return what the words say, by field and not yet read; None for what they do not.

    Raises
    ------
    OptionError
        If there is no such option, or one has no value.
    """
    head, args = split_arguments(words)
    values = parser.read(["--dry-run=client" if word == "--dry-run" else word for word in head])
    return values | {"args": args}


def split_arguments(words: Sequence[str]) -> tuple[list[str], list[str] | None]:
    """Split `words` at the first ``--``; None where there is none."""
    before = list(words)
    if "--" not in before:
        return before, None
    at = before.index("--")
    return before[:at], before[at + 1 :]
