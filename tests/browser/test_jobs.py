"""The table of jobs, and the page of one: to find it, to read it, to act on it."""

import json
import re
from collections.abc import Callable

import pytest
from playwright.sync_api import Locator, Page, Route, ViewportSize, expect

from tests.browser.conftest import Watch, open_live
from tests.browser.job_types import MARKUP
from tests.browser.service import Service

PHONE: ViewportSize = {"width": 390, "height": 844}


def open_job(page: Page, service: Service, job_id: str) -> Page:
    """Go to the page of a job."""
    page.goto(f"{service.url}/#/jobs/{job_id}")
    expect(page.locator("#job-body")).to_be_visible()
    return page


def rows(page: Page) -> list[str]:
    """The ids in the table, all of one moment."""
    links = page.locator("#jobs a").evaluate_all("links => links.map(a => a.getAttribute('href'))")
    return [link.removeprefix("#/jobs/") for link in links]


def test_jobs_are_filtered_by_status_and_type(page: Page, start: Callable[..., Service]) -> None:
    """The table holds what was asked for, and so does its address."""
    service = start()
    failed = service.run("fail", max_retries=0)
    echo = service.run("echo")
    sleep = service.run("sleep", {"seconds": 0})
    open_live(page, service.url)
    expect(page.locator("#jobs tr")).to_have_count(3)
    assert rows(page) == [sleep, echo, failed], "the newest first"

    tab(page, "completed").click()
    expect(page.locator("#jobs tr")).to_have_count(2)
    assert rows(page) == [sleep, echo]
    page.get_by_role("combobox", name="Type").select_option("echo")
    expect(page.locator("#jobs tr")).to_have_count(1)
    page.reload()
    expect(page.locator("#jobs tr")).to_have_count(1)
    assert rows(page) == [echo]
    tab(page, "abandoned").click()
    expect(page.locator("#jobs-empty")).to_have_text("No job matches these filters now.")


def tab(page: Page, name: str) -> Locator:
    """The tab of a status."""
    return page.get_by_role("navigation", name="Jobs by status").locator(f"#tab-{name}")


def find(page: Page, kind: str, text: str) -> None:
    """Search for it."""
    page.get_by_role("combobox", name="Find by").select_option(kind)
    page.get_by_role("searchbox", name="What to find").fill(text)
    page.get_by_role("button", name="Find", exact=True).click()


def test_the_tabs_count_what_the_table_has(page: Page, start: Callable[..., Service]) -> None:
    """Of all job types, and of the one that is chosen; and the tab that is chosen says so."""
    service = start()
    for number in range(5):
        service.run("echo", number)
    failed = [service.run("fail", max_retries=0) for _ in range(2)]
    open_live(page, service.url)
    for name, jobs in (("all", 7), ("completed", 5), ("failed", 2), ("pending", 0)):
        expect(tab(page, name)).to_have_text(f"{name} {jobs}")
        tab(page, name).click()
        expect(tab(page, name)).to_have_attribute("aria-current", "true")
        expect(page.locator("#jobs tr")).to_have_count(jobs)
    tab(page, "all").click()
    page.get_by_role("combobox", name="Type").select_option("fail")
    expect(tab(page, "all")).to_have_text("all 2")
    expect(tab(page, "completed")).to_have_text("completed 0")
    expect(page.locator("#jobs tr")).to_have_count(2)
    assert rows(page) == failed[::-1]
    service.run("fail", max_retries=0)
    expect(tab(page, "failed")).to_have_text("failed 3")
    expect(page.locator("#jobs tr")).to_have_count(3)


