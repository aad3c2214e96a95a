"""The page of a job says what went wrong at once, in which time zone, and lets it be copied."""

import re
from collections.abc import Callable

import pytest
from playwright.sync_api import BrowserContext, Page, Route, expect

from tests.browser.conftest import DESKTOP, Watch
from tests.browser.service import Service

PHONE = {"width": 390, "height": 844}
SIZES = pytest.mark.parametrize("viewport", [DESKTOP, PHONE], ids=["desktop", "phone"])


def open_job(page: Page, service: Service, job_id: str) -> None:
    """Go to its page."""
    page.goto(f"{service.url}/#/jobs/{job_id}")
    expect(page.locator("#job-id")).to_have_text(job_id)
    expect(page.locator("#job-body")).to_be_visible()


@SIZES
def test_the_last_traceback_of_a_failed_job_is_open(
    new_context: Callable[..., BrowserContext], service: Service, viewport: dict[str, int]
) -> None:
    """Those before it are one click away."""
    job_id = service.run("markup", max_retries=1)
    page = new_context(viewport=viewport).new_page()
    open_job(page, service, job_id)
    tracebacks = page.locator("#attempts details", has_text="Traceback")
    expect(tracebacks).to_have_count(2)
    expect(tracebacks.first.locator("pre")).to_be_hidden()
    expect(tracebacks.last.locator("pre")).to_be_visible()
    expect(tracebacks.last.locator("pre")).to_contain_text("ValueError")


@SIZES
def test_the_page_of_a_failed_job_begins_with_its_error(
    new_context: Callable[..., BrowserContext], service: Service, viewport: dict[str, int]
) -> None:
    """It can be read without scrolling. A job that has not failed has none."""
    page = new_context(viewport=viewport).new_page()
    open_job(page, service, service.run("fail", max_retries=1))
    expect(page.locator("#job-error")).to_have_text("RuntimeError: this job type always fails")
    expect(page.locator("#job-error")).to_be_in_viewport()
    error, facts = (page.locator(part).bounding_box() for part in ("#job-error", "#facts"))
    assert error is not None
    assert facts is not None
    assert error["y"] < facts["y"]
    open_job(page, service, service.run("echo"))
    expect(page.locator("#job-failure")).to_be_hidden()


@SIZES
def test_the_error_of_a_job_that_never_ran_is_shown(
    new_context: Callable[..., BrowserContext], service: Service, viewport: dict[str, int]
) -> None:
    """It says which job it came after."""
    first = service.submit("echo", delay_seconds=600)
    after = service.submit("echo", after=[first])
    service.ask(f"/jobs/{first}/cancel", method="POST")
    page = new_context(viewport=viewport).new_page()
    open_job(page, service, after)
    expect(page.locator("#job-error")).to_be_visible()
    expect(page.locator("#job-error")).to_contain_text(first)
    expect(page.locator("#attempts-empty")).to_have_text("None: it never ran.")


def test_times_have_their_zone(
    new_context: Callable[..., BrowserContext], service: Service
) -> None:
    """It is that of the browser, as it is at that moment."""
    job_id = service.run("echo", "hello")
    for zone, short in (("UTC", "UTC"), ("Asia/Kolkata", "GMT+5:30")):
        page = new_context(timezone_id=zone).new_page()
        open_job(page, service, job_id)
        for fact in ("Created", "Ended"):
            shown = page.locator("#facts div", has=page.get_by_text(fact, exact=True))
            expect(shown).to_contain_text(short)
        expect(page.locator("#zone")).to_have_text(f"times in {short}")


def test_who_submitted_changed_and_cancelled_a_job_is_shown(
    new_context: Callable[..., BrowserContext], start: Callable[..., Service], watch: Watch
) -> None:
    """By the name of the token, with the moment of the last change."""
    watch.expected.append("401")
    service = start("--token", "alice operate acts")
    job_id = service.submit("echo", delay_seconds=600)
    service.patch(f"/jobs/{job_id}", {"priority": 2})
    service.ask(f"/jobs/{job_id}/cancel", method="POST")
    page = new_context().new_page()
    page.goto(f"{service.url}/#/jobs/{job_id}")
    page.get_by_label("Token", exact=True).fill("acts")
    page.keyboard.press("Enter")
    for fact, told in (
        ("Submitted by", "alice"),
        ("Changed", re.compile(r"1 time, the last time at [\d:]+ UTC by alice")),
        ("Cancelled by", "alice"),
    ):
        shown = page.locator("#facts div", has=page.get_by_text(fact, exact=True))
        expect(shown.locator("dd")).to_have_text(told)


def test_what_is_shown_can_be_copied(
    new_context: Callable[..., BrowserContext], service: Service
) -> None:
    """The id, the payload, the result, and the traceback."""
    context = new_context(permissions=["clipboard-read", "clipboard-write"])
    page = context.new_page()
    job_id = service.run("echo", {"text": "hello"})
    open_job(page, service, job_id)
    for what, copied in (
        ("id", job_id),
        ("payload", '{\n  "text": "hello"\n}'),
        ("result", '{\n  "text": "hello"\n}'),
    ):
        page.get_by_role("button", name=f"Copy the {what}").click()
        expect(page.locator("#said")).to_have_text("Copied.")
        assert page.evaluate("navigator.clipboard.readText()") == copied
    failed = service.run("markup", max_retries=0)
    open_job(page, service, failed)
    expect(page.get_by_role("button", name="Copy the result")).to_be_hidden()
    page.get_by_role("button", name="Copy the traceback").click()
    expect(page.locator("#said")).to_have_text("Copied.")
    copied = page.evaluate("navigator.clipboard.readText()")
    assert copied.startswith("Traceback (most recent call last):")


@pytest.mark.parametrize("status", [500, 502, 404])
def test_a_job_is_seen_again_after_an_error(
    page: Page, service: Service, watch: Watch, status: int
) -> None:
    """What is known of it stays, unless there is no such job; the next good answer shows it."""
    watch.expected.append(str(status))
    job_id = service.run("echo", "here")
    open_job(page, service, job_id)
    is_bad = True

    def answer(route: Route) -> None:
        if is_bad:
            route.fulfill(status=status, json={"detail": "a bad answer"})
        else:
            route.continue_()

    page.route(f"**/jobs/{job_id}", answer)
    expect(page.locator("#job-empty")).to_be_visible()
    expect(page.locator("#job-body")).to_be_visible(visible=status != 404)
    expect(page.locator("#retry")).to_be_visible(visible=status != 404)
    is_bad = False
    expect(page.locator("#job-empty")).to_be_hidden()
    expect(page.locator("#payload")).to_have_text('"here"')
    expect(page.get_by_role("button", name="Run it again")).to_be_visible()


def test_attempts_that_cost_no_retry_are_counted_alike(page: Page, service: Service) -> None:
    """In the table and on the page of the job: those that snoozed, were cut short, or lost."""
    job_id = service.submit("echo", delay_seconds=3_600, max_retries=1)
    told = {"attempt": 5, "snoozes": 1, "interruptions": 2, "losses": 1, "waits_because": None}
    job = service.ask(f"/jobs/{job_id}") | told
    page.route(f"**/jobs/{job_id}", lambda route: route.fulfill(json=job))
    page.route("**/jobs?*", lambda route: route.fulfill(json=[job]))
    page.goto(service.url)
    expect(page.locator("#jobs tr")).to_contain_text("attempt 5 of 6")
    open_job(page, service, job_id)
    expect(page.locator("#facts")).to_contain_text("5 of at most 6")
    service.ask(f"/jobs/{job_id}/cancel", method="POST")
