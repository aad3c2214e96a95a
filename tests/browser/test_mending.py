"""A job that waits is mended on its page: another time, another priority, another payload."""

import json
from collections.abc import Callable

import pytest
from playwright.sync_api import BrowserContext, Locator, Page, expect

from tests.browser.conftest import Watch
from tests.browser.service import Service
from tests.browser.test_accessibility import LOOKS, check
from tests.browser.test_roles import TOKENS, enter


def open_dialog(page: Page, service: Service, job_id: str) -> Locator:
    """Go to the page of a job, and to the dialog that changes it."""
    page.goto(f"{service.url}/#/jobs/{job_id}")
    expect(page.locator("#job-id")).to_have_text(job_id)
    page.get_by_role("button", name="Change the job").click()
    dialog = page.get_by_role("dialog", name="Change the job")
    expect(dialog).to_be_visible()
    return dialog


def save(dialog: Locator) -> None:
    """Press its button."""
    dialog.get_by_role("button", name="Save").click()


def test_a_waiting_job_gets_another_time_priority_and_payload(
    new_context: Callable[..., BrowserContext], service: Service
) -> None:
    """The time in the zone of the browser, and the numbers of a payload to the digit."""
    job_id = service.submit("echo", {"to": "ada"}, delay_seconds=3_600)
    page = new_context(timezone_id="Asia/Kolkata").new_page()
    dialog = open_dialog(page, service, job_id)
    dialog.get_by_label("Due").fill("2030-01-02T08:30:15")
    expect(dialog.locator("#edit-run_at-hint")).to_contain_text("GMT+5:30, in ")
    dialog.get_by_label("Priority").fill("2")
    dialog.get_by_label("Payload").fill('{"big": 12345678901234567890, "price": 1.50}')
    save(dialog)
    expect(page.locator("#said")).to_have_text("The job is changed.")
    expect(dialog).to_be_hidden()
    expect(page.locator("#payload")).to_contain_text('"price": 1.50')
    expect(page.locator("#payload")).to_contain_text("12345678901234567890")
    for fact in ("Due2 Jan 08:30:15 GMT+5:30", "Priority2", "Changed1 time"):
        expect(page.locator("#facts")).to_contain_text(fact)
    job = service.ask(f"/jobs/{job_id}")
    assert job["run_at"] == "2030-01-02T03:00:15Z"
    service.ask(f"/jobs/{job_id}/cancel", method="POST")


def test_what_is_not_changed_stays(page: Page, service: Service) -> None:
    """To the microsecond; and who has changed nothing is told so."""
    job_id = service.submit("echo", {"to": "ada"}, delay_seconds=3_600)
    before = service.ask(f"/jobs/{job_id}")
    dialog = open_dialog(page, service, job_id)
    save(dialog)
    expect(dialog).to_contain_text("Nothing is changed yet.")
    dialog.get_by_label("Priority").fill("9")
    save(dialog)
    expect(dialog).to_be_hidden()
    after = service.ask(f"/jobs/{job_id}")
    moving = {name: after[name] for name in ("edited_at", "waits_because")}
    assert after == {**before, "priority": 9, "edits": 1, **moving}
    service.ask(f"/jobs/{job_id}/cancel", method="POST")


@pytest.mark.parametrize("look", LOOKS)
def test_what_is_refused_is_said_at_its_field(
    new_context: Callable[..., BrowserContext], service: Service, watch: Watch, look: str
) -> None:
    """By the service, in its words, and nothing that was written is lost."""
    watch.expected.append("400")
    job_id = service.submit("count_words", {"text": "to be"}, delay_seconds=3_600)
    page = new_context(**LOOKS[look]).new_page()
    dialog = open_dialog(page, service, job_id)
    check(page)
    payload = dialog.get_by_label("Payload")
    for label, written, words in (
        ("Payload", '{"text": 5}', "Expected `str`, got `int` - at `$.text`"),
        ("Payload", '{"text": ', "JSON"),
        ("Priority", "99", "Expected `int` <= 9 - at `$.priority`"),
        ("Due", "2099-01-01T00:00:15", "run_at must be within the next 10 years"),
        ("Due", "", "Give a date and a time."),
    ):
        field = dialog.get_by_label(label)
        before = field.input_value()
        payload_before = payload.input_value()
        field.fill(written)
        save(dialog)
        expect(field).to_have_attribute("aria-invalid", "true")
        expect(field).to_be_focused()
        expect(dialog.locator(".wrong:visible")).to_contain_text(words)
        expect(field).to_have_value(written)
        if label != "Payload":
            expect(payload).to_have_value(payload_before)
        check(page)
        field.fill(before)
    service.ask(f"/jobs/{job_id}/cancel", method="POST")


