"""The live card in a real browser, with a fake kernel behind it."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Browser, Page, expect

from tests.browser.cardpage import (
    KUBECTL,
    NOW,
    YAML,
    CardPage,
    failed,
    head,
    running,
    timeline,
)
from tests.browser.widgetpage import THEMES
from tests.state import eventually

pytestmark = pytest.mark.browser

Open = Callable[..., CardPage]
TABS = ["Logs", "Metrics", "Timeline", "Events", "Manifest", "Details"]
HOSTILE = (
    "<img src=x onerror=\"window.pwned='img'\"><script>window.pwned='script'</script>"
    '</script></style><svg onload="window.pwned=\'svg\'"><a href="javascript:pwned=1">x</a>'
    "' onfocus=\"window.pwned='attribute'\" autofocus x=\"\u202e\x1b]0;title\x07\x00"
)
SEEN = HOSTILE[:20]  # what must be read as it was written


@pytest.fixture
def open_card(browser: Browser) -> Iterator[Open]:
    """Return a function that opens a page with a card; arguments are those of `CardPage`."""
    opened: list[CardPage] = []

    def open_card(traits: dict[str, Any] | None = None, *args: Any, **options: Any) -> CardPage:
        opened.append(CardPage(browser, traits or running(), *args, **options))
        return opened[-1]

    yield open_card

    for card in opened:
        card.close()


def a_log(total: int, special: dict[int, str] | None = None) -> dict[str, Any]:
    """Return the log of three replicas."""
    return {
        "replicas": ["master-0", "worker-0", "worker-1"],
        "total": total,
        "special": special or {},
    }


def shows(card: CardPage, text: str) -> None:
    """Wait until a line is in the page."""
    eventually(lambda: any(text in line for line in card.lines()))


# What comes from a job is text.


def test_nothing_of_a_job_becomes_markup(open_card: Open) -> None:
    """Names, lines, events, metrics, the manifest and the diagnosis are shown as written."""
    traits = hostile()
    card = open_card(
        traits, a_log(3, {0: HOSTILE, 1: HOSTILE, 2: HOSTILE}) | {"replicas": [HOSTILE]}
    )

    for tab in TABS:
        expect(card.open(tab)).to_contain_text(SEEN)
        card.drawn()
        assert card.page.locator(".pyjob-live :is(script, img, a, iframe, style)").count() == 0
    card.page.locator(".pj-cell").click()
    card.page.locator(".pj-plot").first.focus()
    card.drawn()

    assert card.page.evaluate("window.pwned") is None
    attributes = card.page.evaluate(
        "[...document.querySelectorAll('.pyjob-live *')]"
        ".flatMap(node => node.getAttributeNames())"
        ".filter(name => name.startsWith('on') || ['href', 'src', 'srcdoc'].includes(name))"
    )
    assert attributes == []


def hostile() -> dict[str, Any]:
    """Return traits of which every text wants to be more."""
    traits: dict[str, Any] = _poisoned(failed() | {"charts_note": "note", "metrics_note": "note"})
    traits["replicas"] = traits["replicas"][:1]
    for chart in traits["charts"]:
        chart["series"] = chart["series"][:1]
    traits["charts"] = traits["charts"][:1]
    return traits | {"card_id": '"] * { color: red }'}


def _poisoned(value: Any, key: str = "") -> Any:
    if isinstance(value, dict):
        return {name: _poisoned(each, name) for name, each in value.items()}
    if isinstance(value, list):
        return [_poisoned(each, key) for each in value]
    keep = key in {"kind", "actions", "tone"} or not isinstance(value, str)
    return value if keep else HOSTILE


def test_what_cannot_be_seen_is_shown(open_card: Open) -> None:
    """Bidi marks and control characters have signs; they neither turn nor hide text."""
    card = open_card(None, a_log(3, {0: "a\u202eb", 1: "nul \x00 bell \x07", 2: "\u2066x\u200by"}))

    assert card.lines() == ["a⟨U+202E⟩b", "nul ^@ bell ^G", "⟨U+2066⟩x⟨U+200B⟩y"]


# Lines as a terminal shows them.


@pytest.mark.parametrize(
    ("raw", "seen"),
    [
        ("10%\r50%\r100% done", "100% done"),
        ("long line\rshort", "shortline"),
        ("long line\r\x1b[Kshort", "short"),
        ("abc\b\bX", "aXc"),
        ("a\tb", "a       b"),
        ("\x1b[2Aup\x1b[3Dto", "to"),
        ("\x1b]8;;http://x\x1b\\link\x1b]8;;\x1b\\", "link"),
        ("\x1b]never ended", "^[]never ended"),
        ("e\u0301x\re\u0301", "e\u0301x"),
        ("👩‍🚀 ok\r", "👩‍🚀 ok"),
        ("\x1b[999999999Cx", ""),
    ],
)
def test_a_line_is_what_a_terminal_would_show(open_card: Open, raw: str, seen: str) -> None:
    """Carriage returns, backspaces and erasing move and overwrite; titles and links are gone."""
    card = open_card(None, a_log(1, {0: raw}))

    assert card.lines()[0].split("…")[0].strip() == seen


def test_colours_are_readable_in_both_themes(open_card: Open) -> None:
    """All 256 colours have a contrast of at least 4.5 on light and on dark ground."""
    palette = {i: f"\x1b[38;5;{i}mX\x1b[0m \x1b[48;5;{i}mY" for i in range(256)}
    measure = """() => [...document.querySelectorAll('.pj-text span')].map(node => {
        const rgb = text => text.match(/[\\d.]+/g).map(Number);
        const style = getComputedStyle(node);
        const light = rgb => rgb.slice(0, 3).map(v => v / 255)
            .map(v => v <= .04045 ? v / 12.92 : ((v + .055) / 1.055) ** 2.4)
            .reduce((sum, v, i) => sum + v * [.2126, .7152, .0722][i], 0);
        const back = rgb(style.backgroundColor);
        const page = rgb(getComputedStyle(node.closest('.pyjob-live')).backgroundColor);
        const pair = [light(rgb(style.color)), light(back[3] === 0 ? page : back)].sort();
        return (Math.max(...pair) + .05) / (Math.min(...pair) + .05);
    })"""
    for theme in ("light", "dark"):
        card = open_card(None, a_log(256, palette), theme=theme, height=6000)
        card.log.evaluate("node => { node.style.height = '5000px'; }")
        expect(card.page.locator(".pj-row:not(.pj-missing)")).to_have_count(256)
        ratios = card.page.evaluate(measure)
        assert len(ratios) >= 511  # of black and white, one is the page's own
        assert min(ratios) >= 4.5


def test_styles_of_a_line(open_card: Open) -> None:
    """Bold, italic, underline and true colour become styles, inverse swaps the colours."""
    text = "\x1b[1mbold\x1b[22;3mitalic\x1b[23;4munder\x1b[0;7minverse\x1b[0;38;2;200;0;0mred"
    card = open_card(None, a_log(1, {0: text}))

    styles = card.page.locator(".pj-text span").evaluate_all(
        "nodes => nodes.map(({ style }) => [style.fontWeight, style.fontStyle,"
        " style.textDecoration, style.backgroundColor, style.color])"
    )

    assert [style[:3] for style in styles[:3]] == [
        ["bold", "", ""],
        ["", "italic", ""],
        ["", "", "underline"],
    ]
    assert styles[3][3:] == ["rgb(0, 0, 0)", "rgb(255, 255, 255)"]
    assert styles[4][4] == "rgb(200, 0, 0)"


def test_a_line_of_100_kb_is_cut_until_asked_for(open_card: Open) -> None:
    """Its beginning is shown at once, all of it on a click."""
    card = open_card(None, a_log(1, {0: "x" * 100_000}))

    assert len(card.lines()[0]) < 2100
    card.page.get_by_role("button", name="show all 100,000 characters").click()

    eventually(lambda: len(card.lines()[0]) == 100_000)


# Many lines.


@pytest.mark.parametrize("total", [1_000_000, 10_000_000])
def test_any_number_of_lines_is_a_window(open_card: Open, total: int) -> None:
    """Few are in the page; every place can be reached, and shows the lines that are there."""
    card = open_card(None, a_log(total))
    shows(card, f"step {total - 1} ")
    assert card.page.evaluate("document.querySelectorAll('.pyjob-live *').length") < 600

    for part in (0, 0.25, 0.7):
        card.log.evaluate(
            "(node, part) => { node.scrollTop = part * (node.scrollHeight - node.clientHeight); }",
            part,
        )
        eventually(partial(_is_near, card, part * total, total / 1000))
        expect(card.page.locator(".pj-missing")).to_have_count(0)
        numbers = card.page.locator(".pj-num").all_inner_texts()
        steps = [int(line.split()[1]) for line in card.lines()]
        assert [int(number) for number in numbers] == [step + 1 for step in steps]
        assert steps == list(range(steps[0], steps[0] + len(steps)))

    assert card.page.evaluate("document.querySelectorAll('.pyjob-live *').length") < 600


def _step(card: CardPage) -> int | None:
    """Return the number of the first line in the page, when it has come."""
    line = next(iter(card.lines()), "…")
    return None if line == "…" else int(line.split()[1])


def _is_near(card: CardPage, place: float, distance: float) -> bool:
    step = _step(card)
    return step is not None and abs(step - place) < distance


def test_wheel_and_keys_move_by_lines_in_a_long_log(open_card: Open) -> None:
    """Where a pixel of the scroll bar is many lines, wheel and keys still move by few."""
    card = open_card(None, a_log(10_000_000))
    card.log.evaluate("node => { node.scrollTop = node.scrollHeight / 2; }")
    eventually(lambda: _is_near(card, 5_000_000, 10_000))
    before = _step(card) or 0

    card.log.hover()
    card.page.mouse.wheel(0, 90)
    eventually(lambda: _step(card) == before + 5)
    card.log.press("PageDown")
    eventually(lambda: _is_near(card, before + 24, 4))
    card.log.press("Home")
    shows(card, "step 0 ")
    card.log.press("End")
    shows(card, "step 9999999 ")


def test_following_keeps_the_end_in_sight(open_card: Open) -> None:
    """Scrolling up ends it, its button brings it back."""
    card = open_card(None, a_log(5000))
    follow = card.page.get_by_role("button", name="Follow")
    card.print(3000)
    shows(card, "step 7999 ")

    card.log.hover()
    card.page.mouse.wheel(0, -400)
    expect(follow).to_have_attribute("aria-pressed", "false")
    eventually(lambda: not any("step 7999 " in line for line in card.lines()))
    lines = card.lines()
    card.print(100)
    card.drawn()
    assert card.lines() == lines

    follow.click()
    shows(card, "step 8099 ")
    expect(follow).to_have_attribute("aria-pressed", "true")


def test_a_pause_counts_what_it_holds_back(open_card: Open) -> None:
    """Lines do not move, and the button says how many are new."""
    card = open_card()
    shows(card, "step 299 ")
    card.page.get_by_role("button", name="Pause").click()
    card.print(123)

    paused = card.page.get_by_role("button", name="Paused, +123 new")
    expect(paused).to_be_visible()
    assert "step 299 " in card.lines()[-1]
    paused.click()
    shows(card, "step 422 ")


def test_unfinished_lines_stand_below_the_last(open_card: Open) -> None:
    """A progress bar is redrawn in its place."""
    card = open_card()
    for percent in (10, 20):
        card.print(0, [(1, f"{percent}%|##")])
        expect(card.page.locator(".pj-text").last).to_have_text(f"{percent}%|##")

    assert card.page.locator(".pj-partial").count() == 1
    assert "step 299 " in card.lines()[-2]


def test_search_finds_and_goes_round(open_card: Open) -> None:
    """Enter goes on, Shift+Enter back; the number of matches is said, what matches is marked."""
    card = open_card(
        None, a_log(100_000, {70: "Needle <b>one</b>", 90_000: "\x1b[31mnee\x1b[0mdle"})
    )
    card.log.press("Control+f")
    search = card.page.get_by_role("searchbox")
    expect(search).to_be_focused()
    card.page.keyboard.type("needle")
    found = card.page.locator(".pj-found")

    search.press("Enter")
    expect(found).to_have_text("line 71, 1 match")
    expect(card.page.locator(".pj-hit mark")).to_have_text("Needle")
    search.fill("step 9")
    search.press("Enter")
    expect(found).to_have_text(re.compile(r"^line .*, 11,\d\d\d matches$"))
    here = found.inner_text()
    search.press("Enter")
    expect(found).to_have_text(re.compile("^line 92"))
    search.press("Shift+Enter")
    expect(found).to_have_text(here)
    search.fill("not there")
    expect(found).to_have_text("no match")


def test_wrapped_lines_reach_the_end(open_card: Open) -> None:
    """Also with lines of many rows the newest is in sight, and the first can be reached."""
    special = {i: f"start {i} {'word ' * 300}end" for i in range(295, 299)}
    card = open_card(None, a_log(300, special))
    card.page.get_by_role("button", name="Wrap").click()
    last = card.page.locator(".pj-row", has_text="step 299 ")

    expect(last).to_be_in_viewport()
    card.log.press("Home")
    expect(card.page.locator(".pj-row", has_text="step 0 ")).to_be_in_viewport()
    card.log.press("End")
    expect(last).to_be_in_viewport()
    width = card.log.evaluate("node => node.scrollWidth - node.clientWidth")
    assert width == 0


def test_a_log_is_saved_whole(open_card: Open, tmp_path: Path) -> None:
    """The pieces of the kernel become one file, whose name is only a name."""
    card = open_card(None, a_log(1001))

    with card.page.expect_download() as download:
        card.page.get_by_role("button", name="Download").click()
    download.value.save_as(tmp_path / "log")

    lines = (tmp_path / "log").read_text().splitlines()
    assert len(lines) == 1001
    assert lines[1000].startswith("[worker-0] step 1000 ")
    assert "/" not in download.value.suggested_filename


def copied(card: CardPage, after: int = 0) -> str:
    """Press the button that copies the log, and return what is in the clipboard then.

    Where a clock is installed, that is after so many milliseconds.
    """
    card.page.context.grant_permissions(["clipboard-read", "clipboard-write"])
    card.page.mouse.move(0, 0)
    card.page.get_by_role("button", name="Copy").click()
    if after:
        card.page.clock.run_for(after)
    expect(card.page.get_by_role("button", name="Copied")).to_be_visible()
    text: str = card.page.evaluate("navigator.clipboard.readText()")
    return text


def test_copying_takes_all_lines(open_card: Open) -> None:
    """As a terminal shows them, with the names of their replicas; of one replica those of it."""
    special = {0: "\x1b[31mred\x1b[0m", 1: "10%\r20%"}
    card = open_card(None, a_log(1500, special))
    card.print(0, [(2, "half a li")])

    lines = copied(card).splitlines()
    assert lines[:3] == ["[master-0] red", "[worker-0] 20%", "[worker-1] step 2 loss=1.9960"]
    assert len(lines) == 1501
    assert lines[-1] == "[worker-1] half a li"

    card.page.get_by_role("option", name="worker-0, Running").click()
    shows(card, "step 1498 ")
    assert copied(card).splitlines()[1] == "step 4 loss=1.9920"


def test_copying_takes_what_was_there_when_it_was_paused(open_card: Open) -> None:
    """What has come since is not shown either."""
    card = open_card(None, a_log(300))
    card.page.get_by_role("button", name="Pause").click()
    card.print(50)

    assert len(copied(card).splitlines()) == 300


def test_copying_has_an_end(open_card: Open) -> None:
    """Of very many lines the last ones are copied, and that is said."""
    card = open_card(None, a_log(2_500))

    assert copied(card).splitlines()[0].startswith("[worker-1] step 500 ")

    expect(card.page.locator(".pj-logstatus")).to_have_text(
        "Copied the last 2,000 of 2,500 lines; Download has all."
    )


def test_copying_while_the_kernel_is_busy(open_card: Open) -> None:
    """What is here is copied, and that is said."""
    card = open_card(None, a_log(90_000))
    shows(card, "step 89999 ")
    card.page.evaluate("model.busy = true")
    card.page.clock.install()

    lines = copied(card, after=4000).splitlines()

    assert lines[-1].startswith("[worker-1] step 89999 ")
    expect(card.page.locator(".pj-logstatus")).to_contain_text(
        f"The kernel is busy until the running cell ends: copied the {len(lines)} lines at hand."
    )


def test_a_replica_that_was_started_again(open_card: Open) -> None:
    """Its first line since then says so, in words that no copy has: it did not print them."""
    card = open_card(None, a_log(4) | {"begun": [2]})
    rows = card.page.locator(".pj-row")
    expect(rows.nth(2)).to_contain_text("worker-1started againstep 2 ")
    expect(card.page.get_by_text("started again")).to_have_count(1)

    assert "again" not in copied(card)
    rows.nth(2).locator("xpath=..").select_text()
    assert "again" not in card.page.evaluate("getSelection().toString()")


def test_marked_text_stays_marked(open_card: Open) -> None:
    """Who selects lines keeps them, while others come."""
    card = open_card()
    shows(card, "step 299 ")
    card.page.locator(".pj-text").nth(5).select_text()
    card.drawn()
    selected = card.page.evaluate("getSelection().toString()")

    card.print(50)
    card.drawn()

    assert selected.startswith("step")
    assert card.page.evaluate("getSelection().toString()") == selected


# One replica.


def test_a_chosen_replica_shows_its_log(open_card: Open) -> None:
    """A click filters, another one shows all; the kernel is told to follow it."""
    card = open_card(None, a_log(90_000))
    cell = card.page.get_by_role("option", name="worker-0, Running")

    cell.click()
    shows(card, "step 89998 ")  # as before, when there were other lines around it
    eventually(lambda: all(int(line.split()[1]) % 3 == 1 for line in card.lines()))
    expect(cell).to_have_attribute("aria-selected", "true")
    expect(card.page.get_by_label("Replica", exact=True)).to_have_value("worker-0")
    assert card.sent("view")[-1]["view"] == "worker-0"

    cell.click()
    shows(card, "step 89999 ")


def test_a_busy_kernel_is_not_waited_for(open_card: Open) -> None:
    """Of the lines at hand those of the replica are shown, which the card says; then all come."""
    card = open_card(None, a_log(90_000))
    shows(card, "step 89999 ")
    card.page.evaluate("model.busy = true")
    card.page.get_by_role("option", name="worker-1, Running").click()

    shows(card, "step 89999 ")
    assert all(int(line.split()[1]) % 3 == 2 for line in card.lines())
    expect(card.page.locator(".pj-logstatus")).to_contain_text("only the lines of")
    card.page.evaluate("model.wake()")
    expect(card.page.locator(".pj-logstatus")).to_be_empty()
    expect(card.page.locator(".pj-num").last).to_have_text("30000")


@pytest.mark.parametrize("shows_first", ["head", "log"])
@pytest.mark.parametrize("total", [3000, 400])
def test_another_job_begins_with_its_own_lines(
    open_card: Open, shows_first: str, total: int
) -> None:
    """After Rerun no line of the job before is left, nor one that was asked for then."""
    card = open_card(None, a_log(3000))
    shows(card, "step 2999 ")
    card.page.evaluate("model.busy = true")
    card.log.press("Home")  # asks for lines that are answered too late
    eventually(lambda: card.sent("lines"))
    card.page.evaluate(
        """([total, first]) => {
            model.busy = false;
            const old = model.log.lines.bind(model.log);
            window.late = model.sent.filter(({ do: what }) => what === 'lines');
            window.answer_late = () => late.forEach(({ id, view, start, count }) => {
                const answer = { id, is: 'lines', view, start, lines: old(view, start, count) };
                model.trigger('msg:custom', answer, []);
            });
            const { replicas } = model.log;
            model.log = new GeneratedLog({ replicas, total });
            model.log.text = number => `again ${number}`;
            const head = () => model.set('head', { ...model.get('head'), name: 'mnist-again' });
            if (first === 'head') head();
            model.print(0);
            if (first === 'log') head();
        }""",
        [total, shows_first],
    )
    shows(card, f"again {total - 1}")
    card.page.evaluate("answer_late()")
    card.log.press("Home")
    shows(card, "again 0")
    card.drawn()
    assert all("again" in line for line in card.lines())


def test_two_views_of_a_card_are_independent(open_card: Open) -> None:
    """A replica chosen in one leaves the other as it is, and that goes on following."""
    card = open_card(None, a_log(3000), height=2400)
    card.page.evaluate(
        """async () => {
            const { default: card } = await import('./card.mjs');
            const place = document.createElement('div');
            document.body.append(place);
            card.render({ model, el: place });
        }"""
    )
    second = card.page.locator(".pyjob-live").nth(1)
    expect(second.locator(".pj-row").last).to_contain_text("step 2999 ")
    card.page.get_by_role("option", name="worker-0").first.click()
    card.print(30)

    expect(second.locator(".pj-row").last).to_contain_text("step 3029 ")
    first = card.page.locator(".pyjob-live").nth(0)
    expect(first.locator(".pj-row").last).to_contain_text("step 3028 ")
    expect(second.get_by_label("Replica", exact=True)).to_have_value("")


@pytest.mark.parametrize(("replicas", "size"), [(1, "wordy"), (64, "short"), (512, "dense")])
def test_any_number_of_replicas(open_card: Open, replicas: int, size: str) -> None:
    """All have a cell with their facts; arrow keys go through them and Enter chooses."""
    traits = running(replicas)
    names = [replica["name"] for replica in traits["replicas"]]
    card = open_card(traits, {"replicas": names, "total": 5000})
    cells = card.page.get_by_role("option", name=re.compile("Running"))
    expect(cells).to_have_count(replicas)
    expect(card.page.locator(".pj-replicas")).to_have_attribute("data-size", size)
    expect(card.page.locator(".pj-summaryline")).to_contain_text(f"{replicas} Running")
    assert card.page.locator(".pj-cell[tabindex='0']").count() == 1

    cells.first.focus()
    card.page.keyboard.press("End")
    card.page.keyboard.press("Enter")

    expect(cells.last).to_have_attribute("aria-selected", "true")
    expect(cells.last).to_be_focused()
    shows(card, "step")
    box = card.page.locator(".pj-replicas").bounding_box()
    assert box
    assert box["height"] < 320


# The rest of the card.


def test_tabs_and_keys(open_card: Open) -> None:
    """Arrow keys go round, one panel is shown, and tabs say how much they hold."""
    card = open_card()
    first = card.page.get_by_role("tab", name="Logs")
    first.focus()
    for name in [*TABS[1:], "Logs", "Metrics"]:
        card.page.keyboard.press("ArrowRight")
        tab = card.page.get_by_role("tab", name=name)
        expect(tab).to_be_focused()
        expect(tab).to_have_attribute("aria-selected", "true")
        expect(card.page.get_by_role("tabpanel")).to_have_count(1)
    card.page.keyboard.press("End")
    expect(card.page.get_by_role("tab", name="Details")).to_be_focused()
    expect(card.page.get_by_role("tab", name="Events")).to_have_text("Events4")
    expect(first).to_have_text("Logs300")


def test_the_theme_may_change(open_card: Open) -> None:
    """Colours of the log and the stylesheet follow the page."""
    card = open_card(None, a_log(1, {0: "\x1b[33myellow\x1b[0m"}))
    text = card.page.locator(".pj-text span")
    expect(card.card).to_have_attribute("data-pj-theme", "light")
    light = text.get_attribute("style")

    card.page.evaluate(
        """dark => {
            for (const [name, value] of Object.entries(dark))
                document.documentElement.style.setProperty(name, value);
        }""",
        THEMES["dark"],
    )

    expect(card.card).to_have_attribute("data-pj-theme", "dark")
    eventually(lambda: text.get_attribute("style") != light)


def test_the_keyboard_reaches_everything(open_card: Open) -> None:
    """Tab goes through buttons, replicas, tabs and the log; JupyterLab's shortcuts stay away."""
    card = open_card()
    reached: set[str] = set()
    for _ in range(30):
        card.page.keyboard.press("Tab")
        reached.add(
            card.page.evaluate(
                "[document.activeElement].filter(at => at.closest('.pyjob-live'))"
                ".map(at => at.getAttribute('role') ?? at.type ?? '')[0] ?? 'outside'"
            )
        )

    assert {"button", "option", "tab", "region", "search", "select-one"} <= reached
    focused = card.page.locator(":focus")
    expect(focused).to_have_attribute("data-lm-suppress-shortcuts", "true")


