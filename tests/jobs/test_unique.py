"""A unique key: while a job of its type has it and has not ended, no other job is made with it."""

from typing import Any

import pytest
import trio
import trio.testing

from job_service import Discard, JobContext, Registry, Retry, Snooze
from job_service.errors import InvalidOption, QueueClosed, QueueFull
from job_service.jobs.state.detail import JobSummary
from job_service.telemetry.events import JobCreated, JobDuplicate, JobRejected
from tests.conftest import Rig
from tests.jobs.steps import MakeRig, at_once, endings, running
from tests.jobs.virtual_time import VIRTUAL, moment

Autojump = trio.testing.MockClock


@pytest.fixture(autouse=True)
def _job_types(registry: Registry) -> None:
    @registry.job("sync", retry=Retry(max_retries=2, base_seconds=60, jitter=0))
    async def sync(way: str, job: JobContext) -> None:
        match way:
            case "takes ten seconds":
                await trio.sleep(10)
            case "is no use":
                raise Discard("no such customer")
            case "fails at first" if job.attempt == 1:
                raise RuntimeError("at first")
            case "fails":
                raise RuntimeError("as ever")

    @registry.job("poll")
    async def poll(until: float) -> None:
        if trio.current_time() < until:
            raise Snooze(60)

    @registry.job("report")
    async def report(way: str) -> None: ...


async def submit(rig: Rig, way: str = "", key: str = "k", **more: Any) -> JobSummary:
    """Submit a `sync` with this unique key."""
    return await rig.queue.submit("sync", way, unique_key=key, **more)


async def is_held(rig: Rig, by: str, key: str = "k") -> bool:
    """Whether another submission is answered with this job; the other job is called off."""
    job = await submit(rig, key=key)
    if not job.duplicate:
        await rig.queue.cancel(job.id)
    assert job.duplicate == (job.id == by)
    return job.duplicate


async def test_the_second_submission_is_answered_with_the_job_of_the_first(
    make_rig: MakeRig,
) -> None:
    """Its own payload and options count for nothing, and it leaves one line and one count."""
    rig = make_rig()
    first = await submit(rig, "fails", max_retries=1)
    second = await submit(rig, "takes ten seconds", max_retries=0, priority=0)
    assert (first.duplicate, second.duplicate, second.id) == (False, True, first.id)
    assert (second.unique_key, second.max_retries, second.priority) == ("k", 1, 5)
    assert [job.id for job in await rig.queue.list()] == [first.id]
    assert not (await rig.queue.get(first.id)).duplicate, "it is said in that answer only"
    assert [event.unique_key for event in rig.record.of(JobCreated)] == ["k"]
    (told,) = rig.record.of(JobDuplicate)
    assert (told.job_id, told.job_type, told.unique_key) == (first.id, "sync", "k")
    assert rig.lines[-1]["event"] == "job_duplicate"
    now = rig.snapshot()
    assert (now.jobs_created, now.jobs_deduplicated, now.jobs_rejected) == (1, 1, 0)


async def test_a_job_holds_its_key_until_it_has_completed(
    make_rig: MakeRig, autojump_clock: Autojump
) -> None:
    """While it waits for its time, for a worker, and while it runs; and no longer."""
    rig = make_rig(clock=VIRTUAL)
    job = await submit(rig, "takes ten seconds", run_at=moment(5))
    assert await is_held(rig, job.id)
    await trio.sleep(7)  # it is due, and there are no workers yet
    assert await is_held(rig, job.id)
    await rig.start()
    await trio.sleep(1)
    assert (await rig.queue.get(job.id)).status == "processing"
    assert await is_held(rig, job.id)
    await trio.sleep(10)
    assert (await rig.queue.get(job.id)).status == "completed"
    assert not await is_held(rig, job.id)


async def test_a_job_holds_its_key_through_its_retries(
    make_rig: MakeRig, autojump_clock: Autojump
) -> None:
    """A retry is the same job, also while it waits."""
    rig = make_rig()
    await rig.start()
    job = await submit(rig, "fails")
    for _ in range(2):
        await trio.sleep(30)
        assert await is_held(rig, job.id)
        await trio.sleep(30)
    await trio.sleep(200)
    assert endings(rig, job.id) == ["job_failed"]
    assert not await is_held(rig, job.id)


