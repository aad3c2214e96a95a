"""If the service has tokens, the page asks for one, and keeps it for its tab."""

from collections.abc import Callable

from playwright.sync_api import BrowserContext, Page, expect

from tests.browser.conftest import Watch
from tests.browser.service import Service

WORD = "s3cret-t0ken"


def test_a_token_is_asked_for_and_kept_for_the_tab(
    new_context: Callable[..., BrowserContext], start: Callable[..., Service], watch: Watch
) -> None:
    """A wrong one is refused, the right one opens the page, for this tab and its reloads only."""
    watch.expected.append("401")
    service = start("--token", WORD)
    job_id = service.run("echo")
    context = new_context()
    page = context.new_page()
    page.goto(service.url)
    dialog = page.get_by_role("dialog", name="This service asks for a token")
    expect(dialog.get_by_label("Token")).to_be_focused()
    page.keyboard.press("Escape")
    expect(dialog).to_be_visible()
    assert page.locator("#jobs tr").count() == 0

    page.keyboard.type("another")
    page.keyboard.press("Enter")
    expect(page.get_by_role("alert")).to_have_text("This token was not accepted.")
    dialog.get_by_label("Token").fill(WORD)
    dialog.get_by_role("button").click()
    expect(dialog).to_be_hidden()
    expect(page.locator("#connection")).to_have_text("Live")
    expect(page.locator("#jobs a")).to_have_attribute("href", f"#/jobs/{job_id}")

    page.reload()
    expect(page.locator("#connection")).to_have_text("Live")
    expect(dialog).to_be_hidden()
    assert WORD not in page.url

    other: Page = context.new_page()
    other.goto(service.url)
    expect(other.get_by_role("dialog", name="This service asks for a token")).to_be_visible()
