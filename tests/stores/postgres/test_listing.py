"""A page costs the same however many jobs are kept, as the server's own account of it says."""

from typing import Any

import psycopg
import pytest
import trio
from psycopg.pq import TransactionStatus

from job_service.jobs.state.job_filter import JobFilter
from job_service.stores.postgres import listing
from job_service.stores.postgres.connection import Connection, connect
from job_service.stores.postgres.listing import Listing
from tests.stores.postgres.cluster import TEMPLATE, Cluster
from tests.stores.sought import SOUGHT

FILL = """
    INSERT INTO job_service.finished
        (id, type, status, priority, created_at, run_at, finished_at, error, record, payload)
    SELECT lpad(to_hex(n), 8, '0') || '-0000-7000-8000-000000000000',
        CASE mod(n, 3) WHEN 0 THEN 'letter' ELSE 'email' END,
        CASE mod(n, 100) WHEN 0 THEN 'failed' ELSE 'completed' END,
        5, now(), now(), now(), CASE mod(n, 100) WHEN 0 THEN 'no' END,
        json_build_object(
            'version', 1, 'id', n::text, 'type', 'email', 'status', 'completed', 'max_retries', 3,
            'created_at', '2026-01-01T00:00:00Z', 'run_at', '2026-01-01T00:00:00Z'
        )::text, '{}'
    FROM generate_series(%(behind)s::int, %(upto)s::int) AS n;
"""
LABEL = "INSERT INTO job_service.labels SELECT 'tag:all', id FROM job_service.finished"


class Watched:
    """A connection that has the server explain what it is asked, and counts the rows it took."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection
        self.begin = connection.begin
        self.execute = connection.execute
        self.rows = 0
        self.scans: set[str] = set()

    async def named(self, statement: str, values: Any) -> Any:
        """Do it twice."""
        explain = f"EXPLAIN (ANALYZE, TIMING OFF, FORMAT JSON) {statement}"
        ((found,),) = await self._connection.named(explain, values)
        self._add(found[0]["Plan"])
        return await self._connection.named(statement, values)

    def _add(self, plan: dict[str, Any]) -> None:
        table = plan.get("Relation Name")
        if table in ("jobs", "finished", "labels"):
            self.scans.add(plan["Node Type"])
            removed = plan.get("Rows Removed by Filter", 0)
            self.rows += (plan["Actual Rows"] + removed) * plan["Actual Loops"]
        for part in plan.get("Plans", ()):
            self._add(part)


@pytest.mark.slow
@pytest.mark.parametrize("newest_first", [False, True])
async def test_a_page_costs_the_same_however_many_jobs_are_kept(
    cluster: Cluster, newest_first: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """No table is read from end to end, and no index is."""
    monkeypatch.setattr(listing, "LOOKS_AT_IDS", 12)
    monkeypatch.setattr(listing, "LOOKS_AT_ROWS", 12)
    database = cluster.new_database(TEMPLATE)
    taken = [await _taken(database, wanted, newest_first=newest_first) for wanted in SOUGHT]
    assert taken == [0] * len(SOUGHT)
    fill(database, 0, 2_000)
    few = [await _taken(database, wanted, newest_first=newest_first) for wanted in SOUGHT]
    fill(database, 2_001, 12_000)
    many = [await _taken(database, wanted, newest_first=newest_first) for wanted in SOUGHT]
    for wanted, rows_of_few, rows_of_many in zip(SOUGHT, few, many, strict=True):
        assert rows_of_many <= 1.3 * rows_of_few + 50, wanted


async def test_a_page_that_nobody_waits_for_leaves_no_transaction_open(
    cluster: Cluster, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Else the next one would begin in the middle of it."""
    connection = await connect(cluster.new_database(TEMPLATE))
    begin, scope = connection.begin, trio.CancelScope()

    async def begin_in_vain(more: str) -> None:
        await begin(more)
        scope.cancel()

    monkeypatch.setattr(connection, "begin", begin_in_vain)
    page = Listing(JobFilter(), after=None, limit=20, newest_first=True)
    with scope:
        await page.read(connection)
    assert scope.cancelled_caught
    assert connection.info.transaction_status == TransactionStatus.IDLE
    await connection.close()


def fill(database: str, behind: int, upto: int) -> None:
    """Jobs of these numbers, of two types; every hundredth has failed, and the others completed."""
    with psycopg.connect(database) as connection:
        connection.execute(FILL, {"behind": behind, "upto": upto})
        connection.execute(f"{LABEL} ON CONFLICT DO NOTHING")
        connection.commit()
        connection.autocommit = True
        connection.execute("ANALYZE")


async def _taken(database: str, wanted: JobFilter, *, newest_first: bool) -> int:
    """How many rows the server takes from the tables for a page."""
    connection = await connect(database)
    try:
        watched = Watched(connection)
        page = Listing(wanted, after=None, limit=20, newest_first=newest_first)
        await page.read(watched)  # type: ignore[arg-type]  # which is asked in the same way
    finally:
        await connection.close()
    assert "Seq Scan" not in watched.scans
    return watched.rows
