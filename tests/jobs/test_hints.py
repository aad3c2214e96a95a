"""Errors that leave people puzzled say what is the matter and what to do."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

import pytest
import trio

from job_service.failures.names import MAX_ERROR_CHARS
from job_service.failures.report import describe
from job_service.jobs.registration.registry import Registry
from job_service.jobs.registration.retry import Retry
from job_service.jobs.running.hints import explain
from tests.jobs.steps import MakeRig, run_one, running

ONCE = Retry(max_retries=0)


async def awaits_a_future() -> None:
    """One of a loop that does not run."""
    loop = asyncio.new_event_loop()
    try:
        await loop.create_future()
    finally:
        loop.close()


async def uses_a_timeout() -> None:
    """Of asyncio's."""
    async with asyncio.timeout(1):
        await asyncio.sleep(0)


async def waits_behind_a_lock() -> None:
    """The second of two."""
    lock = asyncio.Lock()
    await lock.acquire()
    await lock.acquire()


async def waits_for_a_place() -> None:
    """Of none."""
    await asyncio.Semaphore(0).acquire()


async def waits_for_a_change() -> None:
    """Under its lock."""
    condition = asyncio.Condition()
    async with condition:
        await condition.wait()


@pytest.mark.parametrize(
    "handler",
    [
        lambda: asyncio.sleep(1),
        lambda: asyncio.sleep(0),
        awaits_a_future,
        uses_a_timeout,
        lambda: asyncio.Queue().get(),
        lambda: asyncio.Event().wait(),
        lambda: asyncio.Barrier(2).wait(),
        waits_behind_a_lock,
        waits_for_a_place,
        waits_for_a_change,
    ],
    ids=[
        *("sleep", "yield", "future", "timeout"),
        *("queue", "event", "barrier", "lock", "semaphore", "condition"),
    ],
)
async def test_asyncio_on_trio_s_loop_is_named(
    handler: Callable[[], Awaitable[Any]], registry: Registry, make_rig: MakeRig
) -> None:
    """With the way out."""

    @registry.job("job", retry=ONCE)
    async def job() -> None:
        await handler()

    rig = make_rig()
    await rig.start()
    error = str((await run_one(rig, "job")).error)
    assert error.startswith(("RuntimeError: ", "TypeError: ", "AttributeError: "))
    assert 'register an async def with runs_in="asyncio"' in error
    rig.engine.drain(0)


async def test_asyncio_in_a_thread_without_its_loop_is_named(registry: Registry) -> None:
    """There, too."""

    @registry.job("job", retry=ONCE)
    def job() -> None:
        asyncio.get_running_loop()

    async with running(registry) as rig:
        detail = await rig.queue.submit("job")
    assert 'runs_in="asyncio"' in str((await rig.queue.get(detail.id)).error)


async def opens_a_nursery() -> None:
    """Of Trio's."""
    async with trio.open_nursery():
        pass


@pytest.mark.parametrize(
    "handler",
    [
        lambda: trio.sleep(1),  # noqa: ASYNC105 (whoever calls it awaits it)
        trio.lowlevel.checkpoint,
        opens_a_nursery,
        lambda: trio.Event().wait(),
        lambda: trio.to_thread.run_sync(print),
    ],
    ids=["sleep", "yield", "nursery", "event", "thread"],
)
async def test_trio_on_asyncio_s_loop_is_named(
    handler: Callable[[], Awaitable[Any]], registry: Registry
) -> None:
    """The other way round, too."""

    @registry.job("job", retry=ONCE, runs_in="asyncio")
    async def job() -> None:
        await handler()

    async with running(registry) as rig:
        detail = await rig.queue.submit("job")
        ended = await rig.queue.wait(detail.id, 30)
    assert "register an async def without runs_in" in str(ended.error)


async def test_trio_in_a_thread_is_named(registry: Registry) -> None:
    """With what a thread has to call instead."""

    @registry.job("job", retry=ONCE)
    def job() -> None:
        trio.current_time()

    async with running(registry) as rig:
        detail = await rig.queue.submit("job")
    assert "trio.from_thread.run" in str((await rig.queue.get(detail.id)).error)


def hinted(error: Exception) -> str:
    """What is told of it."""
    return explain(error, describe(error))


def test_a_hint_fits_and_others_have_none() -> None:
    """However long the error is."""
    long = hinted(RuntimeError("no running event loop " + "x" * 5_000))
    assert len(long) == MAX_ERROR_CHARS
    assert long.endswith("library for Trio")
    assert hinted(RuntimeError("no luck")) == "RuntimeError: no luck"


def test_an_error_that_quotes_asyncio_has_no_hint() -> None:
    """What a library or another program has said is not the handler's own mistake."""
    for error in (
        ValueError("no running event loop"),
        RuntimeError("the child said: no running event loop"),
        AttributeError("'NoneType' object has no attribute 'create_future'"),
    ):
        assert hinted(error) == describe(error)
