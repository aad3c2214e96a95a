"""Decides what may happen to a job in an attempt: each function gives a change, and makes none.

They read the job and the clock, as those of `transitions` do, and raise IllegalTransition if the
attempt is not the running one. A worker answers only for the run that it began: what it says of a
job that has gone on without it is refused.
"""

from collections.abc import Callable
from typing import Literal

from msgspec import UNSET, structs

from job_service.jobs.state.changes import (
    AttemptEnd,
    CancelRequest,
    Start,
)
from job_service.jobs.state.clock import Clock
from job_service.jobs.state.model import Attempt, IllegalTransition, Job, Status
from job_service.telemetry.events import (
    JobAbandoned,
    JobCancelled,
    JobCompleted,
    JobFailed,
    JobReleased,
    JobRescued,
    JobRetried,
    JobSnoozed,
    JobStarted,
)


def start(job: Job, worker_id: str, interrupt: Callable[[], None], clock: Clock) -> Start:
    """A worker begins an attempt; `interrupt` is how a client's cancellation reaches it."""
    ready_monotonic = job.ready_monotonic
    if ready_monotonic is None:
        raise IllegalTransition(job.id, job.status, "processing")
    now, monotonic = clock.now(), clock.monotonic()
    attempt = Attempt(job.runs + 1, worker_id, now, monotonic, interrupt)
    event = JobStarted(
        timestamp=now,
        job_id=job.id,
        job_type=job.type,
        worker_id=worker_id,
        attempt=attempt.number,
        wait_seconds=round(monotonic - ready_monotonic, 6),
    )
    return Start(job, "processing", event, attempt)


def request_cancel(job: Job, reason: str, by: str | None = None) -> CancelRequest:
    """The running attempt is to be interrupted; `by` is the name of who wants that."""
    if job.status != "processing" or job.attempts[-1].is_over:
        raise IllegalTransition(job.id, job.status, "cancelled")
    return CancelRequest(job, "processing", reason, by)


def complete(job: Job, attempt: Attempt, result: bytes, clock: Clock) -> AttemptEnd:
    """The handler returned `result`, JSON text."""
    # Most attempts end so: their time counts, and that of two calls more would be seen.
    if attempt.is_over or job.status != "processing":
        raise IllegalTransition(job.id, job.status, "completed")
    now = clock.now()
    run_seconds = round(clock.monotonic() - attempt.started_monotonic, 6)
    event = JobCompleted(
        timestamp=now,
        job_id=job.id,
        job_type=job.type,
        worker_id=attempt.worker_id,
        attempt=attempt.number,
        run_seconds=run_seconds,
    )
    return AttemptEnd(
        job, "completed", event, attempt, "completed", now, run_seconds, None, None, result
    )


def retry(
    job: Job, attempt: Attempt, error: str, traceback: str, delay_seconds: float, clock: Clock
) -> AttemptEnd:
    """The attempt failed; the job is to be ready again in `delay_seconds`."""
    _require_open(job, attempt, "pending")
    now, run_seconds = clock.now(), _run_seconds(attempt, clock)
    event = JobRetried(
        timestamp=now,
        job_id=job.id,
        job_type=job.type,
        worker_id=attempt.worker_id,
        attempt=attempt.number,
        run_seconds=run_seconds,
        error=error,
        retry_in_seconds=round(delay_seconds, 6),
    )
    return AttemptEnd(
        *(job, "pending", event, attempt, "failed", now, run_seconds),
        error=error,
        traceback=traceback,
        ready_in=delay_seconds,
    )


def snooze(job: Job, attempt: Attempt, seconds: float, clock: Clock) -> AttemptEnd:
    """The handler wants the job back in `seconds`; its run costs no retry."""
    _require_open(job, attempt, "pending")
    now, run_seconds = clock.now(), _run_seconds(attempt, clock)
    event = JobSnoozed(
        timestamp=now,
        job_id=job.id,
        job_type=job.type,
        worker_id=attempt.worker_id,
        attempt=attempt.number,
        run_seconds=run_seconds,
        snooze_seconds=round(seconds, 6),
    )
    return AttemptEnd(job, "pending", event, attempt, "snoozed", now, run_seconds, ready_in=seconds)


