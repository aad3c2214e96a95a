"""`job-service group`: many jobs that are one thing, seen, waited for, cancelled, run again."""

from datetime import UTC, datetime

import click

from job_service.jobs.state.group import GroupView
from job_service.process.standard_streams import print_error
from job_service.telemetry.text import one_line
from job_service.terminal.acting import tell_cancellations
from job_service.terminal.live import draw
from job_service.terminal.pictures import Picture, age, dim, local, status
from job_service.terminal.session import FAILED, OK, Session, asks_service
from job_service.terminal.status_line import bar
from job_service.terminal.waiting import counts_of, wait_for_group

_NAME_COLUMNS = 10


@click.group("group", no_args_is_help=False)
def group() -> None:
    """See a group, wait for it, cancel it, or run it again.

    Its jobs are those of `jobs --group ID`.
    """


@group.command("show")
@click.argument("group_id", metavar="ID")
@asks_service
def show(session: Session, group_id: str) -> int:
    """Show how far a group has come."""
    found = session.client.get_group(group_id)
    if session.as_json:
        session.print_json(found)
    else:
        draw(lambda: _in_full(found, datetime.now(UTC)))
    return OK


@group.command("wait")
@click.argument("group_id", metavar="ID")
@asks_service
def wait(session: Session, group_id: str) -> int:
    """Wait until all jobs of a group have ended.

    Exit status 1 says that not all of them have completed.
    """
    session.client.get_group(group_id)  # if no service answers, or there is no such group
    ended = wait_for_group(session.lasting, group_id)
    session.tell(ended, counts_of(ended))
    if ended.status == "completed":
        return OK
    print_error(f"group {ended.id} {'has ' if ended.status == 'failed' else 'is '}{ended.status}")
    return FAILED


@group.command("cancel")
@click.argument("group_id", metavar="ID")
@asks_service
def cancel(session: Session, group_id: str) -> int:
    """Cancel all jobs of a group that have not ended."""
    tell_cancellations(session, session.client.cancel_group(group_id))
    return OK


@group.command("retry")
@click.argument("group_id", metavar="ID")
@asks_service
def retry(session: Session, group_id: str) -> int:
    """Run again the jobs of a group that did not complete, and print the id of the new group."""
    made = session.client.retry_group(group_id)
    session.tell(made, made.id)
    return OK


def _in_full(group: GroupView, now: datetime) -> Picture:
    facts: dict[str, str | None] = {
        "group": group.id,
        "status": status(group.status),
        "jobs": f"{group.jobs}: {counts_of(group)}",
        "progress": bar(group.progress),
        "created": f"{local(group.created_at)} ({age(group.created_at, now)} ago)",
        "ended": local(group.ended_at),
        "then": group.callback_id,
        "retry of": group.retry_of,
    }
    return [
        dim(f"{name:{_NAME_COLUMNS}}") + f"  {value if name == 'status' else one_line(value)}"
        for name, value in facts.items()
        if value
    ]
