"""Behind a proxy that has the service at a path of its own, all works as at the root."""

from collections.abc import Callable

import pytest
from playwright.sync_api import BrowserContext, Page, expect

from tests.browser.conftest import Watch, open_live
from tests.browser.service import Service
from tests.browser.test_accessibility import PHONE, check
from tests.proxy import proxied

ROOT_PATH = "/team/jobs"


def test_the_dashboard_works_at_a_path(
    page: Page, start: Callable[..., Service], watch: Watch
) -> None:
    """It is live, turns pages, opens jobs and acts; nothing is asked for beside that path."""
    service = start("--root-path", ROOT_PATH)
    for _ in range(60):
        service.submit("echo", delay_seconds=600)
    job_id = service.run("echo", "hello")
    with proxied(ROOT_PATH, service.port) as url:
        open_live(page, f"{url}/")
        first = page.locator("#jobs a").first
        expect(first).to_have_attribute("href", f"#/jobs/{job_id}")
        page.get_by_role("button", name="Older").click()
        expect(first).not_to_have_attribute("href", f"#/jobs/{job_id}")
        page.get_by_role("button", name="Newest").click()
        expect(first).to_have_attribute("href", f"#/jobs/{job_id}")
        first.click()
        expect(page.locator("#job-title")).to_have_text("echo")
        page.get_by_role("button", name="Run it again").click()
        page.get_by_role("dialog").get_by_role("button", name="Run it again").click()
        expect(page.locator("#facts")).to_contain_text(job_id)
        page.goto("about:blank")  # or its stream would end with the proxy
        assert watch.requests
        assert all(asked.startswith((url, "about:")) for asked in watch.requests)


@pytest.mark.parametrize("root_path", ["", ROOT_PATH])
def test_the_description_of_the_api_can_be_read_with_a_token(
    new_context: Callable[..., BrowserContext],
    start: Callable[..., Service],
    watch: Watch,
    root_path: str,
) -> None:
    """The page asks for it, unless the tab has one already, and saves the document with it."""
    watch.expected.append("401")
    options = ("--root-path", root_path) if root_path else ()
    service = start("--token", "me read w0rd", *options)
    page = new_context(**(PHONE if root_path else {})).new_page()
    with proxied(ROOT_PATH, service.port) as proxy_url:
        url = proxy_url if root_path else service.url
        page.goto(f"{url}/docs")
        expect(page.get_by_role("dialog")).to_be_visible()
        check(page)
        page.get_by_label("Token", exact=True).fill("another")
        page.keyboard.press("Enter")
        expect(page.locator("#token-wrong")).to_have_text("This token was not accepted.")
        page.get_by_label("Token", exact=True).fill("w0rd")
        page.keyboard.press("Enter")
        expect(page.get_by_role("heading", name="Job types")).to_be_visible()
        assert page.evaluate("document.querySelector('style').sheet !== null"), "it is blocked"
        page.goto(f"{url}/docs#job-types")
        page.reload()
        expect(page.get_by_role("heading", name="Job types")).to_be_in_viewport()
        with page.expect_download() as download:
            page.get_by_role("link", name="openapi.json", exact=True).click()
        assert download.value.suggested_filename == "openapi.json"
        page.goto("about:blank")
