"""Which jobs come next of a type whose keys take turns, wherever its jobs run.

Of each priority, the keys that have a ready job stand in a ring, in their order as texts. Each
gives a job in its turn, and the last one that did is kept. So the next process to ask, whichever
that is, goes on behind it. Who asks has a lock on the type until the commit.
"""

from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from datetime import datetime
from typing import Final, NamedTuple

import msgspec

from job_service.stores.postgres.transaction import Transaction

# The index has the keys in their order, and of each key the job that is due first. So each step
# of `ring` is a look at the place behind the last key, however many jobs that has.
_CANDIDATES: Final = """
    SELECT p.priority, found.lap, found.position, found.limit_key, found.id, found.run_at
    FROM generate_series(0, 9) AS p (priority), LATERAL (
        SELECT coalesce((
            SELECT limit_key FROM job_service.last_turns
            WHERE type = %(type)s AND priority = p.priority
        ), '') AS limit_key
    ) AS last, LATERAL (
        WITH RECURSIVE ring (limit_key, run_at, is_wrapped) AS (
            SELECT last.limit_key, NULL::timestamptz, false
            UNION ALL
            SELECT next.* FROM ring, LATERAL (
                (
                    SELECT limit_key, run_at, false AS is_wrapped FROM job_service.jobs
                    WHERE NOT ring.is_wrapped AND type = %(type)s AND priority = p.priority
                        AND node IS NULL AND awaits = 0 AND jobs.limit_key IS NOT NULL
                        AND jobs.limit_key > ring.limit_key
                    ORDER BY limit_key, run_at, id LIMIT 1
                )
                UNION ALL
                (
                    SELECT limit_key, run_at, true FROM job_service.jobs
                    WHERE ring.is_wrapped AND type = %(type)s AND priority = p.priority
                        AND node IS NULL AND awaits = 0 AND jobs.limit_key IS NOT NULL
                        AND jobs.limit_key > ring.limit_key AND jobs.limit_key <= last.limit_key
                    ORDER BY limit_key, run_at, id LIMIT 1
                )
                UNION ALL
                (
                    SELECT limit_key, run_at, true FROM job_service.jobs
                    WHERE NOT ring.is_wrapped AND type = %(type)s AND priority = p.priority
                        AND node IS NULL AND awaits = 0 AND jobs.limit_key IS NOT NULL
                        AND jobs.limit_key <= last.limit_key
                    ORDER BY limit_key, run_at, id LIMIT 1
                )
                ORDER BY is_wrapped LIMIT 1
            ) AS next
        ), standing AS MATERIALIZED (
            SELECT limit_key, room, row_number() OVER () AS position
            FROM ring, LATERAL (
                SELECT coalesce((%(rooms)s::jsonb ->> ring.limit_key)::int, %(room)s) AS room
            ) AS own
            WHERE run_at <= %(now)s AND room > 0
            LIMIT %(jobs)s
        )
        SELECT standing.limit_key, position, job.id, job.run_at,
            row_number() OVER (PARTITION BY position ORDER BY job.run_at, job.id) AS lap
        FROM standing, LATERAL (
            SELECT id, run_at FROM job_service.jobs
            WHERE type = %(type)s AND priority = p.priority AND limit_key = standing.limit_key
                AND node IS NULL AND awaits = 0 AND run_at <= %(now)s AND id <> ALL(%(without)s)
            ORDER BY run_at, id
            LIMIT least(standing.room, %(jobs)s + 1 - (SELECT count(*) FROM standing))
        ) AS job
    ) AS found
    ORDER BY priority, lap, position
"""
_WITH_JOBS: Final = """
    SELECT type FROM unnest(%s::text[]) AS wanted (type)
    WHERE EXISTS (
        SELECT FROM job_service.jobs
        WHERE jobs.type = wanted.type AND node IS NULL AND awaits = 0 AND limit_key IS NOT NULL
            AND run_at <= %s
    ) AND NOT EXISTS (SELECT FROM job_service.pauses WHERE job_type IN ('', wanted.type))
"""
_KEEP: Final = """
    INSERT INTO job_service.last_turns (type, priority, limit_key)
    SELECT * FROM unnest(%s::text[], %s::smallint[], %s::text[])
    ON CONFLICT (type, priority) DO UPDATE SET limit_key = excluded.limit_key
"""


class Candidate(NamedTuple):
    """A job that may be taken, if all that come before it are: `turn` is its number.

    `due` is when it has its turn among types: those are as they would be without keys.
    """

    id: str
    type: str
    limit_key: str
    priority: int
    due: datetime
    turn: int


async def types_with_jobs(tx: Transaction, types: Sequence[str]) -> list[str]:
    """Those of these types that have ready jobs with keys, and are not paused."""
    if not types:
        return []
    return [name for (name,) in await tx.rows(_WITH_JOBS, list(types), tx.now)]


async def candidates(
    tx: Transaction,
    job_type: str,
    *,
    jobs: int,
    room: int,
    rooms: Mapping[str, int],
    without: Collection[str],
) -> list[Candidate]:
    """Up to so many jobs, in their order.

    `rooms` says how many may be taken of some keys, and `room` how many of each other one.
    """
    rows = await tx.named(
        _CANDIDATES,
        {
            "type": job_type,
            "jobs": jobs,
            "room": room,
            "rooms": msgspec.json.encode(rooms).decode(),
            "without": list(without),
            "now": tx.now,
        },
    )
    taken, fitting = Counter[str](), list[tuple[int, str, str, datetime]]()
    for priority, _, _, key, job_id, run_at in rows:
        if taken[key] < rooms.get(key, room) and len(fitting) < jobs:
            taken[key] += 1
            fitting.append((priority, key, job_id, run_at))
    dues = sorted((priority, run_at) for priority, _, _, run_at in fitting)
    return [
        Candidate(job_id, job_type, key, priority, due, turn)
        for turn, ((priority, key, job_id, _), (_, due)) in enumerate(
            zip(fitting, dues, strict=True)
        )
    ]


async def keep_turns(tx: Transaction, taken: Sequence[Candidate]) -> None:
    """These have been taken: the keys behind the last ones are next."""
    last = dict[tuple[str, int], Candidate]()
    for each in sorted(taken, key=lambda each: each.turn):
        last[each.type, each.priority] = each
    if last:
        rows = [(*of, each.limit_key) for of, each in last.items()]
        await tx.rows(_KEEP, *map(list, zip(*rows, strict=True)))
