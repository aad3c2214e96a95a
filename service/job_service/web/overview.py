"""`GET /overview`: what the service counts, all of one moment, so that the numbers agree."""

from collections.abc import Callable, Mapping, Sequence

from msgspec import Struct
from quart import Quart, Response

from job_service.jobs.queueing.queue import JobQueue
from job_service.jobs.state.model import Status
from job_service.jobs.state.views import QueueView, TypeView, WorkerView
from job_service.telemetry.metrics import MetricsSnapshot
from job_service.web.responses import fresh_json


class Overview(Struct, frozen=True):
    """The metrics, the queue, the job types and the workers at one moment.

    `jobs` is how many jobs are kept by their status, those of types without a handler, too. All
    these numbers agree. Only if the jobs are in a database that many processes share, the queue,
    the types and the jobs are those of all processes, and the rest is of the one that answers.
    """

    metrics: MetricsSnapshot
    queue: QueueView
    types: Sequence[TypeView]
    workers: list[WorkerView]
    jobs: Mapping[Status, int]


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
