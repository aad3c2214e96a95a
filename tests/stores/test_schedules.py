"""Stores keep of each schedule when it ran last, and that somebody has paused it."""

from datetime import timedelta

from msgspec import UNSET

from job_service.jobs.state.detail import JobSummary
from job_service.jobs.state.model import Draft
from job_service.jobs.state.schedule_state import ScheduleState
from job_service.stores.contract import KeyedRequest
from job_service.telemetry.events import SchedulePaused, ScheduleResumed
from tests.stores.workshop import START, Workshop

NAME = "nightly"
DRAFT = Draft("email", b"{}", 3, schedule=NAME)


async def tick(shop: Workshop, seconds: float, *, late: float = 0.0) -> list[JobSummary]:
    """Its job for the tick at this second, or nothing."""
    shop.seconds = seconds + late
    due = START + timedelta(seconds=seconds)
    draft = Draft("email", b"{}", 3, schedule=NAME, scheduled_for=due)
    return list(await shop.store.submit([draft], schedule=NAME, not_since=due))


def kept(shop: Workshop) -> ScheduleState:
    """What is kept of it."""
    return shop.store.schedules()[NAME]


def said(shop: Workshop) -> list[tuple[str, str, object]]:
    """What was said of pauses, and of whom."""
    return [
        (event.event, event.schedule, event.by)
        for event in shop.events
        if isinstance(event, SchedulePaused | ScheduleResumed)
    ]


async def test_the_last_tick_and_the_last_job_are_kept(shop: Workshop) -> None:
    """A job that somebody asked for in between is the last one, and moves no tick."""
    assert shop.store.schedules() == {}
    (ticked,) = await tick(shop, 10)
    assert kept(shop) == ScheduleState(NAME, ticked.created_at, ticked.created_at, ticked.id)
    shop.seconds = 15
    (asked,) = await shop.store.submit([DRAFT], schedule=NAME)
    assert kept(shop) == ScheduleState(NAME, ticked.created_at, asked.created_at, asked.id)
    assert asked.schedule == NAME


async def test_a_repeated_request_is_no_later_job_of_its_schedule(shop: Workshop) -> None:
    """The job that it gets was made before."""
    request = KeyedRequest("key", b"asked")
    (first,) = await shop.store.submit([DRAFT], request, NAME)
    (second,) = await tick(shop, 10)
    (again,) = await shop.store.submit([DRAFT], request, NAME)
    assert (again.id, again.replayed) == (first.id, True)
    assert kept(shop).last_job_id == second.id


async def test_a_paused_schedule_makes_no_job_at_its_ticks(shop: Workshop) -> None:
    """Until it is resumed; whoever asks for a job gets one all the same."""
    await shop.store.pause_schedule(NAME, "alice")
    assert (kept(shop).paused_since, kept(shop).paused_by) == (START, "alice")
    assert await tick(shop, 10) == []
    assert len(await shop.store.submit([DRAFT], schedule=NAME)) == 1
    shop.seconds = 15
    await shop.store.resume_schedule(NAME)
    assert (kept(shop).is_paused, kept(shop).paused_by) == (False, None)
    assert kept(shop).resumed_at == START + timedelta(seconds=15)
    assert len(await tick(shop, 20)) == 1


async def test_a_tick_that_fell_due_in_a_pause_makes_no_job_after_it(shop: Workshop) -> None:
    """However late it comes."""
    shop.seconds = 5
    await shop.store.pause_schedule(NAME)
    shop.seconds = 15
    await shop.store.resume_schedule(NAME)
    assert await tick(shop, 10, late=10) == []
    assert len(await tick(shop, 16, late=10)) == 1


async def test_a_clock_that_is_set_back_hides_no_tick_behind_a_pause(shop: Workshop) -> None:
    """The pause ended at a time that is still to come."""
    shop.seconds = 1_000
    await shop.store.pause_schedule(NAME)
    await shop.store.resume_schedule(NAME)
    assert len(await tick(shop, 20)) == 1


async def test_what_is_said_twice_is_told_once(shop: Workshop) -> None:
    """The first to say it is named, and the pause is as old as that."""
    await shop.store.resume_schedule(NAME, "nobody")
    for name in ("alice", "bob"):
        await shop.store.pause_schedule(NAME, name)
        shop.seconds += 1
    assert (kept(shop).paused_since, kept(shop).paused_by) == (START, "alice")
    for name in ("carol", "dave"):
        await shop.store.resume_schedule(NAME, name)
    await shop.store.pause_schedule(NAME)
    assert said(shop) == [
        ("schedule_paused", NAME, "alice"),
        ("schedule_resumed", NAME, "carol"),
        ("schedule_paused", NAME, UNSET),
    ]


async def test_a_pause_is_one_of_its_schedule_only(shop: Workshop) -> None:
    """Of whatever name, which no program has to know."""
    for name in ("mail/weekly report", "ünï'\"\\x", "no such schedule"):
        await shop.store.pause_schedule(name)
    assert len(await tick(shop, 10)) == 1
    paused = {name for name, state in shop.store.schedules().items() if state.is_paused}
    assert paused == {"mail/weekly report", "ünï'\"\\x", "no such schedule"}
