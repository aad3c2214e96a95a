"""What the page says and does if an answer is lost, comes late, or is a proxy's."""

from collections.abc import Callable

import pytest
from playwright.sync_api import Locator, Page, Route, expect

from tests.browser.conftest import Watch, open_live
from tests.browser.service import Service

MAYBE_DONE = (
    "No answer came. It may have been done all the same. "
    "It is safe to try again: nothing is done twice."
)


def lose_the_answer(route: Route) -> None:
    """Let the service do what it is asked, and nobody hear of it."""
    route.fetch()
    route.abort()


def answer_as_a_proxy(route: Route) -> None:
    """The same, but a proxy has lost the answer."""
    route.fetch()
    route.fulfill(status=502, body="<html>", content_type="text/html")


def act(page: Page, button: str, yes: str) -> None:
    """Press a button, and say yes to its question."""
    page.get_by_role("button", name=button, exact=True).click()
    page.get_by_role("dialog").get_by_role("button", name=yes, exact=True).click()


@pytest.mark.parametrize("lose", [lose_the_answer, answer_as_a_proxy])
def test_a_job_whose_answer_is_lost_is_run_again_once(
    page: Page, service: Service, watch: Watch, lose: Callable[[Route], None]
) -> None:
    """Whoever tries again, even after a reload, gets the job that was made; then a new one."""
    watch.expected += ["ERR_FAILED", "502"]
    job_id = service.run("echo", "again")
    page.route(f"**/jobs/{job_id}/retry", lose, times=2)
    page.goto(f"{service.url}/#/jobs/{job_id}")
    for _ in range(2):
        act(page, "Run it again", "Run it again")
        expect(page.locator("#said")).to_have_text(MAYBE_DONE)
        page.reload()
    act(page, "Run it again", "Run it again")
    expect(page.locator("#said")).to_have_text("It was done when you first asked, and not again.")
    expect(page.locator("#facts").get_by_role("link", name=job_id)).to_be_visible()
    made = page.locator("#job-id").inner_text()
    assert [each["id"] for each in made_of(service, job_id)] == [made]

    page.go_back()
    expect(page.locator("#job-id")).to_have_text(job_id)
    act(page, "Run it again", "Run it again")
    expect(page.locator("#said")).to_have_text("A new job was made.")
    assert len(made_of(service, job_id)) == 2


def made_of(service: Service, job_id: str) -> list[dict[str, object]]:
    """The jobs that run it again."""
    return [job for job in service.ask("/jobs?type=echo") if job.get("retry_of") == job_id]


def test_a_group_whose_answer_is_lost_is_run_again_once(
    page: Page, start: Callable[..., Service], watch: Watch
) -> None:
    """As one job is."""
    watch.expected.append("ERR_FAILED")
    service = start()
    failing = {"type": "fail", "max_retries": 0}
    group = service.ask("/groups", {"jobs": [failing, failing]})["id"]
    service.ask(f"/groups/{group}?wait=10")
    page.route("**/groups/*/retry", lose_the_answer, times=1)
    open_live(page, f"{service.url}/#/?group={group}")
    act(page, "Run the rest again", "Run the rest again")
    expect(page.locator("#said")).to_have_text(MAYBE_DONE)
    act(page, "Run the rest again", "Run the rest again")
    expect(page.locator("#said")).to_contain_text("when you first asked")
    assert len(service.ask("/jobs?type=fail")) == 4


def test_a_schedule_whose_answer_is_lost_makes_one_job(
    page: Page, start: Callable[..., Service], watch: Watch
) -> None:
    """As one job is; so a refusal is told as one, and tried anew after it."""
    watch.expected += ["ERR_FAILED", "429"]
    service = start()
    open_live(page, service.url)
    full = {"type": "/problems/queue-full", "detail": "the queue is full"}
    page.route("**/yearly/run-now", lambda route: route.fulfill(status=429, json=full), times=1)
    act(page, "Run yearly now", "Run now")
    expect(page.locator("#said")).to_have_text("That did not work: the queue is full.")
    page.route("**/yearly/run-now", lose_the_answer, times=1)
    act(page, "Run yearly now", "Run now")
    expect(page.locator("#said")).to_have_text(MAYBE_DONE)
    act(page, "Run yearly now", "Run now")
    expect(page.locator("#said")).to_contain_text("when you first asked")
    assert len(service.ask("/jobs?type=yearly")) == 1


