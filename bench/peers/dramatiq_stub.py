"""dramatiq's StubBroker: worker threads and a queue in one process."""

import logging
from threading import Semaphore

import dramatiq
from dramatiq.brokers.stub import StubBroker

from bench.peers.workload import WORKERS, count_to_marks, measure

marks_reached = Semaphore(0)
ran = count_to_marks(marks_reached.release)
broker = StubBroker()
dramatiq.set_broker(broker)


@dramatiq.actor
def noop() -> None:
    """Only count."""
    ran()


def enqueue(jobs: int) -> None:
    """Put them into the queue, one by one."""
    for _ in range(jobs):
        noop.send()


if __name__ == "__main__":
    logging.disable()
    worker = dramatiq.Worker(broker, worker_threads=WORKERS)
    worker.start()
    measure(enqueue, marks_reached.acquire)
    worker.stop()