def test_the_diagnosis_comes_first(open_card: Open) -> None:
    """It says why and what to do, opens the log of the replica, and shows the traceback."""
    card = open_card(failed())
    alert = card.page.get_by_role("alert")
    expect(alert).to_contain_text("worker-1 failed first: ValueError")
    expect(alert).to_contain_text("the loader gives three")
    expect(alert).to_contain_text("line 14 of the cell")
    expect(card.page.locator(".pj-traceback")).to_contain_text("for images, labels in loader:\n")
    why, tabs = alert.bounding_box(), card.page.get_by_role("tablist").bounding_box()
    assert why
    assert tabs
    assert why["y"] < tabs["y"]

    card.open("Events")
    alert.get_by_role("button", name="Log of worker-1").click()

    expect(card.page.get_by_role("tab", name="Logs")).to_have_attribute("aria-selected", "true")
    shows(card, "step 299 ")
    assert all(int(line.split()[1]) % 3 == 2 for line in card.lines())


@pytest.mark.parametrize(
    ("action", "question"),
    [
        ("Delete", "Delete mnist-resnet50 and its logs?"),
        ("Suspend", "Suspend? Replicas stop; progress since the last checkpoint is lost."),
    ],
)
def test_what_cannot_be_taken_back_asks_once(open_card: Open, action: str, question: str) -> None:
    """The first click asks, in the card; Escape and Keep leave the job, the second click acts."""
    card = open_card()
    button = card.page.get_by_role("button", name=action)
    for leave in ("Escape", "Enter"):  # the focus is on Keep
        button.click()
        keep = card.page.get_by_role("button", name="Keep")
        expect(keep).to_be_focused()
        expect(keep).to_have_accessible_description(question)
        card.page.keyboard.press(leave)
        expect(card.page.get_by_role("button", name="Wait")).to_be_visible()
        expect(button).to_be_focused()
    assert card.sent("act") == []

    button.click()
    button.click()

    expect(card.page.locator(".pj-said")).to_have_text(f"{action.lower()} was asked for")
    assert [message["action"] for message in card.sent("act")] == [action.lower()]


