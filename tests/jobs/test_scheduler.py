"""Schedules at work: what makes a job, what makes none and says so."""

import itertools
from collections.abc import Callable, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
import trio
from msgspec import UNSET

from job_service.errors import StoreUnavailable
from job_service.jobs.registration.registry import Registry
from job_service.jobs.state.detail import JobDetail, JobSummary
from job_service.stores.memory import MemoryStore
from job_service.telemetry.events import JobCreated, ScheduleSkipped
from tests.conftest import Rig
from tests.jobs.virtual_time import WallClock

START = datetime(2026, 3, 29, 0, 58, 30, tzinfo=UTC)


def skips(rig: Rig) -> list[tuple[str, object, str]]:
    """What was said of ticks that made no job."""
    return [(e.reason, e.ticks, e.level) for e in rig.record.of(ScheduleSkipped)]


def made(rig: Rig) -> int:
    """How many jobs were made."""
    return len(rig.record.of(JobCreated))


async def finish(rig: Rig) -> None:
    """End the engine."""
    rig.engine.stop("requested")
    await trio.testing.wait_all_tasks_blocked()


async def test_an_interval_does_not_drift(
    autojump_clock: trio.abc.Clock, make_rig: Callable[..., Rig], registry: Registry
) -> None:
    """It ticks at whole multiples from the start, however long its jobs take."""
    ran: list[float] = []

    @registry.every(30)
    async def refresh() -> None:
        ran.append(round(trio.current_time() - start, 6))
        await trio.sleep(7)

    rig = make_rig()
    await rig.start()
    start = trio.current_time()
    await trio.sleep(100)
    assert ran == [30, 60, 90]
    assert [job.schedule for job in await rig.queue.list()] == ["refresh"] * 3
    assert [event.schedule for event in rig.record.of(JobCreated)] == ["refresh"] * 3
    await finish(rig)


async def test_a_cron_job_runs_at_its_moment(
    autojump_clock: trio.abc.Clock, make_rig: Callable[..., Rig], registry: Registry
) -> None:
    """02:30 on the day it is skipped: at 03:00, which is 90 seconds from now."""
    ran: list[datetime] = []
    wall = WallClock(START)

    @registry.cron("30 2 * * *", tz="Europe/Berlin")
    async def nightly() -> None:
        ran.append(wall.now())

    rig = make_rig(clock=wall.clock)
    await rig.start()
    await trio.sleep(3600)
    assert [moment.replace(microsecond=0) for moment in ran] == [START + timedelta(seconds=90)]
    await finish(rig)


@pytest.mark.parametrize(("overlap", "jobs"), [(False, 1), (True, 3)])
async def test_jobs_of_a_schedule_overlap_only_where_asked_for(
    autojump_clock: trio.abc.Clock,
    make_rig: Callable[..., Rig],
    registry: Registry,
    overlap: bool,
    jobs: int,
) -> None:
    """A tick while the last job is under way makes none and says so."""

    @registry.every(10, overlap=overlap)
    async def slow() -> None:
        await trio.sleep_forever()

    rig = make_rig()
    await rig.start()
    await trio.sleep(35)
    assert made(rig) == jobs
    assert skips(rig) == [("overlap", UNSET, "info")] * (3 - jobs)
    assert rig.snapshot().ticks_skipped == 3 - jobs
    await finish(rig)


async def test_a_tick_waits_for_a_store_in_trouble(
    autojump_clock: trio.abc.Clock, make_rig: Callable[..., Rig], registry: Registry
) -> None:
    """It makes its job when that is well again; what was missed meanwhile is made up for once."""

    class Unwell(MemoryStore):
        async def get(self, job_id: str) -> JobDetail:
            self.require_well()
            return await super().get(job_id)

        async def submit(self, *args: Any, **kwargs: Any) -> Sequence[JobSummary]:
            self.require_well()
            return await super().submit(*args, **kwargs)

        def require_well(self) -> None:
            if 15 < trio.current_time() - start < 45:
                raise StoreUnavailable("disk full")

    @registry.every(10)
    async def quick() -> None: ...

    rig = make_rig(store=Unwell)
    start = trio.current_time()
    await rig.start()
    await trio.sleep(55)
    assert made(rig) == 4  # after 10, 45 and 50 seconds; at 45 another one for what was missed
    assert skips(rig) == [("missed", 1, "warning")]
    await finish(rig)


