"""Who is admitted: all jobs of a submission or none, decided where they are kept."""

import math
from datetime import datetime
from typing import Any

import pytest
import trio
import trio.testing

from job_service import Draft
from job_service.errors import (
    BatchTooLarge,
    IdempotencyKeyReused,
    NotFinished,
    QueueClosed,
    QueueFull,
    UnknownJob,
    UnknownPredecessor,
)
from job_service.jobs.state.job_filter import JobFilter
from job_service.stores.contract import KeyedRequest
from tests.stores.workshop import MakeWorkshop, Workshop

EMAIL = Draft("email", b"{}", 3)


async def test_jobs_are_made_in_the_order_of_their_drafts(shop: Workshop) -> None:
    """Each is told to whoever asked, to the log and to the runner, and is kept on return."""
    drafts = [Draft("email", str(n).encode(), 3) for n in range(3)]
    jobs = await shop.submit(*drafts)
    assert [bytes((await shop.store.get(job.id)).payload) for job in jobs] == [b"0", b"1", b"2"]
    assert list(shop.waiting) == [job.id for job in jobs]
    assert [event.event for event in shop.events] == ["job_created"] * 3


@pytest.mark.parametrize("jobs", [1, 2])
async def test_a_submission_is_admitted_as_a_whole_or_not_at_all(
    jobs: int, make_workshop: MakeWorkshop
) -> None:
    """The one place that is left is enough for one job, and for none of two."""
    shop = await make_workshop(capacity=3)
    await shop.submit(EMAIL, EMAIL)
    if jobs == 1:
        await shop.submit(EMAIL)
        return
    with pytest.raises(QueueFull, match="1 more jobs fit, not 2; none was accepted"):
        await shop.submit(EMAIL, EMAIL)
    assert shop.metrics.snapshot().jobs_created == 2
    assert shop.metrics.snapshot().jobs_rejected == 2
    with pytest.raises(BatchTooLarge, match="4 jobs never fit"):
        await shop.submit(*[EMAIL] * 4)
    await shop.check()


async def test_running_jobs_take_no_place_but_bytes(make_workshop: MakeWorkshop) -> None:
    """What runs keeps its payload."""
    shop = await make_workshop(capacity=1, capacity_bytes=10)
    heavy = Draft("email", b"[1,2,3]", 3)
    (first,) = await shop.submit(heavy)
    await shop.start(first.id)
    (second,) = await shop.submit(EMAIL)
    await shop.start(second.id)
    with pytest.raises(QueueFull, match="1 of 10 bytes are free, not 7"):
        await shop.submit(heavy)
    with pytest.raises(BatchTooLarge, match="11 bytes never fit"):
        await shop.submit(Draft("email", b"[1,2,3,4,5]", 3))
    await shop.end(first.id)
    await shop.submit(heavy)
    await shop.check()


async def test_a_full_queue_is_told_of_at_its_edges(make_workshop: MakeWorkshop) -> None:
    """One line when the first is turned away, and one when there is room to spare."""
    shop = await make_workshop(capacity=4)
    jobs = await shop.submit(*[EMAIL] * 4)
    for _ in range(3):
        with pytest.raises(QueueFull, match="4 of 4 places taken"):
            await shop.submit()
    for job in jobs[:2]:
        await shop.store.cancel(job.id, "requested")
    names = [event.event for event in shop.events if event.event.startswith("queue_")]
    assert names == ["queue_full", "queue_freed"]


async def test_a_job_that_ends_frees_its_bytes(make_workshop: MakeWorkshop) -> None:
    """And that is told of, if the queue was full of them."""
    shop = await make_workshop(capacity_bytes=10)
    (heavy,) = await shop.submit(Draft("email", b"[1,2,3,4]", 3))
    await shop.start(heavy.id)
    with pytest.raises(QueueFull):
        await shop.submit()
    assert shop.events[-1].event == "queue_full"
    await shop.end(heavy.id)
    assert shop.events[-1].event == "queue_freed"


async def test_a_closed_store_takes_no_more(shop: Workshop) -> None:
    """But it answers, and what it has goes on."""
    job_id = await shop.new()
    shop.store.close()
    with pytest.raises(QueueClosed):
        await shop.submit()
    assert shop.metrics.snapshot().jobs_rejected == 1
    assert (await shop.run(job_id)).status == "completed"
    with pytest.raises(QueueClosed):
        await shop.store.run_again(job_id)


