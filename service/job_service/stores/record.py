"""A job as it is kept: what must outlive its process, and nothing that can't.

The live job has what only its process can have: interrupts, events to wait for, moments of a
monotonic clock, and edges to the jobs that come after it. A record has none of that. It is read by
later versions of this program, so it has a version of its own, and changes only with it.

The payload and the result are no part of it: they may be long, and change never or once. Whoever
keeps a record keeps them beside it.

A job that is restored waits by the wall clock, because nobody knows how long nobody counted. One
that was in hand is restored in hand, with its attempt open: it is for its store to say what has
become of it.
"""

import sys
from datetime import datetime
from typing import Annotated, Final

import msgspec

from job_service.jobs.state.job_log import AttemptLog, on_its_own
from job_service.jobs.state.model import (
    DEFAULT_PRIORITY,
    FIRST_PRIORITY,
    LAST_PRIORITY,
    Attempt,
    AttemptOutcome,
    Job,
    Status,
)

VERSION: Final = 1

Moment = Annotated[datetime, msgspec.Meta(tz=True)]  # one without a zone is before no other


class AttemptRecord(msgspec.Struct, frozen=True, omit_defaults=True):
    """One run; the fields with defaults are set when it is over."""

    number: int
    worker_id: str
    started_at: Moment
    finished_at: Moment | None = None
    run_seconds: float | None = None
    outcome: AttemptOutcome | None = None
    error: str | None = None
    traceback: str | None = None
    log: AttemptLog | None = None


class JobRecord(
    msgspec.Struct,
    frozen=True,
    omit_defaults=True,
    tag_field="version",
    tag=VERSION,
):
    """All that is kept of one job, beside its payload and its result."""

    id: str
    type: str
    status: Status
    max_retries: int
    created_at: Moment
    run_at: Moment
    finished_at: Moment | None = None
    priority: Annotated[int, msgspec.Meta(ge=FIRST_PRIORITY, le=LAST_PRIORITY)] = DEFAULT_PRIORITY
    unique_key: str | None = None
    after: tuple[str, ...] = ()
    retry_of: str | None = None
    schedule: str | None = None
    scheduled_for: Moment | None = None
    limit_key: str | None = None
    tags: tuple[str, ...] = ()
    group: str | None = None
    callback_of: str | None = None
    submitted_by: str | None = None
    runs: int = 0
    snoozes: int = 0
    interruptions: int = 0
    losses: int = 0
    attempts: tuple[AttemptRecord, ...] = ()
    failure: str | None = None
    cancel_reason: str | None = None
    cancel_by: str | None = None
    edits: int = 0
    edited_at: Moment | None = None
    edited_by: str | None = None
    answered: str | None = None


def record_of(job: Job) -> JobRecord:
    """The job as it is now."""
    # Without their names, because msgspec takes as long for three with theirs as for all of these.
    return JobRecord(
        job.id,
        job.type,
        job.status,
        job.max_retries,
        job.created_at,
        job.run_at,
        job.finished_at,
        job.priority,
        job.unique_key,
        job.after,
        job.retry_of,
        job.schedule,
        job.scheduled_for,
        job.limit_key,
        job.tags,
        job.group,
        job.callback_of,
        job.submitted_by,
        job.runs,
        job.snoozes,
        job.interruptions,
        job.losses,
        tuple(map(_attempt_record, job.attempts)),
        job.failure,
        job.cancel_reason,
        job.cancel_by,
        job.edits,
        job.edited_at,
        job.edited_by,
        job.answered,
    )


def restore(record: JobRecord, payload: bytes, result: bytes | None = None) -> Job:
    """A live job, as it was when the record was made, but for what no record has.

    Raises msgspec.ValidationError if its attempts are missing.
    """
    is_due_at_once = record.run_at == record.created_at
    job = Job(
        record.id,
        sys.intern(record.type),  # which many have in common
        payload,
        record.max_retries,
        record.created_at,
        record.created_at if is_due_at_once else record.run_at,
        record.priority,
        record.unique_key,
        record.after,
        record.retry_of,
        record.schedule,
        record.scheduled_for,
        record.limit_key,
        record.tags,
        record.group,
        record.callback_of,
        record.submitted_by,
        status=record.status,
        is_recovered=True,
    )
    if record.edits:
        job.edits, job.edited_at = record.edits, record.edited_at
        job.edited_by = record.edited_by
    job.answered = record.answered
    if record.runs or record.status != "pending":  # else, as of most, there is nothing to add
        if not record.attempts and (record.losses or record.status == "processing"):
            raise msgspec.ValidationError("it has begun, and there is no attempt")
        job.attempts = tuple(map(_attempt, record.attempts))
        job.runs = record.runs
        job.snoozes = record.snoozes
        job.interruptions = record.interruptions
        job.losses = record.losses
        job.result = result
        job.finished_at = record.finished_at
        job.cancel_reason = record.cancel_reason
        job.cancel_by = record.cancel_by
        job.failure = record.failure
    return job


def put_in_hand(job: Job, number: int, worker_id: str, started_at: datetime) -> None:
    """A restored job has begun this attempt, too, of which its record does not tell."""
    begun = AttemptRecord(number, worker_id, started_at)
    job.status, job.runs = "processing", number
    job.attempts = (*job.attempts, _attempt(begun))


def encode(record: JobRecord) -> bytes:
    """The record as JSON text."""
    return msgspec.json.encode(record)


def decode(text: bytes | str) -> JobRecord:
    """The record of this text. Raises msgspec.ValidationError if it is of another version."""
    return _decode(text)


_decode = msgspec.json.Decoder(JobRecord).decode


def _attempt_record(attempt: Attempt) -> AttemptRecord:
    return AttemptRecord(
        attempt.number,
        attempt.worker_id,
        attempt.started_at,
        attempt.finished_at,
        attempt.run_seconds,
        attempt.outcome,
        attempt.error,
        attempt.traceback,
        attempt.log,
    )


def _attempt(record: AttemptRecord) -> Attempt:
    return Attempt(
        record.number,
        record.worker_id,
        record.started_at,
        0.0,  # of another monotonic clock, if any
        _nothing,
        record.finished_at,
        record.run_seconds,
        record.outcome,
        record.error,
        record.traceback,
        on_its_own(record.log),
        is_over=record.finished_at is not None,
    )


def _nothing() -> None:
    """Who ran it is not here any more."""
