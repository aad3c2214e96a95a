"""A job may be submitted for later: in so many seconds, or at a moment."""

import random
from collections.abc import Callable
from datetime import UTC, datetime, timedelta, timezone
from types import SimpleNamespace
from typing import Any, cast

import pytest
import trio
import trio.testing

from job_service import Registry
from job_service.errors import InvalidOption, QueueFull
from job_service.jobs.queueing.later import LaterJobs
from job_service.jobs.queueing.options import JobOptions
from job_service.jobs.state.model import Job
from job_service.telemetry.events import JobCreated, JobEnqueued
from tests.conftest import Rig
from tests.jobs.step_count import steps_of_a_job
from tests.jobs.steps import MakeRig, abandoned, at_once, check_the_end, endings, run_one, running
from tests.jobs.virtual_time import VIRTUAL, WallClock, moment

Autojump = trio.testing.MockClock

TEN_YEARS = 10 * 365 * 86_400


@pytest.fixture
def starts(registry: Registry) -> list[tuple[float, Any]]:
    """When each job of type `notes` was started, and with which payload."""
    seen: list[tuple[float, Any]] = []

    @registry.job("notes")
    async def notes(name: Any) -> None:
        seen.append((trio.current_time(), name))

    return seen


def later_in(rig: Rig) -> LaterJobs[float]:
    """Where the engine keeps what is due in so many seconds."""
    return rig.engine._dispatcher._delayed._in_seconds


@pytest.mark.parametrize(
    "options",
    [
        JobOptions(delay_seconds=90),
        JobOptions(run_at=moment(90)),
        JobOptions(run_at=moment(90).astimezone(timezone(timedelta(hours=-7)))),
    ],
)
async def test_a_job_starts_when_its_time_has_come_and_not_before(
    options: JobOptions,
    starts: list[tuple[float, Any]],
    registry: Registry,
    autojump_clock: Autojump,
) -> None:
    """Whichever way it is said, and in whichever time zone; till then it is pending, not ready."""
    async with running(registry, grace=1_000, clock=VIRTUAL) as rig:
        job = await run_one(rig, "notes", "later", **options)
        assert (job.status, job.run_at, job.waits_because) == ("pending", moment(90), "due in 90 s")
        assert (await rig.queue.view()).later == 1
        now = rig.snapshot()
        assert (now.jobs_pending, now.jobs_ready) == (1, 0)
        await trio.sleep(89.9)
        assert starts == []
    assert starts == [(90, "later")]
    assert [event.run_at for event in rig.record.of(JobCreated)] == [moment(90)]
    assert [event.timestamp for event in rig.record.of(JobEnqueued)] == [moment(90)]
    detail = await rig.queue.get(job.id)
    assert (detail.run_at, detail.attempts[0].started_at) == (None, moment(90))


@pytest.mark.parametrize(
    "options",
    [
        JobOptions(delay_seconds=0),
        JobOptions(run_at=moment(-1)),
        JobOptions(run_at=datetime(1, 1, 1, tzinfo=timezone(timedelta(hours=14)))),
    ],
)
async def test_a_time_that_has_passed_is_now(
    options: JobOptions,
    starts: list[tuple[float, Any]],
    make_rig: MakeRig,
    autojump_clock: Autojump,
) -> None:
    """The job starts at once, and its line says nothing of a later time."""
    rig = make_rig(clock=VIRTUAL)
    await rig.start()
    job = await run_one(rig, "notes", "now", **options)
    assert (job.status, job.run_at, starts) == ("completed", None, [(0, "now")])
    assert "run_at" not in next(line for line in rig.lines if line["event"] == "job_created")


async def test_jobs_start_in_the_order_of_their_moments(
    starts: list[tuple[float, Any]], registry: Registry, autojump_clock: Autojump
) -> None:
    """Not of their submission, but where the moment is the same."""
    async with running(registry, workers=1, clock=VIRTUAL) as rig:
        for name, seconds in (("c", 30), ("a", 10), ("b", 20), ("also b", 20), ("now", 0)):
            await rig.queue.submit("notes", name, delay_seconds=seconds)
    assert starts == [(0, "now"), (10, "a"), (20, "b"), (20, "also b"), (30, "c")]


