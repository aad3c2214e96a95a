"""Takes ready jobs for this process: the most urgent first, and of each priority the oldest."""

from collections.abc import Collection, Mapping
from hashlib import blake2b
from typing import Final

from job_service.jobs.state.limits import Limits
from job_service.stores.postgres.taking_turns import (
    Candidate,
    candidates,
    keep_turns,
    types_with_jobs,
)
from job_service.stores.postgres.transaction import Transaction
from job_service.stores.postgres.unreadable import Claimed, take_readable
from job_service.stores.postgres.usage import MANY, USAGE, Usage, Usages, limited
from job_service.stores.runner import Demand

# Each type and priority is a range of one index, of which only the beginning is read. `counts`
# says for which types it is worth looking. Jobs with limit keys have been looked for before.
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
            WHERE type = wanted.type AND jobs.priority = p.priority AND limit_key IS NULL
                AND node IS NULL AND awaits = 0 AND run_at <= %(now)s AND id <> ALL(%(without)s)
            ORDER BY run_at, id LIMIT least(wanted.room, %(jobs)s)
            FOR UPDATE SKIP LOCKED
        ) AS job
        {more}
    ), taken AS (
        SELECT * FROM found WHERE n <= room ORDER BY priority, run_at, n, id LIMIT %(jobs)s
    )
    UPDATE job_service.jobs AS jobs SET node = %(node)s FROM taken WHERE jobs.id = taken.id
    RETURNING taken.priority, taken.run_at, taken.n, jobs.id, record, payload, rescues,
        edit IS NOT NULL
"""
_CLAIM_PLAIN: Final = _CLAIM.format(more="")
_CLAIM_WITH_KEYS: Final = _CLAIM.format(
    more="""
        UNION ALL
        SELECT keyed.id, %(many)s, keyed.priority, due, turn
        FROM unnest(
            %(keyed)s::text[], %(priorities)s::int[], %(dues)s::timestamptz[], %(turns)s::int[]
        ) AS keyed (id, priority, due, turn), LATERAL (
            SELECT FROM job_service.jobs
            WHERE jobs.id = keyed.id AND node IS NULL AND awaits = 0
            FOR UPDATE SKIP LOCKED
        ) AS job
    """
)


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
) -> Claimed:
    """Take up to so many jobs of the types that are in demand; the ones to start first come first.

    None of `without` is taken, because this program can't run them.

    Of a type or key with a limit no more are taken than may run, or may start, with those that any
    process holds. Who takes jobs of such a type has a lock on it until the commit, so this is to
    come last.
    """
    limits = demand.limits
    usages = await _usages(tx, limits)
    keyed = await _keyed(tx, limits, usages, jobs, without)
    values: dict[str, object] = {
        "types": list(limits),
        "rooms": [usages.of(name).room(each) for name, each in limits.items()],
        "jobs": jobs,
        "now": tx.now,
        "without": list(without),
        "node": tx.node,
    }
    if keyed:
        values |= {
            "many": MANY,
            "keyed": [each.id for each in keyed],
            "priorities": [each.priority for each in keyed],
            "dues": [each.due for each in keyed],
            "turns": [each.turn for each in keyed],
        }
    rows = await tx.named(_CLAIM_WITH_KEYS if keyed else _CLAIM_PLAIN, values)
    rows.sort()
    if keyed:
        taken = {row[3] for row in rows}
        await keep_turns(tx, [each for each in keyed if each.id in taken])
    claimed = await take_readable(tx, [row[3:-1] for row in rows])
    return claimed._replace(any_to_edit=any(row[-1] for row in rows))


async def _usages(tx: Transaction, limits: Mapping[str, Limits]) -> Usages:
    types = limited(limits)
    if not types:
        return Usages(limits, ())
    await take_locks(tx, {lock_of("limit", name) for name in types})
    return Usages(limits, await tx.named(USAGE, {"types": types, "now": tx.now}))


async def _keyed(
    tx: Transaction,
    limits: Mapping[str, Limits],
    usages: Usages,
    jobs: int,
    without: Collection[str],
) -> list[Candidate]:
    """The next jobs of each type whose keys take turns."""
    types = [name for name, each in limits.items() if each.is_per_key]
    found = list[Candidate]()
    for name in await types_with_jobs(tx, types):
        found += await candidates(
            tx,
            name,
            jobs=jobs,
            room=Usage().room(limits[name]),
            rooms=usages.rooms(name),
            without=without,
        )
    return found