async def test_a_unique_key_is_held_until_its_job_has_ended(shop: Workshop) -> None:
    """Whoever submits it meanwhile is given the holder; also within one call."""
    keyed = Draft("email", b"{}", 3, unique_key="ada")
    first, twin = await shop.submit(keyed, keyed)
    assert (first.duplicate, twin.id, twin.duplicate) == (False, first.id, True)
    (other,) = await shop.submit(Draft("letter", b"{}", 3, unique_key="ada"))
    assert not other.duplicate
    await shop.start(first.id)
    (again,) = await shop.submit(keyed)
    assert (again.id, again.status, again.duplicate) == (first.id, "processing", True)
    await shop.end(first.id, "retry")
    assert (await shop.submit(keyed))[0].duplicate
    await shop.run(first.id)
    assert not (await shop.submit(keyed))[0].duplicate
    assert shop.metrics.snapshot().jobs_deduplicated == 3


async def test_a_duplicate_takes_no_place(make_workshop: MakeWorkshop) -> None:
    """Where there is room for none, the holder is given all the same."""
    shop = await make_workshop(capacity=1)
    keyed = Draft("email", b"{}", 3, unique_key="ada")
    (first,) = await shop.submit(keyed)
    assert (await shop.submit(keyed, keyed))[1].id == first.id
    with pytest.raises(QueueFull):
        await shop.submit(keyed, EMAIL)


async def test_a_duplicate_takes_no_bytes(make_workshop: MakeWorkshop) -> None:
    """Only those that will be made must fit, and each of them counts."""
    shop = await make_workshop(capacity_bytes=20)
    heavy = Draft("email", b'"0123456789012"', 3, unique_key="ada")
    (first,) = await shop.submit(heavy)
    holder, new = await shop.submit(heavy, Draft("email", b"1", 3))
    assert (holder.id, holder.duplicate, new.duplicate) == (first.id, True, False)
    with pytest.raises(QueueFull, match="4 of 20 bytes are free, not 5"):
        await shop.submit(heavy, Draft("email", b"1", 3), Draft("email", b"1234", 3))
    await shop.check()


async def test_a_duplicate_needs_no_predecessor(make_workshop: MakeWorkshop) -> None:
    """The holder is given, whether or not what it came after is still kept."""
    shop = await make_workshop(retain=0)
    first = await shop.new()
    keyed = Draft("email", b"{}", 3, unique_key="ada", after=(first,))
    (holder,) = await shop.submit(keyed)
    await shop.run_and_forget(first)
    (again,) = await shop.submit(keyed)
    assert (again.id, again.duplicate) == (holder.id, True)


async def test_one_that_fails_at_once_keeps_no_key(shop: Workshop) -> None:
    """So what follows with the same key in the same call is a job of its own."""
    first = await shop.new()
    await shop.store.cancel(first, "requested")
    failed, made, twin = await shop.submit(
        Draft("email", b"{}", 3, unique_key="ada", after=(first,)),
        Draft("email", b"{}", 3, unique_key="ada"),
        Draft("email", b"{}", 3, unique_key="ada"),
    )
    assert (failed.status, made.status) == ("failed", "pending")
    assert (made.duplicate, twin.duplicate, twin.id) == (False, True, made.id)


@pytest.mark.parametrize("wrong", [{"run_at": datetime(2030, 1, 1)}, {"delay_seconds": math.inf}])  # noqa: DTZ001 - naive
async def test_a_draft_that_nobody_can_make_a_job_of_leaves_nothing(
    shop: Workshop, wrong: dict[str, Any]
) -> None:
    """A program may have made it by hand: even then it is all or none."""
    with pytest.raises((TypeError, OverflowError)):
        await shop.submit(EMAIL, Draft("email", b"{}", 3, **wrong))
    assert (await shop.everything(), shop.events) == ([], [])


async def test_a_predecessor_must_be_known(shop: Workshop) -> None:
    """Else none of the call's jobs is made."""
    with pytest.raises(UnknownPredecessor, match="no such job"):
        await shop.submit(EMAIL, Draft("email", b"{}", 3, after=("no such job",)))
    assert await shop.everything() == []


