"""What one handler does stays with its job: the next one on the same worker starts afresh."""

import asyncio
import threading
from collections.abc import Callable
from contextvars import ContextVar
from typing import Any

import pytest
import trio

from job_service.failures.report import describe, format_traceback
from job_service.jobs.registration.context import JobContext
from job_service.jobs.registration.registry import Registry
from job_service.jobs.registration.retry import Retry
from tests.conftest import Rig
from tests.jobs.steps import MakeRig, result_of, run_one, running

TENANT: ContextVar[str] = ContextVar("TENANT", default="nobody")


@pytest.mark.parametrize("ending", ["returns", "fails", "is_cancelled"])
async def test_context_variables_don_t_leak_into_the_next_job(
    ending: str, registry: Registry, make_rig: MakeRig
) -> None:
    """However the job ended that has set them."""

    @registry.job("sets", retry=Retry(max_retries=0))
    async def sets() -> None:
        TENANT.set("acme")
        await trio.lowlevel.checkpoint()
        if ending == "fails":
            raise ValueError
        if ending == "is_cancelled":
            await trio.sleep_forever()

    @registry.job("reads")
    async def reads() -> str:
        return TENANT.get()

    rig = make_rig(workers=1)
    await rig.start()
    job = await run_one(rig, "sets")
    if ending == "is_cancelled":
        await rig.queue.cancel(job.id)
        await trio.testing.wait_all_tasks_blocked()
    for _ in range(2):
        job = await run_one(rig, "reads")
        assert result_of(await rig.queue.get(job.id)) == "nobody"
    rig.engine.drain(0)


async def test_a_cancellation_from_elsewhere_is_an_error_like_any_other(
    registry: Registry, make_rig: MakeRig
) -> None:
    """A handler that kept another's cancellation and raises it fails its own job, and only that."""
    kept: list[trio.Cancelled] = []

    @registry.job("keeps")
    async def keeps() -> None:
        with trio.CancelScope() as scope:
            scope.cancel()
            try:
                await trio.lowlevel.checkpoint()
            except trio.Cancelled as cancelled:
                kept.append(cancelled)

    @registry.job("raises_it", retry=Retry(max_retries=0))
    async def raises_it() -> None:
        raise kept[0]

    @registry.job("works")
    async def works() -> None: ...

    rig = make_rig(workers=1)
    await rig.start()
    await run_one(rig, "keeps")
    failed = await run_one(rig, "raises_it")
    assert (await rig.queue.get(failed.id)).status == "failed"
    after = await run_one(rig, "works")
    assert (await rig.queue.get(after.id)).status == "completed"
    rig.engine.drain(0)


async def test_a_timeout_is_named_even_where_the_cleanup_fails(
    registry: Registry, make_rig: MakeRig, autojump_clock: trio.testing.MockClock
) -> None:
    """Both the limit and the cleanup's error are told."""

    @registry.job("untidy", retry=Retry(max_retries=0), timeout=3)
    async def untidy() -> None:
        try:
            await trio.sleep_forever()
        finally:
            raise OSError("no way back")

    rig = make_rig(workers=1)
    await rig.start()
    job = await rig.queue.submit("untidy")
    await trio.sleep(4)
    assert (await rig.queue.get(job.id)).error == (
        "TimeoutError: the attempt took longer than 3 s, and ended with OSError: no way back"
    )
    rig.engine.drain(0)


def deep_group() -> BaseException:
    """An error in more groups than can be told."""
    error: Exception = ValueError("inside")
    for _ in range(5_000):
        error = ExceptionGroup("outside", [error])
    return error


def odd_syntax_error() -> SyntaxError:
    """One whose text is none, over which even `traceback` stumbles."""
    text: Any = 5
    return SyntaxError("a", ("f", 1, 2, text))


@pytest.mark.parametrize("error", [deep_group(), odd_syntax_error()], ids=["deep", "odd_syntax"])
def test_no_error_is_too_odd_to_be_told(error: BaseException) -> None:
    """At the least its type is."""
    assert type(error).__name__ in describe(error)
    assert format_traceback(error)


def test_an_error_is_told_in_one_line() -> None:
    """Whatever its message looks like."""
    assert describe(ValueError("one\n  two")) == "ValueError: one two"


@pytest.mark.parametrize("checkpoints", [0, 1])
async def test_context_variables_don_t_leak_into_jobs_that_wait_already(
    checkpoints: int, registry: Registry, make_rig: MakeRig
) -> None:
    """A worker that goes from one short job to the next without a pause keeps them apart, too."""
    seen: list[str] = []

    @registry.job("both")
    async def both(name: str) -> None:
        seen.append(TENANT.get())
        for _ in range(checkpoints):
            await trio.lowlevel.checkpoint()
        if name:
            TENANT.set(name)

    rig = make_rig(workers=1)
    for name in ("acme", "", "", "evil corp", ""):
        await rig.queue.submit("both", name)
    await rig.start()
    await trio.testing.wait_all_tasks_blocked()
    assert seen == ["nobody"] * 5
    rig.engine.drain(0)


