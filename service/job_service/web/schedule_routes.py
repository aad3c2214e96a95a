"""The routes of schedules: what runs by itself and when, and how to run, pause and resume it."""

from quart import Quart, Response

from job_service.jobs.queueing.schedules import Schedules
from job_service.web.asgi import present_request
from job_service.web.job_answers import created
from job_service.web.responses import fresh_json
from job_service.web.submissions import read_idempotency_key


def add_schedule_routes(app: Quart, schedules: Schedules) -> None:
    """`/schedules`, and what is below it. A schedule may have a slash in its name."""

    @app.get("/schedules")
    async def list_schedules() -> Response:
        return fresh_json(schedules.views())

    @app.post("/schedules/<path:schedule>/run-now")
    async def run_schedule_now(schedule: str) -> Response:
        incoming = present_request()
        key = read_idempotency_key(incoming)
        return created(
            await schedules.run_now(schedule, idempotency_key=key, by=incoming.caller.name)
        )

    @app.post("/schedules/<path:schedule>/pause")
    async def pause_schedule(schedule: str) -> Response:
        return fresh_json(await schedules.pause(schedule, by=present_request().caller.name))

    @app.post("/schedules/<path:schedule>/resume")
    async def resume_schedule(schedule: str) -> Response:
        return fresh_json(await schedules.resume(schedule, by=present_request().caller.name))
