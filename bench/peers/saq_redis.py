"""SAQ on Redis: a worker process, and this one, which enqueues."""

import asyncio
from typing import Any

from saq import Queue

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
queue = Queue.from_url(REDIS_URL)


async def noop(_: Any) -> None:
    """Only count."""
    ran()


settings = {"queue": queue, "functions": [("noop", noop)], "concurrency": WORKERS}


async def enqueue(jobs: int) -> None:
    """Send them, ten at a time."""
    await enqueue_concurrently(lambda: queue.enqueue("noop"), jobs)


async def main() -> None:
    """Measure."""
    with working("saq", "bench.peers.saq_redis.settings") as wait_until_reached:
        await measure_async(enqueue, wait_until_reached)
    await queue.disconnect()


if __name__ == "__main__":
    asyncio.run(main())
