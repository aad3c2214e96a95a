"""streaQ on Redis and on Trio: a worker process, and this one, which enqueues."""

import trio
from streaq import Worker

from bench.peers.workload import (
    REDIS_URL,
    WORKERS,
    count_to_marks,
    measure_async,
    say_reached,
    working,
)

ran = count_to_marks(say_reached)
worker = Worker(redis_url=REDIS_URL, concurrency=WORKERS, prefetch=100, anyio_backend="trio")


@worker.task(name="noop", silent=True)
async def noop() -> None:
    """Only count."""
    ran()


async def enqueue(jobs: int) -> None:
    """Send them in one pipeline."""
    await worker.enqueue_many([noop.enqueue() for _ in range(jobs)])


async def main() -> None:
    """Measure."""
    async with worker:
        with working("streaq", "run", "bench.peers.streaq_redis:worker") as wait_until_reached:
            await measure_async(enqueue, wait_until_reached)


if __name__ == "__main__":
    trio.run(main)
