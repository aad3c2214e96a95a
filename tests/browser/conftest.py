"""A real browser, Debian's Chromium, driven by Playwright; and the services that it looks at."""

import os
import re
import shutil
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from itertools import count
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import (
    Browser,
    BrowserContext,
    ConsoleMessage,
    Page,
    Request,
    expect,
    sync_playwright,
)

from tests.browser.service import Service, running
from tests.forking import Ancestor

PATIENCE_MILLISECONDS = 20_000
DESKTOP = {"width": 1360, "height": 900}


@pytest.hookimpl(tryfirst=True)  # before `-m` chooses
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """All that is looked at in a browser is slow, and in one process, with one browser."""
    for item in items:
        if item.path.parent == Path(__file__).parent:
            item.add_marker(pytest.mark.slow)
            item.add_marker(pytest.mark.xdist_group("browser"))


# One for the tests of this package only: while Playwright runs, so does an event loop of asyncio.
@pytest.fixture(scope="package")
def browser() -> Iterator[Browser]:
    """The browser; only on a developer's machine may it be missing."""
    path = shutil.which("chromium")
    if path is None:
        assert not os.environ.get("CI"), "chromium must be there, or nothing is said of the page"
        pytest.skip("chromium is not installed (apt-get install chromium fonts-liberation)")
    expect.set_options(timeout=PATIENCE_MILLISECONDS)
    with sync_playwright() as playwright:
        # It has no sandbox for root, and only ever sees pages of ours.
        chromium = playwright.chromium.launch(executable_path=path, args=["--no-sandbox"])
        yield chromium
        chromium.close()


@pytest.fixture(scope="package")
def service(ancestor: Ancestor, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    """One service for all tests that do not mind what others have left in it."""
    with running(ancestor, tmp_path_factory.mktemp("service") / "log") as shared:
        yield shared


@pytest.fixture
def start(ancestor: Ancestor, tmp_path: Path) -> Iterator[Callable[..., Service]]:
    """Starts services of a test's own."""
    numbers = count()
    with ExitStack() as stack:
        yield lambda *options, port=0: stack.enter_context(
            running(ancestor, tmp_path / f"{next(numbers)}.log", *options, port=port)
        )


class Watch:
    """What the browser complains of, and where it goes, while a test has pages open.

    `expected` are patterns of complaints that the test provokes.
    """

    def __init__(self) -> None:
        self.expected: list[str] = []
        self.requests: list[str] = []
        self._complaints: list[str] = []

    def follow(self, context: BrowserContext) -> None:
        """Listen to all pages of the context."""

        def hear(message: ConsoleMessage) -> None:
            if message.type in ("error", "warning"):
                self._complaints.append(message.text)

        context.on("console", hear)
        context.on("weberror", lambda error: self._complaints.append(str(error.error)))
        context.on("request", self._note)

    def _note(self, request: Request) -> None:
        self.requests.append(request.url)

    def check(self) -> None:
        """Nothing but what was expected was complained of, and nobody else was asked."""
        unexpected = [
            complaint
            for complaint in self._complaints
            if not any(re.search(pattern, complaint) for pattern in self.expected)
        ]
        assert unexpected == []
        assert [url for url in self.requests if not url.startswith("http://127.0.0.1:")] == []


@pytest.fixture
def watch() -> Iterator[Watch]:
    """Fails the test if the browser reports an error, of the page or of its policy."""
    watch = Watch()
    yield watch
    watch.check()


@pytest.fixture
def new_context(
    browser: Browser,
    watch: Watch,
    start: Callable[..., Service],  # so that pages are closed before their services end
) -> Iterator[Callable[..., BrowserContext]]:
    """Opens a browser as a user of its own would; options are Playwright's."""
    with ExitStack() as stack:

        def open_context(**options: Any) -> BrowserContext:
            context = browser.new_context(**{"viewport": DESKTOP, "timezone_id": "UTC", **options})
            stack.callback(context.close)
            context.set_default_timeout(PATIENCE_MILLISECONDS)
            watch.follow(context)
            return context

        yield open_context


@pytest.fixture
def page(new_context: Callable[..., BrowserContext]) -> Page:
    """An empty page on a desktop."""
    return new_context().new_page()


@pytest.fixture
def dashboard(page: Page, service: Service) -> Page:
    """The dashboard of the shared service, live."""
    return open_live(page, service.url)


def open_live(page: Page, url: str) -> Page:
    """Go there, and see that it is live."""
    page.goto(url)
    expect(page.locator("#connection")).to_have_text("Live")
    return page
