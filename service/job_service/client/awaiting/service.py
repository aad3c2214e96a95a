"""Methods for the queue and the service as a whole."""

import os
from collections.abc import Sequence

from job_service.client.answers import Notice
from job_service.client.awaiting.driver import Driver
from job_service.jobs.state.views import QueueView, TypeView, WorkerView
from job_service.overview import Overview
from job_service.telemetry.history import HistoryView
from job_service.telemetry.metrics import MetricsSnapshot


class ServiceMethods(Driver):
    """Pause and resume the queue, ask what the service does and did, and back up its jobs."""

    async def pause(self, job_type: str | None = None) -> QueueView:
        """As JobClient.pause."""
        return await self._run(self._calls.pause(job_type))

    async def resume(self, job_type: str | None = None) -> QueueView:
        """As JobClient.resume."""
        return await self._run(self._calls.resume(job_type))

    async def view(self) -> QueueView:
        """As JobClient.view."""
        return await self._run(self._calls.view())

    async def types(self) -> Sequence[TypeView]:
        """As JobClient.types."""
        return await self._run(self._calls.types())

    async def workers(self) -> Sequence[WorkerView]:
        """As JobClient.workers."""
        return await self._run(self._calls.workers())

    async def metrics(self) -> MetricsSnapshot:
        """As JobClient.metrics."""
        return await self._run(self._calls.metrics())

    async def overview(self) -> Overview:
        """As JobClient.overview."""
        return await self._run(self._calls.overview())

    async def history(self, *, seconds: int | None = None, step: int | None = None) -> HistoryView:
        """As JobClient.history."""
        return await self._run(self._calls.history(seconds, step))

    async def notices(self, *, limit: int | None = None) -> Sequence[Notice]:
        """As JobClient.notices."""
        return await self._run(self._calls.notices(limit))

    async def back_up(self, destination: str | os.PathLike[str]) -> int:
        """As JobClient.back_up."""
        return await self._run(self._calls.back_up(os.fspath(destination)))
