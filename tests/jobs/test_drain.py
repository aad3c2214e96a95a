"""The end of an engine: it finishes what it can in time, and says of the rest why it could not."""

import trio
import trio.testing

from job_service.jobs.registration.context import JobContext
from job_service.jobs.registration.registry import Registry
from job_service.jobs.registration.retry import Retry
from job_service.telemetry.events import WorkerStopped
from tests.conftest import Rig
from tests.jobs.steps import abandoned, check_the_end, live

Autojump = trio.testing.MockClock


async def test_a_drain_finishes_what_runs_and_what_is_queued(
    registry: Registry, ended_at: list[float], autojump_clock: Autojump
) -> None:
    """Nothing is abandoned where the grace suffices, and no time is lost."""
    rig = await live(registry, "ten_seconds", "ten_seconds", "ten_seconds", grace=1_000)
    assert (ended_at, trio.current_time()) == ([10, 20, 30], 30)
    assert (rig.engine.outcome, rig.snapshot().jobs_completed) == ("drained", 3)
    assert [event.reason for event in rig.record.of(WorkerStopped)] == ["drained"]


async def test_an_idle_engine_ends_at_once(
    registry: Registry, ended_at: list[float], autojump_clock: Autojump
) -> None:
    """There is nothing to wait for."""
    rig = await live(registry, grace=1_000)
    assert (trio.current_time(), rig.engine.outcome) == (0, "drained")


async def test_a_retry_that_is_due_in_time_is_run(
    registry: Registry, ended_at: list[float], autojump_clock: Autojump
) -> None:
    """A drain waits for it as it waits for a running job."""
    rig = await live(registry, "flaky", grace=30)
    assert (ended_at, trio.current_time()) == ([20], 20)
    assert (rig.engine.outcome, rig.snapshot().jobs_completed) == ("drained", 1)


async def test_a_retry_that_is_due_too_late_is_not_waited_for(
    registry: Registry, ended_at: list[float], autojump_clock: Autojump
) -> None:
    """It is abandoned as soon as all else is done, long before the grace is over."""
    rig = await live(registry, "flaky", "ten_seconds", grace=15)
    assert (ended_at, trio.current_time()) == ([10], 10)
    assert abandoned(rig) == [("flaky", "not_due_in_time", False)]
    assert rig.engine.outcome == "drained"


async def test_when_the_grace_is_over_the_rest_is_abandoned(
    registry: Registry, ended_at: list[float], autojump_clock: Autojump
) -> None:
    """What runs is cancelled, what waits is left behind, and both are told, each with its line."""
    rig = await live(registry, "ten_seconds", "ten_seconds", "ten_seconds", grace=15)
    assert (ended_at, trio.current_time()) == ([10], 15)
    assert abandoned(rig) == [
        ("ten_seconds", "grace_over", True),
        ("ten_seconds", "grace_over", False),
    ]
    assert rig.engine.outcome == "grace_over"
    assert [event.reason for event in rig.record.of(WorkerStopped)] == ["cancelled"]


async def test_what_could_not_start_says_why_also_when_the_grace_is_over(
    registry: Registry, ended_at: list[float], autojump_clock: Autojump
) -> None:
    """As it does where the drain is done before: it is not for want of a worker that it is left."""
    async with trio.open_nursery() as nursery:
        rig = Rig(nursery, registry, workers=1)
        await rig.start()
        await rig.queue.submit("cleans")
        await trio.testing.wait_all_tasks_blocked()
        await rig.queue.submit("ten_seconds")
        later = await rig.queue.submit("flaky", delay_seconds=100)
        await rig.queue.submit("flaky", after=[later.id])
        await rig.queue.pause("swallows")
        await rig.queue.submit("swallows")
        rig.engine.drain(15)
    check_the_end(rig)
    assert abandoned(rig) == [
        ("cleans", "grace_over", True),
        ("ten_seconds", "grace_over", False),
        ("flaky", "not_due_in_time", False),
        ("flaky", "waits_for_jobs", False),
        ("swallows", "paused", False),
    ]
    assert rig.engine.outcome == "grace_over"


async def test_a_cleanup_is_waited_for(
    registry: Registry, ended_at: list[float], autojump_clock: Autojump
) -> None:
    """A handler that was cancelled by the end may shield its cleanup, and finishes it."""
    rig = await live(registry, "cleans", "ten_seconds", grace=15)
    assert (ended_at, trio.current_time()) == ([20], 20)
    assert abandoned(rig) == [("cleans", "grace_over", True), ("ten_seconds", "grace_over", False)]


async def test_a_job_called_off_during_the_drain_ends_it(
    registry: Registry, ended_at: list[float], autojump_clock: Autojump
) -> None:
    """When the last job is cancelled there is nothing left to wait for."""
    async with trio.open_nursery() as nursery:
        rig = Rig(nursery, registry, workers=1)
        await rig.start()
        running = await rig.queue.submit("cleans")
        later = await rig.queue.submit("ten_seconds")
        await trio.testing.wait_all_tasks_blocked()
        rig.engine.drain(1_000)
        await rig.queue.cancel(later.id)
        await rig.queue.cancel(running.id)
    check_the_end(rig)
    assert (trio.current_time(), rig.snapshot().jobs_cancelled) == (5, 2)
    assert rig.engine.outcome == "drained"


async def test_a_later_job_called_off_during_the_drain_ends_it(
    registry: Registry, ended_at: list[float], autojump_clock: Autojump
) -> None:
    """There is nothing left that the drain could wait for."""
    async with trio.open_nursery() as nursery:
        rig = Rig(nursery, registry)
        await rig.start()
        job = await rig.queue.submit("ten_seconds", delay_seconds=50)
        rig.engine.drain(100)
        await trio.sleep(1)
        await rig.queue.cancel(job.id)
    assert (trio.current_time(), rig.engine.outcome) == (1, "drained")
    check_the_end(rig)


async def test_a_job_that_fails_during_the_drain_is_tried_again(
    registry: Registry, ended_at: list[float], autojump_clock: Autojump
) -> None:
    """Where its next attempt is due in time the workers wait for it, even with nothing to do."""

    @registry.job("fails_late", retry=Retry(base_seconds=20, jitter=0))
    async def fails_late(job: JobContext) -> None:
        await trio.sleep(5)
        if job.attempt == 1:
            raise RuntimeError("at first")

    rig = await live(registry, "fails_late", grace=100)
    assert (rig.snapshot().jobs_completed, rig.snapshot().jobs_retried) == (1, 1)
    assert trio.current_time() == 5 + 20 + 5
