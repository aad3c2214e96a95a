"""Jobs that compute, each in a process, on two cores against the same on one."""

import json
import os
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from urllib.request import Request, urlopen

from bench.loopback import free_port, running, url
from bench.measure import Comparison, Goal, take_turns
from job_service import Registry

WORKERS = 2
JOBS = 20
TURNS = 1_500_000  # of a short loop, about 100 ms
WAIT_SECONDS = 60

registry = Registry()


@registry.job("compute", runs_in="process")
def compute() -> int:
    """Keep one core busy."""
    total = 0
    for turn in range(TURNS):
        total += turn
    return total


def two_cores_against_one(rounds: int) -> Comparison:
    """Jobs per second of a service that may use two cores, and of one that may use one."""
    with _service(cores=2) as two, _service(cores=1) as one:
        sides = take_turns(
            {
                "two cores": lambda: _jobs_per_second(two),
                "one core": lambda: _jobs_per_second(one),
            },
            rounds,
        )
    return Comparison(
        f"Jobs in processes, {WORKERS} workers",
        "jobs per second",
        sides,
        goals={"one core": Goal(at_least=1.8)},
    )


@contextmanager
def _service(*, cores: int) -> Iterator[int]:
    """A service, by its port, that may use so many cores together with its processes."""
    port = free_port()
    allowed = ",".join(map(str, sorted(os.sched_getaffinity(0))[:cores]))
    command = ["taskset", "--cpu-list", allowed, sys.executable, "-m", "job_service"]
    command += ["--port", str(port), "--log-format", "json", "--workers", str(WORKERS)]
    command += ["--jobs", "bench.processes:registry"]
    with tempfile.TemporaryDirectory() as folder, running(command, port, Path(folder) / "log"):
        yield port


def _jobs_per_second(port: int) -> float:
    batch = Request(  # noqa: S310  # our own loopback server
        url(port, "/jobs/batch"),
        b'{"type":"compute"}\n' * JOBS,
        {"Content-Type": "application/x-ndjson"},
    )
    start = time.perf_counter()
    with urlopen(batch) as response:  # noqa: S310
        ids = json.load(response)["ids"]
    for job_id in ids[-WORKERS:]:
        with urlopen(url(port, f"/jobs/{job_id}?wait={WAIT_SECONDS}")) as response:  # noqa: S310
            assert json.load(response)["status"] == "completed"
    return JOBS / (time.perf_counter() - start)
