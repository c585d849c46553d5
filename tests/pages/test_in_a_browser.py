"""The pages in a real Chromium: logged in by hand, by keyboard alone, in the dark, on a phone, on paper."""

import shutil
from collections.abc import Iterator
from typing import Any

import pytest
from playwright.sync_api import Browser, Page, sync_playwright

from tests.pages.conftest import TOKEN, Installation

CHROMIUM = shutil.which("chromium") or "/usr/bin/chromium"
QUIET = (
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
)
PAGES = [
    "/",
    "/search?number=10023",
    "/search?number=10027",
    "/quarantine",
    "/quarantine/1",
    "/reconcile",
    "/replays",
]

pytestmark = pytest.mark.skipif(shutil.which(CHROMIUM) is None, reason="no Chromium on this machine")


@pytest.fixture(scope="module")
def chromium() -> Iterator[Browser]:
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=list(QUIET))
        yield browser
        browser.close()


@pytest.fixture
def open_page(chromium: Browser, installation: Installation) -> Iterator[Any]:
    """A page that is logged in, in a browser of its own; whatever it reports as an error fails the test."""
    contexts, troubles = [], []

    def logged_in(**options: Any) -> Page:
        context = chromium.new_context(base_url=installation.url, **options)
        contexts.append(context)
        page = context.new_page()
        page.on("pageerror", lambda error: troubles.append(str(error)))
        page.on(
            "console", lambda told: troubles.append(told.text) if "Content Security" in told.text else None
        )
        page.goto("/")
        page.fill("#token", TOKEN)
        page.press("#token", "Enter")
        page.wait_for_selector("h1:text('Overview')")
        page.wait_for_load_state("load")
        return page

    yield logged_in
    for context in contexts:
        context.close()
    assert troubles == []


def test_a_person_logs_in_and_finds_an_invoice_by_keyboard_alone(open_page: Any) -> None:
    page = open_page()
    page.keyboard.press("/")
    page.keyboard.type("10023")
    page.keyboard.press("Enter")
    page.wait_for_selector("h1:text('Where is 10023?')")
    assert "Anaplan has 1 supplier invoice" in page.inner_text(".sentences")
    page.keyboard.press("Tab")
    assert page.evaluate("document.activeElement.className") == "skip"
    page.keyboard.press("Enter")
    assert page.evaluate("document.activeElement.id") == "main"


def test_every_control_can_be_reached_and_shows_that_it_is(open_page: Any) -> None:
    page = open_page()
    page.goto("/search?number=10023")
    reached = set()
    for _ in range(40):
        page.keyboard.press("Tab")
        seen = page.evaluate(
            """() => { const e = document.activeElement; const s = getComputedStyle(e);
                 return [e.tagName, (e.innerText || e.name || '').trim().slice(0, 20), s.outlineStyle] }"""
        )
        if seen[0] != "BODY":
            assert seen[2] != "none", f"{seen} does not show that it has the focus"
            reached.add(seen[1])
    assert {"number", "Find", "Overview", "Quarantine", "Log out", "Send 10023 again …"} <= reached


def test_what_the_erp_holds_runs_nowhere(open_page: Any) -> None:
    page = open_page()
    for path in (*PAGES, "/search?number=10030"):
        page.goto(path)
        assert page.title() != "taken"
        assert page.evaluate("document.querySelectorAll('main script, main img').length") == 0


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_text_stands_out_from_its_background_in_both_schemes(open_page: Any, scheme: str) -> None:
    page = open_page(color_scheme=scheme)
    dark = page.evaluate("getComputedStyle(document.body).backgroundColor") == "rgb(16, 22, 21)"
    assert dark == (scheme == "dark")
    for path in PAGES:
        page.goto(path)
        weak = page.evaluate(CONTRAST)
        assert weak == [], f"{path}: {weak}"


@pytest.mark.parametrize("path", PAGES)
def test_a_phone_needs_no_scrolling_sideways(open_page: Any, path: str) -> None:
    page = open_page(viewport={"width": 360, "height": 740}, is_mobile=True)
    page.goto(path)
    assert page.evaluate("document.documentElement.scrollWidth") <= 360


def test_on_paper_there_is_the_content_and_nothing_to_click(open_page: Any) -> None:
    page = open_page()
    page.goto("/search?number=10023")
    page.emulate_media(media="print")
    assert not page.is_visible(".top")
    assert page.is_visible(".sentences")
    assert page.evaluate("getComputedStyle(document.body).backgroundColor") == "rgb(255, 255, 255)"


def test_a_replay_is_asked_for_with_two_clicks_and_a_name(open_page: Any) -> None:
    page = open_page()
    page.goto("/search?number=20001")
    page.click("summary:text('Send 20001 again')")
    page.fill("input[name=name]", "Ola Controller")
    page.click("button:text('Send again')")
    page.wait_for_selector("h1:text('Replays')")
    assert "number 20001" in page.inner_text("table")
    assert "Ola Controller (pages)" in page.inner_text("table")


def test_a_record_that_nobody_can_correct_is_settled_with_a_reason_and_a_name(
    open_page: Any, installation: Installation
) -> None:
    entry = installation.hold_back("cleo/ship_notices", "856")
    page = open_page()
    page.goto(f"/quarantine/{entry.id}")
    assert not page.is_visible("summary:text('look at it again')"), "a person decides on partners' wishes"
    page.click("summary:text('settle it')")
    page.fill("input[name=reason]", "Their test")
    page.fill("input[name=name]", "Ola Controller")
    page.click("button:text('Settle')")
    page.wait_for_selector("dd:text('by Ola Controller (pages): Their test')")


# Texts whose contrast to what lies behind them is below WCAG AA's 4.5.
CONTRAST = """() => {
  const rgb = (text) => (text.match(/[\\d.]+/g) || []).map(Number);
  const linear = (v) => v / 255 <= 0.03928 ? v / 255 / 12.92 : ((v / 255 + 0.055) / 1.055) ** 2.4;
  const light = ([r, g, b]) => 0.2126 * linear(r) + 0.7152 * linear(g) + 0.0722 * linear(b);
  const behind = (e) => {
    for (; e; e = e.parentElement) {
      const colour = rgb(getComputedStyle(e).backgroundColor);
      if (colour.length === 3) return colour;
    }
    return [255, 255, 255];
  };
  const says = (e) => e.checkVisibility() && [...e.childNodes].some((n) => n.nodeType === 3 && n.data.trim());
  const weak = [];
  for (const e of [...document.querySelectorAll('main *, nav a, button, footer')].filter(says)) {
    const [a, b] = [light(rgb(getComputedStyle(e).color)), light(behind(e))].sort((x, y) => y - x);
    const contrast = (a + 0.05) / (b + 0.05);
    if (contrast < 4.5) weak.push(`${e.innerText.slice(0, 30)} ${contrast.toFixed(2)}`);
  }
  return weak;
}"""
