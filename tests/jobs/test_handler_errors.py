"""What a handler may raise: anything, and only a Ctrl-C ends the engine."""

import asyncio
import sys
from collections.abc import Callable
from typing import Any

import msgspec
import pytest
import trio
import trio.testing

from job_service.errors import InvalidPayload
from job_service.jobs.registration.registry import Registry
from job_service.jobs.registration.retry import Retry
from job_service.telemetry.events import JobAbandoned, WorkerStopped
from tests.jobs.steps import MakeRig, crash, run_one, running

ONCE = Retry(max_retries=0)


async def exits_itself() -> None:
    """sys.exit() on the loop."""
    sys.exit(3)


def exits_in_a_thread() -> None:
    """sys.exit() in a thread."""
    sys.exit(3)


async def exits_in_a_task() -> None:
    """sys.exit() in a task of the handler's own."""

    async def leave() -> None:
        sys.exit(3)

    async with trio.open_nursery() as nursery:
        nursery.start_soon(leave)


@pytest.mark.parametrize("handler", [exits_itself, exits_in_a_thread, exits_in_a_task])
async def test_sys_exit_ends_the_job_and_not_the_service(
    handler: Callable[..., Any], registry: Registry
) -> None:
    """A library that calls sys.exit() fails its job, and the worker goes on."""
    registry.job("exits", retry=ONCE)(handler)

    @registry.job("works")
    async def works() -> None: ...

    async with running(registry, workers=1) as rig:
        job = await rig.queue.submit("exits")
        after = await rig.queue.submit("works")

    detail = await rig.queue.get(job.id)
    assert detail.status == "failed"
    assert "SystemExit: 3" in str(detail.error)
    assert (await rig.queue.get(after.id)).status == "completed"


class OutOfTime(BaseException):
    """What libraries raise that want to get past `except Exception`."""


class Underivable(BaseExceptionGroup[BaseException]):
    """A group that can't be split."""

    def derive(self, _: Any) -> Any:
        raise OutOfTime


NO_EXCEPTIONS = [
    OutOfTime("took too long"),
    asyncio.CancelledError(),
    GeneratorExit(),
    BaseExceptionGroup("both", [OutOfTime(), ValueError()]),
    Underivable("both", [OutOfTime(), ValueError()]),
]


@pytest.mark.parametrize("error", NO_EXCEPTIONS, ids=repr)
@pytest.mark.parametrize("where", ["loop", "thread"])
async def test_whatever_is_raised_ends_just_the_attempt(
    where: str, error: BaseException, registry: Registry
) -> None:
    """However few `except` clauses it is meant to be caught by."""

    async def raises() -> None:
        raise error

    def raises_in_a_thread() -> None:
        raise error

    registry.job("raises", retry=ONCE)(raises if where == "loop" else raises_in_a_thread)

    @registry.job("works")
    async def works() -> None: ...

    async with running(registry, workers=1) as rig:
        job = await rig.queue.submit("raises")
        after = await rig.queue.submit("works")

    detail = await rig.queue.get(job.id)
    assert detail.status == "failed"
    assert type(error).__name__ in str(detail.error)
    assert (await rig.queue.get(after.id)).status == "completed"


async def test_what_asyncio_cancels_ends_just_the_attempt(registry: Registry) -> None:
    """Its CancelledError, too, is no Exception, and is raised out of `asyncio.run`."""

    @registry.job("asyncio", retry=ONCE)
    def cancels_itself() -> None:
        async def main() -> None:
            task = asyncio.create_task(asyncio.sleep(5))
            task.cancel()
            await task

        asyncio.run(main())

    async with running(registry) as rig:
        job = await rig.queue.submit("asyncio")
    assert (await rig.queue.get(job.id)).status == "failed"


class Rejecting(msgspec.Struct):
    """A payload that checks itself, with what is no Exception."""

    name: str

    def __post_init__(self) -> None:
        if self.name == "bad":
            raise OutOfTime("while it was checked")


async def test_a_payload_is_refused_whatever_its_check_raises(registry: Registry) -> None:
    """Where it is submitted."""

    @registry.job("checks")
    async def checks(payload: Rejecting) -> None: ...

    async with running(registry) as rig:
        with pytest.raises(InvalidPayload, match="while it was checked"):
            await rig.queue.submit("checks", {"name": "bad"})