async def test_the_time_counts_from_the_submission_and_not_from_the_start_of_the_workers(
    starts: list[tuple[float, Any]], make_rig: MakeRig, autojump_clock: Autojump
) -> None:
    """What has become due before there were workers is run at once, in the order of its moments."""
    rig = make_rig(workers=1, clock=VIRTUAL)
    for name, seconds in (("second", 40), ("first", 30), ("third", 100)):
        await rig.queue.submit("notes", name, delay_seconds=seconds)
    await trio.sleep(60)
    await rig.start()
    await trio.sleep(60)
    assert starts == [(60, "first"), (60, "second"), (100, "third")]


async def test_an_earlier_job_is_not_late_for_a_later_one_that_came_first(
    starts: list[tuple[float, Any]], make_rig: MakeRig, autojump_clock: Autojump
) -> None:
    """Whoever waits for the next moment hears of one that comes before it."""
    rig = make_rig(clock=VIRTUAL)
    await rig.start()
    await rig.queue.submit("notes", "in an hour", delay_seconds=3_600)
    await trio.sleep(1)
    soon = await rig.queue.submit("notes", "called off", delay_seconds=1)
    await rig.queue.submit("notes", "in two seconds", delay_seconds=2)
    await rig.queue.cancel(soon.id)
    await trio.sleep(10)
    assert starts == [(3, "in two seconds")]


async def test_thousands_that_are_due_at_once_hold_nobody_up(
    starts: list[tuple[float, Any]], registry: Registry, autojump_clock: Autojump
) -> None:
    """Other tasks run between portions of them."""
    async with running(registry, clock=VIRTUAL, queue_capacity=2_000) as rig:
        await rig.queue.submit_all([rig.queue.check("notes", 0, delay_seconds=10.0)] * 2_000)
        await trio.sleep(10)
        due = [rig.snapshot().jobs_ready]
        while at_once(rig.queue.view()).later:
            await trio.lowlevel.checkpoint()
            due.append(rig.snapshot().jobs_ready)
    assert len(due) > 2  # whoever came first at ten seconds
    assert len(starts) == 2_000


@pytest.mark.parametrize(
    ("options", "what"),
    [
        (JobOptions(delay_seconds=-1), "delay_seconds must be a number of seconds between"),
        (
            JobOptions(delay_seconds=float("nan")),
            "delay_seconds must be a number of seconds between",
        ),
        (
            JobOptions(delay_seconds=TEN_YEARS + 1),
            "delay_seconds must be a number of seconds between",
        ),
        (JobOptions(run_at=moment(TEN_YEARS + 1)), "within the next 10 years"),
        (JobOptions(run_at=datetime.max.replace(tzinfo=UTC)), "within the next 10 years"),
        (
            JobOptions(run_at=moment(9).replace(tzinfo=None)),
            "run_at must be a date and time with an offset",
        ),
        (JobOptions(run_at=moment(9), delay_seconds=9), "can't be used together"),
    ],
)
async def test_a_time_that_can_not_be_is_refused(
    options: JobOptions,
    what: str,
    starts: list[tuple[float, Any]],
    make_rig: MakeRig,
    autojump_clock: Autojump,
) -> None:
    """And leaves no trace."""
    rig = make_rig(clock=VIRTUAL)
    with pytest.raises(InvalidOption, match=what):
        await rig.queue.submit("notes", **options)
    assert rig.record.events == []


async def test_the_longest_time_there_is_can_be_waited_for(
    starts: list[tuple[float, Any]], registry: Registry, autojump_clock: Autojump
) -> None:
    """Ten years, whichever way it is said."""
    async with running(registry, workers=1, grace=2 * TEN_YEARS, clock=VIRTUAL) as rig:
        await rig.queue.submit("notes", "delay", delay_seconds=TEN_YEARS)
    assert starts == [(TEN_YEARS, "delay")]
    wall = WallClock()
    async with running(registry, workers=1, grace=60, clock=wall.clock) as rig:
        await rig.queue.submit("notes", "moment", run_at=wall.now() + timedelta(seconds=TEN_YEARS))
        await trio.sleep(1)
        wall.ahead = timedelta(seconds=TEN_YEARS - 30)
    assert starts[1:] == [(TEN_YEARS + 30, "moment")]


