"""A cancelled handler may clean up for a bounded time; if it does not give in it is left behind."""

from contextlib import suppress

import pytest
import trio
import trio.lowlevel
import trio.testing

from job_service.jobs.registration.context import JobContext
from job_service.jobs.registration.outcome import Discard
from job_service.jobs.registration.registry import Registry
from job_service.jobs.registration.retry import Retry
from job_service.telemetry.events import JobFailed, JobRetried
from tests.jobs.steps import result_of, running

Autojump = trio.testing.MockClock


@pytest.fixture
def begun(registry: Registry) -> list[float]:
    """When `stubborn`, one at a time and for 5 s at most, began; each run takes ten minutes."""
    begun: list[float] = []
    retry = Retry(max_retries=1, base_seconds=10, jitter=0)

    @registry.job("stubborn", timeout=5, concurrency=1, retry=retry)
    async def stubborn() -> str:
        begun.append(trio.current_time())
        with trio.CancelScope(shield=True):
            await trio.sleep(600)
        return "done after all"

    return begun


async def test_a_job_goes_on_without_a_handler_that_outlasts_its_timeout(
    registry: Registry, begun: list[float], autojump_clock: Autojump
) -> None:
    """2 s after the timeout the attempt has failed; the next is made by another worker."""
    async with running(registry, workers=2) as rig:
        job = await rig.queue.submit("stubborn")
        await trio.sleep(30)
        detail = await rig.queue.get(job.id)
        assert begun == [0, 17]
        assert (detail.status, detail.attempt) == ("failed", 2)
        await trio.sleep(700)
        assert (await rig.queue.get(job.id)).status == "failed"
    (retried,), (failed,) = rig.record.of(JobRetried), rig.record.of(JobFailed)
    assert (retried.run_seconds, failed.run_seconds) == (7, 7)
    assert retried.error == (
        "TimeoutError: the attempt took longer than 5 s, and did not end within 2 s of that"
    )


async def test_a_job_is_cancelled_though_its_handler_does_not_give_in(
    registry: Registry, begun: list[float], autojump_clock: Autojump
) -> None:
    """2 s later it is over, for whoever waits for it, too; asking twice makes it no later."""
    async with running(registry) as rig:
        job = await rig.queue.submit("stubborn")
        await trio.sleep(1)
        await rig.queue.cancel(job.id)
        await trio.sleep(1.5)
        assert (await rig.queue.get(job.id)).status == "processing"
        await rig.queue.cancel(job.id)
        detail = await rig.queue.wait(job.id, 60)
        assert trio.current_time() == 3
        (attempt,) = detail.attempts
        assert (detail.status, attempt.outcome) == ("cancelled", "cancelled")
        assert attempt.error == "TimeoutError: it was cancelled, and did not end within 2 s of that"


async def test_what_is_left_behind_keeps_its_worker_and_nothing_else(
    registry: Registry, begun: list[float], autojump_clock: Autojump
) -> None:
    """Unique key and place of its type are free; the worker is when its handler has returned."""

    @registry.job("quick")
    async def quick() -> float:
        return trio.current_time()

    async with running(registry, workers=2) as rig:
        first = await rig.queue.submit("stubborn", unique_key="once")
        await trio.sleep(1)
        await rig.queue.cancel(first.id)
        second = await rig.queue.submit("stubborn", max_retries=0)
        await trio.sleep(3)
        assert begun == [0, 3]
        assert not (await rig.queue.submit("quick", unique_key="once")).duplicate
        views = {view.worker_id: view.job_id for view in rig.engine.workers()}
        assert set(views.values()) == {first.id, second.id}
        last = await rig.queue.submit("quick")
        detail = await rig.queue.wait(last.id, 1_000)
        assert (detail.status, trio.current_time()) == ("completed", 600)


