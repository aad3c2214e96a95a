"""`job-service schedules`: what runs by itself, and how to run, pause and resume it."""

from datetime import UTC, datetime

import click

from job_service.jobs.state.views import ScheduleView
from job_service.terminal import pictures
from job_service.terminal.live import draw
from job_service.terminal.session import OK, Session, asks_service


@click.command()
@click.argument(
    "action",
    metavar="[run-now|pause|resume]",
    type=click.Choice(["run-now", "pause", "resume"]),
    required=False,
)
@click.argument("schedule", metavar="[SCHEDULE]", required=False)
@asks_service
def schedules(session: Session, action: str | None, schedule: str | None) -> int:
    """List the schedules, or run, pause or resume one of them.

    With run-now, it makes the job of a tick at this moment, and its ID is printed; the next tick
    stays when it is. While it is paused, it makes no jobs, and none is made up for later.
    """
    if action is None:
        return _list(session)
    if schedule is None:
        raise click.UsageError(f"{action} needs a SCHEDULE")
    if action == "run-now":
        job = session.client.run_schedule_now(schedule)
        session.tell(job, job.id)
        return OK
    client = session.client
    change = client.pause_schedule if action == "pause" else client.resume_schedule
    view = change(schedule)
    session.tell(view, _words(view))
    return OK


def _list(session: Session) -> int:
    found = session.client.schedules()
    if session.as_json:
        for view in found:
            session.print_json(view)
    else:
        draw(lambda: pictures.schedules(found, datetime.now(UTC)))
    return OK


def _words(view: ScheduleView) -> str:
    if view.paused:
        return f"{view.schedule} is paused"
    return f"{view.schedule} runs next at {pictures.local(view.next_run_at)}"
