"""Hooks: what an application runs around each attempt, and when a job has failed for good."""

import threading
from collections.abc import AsyncIterator, Iterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager, nullcontext, suppress
from contextvars import ContextVar
from typing import Any

import pytest
import trio
import trio.testing

from job_service import Discard, JobContext, JobDetail, Registry, Retry, Snooze
from job_service.telemetry.events import HookFailed, JobStarted
from tests.jobs.steps import MakeRig, abandoned, check_the_end, result_of, run_one, running

TENANT: ContextVar[str] = ContextVar("TENANT", default="nobody")
ONCE = Retry(max_retries=0)

Autojump = trio.testing.MockClock


@pytest.fixture
def said(registry: Registry) -> list[str]:
    """What the hooks `outer` and `inner`, and the handler of `works` between them, did."""
    said: list[str] = []

    @registry.job("works", retry=ONCE, timeout=10)
    async def works(error: str | None = None) -> str:
        said.append("works")
        if error is not None:
            raise ValueError(error)
        return "done"

    @registry.around
    async def outer(job: JobContext) -> AsyncIterator[None]:
        said.append(f"outer {job.type} {job.attempt}")
        try:
            yield
        except ValueError as error:
            said.append(f"outer saw {error}")
            raise
        finally:
            said.append("outer ends")

    @registry.around
    def inner(job: JobContext) -> AbstractAsyncContextManager[None]:
        @asynccontextmanager
        async def opened() -> AsyncIterator[None]:
            said.append("inner")
            yield
            said.append("inner ends")

        return opened()

    return said


async def test_hooks_nest_around_each_attempt(registry: Registry, said: list[str]) -> None:
    """In the order of their registration, also around types that were registered before them."""
    async with running(registry) as rig:
        assert result_of(await run_one(rig, "works")) == "done"
    assert said == ["outer works 1", "inner", "works", "inner ends", "outer ends"]


async def test_a_hook_sees_what_the_handler_raises(registry: Registry, said: list[str]) -> None:
    """And the job has failed with it, at the handler's own line."""
    async with running(registry) as rig:
        detail = await run_one(rig, "works", "no")
    assert (detail.status, detail.error) == ("failed", "ValueError: no")
    assert said == ["outer works 1", "inner", "works", "outer saw no", "outer ends"]
    traceback = detail.attempts[0].traceback
    assert traceback is not None
    assert traceback.splitlines()[1].startswith(f'  File "{__file__}"')


async def test_what_a_hook_raises_fails_the_attempt(registry: Registry) -> None:
    """Before the handler, which is not called then; after it; or in the place of its error."""
    ran: list[str] = []

    @registry.around
    async def strict(job: JobContext) -> AsyncIterator[None]:
        if job.type == "refused":
            raise PermissionError("not you")
        try:
            yield
        except KeyError:
            raise Discard("of no use") from None
        if job.type == "lame":
            raise OSError("could not commit")

    async def handler(job: JobContext) -> None:
        ran.append(job.type)
        if job.type == "wrong":
            raise KeyError("x")

    for name in ("refused", "lame"):
        registry.job(name, retry=ONCE)(handler)
    registry.job("wrong", retry=Retry(max_retries=5))(handler)
    async with running(registry) as rig:
        errors = [(await run_one(rig, name)).error for name in ("refused", "lame", "wrong")]
    assert errors == [
        "PermissionError: not you",
        "OSError: could not commit",
        "Discard: of no use",
    ]
    assert ran == ["lame", "wrong"]


async def test_a_hook_may_bring_the_job_back_later(
    registry: Registry, make_rig: MakeRig, autojump_clock: Autojump
) -> None:
    """A Snooze of a hook counts as one of the handler."""

    @registry.around
    async def patient(job: JobContext) -> AsyncIterator[None]:
        if job.attempt == 1:
            raise Snooze(60)
        yield

    @registry.job("works", retry=ONCE)
    async def works() -> None: ...

    rig = make_rig()
    await rig.start()
    job = await run_one(rig, "works")
    assert job.snoozes == 1
    assert (await rig.queue.wait(job.id, 100)).status == "completed"


async def test_a_hook_can_not_make_a_failure_a_success(registry: Registry) -> None:
    """One that only logs the error, and forgets to raise it again, loses nothing."""

    @registry.around
    async def forgetful(job: JobContext) -> AsyncIterator[None]:
        with suppress(ValueError):
            yield

    @registry.job("fails", retry=ONCE)
    def fails() -> None:
        raise ValueError("no")

    async with running(registry) as rig:
        job = await rig.queue.submit("fails")
    assert (await rig.queue.get(job.id)).error == "ValueError: no"


