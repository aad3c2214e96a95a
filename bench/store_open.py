"""How long a store in a file takes to be open if a million jobs wait in it, and its memory then."""

import json
import os
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path

import uuid_utils

from bench.loopback import free_port, running
from bench.measure import Figures, Goal, show_progress
from bench.memory import MIB, resident
from job_service.jobs.state.model import Job
from job_service.stores.sqlite.job_file import JobFile
from job_service.stores.sqlite.records import batch_of
from job_service.stores.sqlite.rows import Batch
from job_service.stores.unit_of_work import UnitOfWork

JOBS = 1_000_000
BATCH = 20_000
START_SECONDS = 300.0

PAYLOAD = json.dumps({"to": "ada@example.com", "subject": "Your order", "text": "x" * 140}).encode()


def open_with_a_million_jobs(rounds: int) -> Figures:
    """Seconds from the start of a process to its `service_started`, and its memory then."""
    rows: dict[str, list[float]] = {}
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "jobs.db"
        show_progress(f"writing {JOBS:,} jobs")
        _fill(file)
        for turn in range(1, rounds + 1):
            show_progress(f"opening a store, round {turn} of {rounds}")
            for row, value in _open(file).items():
                rows.setdefault(row, []).append(value)
    show_progress("")
    return Figures(
        f"A store with {JOBS:,} waiting jobs of {len(PAYLOAD)} bytes",
        "seconds, and MiB",
        rows,
        goals={"start to ready, seconds": Goal(at_most=20)},
    )


def _fill(path: Path) -> None:
    with closing(JobFile.open(path)) as file:
        file.write(Batch(pauses=[("", True)]))  # so that all of them still wait when it is open
        for _ in range(JOBS // BATCH):
            unit = UnitOfWork()
            unit.created = list(_jobs(BATCH))
            unit.jobs = {job.id: job for job in unit.created}
            file.write(batch_of([unit], keyed=()))


def _jobs(number: int) -> Iterator[Job]:
    for _ in range(number):
        now = datetime.now(UTC)
        yield Job(str(uuid_utils.uuid7()), "echo", PAYLOAD, 3, created_at=now, run_at=now)


def _open(file: Path) -> dict[str, float]:
    port, log = free_port(), file.with_suffix(".log")
    command = [sys.executable, "-m", "job_service", "--port", str(port), "--log-format", "json"]
    command += ["--store", f"sqlite:{file}"]
    start = time.perf_counter()
    with running(command, port, log) as pid:
        while b'"service_started"' not in log.read_bytes():
            assert time.perf_counter() < start + START_SECONDS, log.read_text()
            time.sleep(0.02)
        seconds = time.perf_counter() - start
        assert f'"jobs_pending":{JOBS},' in log.read_text()
        return {
            "start to ready, seconds": seconds,
            "of these, of the processor": _processor_seconds(pid),
            "resident memory then, MiB": resident(pid) / MIB,
        }


def _processor_seconds(pid: int) -> float:
    of_user, of_system = Path(f"/proc/{pid}/stat").read_text().split()[13:15]
    return (int(of_user) + int(of_system)) / os.sysconf("SC_CLK_TCK")
