"""The command line: flags and environment variables, and what is wrong with them in one line."""

import os
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, get_args

import click
from click.core import ParameterSource

from job_service.byte_sizes import in_mib, read_bytes
from job_service.environment import PREFIX, is_address_by_kubernetes, unknown_settings
from job_service.errors import SettingsError
from job_service.jobs.queueing.queue import JobQueue
from job_service.jobs.registration.registry import Registry
from job_service.registries import load_registries
from job_service.settings import Settings
from job_service.standard_streams import print_error
from job_service.telemetry.log import LogFormatChoice, LogLevel

DEMO_JOBS = "job_service.demo.job_types:registry"
DEMO_SHOP = "job_service.demo.shop:registry"


class UsageError(Exception):
    """What was asked for can't be done; the message is one line for the person who asked."""


@dataclass(frozen=True, slots=True)
class Command:
    """What to run, and what else is to submit jobs while it runs, if anything."""

    settings: Settings
    registry: Registry
    workload: Callable[[JobQueue], Awaitable[None]] | None = None


class _Service(click.Group):
    """The service's command, which takes its options before and after the word `demo`."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        """Called by click; all options are the group's, but for those of `events`."""
        ctx.allow_interspersed_args = "demo" in args
        return super().parse_args(ctx, args)

    def invoke(self, ctx: click.Context) -> Any:
        """Called by click. Raises UsageError for a setting that can't be."""
        try:
            return super().invoke(ctx)
        except SettingsError as error:
            raise UsageError(f"{_given_as(ctx, error.setting)} {error}") from error


class _Port(click.types.IntParamType):
    """A number, and for what Kubernetes puts in its place a hint."""

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        """Called by click."""
        if is_address_by_kubernetes(value):
            self.fail(
                f"{value!r} comes from Kubernetes, for a Service that is called job-service: "
                "give that another name, or set enableServiceLinks to false in the pod"
            )
        return super().convert(value, param, ctx)


@click.group(
    "job-service",
    cls=_Service,
    context_settings={"auto_envvar_prefix": PREFIX.rstrip("_"), "show_default": True},
    invoke_without_command=True,
)
@click.version_option(package_name="trio-job-service", allow_from_autoenv=False)
@click.option("--host", default=Settings.host, help="Address to listen on.")
@click.option("--port", type=_Port(), default=Settings.port, help="Port; 0 takes a free one.")
@click.option("--workers", type=int, default=Settings.workers, help="Jobs that run at a time.")
@click.option(
    "--queue-capacity",
    type=int,
    default=Settings.queue_capacity,
    help="Jobs that may wait; more are turned away.",
)
@click.option(
    "--grace",
    type=float,
    default=Settings.grace,
    help="Seconds a shutdown gives to what is queued and running.",
)
@click.option(
    "--retain", type=int, default=Settings.retain, help="Finished jobs to keep; the oldest go."
)
@click.option(
    "--queue-bytes",
    default=in_mib(Settings.queue_bytes),
    callback=read_bytes,
    metavar="BYTES",
    help="Bytes that jobs may take which have not ended; more are turned away.",
)
@click.option(
    "--retain-bytes",
    default=in_mib(Settings.retain_bytes),
    callback=read_bytes,
    metavar="BYTES",
    help="Bytes that finished jobs may take; the oldest go.",
)
@click.option(
    "--jobs",
    multiple=True,
    metavar="MODULE:NAME",
    help="Registry of job types; may be repeated. Without it, the demo job types.",
)
@click.option("--unix", metavar="PATH", help="Unix socket to listen on, instead of host and port.")
@click.option("--certfile", metavar="PATH", help="Certificate chain, PEM: serve HTTPS.")
@click.option("--keyfile", metavar="PATH", help="Its private key, PEM; SIGHUP reloads both.")
@click.option(
    "--max-connections",
    type=int,
    default=Settings.max_connections,
    help="Connections at a time; more are turned away.",
)
@click.option(
    "--max-abandoned-threads",
    type=int,
    default=Settings.max_abandoned_threads,
    help="Threads let go that may run on before workers wait for one to return.",
)
@click.option("--token", help="Bearer token that clients must send; several with commas between.")
@click.option("--token-file", metavar="PATH", help="File with such tokens, one a line.")
@click.option("--no-auth", is_flag=True, help="Let everybody in who can reach the address.")
@click.option(
    "--allow-host",
    default="",
    show_default=False,
    metavar="NAME,…",
    help="Host names that clients may use, besides those of this machine.",
)
@click.option(
    "--allow-origin",
    default="",
    show_default=False,
    metavar="ORIGIN,…",
    help="Other sites whose pages may call, such as https://example.com.",
)
@click.option(
    "--log-format",
    type=click.Choice(get_args(LogFormatChoice)),
    default=Settings.log_format,
    help="auto: console on a terminal, JSON elsewhere.",
)
@click.option(
    "--log-level",
    type=click.Choice(get_args(LogLevel)),
    default=Settings.log_level,
    help="Lowest level to log; the service's own start and end are always logged.",
)
@click.option(
    "--log-file",
    metavar="PATH",
    help="File to append the log to, instead of stdout; SIGHUP reopens it.",
)
@click.option(
    "--stall-threshold",
    type=float,
    default=Settings.stall_threshold,
    help="Seconds a turn of the event loop may take before what blocks it is logged.",
)
@click.pass_context
def _command(
    context: click.Context,
    /,
    jobs: Sequence[str],
    token: str | None,
    token_file: str | None,
    allow_host: str,
    allow_origin: str,
    **settings: Any,
) -> Command | None:
    """Serve jobs over HTTP, with a log of all that happens.

    Each option has an environment variable, such as JOB_SERVICE_PORT; options win. SIGTERM or
    SIGINT drains, a second one stops at once; a terminal that is closed drains, too. Exit status:
    0 where no job was abandoned, 1 where one was, 2 where it could not start.
    """
    if context.invoked_subcommand == "events":
        return None  # what that one returns counts
    for line in unknown_settings(os.environ, _variables(context)):
        print_error(line)
    if os.environ.get("JOB_SERVICE_TOKEN") == "":  # which click takes for one that is not set
        raise UsageError("JOB_SERVICE_TOKEN must not be empty")
    checked = Settings(
        tokens=_tokens(token, token_file),
        allow_host=_names(allow_host),
        allow_origin=_names(allow_origin),
        **settings,
    )
    if context.invoked_subcommand == "demo":
        if jobs:
            raise UsageError("demo has job types of its own, and takes no --jobs")
        context.obj = checked
        return None
    return Command(checked, load_registries(jobs or [DEMO_JOBS]))


