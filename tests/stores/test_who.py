"""The event of what somebody did has their name, and so has the job."""

from datetime import timedelta

from msgspec import UNSET

from job_service import Draft
from job_service.jobs.state.group import new_group
from job_service.jobs.state.job_filter import JobFilter
from job_service.jobs.state.model import Edit
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


async def test_a_job_tells_who_has_submitted_it(shop: Workshop) -> None:
    """While it waits, and when it has ended; whoever runs it again has submitted the new one."""
    (job,) = await shop.submit(Draft("email", b"{}", 3, by="alice"))
    assert (await shop.store.get(job.id)).submitted_by == "alice"
    assert (await shop.run(job.id)).submitted_by == "alice"
    by_bob = await shop.store.run_again(job.id, by="bob")
    by_nobody = await shop.store.run_again(job.id)
    told = [(await shop.store.get(each.id)).submitted_by for each in (by_bob, by_nobody)]
    assert told == ["bob", None]
    assert names_in(shop, JobCreated) == ["alice", "bob", UNSET]


async def test_a_job_tells_who_has_changed_it_last(shop: Workshop) -> None:
    """And when: while it waits, and when it has ended. Nobody else is named for a change."""
    job_id = await shop.new()
    untouched = await shop.store.get(job_id)
    assert (untouched.edits, untouched.edited_at, untouched.edited_by) == (0, None, None)
    for by in ("alice", "bob", None):
        shop.seconds += 5.0
        told = await shop.store.edit(job_id, Edit(priority=1, by=by))
        assert (told.edited_at, told.edited_by) == (shop.now(), by)
    shop.seconds += 5.0
    by_carol = await shop.store.edit(job_id, Edit(payload=b"[]", by="carol"))
    shop.seconds += 5.0
    ended = await shop.run(job_id)
    assert ended.edited_at == by_carol.edited_at == shop.now() - timedelta(seconds=5)
    assert (ended.edits, ended.edited_by, ended.submitted_by) == (4, "carol", None)


async def test_who_puts_a_job_off_has_changed_it(shop: Workshop) -> None:
    """Whoever submits the last payload; the first one has submitted the job."""
    for by in ("alice", "bob"):
        draft = Draft("email", b"{}", 3, unique_key="ada", debounce_seconds=30, by=by)
        (job,) = await shop.submit(draft)
    told = await shop.store.get(job.id)
    assert (told.submitted_by, told.edited_by, told.edits) == ("alice", "bob", 1)
    await shop.store.cancel(job.id, "requested")


async def test_who_submits_a_group_has_submitted_all_of_its_jobs(shop: Workshop) -> None:
    """Also the one that follows on its end; whoever runs them again, the new ones."""
    email = Draft("email", b"{}", 3)
    group = new_group(1, shop.clock, on_failure=email, by="alice")
    first = await shop.store.submit_group(group, [email])
    again = None
    for by in ("alice", "bob", None):
        if by != "alice":
            again = await shop.store.retry_group((again or first).id, by=by)
        (job,) = await jobs_of(shop, (again or first).id)
        await shop.run(job, "fail")
        callback = (await shop.store.group((again or first).id)).callback_id
        assert callback is not None
        told = [(await shop.store.get(job_id)).submitted_by for job_id in (job, callback)]
        assert told == [by, by]


async def jobs_of(shop: Workshop, group_id: str) -> list[str]:
    """The ids of the jobs of a group."""
    wanted = JobFilter(group=group_id)
    page = await shop.store.page(wanted, after=None, limit=100, newest_first=False)
    return [job.id for job in page.jobs]


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
