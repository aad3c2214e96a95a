"""Jobs as programs see them: frozen copies, and the API's JSON, too."""

from datetime import datetime
from typing import Final

import msgspec

from job_service.jobs.state.job_log import AttemptLog
from job_service.jobs.state.model import (
    DEFAULT_PRIORITY,
    SHOWN_PREDECESSORS,
    Attempt,
    AttemptOutcome,
    Job,
    Status,
    version_of,
)
from job_service.jobs.state.progress import Progress

EXCERPT_CHARS: Final = 200


class JobSummary(msgspec.Struct, frozen=True, gc=False, kw_only=True, omit_defaults=True):
    """A job, as a list shows it. All times are in UTC.

    `attempt` is the number of the last attempt that has begun, 0 if none has, and `progress` its
    last report. `error` says why that attempt failed, or why the job failed without one. `snoozes`
    counts the attempts that asked to run again later, `interruptions` those that a stop cut short,
    and `losses` those whose process died: none of these costs one of `max_retries`. `run_at` is
    when a pending job may start, if that is later than its submission. Of more than 10 jobs in
    `after`, the first 10 are here, and `after_count` says how many there are. `cancel_requested`
    says that a running job is being cancelled. `retry_of` is the job that this one runs again, and
    `schedule` the schedule that made it. `scheduled_for` is the tick for which that was, also if
    the job runs another one again. `tags` are what its submission was marked with. `group` is the
    group that it is a job of, and `callback_of` the group on whose end it has followed.
    `cancelled_by` is the name of who has cancelled it.

    `replayed` says that an earlier request with the same idempotency key has made the job;
    `duplicate`, that it holds the unique key of the submission that it answers. If they are asked
    for, `waits_because` says why a pending job is not running now, and `payload_excerpt` is how the
    JSON text of the payload begins.
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
    interruptions: int = 0
    losses: int = 0
    progress: Progress | None = None
    error: str | None = None
    retry_of: str | None = None
    schedule: str | None = None
    scheduled_for: datetime | None = None
    tags: tuple[str, ...] = ()
    group: str | None = None
    callback_of: str | None = None
    cancelled_by: str | None = None
    replayed: bool = False
    duplicate: bool = False
    waits_because: str | None = None
    payload_excerpt: str | None = None


class AttemptDetail(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One attempt to run a job. While it runs it has no `finished_at`, `run_seconds` or `outcome`.

    It is `lost` if its process died, and `interrupted` if a stop gave the job back to its store.
    `error` is one line. Of a long `traceback`, the last 4,000 characters are kept. `log` has what
    its handler wrote with `job.log`, if anything.
    """

    attempt: int
    worker_id: str
    started_at: datetime
    finished_at: datetime | None = None
    run_seconds: float | None = None
    outcome: AttemptOutcome | None = None
    error: str | None = None
    traceback: str | None = None
    log: AttemptLog | None = None


class JobDetail(JobSummary, frozen=True, kw_only=True, omit_defaults=True):
    """A job, with all there is to know of it. `payload` and `result` are JSON text.

    If they are `hidden`, because the job type is sensitive, `payload` is null and `result` absent.
    `after` has all jobs. Of more than 20 attempts that snoozed, `attempts` has the first and the
    last 10. `edits` counts how often the job was changed while it waited, of which `edited_at` is
    the last time. `submitted_by` and `edited_by` are the names of who did that, if they have one.
    `limit_key` is the one for which the limits of its type hold, if they do per key.
    """

    limit_key: str | None = None
    payload: msgspec.Raw
    result: msgspec.Raw | None = None
    hidden: bool = False
    attempts: list[AttemptDetail]
    submitted_by: str | None = None
    edits: int = 0
    edited_at: datetime | None = None
    edited_by: str | None = None

    @property
    def version(self) -> str:
        """What stands for this state of the job, as `expected` in `JobQueue.edit` takes it."""
        return version_of(self.status, self.attempt, self.edits, self.cancel_requested)


def summarize(job: Job) -> JobSummary:
    """The job as it is now, for a list."""
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
        error=job.error,
    )
    if (
        job.after
        or job.retry_of is not None
        or job.schedule is not None
        or job.tags
        or job.group is not None
        or job.callback_of is not None
        or job.cancel_by is not None
        or job.interruptions
        or job.losses
    ):
        return msgspec.structs.replace(
            summary,
            interruptions=job.interruptions,
            losses=job.losses,
            after=job.after[:SHOWN_PREDECESSORS],
            after_count=len(job.after) if len(job.after) > SHOWN_PREDECESSORS else 0,
            retry_of=job.retry_of,
            schedule=job.schedule,
            scheduled_for=job.scheduled_for,
            tags=job.tags,
            group=job.group,
            callback_of=job.callback_of,
            cancelled_by=job.cancel_by if job.status == "cancelled" else None,
        )
    return summary


def detail_of(job: Job, waits_because: str | None = None) -> JobDetail:
    """The job as it is now, with all there is to know of it."""
    summary = {
        **msgspec.structs.asdict(summarize(job)),
        "after": job.after,
        "after_count": 0,
        "waits_because": waits_because,
    }
    return JobDetail(
        **summary,
        limit_key=job.limit_key,
        payload=msgspec.Raw(job.payload),
        result=msgspec.Raw(job.result) if job.result is not None else None,
        attempts=[_attempt_detail(attempt) for attempt in job.attempts],
        submitted_by=job.submitted_by,
        edits=job.edits,
        edited_at=job.edited_at,
        edited_by=job.edited_by,
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
        log=attempt.log,
    )
