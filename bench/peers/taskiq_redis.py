"""taskiq on Redis streams: a worker process, and this one, which enqueues."""

import uvloop
from taskiq.serializers import ORJSONSerializer
from taskiq_redis import RedisStreamBroker

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
broker = RedisStreamBroker(REDIS_URL).with_serializer(ORJSONSerializer())

WORKER = ["taskiq", "worker", "bench.peers.taskiq_redis:broker", "--workers", "1"]
WORKER += ["--max-async-tasks", str(WORKERS), "--max-prefetch", "100"]
WORKER += ["--no-parse", "--log-level", "ERROR"]


@broker.task("noop")
async def noop() -> None:
    """Only count."""
    ran()


async def enqueue(jobs: int) -> None:
    """Send them, ten at a time."""
    await enqueue_concurrently(noop.kiq, jobs)


async def main() -> None:
    """Measure; the broker's own start makes the stream's group before anything is sent."""
    await broker.startup()
    with working(*WORKER) as wait_until_reached:
        await measure_async(enqueue, wait_until_reached)
    await broker.shutdown()


if __name__ == "__main__":
    uvloop.run(main())
