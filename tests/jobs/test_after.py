"""A job may come after others: it starts when all of them have completed, or fails with them."""

from collections.abc import Awaitable, Callable, Sequence
from datetime import timedelta

import pytest
import trio
import trio.testing

from service.jobs.context import JobContext
from service.jobs.intake import QueueFull, UnknownPredecessor
from service.jobs.options import MAX_PREDECESSORS, InvalidOption
from service.jobs.outcome import Discard, Snooze
from service.jobs.queue import AlreadyFinished
from service.jobs.registry import Registry
from service.jobs.retry import Retry
from service.jobs.snapshots import JobStory
from service.telemetry.events import JobEnqueued, JobFailed
from tests.conftest import Rig
from tests.jobs.steps import START, MakeRig, abandoned, endings, run_one, running, virtual_clock

Autojump = trio.testing.MockClock


@pytest.fixture
def ran(registry: Registry) -> list[object]:
    """The payloads of the jobs that ended well, in their order; `slow` ones take 10 seconds."""
    payloads: list[object] = []

    @registry.job("quick")
    async def quick(payload: object) -> None:
        payloads.append(payload)

    @registry.job("slow")
    async def slow(payload: object) -> None:
        await trio.sleep(10)
        payloads.append(payload)

    @registry.job("fails", retry=Retry(max_retries=0))
    async def fails() -> None:
        await trio.sleep(10)
        raise RuntimeError("no")

    @registry.job("recovers", retry=Retry(base_seconds=20, jitter=0))
    async def recovers(payload: object, job: JobContext) -> None:
        if job.attempt == 1:
            raise RuntimeError("at first")
        payloads.append(payload)

    return payloads


def check_nothing_waits(rig: Rig) -> None:
    """No job awaits another, and none is kept for those that did."""
    view = rig.engine._dispatcher.view()
    assert (view.pending, view.ready, view.later, view.blocked) == (0, 0, 0, 0)
    for job in rig.engine._store.jobs:
        assert not job.awaits
        assert not job.successors


async def chain(rig: Rig, first: str, length: int) -> list[str]:
    """The ids of a job and of so many that come after it, each after the one before."""
    ids = [first]
    for n in range(length):
        ids.append((await rig.queue.submit("quick", n, after=ids[-1:])).id)
    return ids


async def stories(rig: Rig, ids: Sequence[str]) -> list[JobStory]:
    """What became of these jobs."""
    return [await rig.queue.get(job_id) for job_id in ids]


def reason(predecessor: str, status: str) -> str:
    """Why a job failed without having run."""
    return f"it comes after job {predecessor}, which is {status}"


async def test_it_starts_when_the_last_of_them_has_completed(
    registry: Registry, ran: list[object], autojump_clock: Autojump
) -> None:
    """Until then it takes no worker, and is enqueued only when nothing but a worker is missing."""
    async with running(registry, clock=virtual_clock()) as rig:
        first = await rig.queue.submit("slow", "first")
        last = await rig.queue.submit("slow", "last", delay_seconds=5)
        job = await rig.queue.submit("quick", "after both", after=[first.id, last.id])
        await trio.sleep(12)
        assert rig.record.names(job.id) == ["job_created"]
        assert (await rig.queue.get(job.id)).waits_because == f"waits for job {last.id}"
        assert sorted(worker.state for worker in rig.engine.workers()) == ["busy", "idle"]
    assert ran == ["first", "last", "after both"]
    assert trio.current_time() == 15
    (enqueued,) = [event for event in rig.record.of(JobEnqueued) if event.job_id == job.id]
    assert enqueued.timestamp == START + timedelta(seconds=15)
    names = rig.record.names(job.id)
    assert names == ["job_created", "job_enqueued", "job_started", "job_completed"]
    assert (await rig.queue.get(job.id)).after == (first.id, last.id)
    check_nothing_waits(rig)


async def test_after_what_has_completed_it_starts_at_once(
    registry: Registry, ran: list[object], autojump_clock: Autojump
) -> None:
    """A job that has ended well needs no more waiting for."""
    async with running(registry) as rig:
        first = await run_one(rig, "quick", 1)
        job = await run_one(rig, "quick", 2, after=[first.id])
        assert job.status == "completed"
    check_nothing_waits(rig)