async def test_a_job_waits_for_all_of_its_predecessors(shop: Workshop) -> None:
    """The runner hears of it when the last has completed, in the same act."""
    first, second, third = [await shop.new() for _ in range(3)]
    await shop.run(first)
    job_id = await shop.new(after=(first, second, third))
    assert (await shop.store.view()).blocked == 1
    await shop.run(second)
    assert job_id not in shop.waiting
    await shop.start(third)
    await shop.end(third, "complete")
    assert job_id in shop.waiting
    assert (await shop.store.view()).blocked == 0
    assert (await shop.run(job_id)).status == "completed"


@pytest.mark.parametrize("how", ["fail", "cancel"])
async def test_a_job_fails_with_its_predecessor(shop: Workshop, how: str) -> None:
    """And so does what comes after it, in the same act; also if it was submitted too late."""
    first = await shop.new()
    second = await shop.new(after=(first,))
    third = await shop.new(after=(second,))
    if how == "fail":
        await shop.run(first, "fail")
        became = "has failed"
    else:
        await shop.store.cancel(first, "requested")
        became = "was cancelled"
    late = await shop.new(after=(first,))
    for job_id, predecessor, what in (
        (second, first, became),
        (third, second, "has failed"),
        (late, first, became),
    ):
        job = await shop.store.get(job_id)
        assert job.error == f"job {predecessor}, which it was to follow, {what}"
        assert shop.told(job_id) == ["created", "failed"]


async def test_what_an_abandoned_job_leaves_behind_waits(shop: Workshop) -> None:
    """The end of the service is no failure."""
    first = await shop.new()
    second = await shop.new(after=(first,))
    await shop.run(first, "abandon")
    assert (await shop.store.get(second)).status == "pending"


async def test_a_keyed_request_is_answered_as_the_first_time(shop: Workshop) -> None:
    """As its jobs are by now, even when nothing more is admitted."""
    first = await shop.submit(EMAIL, EMAIL, key="k")
    await shop.run(first[0].id)
    await shop.start(first[1].id)
    shop.store.close()
    again = await shop.submit(EMAIL, EMAIL, key="k")
    assert [job.id for job in again] == [job.id for job in first]
    assert [job.status for job in again] == ["completed", "processing"]
    assert all(job.replayed for job in again)
    assert not any(job.replayed for job in first)
    assert shop.metrics.snapshot().jobs_created == 2


async def test_a_key_is_for_one_request(shop: Workshop) -> None:
    """Something else with it is refused, and changes nothing."""
    await shop.submit(EMAIL, key="k", asked="one thing")
    events = list(shop.events)
    with pytest.raises(IdempotencyKeyReused):
        await shop.submit(EMAIL, key="k", asked="another")
    assert shop.events == events


async def test_what_was_refused_is_not_remembered(make_workshop: MakeWorkshop) -> None:
    """The key may then be used for what is admitted."""
    shop = await make_workshop(capacity=1)
    waiting = await shop.new()
    with pytest.raises(QueueFull):
        await shop.submit(EMAIL, key="k")
    await shop.store.cancel(waiting, "requested")
    with pytest.raises(UnknownPredecessor):
        await shop.submit(Draft("email", b"{}", 3, after=("none",)), key="k")
    (job,) = await shop.submit(EMAIL, key="k")
    assert not job.replayed


async def test_a_forgotten_job_is_told_by_how_it_has_ended(make_workshop: MakeWorkshop) -> None:
    """Whoever repeats a request learns what became of it, long after."""
    shop = await make_workshop(retain=0)
    keyed = Draft("email", b"{}", 3, delay_seconds=5.0, unique_key="ada")
    (first,) = await shop.submit(keyed, key="k")
    (twin,) = await shop.submit(keyed, key="other")
    await shop.start(first.id)
    await shop.end(first.id, "fail")
    with pytest.raises(UnknownJob):
        await shop.store.get(first.id)
    for key, duplicate in (("k", False), ("other", True)):
        (again,) = await shop.submit(keyed, key=key)
        assert (again.id, again.status, again.duplicate) == (twin.id, "failed", duplicate)
        assert again.finished_at == shop.now()
        assert again.run_at is None, "which only a pending job has"


