"""Who opens the page in the middle of an incident sees it, from its beginning, and first of all."""

import re
from collections.abc import Callable
from typing import Any
from urllib.error import HTTPError

import pytest
from playwright.sync_api import BrowserContext, Page, ViewportSize, expect

from tests.browser.conftest import DESKTOP, Watch, open_live
from tests.browser.service import Service

Start = Callable[..., Service]
PHONE: ViewportSize = {"width": 390, "height": 844}
BASE = "120.0"  # of a chart, where 0 is drawn


def let_it_go_wrong(service: Service) -> None:
    """It fails jobs, it stalls, its queue is paused until it is full, and submissions are lost."""
    for _ in range(8):
        service.run("fail", max_retries=0)
    service.run("blocking", 0.6)
    service.ask("/queue/pause?type=echo", method="POST")
    for _ in range(5):
        service.submit("echo")
    for _ in range(3):
        with pytest.raises(HTTPError):
            service.submit("echo")


def test_an_incident_is_seen_that_began_before_the_page_was_opened(
    page: Page, start: Start
) -> None:
    """In the charts, among what happened, and above all else; and so it is after a reload."""
    service = start("--queue-capacity", "5")
    let_it_go_wrong(service)
    open_live(page, service.url)
    for _ in range(2):
        troubles = page.locator("#troubles li")
        expect(troubles.first).to_have_text(
            re.compile("3 submissions turned away.*The queue is full")
        )
        expect(troubles.filter(has_text="of attempts fail")).to_have_attribute(
            "data-level", "error"
        )
        expect(troubles.filter(has_text="The event loop stalled")).to_be_visible()
        notices = page.locator("#notices")
        expect(notices).to_contain_text("The queue is full with 5 jobs")
        expect(notices).to_contain_text("8 times since")
        expect(notices).to_contain_text("echo was paused")
        first, second = (page.locator(where).bounding_box() for where in ("#troubles", "#figures"))
        assert first is not None
        assert second is not None
        assert first["y"] < second["y"]
        line = page.locator("figure", has_text="Jobs per second").locator("path.failed.line")
        points = line.get_attribute("d") or ""
        assert set(re.findall(r" ([\d.]+)", points)) - {BASE}, "no failure is drawn"
        page.reload()


@pytest.mark.parametrize("viewport", [DESKTOP, PHONE], ids=["desktop", "phone"])
def test_what_is_wrong_leads_to_its_jobs(
    new_context: Callable[..., BrowserContext], start: Start, viewport: ViewportSize
) -> None:
    """They are listed and seen at once, on a phone, too, where the list is far below."""
    service = start("--queue-capacity", "5")
    let_it_go_wrong(service)
    page = open_live(new_context(viewport=viewport).new_page(), service.url)
    fails = page.locator("#troubles li", has_text="of attempts fail")
    fails.get_by_role("link", name="Show the jobs").click()
    expect(page.locator("#jobs .status")).to_have_text(["failed"] * 8)
    expect(page.locator("#jobs tr").first).to_be_in_viewport()
    expect(page.locator("#jobs-title")).to_be_in_viewport()
    full = page.locator("#troubles li", has_text="turned away")
    full.get_by_role("link", name="Show the jobs").click()
    expect(page.locator("#jobs .status")).to_have_text(["pending"] * 5)


def test_on_a_phone_what_happened_comes_before_the_jobs(
    new_context: Callable[..., BrowserContext], service: Service
) -> None:
    """It is short and says what is wrong, and the list is long."""
    page = open_live(new_context(viewport=PHONE).new_page(), service.url)
    happened, jobs = (page.locator(part).bounding_box() for part in (".happened", "#jobs-panel"))
    assert happened is not None
    assert jobs is not None
    assert happened["y"] < jobs["y"]


def test_all_is_well_if_nothing_is_said(page: Page, start: Start) -> None:
    """A service that does its work shows no trouble."""
    service = start("--stall-threshold", "60")
    for _ in range(10):
        service.run("echo")
    open_live(page, service.url)
    expect(page.locator("#jobs_completed")).to_have_text("10")
    expect(page.locator("#troubles-panel")).to_be_hidden()
    expect(page.locator("#notices-empty")).to_be_visible()


