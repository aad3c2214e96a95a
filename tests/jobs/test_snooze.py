"""A handler that raises Snooze has its job back later, and that costs no attempt."""

import math
import pickle

import pytest
import trio
import trio.testing

from job_service import JobContext, Registry, Retry, Snooze
from job_service.telemetry.events import JobEnqueued, JobSnoozed
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


async def test_a_job_that_snoozes_comes_back_as_the_same_attempt(
    runs: list[tuple[float, int]], make_rig: MakeRig, autojump_clock: Autojump
) -> None:
    """It runs every minute, without a retry to spare, and its story says how often it snoozed."""
    rig = make_rig()
    await rig.start()
    waiting = await run_one(rig, "waits")
    assert (waiting.status, waiting.snoozes, waiting.attempts) == ("pending", 1, [])
    assert waiting.run_at is not None
    await trio.sleep(1_000)

    story = await rig.queue.get(waiting.id)
    assert runs == [(0, 1), (60, 1), (120, 1), (180, 1)]
    assert (story.status, story.snoozes, len(story.attempts)) == ("completed", 3, 1)
    assert [event.snooze_seconds for event in rig.record.of(JobSnoozed)] == [60, 60, 60]
    assert [event.attempt for event in rig.record.of(JobEnqueued)][1:] == [1, 1, 1]
    assert endings(rig, story.id) == ["job_completed"]
    assert rig.snapshot().jobs_snoozed == 3


async def test_a_thread_may_snooze(registry: Registry) -> None:
    """It is raised there as on the loop."""
    snoozes = [Snooze(0)]

    @registry.job("waits")
    def waits() -> None:
        if snoozes:
            raise snoozes.pop()

    async with running(registry) as rig:
        job = await rig.queue.submit("waits")
    story = await rig.queue.get(job.id)
    assert (story.status, story.snoozes, story.attempt) == ("completed", 1, 1)


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
