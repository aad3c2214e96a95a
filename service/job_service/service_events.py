"""What the service says of itself as a whole: its start, its drain, its end, and of its log."""

import os
from collections.abc import Callable
from importlib.metadata import version
from typing import Any

import trio

from job_service.failures.report import describe
from job_service.settings import Settings
from job_service.stores.location import parse_store
from job_service.telemetry.assembly import Telemetry
from job_service.telemetry.events import (
    LogLinesDropped,
    LogReopenFailed,
    ServiceDraining,
    ServiceStarted,
    ServiceStopped,
    utc_now,
)
from job_service.telemetry.metrics import COUNTERS, MetricsSnapshot


class ServiceEvents:
    """Emits the events of one service.

    `jobs_bytes` gives the bytes of all its jobs now, and `oldest_ready` when the oldest of those
    that are ready became so.
    """

    def __init__(
        self,
        telemetry: Telemetry,
        settings: Settings,
        jobs_bytes: Callable[[], int],
        oldest_ready: Callable[[], float | None],
    ) -> None:
        self._telemetry = telemetry
        self._settings = settings
        self._jobs_bytes = jobs_bytes
        self._oldest_ready = oldest_ready
        telemetry.history.watch(oldest_ready)
        self._has_stopped = False

    def read_metrics(self) -> MetricsSnapshot:
        """The metrics at this moment, with all log lines that were dropped until now."""
        self._count_dropped_lines()
        return self._telemetry.metrics.snapshot(self._jobs_bytes(), self._oldest_ready())

    def started(self, url: str, job_types: list[str]) -> None:
        """Workers run, and HTTP answers at `url`."""
        self._telemetry.emit(
            ServiceStarted(
                timestamp=utc_now(),
                version=version("trio-job-service"),
                pid=os.getpid(),
                url=url,
                workers=self._settings.workers,
                queue_capacity=self._settings.queue_capacity,
                job_types=job_types,
                store=str(parse_store(self._settings.store)),
            )
        )

    def draining(self, reason: str) -> None:
        """The grace has begun, for this reason."""
        metrics = self._telemetry.metrics.snapshot()
        self._telemetry.emit(
            ServiceDraining(
                timestamp=utc_now(),
                reason=reason,
                jobs_pending=metrics.jobs_pending,
                jobs_in_progress=metrics.jobs_in_progress,
                grace_seconds=self._settings.grace,
            )
        )

    def stopped(self, reason: str, error: str = "", traceback: str = "") -> None:
        """The service has ended, for this reason. Only the first call counts: it closes the log.

        If it has crashed or could not start, `error` says why, and `traceback` where.
        """
        if self._has_stopped:
            return
        self._has_stopped = True
        metrics = self.read_metrics()
        fields: dict[str, Any] = {
            "timestamp": utc_now(),
            "reason": reason,
            "uptime_seconds": metrics.uptime_seconds,
            **{counter.name: getattr(metrics, counter.name) for counter in COUNTERS},
        }
        if error:
            fields |= {"level": "error", "error": error}
        if traceback:
            fields["traceback"] = traceback
        self._telemetry.emit(ServiceStopped(**fields))
        self._telemetry.sink.seal()

    async def look_each_second(self) -> None:
        """Keep the history up, and tell what goes wrong with the log, until cancelled."""
        while True:
            await trio.sleep(max(0.0, self._telemetry.history.seconds_left))
            self._telemetry.history.catch_up()
            self._count_dropped_lines()
            if (error := self._telemetry.sink.take_reopen_error()) is not None:
                path, said = str(error.filename), describe(error)
                self._telemetry.emit(LogReopenFailed(timestamp=utc_now(), path=path, error=said))

    def _count_dropped_lines(self) -> None:
        """Tell all but the log of lines that were lost. The log tells it itself, in the gap."""
        lines = self._telemetry.sink.take_dropped()
        if lines:
            event = LogLinesDropped(timestamp=utc_now(), lines=lines)
            for listener in (
                self._telemetry.history,
                self._telemetry.metrics,
                self._telemetry.feed,
            ):
                listener.observe(event)
