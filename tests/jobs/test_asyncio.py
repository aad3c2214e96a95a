"""Handlers and resources that speak asyncio, on a loop of theirs in a thread of its own."""

import asyncio
import functools
import threading
import time
from collections.abc import AsyncIterator
from contextvars import ContextVar
from typing import Any

import pytest
import trio
import trio.testing

from job_service import Discard, JobContext, Registry, Retry, Snooze
from job_service.errors import ResourceFailed
from job_service.failures.exception_groups import leaves
from job_service.jobs.running.asyncio_loop import open_asyncio_loop
from job_service.jobs.running.worker import job_of_frame
from job_service.jobs.state.detail import JobDetail
from job_service.jobs.state.progress import Progress
from job_service.telemetry.events import Event, LoopStalled
from job_service.telemetry.watchdog import TurnWatch
from tests.conftest import Rig
from tests.jobs.steps import MakeRig, abandoned, check_the_end, result_of, running

ONCE = Retry(max_retries=0)
SECONDS = 30
TENANT: ContextVar[str] = ContextVar("TENANT", default="nobody")


async def run(rig: Rig, job_type: str, payload: object = None, **options: Any) -> JobDetail:
    """The detail of a job that has ended."""
    job = await rig.queue.submit(job_type, payload, **options)
    detail = await rig.queue.wait(job.id, SECONDS)
    assert detail.status not in ("pending", "processing")
    return detail


async def until(event: threading.Event) -> None:
    """Wait for what happens in the other thread."""
    with trio.fail_after(SECONDS):
        while not event.is_set():
            await trio.sleep(0.001)


async def test_asyncio_code_works_as_it_does_anywhere(registry: Registry) -> None:
    """With tasks, queues and timeouts; all jobs share one loop, in a thread that is not Trio's."""
    threads = set[threading.Thread]()

    @registry.job("gathers", runs_in="asyncio")
    async def gathers(numbers: list[int]) -> list[Any]:
        threads.add(threading.current_thread())
        queue: asyncio.Queue[int] = asyncio.Queue()

        async def double(number: int) -> None:
            await asyncio.sleep(0)
            await queue.put(2 * number)

        async with asyncio.timeout(SECONDS), asyncio.TaskGroup() as tasks:
            for number in numbers:
                tasks.create_task(double(number))
        doubled = sorted(queue.get_nowait() for _ in numbers)
        return [doubled, id(asyncio.get_running_loop())]

    async with running(registry) as rig:
        first = result_of(await run(rig, "gathers", [1, 2, 3]))
        second = result_of(await run(rig, "gathers", []))
    assert first[0] == [2, 4, 6]
    assert first[1:] == second[1:]
    (thread,) = threads
    assert thread is not threading.current_thread()
    thread.join(SECONDS)  # it has done its work, and may still be about to end
    assert not thread.is_alive()


async def test_what_such_a_handler_raises_is_what_any_raises(registry: Registry) -> None:
    """It fails the attempt, at its own line; a Discard, a Snooze and even an exit count as such."""
    kinds: dict[str, BaseException] = {
        "value": ValueError("no"),
        "discard": Discard("of no use"),
        "exit": SystemExit(3),
        "cancelled": asyncio.CancelledError(),
    }

    @registry.job("raises", runs_in="asyncio", retry=Retry(max_retries=1, base_seconds=0))
    async def raises(kind: str, job: JobContext) -> str:
        if kind == "snooze":
            if job.attempt == 1:
                raise Snooze(0)
            return "later"
        raise kinds[kind]

    async with running(registry) as rig:
        details = {kind: await run(rig, "raises", kind) for kind in [*kinds, "snooze"]}
    assert {kind: (len(detail.attempts), detail.error) for kind, detail in details.items()} == {
        "value": (2, "ValueError: no"),
        "discard": (1, "Discard: of no use"),
        "exit": (2, "SystemExit: 3"),
        "cancelled": (2, "asyncio.exceptions.CancelledError"),
        "snooze": (2, None),
    }
    traceback = details["value"].attempts[0].traceback
    assert traceback is not None
    assert traceback.splitlines()[1].startswith(f'  File "{__file__}"')


