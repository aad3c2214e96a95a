"""Many jobs of the table are mended at once: those that are selected, or all that match."""

import re
from collections.abc import Callable
from typing import Any

import pytest
from playwright.sync_api import BrowserContext, Locator, Page, Route, expect

from tests.browser.conftest import DESKTOP, Watch, open_live
from tests.browser.service import Service
from tests.browser.test_accessibility import LOOKS, PHONE, check
from tests.browser.test_roles import TOKENS, enter

Start = Callable[..., Service]
CALM = ("--stall-threshold", "60", "--workers", "1")  # a trouble would move what is pointed at
SIZES = pytest.mark.parametrize("options", [{"viewport": DESKTOP}, PHONE], ids=["desktop", "phone"])


def box(page: Page, job_id: str) -> Locator:
    """The checkbox of a job."""
    return page.get_by_role("checkbox", name=job_id[-12:])


def choose(page: Page, action: str, title: str) -> None:
    """Press a button of the line that acts, and say yes to a question with this title."""
    page.locator("#acting").get_by_role("button", name=action, exact=True).click()
    dialog = page.get_by_role("dialog", name=title)
    expect(dialog.get_by_role("button", name="Go back")).to_be_focused()
    dialog.get_by_role("button", name=title.rstrip("?")).click()


def statuses(service: Service, ids: list[str]) -> list[str]:
    """What has become of these jobs."""
    return [service.ask(f"/jobs/{job_id}?wait=10")["status"] for job_id in ids]


@SIZES
def test_selected_jobs_are_cancelled(
    new_context: Callable[..., BrowserContext], start: Start, options: dict[str, Any]
) -> None:
    """After a question that says how many; all others stay, and what has ended is passed over."""
    service = start(*CALM)
    ended = service.run("echo")
    first, second, third = (service.submit("echo", delay_seconds=3_600) for _ in range(3))
    page = open_live(new_context(**options).new_page(), service.url)
    for job_id in (ended, first, third):
        box(page, job_id).check()
    expect(page.locator("#selected")).to_have_text("3 selected")
    expect(page.get_by_role("button", name=re.compile("that match"))).to_be_hidden()
    choose(page, "Cancel", "Cancel 3 jobs?")
    expect(page.locator("#outcome")).to_contain_text("2 jobs are cancelled; 1 passed over.")
    expect(page.locator("#acting")).to_be_hidden()
    expect(box(page, first)).not_to_be_checked()
    expect(page.locator("#jobs tr", has=box(page, third))).to_contain_text("cancelled")
    assert [
        service.ask(f"/jobs/{job_id}")["status"] for job_id in (ended, first, second, third)
    ] == [*("completed", "cancelled", "pending", "cancelled")]
    page.get_by_role("button", name="Close").click()
    expect(page.locator("#outcome")).to_be_hidden()


@SIZES
def test_all_jobs_that_match_are_run_now(
    new_context: Callable[..., BrowserContext], start: Start, options: dict[str, Any]
) -> None:
    """Also those on other pages; those that do not match wait on."""
    service = start(*CALM)
    other = service.submit("echo", delay_seconds=3_600)
    jobs = [service.submit("count_words", {"text": "a b"}, delay_seconds=3_600) for _ in range(55)]
    page = new_context(**options).new_page()
    open_live(page, f"{service.url}/#/?type=count_words")
    page.get_by_role("checkbox", name="Select the jobs of this page").check()
    page.get_by_role("button", name="Select all 55 jobs that match").click()
    expect(page.locator("#selected")).to_have_text("All 55 jobs that match are selected")
    choose(page, "Run now", "Run 55 jobs now?")
    expect(page.locator("#outcome")).to_contain_text("55 jobs wait no longer for their time.")
    assert statuses(service, jobs) == ["completed"] * 55
    assert service.ask(f"/jobs/{other}")["status"] == "pending"
    expect(page.locator("#tab-completed")).to_have_text("completed 55")


