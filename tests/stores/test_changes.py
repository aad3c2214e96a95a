"""What happens to a job is kept, told once and in order, and reaches the runner."""

from datetime import timedelta
from typing import get_args

import pytest
import trio
import trio.testing

from job_service import Draft
from job_service.errors import AlreadyFinished, UnknownJob
from job_service.jobs.state.attempt_transitions import complete, request_cancel
from job_service.jobs.state.job_filter import JobFilter
from job_service.jobs.state.model import IllegalTransition, Status
from tests.stores.conftest import held_by_one_process, in_memory_only
from tests.stores.workshop import How, MakeWorkshop, Workshop

SECOND = timedelta(seconds=1)
STATUS_AFTER = {
    "complete": "completed",
    "fail": "failed",
    "retry": "pending",
    "snooze": "pending",
    "cancel": "cancelled",
    "abandon": "abandoned",
}
EVENT_OF = STATUS_AFTER | {"retry": "retried", "snooze": "snoozed"}


@pytest.mark.parametrize("how", get_args(How))
async def test_each_end_of_an_attempt_is_kept_and_told_once(shop: Workshop, how: How) -> None:
    """With the attempt, its times, and what it has left."""
    job_id = await shop.new()
    shop.seconds = 3.0
    await shop.start(job_id)
    shop.seconds = 7.0
    await shop.end(job_id, how)

    job = await shop.store.get(job_id)
    (attempt,) = job.attempts
    assert job.status == STATUS_AFTER[how]
    assert shop.told(job_id) == ["created", "enqueued", "started", EVENT_OF[how]]
    assert (attempt.attempt, attempt.worker_id, attempt.run_seconds) == (1, "worker-1", 4.0)
    assert (attempt.started_at, attempt.finished_at) == (job.created_at + 3 * SECOND, shop.now())
    left = ("ValueError: no", "Traceback: no") if how in ("fail", "retry") else (None, None)
    assert (attempt.error, attempt.traceback) == left
    assert (bytes(job.result) if job.result is not None else None) == (
        b'"250 OK"' if how == "complete" else None
    )
    if how in ("retry", "snooze"):
        assert (job.finished_at, job.run_at) == (None, shop.now() + 5 * SECOND)
        assert job.snoozes == (how == "snooze")
        assert job_id in shop.waiting
    else:
        assert job.finished_at == shop.now()
        assert job_id not in shop.waiting


async def test_no_number_of_an_attempt_is_used_twice(shop: Workshop) -> None:
    """Not by a retry, nor by a snooze, nor by those whose attempts are no longer kept."""
    job_id = await shop.new()
    numbers = []
    for how in ("retry", "snooze", "retry", *["snooze"] * 30):
        numbers.append((await shop.start(job_id)).number)
        await shop.end(job_id, how)  # type: ignore[arg-type]  # one of the literals
    job = await shop.run(job_id)
    assert numbers == list(range(1, 34))
    kept = [attempt.attempt for attempt in job.attempts]
    assert (kept[-1], len(set(kept)), job.snoozes) == (34, len(kept), 31)
    assert kept == sorted(kept)
    assert len(kept) < 30


async def test_a_worker_is_refused_that_has_lost_its_attempt(shop: Workshop) -> None:
    """What it says of the job is not believed, and changes nothing."""
    job_id = await shop.new()
    first = await shop.start(job_id)
    job, _ = shop.running[job_id]
    await shop.end(job_id, "retry")
    second = await shop.start(job_id)
    told = shop.told(job_id)
    with pytest.raises(IllegalTransition):
        complete(job, first, b"null", shop.clock)
    assert shop.told(job_id) == told
    assert second.number == 2
    await shop.end(job_id)


async def test_a_pending_job_is_called_off_at_once(shop: Workshop) -> None:
    """Ready or not, it is not run any more."""
    for is_ready in (False, True):
        job_id = await shop.new()
        if is_ready:
            await shop.make_ready(job_id)
        answer = await shop.store.cancel(job_id, "requested")
        assert (answer.status, answer.waits_because) == ("cancelled", None)
        assert job_id not in shop.waiting
        assert shop.told(job_id)[-1] == "cancelled"
        with pytest.raises(AlreadyFinished):
            await shop.store.cancel(job_id, "requested")
    with pytest.raises(UnknownJob):
        await shop.store.cancel("no such job", "requested")


async def test_a_running_job_is_interrupted(shop: Workshop) -> None:
    """Once; its worker says what became of it, and it may have completed."""
    job_id = await shop.new()
    await shop.start(job_id)
    for reason in ("the first", "another"):
        answer = await shop.store.cancel(job_id, reason)
        assert (answer.status, answer.cancel_requested) == ("processing", True)
    assert shop.interrupted == [job_id]
    assert shop.running[job_id][0].cancel_reason == "the first"
    assert shop.told(job_id) == ["created", "enqueued", "started"]
    await shop.end(job_id)
    assert (await shop.store.get(job_id)).status == "completed"
    job_id = await shop.new()
    with pytest.raises(IllegalTransition):
        request_cancel(shop.waiting[job_id], "requested")