async def test_what_a_hook_puts_into_the_context_the_handler_sees(registry: Registry) -> None:
    """On the loop and in a thread; and no other job does."""

    @registry.around
    async def tenant(job: JobContext) -> AsyncIterator[None]:
        if job.unique_key is None:
            yield
            return
        token = TENANT.set(job.unique_key)
        yield
        TENANT.reset(token)

    @registry.job("on_loop")
    async def on_loop() -> str:
        return TENANT.get()

    @registry.job("in_thread")
    def in_thread() -> str:
        return TENANT.get()

    results = list[str]()
    async with running(registry, workers=1) as rig:
        for name in ("on_loop", "in_thread", "on_loop"):
            key = "ada" if len(results) < 2 else None
            job = await rig.queue.submit(name, unique_key=key)
            results.append(result_of(await rig.queue.wait(job.id, 60)))
    assert results == ["ada", "ada", "nobody"]


async def test_hooks_take_resources(registry: Registry) -> None:
    """By their names, such as the pool that a session is of."""
    seen: list[object] = []

    @registry.resource
    async def pool() -> AsyncIterator[str]:
        yield "the pool"

    @registry.around
    async def session(job: JobContext, pool: str) -> AsyncIterator[None]:
        seen.append(pool)
        yield

    @registry.on_failure
    async def tell(job: JobDetail, error: BaseException, pool: str) -> None:
        seen.append((job.type, str(error), pool))

    @registry.job("fails", retry=ONCE)
    async def fails() -> None:
        raise ValueError("no")

    async with running(registry) as rig:
        await run_one(rig, "fails")
    assert seen == ["the pool", ("fails", "no", "the pool")]


@pytest.mark.parametrize("way", ["timeout", "cancel", "stop"])
async def test_a_hook_is_interrupted_as_its_handler_is(
    way: str, registry: Registry, make_rig: MakeRig, autojump_clock: Autojump
) -> None:
    """It sees the cancellation, may clean up, and is itself bound by the timeout."""
    said: list[str] = []

    @registry.around
    async def slow(job: JobContext) -> AsyncIterator[None]:
        try:
            yield
        except trio.Cancelled:
            said.append("cancelled")
            raise
        finally:
            said.append("cleaned up")

    @registry.job("sleeps", retry=ONCE, timeout=5 if way == "timeout" else None)
    async def sleeps() -> None:
        await trio.sleep_forever()

    rig = make_rig()
    await rig.start()
    job = await run_one(rig, "sleeps")
    if way == "cancel":
        await rig.queue.cancel(job.id)
    elif way == "stop":
        rig.engine.stop("requested")
    detail = await rig.queue.wait(job.id, 60)
    assert detail.status == {"timeout": "failed", "cancel": "cancelled", "stop": "abandoned"}[way]
    assert said == ["cancelled", "cleaned up"]


async def test_hooks_are_those_of_the_registries_that_have_the_type() -> None:
    """Those of the registry that includes others are outside, whenever they were registered."""
    said: list[str] = []

    def registry_with(name: str) -> Registry:
        registry = Registry()

        @registry.around
        async def says(job: JobContext) -> AsyncIterator[None]:
            said.append(name)
            yield

        @registry.job(name)
        async def handler() -> None: ...

        return registry

    main, mail, other = (registry_with(name) for name in ("main", "mail", "other"))
    main.include(mail)

    @main.around
    async def late(job: JobContext) -> AsyncIterator[None]:
        said.append("late")
        yield

    main.include(other)
    for name, expected in {
        "main": ["main", "late"],
        "mail": ["main", "late", "mail"],
        "other": ["main", "late", "other"],
    }.items():
        said.clear()
        async with running(main) as rig:
            await run_one(rig, name)
        assert said == expected
    said.clear()
    async with running(mail) as rig:
        await run_one(rig, "mail")
    assert said == ["mail"]


@pytest.fixture
def failures(registry: Registry) -> list[tuple[str, str]]:
    """What two hooks for failures heard, one on the loop and one in a thread; `fails` fails."""
    heard: list[tuple[str, str]] = []

    @registry.on_failure
    async def tell(job: JobDetail, error: BaseException) -> None:
        heard.append((job.status, repr(error)))

    @registry.on_failure
    def block(job: JobDetail, error: BaseException) -> None:
        heard.append((job.type, threading.current_thread().name.partition(" ")[0]))

    @registry.job("fails", retry=Retry(base_seconds=1, max_retries=1))
    async def fails() -> None:
        raise ValueError("no")

    return heard


async def test_a_failure_is_told_once_and_for_good(
    registry: Registry, failures: list[tuple[str, str]]
) -> None:
    """Not when a retry follows; a drain waits for the hooks of its last job."""
    async with running(registry) as rig:
        await run_one(rig, "fails", max_retries=1)
        assert failures == []
    assert failures[0] == ("failed", "ValueError('no')")
    assert failures[1][0] == "fails"
    assert failures[1][1] != "MainThread"
    assert rig.record.of(HookFailed) == []


async def test_a_job_that_no_handler_has_failed_is_told_too(
    registry: Registry, failures: list[tuple[str, str]], autojump_clock: Autojump
) -> None:
    """The error says what the job's own does."""

    @registry.job("slow", retry=ONCE, timeout=1)
    async def slow() -> None:
        await trio.sleep_forever()

    @registry.job("follows")
    async def follows() -> None: ...

    @registry.job("odd", retry=ONCE)
    async def odd() -> object:
        return object()

    async with running(registry) as rig:
        first = await rig.queue.submit("slow")
        await rig.queue.submit("follows", after=[first.id])
        await rig.queue.wait(first.id, 60)
        await run_one(rig, "odd")
    errors = [error for status, error in failures if status == "failed"]
    assert errors[0] == "TimeoutError('the attempt took longer than 1 s')"
    assert errors[1].startswith("RuntimeError('job ")
    assert errors[2].startswith("TypeError(")