@pytest.mark.parametrize("end", ["failed", "cancelled"])
async def test_after_what_has_not_completed_it_fails_at_once(
    end: str, registry: Registry, ran: list[object], autojump_clock: Autojump
) -> None:
    """It is accepted, for the ids exist, and has failed in the answer already."""
    async with running(registry) as rig:
        well, bad = await run_one(rig, "quick", 1), await rig.queue.submit("fails")
        if end == "cancelled":
            await rig.queue.cancel(bad.id)
        await trio.sleep(20)
        job = await rig.queue.submit("quick", 2, after=[well.id, bad.id])
        assert (job.status, job.error) == ("failed", reason(bad.id, end))
        assert job.finished_at is not None
        assert (await rig.queue.wait(job.id, 60)).status == "failed"
        assert trio.current_time() == 20
    assert ran == [1]
    check_nothing_waits(rig)


@pytest.mark.parametrize("end", ["failed", "cancelled while it waits", "cancelled as it runs"])
async def test_when_one_has_not_completed_all_that_come_after_it_fail(
    end: str, registry: Registry, ran: list[object], autojump_clock: Autojump
) -> None:
    """Down the whole chain, each names the one right before it; nobody waits for the others."""
    async with running(registry, workers=1) as rig:
        if end == "cancelled while it waits":
            await rig.queue.submit("slow", "in the way")
        bad = await rig.queue.submit("fails")
        late = await rig.queue.submit("quick", "late", delay_seconds=50)
        job = await rig.queue.submit("quick", "never", after=[late.id, bad.id])
        ids = await chain(rig, job.id, 3)
        await trio.sleep(5)
        if end != "failed":
            await rig.queue.cancel(bad.id)
        await trio.sleep(10)
        first, *others = await stories(rig, ids)
        assert first.error == reason(bad.id, end.partition(" ")[0])
        assert [other.error for other in others] == [reason(i, "failed") for i in ids[:-1]]
        assert {story.status for story in (first, *others)} == {"failed"}
        assert {(story.attempt, len(story.attempts)) for story in (first, *others)} == {(0, 0)}
        assert rig.snapshot().jobs_pending == 1  # the late one
    assert "never" not in ran
    assert all(rig.record.names(job_id) == ["job_created", "job_failed"] for job_id in ids)
    check_nothing_waits(rig)


async def test_one_that_failed_without_running_is_told_in_one_line(
    registry: Registry, ran: list[object], autojump_clock: Autojump
) -> None:
    """The line has the error and nothing of a worker or an attempt, for there was none."""
    async with running(registry) as rig:
        bad = await rig.queue.submit("fails", max_retries=0)
        job = await rig.queue.submit("quick", 1, after=[bad.id])
    (line,) = [line for line in rig.lines if line.get("job_id") == job.id][1:]
    del line["timestamp"]
    assert line == {
        "level": "error",
        "event": "job_failed",
        "job_id": job.id,
        "job_type": "quick",
        "error": reason(bad.id, "failed"),
    }


async def test_who_waits_for_its_end_hears_that_it_will_not_come(
    registry: Registry, ran: list[object], autojump_clock: Autojump
) -> None:
    """A wait is over at the moment at which what the job was to come after has failed."""
    async with running(registry) as rig:
        bad = await rig.queue.submit("fails")
        _, last = await chain(rig, bad.id, 1)
        assert (await rig.queue.wait(last, 60)).status == "failed"
        assert trio.current_time() == 10


async def test_a_retry_or_a_snooze_is_no_end(
    registry: Registry, ran: list[object], autojump_clock: Autojump
) -> None:
    """What is tried again may still complete, so what comes after it goes on waiting."""
    naps: list[float] = []

    @registry.job("sleepy")
    async def sleepy(payload: object) -> None:
        if not naps:
            naps.append(trio.current_time())
            raise Snooze(30)
        ran.append(payload)

    async with running(registry) as rig:
        first = [(await rig.queue.submit(name, name)).id for name in ("recovers", "sleepy")]
        job = await rig.queue.submit("quick", "last", after=first)
        await trio.sleep(25)
        assert (await rig.queue.get(job.id)).waits_because == f"waits for job {first[1]}"
    assert ran == ["recovers", "sleepy", "last"]
    assert trio.current_time() == 30


async def test_a_discard_is_an_end(
    registry: Registry, ran: list[object], autojump_clock: Autojump
) -> None:
    """A job that gives up for good fails what comes after it, whatever retries it had left."""

    @registry.job("gives_up")
    async def gives_up() -> None:
        raise Discard("no such customer")

    async with running(registry) as rig:
        bad = await rig.queue.submit("gives_up")
        (_, last) = await chain(rig, bad.id, 1)
    assert (await rig.queue.get(last)).error == reason(bad.id, "failed")


