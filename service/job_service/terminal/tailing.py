"""`job-service tail`: what happens, as the service's own log shows it on a terminal."""

import os
import sys
from collections.abc import Sequence
from contextlib import suppress
from datetime import datetime
from functools import partial
from typing import Any

import click
from msgspec import ValidationError, convert, to_builtins

from job_service.client import JobClient, StreamedEvent
from job_service.errors import UnknownJobType
from job_service.process.standard_streams import print_error
from job_service.telemetry.console import COLUMNS, Console, terminal_columns
from job_service.telemetry.events import EVENTS
from job_service.terminal.job_ids import whole_id
from job_service.terminal.session import OK, Session, asks_service


@click.command()
@click.option("--job", "jobs", multiple=True, metavar="ID", help="Only of this job.")
@click.option("--type", "types", multiple=True, metavar="TYPE", help="Only of jobs of this type.")
@click.option("--event", "events", multiple=True, metavar="NAME", help="Only this event.")
@asks_service
def tail(
    session: Session,
    jobs: tuple[str, ...],
    types: tuple[str, ...],
    events: tuple[str, ...],
) -> int:
    """Follow what happens in the service, until Ctrl-C."""
    ids = [whole_id(session.client, part) for part in jobs]
    _require_known(session.client, types)
    on_terminal = sys.stdout.isatty()
    columns = partial(terminal_columns, sys.stdout.fileno()) if on_terminal else lambda: COLUMNS
    colors = on_terminal and "NO_COLOR" not in os.environ
    render = Console(colors=colors, columns=columns)
    client = session.reached()
    with suppress(KeyboardInterrupt), client.stream(job_ids=ids, events=events) as stream:
        for event in stream:
            if event.event == "reset":
                print_error("some events were lost: the service was restarted, or this is too slow")
            elif not types or event.fields.get("job_type") in types:
                if session.as_json:
                    session.print_json(event.fields)
                else:
                    click.echo(render(_line(event)))
    return OK


def _require_known(client: JobClient, types: Sequence[str]) -> None:
    """Raise UnknownJobType if the service has none of a type: the stream would be silent."""
    known = [view.type for view in client.types()] if types else []
    for name in types:
        if name not in known:
            raise UnknownJobType(name, known)


def _line(event: StreamedEvent) -> dict[str, Any]:
    """The fields as the log has them, so with moments that are no texts."""
    if event.event == "job_logged":
        return _written(event.fields)
    try:
        known = convert(event.fields, EVENTS[event.event])
    except (KeyError, ValidationError):  # of a service of another version
        moment = datetime.fromisoformat(event.fields["timestamp"])
        return {**event.fields, "timestamp": moment}
    line: dict[str, Any] = to_builtins(known, builtin_types=(datetime,))
    return line


def _written(fields: dict[str, Any]) -> dict[str, Any]:
    """A line that a handler wrote, which the log has under its own name and with its own fields."""
    given = {**fields}
    message, own = given.pop("message"), given.pop("fields", {})
    moment = datetime.fromisoformat(given["timestamp"])
    return {**own, **given, "event": message, "timestamp": moment}
