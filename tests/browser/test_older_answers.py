"""What was read before an action is never shown after it."""

from collections.abc import Callable
from dataclasses import dataclass, field

import pytest
from playwright.sync_api import APIResponse, Page, Route, expect

from tests.browser.conftest import open_live
from tests.browser.service import Service

CALM = ("--stall-threshold", "60")  # a trouble would move what is pointed at


@dataclass
class Delayed:
    """The first answer to a GET from now on: it is as old as this, however late it arrives."""

    page: Page
    url: str
    _held: list[tuple[Route, APIResponse]] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.page.route(self.url, self._hold)

    def _hold(self, route: Route) -> None:
        if self._held or route.request.method != "GET":
            route.continue_()
        else:
            self._held.append((route, route.fetch()))

    def await_it(self) -> None:
        """Wait until the service has answered."""
        while not self._held:
            self.page.wait_for_timeout(20)

    def arrive(self) -> None:
        """Let the page have it, and the time to show it."""
        route, answer = self._held[0]
        route.fulfill(response=answer)
        self.page.evaluate("fetch('health')")


@pytest.mark.parametrize(
    ("url", "button", "place", "words"),
    [
        ("**/schedules", "#schedules button[aria-label='Pause yearly']", "#schedules", "since"),
        ("**/nodes", "#schedules button[aria-label='Pause yearly']", "#schedules", "since"),
        ("**/overview", "#pause", "#paused", "The queue is paused"),
        ("**/overview", "#types button[aria-label='Pause echo']", "#paused", "echo is paused"),
    ],
)
def test_a_pause_is_not_taken_back_by_an_older_answer(
    page: Page, start: Callable[..., Service], url: str, button: str, place: str, words: str
) -> None:
    """It is shown at once, though that answer is still on its way, and stays when it arrives."""
    service = start(*CALM)
    open_live(page, service.url)
    expect(page.locator(button)).to_be_visible()
    older = Delayed(page, url)
    older.await_it()
    page.locator(button).click()
    page.get_by_role("dialog").get_by_role("button", name="Pause").click()
    expect(page.locator(place)).to_contain_text(words)
    older.arrive()
    assert words in page.locator(place).inner_text()


def test_cancelled_jobs_are_seen_before_an_older_answer(
    page: Page, start: Callable[..., Service]
) -> None:
    """The table does not wait for it."""
    service = start(*CALM)
    job_id = service.submit("echo", delay_seconds=3_600)
    open_live(page, service.url)
    row = page.locator("#jobs tr", has=page.locator(f"a[href='#/jobs/{job_id}']"))
    expect(row).to_be_visible()
    older = Delayed(page, "**/jobs?*")
    service.run("echo")
    older.await_it()
    row.get_by_role("checkbox").check()
    page.locator("#acting").get_by_role("button", name="Cancel").click()
    page.get_by_role("dialog").get_by_role("button", name="Cancel 1 job").click()
    expect(page.locator("#outcome")).to_contain_text("1 job is cancelled.")
    expect(row).to_contain_text("cancelled")
    older.arrive()
    assert "cancelled" in row.inner_text()


def test_a_cancelled_job_is_seen_before_an_older_answer(
    page: Page, start: Callable[..., Service]
) -> None:
    """Nor does its page."""
    service = start(*CALM)
    job_id = service.submit("echo", delay_seconds=3_600)
    page.goto(f"{service.url}/#/jobs/{job_id}")
    expect(page.locator("#job-status")).to_have_text("pending")
    older = Delayed(page, f"**/jobs/{job_id}")
    older.await_it()
    page.locator("#cancel").click()
    page.get_by_role("dialog").get_by_role("button", name="Cancel the job").click()
    expect(page.locator("#job-status")).to_have_text("cancelled")
    older.arrive()
    assert page.locator("#job-status").inner_text() == "cancelled"
