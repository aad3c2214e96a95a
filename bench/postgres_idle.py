"""What processes that have nothing to do cost the server that they share."""

import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

from tests.stores.postgres.cluster import Cluster, why_there_is_none

from bench import footprint
from bench.measure import Figures, show_progress
from bench.postgres_server import pids_of, postgres_server, seconds_computed

PROCESSES: Final = 100
CONNECTIONS: Final = 5  # of each
AT_ONCE: Final = 10  # so that none waits for the processor for longer than its lease
SETTLE_SECONDS: Final = 20.0
SECONDS: Final = 10.0
KIB: Final = 1_024

_STATE: Final = """
    SELECT (SELECT count(*) FROM pg_stat_activity WHERE datname = current_database()),
        (SELECT xact_commit + xact_rollback FROM pg_stat_database
            WHERE datname = current_database()),
        pg_current_wal_lsn() - '0/0'::pg_lsn
"""


def idle_processes(rounds: int) -> Figures:
    """In each round of ten seconds: what a hundred services do to the server."""
    name = f"{PROCESSES} idle processes on one PostgreSQL server"
    if (why := why_there_is_none()) is not None:
        return Figures(name, "in each second", {}, skipped={"all of it": why})
    rows: dict[str, list[float]] = {}
    with postgres_server(max_connections=str(PROCESSES * CONNECTIONS + 20)) as cluster:
        url = cluster.new_database()
        without = _memory(cluster)
        with _services(cluster, url) as services:
            time.sleep(SETTLE_SECONDS)
            for turn in range(rounds):
                show_progress(f"round {turn + 1} of {rounds}")
                for row, value in _observed(cluster, url, services).items():
                    rows.setdefault(row, []).append(value)
            rows["MiB of the server's memory"] = [_memory(cluster) - without]
            rows["MiB of each process"] = [sum(map(footprint.mebibytes, services)) / PROCESSES]
    show_progress("")
    return Figures(name, "in each second, or at that time", rows)


@contextmanager
def _services(cluster: Cluster, url: str) -> Iterator[list[int]]:
    """So many services, by their process ids."""
    service = [sys.executable, "-m", "job_service", "--store", url]
    subprocess.run([*service, "migrate"], check=True, stdout=subprocess.DEVNULL)
    database = _name_of(url)
    quiet = subprocess.DEVNULL
    processes: list[subprocess.Popen[bytes]] = []
    try:
        for started in range(0, PROCESSES, AT_ONCE):
            show_progress(f"{started} of {PROCESSES} processes have started")
            processes += [
                subprocess.Popen([*service, "--port", "0"], stdout=quiet, stderr=quiet)
                for _ in range(AT_ONCE)
            ]
            nodes = "SELECT count(*) FROM job_service.nodes WHERE job_types <> '{}'"
            while cluster.execute(nodes, database) != [(len(processes),)]:
                assert all(process.poll() is None for process in processes)
                time.sleep(0.2)
        yield [process.pid for process in processes]
    finally:
        for process in processes:
            process.kill()
        for process in processes:
            process.wait()


def _observed(cluster: Cluster, url: str, services: list[int]) -> dict[str, float]:
    database = _name_of(url)
    [(_, transactions, written)] = cluster.execute(_STATE, database)
    computed, by_services = (
        seconds_computed(cluster),
        sum(map(footprint.seconds_computed, services)),
    )
    began = time.perf_counter()
    time.sleep(SECONDS)
    seconds = time.perf_counter() - began
    computed = seconds_computed(cluster) - computed
    by_services = sum(map(footprint.seconds_computed, services)) - by_services
    [(connections, more_transactions, more_written)] = cluster.execute(_STATE, database)
    return {
        "connections": connections - 1,
        "transactions": (more_transactions - transactions) / seconds,
        "KiB of the server's write-ahead log": float(more_written - written) / KIB / seconds,
        "seconds of the server's processor": computed / seconds,
        "seconds of the processor, each process": by_services / seconds / len(services),
    }


def _memory(cluster: Cluster) -> float:
    return sum(map(footprint.mebibytes, pids_of(cluster)))


def _name_of(url: str) -> str:
    return url.partition("@/")[2].partition("?")[0]
