"""What a job costs in PostgreSQL as others pile up, and what a long run leaves in the tables."""

import time
from collections.abc import Sequence
from typing import TYPE_CHECKING, Final

from tests.stores.postgres.cluster import why_there_is_none

from bench.measure import Figures, Growth, Result, show_progress
from bench.postgres import JOBS, jobs_per_second
from bench.postgres_notify import services
from bench.postgres_server import postgres_server

if TYPE_CHECKING:
    import psycopg

WAITING: Final = (0, 10_000, 100_000, 1_000_000)
FINISHED: Final = (0, 100_000, 1_000_000, 10_000_000)
IN_ONE_GO: Final = 100_000
SOAK_SECONDS: Final = 240
SOAK_EVERY: Final = 20
JOBS_PER_SECOND: Final = 500
MIB: Final = 1_048_576

# Half of them are ready, of a type that is paused; the others are not due before tomorrow.
_WAIT: Final = """
    INSERT INTO job_service.jobs
        (id, type, status, priority, created_at, run_at, bytes, record, payload)
    SELECT id, type, 'pending', 5, now(), run_at, 4, json_build_object(
            'version', 1, 'id', id, 'type', type, 'status', 'pending', 'max_retries', 3,
            'created_at', '2026-01-01T00:00:00Z', 'run_at', '2026-01-01T00:00:00Z'
        ), 'null'
    FROM (
        SELECT gen_random_uuid()::text AS id, CASE mod(n, 2) WHEN 0 THEN 'held' ELSE 'noop' END,
            now() + CASE mod(n, 2) WHEN 0 THEN '0 days' ELSE '1 day' END::interval
        FROM generate_series(1, %s) AS n
    ) AS new (id, type, run_at)
"""
_FINISH: Final = """
    INSERT INTO job_service.finished
        (id, type, status, priority, created_at, run_at, finished_at, record, payload, result)
    SELECT id, 'noop', 'completed', 5, now(), now(), now(), json_build_object(
            'version', 1, 'id', id, 'type', 'noop', 'status', 'completed', 'max_retries', 3,
            'created_at', '2026-01-01T00:00:00Z', 'run_at', '2026-01-01T00:00:00Z',
            'finished_at', '2026-01-01T00:00:00Z'
        ), 'null', 'null'
    FROM (SELECT gen_random_uuid()::text FROM generate_series(1, %s)) AS new (id)
"""
_SUBMIT: Final = "SELECT count(job_service.submit('echo')) FROM generate_series(1, %s)"
_STATE: Final = """
    SELECT 'dead rows of ' || relname, pg_stat_get_dead_tuples(relid)
    FROM pg_stat_user_tables WHERE relname IN ('jobs', 'finished', 'counts')
    UNION ALL
    SELECT 'MiB of ' || relname, pg_total_relation_size(relid)::float / %s
    FROM pg_stat_user_tables WHERE relname IN ('jobs', 'finished', 'counts')
    ORDER BY 1
"""


def growth_on_postgres(rounds: int) -> Result:
    """What a job costs, submitted, claimed and completed, while ever more others are there."""
    name, unit = "PostgreSQL, processor time of a job", "processor time, µs"
    if (why := why_there_is_none()) is not None:
        return Figures(name, unit, {}, skipped={"all of it": why})
    lines: dict[str, dict[int, list[float]]] = {}
    _measure("wait", _WAIT, WAITING, rounds, lines)
    _measure("are kept", _FINISH, FINISHED, rounds, lines)
    return Growth(name, "other jobs", unit, lines)


def soak_on_postgres(rounds: int) -> Result:
    """Dead rows and sizes of tables while jobs come and go, and 10,000 are kept."""
    name, unit = f"PostgreSQL, {JOBS_PER_SECOND} jobs a second", "rows, and MiB with indexes"
    if (why := why_there_is_none()) is not None:
        return Figures(name, unit, {}, skipped={"all of it": why})
    lines: dict[str, dict[int, list[float]]] = {}
    for _ in range(rounds):
        _soak(lines)
    show_progress("")
    return Growth(name, "seconds", unit, lines)


def _measure(
    doing: str,
    fill: str,
    amounts: Sequence[int],
    rounds: int,
    lines: dict[str, dict[int, list[float]]],
) -> None:
    """Each amount in its turn, because so many jobs can't be there several times."""
    import psycopg

    with postgres_server(max_wal_size="4GB") as cluster:
        url = cluster.new_database()
        with services(url, 1):
            pass  # which makes the tables
        with psycopg.connect(url, autocommit=True) as connection:
            connection.execute("INSERT INTO job_service.pauses VALUES ('held')")
            before = 0
            for amount in amounts:
                show_progress(f"{amount:,} {doing}")
                _fill(connection, fill, amount - before)
                before = amount

                def note(of: str, seconds: float, amount: int = amount) -> None:
                    line = f"{of}, others {doing}"
                    costs = lines.setdefault(line, {}).setdefault(amount, [])
                    costs.append(seconds / JOBS * 1e6)

                jobs_per_second(cluster, url, 1, lambda *_: None, retain=2 * FINISHED[-1])
                for _ in range(rounds):
                    jobs_per_second(cluster, url, 1, note, retain=2 * FINISHED[-1])
    show_progress("")


def _fill(connection: "psycopg.Connection[tuple[object, ...]]", fill: str, jobs: int) -> None:
    for done in range(0, jobs, IN_ONE_GO):
        connection.execute(fill.encode(), [min(IN_ONE_GO, jobs - done)])
    connection.execute("VACUUM ANALYZE")  # as the server does within a minute
    connection.execute("CHECKPOINT")


def _soak(lines: dict[str, dict[int, list[float]]]) -> None:
    import psycopg

    with (
        postgres_server(autovacuum_naptime="5s") as cluster,
        services(url := cluster.new_database(), 1),
        psycopg.connect(url, autocommit=True) as connection,
    ):
        began = time.monotonic()
        submitted = 0
        for until in range(SOAK_EVERY, SOAK_SECONDS + 1, SOAK_EVERY):
            show_progress(f"{until - SOAK_EVERY} of {SOAK_SECONDS} seconds")
            while (elapsed := time.monotonic() - began) < until:
                due = int(elapsed * JOBS_PER_SECOND) - submitted
                connection.execute(_SUBMIT.encode(), [due])
                submitted += due
                time.sleep(0.05)
            for line, value in connection.execute(_STATE.encode(), [MIB]).fetchall():
                lines.setdefault(line, {}).setdefault(until, []).append(float(value))
