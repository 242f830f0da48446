"""How long frames take, and how much memory the page has, with a live card on it.

    python tests/benchmarks/card_page.py [--frames 600] [--lines 1000000]

A plain page in headless Chromium with one card of three replicas and a fake kernel in the page,
which makes lines when they are asked for. For so many frames the log is turned by the wheel in
each and thrown to another place in every 30th; then so many frames follow in which ten times a
second 10,000 lines are printed. A frame is what passes between two animation frames, work is what
the card's own drawing takes of it. Beside it the same is done to a card with an empty log.
"""

from __future__ import annotations

import argparse
import sys
from typing import Any

from playwright.sync_api import Browser, sync_playwright

from tests.benchmarks.figures import Figure, machine, table
from tests.browser.cardpage import CardPage, running
from tests.browser.conftest import QUIET, chromium

NAMES = ["master-0", "worker-0", "worker-1"]
MEASURE = """async ([frames, printing]) => {
    const log = document.querySelector('.pj-log');
    const ask = window.requestAnimationFrame;
    let work = 0;
    window.requestAnimationFrame = draw => ask(time => {
        const begun = performance.now();
        draw(time);
        work += performance.now() - begun;
    });
    const samples = [];
    let last = await new Promise(ask);
    for (let i = 0; i < frames; i += 1) {
        if (printing) {
            if (i % 6 === 0) model.print(printing);
        } else if (i % 30 === 29) {
            log.scrollTop = (i * 7919 % 1000) / 1000 * log.scrollHeight;
        } else {
            const turn = { deltaY: 90, bubbles: true, cancelable: true };
            log.dispatchEvent(new WheelEvent('wheel', turn));
        }
        const now = await new Promise(ask);
        samples.push([now - last, work]);
        last = now;
        work = 0;
    }
    window.requestAnimationFrame = ask;
    return samples;
}"""

FIGURES = (
    ("frame, scrolled", "ms"),
    ("work in it", "ms"),
    ("frame, 100,000 lines/s come", "ms"),
    ("work in it", "ms"),
    ("JavaScript heap", "MB"),
)


def main() -> int:
    """Measure and print the tables."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--frames", type=int, default=600, help="frames (default 600)")
    parser.add_argument("--lines", type=int, default=1_000_000, help="lines (default 1000000)")
    options = parser.parse_args()

    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(
            executable_path=chromium(),
            args=["--no-sandbox", "--enable-precise-memory-info", *QUIET],
        )
        print(f"{machine()}; Chromium {browser.version}, {options.frames} frames\n")
        empty = measure(browser, "empty log", options.frames, 0, ())
        full = measure(browser, f"{options.lines:,} lines", options.frames, options.lines, empty)
        print(table(*empty, *full))
        browser.close()
    return 0


def measure(
    browser: Browser, name: str, frames: int, lines: int, beside: tuple[Figure, ...]
) -> tuple[Figure, ...]:
    """Return times of frames and of work, when it is scrolled and when it prints, and the heap."""
    card = CardPage(browser, running(), {"replicas": NAMES, "total": lines})
    baselines: list[tuple[Figure, ...]] = [(figure,) for figure in beside] or [()] * 5
    baselines[1] = baselines[3] = ()  # a card that does not change has no work
    figures = [
        Figure(f"{name}: {what}", baseline, unit=unit, tail=99)
        for (what, unit), baseline in zip(FIGURES, baselines, strict=True)
    ]
    if lines:
        card.page.wait_for_function("document.querySelectorAll('.pj-row').length > 10")
    for number, printing in ((0, 0), (2, 10_000 if lines else 0)):
        for frame, work in card.page.evaluate(MEASURE, [frames, printing]):
            figures[number].samples.append(frame)
            figures[number + 1].samples.append(work)
    figures[4].samples.append(heap(card) / 1e6)
    card.close()
    return tuple(figures)


def heap(card: CardPage) -> float:
    """Return the bytes that scripts hold, after what is garbage has gone."""
    session = card.page.context.new_cdp_session(card.page)
    session.send("HeapProfiler.collectGarbage")
    session.send("Performance.enable")
    metrics: list[dict[str, Any]] = session.send("Performance.getMetrics")["metrics"]
    return float(next(each["value"] for each in metrics if each["name"] == "JSHeapUsedSize"))


if __name__ == "__main__":
    sys.exit(main())
