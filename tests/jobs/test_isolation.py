"""What one handler does stays with its job: the next one on the same worker starts afresh."""

from contextvars import ContextVar
from typing import Any

import pytest
import trio

from job_service.jobs.failure import describe, format_traceback
from job_service.jobs.registry import Registry
from job_service.jobs.retry import Retry
from tests.jobs.steps import MakeRig, result_of, run_one

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