def test_an_answer_that_takes_too_long_is_none(page: Page, service: Service) -> None:
    """The page waits for some seconds, of which this one lets it wait for few."""
    page.add_init_script(
        """const wait = AbortSignal.timeout.bind(AbortSignal);
        AbortSignal.timeout = () => wait(2000);"""
    )
    page.route("**/queue/pause?*", lambda _: None)
    open_live(page, service.url)
    act(page, "Pause echo", "Pause")
    expect(page.locator("#said")).to_have_text(MAYBE_DONE)


def hold(page: Page, url: str, method: str) -> list[Route]:
    """Those calls of this method whose answers are held back."""
    held: list[Route] = []

    def sort(route: Route) -> None:
        if route.request.method == method:
            held.append(route)
        else:
            route.continue_()

    page.route(url, sort)
    return held


def open_edit(page: Page, service: Service, job_id: str) -> Locator:
    """Open the dialog that changes a job, from its page."""
    page.goto(f"{service.url}/#/jobs/{job_id}")
    expect(page.locator("#job-id")).to_have_text(job_id)
    page.get_by_role("button", name="Change the job").click()
    dialog = page.get_by_role("dialog", name="Change the job")
    expect(dialog).to_be_visible()
    return dialog


def await_one(page: Page, held: list[Route]) -> Route:
    """The call that is held back, as soon as it is made."""
    while not held:
        page.wait_for_timeout(20)
    return held.pop()


@pytest.mark.parametrize("is_refused", [False, True])
def test_a_late_answer_leaves_the_dialog_of_another_job_alone(
    page: Page, start: Callable[..., Service], watch: Watch, is_refused: bool
) -> None:
    """What was written there stays, it is not saved unasked, and others are not overwritten."""
    watch.expected.append("412")
    service = start()
    first, second = (service.submit("echo", delay_seconds=3_600) for _ in range(2))
    held = hold(page, f"**/jobs/{first}", "PATCH")
    dialog = open_edit(page, service, first)
    dialog.get_by_label("Priority").fill("3")
    dialog.get_by_role("button", name="Save").click()
    late = await_one(page, held)
    dialog.get_by_role("button", name="Go back").click()
    dialog = open_edit(page, service, second)
    expect(dialog.get_by_role("button", name="Save")).to_be_enabled()
    dialog.get_by_label("Payload").fill('"mine"')
    if is_refused:
        service.patch(f"/jobs/{first}", {"priority": 1})
    service.patch(f"/jobs/{second}", {"priority": 1})
    late.continue_()
    words = "has changed since" if is_refused else f"The job {first} is changed."
    expect(page.locator("#said")).to_contain_text(words)
    expect(dialog).to_be_visible()
    expect(dialog.locator("#edit-wrong")).to_have_text("")
    dialog.get_by_role("button", name="Save").click()
    expect(dialog).to_contain_text("The job has changed since you opened this.")
    assert service.ask(f"/jobs/{second}")["payload"] is None


