"""The dashboard follows its service: what happens there is seen, and nobody has to reload."""

from collections.abc import Callable
from urllib.error import HTTPError

import pytest
from playwright.sync_api import APIResponse, Page, Route, expect

from tests.browser.conftest import Watch, open_live
from tests.browser.service import Service

NONE = "\N{EN DASH}"
LOST = "Reconnecting"


def show_as(page: Page, visibility: str) -> None:
    """Let the page believe that its tab is hidden, or seen again."""
    page.evaluate(
        """visibility => {
            const property = {value: visibility, configurable: true};
            Object.defineProperty(document, "visibilityState", property);
            document.dispatchEvent(new Event("visibilitychange"));
        }""",
        visibility,
    )


def ask_as_long_as_it_is_ready(service: Service) -> None:
    """Raises HTTPError when the service drains."""
    while True:
        service.ask("/health/ready")


def test_it_shows_the_counters_of_the_service(page: Page, start: Callable[..., Service]) -> None:
    """All figures are those of /metrics."""
    service = start()
    service.run("echo", 1)
    service.run("flaky", {"failures": 1})
    service.run("fail", max_retries=0)
    open_live(page, service.url)
    for key in ("created", "completed", "failed", "retried", "in_progress"):
        metrics = service.ask("/metrics")
        expect(page.locator(f"#jobs_{key}")).to_have_text(str(metrics[f"jobs_{key}"]))
    expect(page.locator("#fill-text")).to_have_text("0 % of 1,000")
    expect(page.locator("#busy-text")).to_have_text("0 of 10")
    expect(page.locator("#workers li")).to_have_count(10)
    expect(page.get_by_role("img", name="Jobs per second in the last minutes")).to_be_visible()


def test_a_submission_is_seen_at_once(dashboard: Page, service: Service) -> None:
    """A job that is submitted elsewhere comes to the top of the table, and is counted."""
    job_id = service.run("echo", "look")
    first = dashboard.locator("#jobs tr").first
    expect(first.get_by_role("link")).to_have_attribute("href", f"#/jobs/{job_id}")
    expect(first).to_contain_text("completed")
    created = service.ask("/metrics")["jobs_created"]
    expect(dashboard.locator("#jobs_created")).to_have_text(f"{created:,}")


def test_a_busy_worker_says_with_what(dashboard: Page, service: Service) -> None:
    """The worker has a link to its job."""
    job_id = service.submit("sleep", {"seconds": 600})
    link = dashboard.locator("#workers").get_by_role("link", name="sleep")
    expect(link).to_have_attribute("href", f"#/jobs/{job_id}")
    service.ask(f"/jobs/{job_id}/cancel", method="POST")
    expect(link).to_have_count(0)


def test_the_oldest_waiting_job_has_an_age(dashboard: Page, service: Service) -> None:
    """While a job is ready and can't start, it is told for how long."""
    service.ask("/queue/pause", method="POST")
    job_id = service.submit("echo")
    expect(dashboard.locator("#oldest")).to_contain_text("s")
    expect(dashboard.locator("#paused")).to_contain_text("The queue is paused")
    service.ask("/queue/resume", method="POST")
    service.ask(f"/jobs/{job_id}?wait=10")
    expect(dashboard.locator("#oldest")).to_have_text(NONE)
    expect(dashboard.locator("#paused")).to_be_hidden()


def test_a_stall_is_told_with_its_place(page: Page, start: Callable[..., Service]) -> None:
    """Who blocked the event loop, and where, is among what happened."""
    service = start("--stall-threshold", "0.5")  # a busy machine holds up a loop for less
    open_live(page, service.url)
    service.run("blocking", 2)
    notice = page.locator("#notices li", has_text="event loop").first
    expect(notice).to_contain_text("blocking")
    expect(notice).to_contain_text("job_types.py")
    expect(page.locator("#stalls")).not_to_have_text("0")


def test_the_same_again_is_one_line(page: Page, start: Callable[..., Service]) -> None:
    """Failures in a row fill no list: they are counted."""
    service = start()
    open_live(page, service.url)
    for _ in range(3):
        service.run("fail", max_retries=0)
    expect(page.locator("#notices li", has_text="fail failed")).to_have_count(1)
    expect(page.locator("#notices li").first).to_contain_text("3 times since")


