"""The table of jobs against a plain list of them, and what a page of it costs."""

from datetime import UTC, datetime
from itertools import pairwise
from typing import Any, get_args

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from job_service.jobs.state import chunk as chunks
from job_service.jobs.state import table
from job_service.jobs.state.job_filter import JobFilter
from job_service.jobs.state.model import TERMINAL, TRANSITIONS, Job, Status
from job_service.jobs.state.table import JobTable

NOW = datetime(2026, 1, 31, tzinfo=UTC)
TYPES = ("email", "report", "rare")
STATUSES: tuple[Status, ...] = get_args(Status)

filters = st.builds(
    JobFilter,
    statuses=st.lists(st.sampled_from(STATUSES), max_size=3, unique=True).map(tuple),
    types=st.lists(st.sampled_from([*TYPES, "unknown"]), max_size=2, unique=True).map(tuple),
    id_part=st.none() | st.sampled_from(["1", "02", "003", "X"]),
    tag=st.none() | st.sampled_from(["even", "odd"]),
)


def new_job(number: int, job_type: str) -> Job:
    """A job whose id sorts by its number."""
    return Job(f"{number:08}", job_type, b"null", 0, NOW, NOW, tags=("odd",) if number % 2 else ())


def move(jobs: JobTable, job: Job, to: Status) -> None:
    """Do to the table what its store does at a transition."""
    job.status = to
    jobs.moved(job)


class ListedJobs(RuleBasedStateMachine):
    """Creates jobs, moves them as they may be moved, and reads pages of all kinds."""

    def __init__(self) -> None:
        super().__init__()
        self.created: list[Job] = []
        self.kept: list[Job] = []
        self.jobs = JobTable()

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
        """Some jobs go on."""
        for _ in range(count):
            unfinished = [job for job in self.kept if job.status not in TERMINAL]
            if not unfinished:
                return
            job = data.draw(st.sampled_from(unfinished))
            move(self.jobs, job, data.draw(st.sampled_from(sorted(TRANSITIONS[job.status]))))

    @rule(data=st.data(), oldest=st.booleans())
    def forget(self, data: st.DataObject, oldest: bool) -> None:
        """Finished jobs go: all, but for a few here and there, or for the newest."""
        finished = [job for job in self.kept if job.status in TERMINAL]
        if oldest:
            spared = finished[data.draw(st.integers(0, 20)) :]
        else:
            spared = [job for job in finished if data.draw(st.integers(0, 9)) == 0]
        for job in finished:
            if job not in spared:
                self.jobs.forget(job)
                self.kept.remove(job)

    @rule(
        wanted=filters,
        cursor=st.none() | st.integers(-1, 200),
        limit=st.integers(0, 40),
        newest_first=st.booleans(),
    )
    def read_a_page(
        self, wanted: JobFilter, cursor: int | None, limit: int, newest_first: bool
    ) -> None:
        """It has what a plain list would give, whatever is asked, from behind any id."""
        after = None if cursor is None else f"{cursor:08}"
        expected = self.expected(wanted, after, newest_first=newest_first)
        found = self.jobs.page(wanted, after=after, limit=limit, newest_first=newest_first)
        assert found.jobs == expected[:limit]

    @rule(wanted=filters, looks=st.integers(1, 9), newest_first=st.booleans())
    def look_at_few_jobs_at_a_time(self, wanted: JobFilter, looks: int, newest_first: bool) -> None:
        """Page after page comes the whole list, each after no more than so many looks."""
        found: list[Job] = []
        after: str | None = None
        while True:
            page = self.jobs.page(
                wanted, after=after, limit=5, newest_first=newest_first, looks=looks
            )
            assert len(page.jobs) <= min(5, looks)
            found += page.jobs
            if page.edge is None:
                break
            after = page.edge
        assert found == self.expected(wanted, None, newest_first=newest_first)

    def expected(self, wanted: JobFilter, after: str | None, *, newest_first: bool) -> list[Job]:
        """What a plain list would give."""
        expected = [
            job
            for job in self.kept
            if wanted.matches(job)
            and (after is None or (job.id < after if newest_first else job.id > after))
        ]
        return expected[::-1] if newest_first else expected

    @invariant()
    def every_kept_job_is_there(self) -> None:
        """All of them, by their ids and in their order; and no other."""
        if self.created:
            assert list(self.jobs) == self.kept
            assert [self.jobs.get(job.id) for job in self.kept] == self.kept

    @invariant()
    def memory_is_bounded_by_the_jobs_that_are_kept(self) -> None:
        """No two chunks side by side are sparse, but for the one that is being filled."""
        numbers = self.jobs._numbers[:-1]
        assert sorted(self.jobs._chunks)[:-1] == numbers
        sparse = [self.jobs._chunks[number].is_sparse for number in numbers]
        assert not any(older and newer for older, newer in pairwise(sparse))
        assert all(self.jobs._chunks[number].kept for number in numbers)


