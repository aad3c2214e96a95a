"""A caller who is cancelled: what was done for it is told, and what is not told was not done."""

import pytest
import trio

from job_service.jobs.state.job_filter import JobFilter
from tests.stores.conftest import in_memory_only
from tests.stores.workshop import MakeWorkshop, Workshop


@in_memory_only
@pytest.mark.parametrize("call", ["run again", "call off"])
async def test_who_is_cancelled_when_it_is_done_hears_of_it(shop: Workshop, call: str) -> None:
    """There is no checkpoint that can be cancelled between the act and the answer."""
    job_id = await shop.new()
    if call == "run again":
        await shop.run(job_id)
    answered = False
    with trio.CancelScope() as scope:
        shop.listeners.append(lambda _: scope.cancel())
        if call == "run again":
            await shop.store.run_again(job_id)
        else:
            await shop.store.cancel(job_id, "requested")
        answered = True
    assert scope.cancel_called
    assert answered


async def test_who_is_cancelled_before_the_call_has_done_nothing(shop: Workshop) -> None:
    """Nothing was read in vain."""
    job_id, ended = await shop.new(), await shop.new()
    await shop.run(ended)
    events = list(shop.events)
    for call in (
        lambda: shop.store.run_again(ended),
        lambda: shop.store.cancel(job_id, "requested"),
        lambda: shop.store.cancel_all(JobFilter(types=("email",)), "requested"),
        lambda: shop.submit(),
    ):
        with trio.CancelScope() as scope:
            scope.cancel()
            await call()
        assert scope.cancelled_caught
    assert shop.events == events


@pytest.mark.slow
async def test_jobs_that_come_while_others_are_called_off_are_spared(
    make_workshop: MakeWorkshop,
) -> None:
    """Whoever calls off all jobs means those that it could know of."""
    shop = await make_workshop(capacity=1_000, retain=1_000)
    old = [await shop.new() for _ in range(600)]
    new: list[str] = []

    async def submit_meanwhile() -> None:
        while not any(event.event == "job_cancelled" for event in shop.events):
            await trio.lowlevel.checkpoint()
        new.append(await shop.new())

    async with trio.open_nursery() as nursery:
        nursery.start_soon(submit_meanwhile)
        done = await shop.store.cancel_all(JobFilter(types=("email",)), "requested")
    assert done.cancelled == len(old)
    assert [job.status for job in await shop.everything() if job.id in new] == ["pending"]
    await shop.check()
