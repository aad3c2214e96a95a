"""A failed job is retried later by any free worker, until its retries are used up."""

from datetime import datetime, timedelta

import msgspec
import pytest
import trio
import trio.testing

from job_service import JobContext, QueueFull, Registry, Retry
from job_service.telemetry.events import JobEnqueued, JobFailed, JobRetried
from job_service.testing import run_sync, waits
from tests.jobs.steps import START, MakeRig, endings, result_of, run_one, virtual_clock

HOUR = 3_600


@pytest.fixture
def attempts(registry: Registry) -> list[float]:
    """When the job type `fails` was tried: hourly at first, then slower, up to a day apart."""
    moments: list[float] = []
    retry = Retry(max_retries=6, base_seconds=HOUR, max_seconds=24 * HOUR, jitter=0)

    @registry.job("fails", retry=retry)
    async def fails(job: JobContext) -> None:
        moments.append(trio.current_time())
        raise ValueError(f"no luck on attempt {job.attempt}")

    @registry.job("works")
    async def works() -> str:
        return "done"

    return moments


async def test_retries_come_at_their_very_moments_over_days(
    attempts: list[float], make_rig: MakeRig, autojump_clock: trio.testing.MockClock
) -> None:
    """Waits of 1, 2, 4, 8, 16 and 24 hours end at the very second, and then no more is tried."""
    rig = make_rig()
    await rig.start()
    await run_one(rig, "fails")
    await trio.sleep(10 * 24 * HOUR)

    assert [moment / HOUR for moment in attempts] == [0, 1, 3, 7, 15, 31, 55]
    waits = [event.retry_in_seconds / HOUR for event in rig.record.of(JobRetried)]
    assert waits == [1, 2, 4, 8, 16, 24]


async def test_failed_is_said_once_and_retried_every_time_before(
    attempts: list[float], make_rig: MakeRig, autojump_clock: trio.testing.MockClock
) -> None:
    """All attempts but the last are job_retried; the last is job_failed, with its traceback."""
    rig = make_rig()
    await rig.start()
    job = await rig.queue.submit("fails", max_retries=2)
    await trio.sleep(24 * HOUR)

    again = ["job_enqueued", "job_started"]
    assert rig.record.names(job.id) == [
        "job_created",
        *again,
        "job_retried",
        *again,
        "job_retried",
        *again,
        "job_failed",
    ]
    enqueued = [event.attempt for event in rig.record.of(JobEnqueued)]
    assert enqueued == [msgspec.UNSET, 2, 3]
    retried = rig.record.of(JobRetried)
    assert [event.attempt for event in retried] == [1, 2]
    assert [event.error for event in retried] == [
        "ValueError: no luck on attempt 1",
        "ValueError: no luck on attempt 2",
    ]
    (failed,) = rig.record.of(JobFailed)
    assert (failed.attempt, failed.error) == (3, "ValueError: no luck on attempt 3")
    assert isinstance(failed.traceback, str)
    assert failed.traceback.startswith("Traceback (most recent call last):")
    assert failed.traceback.splitlines()[1].endswith(", in fails"), "not with frames of ours"
    assert failed.traceback.endswith("ValueError: no luck on attempt 3\n")


async def test_a_job_keeps_each_of_its_attempts(
    registry: Registry, make_rig: MakeRig, autojump_clock: trio.testing.MockClock
) -> None:
    """Worker, outcome, error, traceback, begin, end and seconds of every attempt are kept."""

    @registry.job("second_time", retry=Retry(base_seconds=10, jitter=0))
    async def second_time(job: JobContext) -> int:
        await trio.sleep(job.attempt)
        if job.attempt == 1:
            raise LookupError("not yet")
        return job.attempt

    rig = make_rig(clock=virtual_clock())
    await rig.start()
    job = await rig.queue.submit("second_time")
    await trio.sleep(5)
    waiting = await rig.queue.get(job.id)
    await trio.sleep(20)
    detail = await rig.queue.get(job.id)

    assert (waiting.status, waiting.error) == ("pending", "LookupError: not yet")
    assert waiting.run_at == START + timedelta(seconds=11)
    assert (detail.status, detail.attempt, result_of(detail)) == ("completed", 2, 2)
    assert msgspec.to_builtins(detail.attempts, builtin_types=(datetime,)) == [
        {
            "attempt": 1,
            "worker_id": detail.attempts[0].worker_id,
            "started_at": START,
            "finished_at": START + timedelta(seconds=1),
            "run_seconds": 1.0,
            "outcome": "failed",
            "error": "LookupError: not yet",
            "traceback": detail.attempts[0].traceback,
        },
        {
            "attempt": 2,
            "worker_id": detail.attempts[1].worker_id,
            "started_at": START + timedelta(seconds=11),
            "finished_at": START + timedelta(seconds=13),
            "run_seconds": 2.0,
            "outcome": "completed",
        },
    ]
    assert {attempt.worker_id for attempt in detail.attempts} <= {"worker-1", "worker-2"}
    traceback = str(detail.attempts[0].traceback)
    assert traceback.splitlines()[1].endswith(", in second_time")
    assert 'raise LookupError("not yet")' in traceback
    assert traceback.endswith("LookupError: not yet\n")