@pytest.mark.parametrize("others", [0, 1])
async def test_a_moment_is_kept_by_the_wall_clock_and_a_delay_is_not(
    others: int, starts: list[tuple[float, Any]], make_rig: MakeRig, autojump_clock: Autojump
) -> None:
    """A machine that was suspended, or whose clock was set, starts a job when its time is shown."""
    wall = WallClock()
    rig = make_rig(clock=wall.clock)
    await rig.start()
    after = [(await rig.queue.submit("notes", "first", delay_seconds=5)).id] * others
    await rig.queue.submit("notes", "moment", run_at=wall.now() + timedelta(hours=1), after=after)
    await rig.queue.submit("notes", "delay", delay_seconds=3_600, after=after)
    await trio.sleep(600)
    wall.ahead = timedelta(minutes=45)
    await trio.sleep(200)
    wall.ahead = timedelta()
    await trio.sleep(100)
    wall.ahead = timedelta(minutes=45, seconds=10)
    assert [name for _, name in starts if name != "first"] == []
    await trio.sleep(0.5)
    wall.ahead = timedelta(hours=2)
    await trio.sleep(1)
    assert [name for _, name in starts if name != "first"] == ["moment"]
    wall.ahead = timedelta(days=-1)
    await trio.sleep(4_000)
    assert starts[-1] == (3_600, "delay")


@pytest.mark.slow
async def test_a_moment_that_a_clock_set_back_puts_off_is_waited_for(
    starts: list[tuple[float, Any]], make_rig: MakeRig, autojump_clock: Autojump
) -> None:
    """The job starts when the clock shows its time, and not before."""
    wall = WallClock()
    rig = make_rig(clock=wall.clock)
    await rig.start()
    job = await rig.queue.submit("notes", "moment", run_at=wall.now() + timedelta(seconds=60))
    await trio.sleep(30)
    wall.ahead = -timedelta(hours=1)
    await trio.sleep(60)
    assert (await rig.queue.get(job.id)).waits_because == "due in 3570 s"
    await trio.sleep(3_600)
    assert starts == [(3_660, "moment")]


async def test_who_waits_for_no_moment_does_not_look_at_the_clock(
    starts: list[tuple[float, Any]], make_rig: MakeRig, autojump_clock: Autojump
) -> None:
    """The dispatcher sleeps until a delay is over, or something comes."""
    wall = WallClock()
    rig = make_rig(clock=wall.clock)
    await rig.start()
    await rig.queue.submit("notes", "delay", delay_seconds=1_000)
    await trio.sleep(1)
    looked = wall.looked
    await trio.sleep(900)
    assert wall.looked == looked


async def test_a_later_job_has_a_place_in_the_queue_and_gives_it_back_at_once(
    starts: list[tuple[float, Any]], make_rig: MakeRig, autojump_clock: Autojump
) -> None:
    """When it is called off, and not when it would have been due."""
    rig = make_rig(queue_capacity=2, clock=VIRTUAL)
    await rig.start()
    later = [await rig.queue.submit("notes", n, delay_seconds=3_600) for n in range(2)]
    with pytest.raises(QueueFull):
        await rig.queue.submit("notes", "now")
    await rig.queue.cancel(later[0].id)
    await run_one(rig, "notes", "now")
    await trio.sleep(7_200)
    assert starts == [(0, "now"), (3_600, 1)]
    assert endings(rig, later[0].id) == ["job_cancelled"]


async def test_what_is_called_off_is_not_kept(
    starts: list[tuple[float, Any]], make_rig: MakeRig, autojump_clock: Autojump
) -> None:
    """However many jobs are made for later and called off, the list of moments stays short."""
    rig = make_rig(clock=VIRTUAL)
    await rig.start()
    stays = await rig.queue.submit("notes", "stays", delay_seconds=5)
    for seconds in range(1_000):
        job = await rig.queue.submit("notes", delay_seconds=seconds + 10)
        await rig.queue.cancel(job.id)
        assert len(later_in(rig)._due) < 100
    await trio.sleep(2_000)
    assert starts == [(5, "stays")]
    assert later_in(rig)._due == []
    assert (await rig.queue.get(stays.id)).status == "completed"


