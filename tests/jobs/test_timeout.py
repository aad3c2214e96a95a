"""An attempt that takes longer than its job type allows is ended, and counts as a failure."""

import threading

import pytest
import trio
import trio.testing

from job_service.jobs.registration.context import JobContext
from job_service.jobs.registration.registry import Registry
from job_service.jobs.registration.retry import Retry
from job_service.stores.memory import MemoryStore
from tests.jobs.steps import MakeRig, endings, result_of, run_one

ONCE = Retry(max_retries=0)
Autojump = trio.testing.MockClock


async def test_an_attempt_ends_at_its_timeout(
    registry: Registry, make_rig: MakeRig, autojump_clock: Autojump
) -> None:
    """It is interrupted at the very second, cleans up, and has failed with a clear error."""
    ended_at: list[float] = []

    @registry.job("hangs", retry=ONCE, timeout=30)
    async def hangs() -> None:
        try:
            await trio.sleep_forever()
        finally:
            ended_at.append(trio.current_time())

    rig = make_rig()
    await rig.start()
    job = await run_one(rig, "hangs")
    await trio.sleep(100)

    detail = await rig.queue.get(job.id)
    assert (detail.status, ended_at) == ("failed", [30])
    assert detail.error == "TimeoutError: the attempt took longer than 30 s"
    assert detail.attempts[0].run_seconds == 30


async def test_a_thread_that_overstays_is_let_go(
    registry: Registry, make_rig: MakeRig, autojump_clock: Autojump
) -> None:
    """Its worker does not wait for it, and what it returns in the end is ignored."""
    release = threading.Event()
    returned = threading.Event()

    @registry.job("blocks", retry=ONCE, timeout=30)
    def blocks() -> str:
        release.wait()
        returned.set()
        return "too late"

    @registry.job("works")
    async def works() -> None: ...

    rig = make_rig(workers=1)
    await rig.start()
    try:
        job = await run_one(rig, "blocks")
        after = await rig.queue.submit("works")
        await trio.sleep(30)
        await trio.testing.wait_all_tasks_blocked()
        assert (await rig.queue.get(job.id)).status == "failed"
        assert (await rig.queue.get(after.id)).status == "completed"
        assert not returned.is_set()
    finally:
        release.set()
    assert await trio.to_thread.run_sync(returned.wait, 5)
    assert endings(rig, job.id) == ["job_failed"]


async def test_threads_that_were_let_go_keep_no_job_waiting(
    registry: Registry, make_rig: MakeRig, autojump_clock: Autojump
) -> None:
    """More threads may hang than Trio would run by default, and the next one runs all the same."""
    release = threading.Event()
    ran = threading.Event()

    @registry.job("blocks", retry=ONCE, timeout=1)
    def blocks() -> None:
        release.wait()

    @registry.job("runs")
    def runs() -> None:
        ran.set()

    rig = make_rig(workers=10)
    await rig.start()
    try:
        for _ in range(50):
            await rig.queue.submit("blocks")
        await trio.sleep(10)
        assert rig.snapshot().jobs_failed == 50
        await rig.queue.submit("runs")
        await trio.testing.wait_all_tasks_blocked()
        assert await trio.to_thread.run_sync(ran.wait, 5, limiter=trio.CapacityLimiter(1))
    finally:
        release.set()


async def test_a_timeout_is_tried_again(
    registry: Registry, make_rig: MakeRig, autojump_clock: Autojump
) -> None:
    """The next attempt has its full time again, counted from its own begin."""

    @registry.job("slow_at_first", retry=Retry(base_seconds=60, jitter=0), timeout=10)
    async def slow_at_first(job: JobContext) -> float:
        await trio.sleep(11 if job.attempt == 1 else 9)
        return trio.current_time()

    rig = make_rig(workers=1)
    await rig.start()
    job = await run_one(rig, "slow_at_first")
    await trio.sleep(200)

    detail = await rig.queue.get(job.id)
    assert (detail.status, result_of(detail)) == ("completed", 10 + 60 + 9)
    assert [attempt.outcome for attempt in detail.attempts] == ["failed", "completed"]


async def test_a_timeout_ends_with_its_attempt(
    registry: Registry, make_rig: MakeRig, autojump_clock: Autojump
) -> None:
    """A job without a timeout may run forever on a worker that has run one with a timeout."""

    @registry.job("quick", timeout=10)
    async def quick() -> None: ...

    @registry.job("long")
    async def long() -> None:
        await trio.sleep(80_000)

    rig = make_rig(workers=1)
    await rig.start()
    await run_one(rig, "quick")
    job = await run_one(rig, "long")
    await trio.sleep(80_001)
    assert (await rig.queue.get(job.id)).status == "completed"


@pytest.mark.parametrize("returns", [False, True])
async def test_jobs_behind_one_that_timed_out_are_run(
    returns: bool, registry: Registry, make_rig: MakeRig, autojump_clock: Autojump
) -> None:
    """The worker goes on at once, whether the handler gave in or returned all the same."""

    @registry.job("hangs", retry=ONCE, timeout=10)
    async def hangs() -> None:
        try:
            await trio.sleep_forever()
        except trio.Cancelled:
            if not returns:
                raise

    @registry.job("works")
    async def works() -> float:
        return trio.current_time()

    rig = make_rig(workers=1)
    await rig.start()
    first = await rig.queue.submit("hangs")
    after = await rig.queue.submit("works")
    await trio.sleep(100)

    assert endings(rig, first.id) == ["job_completed" if returns else "job_failed"]
    detail = await rig.queue.get(after.id)
    assert detail.status == "completed"
    assert result_of(detail) == 10


async def test_a_cancellation_during_a_retried_timeout_wins(
    registry: Registry, make_rig: MakeRig, autojump_clock: Autojump
) -> None:
    """A job that is called off while it cleans up after its timeout is cancelled, not retried."""

    @registry.job("cleans", timeout=10)
    async def cleans() -> None:
        try:
            await trio.sleep_forever()
        finally:
            with trio.CancelScope(shield=True):
                await trio.sleep(1)

    rig = make_rig()
    await rig.start()
    job = await run_one(rig, "cleans")
    await trio.sleep(10.5)
    await rig.queue.cancel(job.id)
    await trio.sleep(500)
    assert endings(rig, job.id) == ["job_cancelled"]
    assert rig.snapshot().jobs_retried == 0


async def test_waiting_for_the_disk_is_no_part_of_an_attempts_time(
    registry: Registry, make_rig: MakeRig, autojump_clock: Autojump
) -> None:
    """A recovered job starts when that is kept, however long it takes."""

    class SlowStore(MemoryStore):
        async def settled(self) -> None:
            await trio.sleep(60)

    @registry.job("works", retry=ONCE, timeout=30)
    async def works() -> None:
        await trio.sleep(20)

    rig = make_rig(store=SlowStore)
    await rig.queue.pause()
    await rig.start()
    summary = await rig.queue.submit("works")
    rig.store._jobs.get(summary.id).is_recovered = True  # type: ignore[union-attr]
    await rig.queue.resume()
    assert (await rig.queue.wait(summary.id, 300)).status == "completed"
