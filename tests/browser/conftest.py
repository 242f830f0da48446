"""One browser and one JupyterLab for all tests; a page and a notebook for each."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Iterator

import pytest
from playwright.sync_api import Browser, sync_playwright

from tests.browser.lab import Lab, Notebook, running_lab
from tests.state import temporary_home

BROWSERS = ("chromium", "chromium-browser", "google-chrome")
QUIET = ("--disable-background-networking", "--disable-component-update", "--disable-sync")

Open = Callable[..., Notebook]


def chromium() -> str | None:
    """Return the Chromium on PATH."""
    return next(filter(None, map(shutil.which, BROWSERS)), None)


@pytest.fixture(scope="session")
def browser() -> Iterator[Browser]:
    """Headless Chromium as the system has it; Playwright's own is never downloaded."""
    executable = chromium()
    if executable is None:
        missing = f"none of {', '.join(BROWSERS)} is on PATH; on Debian: apt install chromium"
        if os.environ.get("CI") == "true":
            pytest.fail(missing)
        pytest.skip(missing)
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(
            executable_path=executable, args=["--no-sandbox", *QUIET]
        )
        yield browser
        browser.close()


@pytest.fixture(scope="session")
def lab(browser: Browser, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Lab]:
    """Run a JupyterLab whose kernels share one state directory and one embedded API."""
    directory = tmp_path_factory.mktemp("lab")
    with temporary_home() as home, running_lab(directory, home) as lab:
        yield lab


@pytest.fixture
def open_notebook(browser: Browser, lab: Lab, request: pytest.FixtureRequest) -> Iterator[Open]:
    """Return a function from cell sources to a notebook that is open in JupyterLab."""
    opened: list[Notebook] = []

    def open_notebook(*sources: str) -> Notebook:
        page = browser.new_page(viewport={"width": 1280, "height": 900})
        opened.append(Notebook(page, lab, list(sources)))
        return opened[-1]

    yield open_notebook

    for number, notebook in enumerate(opened):
        notebook.screenshot(f"{request.node.name}-{number}")
        notebook.close()
        notebook.page.close()
