"""The table of jobs, and the page of one: to find it, to read it, to act on it."""

import json
import re
from collections.abc import Callable

import pytest
from playwright.sync_api import Page, expect

from tests.browser.conftest import Watch, open_live
from tests.browser.job_types import MARKUP
from tests.browser.service import Service

pytestmark = pytest.mark.xdist_group("browser")  # one process, and one browser


def open_job(page: Page, service: Service, job_id: str) -> Page:
    """Go to the page of a job."""
    page.goto(f"{service.url}/#/jobs/{job_id}")
    expect(page.locator("#job-body")).to_be_visible()
    return page


def rows(page: Page) -> list[str]:
    """The ids in the table."""
    links = page.locator("#jobs a").all()
    return [(link.get_attribute("href") or "").removeprefix("#/jobs/") for link in links]


def test_jobs_are_filtered_by_status_and_type(page: Page, start: Callable[..., Service]) -> None:
    """The table holds what was asked for, and so does its address."""
    service = start()
    failed = service.run("fail", max_retries=0)
    echo = service.run("echo")
    sleep = service.run("sleep", {"seconds": 0})
    open_live(page, service.url)
    expect(page.locator("#jobs tr")).to_have_count(3)
    assert rows(page) == [sleep, echo, failed], "the newest first"

    page.get_by_role("combobox", name="Status").select_option("completed")
    expect(page.locator("#jobs tr")).to_have_count(2)
    assert rows(page) == [sleep, echo]
    page.get_by_role("combobox", name="Type").select_option("echo")
    expect(page.locator("#jobs tr")).to_have_count(1)
    page.reload()
    expect(page.locator("#jobs tr")).to_have_count(1)
    assert rows(page) == [echo]
    page.get_by_role("combobox", name="Status").select_option("abandoned")
    expect(page.locator("#jobs-empty")).to_have_text("No job matches these filters now.")


def test_a_job_that_waits_has_taken_no_time(page: Page, start: Callable[..., Service]) -> None:
    """The column stays empty until it runs; a job that has ended says how long it took."""
    service = start()
    service.run("echo")
    waiting = service.submit("echo", delay_seconds=3600)
    open_live(page, service.url)
    row = page.locator("#jobs tr", has=page.locator(f"a[href='#/jobs/{waiting}']"))
    expect(row.locator("td").last).to_have_text("")
    expect(page.locator("#jobs tr").last.locator("td").last).to_have_text(re.compile(r"\d+ ms"))


def test_from_a_job_one_comes_back_to_the_same_table(dashboard: Page, service: Service) -> None:
    """The filters are as they were."""
    job_id = service.run("count_words", {"text": "to be or not"})
    dashboard.get_by_role("combobox", name="Type").select_option("count_words")
    link = dashboard.locator(f"#jobs a[href='#/jobs/{job_id}']")
    link.click()
    expect(dashboard.get_by_role("heading", level=1, name="count_words")).to_be_focused()
    dashboard.get_by_role("link", name="All jobs").click()
    expect(link).to_be_visible()
    expect(dashboard.get_by_role("combobox", name="Type")).to_have_value("count_words")


def test_pages_are_turned(page: Page, start: Callable[..., Service]) -> None:
    """Older and newer, and back to the newest; every job is on one page."""
    service = start()
    jobs = [service.run("echo", number) for number in range(45)][::-1]
    open_live(page, service.url)
    expect(page.locator("#jobs tr")).to_have_count(20)
    assert rows(page) == jobs[:20]
    page.get_by_role("button", name="Older").click()
    expect(page.locator("#page")).to_have_text("Page 2")
    assert rows(page) == jobs[20:40]
    page.get_by_role("button", name="Older").click()
    expect(page.locator("#page")).to_have_text("Page 3")
    assert rows(page) == jobs[40:]
    expect(page.get_by_role("button", name="Older")).to_be_disabled()
    page.get_by_role("button", name="Newer").click()
    expect(page.locator("#page")).to_have_text("Page 2")
    assert rows(page) == jobs[20:40]
    page.get_by_role("button", name="Newest").click()
    expect(page.locator("#page")).to_have_text("")
    assert rows(page) == jobs[:20]


def test_an_answer_that_comes_late_is_not_taken_for_another(
    page: Page, start: Callable[..., Service]
) -> None:
    """Who turns the page while the first one is being read again sees the page turned to."""
    service = start()
    jobs = [service.run("echo", number) for number in range(25)][::-1]
    open_live(page, service.url)
    expect(page.locator("#jobs tr")).to_have_count(20)
    late: list[Callable[[], None]] = []
    with page.expect_request("**/jobs?*"):
        page.route("**/jobs?*", lambda route: late.append(route.continue_), times=1)
        service.run("echo")
    page.get_by_role("button", name="Older").click()
    late[0]()
    expect(page.locator("#jobs tr")).to_have_count(5)
    assert rows(page) == jobs[20:]