def test_jobs_are_found_by_id_key_tag_and_error(page: Page, start: Callable[..., Service]) -> None:
    """What is sought is in the address, so that a link leads to the same; it can be taken back."""
    service = start()
    urgent = service.run("echo", tags=["urgent"])
    failed = service.run("fail", max_retries=0, tags=["urgent", "tenant 4/2"])
    keyed = service.run("echo", unique_key="order & 7")
    open_live(page, service.url)
    for kind, text, expected in (
        ("Unique key", "order & 7", [keyed]),
        ("Id", failed[-9:].upper(), [failed]),
        ("Tag", "tenant 4/2", [failed]),
        ("Tag", "urgent", [failed, urgent]),
    ):
        page.goto(f"{service.url}/#/")
        expect(page.locator("#jobs tr")).to_have_count(3)
        find(page, kind, text)
        expect(page.locator("#jobs tr")).to_have_count(len(expected))
        assert rows(page) == expected
        page.reload()
        expect(page.locator("#jobs tr")).to_have_count(len(expected))
        assert rows(page) == expected
    find(page, "Error", "RUNTIMEerror")
    expect(page.locator("#jobs tr")).to_have_count(1)
    expect(tab(page, "failed")).to_have_text("failed ")
    tab(page, "failed").click()
    expect(page.locator("#marks li")).to_have_count(2)
    page.get_by_role("button", name="Find without Tag urgent").click()
    expect(page.locator("#marks")).to_have_text("Error: RUNTIMEerror✕")
    assert rows(page) == [failed]
    page.get_by_role("button", name="Find without Error RUNTIMEerror").click()
    expect(page.locator("#marks")).to_be_hidden()
    assert page.url == f"{service.url}/#/?status=failed"


def test_jobs_that_no_tab_counts_are_counted_if_asked(
    page: Page, start: Callable[..., Service]
) -> None:
    """All that fit on the page are counted anyway. Other filters forget the count."""
    service = start()
    for number in range(61):
        service.submit("echo", number, delay_seconds=600, tags=["many", f"one:{number}"])
    open_live(page, service.url)
    expect(page.locator("#tab-pending")).to_have_text("pending 61")
    expect(page.locator("#found")).to_have_text("")
    expect(page.locator("#count")).to_be_hidden()
    find(page, "Tag", "one:7")
    expect(page.locator("#found")).to_have_text("1 found")
    expect(page.locator("#count")).to_be_hidden()
    page.goto(f"{service.url}/#/?tag=many")
    page.locator("#count").click()
    expect(page.locator("#found")).to_have_text(re.compile("61 found at \\d\\d:"))
    tab(page, "pending").click()
    expect(page.locator("#found")).to_have_text("")
    expect(page.locator("#count")).to_be_visible()


def test_the_numbers_of_a_type_lead_to_its_jobs(page: Page, start: Callable[..., Service]) -> None:
    """From its name to all of them, and from a number to as many."""
    service = start()
    for _ in range(3):
        service.run("fail", max_retries=0)
    for job_type in ("fail", "echo"):
        service.submit(job_type, delay_seconds=600)
    open_live(page, service.url)
    row = page.locator("#types tr", has_text="fail").first
    row.get_by_role("link", name="3 failed of fail").click()
    expect(page.locator("#jobs .status")).to_have_text(["failed"] * 3)
    row.get_by_role("link", name="fail", exact=True).click()
    expect(page.locator("#jobs .type")).to_have_text(["fail"] * 4)
    expect(row.get_by_role("link")).to_have_count(3)  # none of its jobs runs


def test_what_can_t_be_found_says_why(
    page: Page, start: Callable[..., Service], watch: Watch
) -> None:
    """And a search that some job may still match says how far it has come."""
    watch.expected.append("400")
    service = start()
    service.run("echo")
    open_live(page, service.url)
    find(page, "Id", "x" * 40)
    expect(page.locator("#jobs-empty")).to_contain_text("id must be a part of an id")
    page.goto(f"{service.url}/#/")
    find(page, "Tag", "nobody's")
    expect(page.locator("#jobs-empty")).to_have_text("No job matches these filters now.")

    def never_full(route: Route) -> None:
        cursor = "01a213c0-eeee-714f-82d5-aee99f485e6d"
        link = f'</jobs?cursor={cursor}>; rel="next"'
        route.fulfill(json=[], headers={"Link": link})

    page.route("**/jobs?*", never_full)
    find(page, "Error", "rare")
    expect(page.locator("#jobs-empty")).to_contain_text("Looked at the jobs back to 25 Nov")
    expect(page.get_by_role("button", name="Older")).to_be_enabled()


