"""A group ends with the last of its jobs, once, and the job that follows is made in that act."""

from collections.abc import Sequence

import pytest
import trio

from job_service import Draft
from job_service.errors import GroupConflict, QueueClosed, QueueFull, UnknownGroup
from job_service.jobs.state.group import GroupView, new_group
from job_service.jobs.state.job_filter import JobFilter
from job_service.stores.contract import KeyedRequest
from job_service.telemetry.events import GroupCreated, GroupEndEvent, GroupEvent, JobCreated
from tests.stores.workshop import MakeWorkshop, Workshop

EMAIL = Draft("email", b"{}", 3)
DONE = Draft("letter", b'"done"', 3)
PITY = Draft("letter", b'"pity"', 3)


async def submit(
    shop: Workshop,
    drafts: int | Sequence[Draft] = 3,
    key: str | None = None,
    on_complete: Draft | None = DONE,
    on_failure: Draft | None = PITY,
) -> tuple[str, list[str]]:
    """The ids of a new group and of its jobs."""
    wanted = [EMAIL] * drafts if isinstance(drafts, int) else drafts
    group = new_group(len(wanted), shop.clock, on_complete, on_failure)
    request = None if key is None else KeyedRequest(key, b"group")
    group_id = (await shop.store.submit_group(group, wanted, request)).id
    return group_id, await jobs_of(shop, group_id)


async def jobs_of(shop: Workshop, group_id: str) -> list[str]:
    """The ids of the jobs of a group, in their order."""
    wanted = JobFilter(group=group_id)
    page = await shop.store.page(wanted, after=None, limit=100, newest_first=False)
    return [job.id for job in page.jobs]


async def callbacks(shop: Workshop) -> list[bytes]:
    """The payloads of all jobs that have followed on the end of a group, as they are kept."""
    jobs = [job for job in await shop.everything() if job.callback_of is not None]
    return [bytes((await shop.store.get(job.id)).payload) for job in jobs]


def told(shop: Workshop) -> list[str]:
    """What was told of groups."""
    return [event.event for event in shop.events if isinstance(event, GroupEvent)]


def counts(group: GroupView) -> tuple[int, ...]:
    """Of its jobs: pending, processing, completed, failed, cancelled."""
    return (group.pending, group.processing, group.completed, group.failed, group.cancelled)


async def test_a_group_tells_how_far_it_has_come(shop: Workshop) -> None:
    """From its first job to its last."""
    group_id, (first, second, third) = await submit(shop)
    assert counts(await shop.store.group(group_id)) == (3, 0, 0, 0, 0)
    await shop.start(first)
    assert counts(await shop.store.group(group_id)) == (2, 1, 0, 0, 0)
    await shop.end(first)
    await shop.run(second, "fail")
    group = await shop.store.group(group_id)
    assert counts(group) == (1, 0, 1, 1, 0)
    assert (group.status, group.progress, group.ended_at) == ("running", 0.6667, None)
    shop.seconds += 7
    await shop.store.cancel(third, "requested")
    group = await shop.store.group(group_id)
    assert counts(group) == (0, 0, 1, 1, 1)
    assert (group.status, group.progress, group.ended_at) == ("failed", 1.0, shop.now())


@pytest.mark.parametrize(
    ("ends", "status", "payload"),
    [
        (("complete", "complete"), "completed", b'"done"'),
        (("complete", "fail"), "failed", b'"pity"'),
        (("fail", "cancel"), "failed", b'"pity"'),
        (("cancel", "complete"), "cancelled", b'"pity"'),
    ],
)
async def test_one_job_follows_on_the_end_of_a_group(
    shop: Workshop, ends: Sequence[str], status: str, payload: bytes
) -> None:
    """The one for the way in which it has ended, and not before."""
    group_id, jobs = await submit(shop, 2)
    for job_id, how in zip(jobs, ends, strict=True):
        assert await callbacks(shop) == []
        await shop.run(job_id, how)  # type: ignore[arg-type]  # as they are above
    group = await shop.store.group(group_id)
    assert (group.status, await callbacks(shop)) == (status, [payload])
    follower = await shop.store.get(group.callback_id or "")
    assert (follower.callback_of, follower.group) == (group_id, None)
    assert told(shop) == ["group_created", f"group_{status}"]
    await shop.run(follower.id)


