"""What becomes of jobs is written at a cost that has nothing to do with how many others wait."""

from collections.abc import Iterator
from typing import Any
from uuid import uuid4

import psycopg
import pytest

from job_service.jobs.state.model import Job
from job_service.stores.postgres.connection import connect
from job_service.stores.postgres.rows import Statement, changing, editing, finishing
from job_service.stores.record import decode, restore
from tests.stores.postgres.cluster import TEMPLATE, Cluster

WAITING = 600
BATCH = 500
FILL = """
    SET LOCAL session_replication_role = replica;  -- no trigger counts each of them
    SELECT job_service.submit('email') FROM generate_series(1, 600)
"""


@pytest.mark.parametrize("statement", ["finishing", "changing", "editing"])
async def test_each_job_is_looked_for_by_its_id(cluster: Cluster, statement: str) -> None:
    """Also of many that end together, and if the server has seen that nobody holds any."""
    database = cluster.new_database(TEMPLATE)
    jobs = _waiting(database)[:BATCH]
    for job in jobs:
        job.finished_at = job.created_at
    wanted: dict[str, Statement] = {
        "finishing": finishing(jobs, uuid4()),
        "changing": changing([(job, True) for job in jobs], uuid4()),
        "editing": editing(jobs, uuid4()),
    }
    connection = await connect(database)
    try:
        explain = f"EXPLAIN (FORMAT JSON) {wanted[statement].text}"
        ((plan,),) = await connection.named(explain, wanted[statement].values)
    finally:
        await connection.close()
    looks = list(_looks_at_jobs(plan[0]["Plan"]))
    assert looks
    assert all(condition.startswith("(id = ") for condition in looks), looks


def _waiting(database: str) -> list[Job]:
    with psycopg.connect(database) as connection:
        connection.execute(FILL)
        rows = connection.execute("SELECT record FROM job_service.jobs").fetchall()
        connection.commit()
        connection.autocommit = True
        connection.execute("ANALYZE")
    assert len(rows) == WAITING
    return [restore(decode(record), b"null", b"null") for (record,) in rows]


def _looks_at_jobs(plan: dict[str, Any]) -> Iterator[str]:
    """By which condition of its index each scan of the table of jobs goes."""
    if plan.get("Relation Name") == "jobs" and plan["Node Type"] != "ModifyTable":
        yield plan.get("Index Cond", plan["Node Type"])
    for part in plan.get("Plans", ()):
        yield from _looks_at_jobs(part)
