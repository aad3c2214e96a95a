"""The counters and gauges of one service, kept by listening to its events.

There is no lock: Trio runs one task at a time and none of the code here contains a checkpoint, so
nobody can see an event half counted, nor take a snapshot in the middle of one.
"""

import time
from collections.abc import Callable
from typing import Any

from msgspec import Struct, UnsetType

from job_service.telemetry.events import (
    ConnectionRefused,
    Event,
    JobAbandoned,
    JobCancelled,
    JobCompleted,
    JobCreated,
    JobDuplicate,
    JobEnqueued,
    JobFailed,
    JobRejected,
    JobRetried,
    JobSnoozed,
    JobStarted,
    LogLinesDropped,
    LoopStalled,
    QueuePaused,
    QueueResumed,
    ScheduleSkipped,
    ThreadAbandoned,
    ThreadReturned,
    WorkerStarted,
    WorkerStopped,
)


class MetricsSnapshot(Struct, frozen=True):
    """The metrics at one moment, in the order of `GET /metrics`.

    jobs_created always equals the sum of jobs_completed, jobs_failed, jobs_cancelled,
    jobs_abandoned, jobs_in_progress and jobs_pending.
    """

    jobs_created: int
    jobs_completed: int
    jobs_failed: int
    jobs_retried: int
    jobs_in_progress: int
    jobs_pending: int
    jobs_cancelled: int
    jobs_abandoned: int
    jobs_rejected: int
    workers_running: int
    queue_capacity: int
    wait_seconds_total: float
    run_seconds_total: float
    loop_stalls: int
    log_lines_dropped: int
    uptime_seconds: float
    connections_refused: int
    jobs_ready: int
    jobs_snoozed: int
    jobs_deduplicated: int
    queue_paused: int
    job_types_paused: int
    ticks_skipped: int
    jobs_bytes: int
    threads_abandoned: int


