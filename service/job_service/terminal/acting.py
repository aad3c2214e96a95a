"""`job-service cancel`, `retry`, `pause` and `resume`: what changes jobs and the queue."""

import click

from job_service.jobs.queueing.filters import JobFilters
from job_service.jobs.state.views import Cancellations, QueueView
from job_service.terminal.bulk import tally_of
from job_service.terminal.each_job import for_each
from job_service.terminal.filtering import either_ids_or_filters, filters_jobs
from job_service.terminal.session import OK, Session, asks_service


@click.command()
@click.argument("jobs", metavar="[ID]...", nargs=-1)
@filters_jobs
@asks_service
def cancel(session: Session, jobs: tuple[str, ...], filters: JobFilters) -> int:
    """Cancel jobs: by id, or all that match the options.

    Pending ones end at once, running ones at their handler's next checkpoint. Many go in portions,
    and Ctrl-C stops it: the same command goes on.
    """
    if either_ids_or_filters(jobs, filters):
        with tally_of(session, _cancelled) as tally:
            done = session.lasting.cancel_all(
                on_progress=tally.tell, on_undercount=tally.undercount, **filters
            )
        session.tell(done, tally.words(done))
        return OK

    def cancel_one(job_id: str) -> None:
        job = session.client.cancel(job_id)
        is_over = job.status == "cancelled"
        session.tell(job, f"{job.id} {'is cancelled' if is_over else 'is being interrupted'}")

    return for_each(session, jobs, cancel_one)


@click.command()
@click.argument("jobs", metavar="[ID]...", nargs=-1)
@filters_jobs
@asks_service
def retry(session: Session, jobs: tuple[str, ...], filters: JobFilters) -> int:
    """Run again jobs that have ended.

    By id, or all that match the options. Each is a new job. Those of these IDs are printed.
    Of many, the failed ones are meant if no status is said. They go in portions, and Ctrl-C stops
    it: the same command goes on.
    """
    if either_ids_or_filters(jobs, filters):
        with tally_of(session, _retried) as tally:
            retried = session.lasting.retry_all(
                on_progress=tally.tell, on_undercount=tally.undercount, **filters
            )
        session.tell({"retried": retried}, tally.words(retried))
        return OK

    def retry_one(job_id: str) -> None:
        job = session.client.retry(job_id)
        session.tell(job, job.id)

    return for_each(session, jobs, retry_one)


@click.command()
@click.argument("job_type", metavar="[TYPE]", required=False)
@asks_service
def pause(session: Session, job_type: str | None) -> int:
    """Let no more jobs start, or none of this TYPE."""
    _tell(session, session.client.pause(job_type))
    return OK


@click.command()
@click.argument("job_type", metavar="[TYPE]", required=False)
@asks_service
def resume(session: Session, job_type: str | None) -> int:
    """Let jobs start again, or those of this TYPE."""
    _tell(session, session.client.resume(job_type))
    return OK


def tell_cancellations(session: Session, done: Cancellations) -> None:
    """Print how many jobs were cancelled."""
    session.tell(done, _cancelled(done))


def _cancelled(done: Cancellations) -> str:
    return f"{done.cancelled} cancelled, {done.interrupted} being interrupted"


def _retried(retried: int) -> str:
    return f"{retried} run again"


def _tell(session: Session, view: QueueView) -> None:
    paused = ["the queue"] if view.paused else []
    session.tell(view, f"paused: {', '.join([*paused, *view.paused_types]) or 'nothing'}")
