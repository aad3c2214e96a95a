"""Keeps the jobs and is the only writer of their state: each transition is one method, one event.

No method contains a checkpoint, so on Trio each is atomic: no cancellation and no other task can
come between a change, its event and the counts.
"""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any, Literal

import trio
import uuid_utils
from msgspec import UNSET, UnsetType

from job_service.failures.report import MAX_KEPT_TRACEBACK_CHARS
from job_service.jobs.state.capacity import Capacity
from job_service.jobs.state.clock import Clock
from job_service.jobs.state.history import forget_what_is_between, without_snoozes_between
from job_service.jobs.state.model import (
    DEFAULT_PRIORITY,
    SHOWN_PREDECESSORS,
    TERMINAL,
    Attempt,
    AttemptOutcome,
    Draft,
    Ending,
    IllegalTransition,
    Job,
    Status,
)
from job_service.jobs.state.progress import Meter, Progress
from job_service.jobs.state.state_index import StateIndex
from job_service.jobs.state.weight import DEFAULT_QUEUE_BYTES, DEFAULT_RETAIN_BYTES
from job_service.telemetry.events import (
    Event,
    JobAbandoned,
    JobCancelled,
    JobCompleted,
    JobCreated,
    JobDuplicate,
    JobEnqueued,
    JobFailed,
    JobProgressed,
    JobRejected,
    JobRetried,
    JobSnoozed,
    JobStarted,
    QueuePaused,
    QueueResumed,
    RejectReason,
)


