"""What only stores promise that keep nothing: their jobs end with the process."""

from tests.stores.conftest import open_memory_store, opened


async def test_the_end_of_the_service_leaves_no_job_without_one() -> None:
    """Each for its reason; what awaited another is left behind, too, and does not fail."""
    async with opened(open_memory_store) as shop:
        running, waiting = await shop.new(), await shop.new()
        blocked = await shop.new(after=(running,))
        await shop.start(running)
        shop.store.leave_behind(lambda job: f"because it was {job.status}")
        await shop.store.settled()
        for job_id in (running, waiting, blocked):
            assert (await shop.store.get(job_id)).status == "abandoned"
            assert shop.told(job_id)[-1] == "abandoned"
        reasons = [getattr(event, "reason", None) for event in shop.events[-3:]]
        assert reasons == ["because it was processing", *["because it was pending"] * 2]