async def test_a_drain_waits_for_what_is_due_in_its_grace_and_for_nothing_else(
    starts: list[tuple[float, Any]], registry: Registry, autojump_clock: Autojump
) -> None:
    """What comes too late is left behind as soon as all else is done."""
    async with running(registry, grace=60, clock=VIRTUAL) as rig:
        for seconds in (50, 70):
            await rig.queue.submit("notes", seconds, delay_seconds=seconds)
    assert (trio.current_time(), starts) == (50, [(50, 50)])
    assert abandoned(rig) == [("notes", "not_due_in_time", False)]


async def test_running_a_job_again_does_not_wait_again(
    starts: list[tuple[float, Any]], make_rig: MakeRig, autojump_clock: Autojump
) -> None:
    """Whoever asks for it wants it now."""
    rig = make_rig(clock=VIRTUAL)
    await rig.start()
    job = await rig.queue.submit("notes", "x", delay_seconds=5)
    await trio.sleep(6)
    await rig.queue.retry(job.id)
    await trio.testing.wait_all_tasks_blocked()
    assert starts == [(5, "x"), (6, "x")]


@pytest.mark.slow
async def test_ten_thousand_later_jobs_cost_a_ready_one_nothing(
    starts: list[tuple[float, Any]], registry: Registry, autojump_clock: Autojump
) -> None:
    """Its way through the service takes the same steps, each as often as without them."""
    async with trio.open_nursery() as nursery:
        rig = Rig(nursery, registry, clock=VIRTUAL, queue_capacity=20_000)
        await rig.start()

        await steps_of_a_job(rig, "notes")  # the first one of a type opens its queue
        alone = await steps_of_a_job(rig, "notes")
        later = rig.queue.check("notes", delay_seconds=3_600.0)
        await rig.queue.submit_all([later] * 10_000)
        await trio.testing.wait_all_tasks_blocked()
        await steps_of_a_job(rig, "notes")  # the first one in a part of the table opens that, too
        beside_them = await steps_of_a_job(rig, "notes")
        assert {line.partition(":")[0] for line in alone} >= {"dispatcher.py", "worker.py"}
        assert beside_them == alone
        assert len(starts) == 4
        rig.engine.stop("enough")
    check_the_end(rig)


class Moment(float):
    """A time that counts how often it is compared."""

    compared = 0

    def __lt__(self, other: float) -> bool:
        Moment.compared += 1
        return float(self) < float(other)

    __hash__ = float.__hash__

    def __eq__(self, other: object) -> bool:
        Moment.compared += 1
        return float(self) == other


@pytest.mark.parametrize(
    "in_order",
    [
        lambda jobs: jobs,
        lambda jobs: jobs[::-1],
        lambda jobs: random.Random(7).sample(jobs, len(jobs)),
        lambda jobs: jobs[: len(jobs) // 2],
    ],
    ids=["first to last", "last to first", "any", "half of them"],
)
def test_of_many_that_leave_none_costs_much(
    in_order: Callable[[list[Job]], list[Job]],
) -> None:
    """The traces that they leave are tidied up bit by bit, and not while everybody waits."""
    later = LaterJobs[float]()
    jobs = [job_of(f"{number:06}") for number in range(20_000)]
    for number, job in enumerate(jobs):
        later.add(job, Moment(number))
    most = 0
    leaving = in_order(jobs)
    for job in leaving:
        Moment.compared = 0
        assert later.discard(job)
        most = max(most, Moment.compared)
    Moment.compared = 0
    left = {job.id for job in leaving}
    staying = [job.id for job in jobs if job.id not in left]
    assert later.next_due == (float(staying[0]) if staying else None)
    assert max(most, Moment.compared) < 2_000
    assert len(later._due) + len(later._untidy) <= 4 * len(staying) + 100
    assert [job.id for job in later.take_due(Moment(1e9), 20_000)] == staying


def job_of(job_id: str) -> Job:
    """A job of this id, of which no more is asked."""
    job: Any = SimpleNamespace(id=job_id, type="notes")
    return cast("Job", job)
