"""A real JupyterLab, and a notebook open in it, for tests that believe only what is on screen."""

from __future__ import annotations

import json
import os
import secrets
import subprocess
import sys
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psutil
from playwright.sync_api import Browser, Locator, Page

from tests.state import VARIABLE, eventually

NO_NEWS = {
    "@jupyterlab/apputils-extension:notification": {
        "checkForUpdates": False,
        "doNotDisturbMode": True,
        "fetchNews": "false",  # else a popup asks, on top of the notebook
    }
}


@dataclass(frozen=True)
class Lab:
    """A running JupyterLab; `home` is the state directory its kernels see."""

    url: str
    token: str
    root: Path
    home: Path


@contextmanager
def running_lab(directory: Path, home: Path) -> Iterator[Lab]:
    """Start JupyterLab, with all its files below `directory`; stop it at the end."""
    root, config, runtime = (directory / name for name in ("notebooks", "config", "runtime"))
    for path in (root, config / "labconfig", runtime):
        path.mkdir(parents=True)
    (config / "labconfig" / "default_setting_overrides.json").write_text(json.dumps(NO_NEWS))
    token = secrets.token_hex()
    environment = {k: v for k, v in os.environ.items() if not k.startswith("JUPYTER")} | {
        VARIABLE: str(home),
        "IPYTHONDIR": str(directory / "ipython"),
        "JUPYTERLAB_SETTINGS_DIR": str(directory / "settings"),
        "JUPYTERLAB_WORKSPACES_DIR": str(directory / "workspaces"),
        "JUPYTER_CONFIG_DIR": str(config),
        "JUPYTER_DATA_DIR": str(directory / "data"),
        "JUPYTER_RUNTIME_DIR": str(runtime),
        "JUPYTER_TOKEN": token,
    }
    command = [sys.executable, "-m", "jupyterlab", "--no-browser", "--allow-root"]
    options = {
        "ServerApp.ip": "127.0.0.1",
        "ServerApp.port": "0",  # the system picks a free one
        "ServerApp.root_dir": str(root),
        "LabApp.check_for_updates_class": "jupyterlab.NeverCheckForUpdate",
        "LabApp.expose_app_in_browser": "True",
        "LabApp.news_url": "None",
    }
    command += [f"--{name}={value}" for name, value in options.items()]
    log = directory / "lab.log"
    with log.open("wb") as output:
        server = subprocess.Popen(
            command,
            cwd=root,
            env=environment,
            stdout=output,
            stderr=output,
            stdin=subprocess.DEVNULL,
        )
    try:
        yield Lab(_url(server, runtime, token, log), token, root, home)
    finally:
        _stop(server, runtime)


def _url(server: subprocess.Popen[bytes], runtime: Path, token: str, log: Path) -> str:
    """Wait until the server answers, and return where."""

    def answering() -> str | None:
        assert server.poll() is None, f"JupyterLab ended:\n{log.read_text()[-3000:]}"
        try:
            facts = json.loads((runtime / f"jpserver-{server.pid}.json").read_text())
            status = urllib.request.Request(
                f"{facts['url']}api/status", headers={"Authorization": f"token {token}"}
            )
            urllib.request.urlopen(status, timeout=5).close()
        except (OSError, ValueError):  # not written, not complete, not listening yet
            return None
        return str(facts["url"])

    return eventually(answering, timeout=60, every=0.1)


def _stop(server: subprocess.Popen[bytes], runtime: Path) -> None:
    """End the server, which ends its kernels; kill what does not go."""
    kernels = [  # known by the connection file on their command line
        process
        for process in psutil.process_iter(["cmdline"])
        if str(runtime) in " ".join(process.info["cmdline"] or ())
    ]
    server.terminate()
    try:
        server.wait(20)
    except subprocess.TimeoutExpired:
        server.kill()
        server.wait()
    _, alive = psutil.wait_procs(kernels, 5)
    for kernel in alive:
        kernel.kill()
    assert not alive, f"kernels outlived their server: {alive}"


