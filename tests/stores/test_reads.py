"""What a store tells of its jobs: details, pages and counts, and what it forgets."""

from itertools import product

import msgspec
import pytest

from job_service import Draft
from job_service.errors import UnknownJob
from job_service.jobs.state.job_filter import JobFilter
from job_service.jobs.state.model import Status
from job_service.stores.runner import BacklogView, TypeBacklog
from tests.stores.conftest import held_by_one_process, in_memory_only
from tests.stores.workshop import MakeWorkshop, Workshop

STATUSES: tuple[Status | None, ...] = (None, "pending", "processing", "completed", "cancelled")


async def test_a_job_is_told_as_it_was_submitted(shop: Workshop) -> None:
    """With all of its options."""
    first = await shop.new()
    (job,) = await shop.submit(
        Draft(
            "letter",
            b'{"to": [1, "\\u00e9"]}',
            7,
            2,
            delay_seconds=90.0,
            unique_key="ada",
            after=(first,),
            retry_of=first,
            schedule="nightly",
        )
    )
    detail = await shop.store.get(job.id)
    assert (detail.type, detail.max_retries, detail.priority) == ("letter", 7, 2)
    assert msgspec.json.decode(detail.payload) == {"to": [1, "é"]}
    assert detail.run_at is not None
    assert (detail.run_at - detail.created_at).total_seconds() == 90
    assert (detail.unique_key, detail.after, detail.retry_of) == ("ada", (first,), first)
    assert (detail.schedule, detail.status, detail.attempts) == ("nightly", "pending", [])
    # The runner says it, or the store itself if nobody holds the job.
    assert detail.waits_because in ("the workshop is slow", f"waits for job {first}")
    summary = (await shop.everything())[-1]
    for name in job.__struct_fields__:
        assert getattr(summary, name) == getattr(job, name), name
    with pytest.raises(UnknownJob, match="there is no job"):
        await shop.store.get("no such job")


async def several(shop: Workshop) -> dict[str, tuple[str, str]]:
    """Jobs of two types in all states; the type and the status of each, by its id, in order."""
    states: dict[str, tuple[str, str]] = {}
    for number in range(24):
        job_type = "letter" if number % 3 == 0 else "email"
        (job,) = await shop.submit(Draft(job_type, b"{}", 3))
        match number % 4:
            case 0:
                status = "pending"
            case 1:
                await shop.start(job.id)
                status = "processing"
            case 2:
                status = (await shop.run(job.id)).status
            case _:
                status = (await shop.store.cancel(job.id, "requested")).status
        states[job.id] = job_type, status
    return states


async def test_pages_are_of_one_status_and_type_in_order(shop: Workshop) -> None:
    """Page after page, none is left out and none comes twice."""
    states = await several(shop)
    types = (None, "email", "letter", "none")
    for status, job_type, newest_first in product(STATUSES, types, (False, True)):
        wanted = [
            job_id
            for job_id, (its_type, its_status) in states.items()
            if job_type in (None, its_type) and status in (None, its_status)
        ]
        if newest_first:
            wanted.reverse()
        sought = JobFilter(
            statuses=() if status is None else (status,),
            types=() if job_type is None else (job_type,),
        )
        found = await in_pages(shop, sought, newest_first=newest_first)
        assert found == wanted, (status, job_type, newest_first)


async def in_pages(shop: Workshop, sought: JobFilter, *, newest_first: bool) -> list[str]:
    """The ids of the jobs that are sought, in pages of five."""
    found: list[str] = []
    after: str | None = None
    while True:
        page = await shop.store.page(sought, after=after, limit=5, newest_first=newest_first)
        found += [job.id for job in page.jobs]
        if page.next is None:
            return found
        assert len(page.jobs) == 5
        after = page.next


async def test_counts_are_by_type_and_status(shop: Workshop) -> None:
    """Of all that is kept."""
    states = list((await several(shop)).values())
    counts = await shop.store.counts()
    for job_type in ("email", "letter"):
        for status, number in counts[job_type].items():
            assert number == states.count((job_type, status))


async def test_the_view_tells_what_waits_for_what(shop: Workshop) -> None:
    """How many jobs may wait, how many do, and how many run."""
    first = await shop.new()
    await shop.new(after=(first,))
    await shop.start(await shop.new())
    view = await shop.store.view()
    assert (view.capacity, view.pending, view.ready, view.blocked) == (100, 2, 1, 1)
    assert (view.processing, view.later) == (1, 0)


async def test_only_the_last_to_finish_are_kept(make_workshop: MakeWorkshop) -> None:
    """The order is that of their ends; what has not ended is never forgotten."""
    shop = await make_workshop(retain=2)
    jobs = [await shop.new() for _ in range(6)]
    for job_id in (jobs[4], jobs[0], jobs[3], jobs[1]):
        shop.seconds += 1
        await shop.start(job_id)
        await shop.end(job_id)
    assert [job.id for job in await shop.everything()] == [jobs[n] for n in (1, 2, 3, 5)]
    with pytest.raises(UnknownJob):
        await shop.store.get(jobs[0])
    page = await shop.store.page(JobFilter(), after=jobs[0], limit=9, newest_first=False)
    assert [job.id for job in page.jobs] == [jobs[n] for n in (1, 2, 3, 5)], (
        "after one that is gone"
    )
    await shop.check()


