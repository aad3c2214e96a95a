"""Schedules that are paused and resumed, and what somebody has them run in between."""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import msgspec
import pytest
import trio
import trio.testing
from msgspec import UNSET

from job_service.errors import IdempotencyKeyReused, QueueFull, UnknownSchedule
from job_service.jobs.registration.registry import Registry
from job_service.jobs.state.schedule_state import ScheduleState
from job_service.jobs.state.views import ScheduleView
from job_service.stores.memory import MemoryStore
from job_service.telemetry.events import JobCreated, ScheduleSkipped
from tests.conftest import Rig
from tests.jobs.virtual_time import WallClock

START = datetime(2026, 3, 29, 0, 58, 30, tzinfo=UTC)

MakeRig = Callable[..., Rig]


def made(rig: Rig) -> int:
    """How many jobs were made."""
    return len(rig.record.of(JobCreated))


def skipped(rig: Rig) -> list[tuple[str, object]]:
    """What was said of ticks that made no job."""
    return [(event.reason, event.ticks) for event in rig.record.of(ScheduleSkipped)]


def view(rig: Rig) -> ScheduleView:
    """The one schedule there is."""
    (view,) = rig.queue.schedules.views()
    return view


async def finish(rig: Rig) -> None:
    """End the engine."""
    rig.engine.stop("requested")
    await trio.testing.wait_all_tasks_blocked()


@pytest.fixture(params=["cron", "every"])
def times(request: pytest.FixtureRequest, registry: Registry) -> str:
    """A schedule that ticks every ten seconds, of this kind."""

    async def often() -> None: ...

    if request.param == "cron":
        registry.cron("*/10 * * * * *")(often)
    else:
        registry.every(10)(often)
    return str(request.param)


@pytest.fixture
async def rig(make_rig: MakeRig, times: str) -> Rig:
    """An engine with it, which has run for a second. Time is virtual if the test has its clock."""
    rig = make_rig(clock=WallClock(START).clock)
    await rig.start()
    await trio.sleep(1)
    return rig


async def test_a_paused_schedule_makes_no_job_and_goes_on_at_its_next_tick(
    rig: Rig, autojump_clock: trio.abc.Clock
) -> None:
    """What it has passed over is not made up for, and nobody is warned of it."""
    await trio.sleep(10)
    assert made(rig) == 1
    paused = await rig.queue.schedules.pause("often", by="alice")
    assert (paused.paused, paused.paused_by) == (True, "alice")
    assert paused.paused_since == START + timedelta(seconds=11)
    await trio.sleep(45)
    assert made(rig) == 1
    assert (view(rig).paused, view(rig).paused_since) == (True, paused.paused_since)
    resumed = await rig.queue.schedules.resume("often", by="bob")
    assert (resumed.paused, resumed.paused_by, resumed.paused_since) == (False, None, None)
    await trio.sleep(3)
    assert made(rig) == 1
    await trio.sleep(10)
    assert made(rig) == 2
    assert skipped(rig) == []
    assert view(rig).skipped == 0
    await finish(rig)


async def test_ticks_that_a_blocked_loop_missed_in_a_pause_are_passed_over(
    rig: Rig, autojump_clock: trio.testing.MockClock
) -> None:
    """Those that fell due after it are made up for, by one job, as ever."""
    await trio.sleep(10)
    await rig.queue.schedules.pause("often")
    await rig.queue.schedules.resume("often")
    autojump_clock.jump(25)  # 36 seconds: after 20 and 30
    await trio.sleep(2)
    assert made(rig) == 2
    assert skipped(rig) == [("missed", 1)]
    await rig.queue.schedules.pause("often")
    autojump_clock.jump(19)  # 57 seconds: after 40 and 50, of which nobody has heard yet
    await rig.queue.schedules.resume("often")
    autojump_clock.jump(15)  # 72 seconds: after 60 and 70
    await trio.sleep(2)
    assert made(rig) == 3
    assert skipped(rig) == [("missed", 1), ("missed", 1)]
    await finish(rig)


@pytest.mark.parametrize(
    ("resumed_after", "missed"), [(None, []), (5, [("missed", 2)]), (25, []), (35, [])]
)
async def test_a_restart_makes_up_for_nothing_that_fell_due_in_a_pause(
    resumed_after: float | None,
    missed: list[tuple[str, object]],
    autojump_clock: trio.abc.Clock,
    make_rig: MakeRig,
    times: str,
) -> None:
    """The last tick was 35 seconds ago; of the three since then, those after the pause count."""
    last = START - timedelta(seconds=35)

    class Restarted(MemoryStore):
        def __init__(self, *args: Any, **kwargs: Any) -> None:
            super().__init__(*args, **kwargs)
            resumed_at = paused_since = None
            if resumed_after is None:
                paused_since = last
            else:
                resumed_at = last + timedelta(seconds=resumed_after)
            state = ScheduleState(
                "often", last, last, "gone", paused_since=paused_since, resumed_at=resumed_at
            )
            self._note_schedule(state)

    rig = make_rig(clock=WallClock(START).clock, store=Restarted)
    await rig.start()
    await trio.sleep(2)
    assert skipped(rig) == missed
    assert made(rig) == (0 if resumed_after in (None, 35) else 1)
    await finish(rig)


