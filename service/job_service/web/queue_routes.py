"""The routes of the queue: what it is made of, and how to hold it back."""

from typing import Annotated

from quart import Quart, Response

from job_service.jobs.queueing.options import limits
from job_service.jobs.queueing.queue import JobQueue
from job_service.web.queries import Query, takes
from job_service.web.responses import fresh_json


class QueueQuery(Query, frozen=True):
    """Of `POST /queue/pause` and `POST /queue/resume`."""

    type: Annotated[str, limits("a job type", description="Only jobs of this type.")] | None = None


def add_queue_routes(app: Quart, queue: JobQueue) -> None:
    """`/queue`, what is below it, and `/types`."""

    @app.get("/queue")
    async def get_queue() -> Response:
        return fresh_json(await queue.view())

    @app.post("/queue/pause")
    @takes(QueueQuery)
    async def pause_queue(query: QueueQuery) -> Response:
        return fresh_json(await queue.pause(query.type))

    @app.post("/queue/resume")
    @takes(QueueQuery)
    async def resume_queue(query: QueueQuery) -> Response:
        return fresh_json(await queue.resume(query.type))

    @app.get("/types")
    async def list_types() -> Response:
        return fresh_json(await queue.types())