async def test_a_group_ends_without_a_job_that_follows(shop: Workshop) -> None:
    """If none was wanted for that end."""
    group_id, (only,) = await submit(shop, 1, on_complete=None)
    await shop.run(only)
    group = await shop.store.group(group_id)
    assert (group.status, group.callback_id) == ("completed", None)


async def test_a_job_that_goes_back_has_not_ended(shop: Workshop) -> None:
    """A retry and a snooze are no end."""
    group_id, (only,) = await submit(shop, 1)
    for how in ("retry", "snooze"):
        await shop.run(only, how)
        assert (await shop.store.group(group_id)).status == "running"
    await shop.run(only)
    assert (await shop.store.group(group_id)).status == "completed"


async def test_a_job_that_fails_with_the_one_it_follows_counts(shop: Workshop) -> None:
    """Whether that ends while the group is there, or had ended before."""
    before = await shop.new()
    group_id, (_, free) = await submit(shop, [Draft("email", b"{}", 3, after=(before,)), EMAIL])
    await shop.run(free)
    await shop.run(before, "fail")
    assert counts(await shop.store.group(group_id)) == (0, 0, 1, 1, 0)
    late, _ = await submit(shop, [Draft("email", b"{}", 3, after=(before,))])
    assert (await shop.store.group(late)).status == "failed"
    assert await callbacks(shop) == [b'"pity"', b'"pity"']


async def test_the_event_of_the_end_comes_between_the_last_job_and_the_next(shop: Workshop) -> None:
    """As it happened."""
    _, (only,) = await submit(shop, 1)
    await shop.run(only)
    last = [event.event for event in shop.events[-3:]]
    assert last == ["job_completed", "group_completed", "job_created"]
    end, created = shop.events[-2:]
    assert isinstance(end, GroupEndEvent)
    assert isinstance(created, JobCreated)
    assert end.callback_id == created.job_id


async def test_a_group_is_made_as_a_whole_or_not_at_all(make_workshop: MakeWorkshop) -> None:
    """If not all of its jobs fit, nobody hears of it."""
    shop = await make_workshop(capacity=2)
    group = new_group(3, shop.clock, DONE)
    with pytest.raises(QueueFull):
        await shop.store.submit_group(group, [EMAIL] * 3)
    assert (await shop.everything(), told(shop)) == ([], [])
    with pytest.raises(UnknownGroup):
        await shop.store.group(group.id)


async def test_the_job_that_follows_finds_a_place(make_workshop: MakeWorkshop) -> None:
    """In a full queue that is closed, too."""
    shop = await make_workshop(capacity=1)
    _, (only,) = await submit(shop, 1)
    await shop.start(only)
    await shop.new()
    shop.store.close()
    await shop.end(only)
    assert await callbacks(shop) == [b'"done"']
    with pytest.raises(QueueClosed):
        await shop.new()


async def test_a_request_with_a_key_makes_one_group(shop: Workshop) -> None:
    """Before and after its end."""
    first = await submit(shop, 2, key="k")
    assert await submit(shop, 2, key="k") == first
    for job_id in first[1]:
        await shop.run(job_id)
    assert await submit(shop, 2, key="k") == first
    assert told(shop) == ["group_created", "group_completed"]


async def test_who_waits_hears_of_the_end(shop: Workshop) -> None:
    """When it has come, and not later."""
    group_id, (only,) = await submit(shop, 1)
    assert (await shop.store.wait_for_group(group_id, 0)).status == "running"
    heard: list[str] = []

    async def wait() -> None:
        heard.append((await shop.store.wait_for_group(group_id, 60)).status)

    with trio.fail_after(10):
        async with trio.open_nursery() as nursery:
            nursery.start_soon(wait)
            await shop.run(only)
    assert heard == ["completed"]
    assert (await shop.store.wait_for_group(group_id, 60)).status == "completed"


