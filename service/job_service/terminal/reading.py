"""`job-service jobs` and `show`: what there is."""

from collections.abc import Sequence
from datetime import UTC, datetime

import click

from job_service.jobs.queueing.filters import JobFilters
from job_service.jobs.state.detail import JobSummary
from job_service.terminal import pictures
from job_service.terminal.filtering import filters_jobs
from job_service.terminal.job_ids import whole_id
from job_service.terminal.job_picture import job_in_full
from job_service.terminal.live import draw
from job_service.terminal.session import OK, Session, asks_service


@click.command()
@click.option("--limit", default=20, show_default=True, help="How many, 1,000 at most.")
@click.option("--oldest", is_flag=True, help="The oldest ones, instead of the newest.")
@click.option("--watch", is_flag=True, help="Look again every second, until Ctrl-C.")
@filters_jobs
@asks_service
def jobs(
    session: Session,
    limit: int,
    oldest: bool,
    watch: bool,
    filters: JobFilters,
) -> int:
    """List jobs, the newest first."""
    if watch and session.as_json:
        raise click.UsageError(
            "--watch and --json can't be used together: `tail --json` follows jobs"
        )
    client = session.reached() if watch else session.client

    def look() -> Sequence[JobSummary]:
        return client.list(limit=limit, newest_first=not oldest, **filters)

    if session.as_json:
        for job in look():
            session.print_json(job)
        return OK
    draw(lambda: pictures.jobs(look(), datetime.now(UTC)), again=watch)
    return OK


@click.command()
@click.argument("job", metavar="ID")
@asks_service
def show(session: Session, job: str) -> int:
    """Show all of a job.

    Any part of its ID will do that no other has.
    """
    detail = session.client.get(whole_id(session.client, job))
    if session.as_json:
        session.print_json(detail)
        return OK
    draw(lambda: job_in_full(detail, datetime.now(UTC)))
    return OK