async def test_an_interruption_that_comes_too_late_does_not_hit_the_next_job(
    registry: Registry, make_rig: MakeRig
) -> None:
    """A handler that finishes although it was called off leaves nothing to the job behind it."""

    @registry.job("swallows")
    async def swallows() -> str:
        try:
            await trio.sleep_forever()
        except trio.Cancelled:
            return "finished all the same"

    @registry.job("pauses")
    async def pauses() -> str:
        await trio.lowlevel.checkpoint()
        return "undisturbed"

    rig = make_rig(workers=1)
    await rig.start()
    stubborn = await run_one(rig, "swallows")
    others = [await rig.queue.submit("pauses") for _ in range(3)]
    await rig.queue.cancel(stubborn.id)
    await trio.testing.wait_all_tasks_blocked()
    for other in others:
        assert result_of(await rig.queue.get(other.id)) == "undisturbed"
    rig.engine.drain(0)


class Array:
    """A value without a truth, and with its own idea of equality, as arrays have."""

    def __eq__(self, other: object) -> Any:
        return self

    def __bool__(self) -> bool:
        raise ValueError("the truth of an array is ambiguous")

    __hash__ = None  # type: ignore[assignment]  # as theirs


class Alike:
    """A value that equals all others of its kind."""

    def __init__(self, name: str) -> None:
        self.name = name

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Alike)

    __hash__ = None  # type: ignore[assignment]  # it changes nothing here


VALUE: ContextVar[Any] = ContextVar("VALUE")


@pytest.mark.parametrize("make", [Array, lambda: Alike("the job's")], ids=["array", "alike"])
async def test_values_of_context_variables_are_kept_apart_whatever_they_equal(
    make: Callable[[], Any], registry: Registry, make_rig: MakeRig
) -> None:
    """Nobody asks them, so they can neither raise nor pass for what was there before."""
    before = make()
    VALUE.set(before)
    seen: list[object] = []

    @registry.job("sets")
    async def sets() -> None:
        seen.append(VALUE.get())
        VALUE.set(make())

    rig = make_rig(workers=1)
    for _ in range(3):
        await rig.queue.submit("sets")
    await rig.start()
    await trio.testing.wait_all_tasks_blocked()
    assert [value is before for value in seen] == [True] * 3
    assert rig.snapshot().jobs_completed == 3
    rig.engine.drain(0)


async def test_thread_locals_don_t_leak_into_the_next_job(registry: Registry) -> None:
    """A session, a tenant, asyncio's event loop: what a job leaves in its thread ends with it."""
    local = threading.local()

    @registry.job("leaves")
    def leaves() -> bool:
        found = hasattr(local, "tenant")
        local.tenant = "acme"
        return found

    async with running(registry, workers=1) as rig:
        jobs = [await rig.queue.submit("leaves") for _ in range(3)]
    assert [result_of(await rig.queue.get(job.id)) for job in jobs] == [False] * 3


async def test_a_thread_is_still_one_of_trio(registry: Registry) -> None:
    """It has its job's context variables, can call back, and ask whether anybody wants it."""
    TENANT.set("the engine's")

    @registry.job("asks")
    def asks() -> list[str]:
        trio.from_thread.check_cancelled()
        name = trio.from_thread.run_sync(lambda: trio.lowlevel.current_task().name)
        return [name, TENANT.get(), threading.current_thread().name]

    async with running(registry, workers=1) as rig:
        job = await rig.queue.submit("asks")
    name, tenant, thread = result_of(await rig.queue.get(job.id))
    assert (tenant, thread) == ("the engine's", "worker-1")
    assert name


@pytest.mark.parametrize("framework", ["trio", "asyncio"])
async def test_a_loop_of_the_handler_s_own_can_tell_progress(
    framework: str, registry: Registry
) -> None:
    """And those who follow the events of the service are woken as ever."""
    read: list[str] = []

    @registry.job("has_a_loop")
    def has_a_loop(job: JobContext) -> None:
        async def tell() -> None:
            job.progress(1, 2)
            job.log.info("told")

        trio.run(tell) if framework == "trio" else asyncio.run(tell())

    async def follow(rig: Rig) -> None:
        number = 0
        while "job_completed" not in read:
            await rig.feed.wait(number)
            read.extend(event.event for event in rig.feed.read(number, 100))
            number = rig.feed.last

    async with running(registry) as rig, trio.open_nursery() as nursery:
        nursery.start_soon(follow, rig)
        await trio.testing.wait_all_tasks_blocked()
        job = await rig.queue.submit("has_a_loop")
    assert read.index("job_progressed") < read.index("job_completed")
    progress = (await rig.queue.get(job.id)).progress
    assert progress is not None
    assert progress.done == 1
