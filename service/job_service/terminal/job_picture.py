"""All of one job for people, as `job-service show` draws it."""

from collections.abc import Iterator
from datetime import datetime

from msgspec import UNSET, Raw, json

from job_service.jobs.state.detail import AttemptDetail, JobDetail
from job_service.jobs.state.job_log import AttemptLog, LogLine
from job_service.telemetry.console import duration
from job_service.telemetry.text import one_line
from job_service.terminal.pictures import Picture, age, dim, local, status, table

_NAME_COLUMNS = 12


def job_in_full(job: JobDetail, now: datetime) -> Picture:
    """What is known of it, then its payload, its result and its attempts with their logs."""
    lines = [*_facts(job, now)]
    if job.hidden:
        lines += ["", dim("payload and result are shown only to a token that may operate")]
    else:
        lines += _document("payload", job.payload)
    if job.result is not None:
        lines += _document("result", job.result)
    if job.attempts:
        lines += ["", *_attempts(job.attempts, now)]
        for attempt in job.attempts:
            if attempt.log is not None:
                lines += ["", dim(f"log of #{attempt.attempt}"), *_lines(attempt.log)]
        if job.attempts[-1].traceback is not None:
            lines += ["", *_indented(job.attempts[-1].traceback)]
    return lines


def _facts(job: JobDetail, now: datetime) -> Iterator[str]:
    facts: dict[str, str | None] = {
        "job": job.id,
        "type": job.type,
        "status": job.status,
        "waits": job.waits_because,
        "created": f"{local(job.created_at)} ({age(job.created_at, now)} ago)",
        "submitted by": job.submitted_by,
        "edited": local(job.edited_at),
        "edited by": job.edited_by,
        "run at": local(job.run_at),
        "finished": local(job.finished_at),
        "cancelled by": job.cancelled_by,
        "priority": str(job.priority),
        "unique key": job.unique_key,
        "limit key": job.limit_key,
        "tags": ", ".join(job.tags),
        "after": ", ".join(job.after),
        "retry of": job.retry_of,
        "schedule": job.schedule,
        "tick": local(job.scheduled_for),
        "group": job.group,
        "ends group": job.callback_of,
        "error": job.error,
    }
    for name, value in facts.items():
        if value:
            shown = status(job.status) if name == "status" else one_line(value)
            yield dim(f"{name:{_NAME_COLUMNS}}") + f"  {shown}"


def _document(name: str, text: Raw) -> Picture:
    return ["", dim(name), *_indented(json.format(bytes(text), indent=2).decode())]


def _attempts(attempts: list[AttemptDetail], now: datetime) -> Picture:
    rows = (
        (
            f"#{attempt.attempt}",
            attempt.worker_id,
            local(attempt.started_at),
            age(attempt.started_at, now)
            if attempt.run_seconds is None
            else duration(attempt.run_seconds),
            attempt.outcome or "running",
            attempt.error,
        )
        for attempt in attempts
    )
    return table("attempt", "worker", "started", "took", "outcome", "", rows=rows)


def _lines(log: AttemptLog) -> Iterator[str]:
    """What the handler has written."""
    yield from map(_line, log.first)
    if log.missing:
        yield dim(f"  … {log.missing} more, which are not kept …")
    yield from map(_line, log.last)


def _line(line: LogLine) -> str:
    fields = "" if line.fields is UNSET else f" {bytes(line.fields).decode()}"
    return f"  {local(line.timestamp)} {line.level} {one_line(line.event + fields)}"


def _indented(text: str) -> Iterator[str]:
    return (f"  {one_line(line.expandtabs())}" for line in text.rstrip().split("\n"))
