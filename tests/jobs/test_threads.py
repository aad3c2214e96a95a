"""Threads that are let go: everybody can see them, and there is a bound on them."""

import threading
from collections.abc import Iterator

import pytest
import trio
import trio.testing
from msgspec import UNSET

from job_service.jobs.registration.registry import Registry
from job_service.telemetry.events import ThreadAbandoned, ThreadReturned
from tests.conftest import Rig
from tests.jobs.steps import check_the_end, running

SECONDS = 20.0


@pytest.fixture
def may_return(registry: Registry) -> Iterator[threading.Event]:
    """What the handlers of `stuck` wait for, each of them; `quick` and `on_loop` just return."""
    may_return = threading.Event()

    @registry.job("stuck", concurrency=2)
    def stuck() -> None:
        may_return.wait(SECONDS)

    @registry.job("quick")
    def quick() -> None: ...

    yield may_return
    may_return.set()


async def let_one_go(rig: Rig, job_type: str = "stuck", payload: object = None) -> str:
    """Cancel a job that is stuck; its id, when it has ended."""
    job = await rig.queue.submit(job_type, payload)
    with trio.fail_after(SECONDS):
        while (await rig.queue.get(job.id)).status == "pending":
            await trio.sleep(0.001)
        await rig.queue.cancel(job.id)
        assert (await rig.queue.wait(job.id, SECONDS)).status == "cancelled"
    return job.id


async def until(rig: Rig, threads: int) -> None:
    """So many threads are counted as let go."""
    with trio.fail_after(SECONDS):
        while rig.snapshot().threads_abandoned != threads:
            await trio.sleep(0.001)


async def test_a_thread_that_is_let_go_is_told_and_counted(
    registry: Registry, may_return: threading.Event
) -> None:
    """And that it returns, too, with how long it went on for nobody."""
    async with running(registry, workers=1) as rig:
        job_id = await let_one_go(rig)
        (abandoned,) = rig.record.of(ThreadAbandoned)
        assert (abandoned.job_id, abandoned.worker_id, abandoned.attempt) == (job_id, "worker-1", 1)
        await until(rig, 1)
        may_return.set()
        await until(rig, 0)
    (returned,) = rig.record.of(ThreadReturned)
    assert (returned.job_id, returned.job_type) == (job_id, "stuck")
    assert returned.abandoned_seconds > 0
    lines = [(line["event"], line["level"]) for line in rig.lines if "thread" in line["event"]]
    assert lines == [("thread_abandoned", "warning"), ("thread_returned", "info")]


async def test_what_a_thread_that_was_let_go_ends_with_is_told(
    registry: Registry, may_return: threading.Event
) -> None:
    """An error that nobody waits for any more, but not that it has heard of its cancellation."""

    @registry.job("fails")
    def fails(heeds: bool) -> None:
        may_return.wait(SECONDS)
        if heeds:
            trio.from_thread.check_cancelled()
        raise ValueError("too late")

    async with running(registry, workers=2) as rig:
        for heeds in (True, False):
            await let_one_go(rig, "fails", heeds)
        may_return.set()
        await until(rig, 0)
    returned = sorted(rig.record.of(ThreadReturned), key=lambda event: event.job_id)
    assert [event.error for event in returned] == [UNSET, "ValueError: too late"]


async def test_a_thread_that_returns_in_time_is_no_matter(registry: Registry) -> None:
    """Only those that are let go are told of."""

    @registry.job("fails")
    def fails() -> None:
        async def be_cancelled() -> None:
            with trio.CancelScope() as scope:
                scope.cancel()
                try:
                    await trio.sleep(1)
                except trio.Cancelled as cancelled:
                    kept.append(cancelled)
                    raise

        trio.run(be_cancelled)
        raise kept[0]

    kept: list[trio.Cancelled] = []

    async with running(registry, workers=1) as rig:
        await rig.queue.submit("fails", max_retries=0)
    assert rig.record.of(ThreadAbandoned) == []


async def test_at_the_bound_a_worker_waits_for_a_thread_to_return(
    registry: Registry, may_return: threading.Event
) -> None:
    """The job itself has ended, and others of its type may run; the worker begins nothing more."""
    async with running(registry, workers=1, max_abandoned_threads=2) as rig:
        await let_one_go(rig)
        await let_one_go(rig)
        waits = await rig.queue.submit("quick")
        await trio.testing.wait_all_tasks_blocked()
        detail = await rig.queue.get(waits.id)
        assert detail.status == "pending"
        assert detail.waits_because == "waits for one of 2 abandoned threads to return"
        assert (await rig.queue.view()).processing == 0
        may_return.set()
        with trio.fail_after(SECONDS):
            assert (await rig.queue.wait(waits.id, SECONDS)).status == "completed"


@pytest.mark.parametrize("way", ["drain", "stop", "cancel"])
async def test_no_thread_holds_the_end_at_the_bound(
    way: str, registry: Registry, may_return: threading.Event
) -> None:
    """Drained, stopped or cancelled: nobody waits for what may never return."""
    with trio.fail_after(SECONDS):
        async with trio.open_nursery() as nursery:
            rig = Rig(nursery, registry, workers=1, max_abandoned_threads=1)
            await rig.start()
            await let_one_go(rig)
            await trio.testing.wait_all_tasks_blocked()
            if way == "drain":
                rig.engine.drain(3_600)
            elif way == "stop":
                rig.engine.stop("enough")
            else:
                nursery.cancel_scope.cancel()
    assert not may_return.is_set()
    check_the_end(rig)


async def test_any_number_of_stuck_threads_keeps_no_other_waiting(
    registry: Registry, may_return: threading.Event
) -> None:
    """Not even when they have taken all places of Trio's own limiter."""

    @registry.job("crowd")
    async def crowd() -> None:
        async with trio.open_nursery() as nursery:
            for _ in range(50):
                nursery.start_soon(
                    lambda: trio.to_thread.run_sync(
                        may_return.wait, SECONDS, abandon_on_cancel=True
                    )
                )

    async with running(registry, workers=1) as rig:
        job = await rig.queue.submit("crowd")
        await trio.testing.wait_all_tasks_blocked()
        await rig.queue.cancel(job.id)
        quick = await rig.queue.submit("quick")
        with trio.fail_after(SECONDS):
            assert (await rig.queue.wait(quick.id, SECONDS)).status == "completed"
