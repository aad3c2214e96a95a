"""Jobs as others may see them: frozen copies, which are also the JSON of the API."""

from datetime import datetime
from typing import Literal

import msgspec

from job_service.jobs.state.model import (
    DEFAULT_PRIORITY,
    SHOWN_PREDECESSORS,
    Attempt,
    AttemptOutcome,
    Job,
    Status,
)
from job_service.jobs.state.progress import Progress


class JobSummary(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What fits a line of a list. `attempt` counts those begun, `error` is the last one's.

    `snoozes` counts those that ended with the job coming back later, which costs none of
    `max_retries`, and `progress` is the last one's latest.
    Where `after` names many jobs, it has the first 10 here, and `after_count` says how many.

    `replayed` says that the job was there before, made by an earlier request with the same
    idempotency key; `duplicate`, that it holds the unique key of the submission that it answers.
    """

    id: str
    type: str
    status: Status
    created_at: datetime
    run_at: datetime | None = None
    finished_at: datetime | None = None
    attempt: int = 0
    max_retries: int
    priority: int = DEFAULT_PRIORITY
    unique_key: str | None = None
    after: tuple[str, ...] = ()
    after_count: int = 0
    cancel_requested: bool = False
    snoozes: int = 0
    progress: Progress | None = None
    error: str | None = None
    retry_of: str | None = None
    schedule: str | None = None
    replayed: bool = False
    duplicate: bool = False


class AttemptDetail(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One attempt; without `finished_at`, `run_seconds` and `outcome` while it runs.

    Of a long `traceback`, this has the last 4,000 characters.
    """

    attempt: int
    worker_id: str
    started_at: datetime
    finished_at: datetime | None = None
    run_seconds: float | None = None
    outcome: AttemptOutcome | None = None
    error: str | None = None
    traceback: str | None = None


class JobDetail(JobSummary, frozen=True, kw_only=True, omit_defaults=True):
    """All there is to know of a job. `payload` and `result` are raw JSON.

    Of more than 20 attempts that snoozed, `attempts` has the first and the last 10.

    `waits_because` says, while it is pending, why it is not running now.
    """

    waits_because: str | None = None
    payload: msgspec.Raw
    result: msgspec.Raw | None = None
    attempts: list[AttemptDetail]


def summarize(job: Job) -> JobSummary:
    """The job as it is now, in short."""
    # With more than 15 keywords in one call, Python makes a dict of them, which would take most of
    # the time here.
    summary = JobSummary(
        id=job.id,
        type=job.type,
        status=job.status,
        created_at=job.created_at,
        run_at=job.run_at if job.status == "pending" and job.run_at > job.created_at else None,
        finished_at=job.finished_at,
        attempt=job.runs,
        max_retries=job.max_retries,
        priority=job.priority,
        unique_key=job.unique_key,
        cancel_requested=job.status == "processing" and job.cancel_reason is not None,
        snoozes=job.snoozes,
        progress=job.meter.latest if job.meter is not None else None,
        error=job.attempts[-1].error if job.attempts else job.failure,
    )
    if job.after or job.retry_of is not None or job.schedule is not None:
        return msgspec.structs.replace(
            summary,
            after=job.after[:SHOWN_PREDECESSORS],
            after_count=len(job.after) if len(job.after) > SHOWN_PREDECESSORS else 0,
            retry_of=job.retry_of,
            schedule=job.schedule,
        )
    return summary


def detail_of(job: Job, waits_because: str | None = None) -> JobDetail:
    """The job as it is now, whole."""
    summary = {**msgspec.structs.asdict(summarize(job)), "after": job.after, "after_count": 0}
    return JobDetail(
        **summary,
        waits_because=waits_because,
        payload=msgspec.Raw(job.payload),
        result=msgspec.Raw(job.result) if job.result is not None else None,
        attempts=[_attempt_detail(attempt) for attempt in job.attempts],
    )


def _attempt_detail(attempt: Attempt) -> AttemptDetail:
    return AttemptDetail(
        attempt=attempt.number,
        worker_id=attempt.worker_id,
        started_at=attempt.started_at,
        finished_at=attempt.finished_at,
        run_seconds=attempt.run_seconds,
        outcome=attempt.outcome,
        error=attempt.error,
        traceback=attempt.traceback,
    )


class WorkerView(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What one worker does, and since when; the three fields of a job while it is busy."""

    worker_id: str
    state: Literal["idle", "busy"]
    job_id: str | None = None
    job_type: str | None = None
    attempt: int | None = None
    since: datetime


class QueueView(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """How many jobs wait, and for what: a worker (`ready`), their time or other jobs.

    `oldest_ready_seconds` is how long the job is ready that is so for longest.
    """

    paused: bool
    paused_types: list[str]
    capacity: int
    pending: int
    ready: int
    later: int
    blocked: int
    processing: int
    oldest_ready_seconds: float | None = None


class TypeView(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """A job type: the terms on which its jobs are run, and how many there are in each state.

    What has ended is counted for as long as it is kept.
    """

    type: str
    runs_in: Literal["loop", "thread", "process"]
    max_retries: int
    timeout_seconds: float | None = None
    concurrency: int | None = None
    paused: bool
    pending: int
    processing: int
    completed: int
    failed: int
    cancelled: int
    abandoned: int


class Cancellations(msgspec.Struct, frozen=True, kw_only=True):
    """How many jobs were cancelled at once, and how many are being interrupted."""

    cancelled: int
    interrupted: int


class ScheduleView(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One schedule: when it runs, and what came of its ticks; `skipped` counts those without a job.

    `next_run_at` is absent until the engine runs.
    """

    schedule: str
    type: str
    cron: str | None = None
    timezone: str | None = None
    every_seconds: float | None = None
    next_run_at: datetime | None = None
    last_run_at: datetime | None = None
    last_job_id: str | None = None
    skipped: int
