"""The page shows what its token may do, and whose it is."""

from collections.abc import Callable

import pytest
from playwright.sync_api import BrowserContext, Page, expect

from tests.browser.conftest import DESKTOP, Watch
from tests.browser.service import Service

PHONE = {"width": 375, "height": 720}
TOKENS = ("--token", "grafana read looks, alice operate acts")


def enter(page: Page, url: str, token: str) -> None:
    """Open this page with a token that its tab has not been asked for yet."""
    page.goto(url)
    page.get_by_label("Token", exact=True).fill(token)
    page.keyboard.press("Enter")
    expect(page.locator("#connection")).to_have_text("Live")


@pytest.mark.parametrize("viewport", [DESKTOP, PHONE], ids=["desktop", "phone"])
def test_who_may_only_read_sees_no_button_that_acts(
    new_context: Callable[..., BrowserContext],
    start: Callable[..., Service],
    watch: Watch,
    viewport: dict[str, int],
) -> None:
    """Who may operate has them; the page says whose token it is."""
    watch.expected.append("401")
    service = start(*TOKENS)
    waiting = service.submit("echo", delay_seconds=600)
    ended = service.run("echo")
    for token, may, name in (
        ("looks", False, "grafana, may read"),
        ("acts", True, "alice, may operate"),
    ):
        page = new_context(viewport=viewport).new_page()
        enter(page, service.url, token)
        expect(page.get_by_role("group", name="Your token")).to_have_text(name)
        expect(page.locator("#types tr")).not_to_have_count(0)
        expect(page.get_by_role("button", name="Pause the queue")).to_be_visible(visible=may)
        expect(page.get_by_role("button", name="Pause echo")).to_be_visible(visible=may)
        page.goto(f"{service.url}/#/jobs/{waiting}")
        expect(page.locator("#job-status")).to_have_text("pending")
        expect(page.get_by_role("button", name="Cancel the job")).to_be_visible(visible=may)
        page.goto(f"{service.url}/#/jobs/{ended}")
        expect(page.locator("#job-status")).to_have_text("completed")
        expect(page.get_by_role("button", name="Run it again")).to_be_visible(visible=may)
        assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")


def test_what_is_sensitive_is_shown_to_operators_only(
    new_context: Callable[..., BrowserContext], start: Callable[..., Service], watch: Watch
) -> None:
    """Others read why they do not see it."""
    watch.expected.append("401")
    service = start(*TOKENS)
    job_id = service.run("payroll", "tweety")
    for token, may in (("looks", False), ("acts", True)):
        page = new_context().new_page()
        enter(page, f"{service.url}/#/jobs/{job_id}", token)
        expect(page.locator("#job-status")).to_have_text("completed")
        for part in ("Payload", "Result"):
            panel = page.locator("section", has=page.get_by_role("heading", name=part, exact=True))
            told = '"tweety"' if may else "It is shown only to a token that may operate."
            expect(panel.get_by_text(told)).to_be_visible()
        assert ("tweety" in page.content()) == may


def test_who_needs_no_token_may_do_all(dashboard: Page) -> None:
    """And the page has nobody to name."""
    expect(dashboard.get_by_role("button", name="Pause the queue")).to_be_visible()
    expect(dashboard.locator("#caller")).to_be_hidden()


def test_what_happened_says_who_did_it(
    new_context: Callable[..., BrowserContext], start: Callable[..., Service], watch: Watch
) -> None:
    """By the name of the token."""
    watch.expected.append("401")
    service = start(*TOKENS)
    page = new_context().new_page()
    enter(page, service.url, "acts")
    service.ask("/queue/pause", method="POST")
    expect(page.locator("#notices")).to_contain_text("The queue was paused by alice")
