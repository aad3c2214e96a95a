"""Builds everything that listens to the events of one service."""

import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial

import trio
from structlog.typing import FilteringBoundLogger

from job_service.telemetry.console import terminal_columns
from job_service.telemetry.counting import Metrics
from job_service.telemetry.emitter import Emitter, Observer
from job_service.telemetry.feed import Feed
from job_service.telemetry.history import History
from job_service.telemetry.log import Log, LogFormatChoice, LogLevel, event_renderer
from job_service.telemetry.sink import LineSink
from job_service.telemetry.stall_attribution import JobOfFrame
from job_service.telemetry.watchdog import TurnWatch, Watchdog


@dataclass(frozen=True, slots=True)
class Telemetry:
    """Who tells events, the logger for all other lines, and what listens to the events.

    `watch_asyncio` makes what watches an asyncio loop, if there is one beside Trio's.
    """

    emitter: Emitter
    logger: FilteringBoundLogger
    metrics: Metrics
    history: History
    feed: Feed
    sink: LineSink
    watchdog: Watchdog
    watch_asyncio: Callable[[trio.lowlevel.TrioToken], TurnWatch]

    @property
    def emit(self) -> Observer:
        """What to call with each event."""
        return self.emitter.emit


@contextmanager
def open_telemetry(
    fd: int,
    *,
    log_format: LogFormatChoice,
    log_level: LogLevel,
    log_file: str | None,
    queue_capacity: int,
    stall_threshold: float,
    job_of_frame: JobOfFrame,
) -> Iterator[Telemetry]:
    """The telemetry of one service, for the block. Its log is written to `fd`, which it closes.

    `log_file` is the path that `fd` was opened from, if it is to be reopened. `stall_threshold` is
    in seconds. `job_of_frame` finds the job that a stall is attributed to.
    """
    on_terminal = os.isatty(fd)
    if log_format == "auto":
        log_format = "console" if on_terminal else "json"
    colors = on_terminal and "NO_COLOR" not in os.environ
    with LineSink(fd, event_renderer(log_format, colors=colors), path=log_file) as sink:
        log = Log(
            sink.write,
            log_format,
            log_level,
            colors=colors,
            columns=partial(terminal_columns, fd),
        )
        metrics = Metrics(queue_capacity)
        history = History(metrics.live)
        feed = Feed()
        emitter = Emitter(history, metrics, log, feed)
        emit = emitter.emit
        yield Telemetry(
            emitter,
            log.logger,
            metrics,
            history,
            feed,
            sink,
            Watchdog(stall_threshold, warn=log.observe, emit=emit, job_of_frame=job_of_frame),
            lambda token: TurnWatch(
                stall_threshold,
                warn=log.observe,
                emit=emit,
                job_of_frame=job_of_frame,
                token=token,
            ),
        )
