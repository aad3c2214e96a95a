"""A handler that raises Discard has failed for good, whatever retries are left."""

import pickle
from collections.abc import Callable
from typing import Any

import pytest
import trio
import trio.testing

from job_service import Discard, Registry, Retry
from job_service.telemetry.events import JobFailed
from tests.jobs.steps import abandoned, endings, live, running


async def in_a_task() -> None:
    """Discards in a task of the handler's own, beside another error."""
    async with trio.open_nursery() as nursery:
        nursery.start_soon(on_the_loop)
        raise ValueError("beside it")


async def on_the_loop() -> None:
    """Discards on the loop."""
    raise Discard("no such customer")


def in_a_thread() -> None:
    """Discards in a thread."""
    raise Discard("no such customer")


@pytest.mark.parametrize("handler", [on_the_loop, in_a_thread, in_a_task])
async def test_a_discarded_job_fails_at_once(
    handler: Callable[..., Any], registry: Registry
) -> None:
    """There is one attempt, and the error says why; from the loop, a thread, and in a group."""
    registry.job("gives_up", retry=Retry(max_retries=5))(handler)
    async with running(registry) as rig:
        job = await rig.queue.submit("gives_up")

    detail = await rig.queue.get(job.id)
    assert (detail.status, detail.attempt) == ("failed", 1)
    assert endings(rig, job.id) == ["job_failed"]
    assert "job_retried" not in rig.record.names(job.id)
    (failed,) = rig.record.of(JobFailed)
    assert "Discard: no such customer" in failed.error
    if handler is not in_a_task:
        assert failed.error == "Discard: no such customer"


async def test_the_end_of_the_service_comes_before_a_discard(
    registry: Registry, autojump_clock: trio.testing.MockClock
) -> None:
    """A handler that discards because it is being cancelled is abandoned, as any other."""

    @registry.job("stubborn")
    async def stubborn() -> None:
        try:
            await trio.sleep_forever()
        finally:
            raise Discard("interrupted")

    assert abandoned(await live(registry, "stubborn", stop="stopped")) == [
        ("stubborn", "stopped", True)
    ]


def test_a_discard_survives_the_way_from_a_process() -> None:
    """It can be pickled."""
    again = pickle.loads(pickle.dumps(Discard("why")))  # noqa: S301  # our own
    assert (type(again), again.args) == (Discard, ("why",))
