"""What the live card costs, and how quick it is, in a real JupyterLab in headless Chromium.

    python tests/benchmarks/live.py [--lines 250] [--rounds 5] [--many 1000000]

From print to screen: a job prints the time, a loop in the page that runs in each frame looks for
that line and reads the same clock. Beside it, a cell prints the same with ``print``.

The kernel: how much of a processor it takes while a job prints 100,000 lines a second, and how
long a loop in pure Python takes meanwhile. Beside it, the same loop while such a job runs of which
nothing is shown, and while nothing runs.

The browser: heap and frames while the log is scrolled with the wheel, beside a card without lines.

The notebook: what is saved of a training of three replicas with charts and 100,000 lines.
"""

from __future__ import annotations

import argparse
import json
import shutil
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import psutil
from playwright.sync_api import Browser, Locator, Page, expect, sync_playwright

from tests.benchmarks.figures import Figure, machine, table
from tests.browser.conftest import BROWSERS, QUIET
from tests.browser.lab import Lab, Notebook, running_lab
from tests.state import temporary_home

LOAD = "%load_ext pyjob_magic"
PER_SECOND = 100_000
FRAMES = 600
SECONDS = 5.0  # that the kernel's CPU is measured for
PATIENCE = 120_000  # milliseconds

WATCH = """
selector => {
    const seen = window.pyjobSeen = new Map();
    const look = () => {
        const now = Date.now();
        for (const node of document.querySelectorAll(selector)) {
            const text = node.textContent.slice(-4000);
            for (const [, number, at] of text.matchAll(/line (\\d+) at (\\d+\\.\\d+)!/g))
                if (!seen.has(number)) seen.set(number, now - at * 1000);
        }
        if (window.pyjobSeen === seen) requestAnimationFrame(look);
    };
    requestAnimationFrame(look);
}
"""
SCROLL = """
async ([selector, frames]) => {
    const log = document.querySelector(selector);
    const frame = () => new Promise(requestAnimationFrame);
    const took = [];
    let before = await frame();
    for (let i = 0; i < frames; i += 1) {
        const wheel = { deltaY: -120, bubbles: true, cancelable: true };
        log.dispatchEvent(new WheelEvent('wheel', wheel));
        const now = await frame();
        took.push(now - before);
        before = now;
    }
    return took;
}
"""
LOOP = """\
import time
begun, n = time.perf_counter(), 0
while n < 8_000_000: n += 1
print(time.perf_counter() - begun)"""


