"""Methods for the queue and the service as a whole."""

import os
from collections.abc import Sequence

from job_service.client.answers import Notice
from job_service.client.blocking.driver import Driver
from job_service.jobs.state.views import QueueView, TypeView, WorkerView
from job_service.overview import Overview
from job_service.telemetry.history import HistoryView
from job_service.telemetry.metrics import MetricsSnapshot


class ServiceMethods(Driver):
    """Pause and resume the queue, ask what the service does and did, and back up its jobs."""

    def pause(self, job_type: str | None = None) -> QueueView:
        """Let no more jobs start, or none of this type, until `resume`. Raises UnknownJobType."""
        return self._run(self._calls.pause(job_type))

    def resume(self, job_type: str | None = None) -> QueueView:
        """End the pause of the queue, or of this type. Raises UnknownJobType."""
        return self._run(self._calls.resume(job_type))

    def view(self) -> QueueView:
        """How many jobs wait, and for what."""
        return self._run(self._calls.view())

    def types(self) -> Sequence[TypeView]:
        """All job types, and how many of their jobs are in which status."""
        return self._run(self._calls.types())

    def workers(self) -> Sequence[WorkerView]:
        """What each worker does now."""
        return self._run(self._calls.workers())

    def metrics(self) -> MetricsSnapshot:
        """The counters and gauges of the service."""
        return self._run(self._calls.metrics())

    def overview(self) -> Overview:
        """Metrics, queue, job types and workers, all of one moment, so that they agree."""
        return self._run(self._calls.overview())

    def history(self, *, seconds: int | None = None, step: int | None = None) -> HistoryView:
        """How the metrics of the last `seconds` came about, in steps of this many seconds.

        Left out, it is the last hour by the minute. Raises InvalidOption.
        """
        return self._run(self._calls.history(seconds, step))

    def notices(self, *, limit: int | None = None) -> Sequence[Notice]:
        """What happened out of the ordinary, the newest first: all that is kept, or `limit`.

        Raises InvalidOption.
        """
        return self._run(self._calls.notices(limit))

    def back_up(self, destination: str | os.PathLike[str]) -> int:
        """Copy all jobs to a new file on the machine of the service, and give its size in bytes.

        The path must be absolute. Raises BackupRefused, or InvalidOption. It is not repeated.
        """
        return self._run(self._calls.back_up(os.fspath(destination)))
