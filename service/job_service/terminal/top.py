"""`job-service top`: the service at a glance, and again each second."""

import sys
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Final, Self

import click
from msgspec import Struct

from job_service.client import JobClient
from job_service.errors import UnknownJob
from job_service.jobs.state.detail import JobDetail
from job_service.jobs.state.views import QueueView, TypeView, WorkerView
from job_service.telemetry.console import duration
from job_service.telemetry.metrics import MetricsSnapshot
from job_service.terminal import pictures
from job_service.terminal.live import draw
from job_service.terminal.session import OK, Session, asks_service

_WAITING_SHOWN: Final = 5


class Glance(Struct, frozen=True, kw_only=True):
    """What is asked for one picture. `waiting` has the pending jobs that were made first."""

    metrics: MetricsSnapshot
    queue: QueueView
    types: Sequence[TypeView]
    workers: Sequence[WorkerView]
    waiting: Sequence[JobDetail]

    @classmethod
    def at(cls, client: JobClient) -> Self:
        """The service as it is now."""
        now = client.overview()
        return cls(
            metrics=now.metrics,
            queue=now.queue,
            types=now.types,
            workers=now.workers,
            waiting=_waiting(client),
        )


@click.command()
@click.option("--once", is_flag=True, help="Look once, and end.")
@asks_service
def top(session: Session, once: bool) -> int:
    """See what the service does, and what waits and why."""
    if session.as_json:
        session.print_json(Glance.at(session.client))
        return OK
    is_watched = not once and sys.stdout.isatty()
    client = session.reached() if is_watched else session.client
    before: Glance | None = None

    def picture() -> pictures.Picture:
        nonlocal before
        now = Glance.at(client)
        drawn = _draw(now, before)
        before = now
        return drawn

    draw(picture, again=is_watched)
    return OK


def _waiting(client: JobClient) -> list[JobDetail]:
    found = []
    for job in client.list(status="pending", limit=_WAITING_SHOWN):
        try:
            found.append(client.get(job.id))
        except UnknownJob:  # it has ended meanwhile, and is gone
            continue
    return [job for job in found if job.status == "pending"]


def _draw(now: Glance, before: Glance | None) -> pictures.Picture:
    moment = datetime.now(UTC)
    metrics = now.metrics
    head = (
        f"up {duration(metrics.uptime_seconds)} · "
        f"{metrics.workers_running} workers · {_rates(metrics, before.metrics if before else None)}"
    )
    busy = [worker for worker in now.workers if worker.state == "busy"]
    lines = [
        click.style(head, bold=True),
        pictures.queue(now.queue),
        *([click.style(troubles, fg="yellow")] if (troubles := _troubles(metrics)) else []),
        "",
        *pictures.types(now.types, now.queue),
    ]
    if busy:
        lines += ["", *pictures.workers(busy, moment)]
    if now.waiting:
        rows = (
            (job.id, job.type, pictures.age(job.created_at, moment), job.waits_because)
            for job in now.waiting
        )
        lines += ["", *pictures.table("waiting", "type", "age", "because", rows=rows)]
    return lines


def _rates(now: MetricsSnapshot, before: MetricsSnapshot | None) -> str:
    """What came in and what ended, a second: since the last look, or else since the start."""
    seconds = now.uptime_seconds - (before.uptime_seconds if before else 0)
    shown = []
    for name in ("created", "completed", "failed", "retried"):
        more = getattr(now, f"jobs_{name}") - (getattr(before, f"jobs_{name}") if before else 0)
        shown.append(f"{more / seconds if seconds > 0 else 0:.1f}/s {name}")
    return " · ".join(shown)


def _troubles(metrics: MetricsSnapshot) -> str:
    """The counters that are zero in a service that is well."""
    names = (
        *("jobs_rejected", "loop_stalls", "log_lines_dropped", "ticks_skipped"),
        *("connections_refused", "threads_abandoned", "store_errors"),
    )
    return " · ".join(f"{name} {value}" for name in names if (value := getattr(metrics, name)))
