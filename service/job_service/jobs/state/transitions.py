"""Decides what may happen to a job that waits: each function gives a change, and makes none.

They read the job and the clock, and raise IllegalTransition if the job is not in a state for it.
What may happen to a job that runs is decided in `attempt_transitions`.
"""

from collections.abc import Sequence
from datetime import UTC, timedelta

import uuid_utils
from msgspec import UNSET, UnsetType

from job_service.jobs.state.changes import Creation, Edited, Readiness, UnstartedEnd
from job_service.jobs.state.clock import Clock
from job_service.jobs.state.model import (
    DEFAULT_PRIORITY,
    SHOWN_PREDECESSORS,
    Draft,
    Edit,
    IllegalTransition,
    Job,
    Status,
)
from job_service.telemetry.events import (
    JobAbandoned,
    JobCancelled,
    JobCreated,
    JobEdited,
    JobEnqueued,
    JobFailed,
)


def create(draft: Draft, clock: Clock, predecessors: Sequence[Job] = ()) -> Creation:
    """A submission is accepted; `predecessors` are the jobs that the draft's `after` names."""
    now = clock.now()
    run_at, due_monotonic = now, None
    if delay := draft.delay_seconds or draft.debounce_seconds:
        run_at += timedelta(seconds=delay)
        due_monotonic = clock.monotonic() + delay
    elif draft.run_at is not None and draft.run_at > now:
        run_at = draft.run_at.astimezone(UTC)
    # By position as far as it can be read: with more than 15 keywords in one call, Python makes a
    # dict of them, which would take most of the time here.
    job = Job(
        str(uuid_utils.uuid7()),  # RFC 9562: sorts by creation, also across machines
        draft.type,
        draft.payload,
        draft.max_retries,
        now,
        run_at,
        priority=draft.priority,
        unique_key=draft.unique_key,
        after=draft.after,
        retry_of=draft.retry_of,
        schedule=draft.schedule,
        scheduled_for=draft.scheduled_for,
        limit_key=draft.limit_key,
        tags=draft.tags,
        group=draft.group,
        callback_of=draft.callback_of,
        submitted_by=draft.by,
        due_monotonic=due_monotonic,
    )
    event = JobCreated(
        timestamp=now,
        job_id=job.id,
        job_type=job.type,
        run_at=run_at if run_at is not now else UNSET,
        priority=job.priority if job.priority != DEFAULT_PRIORITY else UNSET,
        unique_key=job.unique_key if job.unique_key is not None else UNSET,
        after=job.after[:SHOWN_PREDECESSORS] or UNSET,
        after_count=len(job.after) if len(job.after) > SHOWN_PREDECESSORS else UNSET,
        schedule=job.schedule if job.schedule is not None else UNSET,
        retry_of=job.retry_of if job.retry_of is not None else UNSET,
        group=job.group if job.group is not None else UNSET,
        by=job.submitted_by if job.submitted_by is not None else UNSET,
    )
    return Creation(job, "pending", event, predecessors)


def enqueue(
    job: Job,
    clock: Clock,
    *,
    at_once: bool = False,
    is_told: bool = True,
) -> Readiness:
    """The pending job is ready for a worker from now on.

    `at_once` if it was created just now. If it is one of many, they may be told together.
    """
    if job.status != "pending" or job.ready_monotonic is not None:
        raise IllegalTransition(job.id, job.status, "pending")
    event = None
    if is_told:
        event = JobEnqueued(
            timestamp=job.created_at if at_once else clock.now(),
            job_id=job.id,
            job_type=job.type,
            attempt=job.runs + 1 if job.runs else UNSET,
        )
    return Readiness(job, "pending", event, clock.monotonic())


def edit(job: Job, wanted: Edit, clock: Clock) -> Edited:
    """A client changes the pending job. A time that has passed is now.

    If it is ready and gets another time or priority, it is ready anew when its turn has come. If it
    did not fit its type, it may fit with another payload.
    """
    if job.status != "pending":
        raise IllegalTransition(job.id, job.status, "pending")
    now = clock.now()
    run_at = None
    if wanted.run_now:
        run_at = now
    elif wanted.run_at is not None:
        run_at = max(wanted.run_at.astimezone(UTC), now)
    ready = job.ready_monotonic
    is_rekeyed = wanted.payload is not None and wanted.limit_key != job.limit_key
    is_reordered = ready is not None and (wanted.priority is not None or is_rekeyed)
    is_unfit = ready is None and job.awaits is None and job.run_at <= now  # it may fit now
    is_moved = run_at is not None or is_reordered or (is_unfit and wanted.payload is not None)
    is_unready = ready is not None and is_moved
    event = JobEdited(
        timestamp=now,
        job_id=job.id,
        job_type=job.type,
        run_at=UNSET if run_at is None else run_at,
        priority=UNSET if wanted.priority is None else wanted.priority,
        payload_bytes=UNSET if wanted.payload is None else len(wanted.payload),
        wait_seconds=round(clock.monotonic() - (ready or 0.0), 6) if is_unready else UNSET,
        by=UNSET if wanted.by is None else wanted.by,
    )
    return Edited(
        *(job, "pending", event, run_at, wanted.priority),
        payload=wanted.payload,
        limit_key=wanted.limit_key,
        by=wanted.by,
        is_moved=is_moved,
    )


def fail_unstarted(job: Job, error: str, clock: Clock) -> UnstartedEnd:
    """The pending job can't be run, because a job that it comes after has not completed."""
    if job.status != "pending" or job.ready_monotonic is not None:
        raise IllegalTransition(job.id, job.status, "failed")
    now = clock.now()
    event = JobFailed(timestamp=now, job_id=job.id, job_type=job.type, error=error)
    return UnstartedEnd(job, "failed", event, now, error)


def cancel(job: Job, reason: str, clock: Clock, by: str | None = None) -> UnstartedEnd:
    """A client called the pending job off; `by` is their name."""
    event = JobCancelled(
        timestamp=clock.now(),
        job_id=job.id,
        job_type=job.type,
        reason=reason,
        wait_seconds=_wait_seconds(job, clock),
        by=UNSET if by is None else by,
    )
    return _end_early(job, "cancelled", event, by)


def abandon(job: Job, reason: str, clock: Clock) -> UnstartedEnd:
    """The service ends and leaves the pending job behind."""
    event = JobAbandoned(
        timestamp=clock.now(),
        job_id=job.id,
        job_type=job.type,
        reason=reason,
        wait_seconds=_wait_seconds(job, clock),
    )
    return _end_early(job, "abandoned", event)


def _end_early(
    job: Job, to: Status, event: JobCancelled | JobAbandoned, by: str | None = None
) -> UnstartedEnd:
    if job.status != "pending":
        raise IllegalTransition(job.id, job.status, to)
    return UnstartedEnd(job, to, event, event.timestamp, by=by)


def _wait_seconds(job: Job, clock: Clock) -> float | UnsetType:
    ready = job.ready_monotonic
    return UNSET if ready is None else round(clock.monotonic() - ready, 6)