def overview(service: Service, metrics: Any = None, queue: Any = None) -> Any:
    """What the service tells, but for these numbers."""
    told = service.ask("/overview")
    return {
        **told,
        "metrics": {**told["metrics"], **(metrics or {})},
        "queue": {**told["queue"], **(queue or {})},
    }


def test_a_worker_without_work_beside_a_ready_job_is_told(page: Page, start: Start) -> None:
    """If no pause and no limit explains it; and so are threads that were let go."""
    service = start("--stall-threshold", "60")  # a busy machine may stall it
    open_live(page, service.url)
    waits = {"type": "echo", "pending": 2, "ready": 2, "processing": 0}
    queue = {"ready": 2, "pending": 2, "types": [{**waits, "oldest_ready_seconds": 12.0}]}
    told = overview(service, {"threads_abandoned": 3}, queue)
    page.route("**/overview", lambda route: route.fulfill(json=told))
    troubles = page.locator("#troubles li")
    expect(troubles.first).to_contain_text("10 workers without workwhile echo is ready, for 12.0 s")
    expect(troubles.nth(1)).to_contain_text("3 threads let go")
    expect(page.locator("#types tr", has_text="echo")).to_contain_text("oldest 12.0 s, none starts")
    told["queue"]["types"][0]["oldest_ready_seconds"] = 2.0
    expect(troubles).to_have_count(1)


def test_the_numbers_of_the_page_are_of_one_moment(page: Page, start: Start) -> None:
    """What waits and what runs is the same everywhere on the page."""
    service = start("--workers", "2")
    open_live(page, service.url)
    for _ in range(5):
        service.submit("sleep", {"seconds": 600})
    expect(page.locator("#jobs_in_progress")).to_have_text("2")
    expect(page.locator("#pending")).to_have_text("3")
    expect(page.locator("#busy-text")).to_have_text("2 of 2")
    expect(page.locator("#held")).to_have_text("5 unfinished jobs")
    expect(page.locator("#tab-pending")).to_have_text("pending 3")
    expect(page.locator("#tab-processing")).to_have_text("processing 2")
    cells = page.locator("#types tr", has_text="sleep").locator("td")
    expect(cells.nth(0)).to_have_text("3")
    expect(cells.nth(1)).to_have_text("2")
    legend = page.locator("figure", has_text="Pending and in progress").locator(".legend")
    expect(legend).to_have_text("Pending 3In progress 2")


def test_a_dead_service_is_one_banner(page: Page, start: Start, watch: Watch) -> None:
    """It says since when, and of what time the numbers are. It goes when the service is back."""
    watch.expected.append("ERR_CONNECTION_(REFUSED|RESET)|ERR_INCOMPLETE_CHUNKED_ENCODING")
    service = start("--queue-capacity", "5")
    let_it_go_wrong(service)
    open_live(page, service.url)
    expect(page.locator("#paused")).to_be_visible()
    expect(page.locator("#troubles-panel")).to_be_visible()
    service.end()
    expect(page.locator("#lost")).to_have_text(
        re.compile(
            r"The service has not answered since (\d\d:\d\d:\d\d)\. "
            r"All that you see is of that time, \1\."
        )
    )
    expect(page.locator(".banner:visible")).to_have_count(1)
    expect(page.locator("#troubles-panel")).to_be_hidden()
    expect(page.locator("#pending")).to_have_text("5")
    start("--stall-threshold", "60", port=service.port)  # a busy machine may stall it
    expect(page.locator(".banner:visible")).to_have_count(0)
    expect(page.locator("#pending")).to_have_text("0")
    expect(page.locator("#notices-empty")).to_be_visible()


def test_the_last_hour_can_be_seen(dashboard: Page, service: Service) -> None:
    """At a click, and the minutes again at another."""
    service.run("echo")
    for button, earliest in (("Hour", "60 min ago"), ("Minutes", re.compile("[1-5] min ago"))):
        dashboard.get_by_role("button", name=button, exact=True).click()
        expect(dashboard.locator(".earliest").first).to_have_text(earliest)
        expect(dashboard.locator("[aria-pressed=true]")).to_have_text(button)