class Notebook:
    """A notebook open in JupyterLab, its kernel ready.

    Parameters
    ----------
    page
        A page of its own; the notebook is opened in it.
    sources
        The cells, all of them code.
    """

    def __init__(self, page: Page, lab: Lab, sources: list[str], name: str = "test") -> None:
        self.page = page
        self.name = f"{name}-{secrets.token_hex(4)}"
        self.path = lab.root / f"{self.name}.ipynb"
        self.path.write_text(json.dumps(_notebook(sources)))
        # A workspace of its own, or JupyterLab opens the tabs of the test before as well.
        page.goto(f"{lab.url}lab/workspaces/{self.name}/tree/{self.path.name}?token={lab.token}")
        self.wait_until_ready()

    def wait_until_ready(self, timeout: float = 60) -> None:
        """Wait until the kernel is connected and idle; before, running a cell asks for a kernel."""
        self._wait(
            "panel?.content.widgets.length > 0"
            " && panel.sessionContext.session?.kernel?.connectionStatus === 'connected'"
            " && panel.sessionContext.session.kernel.status === 'idle'",
            timeout=timeout,
        )

    def run(self, index: int, *, timeout: float = 60) -> str:
        """Run a cell, wait for its end, and return the text of its output."""
        self.start(index)
        self.wait_for_end(index, timeout=timeout)
        return self.text(index)

    def run_all(self, *, timeout: float = 120) -> None:
        """Run all cells and wait for the end of the last."""
        self._evaluate(
            """
            panel.pyjobAll = true;
            jupyterapp.commands.execute('notebook:run-all-cells')
                .finally(() => { panel.pyjobAll = false; });
            """
        )
        self._wait("panel.pyjobAll === false", timeout=timeout)

    def start(self, index: int) -> None:
        """Run a cell and do not wait."""
        # The promise is not returned: evaluate() would wait for the end of the cell.
        self._evaluate(
            """
            const cell = panel.content.widgets[arg];
            jupyterapp.shell.activateById(panel.id);
            panel.content.deselectAll();
            panel.content.activeCellIndex = arg;
            cell.pyjobRuns = true;
            jupyterapp.commands.execute('notebook:run-cell')
                .finally(() => { cell.pyjobRuns = false; });
            """,
            index,
        )

    def wait_for_end(self, index: int, *, timeout: float = 60) -> None:
        """Wait until a started cell has ended, whether well or not."""
        self._wait("panel.content.widgets[arg].pyjobRuns === false", index, timeout=timeout)

    def append(self, source: str) -> int:
        """Add a cell at the end and return its index."""
        index: int = self._evaluate(
            """
            const cells = panel.content.model.sharedModel;
            cells.addCell({cell_type: 'code', source: arg});
            return cells.cells.length - 1;
            """,
            source,
        )
        return index

    def sources(self) -> list[str]:
        """Return the source of every cell, as the editor holds it."""
        cells: list[str] = self._evaluate(
            "return panel.content.model.sharedModel.cells.map(cell => cell.getSource())"
        )
        return cells

    def cell(self, index: int) -> Locator:
        """Return the cell on screen."""
        return self.page.locator(f".jp-Notebook-cell[data-windowed-list-index='{index}']")

    def output(self, index: int) -> Locator:
        """Return the output area of a cell on screen."""
        return self.cell(index).locator(".jp-Cell-outputArea")

    def text(self, index: int) -> str:
        """Return what a reader sees below a cell."""
        return self.output(index).inner_text()

    def html(self, index: int) -> str:
        """Return the HTML below a cell."""
        return self.output(index).inner_html()

    def clear(self, index: int) -> None:
        """Take the output of a cell away."""
        self._evaluate("panel.content.widgets[arg].model.outputs.clear()", index)

    def complete(self, index: int) -> list[str]:
        """Press Tab at the end of a cell; return what is offered.

        Where JupyterLab puts a match into the cell without asking, that is its whole source.
        """
        offers = self.page.locator(".jp-Completer:not(.lm-mod-hidden) .jp-Completer-match")
        before = self.sources()[index]
        self.cell(index).locator(".cm-content").click()
        eventually(lambda: not offers.count())  # those of the cell before
        self.page.keyboard.press("Control+End")
        self.page.keyboard.press("Tab")
        eventually(lambda: offers.count() or self.sources()[index] != before)
        return offers.all_inner_texts() or [self.sources()[index]]

    def interrupt(self) -> None:
        """Interrupt the kernel, as its stop button does."""
        self._evaluate("jupyterapp.commands.execute('notebook:interrupt-kernel')")

    def restart(self) -> None:
        """Restart the kernel and wait until it is ready again."""
        self._evaluate("return panel.sessionContext.session.kernel.restart()")
        self.wait_until_ready()

    def reload(self) -> None:
        """Load the page anew and wait until the notebook is open in it again."""
        self.page.reload()
        self.wait_until_ready()

    def set_theme(self, name: str) -> None:
        """Change JupyterLab's theme, for all notebooks, and wait until it is there."""
        self._evaluate(
            "return jupyterapp.commands.execute('apputils:change-theme', {theme: arg})", name
        )
        self.page.wait_for_selector(f"body[data-jp-theme-name='{name}']", state="attached")

    def hide_sidebar(self) -> None:
        """Leave the whole width to the notebook."""
        self._evaluate("jupyterapp.shell.collapseLeft()")

    def save(self) -> list[dict[str, Any]]:
        """Save the notebook and return its cells, as they are on disk then."""
        self._evaluate("return panel.context.save()")
        cells: list[dict[str, Any]] = json.loads(self.path.read_text())["cells"]
        return cells

    def screenshot(self, name: str) -> None:
        """Keep a picture in the directory that PYJOB_MAGIC_SCREENSHOTS names, if it does."""
        if directory := os.environ.get("PYJOB_MAGIC_SCREENSHOTS"):
            self.page.screenshot(path=Path(directory) / f"{name}.png")

    def close(self) -> None:
        """Shut the kernel down, so that the next test has the machine to itself."""
        self._evaluate("return panel?.sessionContext.shutdown()")

    def _evaluate(self, body: str, arg: object = None) -> Any:
        return self.page.evaluate(self._function(body), arg)

    def _wait(self, condition: str, arg: object = None, *, timeout: float) -> None:
        body = f"return {condition}"
        self.page.wait_for_function(self._function(body), arg=arg, timeout=timeout * 1000)

    def _function(self, body: str) -> str:
        """Return JavaScript of one parameter, `arg`, with this notebook at hand as `panel`."""
        return f"""(arg) => {{
            const app = window.jupyterapp;
            const panel = app && [...app.shell.widgets('main')]
                .find(widget => widget.context?.path === {json.dumps(self.path.name)});
            {body}
        }}"""


@contextmanager
def shared_notebook(browser: Browser, lab: Lab, name: str, *, height: int) -> Iterator[Notebook]:
    """Lend a notebook with the extension loaded, to which several tests add their cells."""
    page = browser.new_page(viewport={"width": 1280, "height": height})
    notebook = Notebook(page, lab, ["%load_ext pyjob_magic"], name)
    assert notebook.run(0) == ""
    yield notebook
    notebook.close()
    page.close()


def _notebook(sources: list[str]) -> dict[str, Any]:
    """Return a notebook that was never run, as its file holds it."""
    kernel = {"name": "python3", "display_name": "Python 3", "language": "python"}
    return {
        "cells": [_cell(str(i), source) for i, source in enumerate(sources)],
        "metadata": {"kernelspec": kernel},
        "nbformat": 4,
        "nbformat_minor": 5,
    }


def _cell(id_: str, source: str) -> dict[str, Any]:
    blank: dict[str, Any] = {"execution_count": None, "metadata": {}, "outputs": []}
    return blank | {"cell_type": "code", "id": id_, "source": source}