def fail(job: Job, attempt: Attempt, error: str, traceback: str, clock: Clock) -> AttemptEnd:
    """The attempt failed and no other follows."""
    _require_open(job, attempt, "failed")
    now, run_seconds = clock.now(), _run_seconds(attempt, clock)
    event = JobFailed(
        timestamp=now,
        job_id=job.id,
        job_type=job.type,
        worker_id=attempt.worker_id,
        attempt=attempt.number,
        run_seconds=run_seconds,
        error=error,
        traceback=traceback,
    )
    return AttemptEnd(job, "failed", event, attempt, "failed", now, run_seconds, error, traceback)


def cut_short(
    job: Job,
    attempt: Attempt,
    to: Literal["cancelled", "abandoned"],
    reason: str,
    clock: Clock,
    error: str | None = None,
    traceback: str | None = None,
) -> AttemptEnd:
    """The attempt was interrupted: a client called the job off, or the service's end leaves it.

    `error` and `traceback` are what the handler's clean-up ended with, if anything.
    """
    _require_open(job, attempt, to)
    now, run_seconds = clock.now(), _run_seconds(attempt, clock)
    kind = JobCancelled if to == "cancelled" else JobAbandoned
    event = kind(
        timestamp=now,
        job_id=job.id,
        job_type=job.type,
        reason=reason,
        worker_id=attempt.worker_id,
        attempt=attempt.number,
        run_seconds=run_seconds,
        error=UNSET if error is None else error,
        traceback=UNSET if traceback is None else traceback,
    )
    if isinstance(event, JobCancelled) and job.cancel_by is not None:
        event = structs.replace(event, by=job.cancel_by)
    return AttemptEnd(job, to, event, attempt, to, now, run_seconds, error, traceback)


def release(
    job: Job,
    attempt: Attempt,
    reason: str,
    clock: Clock,
    error: str | None = None,
    traceback: str | None = None,
) -> AttemptEnd:
    """The service ends while the attempt runs, and the job is kept; that costs no retry.

    The job waits again, unless a client had called it off. `error` and `traceback` are what the
    handler's clean-up ended with, if anything.
    """
    if job.cancel_reason is not None:
        reason = job.cancel_reason
        return cut_short(job, attempt, "cancelled", reason, clock, error, traceback)
    _require_open(job, attempt, "pending")
    now, run_seconds = clock.now(), _run_seconds(attempt, clock)
    event = JobReleased(
        timestamp=now,
        job_id=job.id,
        job_type=job.type,
        worker_id=attempt.worker_id,
        attempt=attempt.number,
        run_seconds=run_seconds,
        reason=reason,
        error=UNSET if error is None else error,
        traceback=UNSET if traceback is None else traceback,
    )
    return AttemptEnd(
        job, "pending", event, attempt, "interrupted", now, run_seconds, error, traceback
    )


def rescue(job: Job, clock: Clock, max_losses: int, *, was_alone: bool) -> AttemptEnd:
    """The process ended without a word while it had the job in hand.

    The job waits again, unless a client had called it off. If that has happened `max_losses` times,
    and no other job was in hand the last time, it has failed.
    """
    attempt = job.attempts[-1]
    _require_open(job, attempt, "pending")
    now, losses = clock.now(), job.losses + 1
    error = "the process ended while it had this job in hand"
    if job.cancel_reason is not None:
        cancelled = JobCancelled(
            timestamp=now,
            job_id=job.id,
            job_type=job.type,
            reason=job.cancel_reason,
            by=UNSET if job.cancel_by is None else job.cancel_by,
        )
        return AttemptEnd(job, "cancelled", cancelled, attempt, "lost", now, None, error)
    if losses >= max_losses and was_alone:
        each_time = "" if losses == 1 else f" each of the {losses} times"
        error = f"the process ended{each_time} while it had this job in hand"
        failed = JobFailed(timestamp=now, job_id=job.id, job_type=job.type, error=error)
        return AttemptEnd(job, "failed", failed, attempt, "lost", now, None, error)
    event = JobRescued(
        timestamp=now,
        job_id=job.id,
        job_type=job.type,
        worker_id=attempt.worker_id,
        attempt=attempt.number,
        reason="restart",
    )
    return AttemptEnd(job, "pending", event, attempt, "lost", now, None, error)


def _require_open(job: Job, attempt: Attempt, wanted: Status) -> None:
    if attempt.is_over or job.status != "processing":
        raise IllegalTransition(job.id, job.status, wanted)


def _run_seconds(attempt: Attempt, clock: Clock) -> float:
    return round(clock.monotonic() - attempt.started_monotonic, 6)