async def test_it_may_be_retried_itself(
    registry: Registry, ran: list[object], autojump_clock: Autojump
) -> None:
    """Once it has begun, what it came after is no matter any more."""
    async with running(registry) as rig:
        first = await rig.queue.submit("slow", "first")
        job = await rig.queue.submit("recovers", "second", after=[first.id])
        last = await rig.queue.submit("quick", "third", after=[job.id])
    assert ran == ["first", "second", "third"]
    assert (await rig.queue.get(last.id)).status == "completed"
    assert trio.current_time() == 30
    check_nothing_waits(rig)


@pytest.mark.parametrize(("delay", "starts_at"), [(5, 10), (30, 30)])
async def test_its_time_must_have_come_as_well(
    delay: float, starts_at: float, registry: Registry, ran: list[object], autojump_clock: Autojump
) -> None:
    """A delay counts from when the job was accepted, and whatever comes last lets it start."""
    moments: list[float] = []

    @registry.job("notes")
    async def notes() -> None:
        moments.append(trio.current_time())

    async with running(registry, clock=virtual_clock()) as rig:
        first = await rig.queue.submit("slow")
        job = await rig.queue.submit("notes", after=[first.id], delay_seconds=delay)
        why = (await rig.queue.get(job.id)).waits_because
        assert why == f"waits for job {first.id}"
        await trio.sleep(11)
        why = (await rig.queue.get(job.id)).waits_because
        assert why == ("due in 19 s" if delay == 30 else None)
    assert moments == [starts_at]


async def test_priority_counts_once_it_is_ready(
    registry: Registry, ran: list[object], autojump_clock: Autojump
) -> None:
    """Among those whose time has come the urgent one is first, however long it had to wait."""
    async with running(registry, workers=1) as rig:
        first = await rig.queue.submit("slow", "first")
        await rig.queue.submit("quick", "other")
        await rig.queue.submit("quick", "least", after=[first.id], priority=9)
        await rig.queue.submit("quick", "urgent", after=[first.id], priority=0)
    assert ran == ["first", "urgent", "other", "least"]


async def test_a_unique_key_is_held_while_it_waits(
    registry: Registry, ran: list[object], autojump_clock: Autojump
) -> None:
    """It is pending, so no other is made; when it fails with its predecessor the key is free."""
    async with running(registry) as rig:
        bad = await rig.queue.submit("fails")
        job = await rig.queue.submit("quick", 1, after=[bad.id], unique_key="k")
        again = await rig.queue.submit("quick", 2, unique_key="k")
        assert (again.id, again.duplicate) == (job.id, True)
        await trio.sleep(10)
        await trio.testing.wait_all_tasks_blocked()
        free = await rig.queue.submit("quick", 3, unique_key="k")
        assert (free.duplicate, free.status) == (False, "pending")
    assert ran == [3]


async def test_a_diamond_is_run_from_top_to_bottom(
    registry: Registry, ran: list[object], autojump_clock: Autojump
) -> None:
    """Two jobs after one, and one after both: it starts once, when the second is done."""
    async with running(registry) as rig:
        top = (await rig.queue.submit("slow", "top")).id
        left = (await rig.queue.submit("quick", "left", after=[top])).id
        right = (await rig.queue.submit("slow", "right", after=[top])).id
        bottom = (await rig.queue.submit("quick", "bottom", after=[left, right, top])).id
    assert ran == ["top", "left", "right", "bottom"]
    assert rig.record.names(bottom).count("job_enqueued") == 1
    check_nothing_waits(rig)


async def test_a_diamond_fails_once(
    registry: Registry, ran: list[object], autojump_clock: Autojump
) -> None:
    """Where the top fails, each of the others has one end and one line."""
    async with running(registry) as rig:
        top = (await rig.queue.submit("fails")).id
        left = (await rig.queue.submit("quick", "left", after=[top])).id
        right = (await rig.queue.submit("quick", "right", after=[top])).id
        bottom = (await rig.queue.submit("quick", "bottom", after=[left, right])).id
    assert ran == []
    assert [endings(rig, job_id) for job_id in (left, right, bottom)] == [["job_failed"]] * 3
    assert (await rig.queue.get(bottom)).error in (reason(left, "failed"), reason(right, "failed"))
    check_nothing_waits(rig)


async def test_an_id_that_is_named_twice_counts_once(
    registry: Registry, ran: list[object], autojump_clock: Autojump
) -> None:
    """The story shows each once, in the order in which they were named."""
    async with running(registry) as rig:
        one, two = [(await rig.queue.submit("slow", n)).id for n in (1, 2)]
        job = await rig.queue.submit("quick", 3, after=[two, one, two, two])
        assert job.after == (two, one)
    assert ran[-1] == 3
    check_nothing_waits(rig)


