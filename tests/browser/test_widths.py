"""On a phone, a tablet and in a small window, all that the page says can be read."""

from collections.abc import Callable
from typing import Any

import pytest
from playwright.sync_api import BrowserContext, Page, Route, expect

from tests.browser.conftest import Watch, open_live
from tests.browser.service import Service
from tests.browser.test_accessibility import check

WIDTHS = (320, 600, 768, 1024)
LONG_TYPE = "payments.charge_the_card_of_a_customer"
# Text that ends in the middle of it, though it is what a row is about; pixels are rounded.
SQUEEZED = """
["#types th", "#schedules b", "#caller", "#job-done", "#facts dd", ".attempts p"]
    .flatMap((each) => [...document.querySelectorAll(each)])
    .filter((each) => each.offsetParent !== null)
    .filter((each) => each.scrollWidth > each.clientWidth + 1 || each.clientWidth < 40)
    .map((each) => each.textContent)
"""


@pytest.fixture
def incident(start: Callable[..., Service], watch: Watch) -> tuple[Service, dict[str, str]]:
    """A service in which something of everything has happened, and some of its jobs by name."""
    watch.expected.append("401")
    service = start("--token", "alexandra.andersson-of-the-night-shift@example.com operate acts")
    jobs = {
        "failed": service.run(
            LONG_TYPE, {"customer": "c" * 60}, tags=["t" * 64], unique_key="k" * 99
        ),
        "running": service.submit("import"),
        "later": service.submit("echo", "e" * 500, delay_seconds=86_400, priority=2),
    }
    for _ in range(3):
        service.submit("export", {"tenant": "acme"})
    service.ask("/queue/pause?type=flaky", method="POST")
    service.submit("flaky", {"failures": 0})
    service.patch(f"/jobs/{jobs['later']}", {"priority": 1})
    group = {"jobs": [{"type": "import"}, {"type": LONG_TYPE}], "on_failure": {"type": "echo"}}
    jobs["group"] = service.ask("/groups", group)["id"]
    service.ask("/schedules/yearly/pause", method="POST")
    return service, jobs


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_no_width_is_too_narrow_for_the_page(
    new_context: Callable[..., BrowserContext],
    incident: tuple[Service, dict[str, str]],
    scheme: str,
) -> None:
    """The overview, a group, and the pages of jobs, without scrolling to the side."""
    service, jobs = incident
    page = new_context(color_scheme=scheme).new_page()
    page.goto(service.url)
    page.get_by_label("Token", exact=True).fill("acts")
    page.keyboard.press("Enter")
    for width in WIDTHS:
        page.set_viewport_size({"width": width, "height": 800})
        look_at(page, f"{service.url}/#/", "#jobs tr:has-text('failed')")
        page.locator("#jobs input").first.check()
        expect(page.locator("#acting")).to_be_visible()
        fits(page)
        page.locator("#select-none").click()
        look_at(page, f"{service.url}/#/?group={jobs['group']}", "#group")
        fits(page)
        for job in ("failed", "running", "later"):
            look_at(page, f"{service.url}/#/jobs/{jobs[job]}", "#job-body")
            expect(page.locator("#job-id")).to_have_text(jobs[job])
            fits(page)


def look_at(page: Page, url: str, part: str) -> None:
    """Go there, and wait until this part of it is there."""
    page.goto(url)
    expect(page.locator(part).first).to_be_visible()


def fits(page: Page) -> None:
    """All that is there can be read."""
    check(page)
    assert page.evaluate(SQUEEZED) == []
    for bar in page.locator("main progress:visible").all():
        assert bar.evaluate("bar => bar.clientWidth") >= 40, "no bar to be seen"


@pytest.mark.parametrize("width", [1240, 1360, 1600])
def test_the_times_of_a_job_are_read_whole(
    new_context: Callable[..., BrowserContext], service: Service, width: int
) -> None:
    """Also the day of one that is older, and a long time that it took."""
    service.run("echo")
    page = new_context(viewport={"width": width, "height": 900}).new_page()
    page.clock.set_system_time("2027-11-28T12:00:00Z")
    page.route("**/jobs?*", _age)
    open_live(page, service.url)
    cells = page.locator("#jobs tr").first.locator(".number")
    expect(cells.first).to_have_text("28 Nov 23:58:44")
    expect(cells.last).to_have_text("10 min 52 s")
    for cell in cells.all():
        assert cell.evaluate("cell => cell.scrollWidth <= cell.clientWidth")


def _age(route: Route) -> None:
    """Let the jobs of a list be older, and have taken longer."""
    answer = route.fetch()
    times = {"created_at": "2026-11-28T23:58:44Z", "finished_at": "2026-11-29T00:09:36Z"}
    route.fulfill(response=answer, json=[job | times for job in answer.json()])


def test_the_type_of_a_job_is_read_on_a_phone(
    new_context: Callable[..., BrowserContext], service: Service
) -> None:
    """Whole, and the error below it; the numbers of a type stand below its name."""
    service.run(LONG_TYPE)
    page = open_live(new_context(viewport={"width": 320, "height": 640}).new_page(), service.url)
    row = page.locator("#jobs tr", has_text=LONG_TYPE).first
    expect(row).to_contain_text("ConnectionError")
    name = row.locator(".type")
    assert name.evaluate("name => name.scrollWidth <= name.clientWidth")
    of_type = page.locator("#types tr", has_text=LONG_TYPE)
    expect(of_type).to_be_visible()
    boxes: list[Any] = [of_type.locator(each).first.bounding_box() for each in ("th", ".number")]
    assert boxes[1]["y"] >= boxes[0]["y"] + boxes[0]["height"]