async def test_an_exit_in_a_task_of_a_handler_ends_no_other_job(registry: Registry) -> None:
    """asyncio would end its loop with it."""

    @registry.job("exits", runs_in="asyncio", retry=ONCE)
    async def exits() -> None:
        async def leave() -> None:
            raise SystemExit(1)

        task = asyncio.create_task(leave())
        await asyncio.sleep(0)
        await task

    @registry.job("works", runs_in="asyncio")
    async def works() -> str:
        return "still"

    async with running(registry) as rig:
        assert (await run(rig, "exits")).error == "SystemExit: 1"
        assert result_of(await run(rig, "works")) == "still"


async def test_an_exit_in_a_callback_is_told(
    registry: Registry, caplog: pytest.LogCaptureFixture
) -> None:
    """No job awaits it, so that the log is all who could say it."""
    left = threading.Event()

    @registry.job("exits", runs_in="asyncio")
    async def exits() -> None:
        def leave() -> None:
            asyncio.get_running_loop().call_soon(left.set)
            raise SystemExit("enough")

        asyncio.get_running_loop().call_soon(leave)

    async with running(registry) as rig:
        assert (await run(rig, "exits")).status == "completed"
        await until(left)
    assert "SystemExit: enough" in caplog.text


async def test_progress_log_and_context_are_as_elsewhere(registry: Registry) -> None:
    """A hook on Trio's loop may set what the handler sees; what one sets, no other does."""

    @registry.around
    async def tenant(job: JobContext) -> AsyncIterator[None]:
        TENANT.set(job.unique_key or "nobody")
        yield

    @registry.job("says", runs_in="asyncio")
    async def says(job: JobContext) -> str:
        for done in range(1, 1_001):
            job.progress(done, 1_000)
        job.log.info("said", tenant=TENANT.get())
        await asyncio.sleep(0)
        seen = TENANT.get()
        TENANT.set("mine")
        return seen

    async with running(registry, workers=1) as rig:
        detail = await run(rig, "says", unique_key="ada")
        assert result_of(detail) == "ada"
        assert result_of(await run(rig, "says")) == "nobody"
    assert detail.progress == Progress(1_000, 1_000)
    log = detail.attempts[0].log
    assert log is not None
    assert [line.event for line in log.first] == ["said"]
    assert [line["tenant"] for line in rig.lines if line["event"] == "said"] == ["ada", "nobody"]


@pytest.mark.parametrize("way", ["cancel", "timeout", "stop", "grace"])
async def test_its_task_is_cancelled_and_may_clean_up(
    way: str, registry: Registry, make_rig: MakeRig
) -> None:
    """In the way of asyncio, whoever asks for it."""
    began, cleaned = threading.Event(), threading.Event()

    @registry.job("waits", runs_in="asyncio", retry=ONCE, timeout=0.5 if way == "timeout" else 60)
    async def waits() -> None:
        began.set()
        try:
            await asyncio.sleep(SECONDS)
        except asyncio.CancelledError:
            await asyncio.sleep(0.01)
            cleaned.set()
            raise

    rig = make_rig()
    await rig.start()
    job = await rig.queue.submit("waits")
    await until(began)
    if way == "cancel":
        await rig.queue.cancel(job.id)
    elif way == "stop":
        rig.engine.stop("requested")
    elif way == "grace":
        rig.engine.drain(0)
    detail = await rig.queue.wait(job.id, SECONDS)
    assert cleaned.is_set()
    ended = {"cancel": "cancelled", "timeout": "failed"}.get(way, "abandoned")
    assert detail.status == ended
    if way == "timeout":
        assert detail.error == "TimeoutError: the attempt took longer than 0.5 s"
    rig.engine.stop("requested")


