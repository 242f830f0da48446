"""How long the panel takes to open, to show what is typed as checked, and to take news of jobs.

    python tests/benchmarks/panel_page.py [--rounds 30] [--jobs 2000]

A plain page in headless Chromium with a fake kernel in it, which answers at once: what is measured
is the page's own part. Opening is from the call of `render` to the frame after the first that shows
the panel. A key press counts until the frame in which the manifest shows the letter. News are all
rows anew, of which every tenth is in another state, until they are drawn; beside them the same rows
as a plain HTML table, made anew as a simple form would do.
"""

from __future__ import annotations

import argparse
import sys
from typing import Any

from playwright.sync_api import Browser, sync_playwright

from tests.benchmarks.figures import Figure, machine, table
from tests.browser.conftest import QUIET, chromium
from tests.browser.panelpage import SOURCE, PanelPage, job, jobs

SHOWN = "await new Promise(requestAnimationFrame); await new Promise(done => setTimeout(done));"
OPEN = f"""async () => {{
    const {{ default: panel }} = await import('./panel.mjs');
    close_panel();
    const begun = performance.now();
    window.close_panel = panel.render({{ model, el: document.getElementById('place') }});
    {SHOWN}
    return performance.now() - begun;
}}"""
EMPTY = f"""async () => {{
    const begun = performance.now();
    const place = document.body.appendChild(document.createElement('div'));
    place.append('empty');
    {SHOWN}
    place.remove();
    return performance.now() - begun;
}}"""
TYPE = """async letter => {
    const box = document.querySelector('.pj-option[data-field="name"] input');
    const preview = document.querySelector('.pj-preview');
    const begun = performance.now();
    box.value = `mnist-${letter}`;
    box.dispatchEvent(new Event('input', { bubbles: true }));
    await new Promise(done => {
        const look = () => preview.textContent.includes(`name: mnist-${letter}`) && done();
        new MutationObserver(look).observe(preview, { childList: true });
    });
    await new Promise(done => setTimeout(done));  // the frame that shows it is over
    return performance.now() - begun;
}"""
NEWS = f"""async jobs => {{
    const begun = performance.now();
    model.hear('jobs', jobs);
    {SHOWN}
    return performance.now() - begun;
}}"""
PLAIN = f"""async ({{ rows }}) => {{
    const begun = performance.now();
    const place = document.body.appendChild(document.createElement('table'));
    place.id = 'plain';
    const keys = ['state', 'name', 'created', 'started', 'ended', 'asked', 'who', 'progress'];
    place.replaceChildren(...rows.map(row => {{
        const line = document.createElement('tr');
        for (const key of keys) line.insertCell().textContent = row[key];
        return line;
    }}));
    {SHOWN}
    return performance.now() - begun;
}}"""


def main() -> int:
    """Measure and print the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--rounds", type=int, default=30, help="rounds (default 30)")
    parser.add_argument("--jobs", type=int, default=2000, help="jobs (default 2000)")
    options = parser.parse_args()

    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(
            executable_path=chromium(), args=["--no-sandbox", *QUIET]
        )
        print(f"{machine()}; Chromium {browser.version}, {options.rounds} rounds\n")
        print(table(*measure(browser, options.rounds, options.jobs)))
        browser.close()
    return 0


def measure(browser: Browser, rounds: int, many: int) -> list[Figure]:
    """Return the figures of so many rounds."""
    empty = Figure("an element of one word")
    opening = Figure(f"open, {many:,} jobs", (empty,), "at most 300 ms")
    typing = Figure("key press to checked manifest", target="at most 100 ms")
    plain = Figure(f"{many:,} rows of a plain table")
    news = Figure(f"news of {many:,} jobs", (plain,), "at most 100 ms")

    panel = PanelPage(browser, {"jobs": jobs(many), "source": SOURCE})
    page = panel.page
    for number in range(rounds):
        empty.samples.append(page.evaluate(EMPTY))
        opening.samples.append(page.evaluate(OPEN))
        typing.samples.append(page.evaluate(TYPE, str(number)))
        panel.open("Jobs")
        panel.drawn()
        told = changed(many, number)
        news.samples.append(page.evaluate(NEWS, told))
        plain.samples.append(page.evaluate(PLAIN, told))
        page.evaluate("document.getElementById('plain').remove()")
        assert panel.names(), "the table is empty"
    panel.close()
    return [empty, opening, typing, plain, news]


def changed(many: int, number: int) -> dict[str, Any]:
    """Return all jobs, every tenth in another state than before."""
    rows = [job(i, state=f"Run {number}") if i % 10 == number % 10 else job(i) for i in range(many)]
    return jobs(0, rows=rows)


if __name__ == "__main__":
    sys.exit(main())
