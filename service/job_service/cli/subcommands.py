"""`job-service vocabulary`, `backup`, `migrate` and `check`: what the operator does beside serving.

Each takes what was given on the command line, and imports what does the work when it is called.
"""

from collections.abc import Iterable
from pathlib import Path
from typing import Any, Final

import click

from job_service.cli.registries import load_registries
from job_service.errors import JobServiceError, SettingsError, Unreachable
from job_service.jobs.registration.registry import Registry
from job_service.process.standard_streams import print_error
from job_service.settings import Settings
from job_service.terminal.signals import ended_by_signals


@click.command("vocabulary")
@click.option("--schema", is_flag=True, help="Print the JSON Schema of the lines instead.")
def vocabulary(schema: bool) -> int:
    """Print every event of the log, with its fields."""
    from job_service.telemetry import vocabulary as words  # no service needs it to start

    click.echo(words.schema() if schema else words.table())
    return 0


@click.command("backup")
@click.argument("destination", metavar="DEST", type=click.Path(path_type=Path))
@click.option("--url", allow_from_autoenv=False, help="Where the service is, instead of the flags.")
@click.pass_obj
def backup(settings: Settings, destination: Path, url: str | None) -> int:
    """Copy all jobs of a service to the new file DEST.

    The service does it while it runs, and is found by --host and --port, or --unix, and --token. A
    file of --store that no service has open is copied by this command. Exit status: 0 if it is
    done; 1 if it is refused; 3 if no service answers.
    """
    from job_service.cli.backup import back_up  # no service needs it

    with ended_by_signals():
        return back_up(settings, url, destination)


class _FileOrRegistry(click.Path):
    """A file that is there, as a Path, or else the name of a registry."""

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        """Called by click."""
        if ":" in value and not Path(value).exists():
            return value
        return super().convert(value, param, ctx)


_FILE_OR_REGISTRY = _FileOrRegistry(exists=True, dir_okay=False, path_type=Path)


@click.command("migrate")
@click.option("--plan", is_flag=True, help="Print the SQL instead, and change nothing.")
@click.pass_obj
def migrate(settings: Settings, plan: bool) -> int:
    """Make the tables of the --store, or bring them up to date.

    Only a PostgreSQL database needs it, and only if a service may not do it at its start. Exit
    status: 0 if it is done; 2 if it is refused, as for the tables of a newer program.
    """
    from job_service.cli.migration import bring_up_to_date  # no service needs it

    with ended_by_signals():
        return bring_up_to_date(settings, only_plan=plan)


@click.command("check")
@click.argument("target", metavar="FILE|MODULE:NAME", type=_FILE_OR_REGISTRY)
@click.option("--url", allow_from_autoenv=False, help="A service whose waiting jobs to check.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object instead of lines.")
@click.pass_obj
def check(registry: Registry | None, target: Path | str, url: str | None, as_json: bool) -> int:
    """Look through a file of jobs, or at a registry.

    It changes nothing. Of a FILE it tells whether it is sound, how many jobs have which status, and
    which of them the handlers of --jobs can't run. A service may run on it. Of a registry it tells
    the job types with their payloads, the schedules with their next ticks, and what could not work.
    With --url it tells instead which jobs that wait in a running service the registry could not
    run. JOB_SERVICE_TOKEN is the token for that.

    Exit status: 0 if all is well; 1 if the file is not sound, a job does not fit, or something
    could not work; 2 if there is no such file or registry; 3 if no service answers.
    """
    with ended_by_signals():
        if isinstance(target, Path):
            if url is not None:
                raise click.UsageError("--url is for MODULE:NAME")
            from job_service.cli.check import examine, lines_of  # no service needs it

            report = examine(target, registry)
            return _tell(report, report.is_well, lines_of(report), as_json)
        from job_service.cli.check_registry import examine_registry, lines_of_registry  # nor this

        try:
            loaded = load_registries([target])
        except SettingsError as error:  # which was given by no flag here
            raise click.UsageError(str(error)) from error
        if url is not None:
            return _check_waiting(url, loaded, as_json)
        found = examine_registry(target, loaded)
        return _tell(found, found.is_well, lines_of_registry(found), as_json)


def _check_waiting(url: str, registry: Registry, as_json: bool) -> int:
    """Whether a registry can run what waits in a service; gives the exit status."""
    from job_service.cli.check_waiting import (  # no service needs it
        examine_waiting,
        lines_of_waiting,
    )

    try:
        report = examine_waiting(url, registry)
    except Unreachable as error:
        print_error(str(error))
        return 3
    except SettingsError as error:
        raise click.UsageError(str(error)) from error
    except JobServiceError as error:
        print_error(str(error))
        return 1
    return _tell(report, report.is_well, lines_of_waiting(report), as_json)


def _tell(report: object, is_well: bool, lines: Iterable[str], as_json: bool) -> int:
    """Print a report; gives the exit status."""
    from msgspec import json

    click.echo(json.encode(report) if as_json else "\n".join(lines))
    return 0 if is_well else 1


COMMANDS: Final = (vocabulary, backup, migrate, check)