async def test_nobody_is_warned_of_what_a_paused_schedule_would_have_skipped(
    autojump_clock: trio.abc.Clock, make_rig: MakeRig, registry: Registry
) -> None:
    """Its last job may run on during the pause."""

    @registry.every(10)
    async def slow() -> None:
        await trio.sleep(100)

    rig = make_rig()
    await rig.start()
    await trio.sleep(11)
    await rig.queue.schedules.pause("slow")
    await trio.sleep(60)
    assert skipped(rig) == []
    await finish(rig)


async def test_a_job_that_is_asked_for_moves_no_tick(
    rig: Rig, autojump_clock: trio.abc.Clock
) -> None:
    """It is what a tick would make, of the moment at which somebody asked, and has their name."""
    before = view(rig).next_ticks
    await trio.sleep(1)
    job = await rig.queue.schedules.run_now("often", by="alice")
    assert (job.type, job.schedule, job.scheduled_for) == ("often", "often", job.created_at)
    assert rig.record.of(JobCreated)[-1].by == "alice"
    assert view(rig).next_ticks == before
    assert (view(rig).last_job_id, view(rig).last_run_at) == (job.id, job.created_at)
    await trio.sleep(9)
    assert made(rig) == 2
    assert [job.schedule for job in await rig.queue.list()] == ["often", "often"]
    await finish(rig)


async def test_a_paused_schedule_may_be_run_by_hand(
    rig: Rig, autojump_clock: trio.abc.Clock
) -> None:
    """And stays paused."""
    await rig.queue.schedules.pause("often")
    await rig.queue.schedules.run_now("often")
    await trio.sleep(30)
    assert made(rig) == 1
    assert view(rig).paused
    await finish(rig)


async def test_the_next_ticks_are_told(rig: Rig, autojump_clock: trio.abc.Clock) -> None:
    """Five, the first of which is the next run; as time goes on, others follow."""
    first = START + timedelta(seconds=10)
    ticks = [first + timedelta(seconds=10 * number) for number in range(8)]
    assert view(rig).next_ticks == ticks[:5]
    assert view(rig).next_run_at == ticks[0]
    await trio.sleep(30)
    assert view(rig).next_ticks == ticks[3:]
    await finish(rig)


@pytest.mark.parametrize("overlap", [False, True])
async def test_a_tick_waits_for_a_job_that_was_asked_for(
    overlap: bool, autojump_clock: trio.abc.Clock, make_rig: MakeRig, registry: Registry
) -> None:
    """Two jobs of a schedule never run at once, unless it may overlap or somebody asks for it."""

    @registry.every(10, overlap=overlap)
    async def slow() -> None:
        await trio.sleep_forever()

    rig = make_rig()
    await rig.start()
    await rig.queue.schedules.run_now("slow")
    await trio.sleep(11)
    assert made(rig) == 1 + overlap
    assert skipped(rig) == [] if overlap else [("overlap", UNSET)]
    await rig.queue.schedules.run_now("slow")
    assert made(rig) == 2 + overlap
    await finish(rig)


async def test_what_is_asked_for_is_refused_as_a_submission_is(
    make_rig: MakeRig, registry: Registry
) -> None:
    """A full queue takes no job; a repeated request makes none; an unknown name is told so."""

    @registry.cron("@yearly", payload=5)
    async def yearly(number: int) -> None: ...

    rig = make_rig(queue_capacity=2)
    schedules = rig.queue.schedules
    first = await schedules.run_now("yearly", idempotency_key="k")
    again = await schedules.run_now("yearly", idempotency_key="k")
    assert (again.id, again.replayed) == (first.id, True)
    with pytest.raises(IdempotencyKeyReused):
        await rig.queue.submit("yearly", 5, idempotency_key="k")
    await schedules.run_now("yearly")
    with pytest.raises(QueueFull):
        await schedules.run_now("yearly")
    for call in (schedules.run_now, schedules.pause, schedules.resume):
        with (
            trio.testing.assert_checkpoints(),
            pytest.raises(UnknownSchedule, match="there is no schedule 'weekly'; known are yearly"),
        ):
            await call("weekly")
    assert (await rig.queue.get(first.id)).payload == msgspec.Raw(b"5")


async def test_a_schedule_is_told_before_the_start(make_rig: MakeRig, registry: Registry) -> None:
    """Without ticks, because nobody counts them yet; but it can be paused."""

    @registry.cron("@yearly")
    async def yearly() -> None: ...

    rig = make_rig()
    paused = await rig.queue.schedules.pause("yearly")
    assert (paused.paused, paused.next_ticks, paused.next_run_at) == (True, [], None)
