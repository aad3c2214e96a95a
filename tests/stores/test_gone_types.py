"""Jobs whose handler is gone are still there: they can be found, cancelled and run again."""

import pytest

from job_service.errors import UnknownJobType
from job_service.jobs.queueing.queue import JobQueue
from job_service.jobs.registration.registry import Registry
from tests.stores.conftest import opened
from tests.stores.workshop import OpenStore, Workshop

LATER = 3_600.0


@pytest.fixture
def queue(shop: Workshop) -> JobQueue:
    """That of a program which has no handler."""
    return JobQueue(Registry(), shop.store)


async def test_they_can_be_meant_by_their_type(shop: Workshop, queue: JobQueue) -> None:
    """To be run now, cancelled, and run again."""
    job_id = await shop.new(delay_seconds=LATER)
    job_type = (await shop.store.get(job_id)).type
    assert (await queue.run_now_all(job_type)).made_ready == 1
    assert (await queue.cancel_all(job_type)).cancelled == 1
    assert (await queue.retry_all(job_type, status="cancelled")).retried == 1


async def test_their_type_can_be_paused(shop: Workshop, queue: JobQueue) -> None:
    """Another process may have a handler, and a pause may be there from before."""
    job_type = (await shop.store.get(await shop.new())).type
    assert (await queue.pause(job_type)).paused_types == [job_type]
    assert (await queue.resume(job_type)).paused_types == []


async def test_their_type_is_among_the_types(shop: Workshop, queue: JobQueue) -> None:
    """Without the terms that a handler has."""
    job_id = await shop.new(delay_seconds=LATER)
    (view,) = await queue.types()
    assert view.type == (await shop.store.get(job_id)).type
    assert (view.runs_in, view.max_retries, view.pending) == (None, None, 1)


async def test_a_name_of_which_no_jobs_are_kept_is_refused(open_store: OpenStore) -> None:
    """As one that is misspelt. The error names the types that there are."""
    async with opened(open_store, retain=0) as shop:
        queue = JobQueue(Registry(), shop.store)
        job_id = await shop.new()
        job_type = (await shop.store.get(job_id)).type
        for call in (queue.cancel_all, queue.run_now_all, queue.retry_all, queue.pause):
            with pytest.raises(UnknownJobType, match=f"known are {job_type}"):
                await call("telegram")
        await shop.store.cancel(job_id, "requested")
        await shop.store.settled()
        if await shop.store.counts() == {}:
            with pytest.raises(UnknownJobType, match="known are none"):
                await queue.cancel_all(job_type)