async def test_a_payload_is_not_refused_for_want_of_memory(registry: Registry) -> None:
    """A client that is told of a bad payload would not send it again."""

    class Starved(msgspec.Struct):
        def __post_init__(self) -> None:
            raise MemoryError

    def starve(_: int) -> str:
        raise MemoryError

    @registry.job("checks")
    async def checks(payload: Starved) -> None: ...

    @registry.job("keyed", per=starve)
    async def keyed(payload: int) -> None: ...

    async with running(registry) as rig:
        for job_type, payload in (("checks", {}), ("keyed", 1)):
            with pytest.raises(MemoryError):
                await rig.queue.submit(job_type, payload)


@pytest.mark.parametrize("where", ["loop", "thread"])
async def test_a_ctrl_c_ends_the_engine_visibly(where: str, registry: Registry) -> None:
    """Its worker has crashed, the others are cancelled, and every job is abandoned, not lost."""

    async def breaks() -> None:
        await trio.testing.wait_all_tasks_blocked()
        raise BaseExceptionGroup("both", [ValueError(), KeyboardInterrupt()])

    def breaks_in_a_thread() -> None:
        trio.from_thread.run(trio.testing.wait_all_tasks_blocked)
        raise KeyboardInterrupt

    registry.job("breaks")(breaks if where == "loop" else breaks_in_a_thread)

    @registry.job("long")
    async def long() -> None:
        await trio.sleep_forever()

    rig, ended = await crash(registry, "breaks", "long", "long", workers=2)
    assert ended.split(KeyboardInterrupt)[1] is None
    abandoned = rig.record.of(JobAbandoned)
    assert [(each.job_type, each.reason) for each in abandoned] == [
        ("breaks", "crashed"),
        ("long", "crashed"),
        ("long", "crashed"),
    ]
    assert [isinstance(each.worker_id, str) for each in abandoned] == [True, True, False]
    stopped = [event.reason for event in rig.record.of(WorkerStopped)]
    assert sorted(stopped) == ["cancelled", "crashed"]
    assert rig.engine.outcome == "crashed"


class Unspeakable(Exception):
    """An error that can't even be printed."""

    def __str__(self) -> str:
        raise SystemExit("no words")


@pytest.mark.parametrize(
    "error",
    [
        Unspeakable(),
        ValueError("\ud800"),
        ValueError("x" * 100_000),
        ExceptionGroup("g", [ValueError("inner")]),
        ExceptionGroup("g", [ValueError(number) for number in range(10_000)]),
        KeyError("\n" * 10_000_000),
        ValueError(b"x" * 10_000_000, ["y"] * 1_000_000),
    ],
    ids=["unspeakable", "surrogate", "long", "group", "crowd", "endless", "huge"],
)
async def test_whatever_is_raised_becomes_a_line(
    error: Exception, registry: Registry, make_rig: MakeRig
) -> None:
    """Errors that can't be printed, encoded or kept whole fail their job like any other."""

    @registry.job("raises", retry=ONCE)
    async def raises() -> None:
        raise error

    rig = make_rig()
    await rig.start()
    detail = await run_one(rig, "raises")
    assert detail.status == "failed"
    assert type(error).__name__ in str(detail.error)
    assert len(str(detail.error)) <= 1_000
    (line,) = [line for line in rig.lines if line["event"] == "job_failed"]
    assert line["error"] == detail.error
    assert 0 < len(line["traceback"]) <= 16_000


async def fails_on_the_loop() -> None:
    """An error on the loop."""
    int("one")


def fails_in_a_thread() -> None:
    """An error in a thread."""
    int("one")


@pytest.mark.parametrize("handler", [fails_on_the_loop, fails_in_a_thread])
async def test_a_traceback_begins_with_the_handler(
    handler: Callable[..., Any], registry: Registry
) -> None:
    """Wherever it runs, what stands between the worker and the handler is nobody's concern."""
    registry.job("fails", retry=ONCE)(handler)
    async with running(registry) as rig:
        job = await rig.queue.submit("fails")
    (attempt,) = (await rig.queue.get(job.id)).attempts
    frames = [line for line in str(attempt.traceback).splitlines() if line.startswith("  File ")]
    assert [frame.rpartition(" in ")[2] for frame in frames] == [handler.__name__]