async def test_one_that_does_not_give_in_is_let_go(
    registry: Registry, make_rig: MakeRig, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its job ends, and its worker takes the next one, while it runs on for nobody."""
    for module in ("worker", "verdict"):
        monkeypatch.setattr(f"job_service.jobs.running.{module}.CLEANUP_SECONDS", 0.05)
    monkeypatch.setattr("job_service.jobs.running.asyncio_loop.LET_GO_SECONDS", 1)
    may_end, ended = asyncio.Event(), threading.Event()

    @registry.job("stubborn", runs_in="asyncio", retry=ONCE, timeout=0.5)
    async def stubborn() -> str:
        while not may_end.is_set():
            try:
                await may_end.wait()
            except asyncio.CancelledError:
                continue
        ended.set()
        return "too late"

    @registry.job("works", runs_in="asyncio")
    async def works() -> None:
        may_end.set()

    rig = make_rig(workers=1)
    await rig.start()
    detail = await run(rig, "stubborn")
    assert detail.error is not None
    assert detail.error.startswith("TimeoutError: the attempt took longer than 0.5 s, and did not")
    assert (await run(rig, "works")).status == "completed"
    await until(ended)
    assert (await rig.queue.get(detail.id)).result is None
    rig.engine.stop("requested")


async def test_a_resource_lives_on_the_loop_of_its_handlers(registry: Registry) -> None:
    """It is opened and closed there, in one task, around those that were registered after it."""
    said: list[str] = []

    def say(what: str) -> None:
        said.append(f"{what} in {'asyncio' if asyncio_runs() else 'Trio'}")

    @registry.resource
    async def settings() -> AsyncIterator[str]:
        say("settings opened")
        yield "settings"
        say("settings closed")

    @registry.resource(runs_in="asyncio")
    async def pool() -> AsyncIterator[asyncio.Lock]:
        say("pool opened")
        async with asyncio.timeout(SECONDS):  # which must be left by the task that has entered it
            yield asyncio.Lock()
        say("pool closed")

    @registry.job("uses", runs_in="asyncio")
    async def uses(pool: asyncio.Lock, settings: str) -> str:
        async with pool:
            say("used")
        return settings

    async with running(registry) as rig:
        assert result_of(await run(rig, "uses")) == "settings"
    assert said == [
        "settings opened in Trio",
        "pool opened in asyncio",
        "used in asyncio",
        "pool closed in asyncio",
        "settings closed in Trio",
    ]


def asyncio_runs() -> bool:
    """Whether asyncio's loop runs in this thread."""
    try:
        return asyncio.get_running_loop() is not None
    except RuntimeError:
        return False


@pytest.mark.parametrize("when", ["opening", "open", "closing"])
async def test_an_error_of_such_a_resource_ends_the_engine(when: str, registry: Registry) -> None:
    """As one of any other resource does."""

    @registry.resource(runs_in="asyncio")
    async def broken() -> AsyncIterator[None]:
        if when == "opening":
            raise OSError("gone")
        async with asyncio.TaskGroup() as tasks:
            if when == "open":
                tasks.create_task(fail())
            yield
        raise OSError("gone")

    async def fail() -> None:
        raise OSError("gone")

    async def live() -> None:
        async with running(registry):
            if when == "open":
                await trio.sleep_forever()

    with pytest.raises((ResourceFailed, ExceptionGroup, OSError)) as caught:
        await live()
    (error,) = leaves(caught.value)
    assert str(error) == ("resource broken: OSError: gone" if when == "opening" else "gone")


async def test_an_engine_is_not_held_up_by_a_blocked_asyncio_loop(
    registry: Registry, make_rig: MakeRig, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its jobs are abandoned, and its thread, which nothing can end, is left behind."""
    monkeypatch.setattr("job_service.jobs.running.asyncio_loop.LET_GO_SECONDS", 0.1)
    began, may_end = threading.Event(), threading.Event()

    @registry.job("blocks", runs_in="asyncio")
    async def blocks() -> None:
        began.set()
        may_end.wait()

    rig = make_rig()
    await rig.start()
    job = await rig.queue.submit("blocks")
    await until(began)
    rig.engine.stop("requested")
    assert (await rig.queue.wait(job.id, SECONDS)).status == "abandoned"
    assert abandoned(rig) == [("blocks", "requested", True)]
    may_end.set()
    check_the_end(rig)


async def test_a_blocked_asyncio_loop_is_named(registry: Registry) -> None:
    """With the job that blocks it, and the line; Trio's loop goes on meanwhile."""
    warned, told = list[LoopStalled](), list[LoopStalled]()

    def watch(token: trio.lowlevel.TrioToken) -> TurnWatch:
        return TurnWatch(
            0.05,
            warn=lambda event: note(event, warned),
            emit=lambda event: note(event, told),
            job_of_frame=job_of_frame,
            token=token,
        )

    def note(event: Event, where: list[LoopStalled]) -> None:
        # On a busy machine other turns may take long, too.
        if isinstance(event, LoopStalled) and event.job_type == "blocks":
            where.append(event)

    @registry.job("blocks", runs_in="asyncio")
    async def blocks() -> None:
        await asyncio.sleep(0)
        while not warned:
            time.sleep(0.01)  # noqa: ASYNC251  # which is the point

    async with running(registry, watch_asyncio=watch) as rig:
        job = await run(rig, "blocks")
        with trio.fail_after(SECONDS):
            while not told:
                await trio.sleep(0.001)
    (warning,), (over,) = warned, told
    assert (warning.loop, warning.job_id, warning.job_type) == ("asyncio", job.id, "blocks")
    assert warning.where.endswith(" in blocks")
    assert (over.over, over.where) == (True, warning.where)


async def test_who_needs_no_asyncio_has_no_thread_for_it(registry: Registry) -> None:
    """It is started with the first handler that is registered for it."""

    @registry.job("works")
    async def works() -> None: ...

    async with running(registry):
        assert "asyncio" not in [thread.name for thread in threading.enumerate()]


async def test_tasks_that_are_left_on_the_loop_are_cancelled() -> None:
    """Nothing that a handler has started outlives the loop."""
    ended = threading.Event()

    async def stay() -> None:
        try:
            await asyncio.sleep(SECONDS)
        finally:
            ended.set()

    async def leave_behind() -> None:
        asyncio.get_running_loop().keeps = asyncio.create_task(stay())  # type: ignore[attr-defined]  # so that it is not collected
        await asyncio.sleep(0)

    async with open_asyncio_loop(None) as loop:
        await loop.call(leave_behind, None)  # type: ignore[arg-type]  # of no job
    assert ended.is_set()


def not_for_asyncio() -> list[tuple[Any, str]]:
    """What can't run there, and what the refusal says."""

    def plain() -> None: ...

    return [
        (plain, "is a def: it runs in 'thread' or 'process'"),
        (functools.partial(plain), "is a def: it runs in 'thread' or 'process'"),
    ]


@pytest.mark.parametrize(("handler", "problem"), not_for_asyncio())
def test_what_has_no_coroutine_is_refused(handler: Any, problem: str, registry: Registry) -> None:
    """At registration."""
    with pytest.raises(TypeError, match=problem):
        registry.job("x", runs_in="asyncio")(handler)


def test_such_a_resource_is_for_such_handlers(registry: Registry) -> None:
    """A connection of one loop is of no use on another."""

    @registry.resource(runs_in="asyncio")
    async def pool() -> AsyncIterator[None]:
        yield

    async def takes(pool: None) -> None: ...

    with pytest.raises(TypeError, match="takes can't take pool: it lives on asyncio's loop"):
        registry.job("takes")(takes)
    registry.job("takes", runs_in="asyncio")(takes)
