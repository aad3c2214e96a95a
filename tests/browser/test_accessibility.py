"""Whoever can't see the page, or has no mouse, or a phone only, can use it as well."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import BrowserContext, Page, expect

from tests.browser.conftest import open_live
from tests.browser.service import Service

CHECKS = Path(__file__).with_name("accessibility.js").read_text()
PHONE = {"viewport": {"width": 390, "height": 844}, "has_touch": True, "is_mobile": True}
LOOKS: dict[str, dict[str, Any]] = {
    "light": {"color_scheme": "light"},
    "dark": {"color_scheme": "dark"},
    "phone": PHONE,
}
NAMED = {
    *("button", "link", "textbox", "searchbox", "combobox", "checkbox", "progressbar", "meter"),
    *("img", "image", "dialog", "table", "region", "navigation", "search", "heading"),
}


def unnamed(page: Page) -> list[str]:
    """What a screen reader would have to read out without a name."""
    tree = page.context.new_cdp_session(page).send("Accessibility.getFullAXTree")
    return [
        f"{node['role']['value']}: {node}"
        for node in tree["nodes"]
        if not node.get("ignored")
        and node["role"]["value"] in NAMED
        and not node.get("name", {}).get("value")
    ]


def check(page: Page) -> None:
    """Nothing is wrong with the page as it stands."""
    assert page.evaluate(CHECKS) == []
    assert unnamed(page) == []
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth"), "it is too wide"


@pytest.mark.parametrize("look", LOOKS)
def test_every_view_can_be_read_by_everybody(
    new_context: Callable[..., BrowserContext], service: Service, look: str
) -> None:
    """Names, labels, landmarks, headings, contrast, targets and width: of all that there is."""
    failed = service.run(
        "flaky", {"failures": 1}, max_retries=0, unique_key="k" * 200, tags=["t" * 64, "urgent"]
    )
    running = service.submit("import")
    service.run("blocking", 0.6)
    page = open_live(new_context(**LOOKS[look]).new_page(), service.url)
    expect(page.locator("#jobs tr").first).to_be_visible()
    expect(page.locator("#types tr").first).to_be_visible()
    page.get_by_text("Several statuses and types").click()
    expect(page.get_by_role("checkbox", name="cancelled", exact=True)).to_be_visible()
    page.goto(f"{service.url}/#/?tag={'t' * 64}&error=attempt&since=3600")
    expect(page.locator("#marks li")).to_have_count(2)
    expect(page.locator("#jobs tr").first).to_contain_text("failed")
    check(page)
    page.goto(f"{service.url}/#/")
    service.run("fail", max_retries=0)
    expect(page.locator("#notices li").first).to_be_visible()
    check(page)
    page.get_by_role("button", name="Pause the queue").click()
    expect(page.get_by_role("dialog")).to_be_visible()
    check(page)
    for job_id in (failed, running):
        page.goto(f"{service.url}/#/jobs/{job_id}")
        page.reload()
        expect(page.locator("#job-body")).to_be_visible()
        check(page)
    service.ask(f"/jobs/{running}/cancel", method="POST")


def test_where_the_focus_is_can_be_seen(dashboard: Page, service: Service) -> None:
    """Tab reaches every control, from the first to the last, each with an outline."""
    service.run("echo")
    expect(dashboard.locator("#jobs tr").first).to_be_visible()
    expect(dashboard.locator("#types tr").first).to_be_visible()
    reached: set[str] = set()
    dashboard.keyboard.press("Tab")
    expect(dashboard.get_by_role("link", name="Skip to the content")).to_be_focused()
    for _ in range(100):
        focus = dashboard.evaluate(
            """() => {
                const element = document.activeElement;
                const style = getComputedStyle(element);
                return {
                    what: element.id || element.getAttribute("aria-label") || element.tagName,
                    outlined: style.outlineStyle !== "none" && parseFloat(style.outlineWidth) >= 2,
                };
            }"""
        )
        if focus["what"] == "BODY":
            break
        assert focus["outlined"], focus
        reached.add(focus["what"])
        dashboard.keyboard.press("Tab")
    assert reached >= {
        "skip",
        "pause",
        "tab-failed",
        "filter-type",
        "filter-since",
        "find-by",
        "find-text",
        "Pause echo",
    }


def test_the_content_is_one_step_away(dashboard: Page) -> None:
    """Who skips the head of the page goes on in its content, at the same address."""
    address = dashboard.url
    dashboard.keyboard.press("Tab")
    dashboard.keyboard.press("Enter")
    expect(dashboard.locator("main")).to_be_focused()
    assert dashboard.url == address


def test_a_change_of_connection_is_read_out(dashboard: Page) -> None:
    """Its state, and what came of an action, are live regions; numbers that tick are not."""
    for part in ("#connection", "#said"):
        expect(dashboard.locator(part)).to_have_role("status")
    live = dashboard.locator("main [aria-live], main [role=status]")
    expect(live).to_have_count(1)
    expect(live).to_have_accessible_name("What became of the selected jobs")
