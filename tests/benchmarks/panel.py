"""How quick the panel is from end to end, in a real JupyterLab in headless Chromium.

    python tests/benchmarks/panel.py [--rounds 20] [--keys 100] [--jobs 2000] [--deletions 20]

Opening: from the command to run a cell until its output is drawn; the embedded API runs already.
Beside it, a cell that shows a text box of ipywidgets. The first of each is in a new kernel, which
has yet to import what draws it.

Typing: from a letter in the name until the manifest shows it, as the kernel has built it; 30 ms of
that are the pause after which a check is sent. Beside it, a text box of ipywidgets whose text a
callback in the kernel copies to a label.

News: from the deletion of the newest of many suspended jobs until its row is gone. Beside it, until
a watch of the API has told of it.
"""

from __future__ import annotations

import argparse
import os
import sys
import threading
import time
from typing import Any

from playwright.sync_api import expect

from pyjob_magic import connect
from pyjob_magic.connection import Connection
from pyjob_magic.informer import News
from tests.benchmarks.figures import Figure, machine, table
from tests.benchmarks.live import a_lab, a_notebook, chromium, run
from tests.browser.lab import Notebook
from tests.state import VARIABLE

PANEL = "%pytorchjob panel"
TEXT = "import ipywidgets\nipywidgets.Text()"
ECHO = """\
import ipywidgets
text, label = ipywidgets.Text(), ipywidgets.Label()
text.observe(lambda change: setattr(label, 'value', change.new), 'value')
ipywidgets.VBox([text, label]).add_class('pyjob-echo')"""

DRAWN = "await new Promise(requestAnimationFrame); await new Promise(done => setTimeout(done));"
OPEN = f"""async ([index, selector]) => {{
    const {{ content }} = [...jupyterapp.shell.widgets('main')].find(widget => widget.context);
    content.deselectAll();
    content.activeCellIndex = index;
    const {{ node }} = content.widgets[index];
    const begun = performance.now();
    jupyterapp.commands.execute('notebook:run-cell');
    while (!node.querySelector(selector)?.offsetHeight) await new Promise(requestAnimationFrame);
    {DRAWN}
    return performance.now() - begun;
}}"""
DROP = """index => {
    const { content } = [...jupyterapp.shell.widgets('main')].find(widget => widget.context);
    content.model.sharedModel.deleteCell(index);
}"""
TYPE = """async ([box, shown, text]) => {
    const input = document.querySelector(box);
    const begun = performance.now();
    input.value = text;
    input.dispatchEvent(new Event('input', { bubbles: true }));
    while (!document.querySelector(shown).textContent.includes(text)) {
        if (performance.now() - begun > 10_000) throw new Error(`${shown} never shows ${text}`);
        await new Promise(requestAnimationFrame);
    }
    return performance.now() - begun;
}"""
GONE = """name => {
    window.pyjobGone = new Promise(done => {
        const look = () => {
            const names = [...document.querySelectorAll('.pj-tbody .pj-jobname')];
            if (names.length && !names.some(node => node.textContent === name)) done(Date.now());
            else requestAnimationFrame(look);
        };
        requestAnimationFrame(look);
    });
}"""


def main() -> int:
    """Measure and print the tables."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--rounds", type=int, default=20, help="openings (default 20)")
    parser.add_argument("--keys", type=int, default=100, help="letters (default 100)")
    parser.add_argument("--jobs", type=int, default=2000, help="jobs (default 2000)")
    parser.add_argument("--deletions", type=int, default=20, help="of them (default 20)")
    options = parser.parse_args()

    with chromium() as browser, a_lab() as lab:
        os.environ[VARIABLE] = str(lab.home)
        jobs = connect("local")
        jobs.list()  # starts the API
        print(f"{machine()}; Chromium {browser.version}\n")
        first_text, first = (
            Figure("text box, first in a kernel"),
            Figure("panel, first in a kernel"),
        )
        first.baselines = (first_text,)
        with a_notebook(browser, lab) as notebook:
            first_text.samples.append(opened(notebook, TEXT, ".widget-text input"))
        with a_notebook(browser, lab) as notebook:
            first.samples.append(opened(notebook, PANEL, ".pyjob-panel .pj-option input"))
            opening = openings(notebook, options.rounds)
            print(table(first_text, first, *opening), "\n")
            print(table(*typing(notebook, options.keys)), "\n")
        with a_notebook(browser, lab) as notebook:
            print(table(*news(notebook, jobs, options.jobs, options.deletions)))
    return 0


def opened(notebook: Notebook, source: str, selector: str) -> float:
    """Return how long it takes one more cell to show something, in milliseconds; remove it."""
    index = notebook.append(source)
    took = notebook.page.evaluate(OPEN, [index, selector])
    notebook.page.evaluate(DROP, index)
    return float(took)


def openings(notebook: Notebook, rounds: int) -> list[Figure]:
    """Open both in turns."""
    text = Figure("text box of ipywidgets")
    panel = Figure("panel", (text,), "at most 300 ms")
    for _ in range(rounds):
        text.samples.append(opened(notebook, TEXT, ".widget-text input"))
        panel.samples.append(opened(notebook, PANEL, ".pyjob-panel .pj-option input"))
    return [text, panel]


def typing(notebook: Notebook, keys: int) -> list[Figure]:
    """Type into both in turns."""
    echo = Figure("letter to label by ipywidgets", tail=99)
    letter = Figure("letter to checked manifest", (echo,), "at most 100 ms", tail=99)
    for source in (ECHO, PANEL):  # the panel is drawn where it is seen
        notebook.run(notebook.append(source))
    expect(notebook.page.locator(".pyjob-echo input")).to_be_visible()
    name = '.pj-option[data-field="name"] input'
    for number in range(keys):
        told: list[tuple[Figure, list[str]]] = [
            (echo, [".pyjob-echo input", ".pyjob-echo > .widget-label", f"typed-{number}"]),
            (letter, [name, ".pj-preview", f"typed-{number}"]),
        ]
        for figure, what in told:
            figure.samples.append(notebook.page.evaluate(TYPE, what))
    return [echo, letter]


def news(notebook: Notebook, jobs: Connection, many: int, deletions: int) -> list[Figure]:
    """Delete the newest of many jobs, again and again."""
    run(
        notebook,
        "from pyjob_magic import connect\njobs = connect('local')\n"
        f"for n in range({many}):\n"
        "    jobs.submit(jobs.build('pass', name=f'many-{n:04}', suspend=True))",
    )
    told = Figure("told by a watch of the API")
    row = Figure(f"row gone, of {many:,} jobs", (told,))
    notebook.run(notebook.append(PANEL))
    notebook.page.get_by_role("tab", name="Jobs").click()
    expect(notebook.page.locator(".pj-tbody .pj-jobname").first).to_be_visible()
    heard: dict[str, float] = {}
    synced, deleted = threading.Event(), threading.Event()

    def hear(kind: News, value: Any) -> None:
        if kind is News.SYNCED:
            synced.set()
        elif kind is News.DELETED:
            heard[value.name] = time.time()
            deleted.set()

    end = jobs.client.watch_jobs(hear)
    synced.wait()
    for _ in range(deletions):
        name = notebook.page.locator(".pj-tbody .pj-jobname").first.inner_text()
        notebook.page.evaluate(GONE, name)
        deleted.clear()
        begun = time.time()
        jobs.get(name).delete()
        row.samples.append(notebook.page.evaluate("window.pyjobGone") - begun * 1000)
        deleted.wait()
        told.took(heard[name] - begun)
    end()
    return [told, row]


if __name__ == "__main__":
    sys.exit(main())
