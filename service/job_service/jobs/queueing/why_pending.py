"""Says what holds pending jobs back: one of them in a sentence or a word, and all in numbers."""

import math
from collections.abc import Mapping

from job_service.jobs.queueing.backlog import Backlog
from job_service.jobs.queueing.delayed import DelayedJobs
from job_service.jobs.queueing.ready import MANY
from job_service.jobs.state.dependencies import why_blocked
from job_service.jobs.state.model import Job
from job_service.stores.runner import BacklogView, TypeBacklog


def why_it_waits(job: Job, backlog: Backlog, due_in_seconds: float, threads_awaited: int) -> str:
    """The first of the reasons that keep a pending job from starting.

    `due_in_seconds` is how long it is until its time has come. `threads_awaited` is how many
    threads were let go, while workers wait for one of them.
    """
    if job.awaits:
        return why_blocked(next(iter(job.awaits)), len(job.awaits) - 1)
    if job.ready_monotonic is None:
        return _until_due(job, due_in_seconds)
    queue = backlog.queue_of(job)
    if job not in queue:
        return "about to start: it is on its way to a worker"
    if backlog.paused:
        return "the queue is paused"
    if queue.paused:
        return f"{job.type} is paused"
    if (suspicion := _suspicion(job, backlog)) is not None:
        return f"held back: {suspicion}"
    if (limit := queue.why_held(job)) is not None:
        return f"held back: {limit}"
    if threads_awaited:
        return f"waits for one of {_count(threads_awaited, 'abandoned thread')} to return"
    ahead = backlog.count_ahead_of(job)
    if ahead >= MANY:
        return f"waits for a free worker; {MANY:,} or more ahead of it"
    return "waits for a free worker" + (f"; {ahead} ahead of it" if ahead else "")


def what_keeps(job: Job, backlog: Backlog) -> str | None:
    """Why a job can't start at the end of a drain; None if it lacks nothing but time."""
    if job.status != "pending":
        return None
    if job.awaits is not None:
        return "waits_for_jobs"
    if backlog.is_unfit(job):
        return "misfit"
    if backlog.is_paused(job):
        return "paused"
    is_late = job.ready_monotonic is None or backlog.waits_for_rate(job)
    return "not_due_in_time" if is_late else None


def view_of(
    backlog: Backlog, delayed: DelayedJobs, starts_per_second: Mapping[str, float]
) -> BacklogView:
    """What holds back the pending jobs of this process; jobs of each type begin so often."""
    oldest, not_ready = backlog.oldest_by_type(), delayed.by_type + backlog.unfit_by_type
    return BacklogView(
        paused=backlog.paused,
        paused_types=backlog.paused_types,
        later=len(delayed),
        unfit=backlog.unfit,
        types={
            name: TypeBacklog(not_ready[name], oldest.get(name), starts_per_second.get(name, 0.0))
            for name in {*not_ready, *oldest, *starts_per_second}
        },
    )


def _suspicion(job: Job, backlog: Backlog) -> str | None:
    """Why it waits because of jobs that may have ended their process, if it does."""
    if job is backlog.alone:
        return "its process died while it ran, twice in a row, so it runs alone"
    if backlog.alone is not None:
        return f"{backlog.alone.id} runs alone, because its process died while it ran"
    if job.is_suspect and not backlog.queue_of(job).may_start:
        return "its process died while it ran, and such jobs run one at a time"
    return None


def _until_due(job: Job, seconds: float) -> str:
    due = f"due in {math.ceil(seconds)} s" if seconds > 0 else "due now"
    if not job.attempts:
        return due
    last = job.attempts[-1]
    if last.outcome in ("snoozed", "lost", "interrupted"):
        return f"{last.outcome}; {due}"
    error = (last.error or "").partition(":")[0]
    return f"retry {job.retries} of {job.max_retries} {due} after {error}"


def _count(number: int, noun: str) -> str:
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"
