"""FastAPI with arq on Redis: the app, and the settings of the worker."""

from typing import Any

from arq import ArqRedis
from arq.constants import default_queue_name

from bench.peers import arq_redis
from bench.peers.fastapi_app import Job, job_app
from bench.peers.workload import REDIS_URL


async def echo(_: Any, payload: dict[str, Any]) -> dict[str, Any]:
    """Return the payload."""
    return payload


class WorkerSettings:
    """The same as without HTTP; arq does not see inherited settings."""

    functions = (echo,)
    redis_settings = arq_redis.WorkerSettings.redis_settings
    max_jobs = arq_redis.WorkerSettings.max_jobs
    poll_delay = arq_redis.WorkerSettings.poll_delay
    queue_read_limit = arq_redis.WorkerSettings.queue_read_limit


redis = ArqRedis.from_url(REDIS_URL)


async def submit(job: Job) -> str:
    """Enqueue it."""
    enqueued = await redis.enqueue_job(job.type, job.payload)
    return str(enqueued.job_id)


async def pending() -> int:
    """The number of jobs that have not ended."""
    count: int = await redis.zcard(default_queue_name)
    return count


app = job_app(submit, pending)
