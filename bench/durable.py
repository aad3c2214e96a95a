"""What it costs to keep jobs in a file, beside jobs in memory: in the engine and over HTTP."""

import itertools
import os
import re
import sys
import tempfile
import time
from pathlib import Path

import trio

from bench.engine import WORKERS
from bench.http import (
    BATCH,
    BATCHES,
    WRK_SCRIPT,
    batched_jobs_per_second,
    check_all_completed,
    rate_in,
    wrk_report,
)
from bench.inprocess import running_engine
from bench.loopback import free_port, running
from bench.measure import Comparison, Figures, Goal, take_turns

JOBS = 5_000
IN_ONE_GO = 500
SECONDS = 2
MILLISECONDS = {"us": 0.001, "ms": 1.0, "s": 1_000.0}
FLUSHES = 200


def engine_on_file_against_memory(rounds: int) -> Comparison:
    """No-op jobs per second through the whole engine, each of them kept."""
    with tempfile.TemporaryDirectory() as folder:
        file = f"sqlite:{folder}/jobs.db"
        return Comparison(
            "Engine, 10 workers, each job durable",
            "jobs per second",
            take_turns(
                {
                    "in a file": lambda: trio.run(_jobs_per_second, file),
                    "in memory": lambda: trio.run(_jobs_per_second, "memory"),
                },
                rounds,
            ),
            goals={"in memory": Goal(at_least=0.5)},
        )


async def _jobs_per_second(store: str) -> float:
    async with running_engine(store=store) as engine:
        draft = engine.queue.check("noop")
        start = time.perf_counter()
        for _ in range(JOBS // IN_ONE_GO):
            await engine.queue.submit_all(itertools.repeat(draft, IN_ONE_GO))
        while engine.metrics.snapshot().jobs_completed < JOBS:
            await trio.sleep(0.001)
        return JOBS / (time.perf_counter() - start)


async def sent_one_by_one(store: str) -> float:
    """No-op jobs per second, each sent when the one before is kept, by as many as work."""
    async with running_engine(store=store) as engine:

        async def send() -> None:
            for _ in range(JOBS // WORKERS):
                await engine.queue.submit("noop")

        start = time.perf_counter()
        async with trio.open_nursery() as senders:
            for _ in range(WORKERS):
                senders.start_soon(send)
        while engine.metrics.snapshot().jobs_completed < JOBS:
            await trio.sleep(0.001)
        return JOBS / (time.perf_counter() - start)


def post_on_file_against_memory(connections: int, at_least: float, rounds: int) -> Comparison:
    """Requests per second of `POST /jobs`, answered when the job is kept."""
    with tempfile.TemporaryDirectory() as folder:
        script = Path(folder) / "post.lua"
        script.write_text(WRK_SCRIPT)
        file, memory = free_port(), free_port()

        def rate(port: int) -> float:
            found = rate_in(wrk_report(port, script, SECONDS, connections))
            check_all_completed(port)
            return found

        with (
            running(_service(file, Path(folder) / "jobs.db"), file, Path(folder) / "file.log"),
            running(_service(memory), memory, Path(folder) / "memory.log"),
        ):
            sides = take_turns(
                {"in a file": lambda: rate(file), "in memory": lambda: rate(memory)}, rounds
            )
    return Comparison(
        f"POST /jobs, durable, {connections} connections",
        "requests per second",
        sides,
        goals={"in memory": Goal(at_least=at_least)},
    )


def durable_batches(rounds: int) -> Figures:
    """Durable jobs per second in batches, accepted and completed."""
    with tempfile.TemporaryDirectory() as folder:
        port = free_port()
        service = _service(port, Path(folder) / "jobs.db", capacity=2 * BATCH)
        with running(service, port, Path(folder) / "service.log"):
            rows = take_turns({BATCHES: lambda: batched_jobs_per_second(port)}, rounds)
    return Figures(
        "Batches, durable, accepted and completed",
        "jobs per second",
        rows,
        goals={BATCHES: Goal(at_least=15_000)},
    )


def durable_latency(rounds: int) -> Figures:
    """The 99th percentile of `POST /jobs` at 32 connections, and of the disk's own flush."""
    with tempfile.TemporaryDirectory() as folder:
        script = Path(folder) / "post.lua"
        script.write_text(WRK_SCRIPT)
        file, memory = free_port(), free_port()
        with (
            running(_service(file, Path(folder) / "jobs.db"), file, Path(folder) / "file.log"),
            running(_service(memory), memory, Path(folder) / "memory.log"),
        ):
            rows = take_turns(
                {
                    "POST /jobs, in a file": lambda: _late(wrk_report(file, script, SECONDS)),
                    "POST /jobs, in memory": lambda: _late(wrk_report(memory, script, SECONDS)),
                    "the disk's fdatasync": lambda: _flush_milliseconds(Path(folder)),
                },
                rounds,
            )
    return Figures("Latency of a durable submission, p99", "milliseconds", rows)


def _service(port: int, database: Path | None = None, capacity: int = BATCH) -> list[str]:
    store = "memory" if database is None else f"sqlite:{database}"
    return [
        *(sys.executable, "-m", "job_service", "--port", str(port), "--log-format", "json"),
        *("--queue-capacity", str(capacity), "--store", store),
    ]


def _late(report: str) -> float:
    found = re.search(r"99%\s+([\d.]+)(us|ms|s)", report)
    assert found is not None, report
    return float(found[1]) * MILLISECONDS[found[2]]


def _flush_milliseconds(folder: Path) -> float:
    times = []
    with tempfile.TemporaryFile(dir=folder) as file:
        for _ in range(FLUSHES):
            file.write(b"x" * 4_096)
            file.flush()
            start = time.perf_counter()
            os.fdatasync(file.fileno())
            times.append(time.perf_counter() - start)
    return sorted(times)[FLUSHES * 99 // 100] * 1_000
