"""Takes ready jobs for this process: the most urgent first, and of each priority the oldest."""

from collections.abc import Collection, Mapping, Sequence
from hashlib import blake2b
from typing import Final

from job_service.jobs.state.limits import Limits
from job_service.jobs.state.model import Job
from job_service.stores.contract import Demand
from job_service.stores.postgres.rows import job_of
from job_service.stores.postgres.transaction import Transaction

# Each type and priority is a range of one index, of which only the beginning is read. `counts`
# says for which types it is worth looking.
_CLAIM: Final = """
    WITH wanted AS (
        SELECT type, room FROM unnest(%(types)s::text[], %(rooms)s::int[]) AS wanted (type, room)
        WHERE room > 0
            AND NOT EXISTS (SELECT FROM job_service.pauses WHERE job_type IN ('', type))
            AND (
                SELECT sum(jobs) FROM job_service.counts
                WHERE counts.type = wanted.type AND status = 'pending'
            ) > 0
    ), found AS (
        SELECT
            job.id, wanted.room, priority, job.run_at,
            row_number() OVER (PARTITION BY wanted.type ORDER BY priority, job.run_at, job.id) AS n
        FROM wanted, generate_series(0, 9) AS p (priority), LATERAL (
            SELECT id, run_at FROM job_service.jobs
            WHERE type = wanted.type AND jobs.priority = p.priority
                AND node IS NULL AND awaits = 0 AND run_at <= %(now)s AND id <> ALL(%(without)s)
            ORDER BY run_at, id LIMIT least(wanted.room, %(jobs)s)
            FOR UPDATE SKIP LOCKED
        ) AS job
    ), taken AS (
        SELECT id FROM found WHERE n <= room ORDER BY priority, run_at, id LIMIT %(jobs)s
    )
    UPDATE job_service.jobs AS jobs SET node = %(node)s FROM taken WHERE jobs.id = taken.id
    RETURNING jobs.priority, jobs.run_at, jobs.id, record, payload, rescues
"""
_RUNNING: Final = """
    SELECT type, count(*) FROM job_service.jobs
    WHERE node IS NOT NULL AND type = ANY(%s) GROUP BY type
"""
_MANY: Final = 1_000_000


def lock_of(kind: str, *texts: str) -> int:
    """The number of the database's lock on something that these texts name."""
    digest = blake2b("\0".join(texts).encode(), digest_size=8, person=kind.encode()).digest()
    return int.from_bytes(digest, "big", signed=True)


async def take_locks(tx: Transaction, locks: set[int]) -> None:
    """Take these locks for the time of the transaction, in the order in which all do."""
    if locks:
        await tx.rows(
            "SELECT pg_advisory_xact_lock(n) FROM unnest(%s::bigint[]) AS n", sorted(locks)
        )


async def claim(
    tx: Transaction, demand: Demand, jobs: int, without: Collection[str] = ()
) -> Sequence[Job]:
    """Take up to so many jobs of the types that are in demand; the ones to start first come first.

    None of `without` is taken, because this program can't run them.

    Of a type with a limit no more are taken than may run, with those that any process holds. Who
    takes jobs of such a type has a lock on it until the commit, so this is to come last.
    """
    rooms = await _rooms(tx, demand.limits)
    rows = await tx.named(
        _CLAIM,
        {
            "types": list(rooms),
            "rooms": list(rooms.values()),
            "jobs": jobs,
            "now": tx.now,
            "without": list(without),
            "node": tx.node,
        },
    )
    rows.sort()
    return [job_of(*row[3:]) for row in rows]


async def _rooms(tx: Transaction, limits: Mapping[str, Limits]) -> dict[str, int]:
    limited = {
        name: each.concurrency for name, each in limits.items() if each.concurrency is not None
    }
    rooms = dict.fromkeys(limits, _MANY) | limited
    if limited:
        await take_locks(tx, {lock_of("limit", name) for name in limited})
        for name, running in await tx.rows(_RUNNING, list(limited)):
            rooms[name] -= running
    return rooms