async def test_of_a_long_traceback_a_job_keeps_the_end(
    registry: Registry, make_rig: MakeRig, autojump_clock: trio.testing.MockClock
) -> None:
    """It is kept for as long as the job; the log line of a job that has failed has more of it."""

    @registry.job("long_winded")
    async def long_winded() -> None:
        raise ValueError("no luck" + 10_000 * "!")

    rig = make_rig()
    await rig.start()
    job = await rig.queue.submit("long_winded", max_retries=1)
    await trio.sleep(HOUR)

    detail = await rig.queue.get(job.id)
    kept = [str(attempt.traceback) for attempt in detail.attempts]
    assert [len(traceback) for traceback in kept] == [4_000, 4_000]
    assert str(rig.record.of(JobFailed)[0].traceback).endswith(kept[-1])
    assert len(str(rig.record.of(JobFailed)[0].traceback)) > 10_000


async def test_an_error_that_a_handler_raises_while_cancelled_is_kept(
    registry: Registry, make_rig: MakeRig, autojump_clock: trio.testing.MockClock
) -> None:
    """With its traceback, in the attempt: an error of the clean-up is not lost."""

    @registry.job("clumsy")
    async def clumsy() -> None:
        try:
            await trio.sleep_forever()
        finally:
            raise RuntimeError("can't clean up")

    rig = make_rig()
    await rig.start()
    job = await rig.queue.submit("clumsy")
    await trio.sleep(1)
    await rig.queue.cancel(job.id)
    await trio.sleep(1)

    (attempt,) = (await rig.queue.get(job.id)).attempts
    assert attempt.outcome == "cancelled"
    assert attempt.error == "RuntimeError: can't clean up"
    assert "clumsy" in str(attempt.traceback)


@pytest.mark.parametrize("retries", [0, 1, 4])
def test_a_submission_may_say_how_often_to_try_again(
    retries: int, attempts: list[float], registry: Registry
) -> None:
    """max_retries of the submission takes the place of the job type's own."""
    job = run_sync(registry, "fails", max_retries=retries)
    assert (job.status, job.max_retries) == ("failed", retries)
    assert len(attempts) == job.attempt == retries + 1
    assert [wait / HOUR for wait in waits(job)] == [1, 2, 4, 8][:retries]


@pytest.mark.parametrize("retries", [-1, 1_001])
async def test_a_senseless_number_of_retries_is_refused(
    retries: int, attempts: list[float], make_rig: MakeRig
) -> None:
    """max_retries is from 0 to 1000; anything else changes nothing."""
    rig = make_rig()
    with pytest.raises(ValueError, match="max_retries must be a whole number between 0 and 1000"):
        await rig.queue.submit("fails", max_retries=retries)
    assert rig.record.events == []


async def test_a_worker_is_free_while_a_retry_waits(
    attempts: list[float], make_rig: MakeRig, autojump_clock: trio.testing.MockClock
) -> None:
    """The only worker runs other jobs at once, however many wait for their next attempt."""
    rig = make_rig(workers=1)
    await rig.start()
    for _ in range(5):
        await rig.queue.submit("fails")
    detail = await run_one(rig, "works")

    assert detail.status == "completed"
    assert trio.current_time() == 0
    assert (rig.snapshot().jobs_pending, rig.snapshot().jobs_in_progress) == (5, 0)


async def test_a_retry_is_never_lost_to_a_full_queue(
    registry: Registry, make_rig: MakeRig, autojump_clock: trio.testing.MockClock
) -> None:
    """A job that fails while the queue is full waits beyond its bound, and runs again."""

    @registry.job("second_time", retry=Retry(base_seconds=60, jitter=0))
    async def second_time(job: JobContext) -> None:
        await trio.sleep(1)
        if job.attempt == 1:
            raise LookupError("not yet")

    rig = make_rig(workers=1, queue_capacity=1)
    await rig.start()
    first = await run_one(rig, "second_time")
    second = await run_one(rig, "second_time")
    with pytest.raises(QueueFull):
        await rig.queue.submit("second_time")
    await trio.sleep(2.5)
    assert rig.snapshot().jobs_pending == 2, "both wait for their second attempt"
    with pytest.raises(QueueFull):
        await rig.queue.submit("second_time")
    await trio.sleep(100)

    assert [job.status for job in await rig.queue.list()] == ["completed", "completed"]
    assert endings(rig, first.id) == endings(rig, second.id) == ["job_completed"]
    assert (rig.snapshot().jobs_retried, rig.snapshot().jobs_rejected) == (2, 2)


async def test_the_wait_of_a_retry_counts_from_when_it_was_due(
    attempts: list[float], make_rig: MakeRig, autojump_clock: trio.testing.MockClock
) -> None:
    """wait_seconds is what a job waited for a worker, not what it waited for its time."""
    rig = make_rig()
    await rig.start()
    await rig.queue.submit("fails")
    await trio.sleep(10 * 24 * HOUR)
    assert rig.snapshot().wait_seconds_total == 0


async def test_a_cancelled_retry_does_not_come_back(
    attempts: list[float], make_rig: MakeRig, autojump_clock: trio.testing.MockClock
) -> None:
    """A job that is called off while it waits for its next attempt is not tried again."""
    rig = make_rig()
    await rig.start()
    job = await run_one(rig, "fails")
    await rig.queue.cancel(job.id)
    await trio.sleep(10 * 24 * HOUR)

    assert attempts == [0]
    assert endings(rig, job.id) == ["job_cancelled"]