@pytest.fixture(autouse=True, scope="module")
def small_chunks() -> Any:
    """Chunks of eight, so that a few jobs fill some."""
    with pytest.MonkeyPatch.context() as patch:
        for module in (chunks, table):
            patch.setattr(module, "CHUNK", 8)
            patch.setattr(module, "SPARSE", 2)
        patch.setattr(chunks, "_ALL_BITS", (1 << 8) - 1)
        yield


ListedJobs.TestCase.settings = settings(max_examples=60, stateful_step_count=30)
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


@settings(max_examples=15)
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
    jobs = JobTable()
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
    for wanted_jobs in (
        JobFilter(statuses=(status,)),
        JobFilter(types=("rare",)),
        JobFilter(statuses=(status,), types=("rare", "unknown")),
    ):
        Watched.looks = 0
        page = jobs.page(wanted_jobs, after=None, limit=limit, newest_first=newest_first)
        assert [job.id for job in page.jobs] == expected
        assert Watched.looks == len(expected)


def test_going_on_behind_a_job_looks_at_one_chunk_more() -> None:
    """A cursor is found by bisection, and only its own chunk is searched."""
    jobs = JobTable()
    for number in range(5_000):
        jobs.add(new_job(number, "email"))
    for chunk in jobs._chunks.values():
        chunk.jobs = Watched(chunk.jobs)
    Watched.looks = 0
    page = jobs.page(JobFilter(), after="00001234", limit=3).jobs
    assert [job.id for job in page] == ["00001235", "00001236", "00001237"]
    assert Watched.looks <= chunks.CHUNK + len(page)


def test_a_job_that_runs_again_is_listed_once() -> None:
    """However often it went back and began anew."""
    jobs = JobTable()
    job = new_job(1, "email")
    jobs.add(job)
    again: tuple[Status, ...] = ("processing", "pending", "processing")
    for status in again:
        move(jobs, job, status)
    assert jobs.page(JobFilter(statuses=("processing",)), after=None, limit=9).jobs == [job]
    assert jobs.page(JobFilter(statuses=("pending",)), after=None, limit=9).jobs == []


def test_a_job_that_waits_for_long_does_not_keep_the_room_of_all_around_it() -> None:
    """Where one of a hundred is left, there are no more chunks than for as many new ones."""
    jobs = JobTable()
    for number in range(5_000):
        jobs.add(new_job(number, "email"))
    for job in list(jobs):
        if int(job.id) % 100:
            move(jobs, job, "cancelled")
            jobs.forget(job)
    kept = len(list(jobs))
    assert kept == 50
    assert len(jobs._chunks) <= 2 * kept / chunks.CHUNK * 4 + 1
    page = jobs.page(JobFilter(), after=None, limit=99).jobs
    assert [int(job.id) for job in page] == [*range(0, 5_000, 100)]