def test_the_table_shows_payloads_and_why_jobs_wait(
    page: Page, start: Callable[..., Service]
) -> None:
    """In short; the page of the job has it all. On a phone, the reason is there, too."""
    service = start()
    job_id = service.submit("echo", {"to": "ada", "text": "x" * 500}, delay_seconds=3_600)
    open_live(page, service.url)
    row = page.locator("#jobs tr", has=page.locator(f"a[href='#/jobs/{job_id}']"))
    expect(row.locator(".payload")).to_contain_text('{"to": "ada", "text": "xxx')
    expect(row.locator(".detail")).to_contain_text("due in 59 min")
    page.set_viewport_size(PHONE)
    expect(row.locator(".payload")).to_be_hidden()
    expect(row.locator(".detail")).to_be_visible()
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")


def test_a_tag_of_a_job_leads_to_all_jobs_that_have_it(
    page: Page, start: Callable[..., Service]
) -> None:
    """And so does its unique key."""
    service = start()
    older = service.run("echo", tags=["a b"], unique_key="k")
    newer = service.run("echo", tags=["a b", "c"])
    service.run("echo")
    open_job(page, service, older)
    page.locator("#facts").get_by_role("link", name="a b").click()
    expect(page.locator("#jobs tr")).to_have_count(2)
    assert rows(page) == [newer, older]
    open_job(page, service, older)
    page.locator("#facts").get_by_role("link", name="k", exact=True).click()
    expect(page.locator("#jobs tr")).to_have_count(1)
    assert rows(page) == [older]


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


def test_from_a_job_one_comes_back_to_where_one_was(
    page: Page, start: Callable[..., Service]
) -> None:
    """On a phone, who looks at one failed job after the other need not scroll each time."""
    service = start()
    for number in range(20):
        service.submit("echo", number, delay_seconds=600)
    page.set_viewport_size(PHONE)
    open_live(page, service.url)
    row = page.locator("#jobs tr").nth(12)
    for back in (page.locator("#back").click, page.go_back):
        row.locator("a").scroll_into_view_if_needed()
        before = page.evaluate("scrollY")
        assert before > 0
        row.locator("a").click()
        expect(page.locator("#job-title")).to_have_text("echo")
        expect(page.locator("#job-title")).to_be_in_viewport()
        back()
        expect(page.locator("#job")).to_be_hidden()
        expect(row).to_be_in_viewport()


def test_pages_are_turned(page: Page, start: Callable[..., Service]) -> None:
    """Older and newer, and back to the newest; every job is on one page."""
    service = start()
    jobs = [service.run("echo", number) for number in range(45)][::-1]
    page.set_viewport_size(PHONE)  # there, nothing is beside the table
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


def test_the_table_is_as_long_as_what_is_beside_it(
    page: Page, start: Callable[..., Service]
) -> None:
    """It leaves no hole, and does not outgrow what is beside it either."""
    service = start("--stall-threshold", "60")  # a trouble would move all
    for number in range(60):
        service.submit("echo", number, delay_seconds=3_600)
    open_live(page, service.url)
    expect(page.locator("#jobs tr").first).to_be_visible()
    page.reload()
    expect(page.locator("#jobs tr").first).to_be_visible()
    parts = ("#jobs-panel", "#side", "#jobs tr >> nth=0")
    boxes = [page.locator(part).bounding_box() or pytest.fail("it is not shown") for part in parts]
    table, beside, row = boxes
    left = beside["y"] + beside["height"] - table["y"] - table["height"]
    assert 0 <= left < 2 * row["height"]