async def test_a_full_queue_skips_the_tick(
    autojump_clock: trio.abc.Clock, make_rig: Callable[..., Rig], registry: Registry
) -> None:
    """It says so, and goes on ticking."""

    @registry.every(10, overlap=True)
    async def slow() -> None:
        await trio.sleep_forever()

    rig = make_rig(workers=1, queue_capacity=1)
    await rig.start()
    await trio.sleep(45)
    assert made(rig) == 2
    assert skips(rig) == [("full", UNSET, "warning")] * 2
    await finish(rig)


async def test_ticks_of_a_suspended_machine_are_not_piled_up(
    autojump_clock: trio.abc.Clock, make_rig: Callable[..., Rig], registry: Registry
) -> None:
    """An hour that it slept makes one run, within a minute, and says the rest."""
    wall = WallClock(START)

    @registry.cron("*/10 * * * *")
    async def refresh() -> None: ...

    rig = make_rig(clock=wall.clock)
    await rig.start()
    await trio.sleep(1)
    wall.suspended = timedelta(hours=1)
    await trio.sleep(70)
    assert made(rig) == 1
    assert skips(rig) == [("missed", 5, "warning")]
    await finish(rig)


@pytest.mark.slow
async def test_a_clock_set_back_repeats_nothing_that_is_at_a_fixed_time(
    autojump_clock: trio.abc.Clock, make_rig: Callable[..., Rig], registry: Registry
) -> None:
    """Less than three hours are waited for; a clock that was plainly wrong starts time anew."""
    wall = WallClock(START)

    @registry.cron("59 0 * * *")
    async def nightly() -> None: ...

    rig = make_rig(clock=wall.clock)
    await rig.start()
    await trio.sleep(31)
    assert made(rig) == 1
    wall.ahead = timedelta(hours=-1)
    await trio.sleep(2 * 3_600)
    assert made(rig) == 1
    wall.ahead = timedelta(hours=-6)
    await trio.sleep(5 * 3_600)
    assert made(rig) == 2
    await finish(rig)


@pytest.mark.parametrize("back", [timedelta(seconds=5), timedelta(minutes=59), timedelta(days=30)])
async def test_what_is_at_no_fixed_time_goes_on_by_a_clock_that_was_set_back(
    back: timedelta,
    autojump_clock: trio.abc.Clock,
    make_rig: Callable[..., Rig],
    registry: Registry,
) -> None:
    """At once, by however much."""
    wall = WallClock(START)

    @registry.cron("*/2 * * * * *")
    async def often() -> None: ...

    rig = make_rig(clock=wall.clock)
    await rig.start()
    await trio.sleep(5)
    before = made(rig)
    wall.ahead = -back
    await trio.sleep(12)
    assert made(rig) - before in (5, 6, 7)
    assert skips(rig) == []
    (view,) = rig.queue.schedules.views()
    assert view.next_run_at is not None
    assert timedelta() <= view.next_run_at - wall.now() <= timedelta(seconds=2)
    await finish(rig)


async def test_a_clock_that_is_kept_right_repeats_nothing(
    autojump_clock: trio.abc.Clock, make_rig: Callable[..., Rig], registry: Registry
) -> None:
    """A step of a second, just after an hourly run, makes no second one."""
    wall = WallClock(START)

    @registry.cron("@hourly")
    async def hourly() -> None: ...

    rig = make_rig(clock=wall.clock)
    await rig.start()
    await trio.sleep(90.2)
    assert made(rig) == 1
    wall.ahead = timedelta(seconds=-1)
    await trio.sleep(3_500)
    assert made(rig) == 1
    await trio.sleep(200)
    assert made(rig) == 2
    await finish(rig)


@pytest.mark.parametrize(("hours", "jobs", "missed"), [(2.9, 1, 1), (3.1, 0, 0), (30 * 24, 0, 0)])
async def test_what_a_clock_set_forward_skips_runs_if_the_time_was_about_right(
    hours: float,
    jobs: int,
    missed: int,
    autojump_clock: trio.abc.Clock,
    make_rig: Callable[..., Rig],
    registry: Registry,
) -> None:
    """Once and at once, for less than three hours; a clock that was plainly wrong skips nothing."""
    wall = WallClock(START)

    @registry.cron("0 2,3 * * *")
    async def nightly() -> None: ...

    rig = make_rig(clock=wall.clock)
    await rig.start()
    await trio.sleep(1)
    wall.ahead = timedelta(hours=hours)
    await trio.sleep(2)
    assert made(rig) == jobs
    assert skips(rig) == [("missed", missed, "warning")] * jobs
    (view,) = rig.queue.schedules.views()
    assert view.next_run_at is not None
    assert view.next_run_at > wall.now()
    await finish(rig)