def test_failed_jobs_are_run_again_once(page: Page, start: Start) -> None:
    """Those of the filter, as new jobs; who asks again is not given the same again."""
    service = start(*CALM)
    for _ in range(3):
        service.run("fail", max_retries=0, tags=["urgent"])
    service.run("fail", max_retries=0)
    service.run("echo", tags=["urgent"])
    open_live(page, f"{service.url}/#/?status=failed&tag=urgent")
    for failed, passed_over in ((3, ""), (6, "; 3 passed over")):
        expect(page.locator("#jobs tr")).to_have_count(failed)
        page.get_by_role("checkbox", name="Select the jobs of this page").check()
        choose(page, "Run again", f"Run {failed} jobs again?")
        outcome = f"3 jobs are run again, as new ones{passed_over}."
        expect(page.locator("#outcome")).to_contain_text(outcome)
    originals = [job["retry_of"] for job in service.ask("/jobs") if "retry_of" in job]
    assert len(originals) == len(set(originals)) == 6


def test_the_question_says_how_many_match_and_which(page: Page, start: Start) -> None:
    """It counts what no tab has counted. What can't be done to any of them is not offered."""
    service = start(*CALM)
    for number in range(90):
        service.submit("echo", delay_seconds=3_600, tags=["even" if number % 2 else "odd"])
    open_live(page, f"{service.url}/#/?status=pending&tag=even&since=3600")
    page.get_by_role("checkbox", name="Select the jobs of this page").check()
    page.get_by_role("button", name="Select all jobs that match").click()
    expect(page.locator("#selected")).to_have_text("All jobs that match are selected")
    expect(page.get_by_role("button", name="Run again")).to_be_disabled()
    page.locator("#acting").get_by_role("button", name="Cancel").click()
    dialog = page.get_by_role("dialog", name="Cancel 45 jobs?")
    words = "all pending jobs that match: tag even, created in the last hour"
    expect(dialog).to_contain_text(words)
    page.keyboard.press("Escape")
    expect(page.locator("#outcome")).to_be_hidden()
    assert service.ask("/queue")["pending"] == 90


def test_an_action_is_stopped_and_goes_on(page: Page, start: Start) -> None:
    """It says how far it is after each portion, and where it stopped."""
    service = start(*CALM)
    for _ in range(60):
        service.submit("echo", delay_seconds=3_600)
    held: list[Route] = []
    open_live(page, f"{service.url}/#/?type=echo")

    def in_portions(route: Route) -> None:
        url = re.sub("limit=[0-9]+", "limit=20", route.request.url)
        if "cursor" in url and not held:
            held.append(route)  # until somebody has read how far it is
        else:
            route.continue_(url=url)

    page.route("**/jobs/cancel?*", in_portions)
    page.get_by_role("checkbox", name="Select the jobs of this page").check()
    page.get_by_role("button", name="Select all 60 jobs that match").click()
    choose(page, "Cancel", "Cancel 60 jobs?")
    expect(page.locator("#working-far")).to_have_text("20 of 60 jobs")
    expect(page.get_by_role("progressbar", name="Cancelling")).to_have_attribute("value", "20")
    page.get_by_role("button", name="Stop").click()
    expect(page.locator("#working-what")).to_have_text("Stopping")
    held[0].continue_(url=re.sub("limit=[0-9]+", "limit=20", held[0].request.url))
    expect(page.locator("#outcome")).to_contain_text("Stopped. 40 jobs are cancelled.")
    assert service.ask("/queue")["pending"] == 20
    page.get_by_role("button", name="Go on").click()
    expect(page.locator("#outcome")).to_contain_text("60 jobs are cancelled.")
    expect(page.get_by_role("button", name="Go on")).to_be_hidden()
    assert service.ask("/queue")["pending"] == 0


def test_a_portion_that_does_not_work_is_told_and_may_be_tried_again(
    page: Page, start: Start, watch: Watch
) -> None:
    """With what was done by then."""
    watch.expected.append("503")
    service = start(*CALM)
    jobs = [service.submit("echo", delay_seconds=3_600) for _ in range(2)]
    open_live(page, service.url)
    for job_id in jobs:
        box(page, job_id).check()
    problem = {"type": "/problems/store-unavailable", "detail": "the disk is full"}
    failing = f"**/jobs/cancel?id={jobs[1]}*"
    page.route(failing, lambda route: route.fulfill(status=503, json=problem))
    choose(page, "Cancel", "Cancel 2 jobs?")
    expect(page.locator("#outcome")).to_contain_text("The service says: the disk is full. ")
    page.unroute(failing)
    page.get_by_role("button", name="Go on").click()
    expect(page.locator("#outcome")).to_contain_text("2 jobs are cancelled.")
    assert statuses(service, jobs) == ["cancelled"] * 2


