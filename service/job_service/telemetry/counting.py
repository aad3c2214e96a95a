"""Keeps the metrics of one service: it listens to the events, and counts each as one act.

There is no lock. Trio runs one task at a time and no code here contains a checkpoint, so nobody
can take a snapshot in the middle of an event.
"""

import time
from collections.abc import Callable
from types import MethodType
from typing import Any, Final, cast

from msgspec import UnsetType
from msgspec.structs import asdict

from job_service.telemetry.emitter import Listener, Observer
from job_service.telemetry.events import (
    ConnectionRefused,
    Event,
    JobAbandoned,
    JobCancelled,
    JobCompleted,
    JobCreated,
    JobDuplicate,
    JobEdited,
    JobEnqueued,
    JobFailed,
    JobLost,
    JobRejected,
    JobReleased,
    JobRetried,
    JobsClaimed,
    JobSnoozed,
    JobsRecovered,
    JobsReleased,
    JobStarted,
    LogLinesDropped,
    LoopStalled,
    QueuePaused,
    QueueResumed,
    ScheduleSkipped,
    StoreCommitted,
    StoreFailed,
    StoreOpened,
    ThreadAbandoned,
    ThreadReturned,
    WorkerStarted,
    WorkerStopped,
)
from job_service.telemetry.metrics import LiveMetrics, MetricsSnapshot


class Metrics(Listener):
    """One service's metrics, which listen to its events; readers take a `snapshot`."""

    def __init__(
        self, queue_capacity: int, monotonic: Callable[[], float] = time.monotonic
    ) -> None:
        self._live = _quick(LiveMetrics(queue_capacity=queue_capacity))
        self._monotonic = monotonic
        self._started_at = monotonic()

    def observer_of(self, kind: type[Event]) -> Observer | None:
        """What counts events of this kind, if they are counted."""
        count = _COUNTS.get(kind)
        return None if count is None else MethodType(count, self._live)

    @property
    def live(self) -> LiveMetrics:
        """The metrics as they are now, for reading; what no event tells is of the last snapshot."""
        return self._live

    def snapshot(self, jobs_bytes: int = 0, oldest_ready: float | None = None) -> MetricsSnapshot:
        """The metrics at this moment.

        No event tells `jobs_bytes`, nor `oldest_ready`, which is when the oldest ready job became
        ready, by the clock of the metrics. Whoever has the jobs does.
        """
        self._live.jobs_bytes = jobs_bytes
        self._live.jobs_oldest_ready_seconds = (
            0.0 if oldest_ready is None else max(0.0, self._monotonic() - oldest_ready)
        )
        self._live.uptime_seconds = self._monotonic() - self._started_at
        return MetricsSnapshot(
            *(round(getattr(self._live, name), 6) for name in MetricsSnapshot.__struct_fields__)
        )


class _Plain:
    """An object with the attributes of the metrics, and nothing else."""

    __slots__ = LiveMetrics.__struct_fields__


def _quick(metrics: LiveMetrics) -> LiveMetrics:
    """The same as a plain object: Python takes longer to write an attribute of a struct."""
    plain = _Plain()
    for name, value in asdict(metrics).items():
        setattr(plain, name, value)
    return cast("LiveMetrics", plain)


def _job_created(metrics: LiveMetrics, _: JobCreated) -> None:
    metrics.jobs_created += 1
    metrics.jobs_pending += 1


def _store_opened(metrics: LiveMetrics, event: StoreOpened) -> None:
    metrics.jobs_claimed += event.jobs_pending
    metrics.jobs_pending += event.jobs_pending


def _jobs_claimed(metrics: LiveMetrics, event: JobsClaimed) -> None:
    metrics.jobs_claimed += event.jobs
    metrics.jobs_pending += event.jobs


def _jobs_released(metrics: LiveMetrics, event: JobsReleased) -> None:
    metrics.jobs_released += event.jobs
    metrics.jobs_pending -= event.jobs
    metrics.jobs_ready -= event.ready


def _job_enqueued(metrics: LiveMetrics, _: JobEnqueued) -> None:
    metrics.jobs_ready += 1


def _jobs_recovered(metrics: LiveMetrics, event: JobsRecovered) -> None:
    metrics.jobs_ready += event.jobs


def _job_edited(metrics: LiveMetrics, event: JobEdited) -> None:
    if not isinstance(event.wait_seconds, UnsetType):
        metrics.jobs_ready -= 1


def _job_started(metrics: LiveMetrics, event: JobStarted) -> None:
    metrics.jobs_pending -= 1
    metrics.jobs_ready -= 1
    metrics.jobs_in_progress += 1
    metrics.jobs_started += 1
    metrics.wait_seconds_total += event.wait_seconds


def _job_completed(metrics: LiveMetrics, event: JobCompleted) -> None:
    metrics.jobs_completed += 1
    metrics.jobs_in_progress -= 1
    metrics.run_seconds_total += event.run_seconds


def _job_retried(metrics: LiveMetrics, event: JobRetried) -> None:
    metrics.jobs_retried += 1
    _went_back(metrics, event)


def _job_snoozed(metrics: LiveMetrics, event: JobSnoozed) -> None:
    metrics.jobs_snoozed += 1
    _went_back(metrics, event)