@pytest.mark.parametrize("unknown", ["nobody", "", "01890000-0000-7000-8000-000000000000"])
async def test_only_a_job_that_is_there_can_be_named(
    unknown: str, ran: list[object], make_rig: MakeRig
) -> None:
    """An id of no job is refused before anything has changed, and the refusal names it."""
    rig = make_rig()
    there = await rig.queue.submit("quick", 1)
    events = list(rig.record.events)
    with pytest.raises(UnknownPredecessor, match=f"after job {unknown}, which there is not"):
        await rig.queue.submit("quick", 2, after=[there.id, unknown])
    assert rig.record.events == events


async def test_what_has_been_forgotten_can_t_be_named(
    registry: Registry, ran: list[object], autojump_clock: Autojump
) -> None:
    """Nobody can say any more whether it had completed. Those that wait already lose nothing."""
    async with running(registry, retain=1) as rig:
        first = await rig.queue.submit("quick", 1)
        slow = await rig.queue.submit("slow", 2)
        waiting = await rig.queue.submit("quick", 3, after=[first.id, slow.id])
        await trio.sleep(5)
        await run_one(rig, "quick", 4)
        with pytest.raises(UnknownPredecessor, match=first.id):
            await rig.queue.submit("quick", 5, after=[first.id])
        assert (await rig.queue.get(waiting.id)).waits_because == f"waits for job {slow.id}"
    assert ran == [1, 4, 2, 3]


async def test_a_repeated_submission_is_answered_whatever_has_been_forgotten(
    registry: Registry, ran: list[object], autojump_clock: Autojump
) -> None:
    """A client that had no answer may ask again: its job was made when the other was there."""
    async with running(registry, retain=1) as rig:
        first = await run_one(rig, "quick", 1)
        job = await rig.queue.submit("slow", 2, after=[first.id], idempotency_key="once")
        await run_one(rig, "quick", 3)
        again = await rig.queue.submit("slow", 2, after=[first.id], idempotency_key="once")
        assert (again.id, again.replayed) == (job.id, True)


async def test_too_many_can_t_be_named(ran: list[object], make_rig: MakeRig) -> None:
    """There is a bound, and the refusal says which."""
    rig = make_rig()
    with pytest.raises(InvalidOption, match=f"after may name {MAX_PREDECESSORS} jobs at most"):
        await rig.queue.submit("quick", 1, after=["x"] * (MAX_PREDECESSORS + 1))


async def test_a_batch_may_come_after_a_job(
    registry: Registry, ran: list[object], autojump_clock: Autojump
) -> None:
    """Each of its jobs waits for itself; where the job is unknown none of them is made."""
    async with running(registry, workers=1) as rig:
        first = await rig.queue.submit("slow", "first")
        drafts = [rig.queue.check("quick", n, after=[first.id]) for n in range(3)]
        await rig.queue.submit_all(drafts)
        await trio.testing.wait_all_tasks_blocked()
        assert ran == []
        with pytest.raises(UnknownPredecessor):
            await rig.queue.submit_all([drafts[0], rig.queue.check("quick", 9, after=["nobody"])])
        assert rig.snapshot().jobs_created == 4
    assert ran == ["first", 0, 1, 2]


async def test_it_has_a_place_in_the_queue(
    registry: Registry, ran: list[object], autojump_clock: Autojump
) -> None:
    """What waits for others counts against the capacity, until it is cancelled or has failed."""
    async with running(registry, workers=1, queue_capacity=2) as rig:
        bad = await run_one(rig, "fails")
        one, two = [(await rig.queue.submit("quick", n, after=[bad.id])).id for n in (1, 2)]
        with pytest.raises(QueueFull):
            await rig.queue.submit("quick", 3)
        await rig.queue.cancel(two)
        await rig.queue.submit("quick", 4, after=[bad.id])
        await trio.sleep(10)
        await trio.testing.wait_all_tasks_blocked()
        assert (await rig.queue.get(one)).status == "failed"
        await rig.queue.submit_all([rig.queue.check("quick", n) for n in (5, 6)])
    assert ran == [5, 6]


