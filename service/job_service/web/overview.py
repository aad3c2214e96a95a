"""`GET /overview`: what the service counts, all of one moment, so that the numbers agree."""

from collections.abc import Callable

from msgspec import Struct
from quart import Quart, Response

from job_service.jobs.queueing.queue import JobQueue
from job_service.jobs.state.detail import QueueView, WorkerView
from job_service.telemetry.metrics import MetricsSnapshot
from job_service.web.responses import fresh_json


class Overview(Struct, frozen=True):
    """The metrics, the queue and the workers at one moment.

    Their numbers agree. Only if the jobs are in a database that many processes share, the queue is
    that of all processes, and the rest is of the one that answers.
    """

    metrics: MetricsSnapshot
    queue: QueueView
    workers: list[WorkerView]


def add_overview_route(
    app: Quart,
    queue: JobQueue,
    read_metrics: Callable[[], MetricsSnapshot],
    read_workers: Callable[[], list[WorkerView]],
) -> None:
    """`/overview`. It changes nothing."""

    @app.get("/overview")
    async def get_overview() -> Response:
        # The view comes without a checkpoint behind it, so nothing happens before the rest is read.
        view = await queue.view()
        return fresh_json(Overview(read_metrics(), view, read_workers()))
