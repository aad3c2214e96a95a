"""The composition root: builds everything once, hands it down, and runs it."""

import os
import resource
import signal
import sys
from collections.abc import Sequence
from functools import partial
from typing import NoReturn

import trio

from service.cli import Command, UsageError, hide_tokens, read_command_line
from service.jobs.blame import job_of_frame
from service.shutdown import Backstop, Shutdown, request_on_signals
from service.supervisor import BACKSTOP_SECONDS, Supervisor, Telemetry
from service.telemetry.console import terminal_columns
from service.telemetry.emitter import Emitter
from service.telemetry.feed import Feed
from service.telemetry.libraries import listen_to_libraries
from service.telemetry.log import Log, event_renderer
from service.telemetry.metrics import Metrics
from service.telemetry.sink import LineSink, open_log_file
from service.telemetry.watchdog import Watchdog
from service.web.edge.listeners import CannotListen

_OTHER_FILES = 256  # beside those of the connections


def main(arguments: Sequence[str] | None = None) -> NoReturn:
    """Run `job-service` and exit: 0, 1 where jobs were abandoned, 2 where it can't even start."""
    if arguments is None:
        hide_tokens(sys.argv)
    try:
        nothing_abandoned = _serve(read_command_line(arguments))
    except (UsageError, CannotListen) as error:
        sys.stderr.write(f"job-service: {error}\n")
        sys.exit(2)
    sys.exit(0 if nothing_abandoned else 1)


def _allow_open_files(wanted: int) -> None:
    """Lift the soft limit as far as the hard one lets us: systems often start with 1,024."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft != resource.RLIM_INFINITY and soft < wanted:
        lifted = wanted if hard == resource.RLIM_INFINITY else min(wanted, hard)
        resource.setrlimit(resource.RLIMIT_NOFILE, (lifted, hard))


def _open_log(path: str | None) -> int:
    """The descriptor of stdout or of the log file; it stays open for as long as the process."""
    if path is None:
        if sys.stdout is None:
            raise UsageError("stdout is closed, and it is where the log goes")
        return sys.stdout.fileno()
    try:
        return open_log_file(path)
    except OSError as error:
        raise UsageError(f"--log-file {path}: {error.strerror}") from error


def _serve(command: Command) -> bool:
    settings = command.settings
    fd = _open_log(settings.log_file)
    on_terminal = os.isatty(fd)
    log_format = settings.log_format
    if log_format == "auto":
        log_format = "console" if on_terminal else "json"
    colors = on_terminal and "NO_COLOR" not in os.environ
    _allow_open_files(settings.max_connections + _OTHER_FILES)
    render = event_renderer(log_format, colors=colors)
    with LineSink(fd, render, path=settings.log_file) as sink:
        if settings.log_file is not None:
            signal.signal(signal.SIGHUP, lambda *_: sink.reopen())
        log = Log(
            sink.write,
            log_format,
            settings.log_level,
            colors=colors,
            columns=partial(terminal_columns, fd),
        )
        listen_to_libraries(log.logger)
        metrics = Metrics(settings.queue_capacity)
        feed = Feed()
        emit = Emitter(metrics.observe, log.observe, feed.observe)
        watchdog = Watchdog(
            settings.stall_threshold, warn=log.observe, emit=emit, job_of_frame=job_of_frame
        )

        def exit_at_once() -> None:
            sink.flush()
            os._exit(1)

        async def serve() -> bool:
            shutdown = Shutdown()
            telemetry = Telemetry(emit, log.logger, metrics, feed, sink, watchdog)
            supervisor = Supervisor(
                settings,
                command.registry,
                telemetry,
                shutdown,
                give_up=exit_at_once,
                workload=command.workload,
            )

            def end_without_the_loop() -> None:
                try:
                    supervisor.close_the_books()
                finally:
                    exit_at_once()

            request_on_signals(
                shutdown,
                Backstop(end_without_the_loop),
                drain_seconds=settings.grace + BACKSTOP_SECONDS,
                stop_seconds=BACKSTOP_SECONDS,
                on_hangup=settings.log_file is None,
            )
            return await supervisor.run()

        return trio.run(serve)
