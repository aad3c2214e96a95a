"""What a handler may raise: anything, and only what is no exception at all ends the engine."""

import sys
from collections.abc import Callable
from typing import Any

import pytest
import trio
import trio.testing

from job_service.jobs.registry import Registry
from job_service.jobs.retry import Retry
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

    story = await rig.queue.get(job.id)
    assert story.status == "failed"
    assert "SystemExit: 3" in str(story.error)
    assert (await rig.queue.get(after.id)).status == "completed"


class Catastrophe(BaseException):
    """Not an error of a job: something that must not be survived."""


@pytest.mark.parametrize("error", [KeyboardInterrupt, Catastrophe])
async def test_what_is_no_exception_ends_the_engine_visibly(
    error: type[BaseException], registry: Registry
) -> None:
    """Its worker has crashed, the others are cancelled, and every job is abandoned, not lost."""

    @registry.job("breaks")
    async def breaks() -> None:
        await trio.testing.wait_all_tasks_blocked()
        raise error

    @registry.job("long")
    async def long() -> None:
        await trio.sleep_forever()

    rig, ended = await crash(registry, "breaks", "long", "long", workers=2)
    assert ended.split(error)[1] is None
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
        raise RuntimeError("no words")


@pytest.mark.parametrize(
    "error",
    [
        Unspeakable(),
        ValueError("\ud800"),
        ValueError("x" * 100_000),
        ExceptionGroup("g", [ValueError("inner")]),
    ],
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
    story = await run_one(rig, "raises")
    assert story.status == "failed"
    assert type(error).__name__ in str(story.error)
    assert len(str(story.error)) <= 1_000
    (line,) = [line for line in rig.lines if line["event"] == "job_failed"]
    assert line["error"] == story.error
    assert 0 < len(line["traceback"]) <= 16_000
