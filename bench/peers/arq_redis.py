"""arq on Redis: a worker process, and this one, which enqueues."""

import asyncio
from typing import Any

from arq import create_pool
from arq.connections import RedisSettings

from bench.peers.workload import (
    REDIS_URL,
    WORKERS,
    count_to_marks,
    enqueue_concurrently,
    measure_async,
    say_reached,
    working,
)

ran = count_to_marks(say_reached)


async def noop(_: Any) -> None:
    """Only count."""
    ran()


class WorkerSettings:
    """By default it would take 100 jobs every half second, and so run at most 200 a second."""

    functions = (noop,)
    redis_settings = RedisSettings.from_dsn(REDIS_URL)
    max_jobs = WORKERS
    poll_delay = 0.01
    queue_read_limit = 1_000


async def main() -> None:
    """Measure."""
    redis = await create_pool(WorkerSettings.redis_settings)

    async def enqueue(jobs: int) -> None:
        await enqueue_concurrently(lambda: redis.enqueue_job("noop"), jobs)

    with working("arq", "bench.peers.arq_redis.WorkerSettings") as wait_until_reached:
        await measure_async(enqueue, wait_until_reached)
    await redis.aclose()


if __name__ == "__main__":
    asyncio.run(main())
