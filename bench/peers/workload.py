"""The same work for every peer: a number of no-ops, after a few that warm it up."""

import asyncio
import itertools
import json
import os
import subprocess
import sys
import time
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager

WORKERS = 10
WARM_UP = 200
JOBS = int(os.environ.get("BENCH_JOBS", "1000"))
REDIS_URL = os.environ.get("BENCH_REDIS_URL", "redis://127.0.0.1:6379/0")

STOP_SECONDS = 10.0
REACHED = b"reached"


def count_to_marks(reached: Callable[[], object]) -> Callable[[], None]:
    """What a no-op calls, from any thread; it reports the last of the warm-up and of the jobs."""
    marks = {WARM_UP, WARM_UP + JOBS}
    numbers = itertools.count(1)

    def ran() -> None:
        if next(numbers) in marks:
            reached()

    return ran


def say_reached() -> None:
    """Tell `working`, from the worker's process, even if its `sys.stdout` was redirected."""
    os.write(1, REACHED + b"\n")


@contextmanager
def working(*module_and_arguments: str) -> Iterator[Callable[[], None]]:
    """A worker process; yields a function that waits until the worker has reached a mark."""
    process = subprocess.Popen(
        [sys.executable, "-m", *module_and_arguments], stdout=subprocess.PIPE
    )
    stdout = process.stdout
    assert stdout is not None

    def wait_until_reached() -> None:
        if not any(line.strip() == REACHED for line in stdout):
            raise EOFError("the worker ended too early")

    try:
        yield wait_until_reached
    finally:
        process.terminate()
        process.wait(timeout=STOP_SECONDS)


def measure(enqueue: Callable[[int], object], wait_until_reached: Callable[[], object]) -> None:
    """Print jobs per second, from the first that is enqueued to the last that has run."""
    enqueue(WARM_UP)
    wait_until_reached()
    start = time.perf_counter()
    enqueue(JOBS)
    wait_until_reached()
    report(time.perf_counter() - start)


async def measure_async(
    enqueue: Callable[[int], Awaitable[object]], wait_until_reached: Callable[[], object]
) -> None:
    """The same for a queue that is used from an event loop."""
    await enqueue(WARM_UP)
    wait_until_reached()
    start = time.perf_counter()
    await enqueue(JOBS)
    wait_until_reached()
    report(time.perf_counter() - start)


async def enqueue_concurrently(enqueue: Callable[[], Awaitable[object]], jobs: int) -> None:
    """Enqueue them one by one, from as many senders as there are workers."""

    async def send() -> None:
        for _ in range(jobs // WORKERS):
            await enqueue()

    await asyncio.gather(*(send() for _ in range(WORKERS)))


def report(seconds: float) -> None:
    """Print what `bench.peers.running` reads."""
    print(json.dumps({"jobs_per_second": JOBS / seconds}))
