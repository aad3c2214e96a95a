"""No-op jobs through the whole engine, with all telemetry on, against a bare Trio channel."""

import os
import tempfile
import time
from collections.abc import Callable
from contextlib import ExitStack

import trio

from bench.measure import Comparison, Goal, take_turns
from job_service import Registry, Settings
from job_service.jobs.running.engine import Engine
from job_service.jobs.running.worker import job_of_frame
from job_service.stores.memory import MemoryStore
from job_service.telemetry.counting import Metrics
from job_service.telemetry.emitter import Emitter
from job_service.telemetry.feed import Feed
from job_service.telemetry.history import History
from job_service.telemetry.log import Log
from job_service.telemetry.sink import LineSink
from job_service.telemetry.watchdog import Watchdog

WORKERS = 10
JOBS = 5_000
BATCH = 500
POLL_SECONDS = 0.002


def engine_against_channel(rounds: int) -> Comparison:
    """Jobs per second and items per second, with the same number of workers."""
    return Comparison(
        f"Engine, {WORKERS} workers",
        "jobs or items per second",
        take_turns(
            {
                "engine, all telemetry on": lambda: trio.run(jobs_per_second),
                "bare Trio channel": lambda: trio.run(_items_per_second),
            },
            rounds,
        ),
        goals={"bare Trio channel": Goal(at_least=0.30)},
    )


async def _items_per_second() -> float:
    to_workers, from_sender = trio.open_memory_channel[int](0)

    async def work(items: trio.MemoryReceiveChannel[int]) -> None:
        async with items:
            async for _ in items:
                pass

    start = time.perf_counter()
    async with trio.open_nursery() as nursery, to_workers:
        async with from_sender:
            for _ in range(WORKERS):
                nursery.start_soon(work, from_sender.clone())
        for item in range(JOBS):
            await to_workers.send(item)
    return JOBS / (time.perf_counter() - start)


async def jobs_per_second(watched: bool = True) -> float:
    """How many no-op jobs the engine runs in a second, with the stall watchdog or without."""
    registry = Registry()

    @registry.job("noop")
    async def noop() -> None:
        pass

    with (
        tempfile.TemporaryFile() as log_file,
        LineSink(os.dup(log_file.fileno())) as sink,
        ExitStack() as watch,
    ):
        log = Log(sink.write)
        metrics = Metrics(queue_capacity=2 * BATCH)
        history = History(metrics.live)
        emit = Emitter(history, metrics, log, Feed()).emit
        watchdog = Watchdog(
            Settings.stall_threshold, warn=log.observe, emit=emit, job_of_frame=job_of_frame
        )
        store = MemoryStore(emit, capacity=2 * BATCH, retain=1_000)
        engine = Engine(registry, store, emit, log.logger, workers=WORKERS)
        async with trio.open_nursery() as nursery:
            await nursery.start(engine.run)
            if watched:
                watch.enter_context(watchdog)
            start = time.perf_counter()
            for _ in range(JOBS // BATCH):
                await _until(lambda: metrics.snapshot().jobs_pending < BATCH)
                for _ in range(BATCH):
                    await engine.queue.submit("noop")
            await _until(lambda: metrics.snapshot().jobs_completed == JOBS)
            seconds = time.perf_counter() - start
            engine.drain(grace_seconds=10)
        sink.flush()
        assert sink.take_dropped() == 0
    return JOBS / seconds


async def _until(holds: Callable[[], bool]) -> None:
    while not holds():
        await trio.sleep(POLL_SECONDS)
