"""The files of the live card's front end, as they are joined."""

from __future__ import annotations

import re
from pathlib import Path

import pyjob_magic
from pyjob_magic import _frontend

LIVE = Path(pyjob_magic.__file__).parent / "static" / "live"
MARKUP = re.compile(
    r"innerHTML|outerHTML|insertAdjacentHTML|document\.write|\beval\b|new Function|DOMParser"
    r"|createContextualFragment|setHTML|srcdoc"
)


def test_every_file_is_joined() -> None:
    """Each is listed once."""
    assert sorted(_frontend.FILES) == sorted(path.name for path in LIVE.iterdir())


def test_it_is_one_module() -> None:
    """No file imports another, and there is one export, at the end."""
    module = _frontend.esm()

    assert not re.findall(r"^import\b|\bimport\(", module, re.MULTILINE)
    assert re.findall(r"^export .*", module, re.MULTILINE) == ["export default { render };"]
    assert module.rstrip().endswith("export default { render };")


def test_text_is_never_made_markup() -> None:
    """No function that parses HTML, or runs text as a program, is used."""
    assert MARKUP.findall(_frontend.esm()) == []


def test_nothing_is_fetched() -> None:
    """Neither module nor stylesheet names another server."""
    addresses = re.findall(r"https?://[^\"'\s)]+", _frontend.esm() + _frontend.css())

    assert addresses == ["http://www.w3.org/2000/svg"]
    assert not re.findall(r"@import|url\(", _frontend.css())
