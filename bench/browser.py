"""The dashboard in a real browser, to be measured or photographed."""

import json
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any
from urllib.request import Request, urlopen

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Page


@contextmanager
def chromium() -> Iterator["Browser"]:
    """Debian's Chromium."""
    from playwright.sync_api import sync_playwright  # other benchmarks don't need it

    path = shutil.which("chromium")
    assert path is not None, "chromium is not installed (apt-get install chromium)"
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=path, args=["--no-sandbox"])
        yield browser
        browser.close()


def opened(browser: "Browser", url: str, **options: Any) -> "Page":
    """A page with the dashboard, when it is live."""
    page = browser.new_page(**options)
    page.goto(url)
    page.get_by_text("Live", exact=True).wait_for()
    return page


def post(url: str, body: str, content_type: str) -> Any:
    """The JSON that the service answers with."""
    request = Request(url, body.encode(), {"Content-Type": content_type})  # noqa: S310  # loopback
    with urlopen(request) as answer:  # noqa: S310
        return json.load(answer)