async def test_what_a_hook_for_failures_raises_changes_nothing(registry: Registry) -> None:
    """It is told, and the next hook is called all the same."""
    heard: list[str] = []

    @registry.on_failure
    async def broken(job: JobDetail, error: BaseException) -> None:
        raise OSError("no pager")

    @registry.on_failure
    def whole(job: JobDetail, error: BaseException) -> None:
        heard.append(job.id)

    @registry.job("fails", retry=ONCE)
    async def fails() -> None:
        raise ValueError("no")

    async with running(registry) as rig:
        job = await run_one(rig, "fails")
    assert heard == [job.id]
    (told,) = rig.record.of(HookFailed)
    assert (told.job_id, told.error) == (job.id, "OSError: no pager")
    assert told.hook.endswith("broken")
    assert "no pager" in str(told.traceback)
    assert (await rig.queue.get(job.id)).error == "ValueError: no"


async def test_a_hook_for_failures_has_ten_seconds(
    registry: Registry, autojump_clock: Autojump
) -> None:
    """Whether it waits on the loop for ever or is called for many jobs at a time."""

    @registry.on_failure
    async def hangs(job: JobDetail, error: BaseException) -> None:
        await trio.sleep_forever()

    @registry.job("fails", retry=ONCE)
    async def fails() -> None:
        raise ValueError("no")

    async with running(registry) as rig:
        began = trio.current_time()
        for _ in range(20):
            await rig.queue.submit("fails")
    assert trio.current_time() - began == pytest.approx(20)  # ten of them at a time
    assert {told.error for told in rig.record.of(HookFailed)} == {"it took longer than 10 s"}


async def test_hooks_that_a_stop_overtakes_are_told_as_missed(
    registry: Registry, make_rig: MakeRig
) -> None:
    """Those that run are cancelled, the others are not called; no job is lost for that."""
    called: list[str] = []

    @registry.on_failure
    async def hangs(job: JobDetail, error: BaseException) -> None:
        called.append(job.id)
        await trio.sleep_forever()

    @registry.job("fails", retry=ONCE)
    async def fails() -> None:
        raise ValueError("no")

    rig = make_rig()
    await rig.start()
    for _ in range(12):
        await rig.queue.submit("fails")
    await trio.testing.wait_all_tasks_blocked()
    rig.engine.stop("requested")
    await trio.testing.wait_all_tasks_blocked()
    assert len(called) == 10
    missed = rig.record.of(HookFailed)
    assert len({told.job_id for told in missed}) == 12
    assert {told.error for told in missed} == {"the service ended before it had done its work"}
    assert abandoned(rig) == []
    check_the_end(rig)


async def test_the_jobs_do_not_wait_for_the_hooks_of_failed_ones(
    registry: Registry, make_rig: MakeRig, autojump_clock: Autojump
) -> None:
    """A pager that hangs holds no worker; the end of the grace ends it."""

    @registry.on_failure
    async def hangs(job: JobDetail, error: BaseException) -> None:
        await trio.sleep_forever()

    @registry.job("fails", retry=ONCE)
    async def fails() -> None:
        raise ValueError("no")

    rig = make_rig(workers=1)
    await rig.start()
    for _ in range(3):
        await run_one(rig, "fails")
    assert len(rig.record.of(JobStarted)) == 3
    rig.engine.drain(5)
    await trio.sleep(6)
    assert rig.engine.outcome == "drained"
    assert len(rig.record.of(HookFailed)) == 3


def not_a_hook() -> Iterator[tuple[str, Any, str]]:
    """What can't be a hook, as which, and what the refusal says."""

    async def coroutine(job: JobContext) -> None: ...

    async def needy(job: JobContext, pool: str) -> AsyncIterator[None]:
        yield

    async def nothing() -> AsyncIterator[None]:
        yield

    async def one(job: JobDetail) -> None: ...

    def generator(job: JobDetail, error: BaseException) -> Iterator[None]:
        yield

    yield "around", coroutine, "must be an async generator function"
    yield "around", needy, "nothing gives the hook .* its pool"
    yield "around", nothing, "must take the job's context"
    yield "around", "text", "must be an async generator function"
    yield "on_failure", one, "must take the job and the error"
    yield "on_failure", generator, "must be a def or an async def"
    yield "on_failure", nullcontext, "must be a def or an async def"


@pytest.mark.parametrize(("kind", "function", "problem"), list(not_a_hook()))
def test_what_can_not_be_a_hook_is_refused_at_registration(
    kind: str, function: Any, problem: str, registry: Registry
) -> None:
    """In a line that says what it should be."""
    with pytest.raises(TypeError, match=problem):
        getattr(registry, kind)(function)
