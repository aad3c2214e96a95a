"""huey's SqliteHuey, which keeps its queue in a file: worker threads in one process."""

import logging
import tempfile
from collections.abc import Callable
from pathlib import Path
from threading import Semaphore

from huey import SqliteHuey
from huey.consumer import Consumer

from bench.peers.workload import WORKERS, count_to_marks, measure

if __name__ == "__main__":
    logging.disable()
    marks_reached = Semaphore(0)
    ran: Callable[[], None] = count_to_marks(marks_reached.release)
    with tempfile.TemporaryDirectory() as folder:
        huey = SqliteHuey(filename=str(Path(folder) / "huey.db"), fsync=True, results=False)

        @huey.task()
        def noop() -> None:
            """Only count."""
            ran()

        def enqueue(jobs: int) -> None:
            """Put them into the queue, one by one."""
            for _ in range(jobs):
                noop()

        consumer = Consumer(
            huey, workers=WORKERS, periodic=False, initial_delay=0.001, max_delay=0.001
        )
        consumer.start()
        measure(enqueue, marks_reached.acquire)
        consumer.stop()
