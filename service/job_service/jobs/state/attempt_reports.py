"""Decides what is noted of an attempt while it runs: each function gives a change, and makes none.

They raise IllegalTransition if the attempt is not the running one, as `attempt_transitions` does.
"""

from typing import cast

from msgspec import UNSET, Raw

from job_service.jobs.state.changes import LineLogged, ProgressReport
from job_service.jobs.state.clock import Clock
from job_service.jobs.state.job_log import LogLine, is_worth_telling
from job_service.jobs.state.model import Attempt, IllegalTransition, Job
from job_service.jobs.state.progress import Progress
from job_service.telemetry.events import JobLogged, JobProgressed, Level


def progress(job: Job, attempt: Attempt, report: Progress, clock: Clock) -> ProgressReport:
    """The attempt has come so far; told only if that is worth an event now."""
    _require_running(job, attempt)
    now = clock.monotonic()
    if job.meter is not None and not job.meter.is_worth_telling(report, now):
        return ProgressReport(job, "processing", report, None, None)
    event = JobProgressed(
        timestamp=clock.now(),
        job_id=job.id,
        job_type=job.type,
        worker_id=attempt.worker_id,
        attempt=attempt.number,
        done=report.done,
        total=UNSET if report.total is None else report.total,
        note=UNSET if report.note is None else report.note,
    )
    return ProgressReport(job, "processing", report, event, now)


def log_line(
    job: Job, attempt: Attempt, level: str, message: str, fields: bytes | None, clock: Clock
) -> LineLogged:
    """The handler wrote a line; `fields` is JSON text. Told only if there are not too many."""
    _require_running(job, attempt)
    raw = UNSET if fields is None else Raw(fields)
    line = LogLine(clock.now(), cast("Level", level), message, raw)
    if not is_worth_telling(attempt.log, line):
        return LineLogged(job, "processing", attempt, line, None)
    event = JobLogged(
        timestamp=line.timestamp,
        level=line.level,
        job_id=job.id,
        job_type=job.type,
        worker_id=attempt.worker_id,
        attempt=attempt.number,
        message=message,
        fields=raw,
    )
    return LineLogged(job, "processing", attempt, line, event)


def _require_running(job: Job, attempt: Attempt) -> None:
    if attempt.is_over or job.status != "processing":
        raise IllegalTransition(job.id, job.status, "processing")