async def test_a_forgotten_job_is_no_longer_told_as_running(make_workshop: MakeWorkshop) -> None:
    """Nothing is said of it that holds only before its end."""
    shop = await make_workshop(retain=0)
    keyed = Draft("email", b"{}", 3, unique_key="ada")
    (first,) = await shop.submit(keyed)
    await shop.start(first.id)
    await shop.tell_progress(first.id, 1)
    await shop.store.cancel(first.id, "requested")
    (twin,) = await shop.submit(keyed, key="k")
    assert (twin.id, twin.cancel_requested, twin.progress is None) == (first.id, True, False)
    await shop.end(first.id, "cancel")
    (again,) = await shop.submit(keyed, key="k")
    assert (again.status, again.cancel_requested, again.progress) == ("cancelled", False, None)


async def test_a_key_is_forgotten_after_a_day(shop: Workshop) -> None:
    """Not before, however often it was used meanwhile."""
    (first,) = await shop.submit(EMAIL, key="k")
    shop.seconds = 24 * 3_600 - 1.0
    assert (await shop.submit(EMAIL, key="k"))[0].id == first.id
    shop.seconds += 1
    assert (await shop.submit(EMAIL, key="k"))[0].id != first.id


async def test_a_job_that_has_ended_is_run_again_as_a_new_one(shop: Workshop) -> None:
    """With the same terms; once for each key."""
    (old,) = await shop.submit(Draft("email", b"7", 2, priority=1, unique_key="ada"))
    with pytest.raises(NotFinished):
        await shop.store.run_again(old.id)
    with pytest.raises(UnknownJob):
        await shop.store.run_again("no such job")
    await shop.run(old.id, "fail")
    new = await shop.store.run_again(old.id)
    detail = await shop.store.get(new.id)
    assert (new.id != old.id, detail.retry_of, bytes(detail.payload)) == (True, old.id, b"7")
    assert (detail.max_retries, detail.priority, detail.unique_key) == (2, 1, "ada")
    assert (await shop.store.run_again(old.id)).duplicate


async def test_a_job_is_run_again_once_for_each_key(shop: Workshop) -> None:
    """Whoever repeats the request is given the job of the first time."""
    old = await shop.new()
    await shop.run(old)
    first = await shop.store.run_again(old, KeyedRequest("k", b"again"))
    second = await shop.store.run_again(old, KeyedRequest("k", b"again"))
    assert (second.id, first.replayed, second.replayed) == (first.id, False, True)
    with pytest.raises(IdempotencyKeyReused):
        await shop.store.run_again(old, KeyedRequest("k", b"something else"))
    other = await shop.store.run_again(old, KeyedRequest("another", b"again"))
    assert (other.id != first.id, other.replayed) == (True, False)


@pytest.mark.parametrize("with_key", [False, True])
async def test_a_caller_who_is_cancelled_has_nothing_or_can_ask_again(
    shop: Workshop, with_key: bool
) -> None:
    """At whatever moment the cancellation comes, unless it waits for a disk without a key."""
    for steps in range(6):
        before = {job.id for job in await shop.everything()}
        key = f"key-{steps}" if with_key else None
        got: list[str] = []
        with trio.CancelScope() as scope:
            async with trio.open_nursery() as nursery:

                async def ask(key: str | None = key, got: list[str] = got) -> None:
                    got += [job.id for job in await shop.submit(EMAIL, key=key)]

                nursery.start_soon(ask)
                for _ in range(steps):
                    await trio.lowlevel.checkpoint()
                scope.cancel()
        made = {job.id for job in await shop.everything()} - before
        if made and not got:
            assert with_key or shop.store.is_durable
            if with_key:
                assert (await shop.submit(EMAIL, key=key))[0].id in made
        else:
            assert made == set(got)


async def test_each_call_of_a_client_is_a_checkpoint(shop: Workshop) -> None:
    """Nobody who calls over and over keeps the loop to itself.

    Only of single submissions in quick succession some may be spared the turn of the loop.
    """
    job_id = await shop.new()
    store = shop.store
    ended = await shop.new()
    await store.cancel(ended, "requested")
    for call in (
        lambda: store.submit([EMAIL, EMAIL]),
        lambda: store.run_again(ended),
        lambda: store.cancel(job_id, "requested"),
        lambda: store.cancel_all(JobFilter(types=("letter",)), "requested"),
        lambda: store.pause("email"),
        lambda: store.resume("email"),
        lambda: store.get(job_id),
        lambda: store.wait(job_id, 1),
        lambda: store.page(JobFilter(), after=None, limit=1, newest_first=False),
        store.view,
        store.counts,
        store.settled,
    ):
        with trio.testing.assert_checkpoints():
            await call()
