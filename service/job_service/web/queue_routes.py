"""The routes for those who hold back the queue, and want to know what it is made of."""

from collections.abc import Sequence

import msgspec
from quart import Quart, Response, request

from job_service.jobs.queueing.queue import JobQueue
from job_service.jobs.state.detail import QueueView, TypeView


def add_queue_routes(app: Quart, queue: JobQueue) -> None:
    """`/queue`, what is below it, and `/types`."""

    @app.get("/queue")
    async def get_queue() -> Response:
        return _uncached(await queue.view())

    @app.post("/queue/pause")
    async def pause_queue() -> Response:
        return _uncached(await queue.pause(request.args.get("type")))

    @app.post("/queue/resume")
    async def resume_queue() -> Response:
        return _uncached(await queue.resume(request.args.get("type")))

    @app.get("/types")
    async def list_types() -> Response:
        return _uncached(await queue.types())


def _uncached(view: QueueView | Sequence[TypeView]) -> Response:
    return Response(
        msgspec.json.encode(view),
        headers={"Cache-Control": "no-store"},
        content_type="application/json",
    )
