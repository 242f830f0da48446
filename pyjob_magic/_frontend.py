"""The front ends of the live card and the panel: files, each joined into one module."""

from __future__ import annotations

from functools import cache
from importlib.resources import files

# Each may use those before it; all share one scope, so that no name is taken twice.
FILES = (
    "dom.js",
    "icons.js",
    "words.js",
    "colours.js",
    "theme.js",
    "ansi.js",
    "kernel.js",
    "loglines.js",
    "logsource.js",
    "logrow.js",
    "loglist.js",
    "search.js",
    "download.js",
    "logpanel.js",
    "question.js",
    "actions.js",
    "head.js",
    "progress.js",
    "replicas.js",
    "timeline.js",
    "strip.js",
    "plot.js",
    "charts.js",
    "sparks.js",
    "events.js",
    "manifest.js",
    "below.js",
    "tabs.js",
    "visibility.js",
    "card.js",
)


# What the panel has of the card, and its own.
SHARED = (
    "dom.js",
    "icons.js",
    "words.js",
    "colours.js",
    "theme.js",
    "kernel.js",
    "question.js",
    "plot.js",
    "charts.js",
    "tabs.js",
    "visibility.js",
)
PANEL_FILES = (
    "said.js",
    "python.js",
    "yaml.js",
    "notebook.js",
    "draft.js",
    "editor.js",
    "code.js",
    "field.js",
    "form.js",
    "preview.js",
    "totals.js",
    "summary.js",
    "newjob.js",
    "rows.js",
    "selection.js",
    "columns.js",
    "table.js",
    "filters.js",
    "batch.js",
    "board.js",
    "compare.js",
    "cards.js",
    "panel.js",
)
STATIC = files("pyjob_magic").joinpath("static")


@cache
def esm() -> str:
    """Return the ES module that draws a card: ``export default { render }``."""
    return _joined("live", FILES)


@cache
def css() -> str:
    """Return the stylesheet of a live card."""
    return STATIC.joinpath("live.css").read_text("utf-8")


@cache
def panel_esm() -> str:
    """Return the ES module that draws the panel: ``export default { render }``."""
    return _joined("live", SHARED) + "\n" + _joined("panel", PANEL_FILES)


@cache
def panel_css() -> str:
    """Return the stylesheet of the panel, which is the card's and more."""
    return css() + "\n" + STATIC.joinpath("panel.css").read_text("utf-8")


def _joined(directory: str, names: tuple[str, ...]) -> str:
    return "\n".join(STATIC.joinpath(directory, name).read_text("utf-8") for name in names)
