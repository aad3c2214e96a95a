"""huey's MemoryHuey: worker threads and a queue in one process."""

import logging
from threading import Semaphore

from huey import MemoryHuey
from huey.consumer import Consumer

from bench.peers.workload import WORKERS, count_to_marks, measure

marks_reached = Semaphore(0)
ran = count_to_marks(marks_reached.release)
huey = MemoryHuey(results=False)


@huey.task()
def noop() -> None:
    """Only count."""
    ran()


def enqueue(jobs: int) -> None:
    """Put them into the queue, one by one."""
    for _ in range(jobs):
        noop()


def run() -> None:
    """Run and measure them."""
    consumer = Consumer(huey, workers=WORKERS, periodic=False, initial_delay=0.001, max_delay=0.001)
    consumer.start()
    measure(enqueue, marks_reached.acquire)
    consumer.stop()


if __name__ == "__main__":
    logging.disable()
    run()
