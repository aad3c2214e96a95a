"""For programs that have a service inside: all of it in one block, telemetry included."""

import os
import sys
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager
from functools import partial

import trio

from job_service.jobs.blame import job_of_frame
from job_service.jobs.registry import Registry
from job_service.settings import Settings
from job_service.shutdown import Shutdown
from job_service.supervisor import RunningService, Supervisor, Telemetry
from job_service.telemetry.console import terminal_columns
from job_service.telemetry.emitter import Emitter
from job_service.telemetry.feed import Feed
from job_service.telemetry.line_file import open_log_file
from job_service.telemetry.log import Log, event_renderer
from job_service.telemetry.metrics import Metrics
from job_service.telemetry.sink import LineSink
from job_service.telemetry.watchdog import Watchdog


@asynccontextmanager
async def host(
    registry: Registry,
    settings: Settings | None = None,
    *,
    give_up: Callable[[], None] = lambda: None,
) -> AsyncIterator[RunningService]:
    """A service that runs for the block: it has a `url`, and a `queue` for the block's own jobs.

    At the block's end it drains, within its grace, as at a first signal. If the block raises or is
    cancelled, running jobs are cancelled and all others abandoned, and the error goes on; if the
    service crashes, the block is cancelled. Errors of both come out in an ExceptionGroup.

    A handler that can't be ended keeps the block from being left; `give_up` is called then, when
    all else is done. Signals are the program's own business. The log goes to stdout or
    `settings.log_file`. Raises CannotListen, in a group, where the address can't be had, and
    OSError where the log file can't be opened.
    """
    settings = settings or Settings()
    with open_telemetry(settings, _open_log(settings.log_file)) as telemetry:
        shutdown = Shutdown()
        supervisor = Supervisor(settings, registry, telemetry, shutdown, give_up=give_up)
        try:
            async with trio.open_nursery() as nursery:
                running: RunningService = await nursery.start(supervisor.run)
                yield running
                shutdown.request("the program ends")
        finally:
            await telemetry.sink.aclose()


@contextmanager
def open_telemetry(settings: Settings, fd: int) -> Iterator[Telemetry]:
    """All that listens to events; its log is written to `fd`, which is closed with it."""
    on_terminal = os.isatty(fd)
    log_format = settings.log_format
    if log_format == "auto":
        log_format = "console" if on_terminal else "json"
    colors = on_terminal and "NO_COLOR" not in os.environ
    with LineSink(fd, event_renderer(log_format, colors=colors), path=settings.log_file) as sink:
        log = Log(
            sink.write,
            log_format,
            settings.log_level,
            colors=colors,
            columns=partial(terminal_columns, fd),
        )
        metrics = Metrics(settings.queue_capacity)
        feed = Feed()
        emit = Emitter(metrics.observe, log.observe, feed.observe)
        watchdog = Watchdog(
            settings.stall_threshold, warn=log.observe, emit=emit, job_of_frame=job_of_frame
        )
        yield Telemetry(emit, log.logger, metrics, feed, sink, watchdog)


def _open_log(path: str | None) -> int:
    return os.dup(sys.stdout.fileno()) if path is None else open_log_file(path)