@in_memory_only
async def test_what_is_kept_is_bounded_in_bytes(make_workshop: MakeWorkshop) -> None:
    """A job that is too heavy for all the room drives out no other."""
    shop = await make_workshop(retain_bytes=100)
    light = [await shop.new() for _ in range(3)]
    (heavy,) = await shop.submit(Draft("email", b"[" + b"1," * 60 + b"1]", 3))
    for job_id in light:
        await shop.start(job_id)
        await shop.end(job_id)
    await shop.start(heavy.id)
    await shop.end(heavy.id)
    assert [job.id for job in await shop.everything()] == light
    (middling,) = await shop.submit(Draft("email", b"[" + b"1," * 30 + b"1]", 3))
    await shop.run(middling.id)
    assert middling.id in [job.id for job in await shop.everything()]
    assert len(await shop.everything()) == 3
    await shop.check()


@in_memory_only
async def test_the_weight_is_that_of_the_texts_that_are_kept(make_workshop: MakeWorkshop) -> None:
    """Of what waits, runs and has ended, with what it has left; nothing of what is forgotten."""
    shop = await make_workshop(retain=1)
    assert shop.store.weight == 0
    jobs = [
        (await shop.submit(Draft("email", b'"%s"' % (b"x" * size), 3)))[0].id
        for size in (1_000, 3_000)
    ]
    assert shop.store.weight >= 4_000
    await shop.start(jobs[0])
    waiting = shop.store.weight
    await shop.end(jobs[0])
    assert shop.store.weight > waiting, "the result is kept, too"
    await shop.run(jobs[1], "fail")
    assert 3_000 <= shop.store.weight < 4_000, "the first is kept no more"


async def test_what_waits_is_told_by_type(shop: Workshop) -> None:
    """How many wait, are ready and run, and how long the oldest ready one has waited."""
    running, *ready = [(await shop.submit(Draft("email", b"{}", 3)))[0].id for _ in range(3)]
    await shop.start(running)
    for job_id in ready:
        await shop.make_ready(job_id)
    shop.seconds += 2
    (letter,) = await shop.submit(Draft("letter", b"{}", 3))
    await shop.make_ready(letter.id)
    await shop.submit(Draft("letter", b"{}", 3, delay_seconds=90.0))
    await shop.submit(Draft("letter", b"{}", 3, after=(running,)))
    shop.seconds += 1
    view = await shop.store.view()
    email, letters = view.types
    assert (email.type, email.pending, email.ready, email.processing) == ("email", 2, 2, 1)
    assert (letters.type, letters.pending, letters.ready, letters.processing) == ("letter", 3, 1, 0)
    assert email.oldest_ready_seconds == pytest.approx(3, abs=0.01)
    assert letters.oldest_ready_seconds == pytest.approx(1, abs=0.01)
    assert email.seconds_to_empty is letters.seconds_to_empty is None
    both, counts = await shop.store.view_and_counts()
    assert [each.pending for each in both.types] == [2, 3]
    assert [counts[each.type]["pending"] for each in both.types] == [2, 3]
    assert counts == await shop.store.counts()
    assert sum(each.pending for each in view.types) == view.pending
    assert sum(each.processing for each in view.types) == view.processing


async def test_a_type_without_unfinished_jobs_is_not_told(shop: Workshop) -> None:
    """What has ended is not in the queue."""
    await shop.run(await shop.new())
    assert (await shop.store.view()).types == []


@held_by_one_process
async def test_the_time_to_empty_is_by_the_pace_of_the_type(shop: Workshop) -> None:
    """So many are ready, and so many begin a second. If none is ready, it takes no time."""
    for _ in range(3):
        await shop.make_ready(await shop.new())
    await shop.submit(Draft("letter", b"{}", 3, delay_seconds=90.0))
    shop.pace = {"email": 0.5}
    email, letter = (await shop.store.view()).types
    assert (email.seconds_to_empty, letter.seconds_to_empty) == (6, 0)


@held_by_one_process
async def test_a_ready_job_behind_very_many_has_an_age_too(shop: Workshop) -> None:
    """Its runner has not looked so far, and the store knows it by its creation."""
    await shop.make_ready(await shop.new())
    shop.seconds += 5

    def view() -> BacklogView:
        return BacklogView(types={"email": TypeBacklog()})

    shop.view = view  # type: ignore[method-assign]  # of this runner only
    (email,) = (await shop.store.view()).types
    assert email.oldest_ready_seconds == pytest.approx(5)