def test_it_comes_back_after_a_restart(
    page: Page, start: Callable[..., Service], watch: Watch
) -> None:
    """While the service is away the page says so; when it is back the page is live, and right."""
    watch.expected.append("ERR_CONNECTION_(REFUSED|RESET)|ERR_INCOMPLETE_CHUNKED_ENCODING")
    service = start()
    service.run("echo")
    service.run("echo")
    open_live(page, service.url)
    expect(page.locator("#jobs_created")).to_have_text("2")
    service.end()
    expect(page.locator("#connection")).to_have_text(LOST)
    expect(page.locator("#lost")).to_contain_text("The service has not answered since")

    again = start(port=service.port)
    expect(page.locator("#connection")).to_have_text("Live")
    expect(page.locator("#lost")).to_be_hidden()
    expect(page.locator("#jobs_created")).to_have_text("0")
    expect(page.locator("#jobs-empty")).to_contain_text("No jobs yet")
    again.run("echo")
    expect(page.locator("#jobs_created")).to_have_text("1")


def test_a_drain_is_seen(page: Page, start: Callable[..., Service], watch: Watch) -> None:
    """From the first signal on the page says what goes on, also if it is loaded only then."""
    watch.expected.append("503")
    service = start()
    service.submit("sleep", {"seconds": 600})
    open_live(page, service.url)
    expect(page.locator("#draining")).to_be_hidden()
    service.signal()
    expect(page.locator("#draining")).to_be_visible()
    expect(page.locator("#notices")).to_contain_text("SIGTERM: draining")
    page.reload()
    expect(page.locator("#draining")).to_be_visible()


def test_a_drain_is_seen_beside_an_older_answer(
    page: Page, start: Callable[..., Service], watch: Watch
) -> None:
    """An answer that was on its way when the drain began does not make the page forget it."""
    watch.expected.append("503")
    service = start()
    service.submit("sleep", {"seconds": 600})
    on_its_way = list[tuple[Route, APIResponse]]()
    page.route("**/health/ready", lambda route: on_its_way.append((route, route.fetch())), times=1)
    page.goto(service.url)
    while not on_its_way:
        page.wait_for_timeout(20)
    service.signal()
    with pytest.raises(HTTPError, match="503"):
        ask_as_long_as_it_is_ready(service)
    page.evaluate("fetch('/metrics')")  # which comes after the event
    route, older = on_its_way[0]
    assert older.status == 200
    route.fulfill(response=older)
    expect(page.locator("#draining")).to_be_visible()


def test_a_hidden_tab_asks_for_nothing(page: Page, service: Service, watch: Watch) -> None:
    """Its stream ends and its clock stops, until it is seen again; then it is right at once."""
    page.clock.install()
    open_live(page, service.url)
    with page.expect_event("requestfailed", lambda request: "/events" in request.url):
        show_as(page, "hidden")
    asked = len(watch.requests)
    service.run("echo")
    page.clock.run_for(120_000)
    assert len(watch.requests) == asked
    show_as(page, "visible")
    created = service.ask("/metrics")["jobs_created"]
    expect(page.locator("#jobs_created")).to_have_text(f"{created:,}")
    assert len(watch.requests) > asked


def test_a_start_is_not_taken_for_an_end(page: Page, service: Service, watch: Watch) -> None:
    """A service that takes no jobs yet is not said to shut down for longer than that is so."""
    watch.expected.append("503")
    page.route("**/health/ready", lambda route: route.fulfill(status=503, body="{}"), times=1)
    open_live(page, service.url)
    expect(page.locator("#jobs_created")).not_to_have_text(NONE)
    expect(page.locator("#draining")).to_be_hidden()


def test_who_points_at_a_chart_reads_its_values_there(
    page: Page, start: Callable[..., Service]
) -> None:
    """The legend tells the values of that moment, and how long ago it was."""
    service = start("--stall-threshold", "60")  # a trouble would push the chart from the pointer
    open_live(page, service.url)
    chart = page.locator("figure", has_text="Pending and in progress")
    chart.locator("svg").hover()
    expect(chart.get_by_text("s ago")).to_be_visible()
    page.mouse.move(1, 1)
    expect(chart.get_by_text("s ago")).to_be_hidden()