async def test_what_a_handler_comes_to_when_its_job_has_gone_on_does_not_count(
    registry: Registry, autojump_clock: Autojump
) -> None:
    """Not even while the next attempt is being made, which says how the job ends."""
    runs: list[int] = []
    retry = Retry(max_retries=1, base_seconds=1, jitter=0)

    @registry.job("slow", timeout=5, retry=retry)
    async def slow(job: JobContext) -> str:
        runs.append(job.attempt)
        if job.attempt == 1:
            with trio.CancelScope(shield=True):
                await trio.sleep(10)  # until 2 s after the second attempt has begun
            job.progress(1, 1)
            return "too late"
        await trio.sleep(4)
        return "in time"

    async with running(registry, workers=2) as rig:
        job = await rig.queue.submit("slow")
        detail = await rig.queue.wait(job.id, 60)
    assert (runs, detail.status, trio.current_time()) == ([1, 2], "completed", 12)
    assert [attempt.outcome for attempt in detail.attempts] == ["failed", "completed"]
    assert (result_of(detail), detail.progress) == ("in time", None)


async def test_a_handler_that_ends_in_time_says_itself_how(
    registry: Registry, autojump_clock: Autojump
) -> None:
    """Those that clean up for a moment are waited for."""

    @registry.job("tidy", timeout=5)
    async def tidy() -> str:
        with suppress(trio.Cancelled):
            await trio.sleep_forever()
        with trio.CancelScope(shield=True):
            await trio.sleep(1.9)
        return "tidied up"

    async with running(registry) as rig:
        job = await rig.queue.submit("tidy")
        detail = await rig.queue.wait(job.id, 60)
    assert (detail.status, detail.attempts[0].run_seconds) == ("completed", 6.9)


@pytest.mark.parametrize("timeout", [None, 0.5])
async def test_jobs_that_end_in_time_are_never_disturbed(
    timeout: float | None, registry: Registry, autojump_clock: Autojump
) -> None:
    """However many a worker runs, each has its own time."""

    @registry.job("brief", timeout=timeout)
    async def brief(seconds: float) -> None:
        await trio.sleep(seconds)

    async with running(registry, workers=1) as rig:
        for _ in range(50):
            await rig.queue.submit("brief", 0.4)
    assert rig.snapshot().jobs_completed == 50


async def test_a_discard_counts_after_a_timeout_too(
    registry: Registry, autojump_clock: Autojump
) -> None:
    """A handler that is out of time may still say that the job is not worth another attempt."""

    @registry.job("gives_up", timeout=5)
    async def gives_up() -> None:
        try:
            await trio.sleep_forever()
        except trio.Cancelled:
            raise Discard("no such customer") from None

    async with running(registry) as rig:
        job = await rig.queue.submit("gives_up")
        detail = await rig.queue.wait(job.id, 60)
    assert (detail.status, detail.attempt) == ("failed", 1)
    assert "no such customer" in str(detail.error)


@pytest.mark.parametrize("cancel_at", [5.5, 6.9])
async def test_a_cancellation_of_one_that_is_timed_out_makes_it_no_later(
    cancel_at: float, registry: Registry, begun: list[float], autojump_clock: Autojump
) -> None:
    """What was to be over at 7 s is, and as a cancelled job it is not tried again."""
    async with running(registry) as rig:
        job = await rig.queue.submit("stubborn")
        await trio.sleep(cancel_at)
        await rig.queue.cancel(job.id)
        detail = await rig.queue.wait(job.id, 60)
        assert (detail.status, trio.current_time()) == ("cancelled", 7)


async def test_a_drain_waits_for_the_handler_to_the_end_of_its_grace(
    registry: Registry, begun: list[float], autojump_clock: Autojump
) -> None:
    """It may still be tidying up; its job has long ended."""
    async with running(registry, grace=1_000) as rig:
        job = await rig.queue.submit("stubborn", max_retries=0)
        await trio.lowlevel.checkpoint()
    assert (await rig.queue.get(job.id)).status == "failed"
    assert trio.current_time() == 600
    assert rig.engine.outcome == "drained"