def test_a_question_goes_with_its_action(open_card: Open) -> None:
    """A job that has ended meanwhile cannot be suspended, nor is that asked later."""
    card = open_card()
    card.page.get_by_role("button", name="Suspend").click()

    card.set(head=head(actions=["delete"]))
    expect(card.page.get_by_role("button", name="Delete")).to_be_visible()
    card.set(head=head())

    expect(card.page.get_by_role("button", name="Suspend")).to_be_visible()


def test_an_action_that_waits_says_so(open_card: Open) -> None:
    """A busy kernel does it later; meanwhile no second one is sent. A failure is an alert."""
    card = open_card(running(head=head(actions=["rerun", "delete"])))
    card.page.evaluate("model.busy = true")
    card.page.get_by_role("button", name="Rerun").click()
    expect(card.page.locator(".pj-said")).to_contain_text("kernel is busy")
    card.page.get_by_role("button", name="Submitting").click(force=True)
    assert len(card.sent("act")) == 1

    card.page.evaluate("model.wake()")

    expect(card.page.get_by_role("alert")).to_have_text("rerun was asked for")


def test_what_came_of_an_action_passes(open_card: Open) -> None:
    """It goes with the state that it was about, or after a while; an error stays until then."""
    card = open_card(running(head=head(actions=["resume", "rerun"])))
    said = card.page.locator(".pj-said")
    card.page.get_by_role("button", name="Resume").click()
    expect(said).to_have_text("resume was asked for")
    card.set(head=head(state="Suspended", actions=["resume", "rerun"]))
    expect(said).to_be_empty()

    card.page.clock.install()
    for button, stays in (("Rerun", True), ("Resume", False)):
        card.page.get_by_role("button", name=button).click()
        card.page.clock.run_for(100)
        expect(said).to_have_text(f"{button.lower()} was asked for")
        card.page.clock.run_for(20_000)
        expect(said).to_have_text(f"{button.lower()} was asked for" if stays else "")


