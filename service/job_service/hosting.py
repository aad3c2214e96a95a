"""For programs that have a service inside: all of it in one block, telemetry included."""

import os
import sys
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager
from functools import partial
from typing import TextIO

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
from job_service.telemetry.text_stream import open_pipe_to
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
    cancelled, or the wait for that drain is, it stops as at a second one: running jobs are
    cancelled and have 2 seconds to clean up, all others are abandoned, resources have one more and
    clients 2 for the answers they are owed. Then the error, or the cancellation, goes on. If the
    service crashes, the block is cancelled. Errors of both come out in an ExceptionGroup.

    A handler that can't be ended keeps the block from being left; `give_up` is called then, when
    all else is done. Signals, the umask and all else of the process are the program's own business.
    The log goes to `settings.log_file`, or to where `sys.stdout` writes: to its descriptor, or
    where it has none, as in some notebooks, to the stream itself; nowhere if it is None. Raises
    CannotListen, in a group, where the address can't be had, and OSError where the log file can't
    be opened.
    """
    settings = settings or Settings()
    async with _open_log(settings.log_file) as fd:
        with open_telemetry(settings, fd) as telemetry:
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


@asynccontextmanager
async def _open_log(path: str | None) -> AsyncIterator[int]:
    """A descriptor for the log alone, which whoever writes to it closes."""
    stdout = sys.stdout
    if path is not None:
        yield open_log_file(path)
    elif (own := _descriptor_like_that_of(stdout)) is not None:
        yield own
    elif stdout is not None:
        async with open_pipe_to(stdout) as fd:
            yield fd
    else:
        yield os.open(os.devnull, os.O_WRONLY)


def _descriptor_like_that_of(stream: TextIO | None) -> int | None:
    try:
        return None if stream is None else os.dup(stream.fileno())
    except Exception:  # it has none, or is closed, or is made up by somebody
        return None