async def test_a_job_holds_its_key_while_it_snoozes(
    make_rig: MakeRig, autojump_clock: Autojump
) -> None:
    """It is to come back, so it has not ended."""
    rig = make_rig()
    await rig.start()
    job = await rig.queue.submit("poll", 100, unique_key="k")
    for _ in range(2):
        await trio.sleep(30)
        assert (await rig.queue.submit("poll", 0, unique_key="k")).id == job.id
        await trio.sleep(30)
    await trio.sleep(1)
    assert endings(rig, job.id) == ["job_completed"]
    assert (await rig.queue.submit("poll", 0, unique_key="k")).id != job.id


@pytest.mark.parametrize("way", ["takes ten seconds", "is no use", "fails"])
async def test_a_job_that_ends_badly_gives_its_key_back_too(
    way: str, make_rig: MakeRig, autojump_clock: Autojump
) -> None:
    """Failed with its last attempt, discarded, or called off while it runs."""
    rig = make_rig()
    await rig.start()
    job = await submit(rig, way, max_retries=0)
    await trio.testing.wait_all_tasks_blocked()
    if way == "takes ten seconds":
        at_once(rig.queue.cancel(job.id))
        assert at_once(is_held(rig, job.id)), "its handler is still cleaning up"
        await trio.testing.wait_all_tasks_blocked()
    assert len(endings(rig, job.id)) == 1
    assert not await is_held(rig, job.id)


@pytest.mark.parametrize("more", [{}, {"delay_seconds": 60}])
async def test_a_pending_job_that_is_called_off_gives_its_key_back(
    more: dict[str, Any], make_rig: MakeRig, autojump_clock: Autojump
) -> None:
    """At once, whatever it waits for."""
    rig = make_rig()
    job = await submit(rig, **more)
    await rig.queue.cancel(job.id)
    assert not await is_held(rig, job.id)


async def test_a_job_that_never_runs_for_want_of_another_gives_its_key_back(
    make_rig: MakeRig,
) -> None:
    """It fails with the one that it comes after, or at once where that has ended."""
    rig = make_rig()
    first = await rig.queue.submit("report", "")
    job = await submit(rig, after=[first.id])
    assert await is_held(rig, job.id)
    await rig.queue.cancel(first.id)
    assert endings(rig, job.id) == ["job_failed"]
    stillborn = await submit(rig, after=[first.id])
    assert (stillborn.status, stillborn.duplicate) == ("failed", False)
    assert not await is_held(rig, job.id)


async def test_an_abandoned_job_holds_nothing(registry: Registry, autojump_clock: Autojump) -> None:
    """Nor does any other job of a service that has ended."""
    async with trio.open_nursery() as nursery:
        rig = Rig(nursery, registry, workers=1)
        await rig.start()
        for key in ("running", "waiting"):
            await submit(rig, "takes ten seconds", key)
        await submit(rig, "", "later", delay_seconds=60)
        await trio.testing.wait_all_tasks_blocked()
        rig.engine.stop("enough")
    assert rig.snapshot().jobs_abandoned == 3
    holder = rig.store._live.index.holder
    assert [holder("sync", key) for key in ("running", "waiting", "later")] == [None] * 3


async def test_each_type_has_keys_of_its_own(make_rig: MakeRig) -> None:
    """The same key of two types is two keys; and no key is none that anybody could hold."""
    rig = make_rig()
    jobs = [await rig.queue.submit(name, "", unique_key="k") for name in ("sync", "report")]
    jobs += [await rig.queue.submit("sync", "") for _ in range(2)]
    assert not any(job.duplicate for job in jobs)
    assert rig.snapshot().jobs_created == 4


async def test_a_full_queue_still_answers_a_duplicate(make_rig: MakeRig) -> None:
    """It needs no place; who has another key is turned away."""
    rig = make_rig(queue_capacity=1)
    job = await submit(rig)
    assert (await submit(rig)).id == job.id
    with pytest.raises(QueueFull):
        await submit(rig, key="l")
    now = rig.snapshot()
    assert (now.jobs_pending, now.jobs_deduplicated, now.jobs_rejected) == (1, 1, 1)
    await rig.queue.cancel(job.id)
    assert not (await submit(rig, key="l")).duplicate, "what was turned away holds no key"


async def test_a_draining_queue_still_answers_a_duplicate(
    make_rig: MakeRig, autojump_clock: Autojump
) -> None:
    """The job is there already; nothing new is accepted."""
    rig = make_rig()
    await rig.start()
    job = await submit(rig, "takes ten seconds")
    await trio.testing.wait_all_tasks_blocked()
    rig.engine.drain(60)
    assert (await submit(rig)).id == job.id
    with pytest.raises(QueueClosed):
        await submit(rig, key="l")
    await trio.sleep(11)
    with pytest.raises(QueueClosed):
        await submit(rig)