def main() -> int:
    """Measure and print the tables."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--lines", type=int, default=250, help="lines on their way (default 250)")
    parser.add_argument("--rounds", type=int, default=5, help="of the loop (default 5)")
    parser.add_argument("--many", type=int, default=1_000_000, help="lines of a long log (10**6)")
    options = parser.parse_args()
    print(f"{machine()}; JupyterLab in headless Chromium")
    with chromium() as browser, a_lab() as lab:
        with a_notebook(browser, lab) as notebook:
            figures = from_print_to_screen(notebook, options.lines)
        print(f"\nFrom print to screen, {options.lines} lines:\n\n{table(*figures)}")
        with a_notebook(browser, lab) as notebook:
            figures, share, rate = the_kernel(notebook, options.rounds)
        print(f"\nA loop in a cell, a job prints {rate:,.0f} lines/s:\n\n{table(*figures)}")
        print("\n" + table(share))
        with a_notebook(browser, lab) as notebook:
            frames, heaps = the_browser(notebook, options.many)
        print(f"\nScrolling through {options.many:,} lines, {FRAMES} frames:\n\n{table(*frames)}")
        print("\n" + table(*heaps))
        with a_notebook(browser, lab) as notebook:
            print(f"\nSaved in the notebook: {the_notebook(notebook):,} bytes (at most 100 KB)")
    return 0


def from_print_to_screen(notebook: Notebook, lines: int) -> list[Figure]:
    """Measure the way of single lines, twenty a second."""
    source = (
        "import time\n"
        f"for n in range({lines}):\n"
        "    print(f'line {n} at {time.time():.6f}!', flush=True)\n"
        "    time.sleep(0.05)"
    )
    printed = Figure("print in a cell", tail=99)
    card = Figure("a job's line on its card", (printed,), "p99 under 300 ms", tail=99)
    for figure, cell, selector in (
        (printed, source, ".jp-OutputArea-output pre"),
        (card, f"%%pytorchjob speaks\n{source}", ".pj-row .pj-text"),
    ):
        index = notebook.append(cell)
        notebook.page.evaluate(WATCH, selector)
        notebook.start(index)
        if figure is card:
            shown(notebook, index)
        notebook.page.wait_for_function(
            f"window.pyjobSeen.size === {lines}", timeout=PATIENCE, polling=200
        )
        notebook.wait_for_end(index)
        figure.samples += notebook.page.evaluate("[...window.pyjobSeen.values()]")
    return [printed, card]


def the_kernel(notebook: Notebook, rounds: int) -> tuple[list[Figure], Figure, float]:
    """Measure a loop in a cell in turns, and the kernel's CPU; return the job's rate, too."""
    kernel = psutil.Process(int(run(notebook, "import os; print(os.getpid())")))
    idle, unseen = Figure("nothing runs"), Figure("a job runs, nothing is shown")
    seen = Figure("its card is shown", (unseen, idle), "at most 1.3")
    share = Figure("kernel's CPU with the card", unit="%", target="at most 25 %")
    run(notebook, "from pyjob_magic import connect\njobs = connect()")
    rate = 0.0
    for number in range(rounds):
        idle.took(float(run(notebook, LOOP)))
        run(notebook, f"job = jobs.submit(jobs.build({talking()!r}, name='unseen-{number}'))")
        notebook.page.wait_for_timeout(2000)
        unseen.took(float(run(notebook, LOOP)))
        run(notebook, "job.delete()")
        index = notebook.append(f"%%pytorchjob seen-{number} -o job\n{talking()}")
        notebook.run(index)
        card = shown(notebook, index)
        notebook.page.wait_for_timeout(2000)
        before, lines, begun = sum(kernel.cpu_times()[:2]), count(card), time.monotonic()
        notebook.page.wait_for_timeout(SECONDS * 1000)
        passed = time.monotonic() - begun
        share.samples.append(100 * (sum(kernel.cpu_times()[:2]) - before) / passed)
        rate = max(rate, (count(card) - lines) / passed)
        loop = notebook.append(LOOP)
        notebook.start(loop)
        card.scroll_into_view_if_needed()  # it is drawn where it is seen
        notebook.wait_for_end(loop)
        seen.took(float(notebook.text(loop)))
        run(notebook, "job.delete()")
    return [idle, unseen, seen], share, rate


def the_browser(notebook: Notebook, many: int) -> tuple[list[Figure], list[Figure]]:
    """Measure frames while the wheel turns, and the heap afterwards."""
    without = Figure("frame, a card of 0 lines", tail=99)
    long = Figure(f"frame, {many:,} lines", (without,), tail=99)
    small = Figure("heap, a card of 0 lines", unit="MB")
    large = Figure(f"heap, {many:,} lines", (small,), unit="MB")
    source = f"for n in range({many}): print('step', n, 'loss=%.4f' % (1 / (n + 1)))"
    for frames, heap, name, program, lines in (
        (without, small, "silent", "pass", 0),
        (long, large, "long", source, many),
    ):
        index = notebook.append(f"%%pytorchjob {name}\n{program}")
        notebook.run(index)
        card = shown(notebook, index)
        expect(card.locator(".pj-badge")).to_have_text("Succeeded", timeout=PATIENCE)
        said = f"{lines:,} lines"
        expect(card.locator(".pj-counts")).to_have_text(said, timeout=PATIENCE)
        notebook.page.wait_for_timeout(2000)  # until all is drawn
        log = f".jp-Notebook-cell[data-windowed-list-index='{index}'] .pj-log"
        frames.samples += notebook.page.evaluate(SCROLL, [log, FRAMES])
        heap.samples.append(used_heap(notebook.page) / 1e6)
    return [without, long], [small, large]


def the_notebook(notebook: Notebook) -> int:
    """Return how many bytes of JSON a card is in the file."""
    source = (
        "import math, os\n"
        "for step in range(33_334):\n"
        "    print(f'step={step} loss={math.exp(-step / 9000):.5f} accuracy={step / 33_334:.4f}"
        " lr=0.001')"
    )
    index = notebook.append(f"%%pytorchjob saved --workers 2 --wait\n{source}")
    notebook.run(index, timeout=PATIENCE / 1000)
    outputs: list[dict[str, Any]] = notebook.save()[index]["outputs"]
    return len(json.dumps(outputs).encode())


def talking() -> str:
    """Return a program that prints so many lines a second until it is stopped."""
    return (
        "import sys, time\n"
        "begun, told = time.monotonic(), 0\n"
        "while time.monotonic() < begun + 300:\n"
        f"    due = int((time.monotonic() - begun) * {PER_SECOND}) - told\n"
        "    lines = [f'step {told + n} of a job that prints a lot loss=0.5' for n in range(due)]\n"
        "    sys.stdout.write('\\n'.join(lines) + '\\n' * bool(lines)); sys.stdout.flush()\n"
        "    told += due\n"
        "    time.sleep(0.01)"
    )


def run(notebook: Notebook, source: str) -> str:
    """Run one more cell and return what it prints."""
    return notebook.run(notebook.append(source))


def shown(notebook: Notebook, index: int) -> Locator:
    """Return the card of a cell when it is on screen."""
    card = notebook.output(index).locator(".pyjob-live")
    card.wait_for(state="attached")
    card.locator(".pj-log").scroll_into_view_if_needed()
    return card


def count(card: Locator) -> int:
    """Return how many lines a card has."""
    return int(card.locator(".pj-counts").inner_text().split()[0].replace(",", ""))


def used_heap(page: Page) -> float:
    """Return the bytes of JavaScript's heap that are in use."""
    session = page.context.new_cdp_session(page)
    session.send("HeapProfiler.collectGarbage")
    return float(session.send("Runtime.getHeapUsage")["usedSize"])


@contextmanager
def chromium() -> Iterator[Browser]:
    """Lend the system's browser."""
    executable = next(filter(None, map(shutil.which, BROWSERS)))
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(
            executable_path=executable, args=["--no-sandbox", *QUIET]
        )
        yield browser
        browser.close()


@contextmanager
def a_lab() -> Iterator[Lab]:
    """Lend a JupyterLab with an embedded API of its own."""
    with (
        tempfile.TemporaryDirectory(prefix="pyjob-benchmark-") as directory,
        temporary_home() as home,
        running_lab(Path(directory), home) as lab,
    ):
        yield lab


@contextmanager
def a_notebook(browser: Browser, lab: Lab) -> Iterator[Notebook]:
    """Lend a notebook with the extension loaded, in a page of its own."""
    page = browser.new_page(viewport={"width": 1280, "height": 900})
    notebook = Notebook(page, lab, [LOAD])
    notebook.run(0)
    yield notebook
    notebook.close()
    page.close()


if __name__ == "__main__":
    sys.exit(main())
