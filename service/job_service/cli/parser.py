"""The command line: what was asked for, or in one line what is wrong with it."""

import os
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import Any

import click
from click.core import ParameterSource

from job_service.cli.options import options
from job_service.cli.registries import load_registries
from job_service.cli.subcommands import COMMANDS
from job_service.environment import PREFIX, URL_VARIABLE, unknown_settings
from job_service.errors import SettingsError
from job_service.jobs.queueing.queue import JobQueue
from job_service.jobs.registration.registry import Registry
from job_service.process.standard_streams import print_error
from job_service.settings import Settings

DEMO_JOBS = "job_service.demo.job_types:registry"
DEMO_SHOP = "job_service.demo.shop:registry"

_ARGUMENTS = "job_service.arguments"  # of the command line, in click's context


class UsageError(Exception):
    """What was asked for can't be done. The message is one line for the person who asked."""


@dataclass(frozen=True, slots=True)
class Command:
    """What to run. `workload`, if any, submits jobs while it runs."""

    settings: Settings
    registry: Registry
    workload: Callable[[JobQueue], Awaitable[None]] | None = None


class _Service(click.Group):
    """The command of the service. It takes its options before `serve` or `demo`, and after it.

    The commands that ask a running service are imported when one of them is given: a service that
    starts needs none of their libraries.
    """

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """Called by click."""
        return super().get_command(ctx, cmd_name) or _asking().get(cmd_name)

    def list_commands(self, ctx: click.Context) -> list[str]:
        """Called by click."""
        return sorted([*super().list_commands(ctx), *_asking()])

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        """Called by click. All options of commands that serve are the group's."""
        name = self._name_in(ctx, args)
        if isinstance(command := self.commands.get(name), _Serving):
            ctx.allow_interspersed_args = True
            if "--help" in args[args.index(name) :]:
                click.echo(command.get_help(click.Context(command, ctx, name)))
                ctx.exit()
        ctx.meta[_ARGUMENTS] = args.copy()
        return super().parse_args(ctx, args)

    def _name_in(self, ctx: click.Context, args: list[str]) -> str:
        """The name of the command, if there is one."""
        try:
            _, rest, _ = self.make_parser(ctx).parse_args(args.copy())
        except click.UsageError:  # of which click tells
            return ""
        return rest[0] if rest else ""

    def invoke(self, ctx: click.Context) -> Any:
        """Called by click. Raises UsageError for a bad setting."""
        try:
            return super().invoke(ctx)
        except SettingsError as error:
            raise UsageError(f"{_given_as(ctx, error.setting)} {error}") from error


def _asking() -> dict[str, click.Command]:
    from job_service.terminal.commands import commands

    return commands()


class _Serving(click.Command):
    """A command that serves. Its options are those of the service, which parses them."""

    def format_options(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Called by click."""
        service = ctx.find_root()
        options = [*service.command.params, *self.get_params(ctx)]
        if self.name == "demo":
            options.remove(_JOBS)
        records = [option.get_help_record(service) for option in options]
        if self.name == "serve":
            records.insert(0, (_RELOAD.opts[0], _RELOAD.help or ""))
        with formatter.section("Options"):
            formatter.write_dl([record for record in records if record is not None])


_RELOAD = click.Option(
    ["--reload"],
    is_flag=True,
    hidden=True,  # among those of the service: it is for `serve`
    allow_from_autoenv=False,
    help="Start again when a file beside the job types changes; for development.",
)
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
    params=[_RELOAD, _JOBS, *options()],
)
@click.version_option(package_name="trio-job-service", allow_from_autoenv=False)
@click.pass_context
def _command(
    context: click.Context,
    /,
    reload: bool,
    jobs: Sequence[str],
    token: str | None,
    **settings: Any,
) -> Command | int | None:
    """Serve jobs over HTTP, with a log of all that happens.

    Without a command it serves; the others are below.

    Each option has an environment variable, such as JOB_SERVICE_PORT; options win. SIGTERM, SIGINT
    or a closed terminal drains the service, and a second signal stops it at once. Exit status: 0 if
    no job was abandoned; 1 if one was, or the service crashed; 2 if it could not start.
    """
    if reload and context.invoked_subcommand not in (None, "serve"):
        raise UsageError("--reload is for serve")
    if context.invoked_subcommand == "vocabulary":
        return None  # that command does the rest
    if context.invoked_subcommand == "check":
        context.obj = load_registries(jobs) if jobs else None
        return None
    for line in unknown_settings(os.environ, [*_variables(context), URL_VARIABLE]):
        print_error(line)
    if os.environ.get("JOB_SERVICE_TOKEN") == "":  # click ignores an empty one
        raise UsageError("JOB_SERVICE_TOKEN must not be empty")
    _check_address(context)
    tokens = () if token is None else tuple(map(str.strip, token.split(",")))
    checked = Settings(tokens=tokens, **settings)
    if context.invoked_subcommand == "demo" and jobs:
        raise UsageError("demo has job types of its own, and takes no --jobs")
    if context.invoked_subcommand not in (None, "serve"):
        context.obj = checked
        return None
    jobs = jobs or [DEMO_JOBS]
    if reload:
        from job_service.cli.reload import serve_and_reload  # no other service needs it

        context.obj = serve_and_reload(jobs, _without(context.meta[_ARGUMENTS], "--reload"))
    else:
        context.obj = Command(checked, load_registries(jobs))
    chosen: Command | int = context.obj
    return chosen


@_command.command("serve", cls=_Serving)
@click.pass_obj
def _serve(chosen: Command | int) -> Command | int:
    """Serve jobs over HTTP: what is done without a command, too."""
    return chosen


@_command.command("demo", cls=_Serving)
@click.pass_obj
def _demo(settings: Settings) -> Command:
    """Serve a make-believe shop that keeps itself busy."""
    from job_service.demo.workload import keep_busy  # no other service needs it

    return Command(settings, load_registries([DEMO_SHOP]), keep_busy)


for _done_here in COMMANDS:
    _command.add_command(_done_here)


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
    except BrokenPipeError as error:  # `job-service vocabulary | head`
        raise SystemExit(1) from error
    except OSError as error:  # of a command that serves nothing
        raise UsageError(f"can't write to stdout: {error.strerror}") from error
    if isinstance(chosen, int):  # of a command that serves nothing
        raise SystemExit(chosen)
    return chosen


def _without(arguments: Sequence[str], flag: str) -> list[str]:
    return [argument for argument in arguments if argument != flag]


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
            raise UsageError(f"--{setting} and {_given_as(context, 'unix')} can't be used together")


def _given_as(context: click.Context, setting: str) -> str:
    """How a setting was given: the name of its environment variable, or else of its flag."""
    if context.get_parameter_source(setting) is ParameterSource.ENVIRONMENT:
        return f"{context.auto_envvar_prefix}_{setting.upper()}"
    return f"--{setting.replace('_', '-')}"
