"""FastAPI with streaQ on Redis: the app, and the worker, on Trio."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from fastapi import FastAPI
from streaq import Worker

from bench.peers.fastapi_app import Job, job_app
from bench.peers.workload import REDIS_URL, WORKERS

worker = Worker(redis_url=REDIS_URL, concurrency=WORKERS, prefetch=100, anyio_backend="trio")


@worker.task(name="echo", silent=True)
async def echo(payload: dict[str, Any]) -> dict[str, Any]:
    """Return the payload."""
    return payload


@asynccontextmanager
async def connected(_: FastAPI) -> AsyncIterator[None]:
    """Connect when the app starts."""
    async with worker:
        yield


async def submit(job: Job) -> str:
    """Enqueue it."""
    task = await echo.enqueue(job.payload)
    return str(task.id)


async def pending() -> int:
    """The number of jobs that have not ended."""
    size: int = await worker.queue_size()
    return size


app = job_app(submit, pending, connected)
