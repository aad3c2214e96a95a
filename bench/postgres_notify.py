"""How long it takes from the commit of any program until a process starts the job."""

import random
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Final

import msgspec
from tests.stores.postgres.cluster import why_there_is_none

from bench.arrivals import percentile
from bench.latency import MILLISECONDS, Line
from bench.loopback import free_port, running
from bench.measure import Figures, Goal, show_progress
from bench.postgres_server import postgres_server

PROCESSES: Final = 2
JOBS: Final = 300
MEAN_PAUSE_SECONDS: Final = 0.05
SETTLE_SECONDS: Final = 1.0
GOALS: Final = {"p50": Goal(at_most=20), "p99": Goal(at_most=100)}
SHARES: Final = {"p50": 0.5, "p99": 0.99}


def commit_to_start(rounds: int) -> Figures:
    """Of jobs that are submitted in SQL, one by one at random moments, to idle processes."""
    name = f"PostgreSQL, from commit to job_started, {PROCESSES} processes that listen"
    if (why := why_there_is_none()) is not None:
        return Figures(name, "ms", {}, skipped={"all of it": why})
    rows: dict[str, list[float]] = {share: [] for share in SHARES}
    with postgres_server() as cluster, services(url := cluster.new_database(), PROCESSES) as logs:
        for turn in range(rounds):
            show_progress(f"round {turn + 1} of {rounds}")
            committed = _submit(url)
            time.sleep(SETTLE_SECONDS)
            waited = _waited(committed, logs)
            for row, share in SHARES.items():
                rows[row].append(percentile(waited, share))
    show_progress("")
    return Figures(name, "ms", rows, goals=GOALS)


@contextmanager
def services(url: str, number: int) -> Iterator[list[Path]]:
    """So many services on this database, by their logs."""
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        logs = [folder / str(each) for each in range(number)]
        for log in logs:
            port = free_port()
            command = [sys.executable, "-m", "job_service", "--port", str(port)]
            command += ["--log-format", "json", "--store", url]
            stack.enter_context(running(command, port, log))
        yield logs


def _submit(url: str) -> dict[str, float]:
    """When each job was about to be committed, by its id."""
    import psycopg

    committed: dict[str, float] = {}
    with psycopg.connect(url) as connection:
        for _ in range(JOBS):
            time.sleep(random.expovariate(1 / MEAN_PAUSE_SECONDS))
            found = connection.execute("SELECT job_service.submit('echo')").fetchone()
            assert found is not None
            committed[found[0]] = time.time()
            connection.commit()
    return committed


def _waited(committed: dict[str, float], logs: list[Path]) -> list[float]:
    """The milliseconds until each of the jobs started."""
    decoder = msgspec.json.Decoder(Line)
    lines = [
        decoder.decode(text)
        for log in logs
        for text in log.read_bytes().splitlines()
        if b'"job_started"' in text
    ]
    waited = [
        (line.timestamp.timestamp() - committed[line.job_id]) * MILLISECONDS
        for line in lines
        if line.job_id in committed
    ]
    assert len(waited) == len(committed), f"{len(waited)} of {len(committed)} jobs have started"
    return waited
