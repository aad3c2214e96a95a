"""Reading the jobs: which are kept, in what order, and page by page."""

from collections.abc import Sequence
from itertools import chain
from typing import get_args

import pytest
import trio
import trio.testing

from job_service.errors import UnknownJob
from job_service.jobs.registration.context import JobContext
from job_service.jobs.registration.registry import Registry
from job_service.jobs.registration.retry import Retry
from job_service.jobs.state.detail import JobSummary
from job_service.jobs.state.model import Status
from tests.conftest import Rig
from tests.jobs.steps import MakeRig, run_one

Autojump = trio.testing.MockClock


@pytest.fixture(autouse=True)
def _job_types(registry: Registry) -> None:
    @registry.job("works")
    async def works() -> None: ...

    @registry.job("fails", retry=Retry(max_retries=0))
    async def fails() -> None:
        raise ValueError("no")

    @registry.job("later", retry=Retry(base_seconds=3_600, max_seconds=3_600))
    async def later(job: JobContext) -> None:
        raise ValueError("not yet")

    @registry.job("long")
    async def long() -> None:
        await trio.sleep_forever()


def ids(jobs: Sequence[JobSummary]) -> list[str]:
    """Their ids, in their order."""
    return [job.id for job in jobs]


async def submit(rig: Rig, *job_types: str) -> list[str]:
    """Submit jobs of these types, let them run; their ids."""
    jobs = [await rig.queue.submit(job_type) for job_type in job_types]
    await trio.testing.wait_all_tasks_blocked()
    return ids(jobs)


async def test_ids_sort_by_creation(make_rig: MakeRig) -> None:
    """However fast jobs are submitted, a later one has a greater id."""
    rig = make_rig(queue_capacity=5_000)
    submitted = await submit(rig, *["works"] * 5_000)
    assert submitted == sorted(set(submitted))


async def test_jobs_are_listed_oldest_first(make_rig: MakeRig) -> None:
    """In the order of their submission, whatever became of them, and none at first."""
    rig = make_rig()
    assert await rig.queue.list() == []
    await rig.start()
    submitted = await submit(rig, "fails", "works", "later", "works", "long")
    assert ids(await rig.queue.list()) == submitted


async def test_the_jobs_that_finished_first_are_forgotten_first(make_rig: MakeRig) -> None:
    """As many finished jobs are kept as --retain says; unfinished ones are kept, however old."""
    rig = make_rig(workers=2, retain=3)
    await rig.start()
    running, waiting = await submit(rig, "long", "later")
    finished = [(await run_one(rig, "works")).id for _ in range(5)]

    assert ids(await rig.queue.list()) == [running, waiting, *finished[2:]]
    for job_id in finished[:2]:
        with pytest.raises(UnknownJob):
            await rig.queue.get(job_id)
    await rig.queue.cancel(running)
    await trio.testing.wait_all_tasks_blocked()
    assert ids(await rig.queue.list()) == [running, waiting, *finished[3:]]
    assert rig.snapshot().jobs_completed == 5, "forgotten, but still counted"


async def test_nothing_finished_need_be_kept(make_rig: MakeRig) -> None:
    """With --retain 0 a job is gone when it ends, and calling one off still tells its detail."""
    rig = make_rig(retain=0, workers=1)
    await rig.start()
    (job_id,) = await submit(rig, "later")
    assert (await rig.queue.cancel(job_id)).status == "cancelled"
    await submit(rig, "works", "fails")
    assert await rig.queue.list() == []
    assert rig.snapshot().jobs_created == 3


