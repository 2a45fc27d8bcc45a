"""The page in a real browser: pictures drawn, nothing complained of, and news shown by itself."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from recon.plans.history import append_history
from recon.setup.settings import load_settings
from recon.watch.page import serve
from tests.support.browser import Browser, chromium
from tests.support.watched import a_line, played_history, watched_world
from tests.watch.test_measures import NOON

pytestmark = pytest.mark.browser


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with chromium() as started:
        yield started


def opened(browser: Browser, url: str) -> None:
    browser.complaints()
    browser.requests()
    browser.driver.get(url)
    browser.wait(lambda: browser.run("return document.documentElement.dataset.ready === 'yes'"))


def test_the_page_draws_its_pictures_and_shows_news_by_itself(browser: Browser, tmp_path: Path) -> None:
    settings = watched_world(tmp_path, "\n[page]\nrefresh_s = 1\n")
    with serve(settings, "0") as served:
        opened(browser, f"{served.url}report")
        assert browser.count() > 0
        assert browser.complaints() == []
        played_history(settings.output_dir)
        opened(browser, served.url)
        browser.wait(lambda: browser.run("return document.querySelectorAll('.canvas svg path').length") > 10)
        titles = browser.run("return [...document.querySelectorAll('[data-chart] h2')].map((n) => n.textContent)")
        assert titles == ["Breaks over time", "Captured and not credited over time", "Money at risk over time"]
        assert browser.text('[data-fact="breaks"] .figure') == "3"
        assert int(browser.text('[data-fact="open"] .figure')) > 0
        browser.click("[data-chart=captured_not_credited_over_time] .numbers summary")
        browser.wait(lambda: "73.75" in browser.text("[data-chart=captured_not_credited_over_time] .numbers"))
        append_history(settings.output_dir, a_line(NOON.replace(hour=20), breaks=1234, units=5))
        browser.wait(lambda: browser.text('[data-fact="breaks"] .figure') == "1,234")
        assert browser.complaints() == []
        assert [url for url in browser.requests() if not url.startswith((served.url, "data:", "blob:"))] == []


def test_a_watch_that_no_longer_answers_is_told_of(browser: Browser, tmp_path: Path) -> None:
    (tmp_path / "recon.toml").write_text("[page]\nrefresh_s = 1\n", encoding="utf-8")
    with serve(load_settings(tmp_path / "recon.toml"), "0") as served:
        opened(browser, served.url)
    browser.wait(lambda: "does not answer" in browser.text("#stale"))


def test_on_a_phone_a_situation_is_a_card_and_one_round_is_a_point(browser: Browser, tmp_path: Path) -> None:
    settings = watched_world(tmp_path)
    browser.size(390, 844)
    try:
        with serve(settings, "0") as served:
            opened(browser, served.url)
            browser.wait(lambda: browser.run("return document.querySelectorAll('.canvas svg path').length") > 10)
            assert browser.run("return document.documentElement.scrollWidth") <= 390
            wide = "(n) => n.scrollWidth > n.clientWidth + 1"
            cells = "[...document.querySelectorAll('.list td, .list .scroll')]"
            assert browser.run(f"return {cells}.filter({wide}).map((n) => n.textContent)") == []
            cell = "document.querySelector('[data-list=situations] td')"
            assert browser.run(f"return getComputedStyle({cell}, '::before').content") == '"situation "'
            rows = "[...document.querySelectorAll('[data-list=situations] tbody tr')].map((n) => n.clientHeight)"
            assert max(browser.run(f"return {rows}")) < 320, "no column of one letter a line"
            drawn = "document.querySelectorAll('[data-chart=breaks_over_time] .canvas svg path')"
            is_dot = "(n) => n.getBoundingClientRect().width > 5 && n.getBoundingClientRect().width < 12"
            dots = f"return [...{drawn}].filter({is_dot}).length"
            alone = browser.run(dots)
            played_history(settings.output_dir, rounds=30)
            opened(browser, served.url)
            browser.wait(lambda: browser.run("return document.querySelectorAll('.canvas svg path').length") > 10)
            assert browser.run(dots) < alone, "a value of one round only is a dot, of many a line"
            assert browser.complaints() == []
    finally:
        browser.size(1280, 900)