def test_a_full_queue_is_waited_for(page: Page, start: Start) -> None:
    """The page says so, and goes on when there is room."""
    service = start(*CALM, "--queue-capacity", "4")
    for _ in range(6):
        service.run("fail", max_retries=0)
    service.ask("/queue/pause", method="POST")
    open_live(page, f"{service.url}/#/?status=failed")
    page.get_by_role("checkbox", name="Select the jobs of this page").check()
    choose(page, "Run again", "Run 6 jobs again?")
    expect(page.locator("#working-far")).to_contain_text("waiting for room in the queue")
    service.ask("/queue/resume", method="POST")
    expect(page.locator("#outcome")).to_contain_text("6 jobs are run again, as new ones.")


def test_what_is_selected_stays_so(page: Page, start: Start) -> None:
    """While jobs come in, and from page to page; another filter selects none."""
    service = start(*CALM)
    jobs = [service.submit("echo", delay_seconds=3_600) for _ in range(45)]
    open_live(page, service.url)
    box(page, jobs[-1]).check()
    page.mouse.move(1, 1)
    page.locator("body").focus()
    expect(page.locator("#jobs-held")).to_have_text("held while jobs are selected")
    later = service.submit("echo", delay_seconds=3_600)
    expect(page.locator("#tab-all")).to_have_text("all 46")
    expect(box(page, later)).to_have_count(0)
    page.get_by_role("button", name="Older").click()
    expect(page.locator("#page")).to_have_text("Page 2")
    box(page, jobs[0]).check()
    expect(page.locator("#selected")).to_have_text("2 selected")
    head = page.get_by_role("checkbox", name="Select the jobs of this page")
    expect(head).to_have_js_property("indeterminate", value=True)
    page.get_by_role("button", name="Newer").click()
    expect(box(page, jobs[-1])).to_be_checked()
    page.locator("#tab-pending").click()
    expect(page.locator("#acting")).to_be_hidden()
    expect(box(page, later)).to_be_visible()


def test_who_may_not_operate_has_nothing_to_select(
    new_context: Callable[..., BrowserContext], start: Start, watch: Watch
) -> None:
    """No checkbox, and so no action on many jobs."""
    watch.expected.append("401")
    service = start(*TOKENS)
    service.run("echo")
    for token, may in (("looks", False), ("acts", True)):
        page = new_context().new_page()
        enter(page, service.url, token)
        expect(page.locator("#jobs tr")).to_have_count(1)
        expect(page.get_by_role("checkbox").first).to_be_visible(visible=may)
        expect(page.get_by_role("checkbox")).to_have_count(2 if may else 0)


@pytest.mark.parametrize("look", LOOKS)
def test_the_line_that_acts_can_be_used_by_everybody(
    new_context: Callable[..., BrowserContext], start: Start, look: str
) -> None:
    """By keyboard alone; names, contrast and targets of each of its states."""
    service = start(*CALM)
    jobs = [service.submit("echo", delay_seconds=3_600) for _ in range(60)]
    page = open_live(new_context(**LOOKS[look]).new_page(), service.url)
    box(page, jobs[-1]).focus()
    page.keyboard.press("Space")
    expect(page.locator("#selected")).to_have_text("1 selected")
    check(page)
    page.get_by_role("checkbox", name="Select the jobs of this page").focus()
    page.keyboard.press("Space")
    page.get_by_role("button", name="Select all 60 jobs that match").press("Enter")
    expect(page.locator("#selected")).to_have_text("All 60 jobs that match are selected")
    check(page)
    page.route("**/jobs/cancel?*", lambda route: held.append(route))
    held: list[Route] = []
    page.locator("#acting").get_by_role("button", name="Cancel").press("Enter")
    expect(page.get_by_role("dialog", name="Cancel 60 jobs?")).to_be_visible()
    check(page)
    page.keyboard.press("Tab")
    page.keyboard.press("Enter")
    expect(page.get_by_role("button", name="Stop")).to_be_focused()
    check(page)
    held[0].continue_()
    expect(page.locator("#outcome")).to_contain_text("60 jobs are cancelled.")
    expect(page.get_by_role("button", name="Close")).to_be_focused()
    check(page)