def test_a_late_answer_leads_nobody_away(page: Page, service: Service) -> None:
    """Neither to the job that it made, nor to a dialog of a job that was left."""
    ended = service.run("echo")
    waiting = service.submit("echo", delay_seconds=3_600)
    held = hold(page, f"**/jobs/{ended}/retry", "POST")
    page.goto(f"{service.url}/#/jobs/{ended}")
    act(page, "Run it again", "Run it again")
    late = await_one(page, held)
    page.goto(f"{service.url}/#/jobs/{waiting}")
    expect(page.locator("#job-status")).to_have_text("pending")
    late.continue_()
    expect(page.locator("#said")).to_have_text("A new job was made.")
    expect(page.locator("#job-id")).to_have_text(waiting)

    page.goto(f"{service.url}/#/")
    expect(page.locator("#jobs tr").first).to_be_visible()
    page.goto(f"{service.url}/#/jobs/{waiting}")
    expect(page.locator("#edit-job")).to_be_visible()
    held = hold(page, f"**/jobs/{waiting}", "GET")
    page.get_by_role("button", name="Change the job").click()
    while len(held) < 2:  # that of the dialog, and that of a beat
        page.wait_for_timeout(20)
    page.goto(f"{service.url}/#/")
    for route in held:
        route.continue_()
    expect(page.locator("#jobs tr").first).to_be_visible()
    expect(page.get_by_role("dialog")).to_be_hidden()
    service.ask(f"/jobs/{waiting}/cancel", method="POST")


def test_a_change_whose_answer_is_lost_is_not_said_to_be_another_s(
    page: Page, service: Service, watch: Watch
) -> None:
    """Whoever saves again is told that it is saved; only what somebody else did is asked about."""
    watch.expected += ["ERR_FAILED", "412"]
    job_id = service.submit("echo", delay_seconds=3_600)
    dialog = open_edit(page, service, job_id)
    dialog.get_by_label("Priority").fill("3")
    dialog.get_by_label("Payload").fill('{"b": 1.0, "a": []}')
    save_without_answer(page, job_id)
    dialog.get_by_role("button", name="Save").click()
    expect(page.locator("#said")).to_have_text("The job is as you saved it first.")
    expect(dialog).to_be_hidden()
    assert service.ask(f"/jobs/{job_id}")["priority"] == 3

    dialog = open_edit(page, service, job_id)
    dialog.get_by_label("Priority").fill("4")
    save_without_answer(page, job_id)
    service.patch(f"/jobs/{job_id}", {"priority": 1})
    dialog.get_by_role("button", name="Save").click()
    expect(dialog).to_contain_text("The job has changed since you opened this.")
    service.ask(f"/jobs/{job_id}/cancel", method="POST")


def save_without_answer(page: Page, job_id: str) -> None:
    """Save what the dialog has; it is done, and nobody hears of it."""

    def lose_a_save(route: Route) -> None:
        if route.request.method == "PATCH":
            lose_the_answer(route)
        else:
            route.continue_()

    page.route(f"**/jobs/{job_id}", lose_a_save)
    dialog = page.get_by_role("dialog")
    dialog.get_by_role("button", name="Save").click()
    expect(dialog).to_contain_text(MAYBE_DONE)
    page.unroute(f"**/jobs/{job_id}")


def test_no_question_comes_in_place_of_another(page: Page, start: Callable[..., Service]) -> None:
    """While the matching jobs are counted, somebody asks for something else."""
    service = start("--stall-threshold", "60")
    for _ in range(60):
        service.submit("echo", delay_seconds=3_600, tags=["t"])
    open_live(page, f"{service.url}/#/?tag=t")
    page.get_by_role("checkbox", name="Select the jobs of this page").check()
    page.get_by_role("button", name="Select all jobs that match").click()
    held = hold(page, "**/jobs?*limit=1000*", "GET")
    page.locator("#acting").get_by_role("button", name="Cancel").click()
    late = await_one(page, held)
    page.get_by_role("button", name="Pause the queue").click()
    expect(page.get_by_role("dialog", name="Pause the queue?")).to_be_visible()
    late.continue_()
    expect(page.locator("#selected")).not_to_have_text("Counting")
    expect(page.get_by_role("dialog", name="Pause the queue?")).to_be_visible()
    page.get_by_role("dialog").get_by_role("button", name="Pause").click()
    expect(page.locator("#paused")).to_be_visible()
    assert service.ask("/queue")["pending"] == 60
