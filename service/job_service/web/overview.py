"""`GET /overview`: what the service counts, all of one moment, so that the numbers agree."""

from collections.abc import Callable

from quart import Quart, Response

from job_service.jobs.queueing.queue import JobQueue
from job_service.jobs.state.views import WorkerView
from job_service.overview import Overview
from job_service.telemetry.metrics import MetricsSnapshot
from job_service.web.responses import fresh_json


def add_overview_route(
    app: Quart,
    queue: JobQueue,
    read_metrics: Callable[[], MetricsSnapshot],
    read_workers: Callable[[], list[WorkerView]],
) -> None:
    """`/overview`. It changes nothing."""

    @app.get("/overview")
    async def get_overview() -> Response:
        # There is no checkpoint behind its moment, so nothing happens before the rest is read.
        view, types, jobs = await queue.overview()
        return fresh_json(Overview(read_metrics(), view, types, read_workers(), jobs))
