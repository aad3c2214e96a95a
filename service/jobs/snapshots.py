"""Jobs as others may see them: frozen copies, which are also the JSON of the API."""

from datetime import datetime
from typing import Literal

import msgspec

from service.jobs.model import Attempt, AttemptOutcome, Job, Status
from service.jobs.progress import Progress


class JobSummary(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What fits a line of a list. `attempt` counts those begun, `error` is the last one's.

    `snoozes` counts how often the job came back later, and `progress` is the last run's latest.

    `replayed` says that the job was there before, made by an earlier request with the same key.
    """

    id: str
    type: str
    status: Status
    created_at: datetime
    run_at: datetime | None = None
    finished_at: datetime | None = None
    attempt: int = 0
    max_retries: int
    snoozes: int = 0
    progress: Progress | None = None
    error: str | None = None
    retry_of: str | None = None
    replayed: bool = False


class AttemptStory(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One attempt; without `finished_at`, `run_seconds` and `outcome` while it runs."""

    attempt: int
    worker_id: str
    started_at: datetime
    finished_at: datetime | None = None
    run_seconds: float | None = None
    outcome: AttemptOutcome | None = None
    error: str | None = None


class JobStory(JobSummary, frozen=True, kw_only=True, omit_defaults=True):
    """All there is to know of a job. `payload` and `result` are raw JSON."""

    payload: msgspec.Raw
    result: msgspec.Raw | None = None
    attempts: list[AttemptStory]


def summarize(job: Job) -> JobSummary:
    """The job as it is now, in short."""
    return JobSummary(
        id=job.id,
        type=job.type,
        status=job.status,
        created_at=job.created_at,
        run_at=job.run_at if job.status == "pending" and job.run_at > job.created_at else None,
        finished_at=job.finished_at,
        attempt=len(job.attempts),
        max_retries=job.max_retries,
        snoozes=job.snoozes,
        progress=job.meter.latest if job.meter is not None else None,
        error=job.attempts[-1].error if job.attempts else None,
        retry_of=job.retry_of,
    )


def tell(job: Job) -> JobStory:
    """The job as it is now, whole."""
    return JobStory(
        **msgspec.structs.asdict(summarize(job)),
        payload=msgspec.Raw(job.payload),
        result=msgspec.Raw(job.result) if job.result is not None else None,
        attempts=[_tell_attempt(attempt) for attempt in job.attempts],
    )


def _tell_attempt(attempt: Attempt) -> AttemptStory:
    return AttemptStory(
        attempt=attempt.number,
        worker_id=attempt.worker_id,
        started_at=attempt.started_at,
        finished_at=attempt.finished_at,
        run_seconds=attempt.run_seconds,
        outcome=attempt.outcome,
        error=attempt.error,
    )


class WorkerView(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What one worker does, and since when; the three fields of a job while it is busy."""

    worker_id: str
    state: Literal["idle", "busy"]
    job_id: str | None = None
    job_type: str | None = None
    attempt: int | None = None
    since: datetime