class Metrics:
    """One service's metrics. `observe` is its event observer; readers take a `snapshot`."""

    def __init__(
        self, queue_capacity: int, monotonic: Callable[[], float] = time.monotonic
    ) -> None:
        self._queue_capacity = queue_capacity
        self._monotonic = monotonic
        self._started_at = monotonic()
        self._jobs_created = 0
        self._jobs_completed = 0
        self._jobs_failed = 0
        self._jobs_retried = 0
        self._jobs_in_progress = 0
        self._jobs_pending = 0
        self._jobs_cancelled = 0
        self._jobs_abandoned = 0
        self._jobs_rejected = 0
        self._workers_running = 0
        self._wait_seconds_total = 0.0
        self._run_seconds_total = 0.0
        self._loop_stalls = 0
        self._log_lines_dropped = 0
        self._connections_refused = 0
        self._jobs_ready = 0
        self._jobs_snoozed = 0
        self._jobs_deduplicated = 0
        self._queue_paused = 0
        self._job_types_paused = 0
        self._ticks_skipped = 0
        self._threads_abandoned = 0
        self._counts: dict[type[Event], Callable[[Any], None]] = {
            JobCreated: self._job_created,
            JobEnqueued: self._job_enqueued,
            JobStarted: self._job_started,
            JobCompleted: self._job_completed,
            JobRetried: self._job_retried,
            JobSnoozed: self._job_snoozed,
            JobFailed: self._job_failed,
            JobCancelled: self._job_cancelled,
            JobAbandoned: self._job_abandoned,
            JobRejected: self._job_rejected,
            WorkerStarted: self._worker_started,
            WorkerStopped: self._worker_stopped,
            LoopStalled: self._loop_stalled,
            LogLinesDropped: self._log_lines_were_dropped,
            ConnectionRefused: self._connection_refused,
            JobDuplicate: self._job_deduplicated,
            QueuePaused: self._was_paused,
            QueueResumed: self._was_resumed,
            ScheduleSkipped: self._schedule_skipped,
            ThreadAbandoned: self._thread_abandoned,
            ThreadReturned: self._thread_returned,
        }

    def observe(self, event: Event) -> None:
        """Count `event`, where it is of a kind that is counted."""
        count = self._counts.get(type(event))
        if count is not None:
            count(event)

    def snapshot(self, jobs_bytes: int = 0) -> MetricsSnapshot:
        """The metrics at this moment; `jobs_bytes` no event tells, but whoever keeps the jobs."""
        return MetricsSnapshot(
            jobs_created=self._jobs_created,
            jobs_completed=self._jobs_completed,
            jobs_failed=self._jobs_failed,
            jobs_retried=self._jobs_retried,
            jobs_in_progress=self._jobs_in_progress,
            jobs_pending=self._jobs_pending,
            jobs_cancelled=self._jobs_cancelled,
            jobs_abandoned=self._jobs_abandoned,
            jobs_rejected=self._jobs_rejected,
            workers_running=self._workers_running,
            queue_capacity=self._queue_capacity,
            wait_seconds_total=round(self._wait_seconds_total, 6),
            run_seconds_total=round(self._run_seconds_total, 6),
            loop_stalls=self._loop_stalls,
            log_lines_dropped=self._log_lines_dropped,
            uptime_seconds=round(self._monotonic() - self._started_at, 6),
            connections_refused=self._connections_refused,
            jobs_ready=self._jobs_ready,
            jobs_snoozed=self._jobs_snoozed,
            jobs_deduplicated=self._jobs_deduplicated,
            queue_paused=self._queue_paused,
            job_types_paused=self._job_types_paused,
            ticks_skipped=self._ticks_skipped,
            jobs_bytes=jobs_bytes,
            threads_abandoned=self._threads_abandoned,
        )

    def _job_created(self, _: JobCreated) -> None:
        self._jobs_created += 1
        self._jobs_pending += 1

    def _job_enqueued(self, _: JobEnqueued) -> None:
        self._jobs_ready += 1

    def _job_started(self, event: JobStarted) -> None:
        self._jobs_pending -= 1
        self._jobs_ready -= 1
        self._jobs_in_progress += 1
        self._wait_seconds_total += event.wait_seconds

    def _job_completed(self, event: JobCompleted) -> None:
        self._jobs_completed += 1
        self._attempt_ended(event.run_seconds)

    def _job_retried(self, event: JobRetried) -> None:
        self._jobs_retried += 1
        self._jobs_pending += 1
        self._attempt_ended(event.run_seconds)

    def _job_snoozed(self, event: JobSnoozed) -> None:
        self._jobs_snoozed += 1
        self._jobs_pending += 1
        self._attempt_ended(event.run_seconds)

    def _job_failed(self, event: JobFailed) -> None:
        self._jobs_failed += 1
        self._pending_or_attempt_ended(event.run_seconds)

    def _job_cancelled(self, event: JobCancelled) -> None:
        self._jobs_cancelled += 1
        self._ended_early(event)

    def _job_abandoned(self, event: JobAbandoned) -> None:
        self._jobs_abandoned += 1
        self._ended_early(event)

    def _ended_early(self, event: JobCancelled | JobAbandoned) -> None:
        self._pending_or_attempt_ended(event.run_seconds)
        if not isinstance(event.wait_seconds, UnsetType):
            self._jobs_ready -= 1

    def _pending_or_attempt_ended(self, run_seconds: float | UnsetType) -> None:
        if isinstance(run_seconds, UnsetType):
            self._jobs_pending -= 1
        else:
            self._attempt_ended(run_seconds)

    def _attempt_ended(self, run_seconds: float) -> None:
        self._jobs_in_progress -= 1
        self._run_seconds_total += run_seconds

    def _job_rejected(self, event: JobRejected) -> None:
        self._jobs_rejected += event.jobs

    def _worker_started(self, _: WorkerStarted) -> None:
        self._workers_running += 1

    def _worker_stopped(self, _: WorkerStopped) -> None:
        self._workers_running -= 1

    def _loop_stalled(self, _: LoopStalled) -> None:
        self._loop_stalls += 1

    def _log_lines_were_dropped(self, event: LogLinesDropped) -> None:
        self._log_lines_dropped += event.lines

    def _connection_refused(self, _: ConnectionRefused) -> None:
        self._connections_refused += 1

    def _job_deduplicated(self, _: JobDuplicate) -> None:
        self._jobs_deduplicated += 1

    def _was_paused(self, event: QueuePaused) -> None:
        if isinstance(event.job_type, UnsetType):
            self._queue_paused = 1
        else:
            self._job_types_paused += 1

    def _was_resumed(self, event: QueueResumed) -> None:
        if isinstance(event.job_type, UnsetType):
            self._queue_paused = 0
        else:
            self._job_types_paused -= 1

    def _schedule_skipped(self, event: ScheduleSkipped) -> None:
        self._ticks_skipped += 1 if isinstance(event.ticks, UnsetType) else event.ticks

    def _thread_abandoned(self, _: ThreadAbandoned) -> None:
        self._threads_abandoned += 1

    def _thread_returned(self, _: ThreadReturned) -> None:
        self._threads_abandoned -= 1
