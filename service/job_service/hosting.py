"""Runs a service inside another program: all of it in one block, telemetry included."""

import os
import sys
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractContextManager, asynccontextmanager
from typing import TextIO

import trio

from job_service.jobs.registration.registry import Registry, require_registry
from job_service.jobs.running.worker import job_of_frame
from job_service.process.shutdown import Shutdown
from job_service.running_service import RunningService
from job_service.settings import Settings
from job_service.supervisor import Supervisor
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
    """Run a service for the block. It has a `url`, and a `queue` for jobs of the program itself.

    At the block's end the service drains within its grace, as at a first signal. If the block
    raises, or is cancelled, even during that drain, the service stops as at a second signal.
    Running jobs are cancelled and have 2 seconds to clean up, and all others are abandoned.
    Resources then have 1 second to close, and clients 2 to take the answers that they are owed.
    After that the error or the cancellation goes on. If the service crashes, the block is
    cancelled. All errors come out in an ExceptionGroup.

    A handler that can't be ended keeps the program in the block. When all else is done, `give_up`
    is called then. Signals, the umask and everything else of the process are left to the program.

    The log goes to `settings.log_file` or else to `sys.stdout`: to its descriptor, or to the stream
    itself if it has none, as in some notebooks. If `sys.stdout` is None, there is no log.

    Raises TypeError if it gets no Registry, or other settings than Settings, and OSError if the log
    file can't be opened. In a group, it raises CannotListen if the
    address can't be had, ResourceFailed if a resource can't be opened, and StoreRefused if the
    place where jobs are to be kept can't be used.
    """
    require_registry("host", registry)
    settings = Settings() if settings is None else settings
    if not isinstance(settings, Settings):
        kind = type(settings).__name__
        raise TypeError(f"host takes Settings, such as Settings(port=8080), not {kind}")
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
    """The telemetry that a service with these settings has. Its log is written to `fd`."""
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
    """A descriptor for the log alone. Whoever gets it has to close it."""
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
    except Exception:  # it has none, or is closed, or is no real stream
        return None
