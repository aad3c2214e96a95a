"""The composition root: builds everything once, hands it down, and runs it."""

import os
import resource
import signal
import sys

import trio

from job_service.cli.parser import Command, UsageError
from job_service.errors import CannotListen, ResourceFailed, StoreRefused
from job_service.failures.report import describe
from job_service.hosting import open_telemetry_of
from job_service.jobs.running.processes import leave_deleted_folder
from job_service.process.ending import end_process
from job_service.process.garbage import collect_garbage_on_schedule
from job_service.process.shutdown import Backstop, Shutdown, request_on_signals
from job_service.process.standard_streams import print_error
from job_service.supervisor import BACKSTOP_SECONDS, Supervisor
from job_service.telemetry.libraries import LibraryMessages, listen_to_libraries
from job_service.telemetry.line_file import open_log_file

_OTHER_FILES = 256  # besides those of the connections


class _Crash(Exception):
    """The service crashed because of the error that this is raised from, and the log has it."""


def serve(command: Command) -> int:
    """Run the service until it ends; gives the exit status: 1 if jobs were abandoned or it crashed.

    Raises SystemExit with 2 if it could not start.
    """
    try:
        return 0 if _serve(command) else 1
    except (UsageError, CannotListen, ResourceFailed, StoreRefused) as error:
        print_error(str(error))
        sys.exit(2)
    except _Crash as crash:
        print_error(f"crashed: {crash} (the log has the traceback)")
        return 1


def _allow_open_files(wanted: int) -> None:
    """Raise the soft limit as far as the hard one permits: on many systems it is 1,024."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft != resource.RLIM_INFINITY and soft < wanted:
        lifted = wanted if hard == resource.RLIM_INFINITY else min(wanted, hard)
        resource.setrlimit(resource.RLIMIT_NOFILE, (lifted, hard))


def _open_log(path: str | None) -> int:
    """A descriptor of stdout, or of the log file, for the log alone."""
    if path is None:
        if sys.stdout is None:
            raise UsageError("stdout is closed, and it is where the log goes")
        return os.dup(sys.stdout.fileno())
    try:
        return open_log_file(path)
    except OSError as error:
        raise UsageError(f"--log-file {path}: {error.strerror}") from error


def _serve(command: Command) -> bool:
    settings = command.settings
    _allow_open_files(settings.max_connections + _OTHER_FILES)
    leave_deleted_folder()
    with open_telemetry_of(settings, _open_log(settings.log_file)) as telemetry:
        sink = telemetry.sink
        listen_to_libraries(LibraryMessages(telemetry.logger))

        def exit_at_once() -> None:
            sink.flush()
            end_process(0 if supervisor.ended_well else 1)

        def end_without_loop() -> None:
            try:
                supervisor.end_without_loop()
            finally:
                exit_at_once()

        shutdown = Shutdown()
        supervisor = Supervisor(
            settings,
            command.registry,
            telemetry,
            shutdown,
            give_up=exit_at_once,
            workload=command.workload,
        )

        async def serve() -> bool:
            # It looks after the process, whatever runs in it, and ends with it.
            trio.lowlevel.spawn_system_task(collect_garbage_on_schedule)
            reloads_on_hangup = any((settings.log_file, settings.certfile, settings.token_file))
            if reloads_on_hangup:
                signal.signal(signal.SIGHUP, lambda *_: supervisor.reload_files())
            request_on_signals(
                shutdown,
                Backstop(end_without_loop),
                drain_seconds=settings.grace + BACKSTOP_SECONDS,
                stop_seconds=BACKSTOP_SECONDS,
                on_hangup=not reloads_on_hangup,
            )
            try:
                return await supervisor.run()
            except (CannotListen, ResourceFailed, StoreRefused, trio.Cancelled):
                raise
            except BaseException as error:
                raise _Crash(describe(error)) from error

        try:
            return trio.run(serve)
        except (_Crash, trio.TrioInternalError) as ending:
            cause = ending.__cause__ or ending
            supervisor.say_crashed(cause)
            if sink.flush() and not sink.take_dropped():
                raise _Crash(describe(cause)) from cause
            raise cause from None  # the log has lost it: let Python print it all