def test_a_card_without_kernel_says_so(open_card: Open) -> None:
    """Its buttons are off, it shows how to attach again, and nothing is thrown."""
    card = open_card()
    card.page.evaluate(
        """() => {
            model.gone = true;
            model.trigger('comm_live_update');
        }"""
    )

    expect(card.page.locator(".pj-link")).to_contain_text(
        "Run %load_ext pyjob_magic and %pytorchjob show mnist-resnet50 to reattach"
    )
    suspend = card.page.get_by_role("button", name="Suspend")
    expect(suspend).to_have_attribute("aria-disabled", "true")
    suspend.click(force=True)
    card.page.get_by_role("option", name="worker-0, Running").click()
    card.page.get_by_role("button", name="Download").click()
    card.drawn()
    assert card.sent("act") == []

    card.set(head=head(state="Restarting"))
    expect(card.page.locator(".pj-link")).to_be_empty()


def test_a_message_that_cannot_be_sent_is_no_error(open_card: Open) -> None:
    """A kernel that goes without a word is noticed with the first thing that it is asked."""
    card = open_card()
    card.page.evaluate("model.gone = true")
    card.page.get_by_role("button", name="Wait").click()

    expect(card.page.locator(".pj-link")).to_contain_text("No kernel is attached")


def test_time_goes_on_while_the_job_runs(open_card: Open) -> None:
    """Elapsed time counts by the kernel's clock and ends with the job; time left counts down."""
    card = open_card()
    times = card.page.locator(".pj-times")
    expect(times).to_contain_text("queued 22 s")
    expect(times).to_contain_text(re.compile(r"elapsed 2 min (1[7-9]|2\d) s"))
    expect(card.page.locator(".pj-left")).to_contain_text(re.compile(r"about 3 min 0\d s left"))
    assert card.page.get_by_role("progressbar").get_attribute("aria-valuenow") == "42"

    card.set(head=head(state="Succeeded", tone="ok", ended=NOW - 6))

    expect(times).to_contain_text("elapsed 2 min 10 s")
    expect(card.page.locator(".pj-badge")).to_have_text("Succeeded")