def _went_back(metrics: LiveMetrics, event: JobRetried | JobSnoozed) -> None:
    metrics.jobs_pending += 1
    metrics.jobs_in_progress -= 1
    metrics.run_seconds_total += event.run_seconds


def _job_failed(metrics: LiveMetrics, event: JobFailed) -> None:
    metrics.jobs_failed += 1
    _ended(metrics, event)


def _job_cancelled(metrics: LiveMetrics, event: JobCancelled) -> None:
    metrics.jobs_cancelled += 1
    _ended_early(metrics, event)


def _job_abandoned(metrics: LiveMetrics, event: JobAbandoned) -> None:
    metrics.jobs_abandoned += 1
    _ended_early(metrics, event)


def _ended_early(metrics: LiveMetrics, event: JobCancelled | JobAbandoned) -> None:
    _ended(metrics, event)
    if not isinstance(event.wait_seconds, UnsetType):
        metrics.jobs_ready -= 1


def _job_released(metrics: LiveMetrics, event: JobReleased) -> None:
    metrics.jobs_released += 1
    metrics.jobs_in_progress -= 1
    metrics.run_seconds_total += event.run_seconds


def _job_lost(metrics: LiveMetrics, _: JobLost) -> None:
    metrics.jobs_released += 1
    metrics.jobs_in_progress -= 1


def _ended(metrics: LiveMetrics, event: JobFailed | JobCancelled | JobAbandoned) -> None:
    if isinstance(event.run_seconds, UnsetType):
        metrics.jobs_pending -= 1
    else:
        metrics.jobs_in_progress -= 1
        metrics.run_seconds_total += event.run_seconds


def _job_rejected(metrics: LiveMetrics, event: JobRejected) -> None:
    metrics.jobs_rejected += event.jobs


def _job_deduplicated(metrics: LiveMetrics, _: JobDuplicate) -> None:
    metrics.jobs_deduplicated += 1


def _worker_started(metrics: LiveMetrics, _: WorkerStarted) -> None:
    metrics.workers_running += 1


def _worker_stopped(metrics: LiveMetrics, _: WorkerStopped) -> None:
    metrics.workers_running -= 1


def _thread_abandoned(metrics: LiveMetrics, _: ThreadAbandoned) -> None:
    metrics.threads_abandoned += 1


def _thread_returned(metrics: LiveMetrics, _: ThreadReturned) -> None:
    metrics.threads_abandoned -= 1


def _queue_paused(metrics: LiveMetrics, event: QueuePaused) -> None:
    if isinstance(event.job_type, UnsetType):
        metrics.queue_paused = 1
    else:
        metrics.job_types_paused += 1


def _queue_resumed(metrics: LiveMetrics, event: QueueResumed) -> None:
    if isinstance(event.job_type, UnsetType):
        metrics.queue_paused = 0
    else:
        metrics.job_types_paused -= 1


def _schedule_skipped(metrics: LiveMetrics, event: ScheduleSkipped) -> None:
    metrics.ticks_skipped += 1 if isinstance(event.ticks, UnsetType) else event.ticks


def _store_committed(metrics: LiveMetrics, event: StoreCommitted) -> None:
    metrics.store_commits += 1
    metrics.store_seconds_total += event.commit_seconds


def _store_failed(metrics: LiveMetrics, _: StoreFailed) -> None:
    metrics.store_errors += 1


def _loop_stalled(metrics: LiveMetrics, _: LoopStalled) -> None:
    metrics.loop_stalls += 1


def _log_lines_dropped(metrics: LiveMetrics, event: LogLinesDropped) -> None:
    metrics.log_lines_dropped += event.lines


def _connection_refused(metrics: LiveMetrics, _: ConnectionRefused) -> None:
    metrics.connections_refused += 1


_COUNTS: Final[dict[type[Event], Callable[[LiveMetrics, Any], None]]] = {
    JobCreated: _job_created,
    JobEnqueued: _job_enqueued,
    JobEdited: _job_edited,
    JobStarted: _job_started,
    JobCompleted: _job_completed,
    JobRetried: _job_retried,
    JobSnoozed: _job_snoozed,
    JobFailed: _job_failed,
    JobCancelled: _job_cancelled,
    JobAbandoned: _job_abandoned,
    JobReleased: _job_released,
    JobLost: _job_lost,
    JobsRecovered: _jobs_recovered,
    JobsClaimed: _jobs_claimed,
    JobsReleased: _jobs_released,
    JobRejected: _job_rejected,
    JobDuplicate: _job_deduplicated,
    WorkerStarted: _worker_started,
    WorkerStopped: _worker_stopped,
    ThreadAbandoned: _thread_abandoned,
    ThreadReturned: _thread_returned,
    QueuePaused: _queue_paused,
    QueueResumed: _queue_resumed,
    ScheduleSkipped: _schedule_skipped,
    StoreOpened: _store_opened,
    StoreCommitted: _store_committed,
    StoreFailed: _store_failed,
    LoopStalled: _loop_stalled,
    LogLinesDropped: _log_lines_dropped,
    ConnectionRefused: _connection_refused,
}
