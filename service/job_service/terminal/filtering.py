"""The options that say which jobs are meant, for all commands that are about some of them."""

from collections.abc import Callable
from functools import wraps
from typing import Any, Final, get_args

import click

from job_service.errors import InvalidOption
from job_service.jobs.queueing.filters import JobFilters
from job_service.jobs.state.model import Status
from job_service.terminal.moments import moment

_OPTIONS: Final = (
    click.option(
        "--status",
        type=click.Choice(get_args(Status)),
        multiple=True,
        help="Only with this status; may be repeated.",
    ),
    click.option("--type", "job_type", multiple=True, help="Only of this type; may be repeated."),
    click.option("--id", "id_part", metavar="PART", help="Only with this in their id."),
    click.option("--unique-key", help="Only with this unique key."),
    click.option("--tag", help="Only with this tag."),
    click.option("--group", metavar="ID", help="Only of this group."),
    click.option("--since", "created_after", metavar="TIME", help="Only created then or later."),
    click.option("--until", "created_before", metavar="TIME", help="Only created earlier."),
    click.option("--error", metavar="TEXT", help="Only with this in their error."),
)


def filters_jobs(command: Callable[..., int]) -> Callable[..., int]:
    """Give a command the options that filter jobs, as `filters`."""

    @wraps(command)
    def run(*args: Any, created_after: str | None, created_before: str | None, **given: Any) -> int:
        names = JobFilters.__annotations__.keys() & given.keys()
        filters = {name: given.pop(name) for name in names}
        try:
            if created_after is not None:
                filters["created_after"] = moment("--since", created_after)
            if created_before is not None:
                filters["created_before"] = moment("--until", created_before)
        except InvalidOption as error:
            raise click.UsageError(str(error)) from error
        return command(*args, filters=filters, **given)

    for option in reversed(_OPTIONS):
        run = option(run)
    return run


def either_ids_or_filters(jobs: tuple[str, ...], filters: JobFilters) -> bool:
    """Whether the jobs are those that the filters mean. Raises InvalidOption if both or none is."""
    any_filters = any(filters.values())
    if bool(jobs) == any_filters:
        raise InvalidOption("give ids, or say which jobs by --type, --status or another filter")
    return any_filters