def test_charts_show_values_to_pointer_and_keys(open_card: Open) -> None:
    """The values of all replicas at a step; a line breaks where a value is not finite."""
    card = open_card()
    card.open("Metrics")
    chart = card.page.locator(".pj-chart", has_text="samples_per_second")
    values = chart.locator(".pj-values")
    plot = chart.locator(".pj-plot")

    plot.hover()
    expect(values).to_contain_text("worker-1")
    plot.focus()
    card.page.keyboard.press("End")
    expect(values).to_contain_text("step 417")
    for _ in range(3):
        card.page.keyboard.press("ArrowLeft")
    expect(values).to_contain_text("step 408")
    expect(values).to_contain_text("worker-1 not finite")
    card.page.keyboard.press("Escape")
    expect(values).to_be_hidden()
    assert (chart.locator(".pj-line").first.get_attribute("d") or "").count("M") == 2


def test_metrics_that_were_not_all_read(open_card: Open) -> None:
    """The small ones say so, too, above the tabs; and the charts say what else is left out."""
    card = open_card(running(metrics_note="7 lines came too fast"))
    expect(card.page.get_by_role("region", name="Newest metrics")).to_contain_text("7 lines came")

    card.set(charts_note="not drawn: 3 of 27 metrics")

    expect(card.open("Metrics").locator(".pj-note")).to_have_text(
        "not drawn: 3 of 27 metrics; 7 lines came too fast"
    )


