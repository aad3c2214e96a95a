"""`job-service submit`: one job, and what comes of it if somebody waits."""

from typing import Any

import click
from click.shell_completion import CompletionItem
from msgspec import UNSET

from job_service.client import JobClient
from job_service.errors import JobServiceError
from job_service.jobs.queueing.options import JobOptions  # noqa: TC001
from job_service.process.standard_streams import print_error
from job_service.telemetry.text import escaped
from job_service.terminal.moments import moment
from job_service.terminal.payloads import read_payload
from job_service.terminal.session import FAILED, OK, Session, asks_service
from job_service.terminal.waiting import wait_for


def _complete_types(_: click.Context, __: click.Parameter, begun: str) -> list[CompletionItem]:
    """The job types of the service that the environment names, if it answers at once."""
    try:
        with JobClient(patience_seconds=0, timeout_seconds=1) as client:
            names = [view.type for view in client.types()]
    except JobServiceError:
        return []
    return [CompletionItem(name) for name in names if name.startswith(begun)]


@click.command()
@click.argument("job_type", metavar="TYPE", shell_complete=_complete_types)
@click.argument("payload", metavar="[JSON|@FILE|-]", required=False)
@click.option("--wait", is_flag=True, help="Wait for its end, and print its result.")
@click.option("--priority", type=int, help="0 goes first, 9 last.")
@click.option("--delay", "delay_seconds", type=float, help="Seconds until it may start.")
@click.option("--run-at", help="When it may start, such as 2026-12-24T18:00:00Z.")
@click.option("--unique-key", help="No other job of its type has it until this one has ended.")
@click.option("--debounce", type=float, help="Seconds from the last one with its unique key.")
@click.option("--after", multiple=True, metavar="ID", help="Job that must complete before it.")
@click.option("--tag", "tags", multiple=True, help="To find it by; up to ten of them.")
@click.option("--max-retries", type=int, help="How often it is tried again.")
@click.option("--idempotency-key", metavar="KEY", help="Submit it once, however often you try.")
@asks_service
def submit(
    session: Session,
    job_type: str,
    payload: str | None,
    wait: bool,
    idempotency_key: str | None,
    run_at: str | None,
    **options: Any,
) -> int:
    """Submit a job of this TYPE, and print its id.

    Its payload is JSON, or is read from a file, or from stdin. With --wait, exit status 1 says that
    the job has not completed.
    """
    given: JobOptions = {
        "priority": options["priority"],
        "delay_seconds": options["delay_seconds"],
        "run_at": None if run_at is None else moment("--run-at", run_at),
        "unique_key": options["unique_key"],
        "debounce_seconds": options["debounce"],
        "after": options["after"] or None,
        "tags": options["tags"] or None,
        "max_retries": options["max_retries"],
    }
    client, body = session.client, UNSET if payload is None else read_payload(payload)
    job = client.submit(job_type, body, idempotency_key=idempotency_key, **given)
    if not wait:
        session.tell(job, job.id)
        return OK
    ended = wait_for(session.lasting, job.id)
    if session.as_json:
        session.print_json(ended)
    elif ended.result is not None:
        click.echo(escaped(bytes(ended.result)))
    elif ended.hidden:
        print_error("the result is shown only to a token that may operate")
    if ended.status == "completed":
        return OK
    print_error(f"job {job.id} {ended.status}" + (f": {ended.error}" if ended.error else ""))
    return FAILED
