"""What a program sees of a service that it hosts."""

from collections.abc import Callable
from dataclasses import dataclass

from job_service.jobs.queueing.queue import JobQueue
from job_service.jobs.state.views import ScheduleView, WorkerView
from job_service.telemetry.metrics import MetricsSnapshot


@dataclass(frozen=True, slots=True)
class RunningService:
    """A service that runs, as the program sees it that hosts it: what HTTP offers, without HTTP.

    `url` is where HTTP answers: `http://…`, `https://…`, or `unix:` and the path of its socket.
    `queue` submits jobs, reads them, waits for them and cancels them.
    `workers` gives what each worker does now; a worker that has ended is not among them.
    `schedules` gives what each schedule has done, and when it submits its next job.
    `metrics` gives the counters and gauges of `GET /metrics`.
    """

    url: str
    queue: JobQueue
    workers: Callable[[], list[WorkerView]]
    schedules: Callable[[], list[ScheduleView]]
    metrics: Callable[[], MetricsSnapshot]