@_command.command("demo")
@click.pass_obj
def _demo(settings: Settings) -> Command:
    """Serve a make-believe shop that keeps itself busy."""
    from job_service.demo.workload import keep_busy  # which no other service needs

    return Command(settings, load_registries([DEMO_SHOP]), keep_busy)


@_command.command("events")
@click.option("--schema", is_flag=True, help="Print the JSON Schema of the lines instead.")
def _events(schema: bool) -> int:
    """Print every event of the log, with its level, meaning and fields."""
    from job_service.telemetry import vocabulary  # which no service needs to start

    click.echo(vocabulary.schema() if schema else vocabulary.table())
    return 0


def read_command_line(arguments: Sequence[str] | None = None) -> Command:
    """What was asked for, by `sys.argv` if nothing is given.

    Raises UsageError. `--help`, `--version` and `events` print and raise SystemExit.
    """
    try:
        chosen: Command | int = _command.main(arguments and list(arguments), standalone_mode=False)
    except click.BadParameter as error:
        if error.ctx is not None and error.param is not None:
            error.param_hint = f"'{_given_as(error.ctx, error.param.name)}'"
        raise UsageError(error.format_message()) from error
    except click.ClickException as error:
        raise UsageError(error.format_message()) from error
    except click.Abort as error:
        raise SystemExit(1) from error
    except BrokenPipeError as error:  # `job-service events | head`
        raise SystemExit(1) from error
    except OSError as error:  # of what only prints; what can't be read was told above
        raise UsageError(f"can't write to stdout: {error.strerror}") from error
    if isinstance(chosen, int):  # what those return that only print
        raise SystemExit(chosen)
    return chosen


def _variables(context: click.Context) -> list[str]:
    """The environment variables of all options that a service has."""
    return [
        f"{context.auto_envvar_prefix}_{option.name.upper()}"
        for option in context.command.params
        if isinstance(option, click.Option) and option.name and option.allow_from_autoenv
    ]


def _given_as(context: click.Context, setting: str) -> str:
    """The name by which a value came: of its environment variable, or else of its flag."""
    if context.get_parameter_source(setting) is ParameterSource.ENVIRONMENT:
        return f"{context.auto_envvar_prefix}_{setting.upper()}"
    return f"--{setting.replace('_', '-')}"


def _tokens(option: str | None, file: str | None) -> tuple[str, ...]:
    tokens = [] if option is None else [token.strip() for token in option.split(",")]
    if file is not None:
        try:
            lines = Path(file).read_text("utf-8").splitlines()
        except OSError as error:
            raise SettingsError("token_file", f"{file}: {error.strerror}") from error
        except UnicodeDecodeError as error:
            raise SettingsError("token_file", f"{file}: must be text in UTF-8") from error
        in_file = [line.strip() for line in lines if line.strip()]
        if any(" " in token or "\t" in token for token in in_file):
            raise SettingsError("token_file", f"{file}: a token must not have spaces in it")
        if not in_file:
            raise SettingsError("token_file", f"{file}: there is no token in it")
        tokens += in_file
    return tuple(tokens)


def _names(option: str) -> tuple[str, ...]:
    return tuple(name.strip().lower() for name in option.split(",") if name.strip())
