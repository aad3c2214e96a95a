"""Of submissions with one unique key that come close together, the last one counts."""

from datetime import timedelta

import msgspec
import pytest
import trio

from job_service import Draft
from job_service.errors import QueueClosed, QueueFull
from job_service.telemetry.events import JobCreated, JobDuplicate, JobEdited
from tests.stores.workshop import MakeWorkshop, Workshop


def draft(payload: str, seconds: float = 30.0, limit_key: str | None = None) -> Draft:
    """One of them."""
    return Draft(
        "email",
        msgspec.json.encode(payload),
        3,
        unique_key="ada",
        debounce_seconds=seconds,
        limit_key=limit_key,
    )


async def payload_of(shop: Workshop, job_id: str) -> str:
    """What the job is to do now."""
    return str(msgspec.json.decode((await shop.store.get(job_id)).payload))


async def test_the_last_payload_counts_and_the_time_begins_anew(shop: Workshop) -> None:
    """There is one job, and an event tells what has become of it."""
    (first,) = await shop.submit(draft("one"))
    assert first.run_at == first.created_at + timedelta(seconds=30)
    (second,) = await shop.submit(draft("two", 60, limit_key="acme"))
    assert (second.id, second.duplicate) == (first.id, True)
    told = await shop.store.get(first.id)
    assert await payload_of(shop, first.id) == "two"
    assert told.limit_key == "acme"
    assert told.run_at == second.run_at
    assert told.run_at is not None
    assert told.run_at - first.created_at >= timedelta(seconds=60)
    (edited,) = [event for event in shop.events if isinstance(event, JobEdited)]
    assert (edited.job_id, edited.run_at, edited.payload_bytes) == (first.id, second.run_at, 5)
    assert sum(isinstance(event, JobCreated) for event in shop.events) == 1
    assert not any(isinstance(event, JobDuplicate) for event in shop.events)
    await shop.store.cancel(first.id, "requested")


async def test_it_is_so_within_a_batch(shop: Workshop) -> None:
    """Also if the job is made in the same act."""
    jobs = await shop.submit(draft("one"), draft("two"), draft("three"))
    assert {job.id for job in jobs} == {jobs[0].id}
    assert [job.duplicate for job in jobs] == [False, True, True]
    assert await payload_of(shop, jobs[0].id) == "three"
    await shop.store.cancel(jobs[0].id, "requested")


async def test_a_job_that_has_begun_is_what_it_was(shop: Workshop) -> None:
    """The submission is answered with it, as any other that comes too late."""
    (first,) = await shop.submit(draft("one", 0.001))
    shop.seconds += 1
    with trio.fail_after(10):
        while first.id not in shop.waiting:  # a process claims it when it is due
            await trio.sleep(0.01)
    await shop.start(first.id)
    (second,) = await shop.submit(draft("two"))
    assert (second.id, second.status, second.duplicate) == (first.id, "processing", True)
    assert await payload_of(shop, first.id) == "one"
    await shop.end(first.id)
    (third,) = await shop.submit(draft("three"))
    assert third.id != first.id
    assert await payload_of(shop, third.id) == "three"
    await shop.store.cancel(third.id, "requested")


async def test_a_longer_payload_needs_room(make_workshop: MakeWorkshop) -> None:
    """Otherwise nothing changes."""
    shop = await make_workshop(capacity_bytes=30)
    (job,) = await shop.submit(draft("one"))
    with pytest.raises(QueueFull, match="bytes never fit"):
        await shop.submit(draft("x" * 40))
    assert await payload_of(shop, job.id) == "one"
    await shop.store.cancel(job.id, "requested")


async def test_nothing_is_put_off_beyond_the_end(shop: Workshop) -> None:
    """A service that drains takes no more of them."""
    (job,) = await shop.submit(draft("one"))
    shop.store.close()
    with pytest.raises(QueueClosed):
        await shop.submit(draft("two"))
    assert await payload_of(shop, job.id) == "one"
    await shop.store.cancel(job.id, "requested")