async def test_all_jobs_of_a_type_are_called_off(shop: Workshop) -> None:
    """Those that wait are not started nor failed by it; others are spared."""
    running, chained = await shop.new(), await shop.new()
    await shop.new(after=(chained,))
    (other,) = await shop.submit(Draft("letter", b"{}", 3))
    await shop.start(running)
    done = await shop.store.cancel_all(JobFilter(types=("email",)), "requested")
    assert (done.cancelled, done.interrupted) == (2, 1)
    assert shop.interrupted == [running]
    assert (await shop.store.cancel_all(JobFilter(types=("email",)), "requested")).interrupted == 0
    assert (await shop.store.counts())["email"]["cancelled"] == 2
    assert (await shop.store.get(other.id)).status == "pending"
    await shop.end(running, "cancel")


@pytest.mark.parametrize("status", ["pending", "processing"])
async def test_some_jobs_of_a_type_are_called_off(shop: Workshop, status: Status) -> None:
    """Those that wait, or those that run."""
    running, _ = await shop.new(), await shop.new()
    await shop.start(running)
    wanted = JobFilter(
        types=("email",), statuses=("pending" if status == "pending" else "processing",)
    )
    done = await shop.store.cancel_all(wanted, "requested")
    assert (done.cancelled, done.interrupted) == ((1, 0) if status == "pending" else (0, 1))
    await shop.end(running)


async def test_progress_is_shown_and_told_now_and_then(shop: Workshop) -> None:
    """It is of this process only, and no transition."""
    job_id = await shop.new()
    await shop.start(job_id)
    for done in range(3):
        await shop.tell_progress(job_id, done)
    shop.seconds += 1
    await shop.tell_progress(job_id, 9)
    progress = (await shop.store.get(job_id)).progress
    assert progress is not None
    assert progress.done == 9
    assert shop.told(job_id)[3:] == ["progressed"] * 2
    await shop.end(job_id)


@in_memory_only  # virtual time does not wait for a disk
async def test_who_waits_for_the_end_of_a_job_is_told_of_it(
    shop: Workshop, autojump_clock: trio.testing.MockClock
) -> None:
    """At once, if it has ended; and after their time, if it has not."""
    job_id = await shop.new()
    assert (await shop.store.wait(job_id, 5)).status == "pending"
    assert trio.current_time() == 5
    statuses = []

    async def wait() -> None:
        statuses.append((await shop.store.wait(job_id, 100)).status)

    async with trio.open_nursery() as nursery:
        nursery.start_soon(wait)
        nursery.start_soon(wait)
        await trio.testing.wait_all_tasks_blocked()
        await shop.run(job_id)
    await wait()
    assert statuses == ["completed"] * 3
    assert trio.current_time() == 5
    with pytest.raises(UnknownJob):
        await shop.store.wait("no such job", 1)


@in_memory_only  # virtual time does not wait for a disk
async def test_who_waits_is_told_of_a_job_that_is_kept_no_more(
    make_workshop: MakeWorkshop, autojump_clock: trio.testing.MockClock
) -> None:
    """It was there when the wait began."""
    shop = await make_workshop(retain=0)
    job_id = await shop.new()
    statuses = []

    async def wait() -> None:
        statuses.append((await shop.store.wait(job_id, 100)).status)

    async with trio.open_nursery() as nursery:
        nursery.start_soon(wait)
        await trio.testing.wait_all_tasks_blocked()
        await shop.run_and_forget(job_id)
    assert statuses == ["completed"]
    with pytest.raises(UnknownJob):
        await shop.store.wait(job_id, 100)


@held_by_one_process
async def test_what_other_jobs_took_of_a_delay_has_passed(shop: Workshop) -> None:
    """It is counted from the submission, too."""
    first = await shop.new()
    blocked = await shop.new(delay_seconds=9, after=(first,))
    shop.seconds = 2.0
    await shop.run(first)
    assert shop.ready_in[blocked] == 7
    job = await shop.store.get(blocked)
    assert job.run_at == job.created_at + 9 * SECOND


async def test_a_delay_is_counted_from_the_submission(shop: Workshop) -> None:
    """A date is left to the wall clock."""
    delayed = await shop.new(delay_seconds=9)
    dated = await shop.new(run_at=shop.now() + 9 * SECOND)
    shop.seconds = 2.0
    assert shop.ready_in[delayed] == 9
    assert shop.ready_in[dated] is None
    for job_id in (delayed, dated):
        job = await shop.store.get(job_id)
        assert job.run_at == job.created_at + 9 * SECOND


async def test_a_pause_reaches_the_runner_and_is_told_once(shop: Workshop) -> None:
    """Of the queue and of a type each on its own."""
    view = await shop.store.pause("email")
    assert (view.paused, view.paused_types) == (False, ["email"])
    await shop.store.pause("email")
    assert (await shop.store.pause(None)).paused
    await shop.store.resume(None)
    await shop.store.resume(None)
    view = await shop.store.resume("email")
    assert (view.paused, view.paused_types) == (False, [])
    assert [event.event for event in shop.events] == [
        *("queue_paused", "queue_paused", "queue_resumed", "queue_resumed"),
    ]