async def test_the_jobs_of_a_group_are_found(shop: Workshop) -> None:
    """Among all others, together with other filters, and after their end."""
    await shop.new()
    tagged = Draft("email", b"{}", 3, tags=("red",))
    group_id, jobs = await submit(shop, [tagged, EMAIL])
    await submit(shop, [tagged])
    await shop.run(jobs[0])

    async def found(**filters: object) -> list[str]:
        wanted = JobFilter(group=group_id, **filters)  # type: ignore[arg-type]  # as they come
        page = await shop.store.page(wanted, after=None, limit=10, newest_first=False)
        assert all(job.group == group_id for job in page.jobs)
        return [job.id for job in page.jobs]

    assert await found() == jobs
    assert await found(tag="red") == jobs[:1]
    assert await found(statuses=("pending",)) == jobs[1:]
    assert await found(tag="red", statuses=("pending",)) == []


async def test_a_group_is_cancelled_as_one(shop: Workshop) -> None:
    """What waits at once, and what runs when its attempt is over; then it is at its end."""
    group_id, (done, runs, _) = await submit(shop)
    other = await shop.new()
    await shop.run(done)
    await shop.start(runs)
    cancelled = await shop.store.cancel_group(group_id, "requested", "alice")
    assert (cancelled.cancelled, cancelled.interrupted) == (1, 1)
    assert (await shop.store.group(group_id)).status == "running"
    await shop.end(runs, "cancel")
    group = await shop.store.group(group_id)
    assert (group.status, counts(group)) == ("cancelled", (0, 0, 1, 0, 2))
    assert await callbacks(shop) == [b'"pity"']
    assert (await shop.store.get(other)).status == "pending"
    with pytest.raises(GroupConflict, match="already cancelled"):
        await shop.store.cancel_group(group_id, "requested")


async def test_what_did_not_complete_runs_again_as_a_new_group(shop: Workshop) -> None:
    """With the same ends; the old group stays as it is."""
    group_id, (done, failed, called_off) = await submit(shop)
    with pytest.raises(GroupConflict, match="still running"):
        await shop.store.retry_group(group_id)
    await shop.run(done)
    await shop.run(failed, "fail")
    await shop.store.cancel(called_off, "requested")
    old = await shop.store.group(group_id)
    new = await shop.store.retry_group(group_id, by="alice")
    again = [await shop.store.get(job_id) for job_id in await jobs_of(shop, new.id)]
    assert [job.retry_of for job in again] == [failed, called_off]
    assert (new.jobs, new.retry_of, new.status) == (2, group_id, "running")
    created = [event for event in shop.events if isinstance(event, GroupCreated)]
    assert (created[-1].retry_of, created[-1].by) == (group_id, "alice")
    for job in again:
        await shop.run(job.id)
    assert (await shop.store.group(new.id)).status == "completed"
    assert await shop.store.group(group_id) == old
    assert sorted(await callbacks(shop)) == [b'"done"', b'"pity"']
    with pytest.raises(GroupConflict, match="completed"):
        await shop.store.retry_group(new.id)


async def test_a_group_is_known_by_its_key_when_its_jobs_are_no_longer_kept(
    make_workshop: MakeWorkshop,
) -> None:
    """As it has ended: nothing is made twice, and no group is named that there is not."""
    shop = await make_workshop(retain=0)
    group_id, jobs = await submit(shop, 2, key="k", on_complete=None)
    for job_id in jobs:
        await shop.run_and_forget(job_id)
    await shop.store.settled()
    assert await shop.everything() == []
    again = await shop.store.submit_group(
        new_group(2, shop.clock, None, None), [EMAIL] * 2, KeyedRequest("k", b"group")
    )
    assert (again.id, again.status, again.replayed) == (group_id, "completed", True)


async def test_a_job_that_is_retried_alone_is_no_job_of_the_group(shop: Workshop) -> None:
    """So the group stays as it has ended."""
    group_id, (only,) = await submit(shop, 1)
    await shop.run(only, "fail")
    again = await shop.store.run_again(only)
    assert again.group is None
    await shop.run(again.id)
    assert (await shop.store.group(group_id)).status == "failed"
    assert await callbacks(shop) == [b'"pity"']


async def test_a_group_that_is_not_kept_is_unknown(shop: Workshop) -> None:
    """To each call."""
    for group_id in ("", "no-such\0group", "01890a5d-ac96-774b-bcce-b302099a8057"):
        for call in (
            shop.store.group(group_id),
            shop.store.wait_for_group(group_id, 1),
            shop.store.cancel_group(group_id, "requested"),
            shop.store.retry_group(group_id),
        ):
            with pytest.raises(UnknownGroup):
                await call
