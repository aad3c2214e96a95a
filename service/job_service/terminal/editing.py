"""`job-service run-now` and `edit`: what changes jobs that wait."""

from datetime import UTC, datetime, timedelta

import click
from msgspec import UNSET

from job_service.errors import InvalidOption
from job_service.jobs.queueing.filters import JobFilters
from job_service.jobs.queueing.option_checks import check_delay
from job_service.jobs.state.detail import JobDetail
from job_service.terminal.bulk import tally_of
from job_service.terminal.each_job import for_each
from job_service.terminal.filtering import either_ids_or_filters, filters_jobs
from job_service.terminal.job_ids import whole_id
from job_service.terminal.moments import moment
from job_service.terminal.payloads import read_payload
from job_service.terminal.pictures import local
from job_service.terminal.session import OK, Session, asks_service


@click.command("run-now")
@click.argument("jobs", metavar="[ID]...", nargs=-1)
@filters_jobs
@asks_service
def run_now(session: Session, jobs: tuple[str, ...], filters: JobFilters) -> int:
    """Let jobs wait no longer for their time.

    By id, or all that match the options: jobs for later, and those that were snoozed or are
    retried. Many go in portions, and Ctrl-C stops it: the same command goes on.
    """
    if either_ids_or_filters(jobs, filters):
        with tally_of(session, _made_ready) as tally:
            made_ready = session.lasting.run_now_all(
                on_progress=tally.tell, on_undercount=tally.undercount, **filters
            )
        session.tell({"made_ready": made_ready}, tally.words(made_ready))
        return OK
    return for_each(session, jobs, lambda job_id: _tell(session, session.client.run_now(job_id)))


@click.command()
@click.argument("job", metavar="ID")
@click.option("--priority", type=int, help="0 goes first, 9 last.")
@click.option("--delay", "delay_seconds", type=float, help="Seconds from now until it may start.")
@click.option("--run-at", help="When it may start, such as 2026-12-24T18:00:00Z.")
@click.option("--payload", metavar="JSON|@FILE|-", help="What its handler is to get instead.")
@asks_service
def edit(
    session: Session,
    job: str,
    priority: int | None,
    delay_seconds: float | None,
    run_at: str | None,
    payload: str | None,
) -> int:
    """Give a job that waits another time, priority or payload."""
    due = None if run_at is None else moment("--run-at", run_at)
    if delay_seconds is not None:
        if due is not None:
            raise InvalidOption("--delay and --run-at can't be used together")
        check_delay(delay_seconds)
        due = datetime.now(UTC) + timedelta(seconds=delay_seconds)
    changed = session.client.edit(
        whole_id(session.client, job),
        run_at=due,
        priority=priority,
        payload=UNSET if payload is None else read_payload(payload),
    )
    _tell(session, changed)
    return OK


def _made_ready(made_ready: int) -> str:
    return f"{made_ready} wait no longer"


def _tell(session: Session, job: JobDetail) -> None:
    until = (
        "" if job.run_at is None or job.run_at <= datetime.now(UTC) else f" {local(job.run_at)},"
    )
    session.tell(job, f"{job.id} is {job.status},{until} priority {job.priority}")