def test_an_answer_that_comes_late_is_not_taken_for_another(
    page: Page, start: Callable[..., Service]
) -> None:
    """Who turns the page while the first one is being read again sees the page turned to."""
    service = start()
    jobs = [service.run("echo", number) for number in range(25)][::-1]
    page.set_viewport_size(PHONE)  # where 20 are a page
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
    """A whole id leads to the job's page; one that no job has leads to a word about that."""
    watch.expected.append("404")
    job_id = service.run("echo")
    field = dashboard.get_by_role("searchbox", name="What to find")
    field.fill(f" {job_id.upper()} ")
    field.press("Enter")
    expect(dashboard.locator("#job-id")).to_have_text(job_id)
    expect(dashboard.locator("#job-status")).to_have_text("completed")
    dashboard.go_back()
    field.fill("01890000-0000-7000-8000-000000000000")
    dashboard.get_by_role("button", name="Find", exact=True).click()
    expect(dashboard.locator("#job-empty")).to_contain_text("There is no such job")
    dashboard.goto(f"{service.url}/#/jobs/..")
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


def test_a_job_for_later_is_run_now(page: Page, service: Service) -> None:
    """Its page shows that it has run, and the button is gone."""
    job_id = service.submit("echo", "later", delay_seconds=600)
    open_job(page, service, job_id)
    page.get_by_role("button", name="Run it now").click()
    page.get_by_role("dialog").get_by_role("button", name="Run it now").click()
    expect(page.locator("#said")).to_contain_text("waits no longer")
    expect(page.locator("#job-status")).to_have_text("completed")
    expect(page.get_by_role("button", name="Run it now")).to_have_count(0)


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
    """The table names the first, and its page has a link to each."""
    service = start()
    others = [service.submit("echo", delay_seconds=3_600) for _ in range(12)]
    one = service.submit("echo", after=others[:1])
    many = service.submit("echo", after=others)
    open_live(page, service.url)
    waits = f"waits for job {others[0]}"
    for job_id, words in ((one, waits), (many, f"{waits} and 11 others")):
        row = page.locator("#jobs tr").filter(has=page.locator(f"a[href='#/jobs/{job_id}']"))
        expect(row.get_by_text(words, exact=True)).to_be_visible()
    open_job(page, service, many)
    expect(page.locator("#facts a")).to_have_count(12)


def test_several_statuses_and_types_are_chosen(page: Page, start: Callable[..., Service]) -> None:
    """They are ticked one by one; tabs, marks, and the address say them, and so does a link."""
    service = start("--stall-threshold", "60")
    failed = service.run("fail", max_retries=0)
    echo = service.run("echo")
    service.run("sleep", {"seconds": 0})
    cancelled = service.submit("echo", delay_seconds=600)
    service.ask(f"/jobs/{cancelled}/cancel", method="POST")
    open_live(page, f"{service.url}/#/?status=failed,cancelled")
    expect(page.locator("#jobs tr")).to_have_count(2)
    for name in ("failed", "cancelled"):
        expect(tab(page, name)).to_have_attribute("aria-current", "true")
    page.get_by_text("Several statuses and types").click()
    statuses = page.get_by_role("group", name="Statuses")
    expect(statuses.get_by_role("checkbox", name="failed")).to_be_checked()
    statuses.get_by_role("checkbox", name="cancelled").uncheck()
    statuses.get_by_role("checkbox", name="completed").check()
    expect(page.locator("#jobs tr")).to_have_count(3)
    types = page.get_by_role("group", name="Types")
    types.get_by_role("checkbox", name="fail").check()
    types.get_by_role("checkbox", name="echo").focus()
    page.keyboard.press("Space")
    expect(page.locator("#jobs tr")).to_have_count(2)
    assert rows(page) == [echo, failed]
    expect(types.get_by_role("checkbox", name="echo")).to_be_focused()
    expect(tab(page, "completed")).to_have_text("completed 1")
    expect(page.get_by_role("combobox", name="Type").locator("option:checked")).to_have_text(
        "several"
    )
    page.reload()
    expect(page.locator("#jobs tr")).to_have_count(2)
    expect(page.get_by_role("list", name="Found by")).to_contain_text("Type: echo")
    tab(page, "failed").click()
    expect(page.locator("#jobs tr")).to_have_count(1)