@pytest.mark.parametrize(
    ("forward", "jobs"),
    [
        (timedelta(seconds=2), 1),
        (timedelta(minutes=20), 0),
        (timedelta(hours=2), 0),
        (timedelta(days=30), 0),
        (timedelta(hours=1, seconds=1.2), 1),
    ],
)
async def test_what_is_at_no_fixed_time_goes_on_by_a_clock_that_was_set_forward(
    forward: timedelta,
    jobs: int,
    autojump_clock: trio.abc.Clock,
    make_rig: Callable[..., Rig],
    registry: Registry,
) -> None:
    """It runs if the new time is its own, or has just passed it, and not for what is long over."""
    wall = WallClock(START + timedelta(seconds=88))  # two seconds before one o'clock

    @registry.cron("*/10 * * * *")
    async def often() -> None: ...

    rig = make_rig(clock=wall.clock)
    await rig.start()
    await trio.sleep(0.5)
    wall.ahead = forward
    await trio.sleep(1)
    assert made(rig) == jobs
    assert skips(rig) == []
    await finish(rig)


@pytest.mark.parametrize(
    ("expression", "years", "missed"), [("* * * * * *", 20, 10_000), ("@yearly", 100, 99)]
)
async def test_counting_what_was_missed_holds_nobody_up(
    expression: str,
    years: int,
    missed: int,
    autojump_clock: trio.testing.MockClock,
    make_rig: Callable[..., Rig],
    registry: Registry,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Ticks are counted up to a bound, and others run in between, however rare the ticks are."""
    wall = WallClock(START)

    @registry.cron(expression)
    async def often() -> None: ...

    rig = make_rig(clock=wall.clock)
    await rig.start()
    await trio.sleep(0.5)
    seconds = itertools.count()
    monkeypatch.setattr("job_service.jobs.queueing.scheduler.monotonic", lambda: next(seconds))
    wall.suspended = timedelta(days=years * 365.25)
    autojump_clock.jump(1)
    turns = 0
    while not skips(rig):
        await trio.lowlevel.checkpoint()
        turns += 1
    assert turns >= missed
    assert skips(rig) == [("missed", missed, "warning")]
    await finish(rig)


async def test_a_drain_ends_all_ticks(
    autojump_clock: trio.abc.Clock, make_rig: Callable[..., Rig], registry: Registry
) -> None:
    """No job is made after its beginning, even while others still run."""

    @registry.every(10, overlap=True)
    async def slow() -> None:
        await trio.sleep(100)

    rig = make_rig()
    await rig.start()
    await trio.sleep(15)
    rig.engine.drain(1000)
    await trio.sleep(500)
    assert made(rig) == 1
    assert rig.engine.outcome == "drained"
    assert skips(rig) == []


async def test_a_crash_of_the_scheduler_is_one_of_the_engine(
    autojump_clock: trio.abc.Clock, make_rig: Callable[..., Rig], registry: Registry
) -> None:
    """Nobody has to find out from jobs that don't come."""

    @registry.every(10)
    async def refresh() -> None: ...

    rig = make_rig()

    async def broken(*_: object, **__: object) -> None:
        raise RuntimeError("a bug")

    rig.store.submit = broken  # type: ignore[assignment,method-assign]
    with pytest.raises(ExceptionGroup):
        await rig.engine.run()
    assert rig.engine.outcome == "crashed"


async def test_ticks_of_a_blocked_loop_are_not_piled_up(
    autojump_clock: trio.testing.MockClock, make_rig: Callable[..., Rig], registry: Registry
) -> None:
    """One run makes up for all, and the next comes at its own time."""
    ran: list[float] = []

    @registry.every(10)
    async def refresh() -> None:
        ran.append(round(trio.current_time() - start, 6))

    rig = make_rig()
    await rig.start()
    start = trio.current_time()
    await trio.testing.wait_all_tasks_blocked()
    autojump_clock.jump(45)
    await trio.sleep(10)
    assert ran == [45, 50]
    assert skips(rig) == [("missed", 3, "warning")]
    await finish(rig)
