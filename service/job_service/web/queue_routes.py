"""The routes of the queue: see its parts, pause and resume it, and back its jobs up."""

from typing import Annotated

from msgspec import Struct
from quart import Quart, Response

from job_service.jobs.queueing.constraints import constraint
from job_service.jobs.queueing.queue import JobQueue
from job_service.web.asgi import present_request
from job_service.web.queries import Query, takes
from job_service.web.responses import fresh_json


class QueueQuery(Query, frozen=True):
    """The query of `POST /queue/pause` and `POST /queue/resume`."""

    type: Annotated[str, constraint("a job type", description="Only jobs of this type.")] | None = (
        None
    )


class BackupQuery(Query, frozen=True):
    """The query of `POST /store/backup`."""

    to: Annotated[
        str,
        constraint(
            "the absolute path of a new file",
            description="Absolute path of a new file on the machine of the service.",
            pattern=r"^/[^\x00]*[^/\x00]$",
        ),
    ]


class Backup(Struct, frozen=True):
    """A file to which all jobs have been copied, and its size."""

    path: str
    bytes: int


def add_queue_routes(app: Quart, queue: JobQueue) -> None:
    """`/queue`, what is below it, `/nodes`, `/types`, and `/store/backup`."""

    @app.get("/queue")
    async def get_queue() -> Response:
        return fresh_json(await queue.view())

    @app.post("/queue/pause")
    @takes(QueueQuery)
    async def pause_queue(query: QueueQuery) -> Response:
        return fresh_json(await queue.pause(query.type, by=present_request().caller.name))

    @app.post("/queue/resume")
    @takes(QueueQuery)
    async def resume_queue(query: QueueQuery) -> Response:
        return fresh_json(await queue.resume(query.type, by=present_request().caller.name))

    @app.post("/store/backup")
    @takes(BackupQuery)
    async def back_up_store(query: BackupQuery) -> Response:
        size = await queue.back_up(query.to, by=present_request().caller.name)
        return fresh_json(Backup(query.to, size))

    @app.get("/nodes")
    async def list_nodes() -> Response:
        return fresh_json(await queue.nodes())

    @app.get("/types")
    async def list_types() -> Response:
        return fresh_json(await queue.types())
