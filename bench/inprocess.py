"""An engine in this process, with metrics, log and event feed, and what its calls cost."""

import itertools
import os
import tempfile
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass

import trio

from job_service import JobQueue, Registry, Settings
from job_service.jobs.running.engine import Engine
from job_service.store_choice import make_store
from job_service.telemetry.counting import Metrics
from job_service.telemetry.emitter import Emitter
from job_service.telemetry.events import Event
from job_service.telemetry.feed import Feed
from job_service.telemetry.history import History
from job_service.telemetry.log import Log
from job_service.telemetry.sink import LineSink

CAPACITY = 2_000_000
IN_ONE_GO = 500
MICROSECONDS = 1e6


@dataclass(slots=True)
class Running:
    """A running engine, its metrics, and the id of the last job that was left waiting."""

    queue: JobQueue
    metrics: Metrics
    last_waiting: str = ""

    async def complete(self, jobs: int, job_type: str = "noop") -> None:
        """Submit that many jobs, and return when they have completed."""
        wanted = self.metrics.snapshot().jobs_completed + jobs
        job_id = ""
        for _ in range(jobs):
            job_id = (await self.queue.submit(job_type)).id
        await self.queue.wait(job_id, 60)
        while self.metrics.snapshot().jobs_completed < wanted:
            await trio.lowlevel.checkpoint()

    async def leave_waiting(self, jobs: int, delay_seconds: float | None = None) -> None:
        """Submit that many jobs that wait: for their time, or because their type is paused."""
        await self.queue.pause("held")
        draft = self.queue.check("held", delay_seconds=delay_seconds)
        for _ in range(jobs // IN_ONE_GO):
            accepted = await self.queue.submit_all(itertools.repeat(draft, IN_ONE_GO))
            self.last_waiting = accepted[-1].id
            await trio.lowlevel.checkpoint()


@asynccontextmanager
async def running_engine(
    *, workers: int = 10, retain: int = 1_000, store: str = Settings.store
) -> AsyncIterator[Running]:
    """An engine that logs to a file; jobs that wait when the block is left stay in the `store`."""
    async with (
        ready_engine(workers=workers, retain=retain, store=store) as ready,
        trio.open_nursery() as nursery,
    ):
        await nursery.start(ready.engine.run)
        yield Running(ready.engine.queue, ready.metrics)
        ready.engine.stop("cancelled")


@dataclass(frozen=True, slots=True)
class Ready:
    """An engine whose store is open, and what it tells."""

    engine: Engine
    metrics: Metrics
    log: Log
    emit: Callable[[Event], None]


@asynccontextmanager
async def ready_engine(*, workers: int, retain: int, store: str) -> AsyncIterator[Ready]:
    """An engine that is about to run."""
    registry = Registry()

    @registry.job("noop")
    async def noop() -> None:
        pass

    @registry.job("yielding")
    async def yielding() -> None:
        await trio.lowlevel.checkpoint()

    @registry.job("held")
    async def held() -> None:
        pass

    with tempfile.TemporaryFile() as log_file, LineSink(os.dup(log_file.fileno())) as sink:
        log = Log(sink.write)
        metrics = Metrics(CAPACITY)
        history = History(metrics.live)
        emit = Emitter(history, metrics, log, Feed()).emit
        kept = make_store(Settings(store=store, queue_capacity=CAPACITY, retain=retain), emit)
        engine = Engine(registry, kept, emit, log.logger, workers=workers)
        async with kept.opened():
            yield Ready(engine, metrics, log, emit)


async def processor_time(act: Callable[[], Awaitable[object]], times: int) -> float:
    """The processor time of this thread for each call of `act`, in microseconds."""
    start = time.thread_time()
    for _ in range(times):
        await act()
    return (time.thread_time() - start) / times * MICROSECONDS
