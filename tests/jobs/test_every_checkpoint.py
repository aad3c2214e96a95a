"""An engine that is cancelled at any step of its life leaves no job behind without an end."""

from collections.abc import Callable
from contextlib import suppress
from typing import Final

import pytest
import trio
import trio.testing

from job_service.errors import AlreadyFinished
from job_service.jobs.registration.context import JobContext
from job_service.jobs.registration.registry import Registry
from job_service.jobs.registration.retry import Retry
from job_service.jobs.running.engine import Engine
from job_service.telemetry.metrics import MetricsSnapshot
from tests.conftest import Rig
from tests.jobs.steps import at_once, check_the_end

MAX_STEPS = 1_000
JOBS = ("steps", "cleans", "flaky", "nursery", "cleans", "steps", "flaky", "nursery")
Stop = Callable[[Engine, trio.CancelScope], None]

WAYS: Final[dict[str, Stop]] = {
    "the_nursery_is_cancelled": lambda _, scope: scope.cancel(),
    "stop": lambda engine, _: engine.stop("second_signal"),
    "drain_without_grace": lambda engine, _: engine.drain(0),
}


class StopAtStep(trio.abc.Instrument):
    """Calls `stop` before the `step`-th step of any task, counted from its first own."""

    def __init__(self, step: int, stop: Callable[[], None]) -> None:
        self._left = step
        self._stop = stop

    @property
    def called(self) -> bool:
        """Whether the run was long enough to get there."""
        return self._left < 0

    def before_task_step(self, _: trio.lowlevel.Task) -> None:
        """Count down."""
        if self._left == 0:
            self._stop()
        self._left -= 1


def jobs_of_all_kinds() -> Registry:
    """Job types whose handlers have checkpoints of every kind between their begin and end."""
    registry = Registry()

    @registry.job("steps")
    async def steps() -> None:
        for _ in range(3):
            await trio.lowlevel.checkpoint()

    @registry.job("flaky", retry=Retry(base_seconds=1, jitter=0))
    async def flaky(job: JobContext) -> None:
        await trio.lowlevel.checkpoint()
        if job.attempt < 3:
            raise RuntimeError("not yet")

    @registry.job("cleans", retry=Retry(max_retries=1), timeout=1)
    async def cleans() -> None:
        try:
            await trio.sleep_forever()
        finally:
            with trio.CancelScope(shield=True):
                await trio.lowlevel.checkpoint()

    @registry.job("nursery")
    async def own_nursery() -> None:
        async def raise_when_cancelled() -> None:
            try:
                await trio.lowlevel.checkpoint()
            except trio.Cancelled:
                raise ValueError("a task of the handler's own") from None

        async with trio.open_nursery() as nursery:
            nursery.start_soon(raise_when_cancelled)
            nursery.start_soon(trio.lowlevel.checkpoint)

    return registry


async def run_and_stop(step: int, stop: Stop) -> tuple[Rig, MetricsSnapshot, bool]:
    """Run a few jobs on an engine that is stopped at `step`, and check how they have ended.

    Gives the rig, its metrics, and whether it came to that step.
    """
    async with trio.open_nursery() as nursery:
        rig = Rig(nursery, jobs_of_all_kinds(), workers=2)
        instrument = StopAtStep(step, lambda: stop(rig.engine, nursery.cancel_scope))
        trio.lowlevel.add_instrument(instrument)
        try:
            for job_type in JOBS:
                at_once(rig.queue.submit(job_type))
            nursery.start_soon(rig.engine.run)
            await trio.testing.wait_all_tasks_blocked()
            for job in at_once(rig.queue.list(status="processing", job_type="cleans", limit=1)):
                with suppress(AlreadyFinished):
                    await rig.queue.cancel(job.id)
            await trio.sleep(60)
            rig.engine.drain(60)
            await trio.sleep(60)
        finally:
            trio.lowlevel.remove_instrument(instrument)
    check_the_end(rig)
    return rig, rig.snapshot(), instrument.called


@pytest.mark.slow
@pytest.mark.parametrize("way", WAYS)
def test_the_books_balance_wherever_the_engine_is_cancelled(way: str) -> None:
    """At every step from its start to its end: no job stays pending or in progress, none is lost.

    Each job that was created has exactly one end, and each worker that started has stopped.
    """
    stop = WAYS[way]
    for step in range(MAX_STEPS):
        clock = trio.testing.MockClock(autojump_threshold=0)
        rig, now, called = trio.run(run_and_stop, step, stop, clock=clock)
        names = rig.record.names()
        assert names.count("worker_started") == names.count("worker_stopped"), step
        if not called:
            break
    else:
        pytest.fail("the jobs took more steps than the test would go")
    assert (now.jobs_created, now.jobs_completed, now.jobs_retried) == (8, 6, 5)
    assert (now.jobs_cancelled, now.jobs_failed) == (1, 1)
    assert step > 40, "every step of all that was to be met"