def test_rows_hold_still_under_the_pointer(dashboard: Page, service: Service) -> None:
    """What somebody is about to click stays there; when the pointer goes, the table goes on."""
    before = service.run("echo")
    row = dashboard.locator("#jobs tr").first
    expect(row.get_by_role("link")).to_have_attribute("href", f"#/jobs/{before}")
    row.hover()
    expect(dashboard.locator("#jobs-held")).to_have_text("held while you point at it")
    after = service.run("echo")
    created = service.ask("/metrics")["jobs_created"]
    expect(dashboard.locator("#jobs_created")).to_have_text(f"{created:,}")
    expect(row.get_by_role("link")).to_have_attribute("href", f"#/jobs/{before}")
    dashboard.mouse.move(1, 1)
    expect(row.get_by_role("link")).to_have_attribute("href", f"#/jobs/{after}")


def test_a_job_is_found_by_its_id(dashboard: Page, service: Service, watch: Watch) -> None:
    """Its id leads to its page; one that no job has leads to a word about that."""
    watch.expected.append("404")
    job_id = service.run("echo")
    field = dashboard.get_by_role("searchbox", name="Id")
    field.fill(f" {job_id} ")
    field.press("Enter")
    expect(dashboard.locator("#job-id")).to_have_text(job_id)
    expect(dashboard.locator("#job-status")).to_have_text("completed")
    dashboard.go_back()
    field.fill("nobody")
    dashboard.get_by_role("button", name="Open").click()
    expect(dashboard.locator("#job-empty")).to_contain_text("There is no such job")
    dashboard.go_back()
    field.fill("..")
    field.press("Enter")
    expect(dashboard.locator("#job-empty")).to_contain_text("There is no such job")
    expect(dashboard.locator("#connection")).to_have_text("Live")


def test_the_page_of_a_job_shows_all_of_it(page: Page, service: Service) -> None:
    """Payload and result to the digit, each attempt with its error, and all in its order."""
    exact = '{"big": 12345678901234567890, "price": 1.50}'
    body = f'{{"type": "echo", "payload": {exact}}}'
    page.goto(service.url)
    job_id = page.evaluate(
        """async body => (await (await fetch("/jobs", {
            method: "POST", headers: {"Content-Type": "application/json"}, body,
        })).json()).id""",
        body,
    )
    service.ask(f"/jobs/{job_id}?wait=10")
    open_job(page, service, job_id)
    expect(page.locator("#payload")).to_contain_text('"price": 1.50')
    for part in ("#payload", "#result"):
        expect(page.locator(part)).to_contain_text("12345678901234567890")
    expect(page.locator("#facts")).to_contain_text("1 of at most 4")

    flaky = service.run("flaky", {"failures": 1})
    open_job(page, service, flaky)
    expect(page.locator("#attempts > li")).to_have_count(2)
    expect(page.locator("#attempts > li").first).to_contain_text("RuntimeError: attempt 1 of 1")
    expect(page.locator("#timeline > li")).to_have_count(6)
    expect(page.locator("#timeline > li").last).to_contain_text("Job completed")
    expect(page.locator("details", has_text="Traceback").first).to_be_visible()
    expect(page.locator("details", has_text="Traceback").last).to_be_hidden()


def test_a_traceback_is_there_to_be_opened(page: Page, service: Service) -> None:
    """An attempt before the last one shows it when it is asked to."""
    job_id = service.run("fail", max_retries=1)
    open_job(page, service, job_id)
    text = page.get_by_text("raise RuntimeError(").first
    expect(text).to_be_hidden()
    page.get_by_text("Traceback", exact=True).first.click()
    expect(text).to_be_visible()


def test_what_a_handler_logs_is_with_its_attempt(page: Page, service: Service) -> None:
    """Line by line, while it runs; an attempt that wrote nothing has no place for it."""
    open_job(page, service, service.submit("import"))
    log = page.locator("#attempts details", has_text="Log")
    expect(log.locator("pre")).to_contain_text("info file_opened rows=120 name=orders.csv")
    open_job(page, service, service.run("echo"))
    expect(log).to_be_hidden()


def test_what_others_wrote_is_text(page: Page, service: Service) -> None:
    """Markup in a payload or an error stays what it is, on every page that shows it."""
    open_live(page, service.url)
    job_id = service.run("markup", MARKUP)
    expect(page.locator("#jobs tr").first).to_contain_text(MARKUP)
    expect(page.locator("#notices")).to_contain_text(MARKUP)
    open_job(page, service, job_id)
    expect(page.locator("#payload")).to_have_text(json.dumps(MARKUP))
    expect(page.locator("#attempts")).to_contain_text(MARKUP)
    assert page.locator("main img").count() == 0


def test_progress_is_a_bar(dashboard: Page, service: Service) -> None:
    """How far a job has come is in the table and on its page."""
    job_id = service.submit("import")
    row = dashboard.locator("#jobs tr").first
    expect(row.get_by_role("progressbar")).to_have_attribute("value", "30")
    expect(row).to_contain_text("reading rows")
    open_job(dashboard, service, job_id)
    expect(dashboard.get_by_role("progressbar", name="Progress")).to_have_attribute("max", "120")
    expect(dashboard.locator("#job-progress")).to_contain_text("30 of 120")
    service.ask(f"/jobs/{job_id}/cancel", method="POST")
    expect(dashboard.locator("#job-status")).to_have_text("cancelled")
    expect(dashboard.locator("#job-progress")).to_be_hidden()


