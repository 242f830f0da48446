"""A plain page with one widget on it, in the colours of JupyterLab and without a kernel."""

from __future__ import annotations

from typing import Any

from playwright.sync_api import Browser, Locator, Page, Route

ADDRESS = "http://localhost/widget/"  # is answered from here; no server runs
THEMES = {
    "light": {
        "--jp-layout-color0": "#ffffff",
        "--jp-layout-color1": "#ffffff",
        "--jp-layout-color2": "#eeeeee",
        "--jp-ui-font-color1": "rgba(0, 0, 0, 0.87)",
        "--jp-border-color2": "#e0e0e0",
        "--jp-brand-color1": "#1976d2",
    },
    "dark": {
        "--jp-layout-color0": "#111111",
        "--jp-layout-color1": "#212121",
        "--jp-layout-color2": "#424242",
        "--jp-ui-font-color1": "rgba(255, 255, 255, 0.87)",
        "--jp-border-color2": "#424242",
        "--jp-brand-color1": "#64b5f6",
    },
}
FONTS = {
    "--jp-ui-font-size1": "13px",
    "--jp-ui-font-family": "system-ui, 'Segoe UI', Helvetica, Arial, sans-serif",
    "--jp-code-font-family": "Menlo, Consolas, 'DejaVu Sans Mono', monospace",
}


class WidgetPage:
    """A page with what a widget needs; whoever inherits from it renders that.

    Parameters
    ----------
    browser
        Opens the page.
    scripts
        What the page can load, by name.
    style, body
        The stylesheet, and what is on the page at first.
    theme
        ``light`` or ``dark``.
    width, height
        Of the window, in pixels.
    """

    def __init__(
        self,
        browser: Browser,
        scripts: dict[str, str],
        style: str,
        body: str,
        *,
        theme: str,
        width: int,
        height: int,
    ) -> None:
        self.page: Page = browser.new_page(viewport={"width": width, "height": height})
        self.errors: list[str] = []
        self.page.on("pageerror", lambda error: self.errors.append(str(error)))

        def answer(route: Route) -> None:
            name = route.request.url.removeprefix(ADDRESS)
            if name in scripts:
                route.fulfill(body=scripts[name], content_type="text/javascript")
            else:
                route.fulfill(body=_html(theme, style, body), content_type="text/html")

        self.page.route(f"{ADDRESS}**", answer)
        self.page.goto(ADDRESS)

    def sent(self, what: str) -> list[dict[str, Any]]:
        """Return the messages of a kind that the widget has sent."""
        messages: list[dict[str, Any]] = self.page.evaluate("model.sent")
        return [message for message in messages if message["do"] == what]

    def open(self, tab: str) -> Locator:
        """Open a tab and return its panel."""
        self.page.get_by_role("tab", name=tab).click()
        return self.page.get_by_role("tabpanel", name=tab)

    def drawn(self) -> None:
        """Wait until what was told to the widget is drawn."""
        self.page.evaluate(
            """async () => {
                await new Promise(done => setTimeout(done));
                for (const _ of [1, 2]) await new Promise(done => requestAnimationFrame(done));
            }"""
        )

    def close(self) -> None:
        """Close the page; what went wrong in it unseen fails the test."""
        self.page.close()
        assert self.errors == []


def _html(theme: str, style: str, body: str) -> str:
    variables = "".join(f"{k}: {v};" for k, v in (THEMES[theme] | FONTS).items())
    return f"""<!doctype html>
<html lang="en"><head><meta charset="utf-8"><title>Widget</title><style>
:root {{ {variables} }}
body {{ margin: 12px; background: var(--jp-layout-color0); color: var(--jp-ui-font-color1); }}
{style}
</style></head><body><main><h1 hidden>Notebook</h1>{body}</main></body></html>"""