async def test_a_list_can_be_of_one_status_and_type(make_rig: MakeRig) -> None:
    """Each alone and both together."""
    rig = make_rig(workers=2)
    await rig.start()
    one, two, failed, long, later = await submit(rig, "works", "works", "fails", "long", "later")
    await rig.queue.cancel(later)
    expected = {
        "completed": [one, two],
        "failed": [failed],
        "processing": [long],
        "cancelled": [later],
    }
    for status in get_args(Status):
        assert ids(await rig.queue.list(status=status)) == expected.get(status, [])
    assert ids(await rig.queue.list(job_type="works")) == [one, two]
    assert ids(await rig.queue.list(job_type="works", status="completed", limit=1)) == [one]
    assert await rig.queue.list(job_type="works", status="failed") == []
    assert await rig.queue.list(job_type="no_such_type") == []


@pytest.mark.parametrize("limit", [1, 2, 3, 4, 10])
async def test_pages_together_are_the_whole_list(limit: int, make_rig: MakeRig) -> None:
    """Each page begins behind the last job of the one before it."""
    rig = make_rig()
    submitted = await submit(rig, *["works"] * 4)
    pages: list[list[str]] = []
    while page := ids(await rig.queue.list(limit=limit, after=pages[-1][-1] if pages else None)):
        pages.append(page)
    assert list(chain(*pages)) == submitted
    assert {len(page) for page in pages[:-1]} <= {limit}


async def test_the_newest_can_come_first(make_rig: MakeRig) -> None:
    """Then each page goes on with what is older; and a job that comes meanwhile is on none."""
    rig = make_rig()
    submitted = await submit(rig, *["works"] * 4)
    first = ids(await rig.queue.list(limit=3, newest_first=True))
    assert first == submitted[:0:-1]
    await submit(rig, "works")
    assert ids(await rig.queue.list(after=first[-1], newest_first=True)) == submitted[:1]


@pytest.mark.parametrize("limit", [0, 1, 3])
async def test_a_page_is_never_longer_than_asked_for(limit: int, make_rig: MakeRig) -> None:
    """Nor shorter, where there are enough jobs."""
    rig = make_rig()
    await submit(rig, *["works"] * 5)
    assert len(await rig.queue.list(limit=limit)) == limit


async def test_a_reader_whose_last_job_was_forgotten_goes_on_behind_it(make_rig: MakeRig) -> None:
    """Between two pages jobs may be forgotten; no other job is left out or told twice."""
    rig = make_rig(workers=1, retain=6)
    await rig.start()
    submitted = await submit(rig, *["works"] * 6)
    page = ids(await rig.queue.list(limit=3))
    newer = await submit(rig, *["works"] * 4)
    rest = ids(await rig.queue.list(after=page[-1], limit=100))

    with pytest.raises(UnknownJob):
        await rig.queue.get(page[-1])
    assert rest == [*submitted[4:], *newer]


async def test_pages_are_right_after_thousands_have_been_forgotten(make_rig: MakeRig) -> None:
    """Also when whole chunks of the table have been given up."""
    rig = make_rig(workers=1, retain=2, queue_capacity=5_000)
    await rig.start()
    submitted = await submit(rig, "later", *["works"] * 3_000)
    assert ids(await rig.queue.list()) == [submitted[0], *submitted[-2:]]
    assert ids(await rig.queue.list(after=submitted[1_500])) == submitted[-2:]
    assert ids(await rig.queue.list(after=submitted[-1])) == []
    assert len(rig.store._jobs._chunks) == 2, "memory stays bounded"


async def test_a_summary_says_what_fits_a_line(make_rig: MakeRig, autojump_clock: Autojump) -> None:
    """Type, status, moments, attempts, last error; run_at only while the job waits for it."""
    rig = make_rig()
    await rig.start()
    await submit(rig, "later", "works")
    later, works = await rig.queue.list()

    assert (later.type, later.status, later.attempt) == ("later", "pending", 1)
    assert (later.error, later.finished_at) == ("ValueError: not yet", None)
    assert later.run_at is not None
    assert later.run_at > later.created_at
    assert (works.type, works.status, works.attempt, works.error) == ("works", "completed", 1, None)
    assert works.run_at is None
    assert works.finished_at is not None
