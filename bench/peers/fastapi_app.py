"""The FastAPI app of the peers on Redis, for any queue."""

from collections.abc import Awaitable, Callable
from typing import Any

from fastapi import FastAPI
from pydantic import BaseModel


class Job(BaseModel):
    """The body of a submission."""

    type: str
    payload: dict[str, Any] = {}


def job_app(
    submit: Callable[[Job], Awaitable[str]],
    pending: Callable[[], Awaitable[int]],
    lifespan: Callable[[FastAPI], Any] | None = None,
) -> FastAPI:
    """An app with the two routes that the benchmark uses; `submit` returns a job's id."""
    app = FastAPI(lifespan=lifespan)
    created = 0

    @app.post("/jobs", status_code=201)
    async def post(job: Job) -> dict[str, str]:
        nonlocal created
        job_id = await submit(job)
        created += 1
        return {"id": job_id, "status": "pending"}

    @app.get("/metrics")
    async def metrics() -> dict[str, int]:
        return {"jobs_created": created, "jobs_completed": created - await pending()}

    return app
