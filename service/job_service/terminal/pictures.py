"""Jobs, schedules and numbers as lines for people."""

from collections.abc import Iterable, Sequence
from datetime import UTC, datetime
from itertools import pairwise
from typing import Final

import click

from job_service.jobs.state.detail import JobSummary
from job_service.jobs.state.views import QueueView, ScheduleView, TypeQueue, TypeView, WorkerView
from job_service.telemetry.console import duration
from job_service.telemetry.text import one_line

Picture = list[str]

_COLOURS: Final = {
    "pending": "cyan",
    "processing": "blue",
    "completed": "green",
    "failed": "red",
    "cancelled": "yellow",
    "abandoned": "magenta",
    "running": "blue",  # of a group
}


class Styled(str):
    """Text that is escaped already, and may have colours."""

    __slots__ = ()


def table(*columns: str, rows: Iterable[Sequence[object]]) -> Picture:
    """A row a line, below the names of the columns. The last column may have any length."""
    cells: list[list[str]] = [[dim(name) for name in columns]]
    cells += ([_cell(value) for value in row] for row in rows)
    widths = [max(map(_width, column)) for column in zip(*cells, strict=True)]
    return [
        "  ".join(
            text + " " * (width - _width(text)) for text, width in zip(row, widths, strict=True)
        ).rstrip()
        for row in cells
    ]


def dim(text: str) -> Styled:
    """What is not what one looks for."""
    return Styled(click.style(one_line(text), dim=True))


def jobs(found: Iterable[JobSummary], now: datetime) -> Picture:
    """A job a row."""
    rows = (
        (job.id, job.type, status(job.status), age(job.created_at, now), job.attempt, _note(job))
        for job in found
    )
    return table("job", "type", "status", "age", "attempt", "", rows=rows)


def status(name: str) -> Styled:
    """The name of a status in its colour."""
    return Styled(click.style(name, fg=_COLOURS.get(name)))


def age(since: datetime, now: datetime | None = None) -> str:
    """How long ago that was."""
    return duration(max(((now or datetime.now(UTC)) - since).total_seconds(), 0.0))


def schedules(found: Iterable[ScheduleView], now: datetime) -> Picture:
    """A schedule a row."""
    rows = (
        (
            view.schedule,
            view.type,
            view.cron or f"every {duration(view.every_seconds or 0)}",
            view.timezone,
            _pause(view, now) if view.paused else local(view.next_run_at),
            age(view.last_run_at, now) if view.last_run_at else "",
            view.skipped,
            view.last_job_id,
            "" if view.paused else _then(view.next_ticks),
        )
        for view in found
    )
    columns = ("schedule", "type", "when", "zone", "next", "last", "skipped", "last job", "then")
    return table(*columns, rows=rows)


def _pause(view: ScheduleView, now: datetime) -> str:
    since = f" for {age(view.paused_since, now)}" if view.paused_since else ""
    by = f" by {view.paused_by}" if view.paused_by else ""
    return f"paused{since}{by}"


def _then(ticks: Sequence[datetime]) -> str:
    """The ticks after the first one, each with its date if the one before has another."""
    days = pairwise(tick.astimezone() for tick in ticks)
    return ", ".join(
        f"{tick:%H:%M:%S}" if tick.date() == before.date() else f"{tick:%Y-%m-%d %H:%M:%S}"
        for before, tick in days
    )


def types(found: Iterable[TypeView], queue: QueueView) -> Picture:
    """A job type a row, with how long its oldest ready job waits and all of them will take."""
    names = ("pending", "processing", "completed", "failed", "cancelled", "abandoned")
    queues = {each.type: each for each in queue.types}
    rows = (
        (
            view.type,
            *(getattr(view, name) for name in names),
            *_latency(queues.get(view.type)),
            "paused" if view.paused else "",
        )
        for view in found
    )
    return table("type", *names, "oldest", "empty in", "", rows=rows)


def workers(found: Iterable[WorkerView], now: datetime) -> Picture:
    """A worker a row."""
    rows = (
        (view.worker_id, view.state, age(view.since, now), view.job_type, view.job_id)
        for view in found
    )
    return table("worker", "state", "for", "type", "job", rows=rows)


def queue(view: QueueView) -> str:
    """The queue in one line."""
    paused = ["the queue"] if view.paused else view.paused_types
    oldest = view.oldest_ready_seconds
    parts = [
        f"{view.pending} of {view.capacity} places taken",
        f"{view.ready} ready" + (f" (for {duration(oldest)})" if oldest else ""),
        f"{view.later} later",
        f"{view.blocked} blocked",
        *([f"{view.unfit} unfit"] if view.unfit else []),
        f"{view.processing} running",
        *([f"paused: {', '.join(paused)}"] if paused else []),
        view.store,
    ]
    return one_line(" · ".join(parts))


def _latency(queue: TypeQueue | None) -> tuple[str, str]:
    if queue is None or not queue.ready:
        return "", ""
    oldest, empty = queue.oldest_ready_seconds, queue.seconds_to_empty
    return (
        "" if oldest is None else duration(oldest),
        "unknown" if empty is None else duration(empty),
    )


def _note(job: JobSummary) -> str:
    if job.cancel_requested:
        return "being cancelled"
    if job.status == "processing" and job.progress is not None:
        total = "" if job.progress.total is None else f" of {job.progress.total}"
        return f"{job.progress.done}{total} {job.progress.note or ''}".rstrip()
    if job.status == "pending" and job.run_at is not None:
        return f"at {local(job.run_at)}"
    if job.cancelled_by is not None:
        return f"by {job.cancelled_by}"
    return "" if job.status == "completed" else job.error or ""


def local(moment: datetime | None) -> str:
    """A moment in the local time, because people compare it with their own clock."""
    return "" if moment is None else f"{moment.astimezone():%Y-%m-%d %H:%M:%S}"


def _cell(value: object) -> str:
    if isinstance(value, Styled):
        return value
    return "" if value is None else one_line(str(value))


def _width(text: str) -> int:
    return len(click.unstyle(text))