def test_charts_of_a_run_that_began_again(open_card: Open) -> None:
    """The line breaks where steps go back; there the keys tell of the newer values."""
    series = {"replica": "master-0", "x": [1, 2, 3, 2, 3], "y": [5, 4, 3, 2, 1], "breaks": [3]}
    card = open_card(running(charts=[{"name": "loss", "axis": "step", "series": [series]}]))
    card.open("Metrics")
    chart = card.page.locator(".pj-chart")

    assert (chart.locator(".pj-line").get_attribute("d") or "").count("M") == 2
    expect(chart.locator("svg title")).to_contain_text("the steps go back here")
    expect(chart.locator(".pj-tick").last).to_have_text("step")
    chart.locator(".pj-plot").focus()
    card.page.keyboard.press("End")
    expect(chart.locator(".pj-values")).to_contain_text("master-0 1")


def test_charts_on_a_log_scale(open_card: Open) -> None:
    """Powers of ten stand at equal distances; what is not above 0 stays as it was, and says so."""
    axis = {"replica": "master-0", "x": [1, 2, 3]}
    charts = [
        {"name": name, "axis": "step", "series": [axis | {"y": y}]}
        for name, y in [("loss", [1, 0.1, 0.01]), ("gain", [0, 1, 2])]
    ]
    card = open_card(running(charts=charts))
    card.open("Metrics")
    loss, gain = (card.page.locator(".pj-chart", has_text=name) for name in ("loss", "gain"))
    linear = gain.locator(".pj-line").get_attribute("d")
    scale = card.page.get_by_role("button", name="Log scale")
    expect(scale).to_have_attribute("aria-pressed", "false")

    scale.focus()
    card.page.keyboard.press("Enter")

    expect(scale).to_have_attribute("aria-pressed", "true")
    down = [
        float(point.split()[1])
        for point in (loss.locator(".pj-line").get_attribute("d") or "")[1:].split("L")
    ]
    assert down[1] - down[0] == pytest.approx(down[2] - down[1], abs=0.2)
    expect(loss.locator(".pj-tick").first).to_have_text("0.01")
    assert "on a log scale" in (loss.locator(".pj-plot").get_attribute("aria-label") or "")
    assert gain.locator(".pj-line").get_attribute("d") == linear
    expect(gain).to_contain_text("linear scale")


