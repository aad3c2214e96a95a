"""A handler can say how far it has come, as often as it likes."""

import math
from typing import Any

import pytest
import trio
import trio.testing

from job_service import JobContext, Registry, Retry
from job_service.jobs.state.progress import Progress, check_progress
from job_service.telemetry.events import JobProgressed
from tests.jobs.steps import MakeRig, run_one, running

Autojump = trio.testing.MockClock


async def test_the_story_shows_the_latest_and_the_feed_is_spared(
    registry: Registry, make_rig: MakeRig, autojump_clock: Autojump
) -> None:
    """Report at once, then each quarter of a second, and when all is done for the first time."""

    @registry.job("counts")
    async def counts(job: JobContext) -> None:
        for done in range(1, 8):
            job.progress(done, 7)
            await trio.sleep(0.125)
        job.progress(6, 7)
        job.progress(7, 7, "again")
        await trio.sleep(1)

    rig = make_rig()
    await rig.start()
    job = await run_one(rig, "counts")
    assert job.progress == Progress(1, 7)
    await trio.sleep(1.5)
    assert (await rig.queue.get(job.id)).progress == Progress(7, 7, "again")
    assert [event.done for event in rig.record.of(JobProgressed)] == [1, 3, 5, 7]
    assert "job_progressed" not in [line["event"] for line in rig.lines]


async def test_the_last_step_is_told_even_right_after_another(
    registry: Registry, make_rig: MakeRig
) -> None:
    """But only the first time."""

    @registry.job("hurries")
    async def hurries(job: JobContext) -> None:
        for done in (1, 2, 1, 2):
            job.progress(done, 2)

    rig = make_rig()
    await rig.start()
    detail = await run_one(rig, "hurries")
    assert [event.done for event in rig.record.of(JobProgressed)] == [1, 2]
    assert detail.progress == Progress(2, 2)


async def test_a_thread_may_tell(registry: Registry) -> None:
    """It is the same call there."""

    @registry.job("counts")
    def counts(job: JobContext) -> None:
        job.progress(3, note="half")

    async with running(registry) as rig:
        job = await rig.queue.submit("counts")
    assert (await rig.queue.get(job.id)).progress == Progress(3, None, "half")


async def test_a_new_attempt_begins_anew_and_an_old_one_is_not_heard(
    registry: Registry, make_rig: MakeRig, autojump_clock: Autojump
) -> None:
    """Only the attempt that runs can tell, whoever still holds the context of another."""
    contexts: list[JobContext] = []

    @registry.job("twice", retry=Retry(base_seconds=1, jitter=0))
    async def twice(job: JobContext) -> None:
        contexts.append(job)
        if job.attempt == 1:
            job.progress(5)
            raise ValueError("no")
        await trio.sleep(5)

    rig = make_rig()
    await rig.start()
    waiting = await run_one(rig, "twice")
    assert waiting.progress == Progress(5)
    await trio.sleep(2)
    contexts[0].progress(9)
    assert (await rig.queue.get(waiting.id)).progress is None
    await trio.sleep(10)
    contexts[1].progress(9)
    assert (await rig.queue.get(waiting.id)).progress is None


@pytest.mark.parametrize(
    ("given", "error"),
    [
        ((-1,), ValueError),
        ((math.nan,), ValueError),
        ((math.inf,), ValueError),
        ((2, 1), ValueError),
        ((1, math.inf), ValueError),
        (("1",), TypeError),
        ((True,), TypeError),
        ((1, None, 5), TypeError),
    ],
)
def test_what_can_not_be_is_refused(given: tuple[Any, ...], error: type[Exception]) -> None:
    """The handler hears of it."""
    with pytest.raises(error):
        check_progress(*(*given, None, None)[:3])


def test_a_note_is_short_and_can_be_written() -> None:
    """It is cut off after 200 characters, and has nothing in it that JSON can't carry."""
    assert check_progress(1, None, "x" * 300).note == "x" * 200
    assert check_progress(1, None, "\ud800").note == "\\ud800"
