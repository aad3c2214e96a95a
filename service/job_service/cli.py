"""The command line: what was asked for, or in one line what is wrong with it."""

import os
import signal
from collections.abc import Awaitable, Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import click
from click.core import ParameterSource

from job_service.cli_options import options, read_tokens
from job_service.environment import PREFIX, unknown_settings
from job_service.errors import SettingsError
from job_service.jobs.queueing.queue import JobQueue
from job_service.jobs.registration.registry import Registry
from job_service.registries import load_registries
from job_service.settings import Settings
from job_service.standard_streams import print_error

DEMO_JOBS = "job_service.demo.job_types:registry"
DEMO_SHOP = "job_service.demo.shop:registry"


class UsageError(Exception):
    """What was asked for can't be done. The message is one line for the person who asked."""


@dataclass(frozen=True, slots=True)
class Command:
    """What to run. `workload`, if any, submits jobs while it runs."""

    settings: Settings
    registry: Registry
    workload: Callable[[JobQueue], Awaitable[None]] | None = None


class _Service(click.Group):
    """The command of the service. It takes its options before the word `demo`, and after it."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        """Called by click. All options of `demo` are the group's."""
        if "demo" in args:
            ctx.allow_interspersed_args = True
            if "--help" in args[args.index("demo") :]:
                demo = self.commands["demo"]
                click.echo(demo.get_help(click.Context(demo, ctx, "demo")))
                ctx.exit()
        return super().parse_args(ctx, args)

    def invoke(self, ctx: click.Context) -> Any:
        """Called by click. Raises UsageError for a bad setting."""
        try:
            return super().invoke(ctx)
        except SettingsError as error:
            raise UsageError(f"{_given_as(ctx, error.setting)} {error}") from error