def test_escape_does_not_cost_what_was_written(page: Page, service: Service) -> None:
    """It says that it is not saved; who has written nothing leaves at once."""
    job_id = service.submit("echo", delay_seconds=3_600)
    dialog = open_dialog(page, service, job_id)
    page.keyboard.press("Escape")
    expect(dialog).to_be_hidden()
    expect(page.get_by_role("button", name="Change the job")).to_be_focused()
    page.keyboard.press("Enter")
    dialog.get_by_label("Payload").fill('"much work"')
    page.keyboard.press("Escape")
    expect(dialog).to_contain_text("This is not saved yet")
    expect(dialog.get_by_label("Payload")).to_have_value('"much work"')
    dialog.get_by_role("button", name="Go back").click()
    expect(dialog).to_be_hidden()
    assert "edits" not in service.ask(f"/jobs/{job_id}")
    service.ask(f"/jobs/{job_id}/cancel", method="POST")


def test_what_others_have_changed_is_not_overwritten_unseen(
    page: Page, service: Service, watch: Watch
) -> None:
    """Who saves is told first, and may save again; a job that has started is changed no more."""
    watch.expected += ["412", "409"]
    job_id = service.submit("echo", "mine", delay_seconds=3_600)
    dialog = open_dialog(page, service, job_id)
    service.patch(f"/jobs/{job_id}", {"priority": 1})
    dialog.get_by_label("Payload").fill('"ours"')
    save(dialog)
    expect(dialog).to_contain_text("The job has changed since you opened this.")
    save(dialog)
    expect(dialog).to_be_hidden()
    job = service.ask(f"/jobs/{job_id}")
    assert (job["payload"], job["priority"], job["edits"]) == ("ours", 1, 2)

    dialog = open_dialog(page, service, job_id)
    service.ask(f"/jobs/{job_id}/run-now", method="POST")
    service.ask(f"/jobs/{job_id}?wait=10")
    dialog.get_by_label("Payload").fill('"late"')
    save(dialog)
    expect(dialog).to_contain_text("That did not work")
    expect(dialog.get_by_label("Payload")).to_have_value('"late"')


def test_only_who_may_operate_changes_a_job_and_only_while_it_waits(
    new_context: Callable[..., BrowserContext], start: Callable[..., Service], watch: Watch
) -> None:
    """Others, and those who look at a job that has ended, have no button for it."""
    watch.expected.append("401")
    service = start(*TOKENS)
    waiting = service.submit("payroll", {"pay": 1}, delay_seconds=600)
    ended = service.run("echo")
    for token, may in (("looks", False), ("acts", True)):
        page = new_context().new_page()
        enter(page, f"{service.url}/#/jobs/{waiting}", token)
        expect(page.locator("#job-status")).to_have_text("pending")
        for name in ("Change the job", "Run it now"):
            expect(page.get_by_role("button", name=name)).to_be_visible(visible=may)
        page.goto(f"{service.url}/#/jobs/{ended}")
        expect(page.locator("#job-status")).to_have_text("completed")
        expect(page.get_by_role("button", name="Change the job")).to_be_hidden()


def test_a_payload_that_is_hidden_is_not_offered(page: Page, service: Service) -> None:
    """The time and the priority still are."""
    job_id = service.submit("echo", "secret", delay_seconds=3_600)
    job = {**service.ask(f"/jobs/{job_id}"), "payload": None, "hidden": True}
    page.route(f"**/jobs/{job_id}", lambda route: route.fulfill(body=json.dumps(job)))
    dialog = open_dialog(page, service, job_id)
    expect(dialog.get_by_label("Payload")).to_be_hidden()
    expect(dialog.get_by_label("Priority")).to_be_visible()
    service.ask(f"/jobs/{job_id}/cancel", method="POST")