async def test_a_batch_may_hold_duplicates_of_itself_and_of_others(make_rig: MakeRig) -> None:
    """Each of its lines is answered in its place, and duplicates need no room."""
    rig = make_rig(queue_capacity=4)
    holder = await submit(rig, key="held")
    keys = ["held", "a", "b", "a", None, "held", "a"]
    drafts = [rig.queue.check("sync", "", unique_key=key) for key in keys]
    jobs = await rig.queue.submit_all(drafts)
    assert [job.duplicate for job in jobs] == [True, False, False, True, False, True, True]
    ids = [job.id for job in jobs]
    assert ids == [holder.id, ids[1], ids[2], ids[1], ids[4], holder.id, ids[1]]
    now = rig.snapshot()
    assert (now.jobs_created, now.jobs_pending, now.jobs_deduplicated) == (4, 4, 4)
    assert [event.job_id for event in rig.record.of(JobDuplicate)] == [
        job.id for job in jobs if job.duplicate
    ]


async def test_a_batch_that_does_not_fit_holds_no_keys(make_rig: MakeRig) -> None:
    """All of it or none: not even a duplicate is told of."""
    rig = make_rig(queue_capacity=2)
    await submit(rig, key="held")
    drafts = [rig.queue.check("sync", "", unique_key=key) for key in ("held", "a", "b")]
    with pytest.raises(QueueFull, match="1 more jobs fit, not 2"):
        await rig.queue.submit_all(drafts)
    assert rig.record.of(JobDuplicate) == []
    assert [event.jobs for event in rig.record.of(JobRejected)] == [3]
    assert not (await submit(rig, key="a")).duplicate


async def test_a_batch_of_nothing_but_duplicates_is_answered_by_a_full_queue(
    make_rig: MakeRig,
) -> None:
    """As a single one is."""
    rig = make_rig(queue_capacity=1)
    job = await submit(rig)
    jobs = await rig.queue.submit_all([rig.queue.check("sync", "", unique_key="k")] * 3)
    assert [(each.id, each.duplicate) for each in jobs] == [(job.id, True)] * 3
    assert rig.snapshot().jobs_rejected == 0


async def test_a_job_that_is_run_again_has_its_key_again(make_rig: MakeRig) -> None:
    """Unless another job has it by now: then that one is the answer."""
    rig = make_rig()
    old = await submit(rig)
    await rig.queue.cancel(old.id)
    again = await rig.queue.retry(old.id)
    assert (again.duplicate, again.unique_key, again.retry_of) == (False, "k", old.id)
    once_more = await rig.queue.retry(old.id)
    assert (once_more.duplicate, once_more.id) == (True, again.id)


@pytest.mark.parametrize("key", ["", "x" * 256])
async def test_a_key_has_1_to_255_characters(key: str, make_rig: MakeRig) -> None:
    """Others are refused, and leave no trace."""
    rig = make_rig()
    with pytest.raises(InvalidOption, match="unique_key must be a text of 1 to 255"):
        await submit(rig, key=key)
    assert rig.record.events == []
    for fine in ("x", "ü" * 255, " "):
        assert not (await submit(rig, key=fine)).duplicate


async def test_a_replay_of_a_duplicate_is_one(make_rig: MakeRig) -> None:
    """Whoever repeats a request by its idempotency key is told what it was told at first."""
    rig = make_rig()
    holder = await submit(rig)
    answers = [await submit(rig, idempotency_key="again") for _ in range(2)]
    assert [(job.id, job.duplicate, job.replayed) for job in answers] == [
        (holder.id, True, False),
        (holder.id, True, True),
    ]
    assert rig.snapshot().jobs_deduplicated == 1


async def test_a_replay_outlasts_the_key(registry: Registry) -> None:
    """Also when the job that held it has ended, or is forgotten, no new one is made."""
    async with running(registry, retain=1) as rig:
        holder = await submit(rig)
        await submit(rig, idempotency_key="again")
        await rig.queue.wait(holder.id, 5)
        for _ in range(2):  # the second time it is forgotten
            replay = await submit(rig, idempotency_key="again")
            assert (replay.id, replay.status) == (holder.id, "completed")
            assert (replay.duplicate, replay.replayed) == (True, True)
            other = await rig.queue.submit("report", "")
            await rig.queue.wait(other.id, 5)
