"""FastAPI with BackgroundTasks: each job runs in the app's process, after its response."""

from typing import Any
from uuid import uuid4

from fastapi import BackgroundTasks, FastAPI

from bench.peers.fastapi_app import Job

app = FastAPI()
counts = {"jobs_created": 0, "jobs_completed": 0}


async def echo(payload: dict[str, Any]) -> dict[str, Any]:
    """Return the payload; a plain function would take a thread."""
    counts["jobs_completed"] += 1
    return payload


@app.post("/jobs", status_code=201)
async def post(job: Job, tasks: BackgroundTasks) -> dict[str, str]:
    """Take a job."""
    counts["jobs_created"] += 1
    tasks.add_task(echo, job.payload)
    return {"id": str(uuid4()), "status": "pending"}


@app.get("/metrics")
async def metrics() -> dict[str, int]:
    """Count jobs."""
    return counts
