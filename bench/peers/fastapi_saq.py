"""FastAPI with SAQ on Redis: the app, and the settings of the worker."""

from typing import Any

from saq import Queue

from bench.peers.fastapi_app import Job, job_app
from bench.peers.workload import REDIS_URL, WORKERS

queue = Queue.from_url(REDIS_URL)


async def echo(_: Any, *, payload: dict[str, Any]) -> dict[str, Any]:
    """Return the payload."""
    return payload


async def submit(job: Job) -> str:
    """Enqueue it."""
    enqueued = await queue.enqueue(job.type, payload=job.payload)
    return str(enqueued.id)


async def pending() -> int:
    """The number of jobs that have not ended."""
    count: int = await queue.count("incomplete")
    return count


settings = {"queue": queue, "functions": [("echo", echo)], "concurrency": WORKERS}
app = job_app(submit, pending)