def test_the_timeline_is_to_scale(open_card: Open) -> None:
    """Spans are as long as they took, and each says what it was."""
    now = NOW
    traits = running(timeline=timeline(["master-0"]) | {"end": now})
    for row in traits["timeline"]["rows"]:
        row["spans"][-1]["end"] = now
    card = open_card(traits)
    card.open("Timeline")
    bars = card.page.locator(".pj-timechart .pj-span")
    expect(bars).to_have_count(8)
    widths = bars.evaluate_all("nodes => nodes.map(node => node.width.baseVal.value)")

    assert widths[0] / widths[3] == pytest.approx(8 / 136, rel=0.01)
    assert bars.first.locator("title").text_content() == "waits for quota, 8 s"
    assert "queued 8 s" in card.page.locator(".pj-stripwords").inner_text()


def test_the_manifest_can_be_copied(open_card: Open) -> None:
    """YAML and kubectl lines reach the clipboard as they are."""
    card = open_card()
    card.page.context.grant_permissions(["clipboard-read", "clipboard-write"])
    panel = card.open("Manifest")
    copied = "navigator.clipboard.readText()"

    panel.get_by_role("button", name="Copy YAML").click()
    eventually(lambda: card.page.evaluate(copied) == YAML)
    panel.get_by_role("button", name="Copy", exact=True).first.click()
    eventually(lambda: card.page.evaluate(copied) == KUBECTL[0]["line"])


# How it behaves on a page.


def test_an_unseen_card_renders_nothing(open_card: Open) -> None:
    """Scrolled away it leaves the page alone, and tells the kernel; seen again it is up to date."""
    card = open_card()
    assert card.sent("visible") == [{"do": "visible", "visible": True}]
    card.page.evaluate("document.body.style.paddingTop = '5000px'; scrollTo(0, 0)")
    eventually(lambda: card.sent("visible")[-1]["visible"] is False)
    card.drawn()
    card.page.evaluate(
        """() => {
            window.changes = 0;
            window.observer = new MutationObserver(records => { changes += records.length; });
            observer.observe(document.querySelector('.pyjob-live'),
                { childList: true, subtree: true, attributes: true, characterData: true });
        }"""
    )
    for name in ("Created", "Restarting"):
        card.set(head=head(state=name), charts=[], events=[])
        card.print(5)
        card.drawn()
    assert card.page.evaluate("changes") == 0

    card.page.evaluate("document.body.style.paddingTop = ''")
    expect(card.page.locator(".pj-badge")).to_have_text("Restarting")
    shows(card, "step 309 ")


def test_many_changes_are_drawn_once_a_frame(open_card: Open) -> None:
    """A thousand updates between two frames cost one rendering."""
    card = open_card()
    card.drawn()
    frames = card.page.evaluate(
        """async () => {
            const ask = window.requestAnimationFrame;
            let asked = 0;
            window.requestAnimationFrame = callback => { asked += 1; return ask(callback); };
            for (let i = 0; i < 1000; i += 1) model.print(1);
            await new Promise(ask);
            await new Promise(ask);
            window.requestAnimationFrame = ask;
            return asked;
        }"""
    )

    assert frames <= 2
    shows(card, "step 1299 ")


