"""The files of the front ends, as they are joined."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import pytest

import pyjob_magic
from pyjob_magic import _frontend

STATIC = Path(pyjob_magic.__file__).parent / "static"
MODULES = [_frontend.esm, _frontend.panel_esm]
STYLES = [_frontend.css, _frontend.panel_css]
MARKUP = re.compile(
    r"innerHTML|outerHTML|insertAdjacentHTML|document\.write|\beval\b|new Function|DOMParser"
    r"|createContextualFragment|setHTML|srcdoc"
)


@pytest.mark.parametrize(
    ("directory", "listed"), [("live", _frontend.FILES), ("panel", _frontend.PANEL_FILES)]
)
def test_every_file_is_joined(directory: str, listed: tuple[str, ...]) -> None:
    """Each is listed once."""
    assert sorted(listed) == sorted(path.name for path in (STATIC / directory).iterdir())


def test_the_panel_shares_files_of_the_card() -> None:
    """It has no copies of them."""
    assert set(_frontend.SHARED) <= set(_frontend.FILES)
    assert not set(_frontend.SHARED) & set(_frontend.PANEL_FILES)


@pytest.mark.parametrize("joined", MODULES)
def test_it_is_one_module(joined: Callable[[], str]) -> None:
    """No file imports another, there is one export, at the end, and no name is taken twice."""
    module = joined()

    assert not re.findall(r"^import\b|\bimport\(", module, re.MULTILINE)
    assert re.findall(r"^export .*", module, re.MULTILINE) == ["export default { render };"]
    assert module.rstrip().endswith("export default { render };")
    taken = Counter(
        re.findall(r"^(?:async )?(?:const|let|function|class) (\w+)", module, re.MULTILINE)
    )
    assert [name for name, times in taken.items() if times > 1] == []


@pytest.mark.parametrize("joined", MODULES)
def test_text_is_never_made_markup(joined: Callable[[], str]) -> None:
    """No function that parses HTML, or runs text as a program, is used."""
    assert MARKUP.findall(joined()) == []


@pytest.mark.parametrize("joined", MODULES + STYLES)
def test_nothing_is_fetched(joined: Callable[[], str]) -> None:
    """Neither modules nor stylesheets name another server."""
    text = joined()

    assert set(re.findall(r"https?://[^\"'\s)]+", text)) <= {"http://www.w3.org/2000/svg"}
    assert not re.findall(r"@import|url\(", text)
