"""What a job takes on the disk of a PostgreSQL server, and in its write-ahead log."""

import sys
import time

from tests.stores.postgres.cluster import why_there_is_none

from bench.measure import Figures
from bench.postgres_peers import FILL, JOBS, UNFINISHED
from bench.postgres_server import new_database, postgres_server
from bench.waiting_process import waiting_process

_SIZE = """
    SELECT pg_total_relation_size(%s::regclass) / count::float FROM (
        SELECT count(*) FROM job_service.{table}
    ) AS jobs
"""
_WRITTEN = "SELECT pg_current_wal_insert_lsn() - '0/0'::pg_lsn"


def bytes_of_a_job(_: int) -> Figures:
    """Of no-op jobs without payload: while they wait, when they have ended, and on the way."""
    import psycopg

    name = f"{JOBS:,} no-op jobs in PostgreSQL, for each of them"
    if (why := why_there_is_none()) is not None:
        return Figures(name, "bytes", {}, skipped={"all of it": why})
    command = [sys.executable, "-m", "bench.postgres_waiting"]
    with (
        postgres_server() as cluster,
        new_database(cluster) as url,
        waiting_process([*command, url]) as process,
        psycopg.connect(url, autocommit=True) as connection,
    ):

        def told(query: str, *values: object) -> float:
            row = connection.execute(query.encode(), values or None).fetchone()
            assert row is not None
            return float(row[0])

        process.until_ready()
        before = told(_WRITTEN)
        connection.execute(FILL.encode(), [JOBS])
        waits, submitted = told(_SIZE.format(table="jobs"), "job_service.jobs"), told(_WRITTEN)
        process.begin()
        while connection.execute(UNFINISHED.encode()).fetchone() == (True,):
            time.sleep(0.05)
        written = told(_WRITTEN)
        ended = told(_SIZE.format(table="finished"), "job_service.finished")
    rows = {
        "with its indexes, while it waits": waits,
        "with its indexes, when it has ended": ended,
        "of the write-ahead log, to submit it": (submitted - before) / JOBS,
        "of the write-ahead log, to run it": (written - submitted) / JOBS,
    }
    return Figures(name, "bytes", {row: [value] for row, value in rows.items()})
