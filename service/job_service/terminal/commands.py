"""All of these commands by name, for the command line to mount."""

from typing import Final

import click

from job_service.terminal.acting import cancel, pause, resume, retry
from job_service.terminal.editing import edit, run_now
from job_service.terminal.grouping import group
from job_service.terminal.reading import jobs, show
from job_service.terminal.scheduling import schedules
from job_service.terminal.submitting import submit
from job_service.terminal.tailing import tail
from job_service.terminal.top import top

_ALL: Final = (
    *(submit, jobs, show, run_now, edit, cancel, retry, group),
    *(pause, resume, schedules, tail, top),
)


def commands() -> dict[str, click.Command]:
    """Each command. Only the options that name the service have variables."""
    for command in (*_ALL, *group.commands.values()):
        for option in command.params:
            if isinstance(option, click.Option):
                option.allow_from_autoenv = False
    return {str(command.name): command for command in _ALL}
