"""The schedules on the dashboard: when they run next, and what is done to them."""

import re
from collections.abc import Callable

import pytest
from playwright.sync_api import BrowserContext, Locator, Page, expect

from tests.browser.conftest import Watch
from tests.browser.service import Service
from tests.browser.test_accessibility import LOOKS, check


def the_panel(page: Page) -> Locator:
    """That of the schedules."""
    return page.get_by_role("region", name="Schedules")


def answer(page: Page, button: str) -> None:
    """Say yes to the question."""
    page.get_by_role("dialog").get_by_role("button", name=button).click()


def test_schedules_are_there_where_there_are_any(dashboard: Page) -> None:
    """Each with its next run, and if somebody asks, with its next ticks, all with their zone."""
    panel = the_panel(dashboard)
    expect(panel.get_by_role("listitem").first).to_contain_text(
        re.compile(r"next \w+, 1 Jan 2\d+ 03:00:00 UTC")
    )
    expect(panel.get_by_role("listitem").first).to_contain_text("yearly")
    ticks = panel.locator("details li")
    expect(ticks.first).to_be_hidden()
    panel.get_by_text("Next ticks").click()
    expect(ticks).to_have_count(5)
    expect(ticks.last).to_have_text(re.compile(r"\w+, 1 Jan 2\d+ 03:00:00 UTC"))


@pytest.mark.parametrize("look", LOOKS)
def test_a_schedule_is_run_paused_and_resumed(
    new_context: Callable[..., BrowserContext],
    start: Callable[..., Service],
    watch: Watch,
    look: str,
) -> None:
    """Each button asks first; what became of it is said, and stands in the panel."""
    watch.expected.append("401")
    service = start("--token", "alice operate acts")
    page = new_context(**LOOKS[look]).new_page()
    page.goto(service.url)
    page.get_by_label("Token", exact=True).fill("acts")
    page.keyboard.press("Enter")
    panel = the_panel(page)
    panel.get_by_role("button", name="Pause yearly").click()
    answer(page, "Pause")
    expect(page.locator("#said")).to_have_text("The schedule yearly is paused.")
    expect(panel).to_contain_text(re.compile(r"paused since [\d:]+ UTC by alice"))

    panel.get_by_role("button", name="Run yearly now").click()
    answer(page, "Run now")
    expect(page.locator("#said")).to_contain_text("of yearly was made.")
    (job,) = service.ask("/jobs?type=yearly")
    panel.get_by_text("Ticks it passes over").click()
    check(page)
    panel.get_by_role("link", name=re.compile(r"last [\d:]+ UTC")).click()
    expect(page.locator("#job-id")).to_have_text(job["id"])
    page.go_back()

    panel.get_by_role("button", name="Resume yearly").click()
    answer(page, "Resume")
    expect(panel).to_contain_text("next ")
    expect(page.locator("#notices")).to_contain_text("The schedule yearly was resumed by alice")


def test_who_may_only_read_sees_the_schedules(
    new_context: Callable[..., BrowserContext], start: Callable[..., Service], watch: Watch
) -> None:
    """And no button."""
    watch.expected.append("401")
    service = start("--token", "grafana read looks, alice operate acts")
    page = new_context().new_page()
    page.goto(service.url)
    page.get_by_label("Token", exact=True).fill("looks")
    page.keyboard.press("Enter")
    panel = the_panel(page)
    expect(panel.get_by_text("yearly")).to_be_visible()
    expect(panel.get_by_role("button", name="Pause yearly")).to_be_hidden()
    expect(panel.get_by_role("button", name="Run yearly now")).to_be_hidden()
