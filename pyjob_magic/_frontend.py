"""The front end of the live card: its files, joined into one module and one stylesheet."""

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
    "tabs.js",
    "visibility.js",
    "card.js",
)


@cache
def esm() -> str:
    """Return the ES module that draws a card: ``export default { render }``."""
    live = files("pyjob_magic").joinpath("static", "live")
    return "\n".join(live.joinpath(name).read_text("utf-8") for name in FILES)


@cache
def css() -> str:
    """Return the stylesheet of a live card."""
    return files("pyjob_magic").joinpath("static", "live.css").read_text("utf-8")