async def test_one_that_is_called_off_leaves_nothing_behind(
    registry: Registry, ran: list[object], autojump_clock: Autojump
) -> None:
    """What it waited for goes on without it, and forgets it at once, however often that happens."""
    async with running(registry, workers=1) as rig:
        first, second = [(await rig.queue.submit("slow", n)).id for n in (1, 2)]
        for _ in range(200):
            job = await rig.queue.submit("quick", 3, after=[first, second])
            story = await rig.queue.cancel(job.id)
            assert (story.status, story.waits_because) == ("cancelled", None)
        for job_id in (first, second):
            predecessor = rig.engine._store.jobs.get(job_id)
            assert predecessor is not None
            assert not predecessor.successors
        assert rig.engine._dispatcher.view().blocked == 0
        with pytest.raises(AlreadyFinished):
            await rig.queue.cancel(job.id)
    assert ran == [1, 2]
    check_nothing_waits(rig)


@pytest.mark.parametrize("fate", ["completes", "fails", "is cancelled"])
async def test_a_chain_may_be_as_long_as_it_likes(
    fate: str, registry: Registry, ran: list[object], autojump_clock: Autojump
) -> None:
    """Ten thousand jobs, each after the one before, go the way of the first."""
    length = 10_000
    options = {"queue_capacity": length + 1, "retain": length + 1}
    async with running(registry, **options) as rig:
        first = await rig.queue.submit(*(("fails",) if fate == "fails" else ("slow", "first")))
        ids = await chain(rig, first.id, length)
        if fate == "is cancelled":
            await rig.queue.cancel(first.id)
    now = rig.snapshot()
    if fate == "completes":
        assert ran == ["first", *range(length)]
        assert now.jobs_completed == length + 1
    else:
        assert (ran, now.jobs_completed, len(rig.record.of(JobFailed))) == (
            [],
            0,
            length + (fate == "fails"),
        )
        assert (await rig.queue.get(ids[-1])).error == reason(ids[-2], "failed")
    check_nothing_waits(rig)


async def test_a_job_may_be_awaited_by_as_many_as_there_are(
    registry: Registry, ran: list[object], autojump_clock: Autojump
) -> None:
    """Ten thousand after one, and one after a thousand of them, are run in their order."""
    many = 10_000
    async with running(registry, workers=1, queue_capacity=many + 2, retain=many + 2) as rig:
        first = await rig.queue.submit("slow", "first")
        drafts = [rig.queue.check("quick", n, after=[first.id]) for n in range(many)]
        jobs = await rig.queue.submit_all(drafts)
        last = [job.id for job in jobs[-MAX_PREDECESSORS:]]
        await rig.queue.submit("quick", "last", after=last)
    assert ran == ["first", *range(many), "last"]
    check_nothing_waits(rig)


async def test_a_drain_runs_what_waits_for_jobs_that_are_run(
    registry: Registry, ran: list[object], autojump_clock: Autojump
) -> None:
    """A chain is finished where the grace suffices."""
    async with running(registry, grace=11) as rig:
        first = await rig.queue.submit("slow", "first")
        await chain(rig, first.id, 3)
    assert (ran, rig.engine.outcome) == (["first", 0, 1, 2], "drained")


async def test_a_drain_leaves_what_waits_for_a_job_that_is_left(
    registry: Registry, ran: list[object], autojump_clock: Autojump
) -> None:
    """Where the first is not due in time the others are abandoned with it, without delay."""
    async with running(registry, grace=10) as rig:
        first = await rig.queue.submit("quick", "first", delay_seconds=100)
        await chain(rig, first.id, 2)
    assert abandoned(rig) == [
        ("quick", "not_due_in_time", False),
        ("quick", "waits_for_jobs", False),
        ("quick", "waits_for_jobs", False),
    ]
    assert (trio.current_time(), rig.engine.outcome) == (0, "drained")


async def cleans_up_badly() -> None:
    """A handler that raises when the service's end interrupts it."""
    try:
        await trio.sleep_forever()
    finally:
        raise OSError("the cleanup failed")


@pytest.mark.parametrize("handler", [trio.sleep_forever, cleans_up_badly])
async def test_what_a_shutdown_interrupts_fails_nothing(
    handler: Callable[[], Awaitable[None]],
    registry: Registry,
    ran: list[object],
    autojump_clock: Autojump,
) -> None:
    """The service ends before the job has: what comes after it is left behind just the same."""
    registry.job("first")(handler)
    async with running(registry, grace=10) as rig:
        first = await rig.queue.submit("first")
        await chain(rig, first.id, 2)
        await trio.testing.wait_all_tasks_blocked()
    assert abandoned(rig) == [
        ("first", "grace_over", True),
        ("quick", "grace_over", False),
        ("quick", "grace_over", False),
    ]
    assert rig.record.of(JobFailed) == []
