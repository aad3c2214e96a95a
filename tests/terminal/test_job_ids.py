"""What a part of an id costs, and what is said if it may not be the only one."""

from typing import Any, cast

import pytest

from job_service.errors import UnknownJob
from job_service.jobs.state.detail import JobSummary
from job_service.jobs.state.job_filter import JobPage
from job_service.telemetry.events import utc_now
from job_service.terminal.job_ids import whole_id

JOB = JobSummary(
    id="the-only-part", type="echo", status="completed", created_at=utc_now(), max_retries=3
)


class Pages:
    """A service with so many pages of jobs, of which the first few have what is sought."""

    def __init__(self, *pages: list[JobSummary]) -> None:
        self._pages = pages
        self.asked = 0

    def page(self, **_: Any) -> JobPage:
        """The next one."""
        self.asked += 1
        is_last = self.asked == len(self._pages)
        return JobPage(self._pages[self.asked - 1], None if is_last else f"id-{self.asked}")


def sought_in(pages: Pages) -> str:
    """The id that is found."""
    return whole_id(cast("Any", pages), "PART")


def test_a_search_ends_soon_after_the_first_job(capsys: pytest.CaptureFixture[str]) -> None:
    """A note says how far it has looked for a second one, because there might be one."""
    pages = Pages([], [JOB], *[[]] * 1_000)
    assert sought_in(pages) == JOB.id
    assert pages.asked == 12
    assert capsys.readouterr().err == "jobs older than id-12 may have 'PART' in their ids, too\n"


def test_a_job_that_is_the_only_one_needs_no_note(capsys: pytest.CaptureFixture[str]) -> None:
    """All jobs were looked at."""
    assert sought_in(Pages([], [JOB], [], [])) == JOB.id
    assert capsys.readouterr().err == ""


def test_what_no_job_has_is_sought_to_the_end() -> None:
    """Else nobody could say that there is none."""
    pages = Pages(*[[]] * 50)
    with pytest.raises(UnknownJob):
        sought_in(pages)
    assert pages.asked == 50
