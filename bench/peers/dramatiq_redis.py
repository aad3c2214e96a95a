"""dramatiq on Redis: a worker process with threads, and this one, which enqueues."""

import dramatiq
from dramatiq.brokers.redis import RedisBroker

from bench.peers.workload import (
    REDIS_URL,
    WORKERS,
    count_to_marks,
    measure,
    say_reached,
    working,
)

ran = count_to_marks(say_reached)
dramatiq.set_broker(RedisBroker(url=REDIS_URL))

WORKER = ["dramatiq", "bench.peers.dramatiq_redis", "--processes", "1"]
WORKER += ["--threads", str(WORKERS), "--skip-logging"]


@dramatiq.actor
def noop() -> None:
    """Only count."""
    ran()


def enqueue(jobs: int) -> None:
    """Send them, one by one."""
    for _ in range(jobs):
        noop.send()


if __name__ == "__main__":
    with working(*WORKER) as wait_until_reached:
        measure(enqueue, wait_until_reached)
