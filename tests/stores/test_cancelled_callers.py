"""A caller who is cancelled: what was done for it is told, and what is not told was not done."""

import pytest
import trio

from tests.stores.workshop import MakeWorkshop, Workshop


@pytest.mark.parametrize("call", ["run again", "call off"])
async def test_who_is_cancelled_has_done_nothing_or_hears_of_it(shop: Workshop, call: str) -> None:
    """At whatever moment the cancellation comes: there is no checkpoint between act and answer."""
    for steps in range(5):
        job_id = await shop.new()
        if call == "run again":
            await shop.run(job_id)
        before = len(shop.events)
        answered = False
        with trio.CancelScope() as scope:
            async with trio.open_nursery() as nursery:

                async def ask(job_id: str = job_id) -> None:
                    nonlocal answered
                    if call == "run again":
                        await shop.store.run_again(job_id)
                    else:
                        await shop.store.cancel(job_id, "requested")
                    answered = True

                nursery.start_soon(ask)
                for _ in range(steps):
                    await trio.lowlevel.checkpoint()
                scope.cancel()
        assert answered == (len(shop.events) > before)
        assert answered or steps < 3


async def test_who_is_cancelled_before_the_call_has_done_nothing(shop: Workshop) -> None:
    """Nothing was read in vain."""
    job_id, ended = await shop.new(), await shop.new()
    await shop.run(ended)
    events = list(shop.events)
    for call in (
        lambda: shop.store.run_again(ended),
        lambda: shop.store.cancel(job_id, "requested"),
        lambda: shop.store.cancel_all("email", None, "requested"),
        lambda: shop.submit(),
    ):
        with trio.CancelScope() as scope:
            scope.cancel()
            await call()
        assert scope.cancelled_caught
    assert shop.events == events


async def test_jobs_that_come_while_others_are_called_off_are_spared(
    make_workshop: MakeWorkshop,
) -> None:
    """Whoever calls off all jobs means those that it could know of."""
    shop = await make_workshop(capacity=1_000, retain=1_000)
    old = [await shop.new() for _ in range(250)]
    new: list[str] = []

    async def submit_meanwhile() -> None:
        while not any(event.event == "job_cancelled" for event in shop.events):
            await trio.lowlevel.checkpoint()
        new.append(await shop.new())

    async with trio.open_nursery() as nursery:
        nursery.start_soon(submit_meanwhile)
        done = await shop.store.cancel_all("email", None, "requested")
    assert done.cancelled == len(old)
    assert [job.status for job in await shop.everything() if job.id in new] == ["pending"]
    await shop.check()
