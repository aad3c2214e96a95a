"""`job-service cancel`, `retry`, `pause` and `resume`: what changes jobs and the queue."""

from typing import Any, get_args

import click

from job_service.errors import InvalidOption
from job_service.jobs.state.detail import QueueView
from job_service.jobs.state.model import Status
from job_service.terminal.job_ids import whole_id
from job_service.terminal.session import OK, Session, asks_service

_UNFINISHED = [status for status in get_args(Status) if status in ("pending", "processing")]


@click.command()
@click.argument("jobs", metavar="ID...", nargs=-1)
@click.option("--type", "job_type", help="All jobs of this type, instead.")
@click.option("--status", type=click.Choice(_UNFINISHED), help="Of these, only with this status.")
@asks_service
def cancel(session: Session, jobs: tuple[str, ...], job_type: str | None, status: Any) -> int:
    """Cancel jobs.

    Pending ones end at once, running ones at their handler's next checkpoint.
    """
    if bool(jobs) == (job_type is not None) or (status is not None and job_type is None):
        raise InvalidOption("name jobs by their ids, or all of a type by --type and --status")
    client = session.client
    if job_type is not None:
        done = client.cancel_all(job_type, status=status)
        if session.as_json:
            session.print_json(done)
        else:
            click.echo(f"{done.cancelled} cancelled, {done.interrupted} being interrupted")
        return OK
    for job_id in [whole_id(client, part) for part in jobs]:
        job = client.cancel(job_id)
        if session.as_json:
            session.print_json(job)
        else:
            is_over = job.status == "cancelled"
            click.echo(f"{job.id} {'is cancelled' if is_over else 'is being interrupted'}")
    return OK


@click.command()
@click.argument("jobs", metavar="ID...", nargs=-1, required=True)
@asks_service
def retry(session: Session, jobs: tuple[str, ...]) -> int:
    """Run jobs again that have ended.

    Each is a new job, whose id is printed.
    """
    client = session.client
    for job_id in [whole_id(client, part) for part in jobs]:
        job = client.retry(job_id)
        if session.as_json:
            session.print_json(job)
        else:
            click.echo(job.id)
    return OK


@click.command()
@click.argument("job_type", metavar="[TYPE]", required=False)
@asks_service
def pause(session: Session, job_type: str | None) -> int:
    """Let no more jobs start, or none of this TYPE."""
    return _tell(session, session.client.pause(job_type))


@click.command()
@click.argument("job_type", metavar="[TYPE]", required=False)
@asks_service
def resume(session: Session, job_type: str | None) -> int:
    """Let jobs start again, or those of this TYPE."""
    return _tell(session, session.client.resume(job_type))


def _tell(session: Session, view: QueueView) -> int:
    if session.as_json:
        session.print_json(view)
        return OK
    paused = ["the queue"] if view.paused else []
    click.echo(f"paused: {', '.join([*paused, *view.paused_types]) or 'nothing'}")
    return OK
