"""The workers of an engine that run now, each of which is announced and signed off."""

from collections.abc import Callable
from contextlib import AbstractAsyncContextManager
from typing import Final

from job_service.jobs.running.lifecycle import (
    LifecycleNursery,
    StopReason,
    open_lifecycle_nursery,
)
from job_service.jobs.running.worker import Worker
from job_service.jobs.state.clock import Clock
from job_service.jobs.state.views import WorkerView
from job_service.telemetry.events import Event, WorkerStarted, WorkerStopped, WorkerStopReason

_REASONS: Final[dict[StopReason, WorkerStopReason]] = {
    "finished": "drained",
    "cancelled": "cancelled",
    "crashed": "crashed",
}


class Crew:
    """Knows its workers. `on_crash` is called before one that has crashed is signed off."""

    def __init__(
        self, emit: Callable[[Event], None], clock: Clock, on_crash: Callable[[], None]
    ) -> None:
        self._emit = emit
        self._clock = clock
        self._on_crash = on_crash
        self._workers: list[Worker] = []

    def open(self) -> AbstractAsyncContextManager[LifecycleNursery[Worker]]:
        """The nursery that its workers run in."""
        return open_lifecycle_nursery(self._started, self._stopped)

    def views(self) -> list[WorkerView]:
        """What each worker does now, in their order."""
        return [worker.view() for worker in self._workers]

    def _started(self, worker: Worker) -> None:
        self._workers.append(worker)
        self._emit(WorkerStarted(timestamp=worker.started_at, worker_id=worker.id))

    def _stopped(self, worker: Worker, reason: StopReason) -> None:
        if reason == "crashed":
            self._on_crash()
        self._workers.remove(worker)
        self._emit(
            WorkerStopped(
                timestamp=self._clock.now(),
                worker_id=worker.id,
                reason=_REASONS[reason],
                jobs_run=worker.jobs_run,
            )
        )
