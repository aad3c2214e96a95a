"""What a job, a list of jobs and the metrics cost as workers, waiting and kept jobs grow."""

from collections.abc import Awaitable, Callable, Mapping
from contextlib import AsyncExitStack

import msgspec
import trio

from bench.inprocess import Running, processor_time, running_engine
from bench.measure import Growth, show_progress

WORKERS = (1, 10, 100, 1_000)
WAITING = (0, 1_000, 10_000, 100_000, 1_000_000)
RETAINED = (100, 1_000, 10_000, 100_000)
JOBS = 1_000
READS = 50
DAY_SECONDS = 86_400.0

Cost = Callable[[Running], Awaitable[float]]
Lines = dict[str, dict[int, list[float]]]


def growth_with_workers(rounds: int) -> Growth:
    """By workers, from 1 to 1,000: no-op jobs, and jobs that take a turn of the loop."""
    return _growth("workers", trio.run(_with_workers, rounds))


def growth_with_waiting_jobs(rounds: int) -> Growth:
    """By waiting jobs, up to a million: of a paused type, or not due before tomorrow."""
    return _growth("waiting jobs", trio.run(_with_waiting_jobs, rounds))


def growth_with_retained_jobs(rounds: int) -> Growth:
    """By finished jobs that are kept, from 100 to 100,000; each new one displaces the oldest."""
    return _growth("retained jobs", trio.run(_with_retained_jobs, rounds))


def _growth(across: str, lines: Lines) -> Growth:
    return Growth(f"Cost by {across}", across, "processor time, µs", lines)


async def _with_workers(rounds: int) -> Lines:
    async with AsyncExitStack() as stack:
        engines = {
            workers: await stack.enter_async_context(running_engine(workers=workers))
            for workers in WORKERS
        }
        return await _take_turns(
            {
                "a no-op job": (engines, _job),
                "a job of one turn of the loop": (engines, _yielding_job),
                "GET /metrics": (engines, _metrics),
            },
            rounds,
        )


async def _with_waiting_jobs(rounds: int) -> Lines:
    async with AsyncExitStack() as stack:
        ready, scheduled = [
            {amount: await stack.enter_async_context(running_engine()) for amount in WAITING}
            for _ in range(2)
        ]
        for amount in WAITING:
            show_progress(f"leaving {amount:,} jobs waiting")
            await ready[amount].leave_waiting(amount)
            await scheduled[amount].leave_waiting(amount, DAY_SECONDS)
        lines = await _take_turns(
            {
                "a job, others ready": (ready, _job),
                "a job, others scheduled": (scheduled, _job),
                "GET /jobs": (ready, _first_page),
                "GET /jobs?status=failed": (ready, _failed),
                "GET /jobs/ID of the last": (
                    {amount: running for amount, running in ready.items() if amount},
                    _last_waiting,
                ),
                "GET /metrics": (ready, _metrics),
            },
            rounds,
        )
        show_progress("abandoning them")
    show_progress("")
    return lines


async def _with_retained_jobs(rounds: int) -> Lines:
    async with AsyncExitStack() as stack:
        engines = {
            retained: await stack.enter_async_context(running_engine(retain=retained))
            for retained in RETAINED
        }
        for retained, running in engines.items():
            show_progress(f"completing {retained:,} jobs")
            for _ in range(max(1, retained // JOBS)):
                await running.complete(JOBS)
        return await _take_turns(
            {
                "a job": (engines, _job),
                "GET /jobs": (engines, _first_page),
                "GET /jobs?status=failed": (engines, _failed),
                "GET /metrics": (engines, _metrics),
            },
            rounds,
        )


async def _take_turns(
    lines: Mapping[str, tuple[Mapping[int, Running], Cost]], rounds: int
) -> Lines:
    """Measure each point once to warm up and then `rounds` times, one after the other."""
    values: Lines = {
        line: {amount: [] for amount in engines} for line, (engines, _) in lines.items()
    }
    for turn in range(rounds + 1):
        for line, (engines, cost) in lines.items():
            for amount, running in engines.items():
                show_progress(f"{line} at {amount:,}, round {turn} of {rounds}")
                value = await cost(running)
                if turn:
                    values[line][amount].append(value)
    show_progress("")
    return values


async def _job(running: Running) -> float:
    return await processor_time(lambda: running.complete(JOBS), 1) / JOBS


async def _yielding_job(running: Running) -> float:
    return await processor_time(lambda: running.complete(JOBS, "yielding"), 1) / JOBS


async def _first_page(running: Running) -> float:
    async def read() -> bytes:
        return msgspec.json.encode(await running.queue.list(limit=100))

    return await processor_time(read, READS)


async def _failed(running: Running) -> float:
    async def read() -> bytes:
        return msgspec.json.encode(await running.queue.list(status="failed", limit=100))

    return await processor_time(read, READS)


async def _last_waiting(running: Running) -> float:
    async def read() -> bytes:
        return msgspec.json.encode(await running.queue.get(running.last_waiting))

    return await processor_time(read, READS)


async def _metrics(running: Running) -> float:
    async def read() -> bytes:
        return msgspec.json.encode(running.metrics.snapshot())

    return await processor_time(read, READS)
