"""The table of jobs against a plain list of them, and what a page of it costs."""

from datetime import UTC, datetime
from typing import Any, get_args

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from job_service.jobs import table
from job_service.jobs.model import TERMINAL, TRANSITIONS, Job, Status
from job_service.jobs.table import JobTable

NOW = datetime(2026, 1, 31, tzinfo=UTC)
TYPES = ("email", "report", "rare")
STATUSES: tuple[Status, ...] = get_args(Status)

filters = st.fixed_dictionaries(
    {
        "status": st.none() | st.sampled_from(STATUSES),
        "job_type": st.none() | st.sampled_from([*TYPES, "unknown"]),
        "limit": st.integers(0, 40),
        "newest_first": st.booleans(),
    }
)


def new_job(number: int, job_type: str) -> Job:
    """A job whose id sorts by its number."""
    return Job(f"{number:08}", job_type, b"null", 0, NOW, NOW)


def move(jobs: JobTable, job: Job, to: Status) -> None:
    """Do to the table what its store does at a transition."""
    job.status = to
    if to in TERMINAL:
        jobs.finished(job)
    else:
        jobs.moved(job)


class ListedJobs(RuleBasedStateMachine):
    """Creates jobs, moves them as they may be moved, and reads pages of all kinds."""

    def __init__(self) -> None:
        super().__init__()
        self.created: list[Job] = []
        self.kept: list[Job] = []
        self.finished: list[Job] = []

    @initialize(retain=st.integers(0, 12))
    def open(self, retain: int) -> None:
        """An empty table."""
        self.retain = retain
        self.jobs = JobTable(retain)

    @rule(job_type=st.sampled_from(TYPES), count=st.integers(1, 12))
    def create(self, job_type: str, count: int) -> None:
        """Some jobs come."""
        for _ in range(count):
            job = new_job(len(self.created), job_type)
            self.jobs.add(job)
            self.created.append(job)
            self.kept.append(job)

    @precondition(lambda self: self.kept)
    @rule(data=st.data(), count=st.integers(1, 12))
    def move(self, data: st.DataObject, count: int) -> None:
        """Some jobs go on, and those that end may push others out."""
        for _ in range(count):
            unfinished = [job for job in self.kept if job.status not in TERMINAL]
            if not unfinished:
                return
            job = data.draw(st.sampled_from(unfinished))
            to = data.draw(st.sampled_from(sorted(TRANSITIONS[job.status])))
            move(self.jobs, job, to)
            if to in TERMINAL:
                self.finished.append(job)
                if len(self.finished) > self.retain:
                    self.kept.remove(self.finished.pop(0))

    @rule(asked=filters, cursor=st.none() | st.integers(-1, 200))
    def read_a_page(self, asked: dict[str, Any], cursor: int | None) -> None:
        """It has what a plain list would give, whatever is asked, from behind any id."""
        after = None if cursor is None else f"{cursor:08}"
        expected = [
            job
            for job in self.kept
            if asked["status"] in (None, job.status)
            and asked["job_type"] in (None, job.type)
            and (after is None or (job.id < after if asked["newest_first"] else job.id > after))
        ]
        if asked["newest_first"]:
            expected.reverse()
        assert self.jobs.page(after=after, **asked) == expected[: asked["limit"]]

    @invariant()
    def every_kept_job_is_there(self) -> None:
        """All of them, by their ids and in their order; and no other."""
        if self.created:
            assert list(self.jobs) == self.kept
            assert [self.jobs.get(job.id) for job in self.kept] == self.kept

    @invariant()
    def no_empty_chunk_is_kept(self) -> None:
        """Memory is bounded by the jobs that are kept, but for the chunk that is being filled."""
        if self.created:
            chunks = {job.row // table.CHUNK for job in self.kept}
            full = len(self.created) // table.CHUNK
            assert {number for number in self.jobs._chunks if number < full} == {
                number for number in chunks if number < full
            }


@pytest.fixture(autouse=True, scope="module")
def small_chunks() -> Any:
    """Chunks of eight, so that a few jobs fill some."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(table, "CHUNK", 8)
        patch.setattr(table, "_ALL_BITS", (1 << 8) - 1)
        yield


ListedJobs.TestCase.settings = settings(max_examples=100, stateful_step_count=30, deadline=None)
TestListedJobs = ListedJobs.TestCase


class Watched(list[Job | None]):
    """A chunk's jobs, which count how many of them are looked at."""

    looks = 0

    def __getitem__(self, index: Any) -> Any:
        Watched.looks += 1
        return super().__getitem__(index)

    def __iter__(self) -> Any:
        for job in super().__iter__():
            Watched.looks += 1
            yield job


@settings(max_examples=15, deadline=None)
@given(
    rare=st.lists(st.integers(0, 4_999), unique=True, max_size=5),
    limit=st.integers(1, 10),
    status=st.sampled_from(STATUSES),
    newest_first=st.booleans(),
)
def test_a_page_costs_what_is_on_it(
    rare: list[int], limit: int, status: Status, newest_first: bool
) -> None:
    """Of 5,000 jobs a page looks at those which it tells, however rare they are, and no other."""
    jobs = JobTable(retain=5_000)
    common: Status = "completed" if status != "completed" else "failed"
    for number in range(5_000):
        jobs.add(new_job(number, "rare" if number in rare else "email"))
    for job in list(jobs):
        wanted = status if job.type == "rare" else common
        if wanted != "pending":
            move(jobs, job, "processing")
        if wanted not in ("pending", "processing"):
            move(jobs, job, wanted)
    for chunk in jobs._chunks.values():
        chunk.jobs = Watched(chunk.jobs)
    expected = [f"{number:08}" for number in sorted(rare, reverse=newest_first)][:limit]
    for asked in (
        {"status": status, "job_type": None},
        {"status": None, "job_type": "rare"},
        {"status": status, "job_type": "rare"},
    ):
        Watched.looks = 0
        page = jobs.page(**asked, after=None, limit=limit, newest_first=newest_first)
        assert [job.id for job in page] == expected
        assert Watched.looks == len(expected)


def test_going_on_behind_a_job_looks_at_one_chunk_more() -> None:
    """A cursor is found by bisection, and only its own chunk is searched."""
    jobs = JobTable(retain=0)
    for number in range(5_000):
        jobs.add(new_job(number, "email"))
    for chunk in jobs._chunks.values():
        chunk.jobs = Watched(chunk.jobs)
    Watched.looks = 0
    page = jobs.page(status=None, job_type=None, after="00001234", limit=3)
    assert [job.id for job in page] == ["00001235", "00001236", "00001237"]
    assert Watched.looks <= table.CHUNK + len(page)


def test_a_job_that_runs_again_is_listed_once() -> None:
    """However often it went back and began anew."""
    jobs = JobTable(retain=0)
    job = new_job(1, "email")
    jobs.add(job)
    again: tuple[Status, ...] = ("processing", "pending", "processing")
    for status in again:
        move(jobs, job, status)
    assert jobs.page(status="processing", job_type=None, after=None, limit=9) == [job]
    assert jobs.page(status="pending", job_type=None, after=None, limit=9) == []