def test_a_running_job_is_cancelled_after_a_question(page: Page, service: Service) -> None:
    """Who says no has changed nothing; who says yes has."""
    job_id = service.submit("sleep", {"seconds": 600})
    open_job(page, service, job_id)
    expect(page.locator("#job-status")).to_have_text("processing")
    page.get_by_role("button", name="Cancel the job").click()
    dialog = page.get_by_role("dialog", name="Cancel the job?")
    expect(dialog.get_by_role("button", name="Go back")).to_be_focused()
    page.keyboard.press("Escape")
    expect(dialog).to_be_hidden()
    assert service.ask(f"/jobs/{job_id}")["status"] == "processing"

    page.get_by_role("button", name="Cancel the job").click()
    dialog.get_by_role("button", name="Cancel the job").click()
    expect(page.locator("#job-status")).to_have_text("cancelled")
    assert service.ask(f"/jobs/{job_id}?wait=10")["status"] == "cancelled"
    expect(page.get_by_role("button", name="Cancel the job")).to_have_count(0)


def test_a_job_that_has_ended_is_run_again(page: Page, service: Service) -> None:
    """The new job's page comes up, and names the old one."""
    job_id = service.run("echo", "again")
    open_job(page, service, job_id)
    page.get_by_role("button", name="Run it again").click()
    page.get_by_role("dialog").get_by_role("button", name="Run it again").click()
    expect(page.locator("#facts").get_by_role("link", name=job_id)).to_be_visible()
    expect(page.locator("#said")).to_contain_text("A new job was made")
    expect(page.locator("#job-id")).not_to_have_text(job_id)


def test_an_action_that_is_refused_says_why(page: Page, service: Service, watch: Watch) -> None:
    """Who cancels a job that has just ended is told so."""
    watch.expected.append("409")
    job_id = service.submit("sleep", {"seconds": 600})
    open_job(page, service, job_id)
    page.get_by_role("button", name="Cancel the job").click()
    service.ask(f"/jobs/{job_id}/cancel", method="POST")
    assert service.ask(f"/jobs/{job_id}?wait=10")["status"] == "cancelled"
    page.get_by_role("dialog").get_by_role("button", name="Cancel the job").click()
    expect(page.locator("#said")).to_contain_text("already cancelled")


def test_the_queue_and_a_type_are_paused_and_resumed(
    page: Page, start: Callable[..., Service]
) -> None:
    """Each after a question, and the page says what is paused."""
    service = start()
    open_live(page, service.url)
    page.get_by_role("button", name="Pause the queue").click()
    page.get_by_role("dialog").get_by_role("button", name="Pause").click()
    expect(page.locator("#paused")).to_contain_text("The queue is paused")
    assert service.ask("/queue")["paused"]
    page.get_by_role("button", name="Resume the queue").click()
    page.get_by_role("dialog").get_by_role("button", name="Resume").click()
    expect(page.locator("#paused")).to_be_hidden()
    assert not service.ask("/queue")["paused"]

    page.get_by_role("button", name="Pause echo").click()
    page.get_by_role("dialog").get_by_role("button", name="Pause").click()
    expect(page.get_by_role("button", name="Resume echo")).to_be_visible()
    expect(page.locator("#paused")).to_contain_text("echo is paused")
    assert service.ask("/queue")["paused_types"] == ["echo"]
    expect(page.locator("#notices")).to_contain_text("echo was paused")


def test_a_job_that_waits_says_why(page: Page, service: Service) -> None:
    """Its page says what it waits for, and since when it is there."""
    job_id = service.submit("echo", delay_seconds=3_600)
    open_job(page, service, job_id)
    expect(page.locator("#job-waits")).to_contain_text("Due in")
    expect(page.locator("#timeline")).to_contain_text("Due")
    service.ask(f"/jobs/{job_id}/cancel", method="POST")
    expect(page.locator("#job-waits")).to_be_hidden()
    expect(page.locator("#attempts-empty")).to_have_text("None: it never ran.")


def test_a_job_says_after_how_many_others_it_comes(
    page: Page, start: Callable[..., Service]
) -> None:
    """All of them, though the table is told the first ten; its page has a link to each."""
    service = start()
    others = [service.submit("echo", delay_seconds=3_600) for _ in range(12)]
    one = service.submit("echo", after=others[:1])
    many = service.submit("echo", after=others)
    open_live(page, service.url)
    for job_id, words in ((one, "after 1 other"), (many, "after 12 others")):
        row = page.locator("#jobs tr").filter(has=page.locator(f"a[href='#/jobs/{job_id}']"))
        expect(row.get_by_text(words, exact=True)).to_be_visible()
    open_job(page, service, many)
    expect(page.locator("#facts a")).to_have_count(12)
