"""Whole services that share a database, as `--store postgresql://…` makes them."""

import trio

from job_service import Registry, Settings, host


async def test_two_services_are_one(database: str) -> None:
    """What one accepts, either runs; both tell of it."""
    registry = Registry()

    @registry.job("email")
    async def email(to: str) -> str:
        await trio.lowlevel.checkpoint()
        return to

    settings = Settings(store=database, port=0, workers=2)
    async with host(registry, settings) as first, host(registry, settings) as second:
        jobs = [await first.queue.submit("email", name) for name in ("ada", "bob")]
        ended = [await second.queue.wait(job.id, 20) for job in jobs]
        assert [bytes(job.result or b"") for job in ended] == [b'"ada"', b'"bob"']
        view = await second.queue.view()
        assert (view.finished, view.store.startswith("postgresql:///jobs_")) == (2, True)
        assert [node.is_asked for node in await first.queue.nodes()] == [True, False]
        (types,) = await second.queue.types()
        assert types.completed == 2
    async with host(registry, settings) as third:
        assert (await third.queue.get(jobs[0].id)).status == "completed"
        assert len(await third.queue.nodes()) == 1
