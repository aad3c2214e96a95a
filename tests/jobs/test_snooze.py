"""A handler that raises Snooze has its job back later, and that costs no retry."""

import math
import pickle

import pytest
import trio
import trio.testing

from job_service import JobContext, Registry, Retry, Snooze
from job_service.telemetry.events import JobEnqueued, JobSnoozed
from job_service.testing import run_sync
from tests.jobs.steps import MakeRig, abandoned, endings, live, run_one, running

Autojump = trio.testing.MockClock


@pytest.fixture
def runs(registry: Registry) -> list[tuple[float, int]]:
    """When `waits` was run, and as which attempt; it snoozes three times and then returns."""
    seen: list[tuple[float, int]] = []

    @registry.job("waits", retry=Retry(max_retries=0))
    async def waits(job: JobContext) -> None:
        seen.append((trio.current_time(), job.attempt))
        if len(seen) <= 3:
            raise Snooze(60)

    return seen


async def test_a_job_that_snoozes_comes_back_and_its_story_tells_of_each_run(
    runs: list[tuple[float, int]], make_rig: MakeRig, autojump_clock: Autojump
) -> None:
    """It runs every minute, without a retry to spare; each run has its own number."""
    rig = make_rig()
    await rig.start()
    waiting = await run_one(rig, "waits")
    assert (waiting.status, waiting.snoozes, waiting.attempt) == ("pending", 1, 1)
    assert waiting.waits_because == "snoozed; due in 60 s"
    assert [attempt.outcome for attempt in waiting.attempts] == ["snoozed"]
    assert waiting.attempts[0].run_seconds is not None
    assert waiting.run_at is not None
    await trio.sleep(1_000)

    detail = await rig.queue.get(waiting.id)
    assert runs == [(0, 1), (60, 2), (120, 3), (180, 4)]
    assert (detail.status, detail.snoozes, detail.attempt) == ("completed", 3, 4)
    assert [(each.attempt, each.outcome) for each in detail.attempts] == [
        *((number, "snoozed") for number in (1, 2, 3)),
        (4, "completed"),
    ]
    assert [event.snooze_seconds for event in rig.record.of(JobSnoozed)] == [60, 60, 60]
    assert [event.attempt for event in rig.record.of(JobSnoozed)] == [1, 2, 3]
    assert [event.attempt for event in rig.record.of(JobEnqueued)][1:] == [2, 3, 4]
    assert endings(rig, detail.id) == ["job_completed"]
    assert rig.snapshot().jobs_snoozed == 3


async def test_a_snooze_costs_no_retry_and_a_retry_no_snooze(
    registry: Registry, make_rig: MakeRig, autojump_clock: Autojump
) -> None:
    """However they take turns: two retries are two, and each waits its own time."""
    seen: list[tuple[float, int]] = []

    @registry.job("both", retry=Retry(max_retries=2, base_seconds=10, jitter=0))
    async def both(job: JobContext) -> None:
        seen.append((trio.current_time(), job.attempt))
        if len(seen) in (1, 3, 4):
            raise Snooze(100)
        raise ValueError("no")

    rig = make_rig()
    await rig.start()
    job = await run_one(rig, "both")
    await trio.sleep(100)
    await trio.testing.wait_all_tasks_blocked()
    retries = await rig.queue.get(job.id)
    assert retries.waits_because == "retry 1 of 2 due in 10 s after ValueError"
    await trio.sleep(1_000)

    detail = await rig.queue.get(job.id)
    assert seen == [(0, 1), (100, 2), (110, 3), (210, 4), (310, 5), (330, 6)]
    assert (detail.status, detail.attempt, detail.snoozes) == ("failed", 6, 3)
    assert [attempt.attempt for attempt in detail.attempts] == [1, 2, 3, 4, 5, 6]


def test_a_job_that_snoozes_for_ever_does_not_grow_for_ever(registry: Registry) -> None:
    """Its detail has the first and the last runs, and the number of all."""

    @registry.job("polls", retry=Retry(max_retries=1, base_seconds=0))
    async def polls(job: JobContext) -> None:
        if job.attempt == 50:
            raise ValueError("once")
        if job.attempt < 100:
            raise Snooze(1)

    detail = run_sync(registry, "polls")
    assert (detail.status, detail.attempt, detail.snoozes) == ("completed", 100, 98)
    kept = [(each.attempt, each.outcome) for each in detail.attempts]
    assert kept == [
        *((number, "snoozed") for number in range(1, 11)),
        (50, "failed"),
        *((number, "snoozed") for number in range(90, 100)),
        (100, "completed"),
    ]


async def test_a_thread_may_snooze(registry: Registry) -> None:
    """It is raised there as on the loop."""
    snoozes = [Snooze(0)]

    @registry.job("waits")
    def waits() -> None:
        if snoozes:
            raise snoozes.pop()

    async with running(registry) as rig:
        job = await rig.queue.submit("waits")
    detail = await rig.queue.get(job.id)
    assert (detail.status, detail.snoozes, detail.attempt) == ("completed", 1, 2)


async def test_of_several_snoozes_the_longest_counts_and_an_error_beside_one_counts_more(
    registry: Registry, make_rig: MakeRig, autojump_clock: Autojump
) -> None:
    """A group that holds nothing else snoozes; with another error in it, the job is retried."""

    @registry.job("group")
    async def group(both: bool) -> None:
        raise ExceptionGroup("g", [Snooze(1), Snooze(9) if both else ValueError("no")])

    rig = make_rig()
    await rig.start()
    snoozes, fails = await run_one(rig, "group", True), await run_one(rig, "group", False)
    assert rig.record.names(snoozes.id)[-1] == "job_snoozed"
    assert [event.snooze_seconds for event in rig.record.of(JobSnoozed)] == [9]
    assert rig.record.names(fails.id)[-1] == "job_retried"


async def test_a_drain_does_not_wait_for_a_snooze_that_is_due_too_late(
    runs: list[tuple[float, int]], registry: Registry, autojump_clock: Autojump
) -> None:
    """It is left behind at once, as a retry would be."""
    rig = await live(registry, "waits", grace=30)
    assert (trio.current_time(), abandoned(rig)) == (0, [("waits", "not_due_in_time", False)])


async def test_a_cancellation_comes_before_a_snooze(
    registry: Registry, make_rig: MakeRig, autojump_clock: Autojump
) -> None:
    """A job that is called off does not come back."""

    @registry.job("sleepy")
    async def sleepy() -> None:
        try:
            await trio.sleep_forever()
        finally:
            raise Snooze(1)

    rig = make_rig()
    await rig.start()
    job = await run_one(rig, "sleepy")
    await rig.queue.cancel(job.id)
    await trio.sleep(5)
    assert endings(rig, job.id) == ["job_cancelled"]


@pytest.mark.parametrize("seconds", [-1, math.nan, math.inf, 11 * 365 * 86_400])
def test_a_time_that_can_not_come_is_refused(seconds: float) -> None:
    """The handler hears of it where it writes it."""
    with pytest.raises(ValueError, match="seconds must be between 0 and"):
        Snooze(seconds)


def test_what_is_no_number_is_refused() -> None:
    """Neither a text nor a truth is one."""
    for value in ("5", None, True):
        with pytest.raises(TypeError, match="seconds must be a number"):
            Snooze(value)  # type: ignore[arg-type]


def test_a_snooze_survives_the_way_from_a_process() -> None:
    """It can be pickled."""
    assert pickle.loads(pickle.dumps(Snooze(2.5))).seconds == 2.5  # noqa: S301  # our own