def test_closing_leaves_nothing_behind(browser: Browser, open_card: Open) -> None:
    """No listener, timer or observer is left, and the saved card is shown again."""
    card = open_card()
    expect(card.page.locator("#static")).to_be_hidden()
    card.page.evaluate(COUNT_ALL)
    card.page.evaluate(
        """async () => {
            close_card();
            const { default: fresh } = await import('./card.mjs');
            const place = document.getElementById('place');
            window.close_card = fresh.render({ model, el: place });
        }"""
    )
    expect(card.page.locator(".pj-name")).to_have_text("mnist-resnet50")
    shows(card, "step 299 ")
    assert card.page.evaluate("Object.values(alive).some(count => count > 0)")

    card.page.evaluate("close_card()")

    expect(card.page.locator("#static")).to_be_visible()
    assert card.page.locator(".pyjob-live").count() == 0
    assert card.page.evaluate("model.listeners") == 0
    assert card.page.evaluate("alive") == {"observers": 0, "timers": 0, "listeners": 0}
    card.set(head=head(state="Failed"))
    card.print(10)
    card.drawn()


COUNT_ALL = """() => {
    window.alive = { observers: 0, timers: 0, listeners: 0 };
    for (const name of ['IntersectionObserver', 'ResizeObserver', 'MutationObserver']) {
        const { prototype } = window[name];
        const { observe, disconnect } = prototype;
        const seen = new Set();
        prototype.observe = function (...args) {
            if (!seen.has(this)) alive.observers += 1;
            seen.add(this);
            return observe.apply(this, args);
        };
        prototype.disconnect = function () {
            if (seen.delete(this)) alive.observers -= 1;
            return disconnect.call(this);
        };
    }
    const { setInterval, clearInterval } = window;
    const ticking = new Set();
    window.setInterval = (...args) => {
        const timer = setInterval(...args);
        ticking.add(timer);
        alive.timers = ticking.size;
        return timer;
    };
    window.clearInterval = timer => {
        clearInterval(timer);
        ticking.delete(timer);
        alive.timers = ticking.size;
    };
    const add = EventTarget.prototype.addEventListener;
    EventTarget.prototype.addEventListener = function (name, heard, options) {
        const outer = this === window || this === document || this instanceof MediaQueryList;
        if (outer) {
            alive.listeners += 1;
            options?.signal?.addEventListener('abort', () => { alive.listeners -= 1; });
        }
        return add.call(this, name, heard, options);
    };
}"""


@pytest.mark.parametrize("traits", [running(), failed(), running(512)], ids=["3", "failed", "512"])
def test_it_fits_400_pixels(open_card: Open, traits: dict[str, Any]) -> None:
    """Nothing makes the page scroll sideways, in no tab."""
    card = open_card(traits, width=400)
    for tab in TABS:
        card.open(tab)
        card.drawn()
        assert card.page.evaluate("document.documentElement.scrollWidth") <= 400
        assert _beyond(card.page) == []


def _beyond(page: Page) -> list[str]:
    """Return what stands out of the card, outside of what scrolls."""
    classes: list[str] = page.evaluate(
        """() => {
            const card = document.querySelector('.pyjob-live').getBoundingClientRect();
            return [...document.querySelectorAll('.pyjob-live *')]
                .filter(node => !node.closest('.pj-log, .pj-tabs, pre, code, .pj-unseen'))
                .filter(node => node.getBoundingClientRect().right > card.right + 1)
                .map(node => String(node.className.baseVal ?? node.className));
        }"""
    )
    return classes


@pytest.mark.parametrize("theme", ["light", "dark"])
@pytest.mark.parametrize("kind", ["running", "failed", "512", "lost"])
def test_axe_finds_nothing_serious(open_card: Open, theme: str, kind: str) -> None:
    """Contrast, names and roles, in every tab."""
    traits = {"failed": failed(), "512": running(512)}.get(kind, running())
    colours = {291: "\x1b[33mwarning\x1b[0m \x1b[2mdim\x1b[0m \x1b[97mwhite\x1b[0m"}
    card = open_card(traits, a_log(300, colours) if kind != "512" else None, theme=theme)
    if kind == "lost":
        card.page.evaluate("model.trigger('comm_live_update')")
    for tab in TABS if kind != "512" else ["Logs", "Timeline"]:
        card.open(tab)
        card.drawn()
        found = Axe().run(card.page, options={"resultTypes": ["violations"]}).response["violations"]
        serious = [
            (each["id"], node["target"], node["any"] and node["any"][0]["message"])
            for each in found
            if each["impact"] in {"serious", "critical"}
            for node in each["nodes"]
        ]
        assert serious == [], tab


def test_a_panel_opens_below_unless_the_page_shows_it_already(open_card: Open) -> None:
    """Where it is, it stays; the trait is taken back, so that it can be asked for again."""
    card = open_card()
    card.page.evaluate(
        """() => {
            model.widget_manager = {
                get_model: async id => ({ id, get: () => `shown-${id}` }),
                create_view: async ({ id }) => {
                    const el = document.createElement('div');
                    el.textContent = `panel ${id}`;
                    return { el, remove() {} };
                },
            };
            const other = document.createElement('article');
            other.dataset.pjPanel = 'shown-there';
            other.textContent = 'elsewhere';
            document.body.append(other);
        }"""
    )
    below = card.page.locator(".pj-below")
    card.set(panel="here")
    expect(below).to_have_text("panel here")
    card.set(panel="there")
    card.page.wait_for_function("model.get('panel') === ''")
    expect(below).to_be_empty()

    card.page.evaluate("document.querySelector('[data-pj-panel]').remove()")
    card.set(panel="there")
    expect(below).to_have_text("panel there")
