"""Jobs, workers, types and schedules as programs see them: frozen copies, the API's JSON, too."""

from collections.abc import Iterable
from datetime import datetime
from typing import Final, Literal

import msgspec

from job_service.jobs.state.job_log import AttemptLog
from job_service.jobs.state.model import (
    DEFAULT_PRIORITY,
    SHOWN_PREDECESSORS,
    Attempt,
    AttemptOutcome,
    Job,
    Status,
)
from job_service.jobs.state.progress import Progress

EXCERPT_CHARS: Final = 200


class JobSummary(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """A job, as a list shows it. All times are in UTC.

    `attempt` is the number of the last attempt that has begun, 0 if none has, and `progress` its
    last report. `error` says why that attempt failed, or why the job failed without one. `snoozes`
    counts the attempts that asked to run again later, which costs none of `max_retries`. `run_at`
    is when a pending job may start, if that is later than its submission. Of more than 10 jobs in
    `after`, the first 10 are here, and `after_count` says how many there are. `cancel_requested`
    says that a running job is being cancelled. `retry_of` is the job that this one runs again, and
    `schedule` the schedule that made it. `scheduled_for` is the tick for which that was, also if
    the job runs another one again. `tags` are what its submission was marked with. `group` is the
    group that it is a job of, and `callback_of` the group on whose end it has followed.

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
    progress: Progress | None = None
    error: str | None = None
    retry_of: str | None = None
    schedule: str | None = None
    scheduled_for: datetime | None = None
    tags: tuple[str, ...] = ()
    group: str | None = None
    callback_of: str | None = None
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
    `cancelled_by` is the name of who has cancelled it. `after` has all jobs. Of more than 20
    attempts that snoozed, `attempts` has the first and the last 10. `edits` counts how often the
    job was changed while it waited. `limit_key` is the one for which the limits of its type hold,
    if they do per key.
    """

    cancelled_by: str | None = None
    limit_key: str | None = None
    payload: msgspec.Raw
    result: msgspec.Raw | None = None
    hidden: bool = False
    attempts: list[AttemptDetail]
    edits: int = 0


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
    ):
        return msgspec.structs.replace(
            summary,
            after=job.after[:SHOWN_PREDECESSORS],
            after_count=len(job.after) if len(job.after) > SHOWN_PREDECESSORS else 0,
            retry_of=job.retry_of,
            schedule=job.schedule,
            scheduled_for=job.scheduled_for,
            tags=job.tags,
            group=job.group,
            callback_of=job.callback_of,
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
        cancelled_by=job.cancel_by if job.status == "cancelled" else None,
        limit_key=job.limit_key,
        payload=msgspec.Raw(job.payload),
        result=msgspec.Raw(job.result) if job.result is not None else None,
        attempts=[_attempt_detail(attempt) for attempt in job.attempts],
        edits=job.edits,
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


class WorkerView(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What one worker does, and since when. The job, its type and its attempt are those it runs."""

    worker_id: str
    state: Literal["idle", "busy"]
    job_id: str | None = None
    job_type: str | None = None
    attempt: int | None = None
    since: datetime


class NodeView(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One process among those that share a store. `node` is a name that it has until it ends.

    Its jobs are safe for `lease_seconds`, which it renews all the time. If they are over, others
    run its jobs. Of those that it holds, `processing` ones run, and `waiting` ones are about to.
    `job_types` are those that it can run. `is_asked` marks the process that answers.
    """

    node: str
    host: str
    pid: int
    version: str
    started_at: datetime
    lease_seconds: float
    job_types: list[str]
    processing: int
    waiting: int
    is_asked: bool = False


class TypeQueue(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """The jobs of one type that have not ended.

    `oldest_ready_seconds` is how long the oldest of its `ready` jobs has been ready.
    `seconds_to_empty` is how long it takes to start them all, if as many begin a second as in the
    last minute, and no others come in. It is absent if that is not known, as when none has begun.
    """

    type: str
    pending: int
    ready: int
    processing: int
    oldest_ready_seconds: float | None = None
    seconds_to_empty: float | None = None


class QueueView(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """How many jobs wait, and for what; and what is paused.

    Of the `pending` jobs, `ready` ones wait for a worker, `later` ones for their time, `blocked`
    ones for other jobs, and `unfit` ones for a program that can run them. `oldest_ready_seconds` is
    how long the oldest ready job has been ready. `capacity` bounds how many jobs may wait. `store`
    is where jobs are kept, without a password, and `finished` how many it keeps that have ended.
    `types` has each job type, those without a handler only if they have jobs that have not ended.
    """

    paused: bool
    paused_types: list[str]
    capacity: int
    pending: int
    ready: int
    later: int
    blocked: int
    unfit: int
    processing: int
    oldest_ready_seconds: float | None = None
    store: str
    finished: int | None = None
    types: list[TypeQueue]


def with_types(view: QueueView, names: Iterable[str]) -> QueueView:
    """The view, with these job types in it whether or not there are jobs of them."""
    types = {
        name: TypeQueue(type=name, pending=0, ready=0, processing=0, seconds_to_empty=0.0)
        for name in names
    }
    types |= {each.type: each for each in view.types}
    return msgspec.structs.replace(view, types=[types[name] for name in sorted(types)])


class TypeView(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """A job type: the terms on which its jobs run, and how many jobs it has in each state.

    Jobs that have ended count for as long as they are kept. `concurrency` is how many may run at
    the same time, and in any `rate_seconds`, at most `rate_starts` may start. If `per_key`, that
    holds for the jobs of each limit key, and keys take turns. `is_limited` says whether any of this
    may hold its jobs back. Of a `sensitive` one, payloads and results are for those who may
    operate.
    """

    type: str
    runs_in: Literal["loop", "thread", "process", "asyncio"]
    max_retries: int
    timeout_seconds: float | None = None
    concurrency: int | None = None
    rate_starts: int | None = None
    rate_seconds: float | None = None
    per_key: bool = False
    sensitive: bool = False
    is_limited: bool = False
    paused: bool
    pending: int
    processing: int
    completed: int
    failed: int
    cancelled: int
    abandoned: int


class Cancellations(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """How many pending jobs were cancelled, and how many running jobs are being interrupted.

    If there may be more, `next` is where to go on.
    """

    cancelled: int
    interrupted: int
    next: str | None = None


class MadeReady(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """How many jobs wait no longer for their time. If there may be more, `next` goes on."""

    made_ready: int
    next: str | None = None


class Retries(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """How many jobs run again, as new ones. If there may be more, `next` is where to go on.

    If the queue has become `full`, try again from there a little later.
    """

    retried: int
    full: bool = False
    next: str | None = None


class ScheduleView(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One schedule: when it submits jobs, and what it has done.

    It has `cron` and `timezone`, or `every_seconds`. `skipped` counts the times at which it made no
    job. `next_run_at` is absent until the service has started.
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
