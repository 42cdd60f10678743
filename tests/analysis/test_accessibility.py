"""The report in a real Chromium: contrast, headings, keyboard and widths, as axe finds them."""

import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, Literal

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Browser, Page

from analysis.report import main

pytestmark = [pytest.mark.slow, pytest.mark.integration, pytest.mark.timeout(120)]


@pytest.fixture(scope="module")
def report(make_store: Callable[[], Any], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A report with all its tables and figures."""
    filled = make_store()
    for name, score in (("mlp", 0.80), ("cnn", 0.95), ("cnn_ws", 0.951)):
        for step in range(3):
            scores = tuple(score - 0.01 * step + 0.002 * fold for fold in range(5))
            filled.add(f"b/{name}", scores, folds=5)
    file = tmp_path_factory.mktemp("report") / "report.html"
    with pytest.MonkeyPatch.context() as patch:
        uri = ("--tracking-uri", filled.uri)
        patch.setattr(
            sys, "argv", ["report.py", "--out", str(file), "--sweep", "b", "--local", *uri]
        )
        assert main() == 0
    return file


@pytest.fixture
def page(report: Path, browser: Browser) -> Iterator[Page]:
    with browser.new_context() as context:
        page = context.new_page()
        page.goto(report.as_uri())
        yield page


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_a_report_can_be_read_by_anybody(scheme: Literal["light", "dark"], page: Page) -> None:
    page.emulate_media(color_scheme=scheme)
    found = Axe().run(page)
    assert found.violations_count == 0, found.generate_report()
    assert {"color-contrast", "heading-order", "image-alt", "scrollable-region-focusable"} <= {
        rule["id"] for rule in found.response["passes"] + found.response["inapplicable"]
    }


def test_a_dark_report_is_dark_and_a_printed_one_is_light(page: Page) -> None:
    shown = "getComputedStyle(document.body).backgroundColor"
    page.emulate_media(color_scheme="dark", media="screen")
    assert page.evaluate(shown) == "rgb(20, 24, 29)"
    page.emulate_media(color_scheme="dark", media="print")
    assert page.evaluate(shown) == "rgb(255, 255, 255)"


@pytest.mark.parametrize("width", [390, 1440, 2560])
def test_only_wide_tables_scroll_sideways(width: int, page: Page) -> None:
    page.set_viewport_size({"width": width, "height": 900})
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    tables = page.locator(".wide").all()
    assert len(tables) >= 3
    for table in tables:
        table.focus()
        assert table.evaluate("table => document.activeElement === table")


def test_a_printed_report_is_whole(page: Page) -> None:
    page.set_viewport_size({"width": 680, "height": 1000})  # A4 or Letter without the margins
    page.emulate_media(media="print")
    for part in (page.locator("html"), *page.locator(".wide").all()):
        assert part.evaluate("part => part.scrollWidth <= part.clientWidth"), part
    sources = page.locator("dl").all()
    assert len(sources) > 1
    assert all(source.is_visible() for source in sources)
