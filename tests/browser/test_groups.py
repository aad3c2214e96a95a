"""A group on the dashboard: its progress above its jobs, and what is done to it as one."""

from playwright.sync_api import Page, expect

from tests.browser.service import Service

LATER = {"type": "echo", "payload": 1, "delay_seconds": 600}


def test_a_group_is_followed_cancelled_and_repeated(page: Page, service: Service) -> None:
    """From the page of one of its jobs, which leads to the group."""
    jobs = [{"type": "echo", "payload": 1}, LATER, LATER]
    group = service.ask("/groups", {"jobs": jobs, "on_failure": {"type": "echo"}})
    first = service.ask(f"/jobs?group={group['id']}")[0]["id"]
    service.ask(f"/jobs/{first}?wait=10")
    page.goto(f"{service.url}/#/jobs/{first}")
    page.locator("#facts").get_by_role("link", name=group["id"]).click()
    expect(page.locator("#group-status")).to_have_text("running")
    expect(page.locator("#group-counts")).to_have_text("33 % of 3 jobs: 2 pending, 1 completed")
    expect(page.locator("#jobs tr")).to_have_count(3)

    page.get_by_role("button", name="Cancel the group").click()
    page.get_by_role("dialog").get_by_role("button", name="Cancel the group").click()
    expect(page.locator("#group-status")).to_have_text("cancelled")
    expect(page.locator("#said")).to_have_text("2 jobs cancelled, 0 being interrupted.")

    page.get_by_role("button", name="Run the rest again").click()
    page.get_by_role("dialog").get_by_role("button", name="Run the rest again").click()
    expect(page.locator("#group-counts")).to_have_text("100 % of 2 jobs: 2 completed")

    page.go_back()
    page.get_by_role("link", name="the job that followed").click()
    expect(page.locator("#facts")).to_contain_text("Follows group")
    page.goto(f"{service.url}/#/")
    expect(page.locator("#group")).to_be_hidden()