class JobStore:
    """The transitions of one service's jobs, which it keeps in `jobs`.

    Every transition raises IllegalTransition, and changes nothing, where the table of
    `job_service.jobs.state.model` does not have it.
    """

    def __init__(
        self,
        emit: Callable[[Event], None],
        clock: Clock,
        *,
        capacity: int,
        retain: int,
        capacity_bytes: int = DEFAULT_QUEUE_BYTES,
        retain_bytes: int = DEFAULT_RETAIN_BYTES,
    ) -> None:
        self._emit = emit
        self.clock = clock
        self._index = StateIndex(retain, retain_bytes)
        self.capacity = capacity
        self.capacity_bytes = capacity_bytes
        self._capacity = Capacity(self._index, emit, clock, capacity, capacity_bytes)
        self.jobs = self._index.jobs

    @property
    def pending(self) -> int:
        """How many jobs wait, ready or not."""
        return self._index.counts["pending"]

    @property
    def processing(self) -> int:
        """How many jobs are being run."""
        return self._index.counts["processing"]

    @property
    def weight(self) -> int:
        """Bytes that the texts of all jobs take: payloads, results, errors and tracebacks."""
        return self._index.weight

    @property
    def room(self) -> int:
        """How many more submissions the bound on pending jobs allows; may be below 0."""
        return self._capacity.room

    @property
    def room_bytes(self) -> int:
        """How many more bytes the bound on jobs that have not ended allows; may be below 0."""
        return self._capacity.room_bytes

    def fits(self, jobs: int, size: int) -> bool:
        """Whether there is room for so many submissions, of so many bytes together."""
        return self._capacity.fits(jobs, size)

    def create(self, draft: Draft) -> Job:
        """Accept a submission: a new job, pending."""
        now = self.clock.now()
        run_at = _run_at(draft, now)
        job = Job(
            id=str(uuid_utils.uuid7()),  # RFC 9562: sorts by creation, also across machines
            type=draft.type,
            payload=draft.payload,
            max_retries=draft.max_retries,
            created_at=now,
            run_at=run_at,
            due_monotonic=(
                None
                if draft.delay_seconds is None
                else self.clock.monotonic() + draft.delay_seconds
            ),
            priority=draft.priority,
            unique_key=draft.unique_key,
            after=draft.after,
            retry_of=draft.retry_of,
            schedule=draft.schedule,
        )
        self._index.add(job)
        self._emit(
            JobCreated(
                timestamp=now,
                job_id=job.id,
                job_type=job.type,
                run_at=run_at if run_at is not now else UNSET,
                priority=job.priority if job.priority != DEFAULT_PRIORITY else UNSET,
                unique_key=job.unique_key if job.unique_key is not None else UNSET,
                after=job.after[:SHOWN_PREDECESSORS] or UNSET,
                after_count=len(job.after) if len(job.after) > SHOWN_PREDECESSORS else UNSET,
                schedule=job.schedule if job.schedule is not None else UNSET,
            )
        )
        return job

    def holder(self, job_type: str, unique_key: str) -> Job | None:
        """The job of this type that has this unique key and has not ended. No transition."""
        return self._index.holder(job_type, unique_key)

    def deduplicate(self, holder: Job, unique_key: str) -> None:
        """A submission makes no job, since `holder` has its unique key. No transition."""
        self._emit(
            JobDuplicate(
                timestamp=self.clock.now(),
                job_id=holder.id,
                job_type=holder.type,
                unique_key=unique_key,
            )
        )

    def reject(self, job_type: str, reason: RejectReason, jobs: int = 1) -> None:
        """Turn so many submissions away: they leave no trace but their count."""
        self._emit(
            JobRejected(timestamp=self.clock.now(), job_type=job_type, reason=reason, jobs=jobs)
        )
        if reason == "full":
            self._capacity.rejected(jobs)

    def enqueue(self, job: Job) -> None:
        """The pending job is ready for a worker from now on."""
        if job.status != "pending" or job.ready_monotonic is not None:
            raise IllegalTransition(job.id, job.status, "pending")
        job.ready_monotonic = self.clock.monotonic()
        # Most jobs are ready the moment they are created.
        at_once = job.run_at is job.created_at and not job.after
        now = job.created_at if at_once else self.clock.now()
        attempt = job.runs + 1 if job.runs else UNSET
        self._emit(JobEnqueued(timestamp=now, job_id=job.id, job_type=job.type, attempt=attempt))

    def start(self, job: Job, worker_id: str, interrupt: Callable[[], None]) -> Attempt:
        """A worker begins an attempt; `interrupt` is how a client's cancellation reaches it."""
        ready_monotonic = job.ready_monotonic
        if ready_monotonic is None:
            raise IllegalTransition(job.id, job.status, "processing")
        now, monotonic = self.clock.now(), self.clock.monotonic()
        self._index.move(job, "processing", now)
        job.ready_monotonic = None
        job.runs += 1
        attempt = Attempt(
            number=job.runs,
            worker_id=worker_id,
            started_at=now,
            started_monotonic=monotonic,
            interrupt=interrupt,
        )
        job.attempts = (*job.attempts, attempt)
        job.meter = None
        self._emit(
            JobStarted(
                timestamp=now,
                job_id=job.id,
                job_type=job.type,
                worker_id=worker_id,
                attempt=attempt.number,
                wait_seconds=round(monotonic - ready_monotonic, 6),
            )
        )
        if self._capacity.is_full:
            self._capacity.eased()
        return attempt

    def complete(self, job: Job, result: bytes) -> None:
        """The handler returned `result`, JSON text."""
        ended = self._end_attempt(job, "completed", "completed", result=result)
        self._emit(JobCompleted(**ended))
        if self._capacity.is_full:
            self._capacity.eased()

    def retry(self, job: Job, error: str, traceback: str, delay_seconds: float) -> None:
        """The attempt failed; the job is to be ready again in `delay_seconds`."""
        delay = timedelta(seconds=delay_seconds)
        ended = self._end_attempt(job, "pending", "failed", error, traceback)
        job.run_at = ended["timestamp"] + delay
        self._emit(JobRetried(**ended, error=error, retry_in_seconds=round(delay_seconds, 6)))

    def snooze(self, job: Job, seconds: float) -> None:
        """The handler wants the job back in `seconds`; its run costs no retry."""
        ended = self._end_attempt(job, "pending", "snoozed")
        job.attempts = without_snoozes_between(job.attempts)
        job.snoozes += 1
        job.run_at = ended["timestamp"] + timedelta(seconds=seconds)
        self._emit(JobSnoozed(**ended, snooze_seconds=round(seconds, 6)))

    def progress(self, job: Job, attempt: Attempt, progress: Progress) -> None:
        """The attempt has come so far; ignored where it is not the running one. No transition."""
        if job.status != "processing" or job.attempts[-1] is not attempt:
            return
        if job.meter is None:
            job.meter = Meter()
        if job.meter.read(progress, self.clock.monotonic()):
            self._emit(
                JobProgressed(
                    timestamp=self.clock.now(),
                    job_id=job.id,
                    job_type=job.type,
                    worker_id=attempt.worker_id,
                    attempt=attempt.number,
                    done=progress.done,
                    total=UNSET if progress.total is None else progress.total,
                    note=UNSET if progress.note is None else progress.note,
                )
            )

    def fail(self, job: Job, error: str, traceback: str) -> None:
        """The attempt failed and no other follows."""
        ended = self._end_attempt(job, "failed", "failed", error, traceback)
        self._emit(JobFailed(**ended, error=error, traceback=traceback))
        if self._capacity.is_full:
            self._capacity.eased()

    def fail_unstarted(self, job: Job, error: str) -> None:
        """The pending job can't be run, for what it was to come after has not completed."""
        if job.status != "pending" or job.ready_monotonic is not None:
            raise IllegalTransition(job.id, job.status, "failed")
        now = self.clock.now()
        self._index.move(job, "failed", now)
        job.failure = error
        self._emit(JobFailed(timestamp=now, job_id=job.id, job_type=job.type, error=error))
        if self._capacity.is_full:
            self._capacity.eased()

    def end_of(self, job: Job) -> trio.Event:
        """What is set as soon as the job has ended; made when it is asked for. No transition."""
        if job.ended is None:
            job.ended = trio.Event()
            if job.status in TERMINAL:
                job.ended.set()
        return job.ended

    def ending_of(self, job: Job) -> Ending:
        """What says how the job has ended, as soon as it has. No transition."""
        if job.ending is None:
            job.ending = Ending()
            if job.status in TERMINAL:
                job.ending.status, job.ending.finished_at = job.status, job.finished_at
        return job.ending

    def pause(self, job_type: str | None) -> None:
        """No job is to start, or none of this type. No transition."""
        self._emit(QueuePaused(timestamp=self.clock.now(), job_type=job_type or UNSET))

    def resume(self, job_type: str | None) -> None:
        """Jobs may start again, or those of this type. No transition."""
        self._emit(QueueResumed(timestamp=self.clock.now(), job_type=job_type or UNSET))

    def request_cancel(self, job: Job, reason: str) -> None:
        """Interrupt the running attempt; its worker says what became of it. No transition yet."""
        if job.status != "processing":
            raise IllegalTransition(job.id, job.status, "cancelled")
        job.cancel_reason = reason
        job.attempts[-1].interrupt()

    def cancel(
        self, job: Job, reason: str, error: str | None = None, traceback: str | None = None
    ) -> None:
        """The job was called off, pending or in an attempt, which may have left an `error`."""
        self._end_early(job, "cancelled", JobCancelled, reason, error, traceback)

    def abandon(
        self, job: Job, reason: str, error: str | None = None, traceback: str | None = None
    ) -> None:
        """The service ends and leaves the job behind, pending or in an attempt, as in `cancel`."""
        self._end_early(job, "abandoned", JobAbandoned, reason, error, traceback)

    def _end_early(
        self,
        job: Job,
        to: Literal["cancelled", "abandoned"],
        event: type[JobCancelled] | type[JobAbandoned],
        reason: str,
        error: str | None = None,
        traceback: str | None = None,
    ) -> None:
        if job.status == "processing":
            ended = self._end_attempt(job, to, to, error, traceback)
            self._emit(
                event(
                    **ended,
                    reason=reason,
                    error=UNSET if error is None else error,
                    traceback=UNSET if traceback is None else traceback,
                )
            )
            if self._capacity.is_full:
                self._capacity.eased()
        else:
            now = self.clock.now()
            self._index.move(job, to, now)
            self._emit(
                event(
                    timestamp=now,
                    job_id=job.id,
                    job_type=job.type,
                    reason=reason,
                    wait_seconds=self._end_wait(job),
                )
            )
            if self._capacity.is_full:
                self._capacity.eased()

    def _end_wait(self, job: Job) -> float | UnsetType:
        if job.ready_monotonic is None:
            return UNSET
        waited = round(self.clock.monotonic() - job.ready_monotonic, 6)
        job.ready_monotonic = None
        return waited

    def _end_attempt(
        self,
        job: Job,
        to: Status,
        outcome: AttemptOutcome,
        error: str | None = None,
        traceback: str | None = None,
        result: bytes | None = None,
    ) -> dict[str, Any]:
        """End the running attempt and move the job on; gives the fields of its event."""
        if job.status != "processing":
            raise IllegalTransition(job.id, job.status, to)
        now = self.clock.now()
        attempt = job.attempts[-1]
        attempt.finished_at = now
        attempt.run_seconds = round(self.clock.monotonic() - attempt.started_monotonic, 6)
        attempt.outcome = outcome
        attempt.error = error
        if traceback is not None:
            attempt.traceback = traceback[-MAX_KEPT_TRACEBACK_CHARS:]
            forget_what_is_between(job.attempts)
        attempt.interrupt = _nothing
        job.result = result
        self._index.move(job, to, now)
        return {
            "timestamp": now,
            "job_id": job.id,
            "job_type": job.type,
            "worker_id": attempt.worker_id,
            "attempt": attempt.number,
            "run_seconds": attempt.run_seconds,
        }


def _run_at(draft: Draft, now: datetime) -> datetime:
    if draft.delay_seconds:
        return now + timedelta(seconds=draft.delay_seconds)
    if draft.run_at is not None and draft.run_at > now:
        return draft.run_at.astimezone(UTC)
    return now


def _nothing() -> None:
    """An ended attempt can't be interrupted."""
