"""A job may come after others: it starts when all of them have completed, or fails with them."""

from collections.abc import Awaitable, Callable, Sequence
from datetime import timedelta

import pytest
import trio
import trio.testing

from job_service.errors import AlreadyFinished
from job_service.jobs.queueing.options import MAX_PREDECESSORS
from job_service.jobs.registration.registry import Registry
from job_service.jobs.state.detail import JobDetail
from job_service.telemetry.events import JobEnqueued, JobFailed
from tests.conftest import Rig
from tests.jobs.steps import (
    START,
    abandoned,
    at_once,
    chain,
    check_no_job_awaits_another,
    endings,
    run_one,
    running,
    virtual_clock,
    why_unstarted,
)

Autojump = trio.testing.MockClock


async def details(rig: Rig, ids: Sequence[str]) -> list[JobDetail]:
    """What became of these jobs."""
    return [await rig.queue.get(job_id) for job_id in ids]


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
    check_no_job_awaits_another(rig)


async def test_after_what_has_completed_it_starts_at_once(
    registry: Registry, ran: list[object], autojump_clock: Autojump
) -> None:
    """A job that has ended well needs no more waiting for."""
    async with running(registry) as rig:
        first = await run_one(rig, "quick", 1)
        job = await run_one(rig, "quick", 2, after=[first.id])
        assert job.status == "completed"
    check_no_job_awaits_another(rig)


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
        assert (job.status, job.error) == ("failed", why_unstarted(bad.id, end))
        assert job.finished_at is not None
        assert (await rig.queue.wait(job.id, 60)).status == "failed"
        assert trio.current_time() == 20
    assert ran == [1]
    check_no_job_awaits_another(rig)


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
        first, *others = await details(rig, ids)
        assert first.error == why_unstarted(bad.id, end.partition(" ")[0])
        assert [other.error for other in others] == [why_unstarted(i, "failed") for i in ids[:-1]]
        assert {detail.status for detail in (first, *others)} == {"failed"}
        assert {(detail.attempt, len(detail.attempts)) for detail in (first, *others)} == {(0, 0)}
        assert rig.snapshot().jobs_pending == 1  # the late one
    assert "never" not in ran
    assert all(rig.record.names(job_id) == ["job_created", "job_failed"] for job_id in ids)
    check_no_job_awaits_another(rig)


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
        "error": why_unstarted(bad.id, "failed"),
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
    check_no_job_awaits_another(rig)


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
    assert (await rig.queue.get(bottom)).error in (
        why_unstarted(left, "failed"),
        why_unstarted(right, "failed"),
    )
    check_no_job_awaits_another(rig)


async def test_one_that_is_called_off_leaves_nothing_behind(
    registry: Registry, ran: list[object], autojump_clock: Autojump
) -> None:
    """What it waited for goes on without it, and forgets it at once, however often that happens."""
    async with running(registry, workers=1) as rig:
        first, second = [(await rig.queue.submit("slow", n)).id for n in (1, 2)]
        for _ in range(200):
            job = await rig.queue.submit("quick", 3, after=[first, second])
            detail = await rig.queue.cancel(job.id)
            assert (detail.status, detail.waits_because) == ("cancelled", None)
        for job_id in (first, second):
            predecessor = rig.store._jobs.get(job_id)
            assert predecessor is not None
            assert not predecessor.successors
        assert at_once(rig.queue.view()).blocked == 0
        with pytest.raises(AlreadyFinished):
            await rig.queue.cancel(job.id)
    assert ran == [1, 2]
    check_no_job_awaits_another(rig)


@pytest.mark.parametrize("fate", ["completes", "fails", "is cancelled"])
async def test_a_chain_may_be_as_long_as_it_likes(
    fate: str, registry: Registry, ran: list[object], autojump_clock: Autojump
) -> None:
    """Thousands of jobs, each after the one before, go the way of the first."""
    length = 3_000
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
        assert (await rig.queue.get(ids[-1])).error == why_unstarted(ids[-2], "failed")
    check_no_job_awaits_another(rig)


async def test_a_job_may_be_awaited_by_as_many_as_there_are(
    registry: Registry, ran: list[object], autojump_clock: Autojump
) -> None:
    """Thousands after one, and one after a thousand of them, are run in their order."""
    many = 3_000
    async with running(registry, workers=1, queue_capacity=many + 2, retain=many + 2) as rig:
        first = await rig.queue.submit("slow", "first")
        drafts = [rig.queue.check("quick", n, after=[first.id]) for n in range(many)]
        jobs = await rig.queue.submit_all(drafts)
        last = [job.id for job in jobs[-MAX_PREDECESSORS:]]
        await rig.queue.submit("quick", "last", after=last)
    assert ran == ["first", *range(many), "last"]
    check_no_job_awaits_another(rig)


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
        ("quick", "waits_for_jobs", False),
        ("quick", "waits_for_jobs", False),
    ]
    assert rig.record.of(JobFailed) == []
