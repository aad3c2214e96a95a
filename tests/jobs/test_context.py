"""What a handler may know of its run: the job's own terms, and those of this attempt."""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
import trio
import trio.testing

from job_service import Discard, JobContext, Registry, Retry, Snooze
from job_service.jobs.registration.schedule import Cron
from tests.jobs.steps import START, MakeRig, run_one, running, virtual_clock
from tests.jobs.virtual_time import WallClock


@pytest.fixture
def contexts(registry: Registry) -> list[JobContext]:
    """What `fails` and `plain` were told, which both take up to ten seconds."""
    seen: list[JobContext] = []

    @registry.job("fails", retry=Retry(max_retries=2, base_seconds=1, jitter=0), timeout=10)
    async def fails(error: str, job: JobContext) -> None:
        seen.append(job)
        if error == "snooze" and job.attempt == 1:
            raise Snooze(1)
        if error == "discard":
            raise Discard("no")
        raise ValueError("no")

    @registry.job("plain")
    def plain(job: JobContext) -> None:
        seen.append(job)

    return seen


async def test_a_handler_knows_when_no_retry_is_left(
    make_rig: MakeRig, contexts: list[JobContext], autojump_clock: trio.abc.Clock
) -> None:
    """A snooze is no failure, and moves that by one attempt."""
    rig = make_rig()
    await rig.start()
    await run_one(rig, "fails", "value")
    await trio.sleep(10)
    assert [job.is_last_attempt for job in contexts] == [False, False, True]
    contexts.clear()
    await run_one(rig, "fails", "snooze")
    await trio.sleep(10)
    assert [job.is_last_attempt for job in contexts] == [False, False, False, True]
    contexts.clear()
    await run_one(rig, "fails", "value", max_retries=0)
    assert [(job.max_retries, job.is_last_attempt) for job in contexts] == [(0, True)]


async def test_a_handler_knows_the_terms_of_its_job(
    make_rig: MakeRig, contexts: list[JobContext], autojump_clock: trio.abc.Clock
) -> None:
    """Its moments are those of the story, and the deadline is that of this attempt."""
    rig = make_rig(clock=virtual_clock())
    await rig.start()
    detail = await run_one(rig, "fails", "value", unique_key="ada", max_retries=1)
    await trio.sleep(10)
    first, second = contexts
    assert (first.created_at, first.unique_key, first.max_retries) == (START, "ada", 1)
    assert detail.created_at == first.created_at == second.created_at
    assert (first.deadline, second.deadline) == (
        START + timedelta(seconds=10),
        START + timedelta(seconds=11),
    )
    assert first.scheduled_for is None


async def test_a_job_without_any_of_it_says_so(
    registry: Registry, contexts: list[JobContext]
) -> None:
    """Nothing is made up."""
    async with running(registry) as rig:
        await rig.queue.submit("plain")
    (job,) = contexts
    assert (job.unique_key, job.scheduled_for, job.deadline) == (None, None, None)


async def test_a_scheduled_job_knows_its_tick(
    make_rig: MakeRig, registry: Registry, autojump_clock: trio.abc.Clock
) -> None:
    """Though it may start later, be retried, or be run again by hand."""
    ticks: list[datetime | None] = []

    @registry.every(30, retry=Retry(base_seconds=5, max_retries=1))
    async def refresh(job: JobContext) -> None:
        ticks.append(job.scheduled_for)
        if job.attempt == 1:
            raise ValueError("at first")

    rig = make_rig(clock=virtual_clock())
    await rig.start()
    await trio.sleep(40)
    tick = START + timedelta(seconds=30)
    assert ticks == [tick, tick]
    (job,) = await rig.queue.list()
    assert job.scheduled_for == tick
    again = await rig.queue.retry(job.id)
    await trio.sleep(1)
    assert (again.schedule, again.scheduled_for) == (None, tick)
    assert ticks == [tick] * 3


async def test_a_job_that_makes_up_for_several_ticks_has_the_last(
    make_rig: Callable[..., Any], registry: Registry, autojump_clock: trio.abc.Clock
) -> None:
    """The moment is that of the schedule, and not when somebody got round to it."""
    wall = WallClock(datetime(2026, 3, 3, 0, 59, 30, tzinfo=UTC))
    ticks: list[datetime | None] = []

    @registry.cron("*/10 * * * *")
    async def refresh(job: JobContext) -> None:
        ticks.append(job.scheduled_for)

    rig = make_rig(clock=wall.clock)
    await rig.start()
    await trio.sleep(45)
    wall.suspended = timedelta(hours=1)
    await trio.sleep(70)
    assert ticks == [
        datetime(2026, 3, 3, 1, 0, tzinfo=UTC),
        datetime(2026, 3, 3, 2, 0, tzinfo=UTC),
    ]


@pytest.mark.parametrize(
    ("expression", "last"),
    [
        ("* * * * *", datetime(2026, 3, 3, 12, 30, tzinfo=UTC)),
        ("*/7 3 * * *", datetime(2026, 3, 3, 3, 56, tzinfo=UTC)),
        ("0 0 1 1 *", datetime(2026, 1, 1, tzinfo=UTC)),
        ("30 12 29 2 *", datetime(2024, 2, 29, 12, 30, tzinfo=UTC)),
        ("30 12 3 3 *", datetime(2026, 3, 3, 12, 30, tzinfo=UTC)),
    ],
)
def test_the_last_tick_is_found_however_long_ago_it_was(expression: str, last: datetime) -> None:
    """A moment that is a tick is one itself."""
    assert Cron(expression).last(datetime(2026, 3, 3, 12, 30, tzinfo=UTC)) == last
