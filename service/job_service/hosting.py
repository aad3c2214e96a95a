"""For programs that have a service inside: all of it in one block, telemetry included."""

import os
import sys
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractContextManager, asynccontextmanager
from typing import TextIO

import trio

from job_service.jobs.registration.registry import Registry
from job_service.jobs.running.worker import job_of_frame
from job_service.settings import Settings
from job_service.shutdown import Shutdown
from job_service.supervisor import RunningService, Supervisor
from job_service.telemetry.assembly import Telemetry, open_telemetry
from job_service.telemetry.line_file import open_log_file
from job_service.telemetry.text_stream import open_pipe_to


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
        with open_telemetry_of(settings, fd) as telemetry:
            shutdown = Shutdown()
            supervisor = Supervisor(settings, registry, telemetry, shutdown, give_up=give_up)
            try:
                async with trio.open_nursery() as nursery:
                    running: RunningService = await nursery.start(supervisor.run)
                    yield running
                    shutdown.request("the program ends")
            finally:
                await telemetry.sink.aclose()


def open_telemetry_of(settings: Settings, fd: int) -> AbstractContextManager[Telemetry]:
    """The telemetry of one service, as its settings have it; its log is written to `fd`."""
    return open_telemetry(
        fd,
        log_format=settings.log_format,
        log_level=settings.log_level,
        log_file=settings.log_file,
        queue_capacity=settings.queue_capacity,
        stall_threshold=settings.stall_threshold,
        job_of_frame=job_of_frame,
    )


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
