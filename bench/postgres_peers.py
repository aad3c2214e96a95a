"""No-op jobs that wait in PostgreSQL, claimed and completed: against other libraries on it."""

import sys
import time
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from functools import partial
from typing import Final

from tests.stores.postgres.cluster import Cluster, why_there_is_none

from bench.engine import WORKERS
from bench.measure import Comparison, Figures, Goal, RateOf, Result
from bench.peers.environments import missing, python_of, title
from bench.peers.running import ROUND_SECONDS, PeerError, take_turns_with_peers
from bench.postgres_server import new_database, postgres_server
from bench.waiting_process import waiting_process

JOBS: Final = 10_000
POLL_SECONDS: Final = 0.01
ONE: Final = "one process, all telemetry on"
TWO: Final = "two processes, all telemetry on"

FILL: Final = "SELECT count(job_service.submit('noop')) FROM generate_series(1, %s)"
UNFINISHED: Final = """
    SELECT sum(jobs) > 0 FROM job_service.counts WHERE status IN ('pending', 'processing')
"""


@dataclass(frozen=True, slots=True)
class Peer:
    """A library at one of its settings, and the query that says whether jobs are left."""

    library: str
    setting: str
    arguments: Sequence[int]
    jobs: int
    unfinished: str
    at_least: float | None = None

    @property
    def side(self) -> str:
        """Its name in the table."""
        return f"{title(self.library)}, {self.setting}"

    def rate(self, cluster: Cluster) -> float:
        """Jobs per second, in a new database."""
        script = f"bench.peers.{self.library.partition('-')[0]}_postgres"
        with new_database(cluster) as url:
            arguments = [url, *map(str, (self.jobs, *self.arguments))]
            command = [python_of(self.library), "-m", script, *arguments]
            return _jobs_per_second(url, [command], self.jobs, self.unfinished)


def _pgqueuer(setting: str, batch: int, managers: int, at_least: float = 1.25) -> Peer:
    query = "SELECT EXISTS (SELECT FROM pgqueuer)"
    return Peer("pgqueuer", setting, [batch, managers], JOBS, query, at_least)


def _awa(workers: int, jobs: int) -> Peer:
    query = f"""
        SELECT {jobs} > (SELECT coalesce(sum(completed_count), 0)
                         FROM awa.receipt_completion_batches)
                      + (SELECT count(*) FROM awa.done_entries)
    """  # noqa: S608  # its view of them takes seconds
    return Peer("awa-pg", f"{workers} workers", [workers], jobs, query)


def _oban(limit: int) -> Peer:
    query = "SELECT EXISTS (SELECT FROM oban_jobs WHERE state <> 'completed')"
    return Peer("oban", f"{limit} at a time", [limit], 4_000, query)


PEERS: Final = [
    _pgqueuer("batches of 10", batch=10, managers=1, at_least=3),
    _pgqueuer("batches of 100", batch=100, managers=1),
    _pgqueuer("batches of 500", batch=500, managers=1),
    _pgqueuer("5 managers, batches of 10", batch=10, managers=5),
    _pgqueuer("5 managers, batches of 100", batch=100, managers=5),
    _awa(10, jobs=1_000),
    _awa(100, jobs=2_000),
    Peer(
        "procrastinate",
        f"{WORKERS} at a time",
        [WORKERS],
        1_000,
        "SELECT EXISTS (SELECT FROM procrastinate_jobs WHERE status IN ('todo', 'doing'))",
    ),
    _oban(10),
    _oban(100),
]


def engine_on_postgres_against_peers(rounds: int) -> Result:
    """Jobs per second, from the word to begin until the last is done."""
    name = f"Jobs that wait in PostgreSQL, {WORKERS} workers in each of our processes"
    if (why := why_there_is_none()) is not None:
        return Figures(name, "jobs per second", {}, skipped={"all of them": why})
    skipped = {peer.side: why for peer in PEERS if (why := missing(peer.library)) is not None}
    with postgres_server() as cluster:
        ours: dict[str, RateOf] = {
            ONE: partial(_our_rate, cluster, 1),
            TWO: partial(_our_rate, cluster, 2),
        }
        theirs: dict[str, RateOf] = {
            peer.side: partial(peer.rate, cluster) for peer in PEERS if peer.side not in skipped
        }
        sides, failed = take_turns_with_peers(ours, theirs, rounds)
    goals = {peer.side: Goal(at_least=peer.at_least) for peer in PEERS if peer.at_least is not None}
    return Comparison(
        name,
        "jobs per second",
        sides,
        goals={TWO: Goal(at_most=1), **goals},
        skipped=skipped | failed,
    )


def _our_rate(cluster: Cluster, processes: int) -> float:
    with new_database(cluster) as url:
        command = [sys.executable, "-m", "bench.postgres_waiting", url]
        return _jobs_per_second(url, [command] * processes, JOBS, UNFINISHED, FILL)


def _jobs_per_second(
    url: str,
    commands: Sequence[Sequence[str]],
    jobs: int,
    unfinished: str,
    fill: str | None = None,
) -> float:
    """What these processes achieve together; each is ready before the first begins."""
    import psycopg

    with ExitStack() as stack:
        workers = [stack.enter_context(waiting_process(command)) for command in commands]
        for worker in workers:
            worker.until_ready()
        connection = stack.enter_context(psycopg.connect(url, autocommit=True))
        if fill is not None:
            connection.execute(fill.encode(), [jobs])
        connection.execute("ANALYZE")  # as the server does within a minute
        start = time.perf_counter()
        for worker in workers:
            worker.begin()
        while connection.execute(unfinished.encode()).fetchone() == (True,):
            if time.perf_counter() > start + ROUND_SECONDS:
                raise PeerError(f"not done after {ROUND_SECONDS:.0f} s")
            for worker in workers:
                worker.require_running()
            time.sleep(POLL_SECONDS)
        return jobs / (time.perf_counter() - start)
