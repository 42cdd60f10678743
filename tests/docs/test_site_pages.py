"""The documentation site in a real Chromium, as axe finds it; `make docs` builds it first."""

import functools
import http.server
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Literal

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Browser, ViewportSize

pytestmark = [pytest.mark.slow, pytest.mark.integration, pytest.mark.timeout(300)]
SITE = Path(__file__).parents[2] / "site"
PAGES = ("index.html", "compare.html", "sweep.html", "reference/sweeps.html")
NOTEBOOKS = ("examples/first_sweep.html", "examples/own_data.html")


class Quiet(http.server.SimpleHTTPRequestHandler):
    """Serves the site without a line for every request."""

    def log_message(self, format: str, *args: Any) -> None:
        pass


@pytest.fixture(scope="module")
def address() -> Iterator[str]:
    if not (SITE / "index.html").is_file():
        pytest.skip("needs the built site (make docs)")
    handler = functools.partial(Quiet, directory=str(SITE))
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()


@pytest.mark.parametrize(("scheme", "width"), [("light", 1280), ("dark", 390)])
@pytest.mark.parametrize("path", [*PAGES, *NOTEBOOKS])
def test_a_page_can_be_read_by_anybody(
    path: str, scheme: Literal["light", "dark"], width: int, browser: Browser, address: str
) -> None:
    size: ViewportSize = {"width": width, "height": 900}
    with browser.new_context(color_scheme=scheme, viewport=size) as context:
        page = context.new_page()
        page.goto(f"{address}/{path}")
        shown = page.evaluate("document.body.dataset.mdColorScheme")
        assert shown == {"light": "default", "dark": "slate"}[scheme]
        # pandas gives no name to the column of row labels
        outputs = {"exclude": [[".dataframe"]]} if path in NOTEBOOKS else None
        found = Axe().run(page, context=outputs)
        assert found.violations_count == 0, found.generate_report()


@pytest.mark.parametrize("width", [390, 1440, 2560])
@pytest.mark.parametrize("path", [*PAGES, *NOTEBOOKS])
def test_no_page_scrolls_sideways(path: str, width: int, browser: Browser, address: str) -> None:
    with browser.new_context(viewport={"width": width, "height": 900}) as context:
        page = context.new_page()
        page.goto(f"{address}/{path}")
        assert page.evaluate("document.documentElement.scrollWidth") <= width
