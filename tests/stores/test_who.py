"""The event of what somebody did has their name."""

from msgspec import UNSET

from job_service.jobs.state.job_filter import JobFilter
from job_service.telemetry.events import (
    Event,
    JobCancelled,
    JobCreated,
    QueuePaused,
    QueueResumed,
)
from tests.stores.workshop import Workshop


def names_in(shop: Workshop, kind: type[Event]) -> list[object]:
    """Whom the events of this kind name."""
    return [getattr(event, "by", None) for event in shop.events if isinstance(event, kind)]


async def test_who_cancels_a_job_is_named(shop: Workshop) -> None:
    """Of one that waits at once; of one that runs when its attempt has ended."""
    await shop.store.cancel(await shop.new(), "requested", "alice")
    await shop.store.cancel(await shop.new(), "requested")
    running = await shop.new()
    await shop.start(running)
    await shop.store.cancel(running, "requested", "bob")
    await shop.store.cancel(running, "requested", "carol")  # who comes too late
    await shop.end(running, "cancel")
    assert names_in(shop, JobCancelled) == ["alice", UNSET, "bob"]


async def test_a_job_tells_who_has_cancelled_it(shop: Workshop) -> None:
    """If they have a name, and only if it was cancelled: it may have completed all the same."""
    waiting, running, completed = [await shop.new() for _ in range(3)]
    assert (await shop.store.cancel(waiting, "requested", "alice")).cancelled_by == "alice"
    for job_id in (running, completed):
        await shop.start(job_id)
        assert (await shop.store.cancel(job_id, "requested", "bob")).cancelled_by is None
    await shop.end(running, "cancel")
    await shop.end(completed)
    told = [(await shop.store.get(job_id)).cancelled_by for job_id in (waiting, running, completed)]
    assert told == ["alice", "bob", None]


async def test_who_cancels_all_jobs_of_a_type_is_named_with_each(shop: Workshop) -> None:
    """Those that wait, and those that run."""
    running = await shop.new()
    await shop.start(running)
    await shop.new()
    await shop.store.cancel_all(JobFilter(types=("email",)), "requested", "alice")
    await shop.end(running, "cancel")
    assert names_in(shop, JobCancelled) == ["alice", "alice"]


async def test_who_runs_a_job_again_is_named_with_the_new_one(shop: Workshop) -> None:
    """Which names the old one."""
    old = await shop.new()
    await shop.store.cancel(old, "requested")
    new = await shop.store.run_again(old, by="alice")
    created = [event for event in shop.events if isinstance(event, JobCreated)]
    assert [(event.job_id, event.retry_of, event.by) for event in created] == [
        (old, UNSET, UNSET),
        (new.id, old, "alice"),
    ]


async def test_who_pauses_and_resumes_is_named(shop: Workshop) -> None:
    """Of the queue, and of one type."""
    for job_type in (None, "email"):
        await shop.store.pause(job_type, "alice")
        await shop.store.resume(job_type, "bob")
    await shop.store.pause(None)
    assert names_in(shop, QueuePaused) == ["alice", "alice", UNSET]
    assert names_in(shop, QueueResumed) == ["bob", "bob"]
