"""Deletes what is too old or too much, and what nobody needs any more."""

from datetime import datetime, timedelta
from typing import Final

from job_service.jobs.state.group import MAX_ENDED_GROUPS
from job_service.stores.postgres.connection import Connection
from job_service.stores.postgres.transaction import Transaction

EVERY_SECONDS: Final = 60.0
IN_ONE_GO: Final = 1_000  # jobs, while which a commit waits; as many as one may end

# How a job has ended that an idempotency key tells of is remembered beyond the job.
_TRIM: Final = """
    WITH first AS (
        SELECT ctid AS place FROM job_service.finished
        WHERE finished_at < %(before)s OR %(before)s::timestamptz IS NULL
        ORDER BY finished_at, id LIMIT %(jobs)s FOR UPDATE SKIP LOCKED
    ), gone AS (
        DELETE FROM job_service.finished AS finished USING first WHERE finished.ctid = place
        RETURNING finished.id, status, finished_at
    ), remembered AS (
        UPDATE job_service.keyed_jobs SET status = gone.status, finished_at = gone.finished_at
        FROM gone WHERE keyed_jobs.job_id = gone.id
    ), unlabelled AS (
        DELETE FROM job_service.labels AS labels USING gone WHERE labels.id = gone.id
    )
    SELECT count(*) FROM gone
"""
_FOLD: Final = """
    WITH gone AS (
        DELETE FROM job_service.counts
        WHERE stripe <> 0 AND stripe NOT IN (SELECT pid FROM pg_stat_activity)
        RETURNING type, status, jobs, bytes
    )
    INSERT INTO job_service.counts AS kept
    SELECT 0, type, status, sum(jobs), sum(bytes) FROM gone GROUP BY type, status
    ORDER BY type, status
    ON CONFLICT (stripe, type, status) DO UPDATE
        SET jobs = kept.jobs + excluded.jobs, bytes = kept.bytes + excluded.bytes
"""
_FORGET_GROUPS: Final = b"""
    DELETE FROM job_service.groups WHERE id IN (
        SELECT id FROM job_service.groups WHERE ended_at IS NOT NULL
        ORDER BY ended_at DESC, id DESC OFFSET %s
    )
"""
# As long as a process that is away may want to know whether its last one has committed.
_FORGET_TRANSACTIONS: Final = """
    DELETE FROM job_service.transactions
    WHERE began_at < clock_timestamp() - interval '7 days'
        AND node NOT IN (SELECT id FROM job_service.nodes)
"""


async def trim_to(tx: Transaction, retain: int) -> None:
    """Delete those that finished first, if more than `retain` are kept.

    Many are kept a little longer, because it costs less to delete several at a time.
    """
    ((finished,),) = await tx.rows(
        """
        SELECT coalesce(sum(jobs), 0)::bigint FROM job_service.counts
        WHERE status NOT IN ('pending', 'processing')
        """
    )
    if finished > retain + retain // 100:
        await tx.named(_TRIM, {"before": None, "jobs": min(finished - retain, IN_ONE_GO)})


async def keep_house(connection: Connection, now: datetime, retain_seconds: float | None) -> None:
    """Delete what is too old, and add up the counts of connections that are gone."""
    if retain_seconds is not None:
        before = now - timedelta(seconds=retain_seconds)
        deleted = IN_ONE_GO
        while deleted == IN_ONE_GO:
            cursor = await connection.execute(_TRIM.encode(), {"before": before, "jobs": IN_ONE_GO})
            found = await cursor.fetchone()
            deleted = 0 if found is None else found[0]
    await connection.execute("DELETE FROM job_service.keys WHERE until <= %s", [now])
    await connection.execute("DELETE FROM job_service.starts WHERE until <= %s", [now])
    await connection.execute("DELETE FROM job_service.keyed_jobs WHERE until <= %s", [now])
    await connection.execute(_FORGET_GROUPS, [MAX_ENDED_GROUPS])
    await connection.execute(_FORGET_TRANSACTIONS)
    await connection.execute(_FOLD)
