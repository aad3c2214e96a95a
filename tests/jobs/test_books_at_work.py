"""The books balance in a whole engine too, whatever its clients do and whatever its jobs are."""

from contextlib import suppress
from typing import Literal

import trio
import trio.testing
from hypothesis import given, settings
from hypothesis import strategies as st

from service.jobs.context import JobContext
from service.jobs.intake import QueueFull
from service.jobs.queue import AlreadyFinished, UnknownJob
from service.jobs.registry import Registry
from service.jobs.retry import Retry
from tests.conftest import Rig
from tests.jobs.steps import running

Action = tuple[Literal["submit"], str] | tuple[Literal["cancel"], int] | tuple[Literal["wait"], int]

submit = st.sampled_from(["ok", "fail", "flaky", "slow", "stubborn", "timed", "untidy"])
actions: st.SearchStrategy[Action] = st.one_of(
    st.tuples(st.just("submit"), submit),
    st.tuples(st.just("cancel"), st.integers(0, 30)),
    st.tuples(st.just("wait"), st.sampled_from([0, 1, 7, 3_600])),
)


def every_kind_of_job() -> Registry:
    """Job types that end, or fail to end, in every way there is."""
    registry = Registry()
    retry = Retry(max_retries=2, base_seconds=3)

    @registry.job("ok")
    async def ok() -> None:
        await trio.lowlevel.checkpoint()

    @registry.job("fail", retry=retry)
    async def fail() -> None:
        raise RuntimeError("as ever")

    @registry.job("flaky", retry=retry)
    async def flaky(job: JobContext) -> None:
        await trio.sleep(0.5)
        if job.attempt == 1:
            raise RuntimeError("at first")

    @registry.job("slow")
    async def slow() -> None:
        await trio.sleep(10)

    @registry.job("stubborn")
    async def stubborn() -> None:
        with trio.CancelScope(shield=True):
            await trio.sleep(2)

    @registry.job("timed", retry=retry, timeout=1)
    async def timed() -> None:
        await trio.sleep_forever()

    @registry.job("untidy", retry=retry)
    async def untidy() -> None:
        try:
            await trio.sleep(1)
        finally:
            raise RuntimeError("while tidying up")

    return registry


async def act(rig: Rig, ids: list[str], action: Action) -> None:
    """One step of a client, or of time."""
    match action:
        case ("submit", job_type):
            try:
                ids.append((await rig.queue.submit(job_type)).id)
            except QueueFull:
                assert rig.snapshot().jobs_pending >= rig.snapshot().queue_capacity
        case ("cancel", index) if ids:
            with suppress(AlreadyFinished, UnknownJob):
                await rig.queue.cancel(ids[index % len(ids)])
        case ("wait", seconds) if seconds:
            await trio.sleep(seconds)
        case _:
            await trio.testing.wait_all_tasks_blocked()


@settings(max_examples=60, deadline=None)
@given(steps=st.lists(actions, max_size=25), workers=st.integers(1, 3))
def test_the_books_balance_after_each_step_and_each_job_ends_once(
    steps: list[Action], workers: int
) -> None:
    """Submissions, cancellations and time in any order: after a drain each job has ended once."""

    async def live_through_it() -> None:
        ids: list[str] = []
        options = {"workers": workers, "queue_capacity": 4, "retain": 5}
        async with running(every_kind_of_job(), grace=10_000, **options) as rig:
            for action in steps:
                await act(rig, ids, action)
                rig.snapshot()
            left = trio.current_time()
        assert rig.snapshot().jobs_created == len(ids)
        assert trio.current_time() - left < 1_000, "the drain waited for nothing"
        assert rig.engine.outcome == "drained"

    trio.run(live_through_it, clock=trio.testing.MockClock(autojump_threshold=0))