class _Demo(click.Command):
    """The command `demo`. Its options are those of the service, which parses them."""

    def format_options(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Called by click."""
        service = ctx.find_root()
        options = [option for option in service.command.params if option is not _JOBS]
        records = [option.get_help_record(service) for option in (*options, *self.get_params(ctx))]
        with formatter.section("Options"):
            formatter.write_dl([record for record in records if record is not None])


_JOBS = click.Option(
    ["--jobs"],
    multiple=True,
    metavar="MODULE:NAME",
    help="Registry of job types; may be repeated. Without it, the demo job types.",
)


@click.group(
    "job-service",
    cls=_Service,
    context_settings={"auto_envvar_prefix": PREFIX.rstrip("_"), "show_default": True},
    invoke_without_command=True,
    params=[_JOBS, *options()],
)
@click.version_option(package_name="trio-job-service", allow_from_autoenv=False)
@click.pass_context
def _command(
    context: click.Context,
    /,
    jobs: Sequence[str],
    token: str | None,
    token_file: str | None,
    **settings: Any,
) -> Command | None:
    """Serve jobs over HTTP, with a log of all that happens.

    Each option has an environment variable, such as JOB_SERVICE_PORT; options win. SIGTERM, SIGINT
    or a closed terminal drains the service, and a second signal stops it at once. Exit status: 0 if
    no job was abandoned; 1 if one was, or the service crashed; 2 if it could not start.
    """
    if context.invoked_subcommand == "events":
        return None  # that command does the rest
    if context.invoked_subcommand == "check":
        context.obj = load_registries(jobs) if jobs else None
        return None
    for line in unknown_settings(os.environ, _variables(context)):
        print_error(line)
    if os.environ.get("JOB_SERVICE_TOKEN") == "":  # click ignores an empty one
        raise UsageError("JOB_SERVICE_TOKEN must not be empty")
    _check_address(context)
    checked = Settings(tokens=read_tokens(token, token_file), **settings)
    if context.invoked_subcommand in ("backup", "migrate"):
        context.obj = checked
        return None
    if context.invoked_subcommand == "demo":
        if jobs:
            raise UsageError("demo has job types of its own, and takes no --jobs")
        context.obj = checked
        return None
    return Command(checked, load_registries(jobs or [DEMO_JOBS]))


@_command.command("demo", cls=_Demo)
@click.pass_obj
def _demo(settings: Settings) -> Command:
    """Serve a make-believe shop that keeps itself busy."""
    from job_service.demo.workload import keep_busy  # no other service needs it

    return Command(settings, load_registries([DEMO_SHOP]), keep_busy)


@_command.command("events")
@click.option("--schema", is_flag=True, help="Print the JSON Schema of the lines instead.")
def _events(schema: bool) -> int:
    """Print every event of the log, with its level, meaning and fields."""
    from job_service.telemetry import vocabulary  # no service needs it to start

    click.echo(vocabulary.schema() if schema else vocabulary.table())
    return 0


@_command.command("backup")
@click.argument("destination", metavar="DEST", type=click.Path(path_type=Path))
@click.option("--url", allow_from_autoenv=False, help="Where the service is, instead of the flags.")
@click.pass_obj
def _backup(settings: Settings, destination: Path, url: str | None) -> int:
    """Copy all jobs of a service to the new file DEST, while it runs.

    The service does it, which is found by --host and --port, or --unix, and --token. A file of
    --store that no service has open is copied by this command. Exit status: 0 if it is done; 1 if
    it is refused; 3 if no service answers.
    """
    from job_service.backup import back_up  # no service needs it

    with _ended_by_signals():
        return back_up(settings, url, destination)


@_command.command("migrate")
@click.option("--plan", is_flag=True, help="Print the SQL instead, and change nothing.")
@click.pass_obj
def _migrate(settings: Settings, plan: bool) -> int:
    """Make the tables of the --store, or bring them up to date.

    Only a PostgreSQL database needs it, and only if a service may not do it at its start. Exit
    status: 0 if it is done; 2 if it is refused, as for the tables of a newer program.
    """
    from job_service.migration import bring_up_to_date  # no service needs it

    with _ended_by_signals():
        return bring_up_to_date(settings, only_plan=plan)


@_command.command("check")
@click.argument("file", type=click.Path(exists=True, dir_okay=False, path_type=Path))
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object instead of lines.")
@click.pass_obj
def _check(registry: Registry | None, file: Path, as_json: bool) -> int:
    """Look through the jobs in FILE, and change nothing.

    It tells whether the file is sound, how many jobs have which status, and which of them the
    handlers of --jobs can't run. A service may run on the file. Exit status: 0 if all is well; 1 if
    the file is not sound, or a job does not fit.
    """
    from msgspec import json

    from job_service.check import examine, lines_of  # no service needs it

    with _ended_by_signals():
        report = examine(file, registry)
        click.echo(json.encode(report) if as_json else "\n".join(lines_of(report)))
        return 0 if report.is_well else 1


@contextmanager
def _ended_by_signals() -> Iterator[None]:
    """Let a signal end the process as it ends any program, and not as a service."""
    numbers = (signal.SIGINT, signal.SIGTERM)
    before = {number: signal.signal(number, signal.SIG_DFL) for number in numbers}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def read_command_line(arguments: Sequence[str] | None = None) -> Command:
    """What was asked for in `arguments`, or else in `sys.argv`.

    Raises UsageError. `--help`, `--version`, and all commands that serve nothing, are done here,
    and raise SystemExit.
    """
    try:
        chosen: Command | int = _command.main(arguments and list(arguments), standalone_mode=False)
    except click.BadParameter as error:
        if error.ctx is not None and isinstance(error.param, click.Option):
            error.param_hint = f"'{_given_as(error.ctx, error.param.name)}'"
        raise UsageError(error.format_message()) from error
    except click.ClickException as error:
        raise UsageError(error.format_message()) from error
    except click.Abort as error:
        raise SystemExit(1) from error
    except BrokenPipeError as error:  # `job-service events | head`
        raise SystemExit(1) from error
    except OSError as error:  # of a command that serves nothing
        raise UsageError(f"can't write to stdout: {error.strerror}") from error
    if isinstance(chosen, int):  # of a command that serves nothing
        raise SystemExit(chosen)
    return chosen


def _variables(context: click.Context) -> list[str]:
    """The environment variables of all options that a service has."""
    return [
        f"{context.auto_envvar_prefix}_{option.name.upper()}"
        for option in context.command.params
        if isinstance(option, click.Option) and option.name and option.allow_from_autoenv
    ]


def _check_address(context: click.Context) -> None:
    """Raise UsageError for a flag that means nothing beside a Unix socket."""
    for setting in ("host", "port"):
        is_flag = context.get_parameter_source(setting) is ParameterSource.COMMANDLINE
        if is_flag and context.params["unix"] is not None:
            raise UsageError(f"--{setting} and {_given_as(context, 'unix')} exclude each other")


def _given_as(context: click.Context, setting: str) -> str:
    """How a setting was given: the name of its environment variable, or else of its flag."""
    if context.get_parameter_source(setting) is ParameterSource.ENVIRONMENT:
        return f"{context.auto_envvar_prefix}_{setting.upper()}"
    return f"--{setting.replace('_', '-')}"
