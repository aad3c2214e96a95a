"""What the dashboard says of the store: which it is, what it holds, and that it is in trouble."""

import json
from collections.abc import Callable
from typing import Any

from playwright.sync_api import Page, Route, expect

from tests.browser.conftest import Watch, open_live
from tests.browser.service import Service

UNAVAILABLE = {
    "type": "/problems/store-unavailable",
    "title": "Store unavailable",
    "status": 503,
    "detail": "the store can't keep anything now",
}


def answer(page: Page, path: str, body: Any) -> None:
    """Let the service seem to answer this to a read of the path."""
    page.route(f"**{path}", lambda route: route.fulfill(json=body))


def fail(route: Route) -> None:
    """The answer of a service whose store fails."""
    route.fulfill(status=503, content_type="application/problem+json", body=json.dumps(UNAVAILABLE))


def test_the_header_says_where_jobs_are_kept_and_how_many(page: Page, service: Service) -> None:
    """With the path of the file, and with what has ended if the store counts it."""
    open_live(page, service.url)
    expect(page.get_by_label("Store")).to_contain_text("memory")

    held = {"store": "sqlite:/srv/jobs.db", "pending": 1_200, "processing": 34, "finished": 56_789}
    overview = service.ask("/overview")
    answer(page, "/overview", overview | {"queue": overview["queue"] | held})
    expect(page.locator("#store")).to_have_text("sqlite:/srv/jobs.db")
    expect(page.locator("#held")).to_have_text("1,234 unfinished, 56,789 finished jobs")


def test_jobs_that_no_handler_fits_are_told_apart(page: Page, service: Service) -> None:
    """They are not ready. If there are none, as nearly always, nothing is said of them."""
    open_live(page, service.url)
    expect(page.locator("#pending-why")).to_have_text("0 ready, 0 later, 0 blocked")
    overview = service.ask("/overview")
    numbers = {"pending": 1_002, "ready": 2, "unfit": 1_000}
    answer(page, "/overview", overview | {"queue": overview["queue"] | numbers})
    expect(page.locator("#pending-why")).to_have_text(
        "2 ready, 0 later, 0 blocked, 1,000 without a handler that fits"
    )


def test_jobs_without_a_handler_are_counted_with_all_others(page: Page, service: Service) -> None:
    """Another program has submitted them: tabs, types and the filter have them, too."""
    open_live(page, service.url)
    told = service.ask("/overview")
    jobs = told["jobs"] | {"pending": told["jobs"]["pending"] + 3}
    stranger = {"type": "unknown", "pending": 3, "ready": 0, "processing": 0}
    queue = told["queue"] | {"types": [*told["queue"]["types"], stranger]}
    gone = dict.fromkeys(told["jobs"], 0) | {"type": "unknown", "paused": False, "pending": 3}
    types = [*told["types"], gone]
    answer(page, "/overview", told | {"jobs": jobs, "queue": queue, "types": types})
    expect(page.locator("#tab-pending")).to_have_text(f"pending {jobs['pending']}")
    expect(page.locator("#tab-all")).to_have_text(f"all {sum(jobs.values()):,}")
    row = page.locator("#types tr", has_text="unknown")
    expect(row).to_contain_text("no handler here")
    expect(row.locator("td").first).to_have_text("3")
    expect(row.get_by_role("button")).to_have_text("Pause")
    expect(page.locator("#filter-type option", has_text="unknown")).to_have_count(1)


def test_the_processes_that_share_a_store_are_listed(page: Page, service: Service) -> None:
    """Which one answers, what each does, and whose lease is over, and which numbers are its own.

    Of a store that can't be shared, nothing is said.
    """
    open_live(page, service.url)
    expect(page.locator("#types tr").first).to_be_visible()
    expect(page.locator("#nodes-panel")).to_be_hidden()
    expect(page.locator("#scope")).to_be_hidden()
    node = {
        "node": "5c3a9f0e",
        "host": "web-1",
        "pid": 17,
        "version": "0.1.0",
        "started_at": "2026-11-28T10:00:00Z",
        "lease_seconds": 12.5,
        "job_types": ["echo"],
        "processing": 3,
        "waiting": 2,
        "is_asked": True,
    }
    dead = node | {"host": "web-2", "lease_seconds": -3.0, "is_asked": False}
    answer(page, "/nodes", [node, dead])
    page.reload()
    expect(page.locator("#scope")).to_contain_text("of this process (web-1 17, one of 2)")
    rows = page.locator("#nodes tr")
    expect(rows).to_have_count(2)
    expect(rows.nth(0)).to_contain_text("web-1 17 (this one)")
    expect(rows.nth(0)).to_contain_text("12.5 s")
    expect(rows.nth(1).locator(".bad")).to_have_text("over")


def test_a_store_that_fails_is_seen_and_so_is_its_recovery(
    page: Page, start: Callable[..., Service], watch: Watch
) -> None:
    """The page stays live, says what is wrong, and does not take it for a shutdown."""
    watch.expected.append("503")
    service = start()
    open_live(page, service.url)
    expect(page.locator("#failing")).to_be_hidden()

    page.route("**/overview", fail)
    page.route("**/health/ready", fail)
    expect(page.locator("#failing")).to_be_visible()
    expect(page.locator("#draining")).to_be_hidden()
    connections = [url for url in watch.requests if "/events" in url]
    for _ in range(2):  # beats
        with page.expect_response("**/overview"):
            pass
    assert [url for url in watch.requests if "/events" in url] == connections, "it has reconnected"

    page.unroute_all()
    expect(page.locator("#failing")).to_be_hidden()
    service.run("echo")
    expect(page.locator("#jobs_created")).to_have_text("1")


def test_it_is_told_how_an_attempt_ended_that_nobody_ended(page: Page, service: Service) -> None:
    """A crash and a stop are no failures of the handler, and look like none."""
    job_id = service.run("flaky", {"failures": 2}, max_retries=2)
    job = service.ask(f"/jobs/{job_id}")
    job["attempts"][0]["outcome"], job["attempts"][1]["outcome"] = "lost", "interrupted"
    answer(page, f"/jobs/{job_id}", job | {"losses": 1, "interruptions": 1})
    page.goto(f"{service.url}/#/jobs/{job_id}")
    expect(page.locator("#attempts .status").nth(0)).to_have_text("lost")
    expect(page.locator("#attempts .status").nth(1)).to_have_text("interrupted")
    expect(page.locator("#facts")).to_contain_text("3 of at most 5")  # 2 retries, as before
    expect(page.locator("#timeline")).to_contain_text("Attempt 1 was lost: its process died")
    expect(page.locator("#timeline")).to_contain_text("Attempt 2 was interrupted by a stop")
    expect(page.locator("#band rect.lost")).to_have_count(1)
    expect(page.locator("#band rect.interrupted")).to_have_count(1)
