"""What the tables say of jobs, over a connection of its own: a long read holds up no commit."""

from collections.abc import Awaitable, Callable, Collection, Iterable, Sequence
from datetime import datetime
from typing import Any, Final, NamedTuple, TypeVar

import psycopg
import trio

from job_service.jobs.state.model import TRANSITIONS, Job, Status
from job_service.jobs.state.views import NodeView
from job_service.stores.postgres.connection import Connection, connect
from job_service.stores.postgres.unreadable import edits_of, jobs_of
from job_service.stores.postgres.usage import USAGE
from job_service.stores.unreadable import known_status

T = TypeVar("T")

_JOB: Final = """
    SELECT id, record, payload, rescues, NULL, NULL, node, cancel_reason, cancel_by,
        ARRAY(SELECT predecessor FROM job_service.edges WHERE successor = id ORDER BY predecessor)
    FROM job_service.jobs WHERE id = %(id)s
    UNION ALL
    SELECT id, record, payload, 0, result, status, NULL, NULL, NULL, '{}'
    FROM job_service.finished WHERE id = %(id)s
"""
_EXCERPTS: Final = """
    SELECT id, left(payload, %(chars)s), type, CASE status WHEN 'pending' THEN run_at END, node,
        ARRAY(SELECT predecessor FROM job_service.edges WHERE successor = id ORDER BY predecessor),
        limit_key, CASE status WHEN 'pending' THEN record END
    FROM job_service.jobs WHERE id = ANY(%(ids)s)
    UNION ALL
    SELECT id, left(payload, %(chars)s), type, NULL, NULL, '{}', NULL, NULL
    FROM job_service.finished WHERE id = ANY(%(ids)s)
"""
_WAITING: Final = """
    SELECT type, count(*) FILTER (WHERE awaits > 0),
        count(*) FILTER (WHERE awaits = 0 AND run_at > %(now)s),
        min(run_at) FILTER (WHERE awaits = 0 AND run_at <= %(now)s)
    FROM job_service.jobs WHERE status = 'pending'
    GROUP BY type
"""
_ANY_READY: Final = """
    SELECT EXISTS (
        SELECT
        FROM unnest(%(types)s::text[]) AS wanted (type), LATERAL (
            (
                SELECT FROM generate_series(0, 9) AS p (priority), LATERAL (
                    SELECT FROM job_service.jobs
                    WHERE type = wanted.type AND priority = p.priority AND limit_key IS NULL
                        AND node IS NULL AND awaits = 0 AND run_at <= now()
                        AND id <> ALL(%(without)s)
                    LIMIT 1
                ) AS first
                LIMIT 1
            )
            UNION ALL
            (
                SELECT FROM job_service.jobs
                WHERE type = wanted.type AND limit_key IS NOT NULL
                    AND node IS NULL AND awaits = 0 AND run_at <= now()
                    AND id <> ALL(%(without)s)
                LIMIT 1
            )
        ) AS ready
        WHERE NOT EXISTS (SELECT FROM job_service.pauses WHERE job_type IN ('', wanted.type))
    )
"""
_NODES: Final = """
    SELECT nodes.id, host, pid, version, started_at,
        extract(epoch FROM lease_until - clock_timestamp())::float, job_types,
        count(jobs.id) FILTER (WHERE jobs.status = 'processing'),
        count(jobs.id) FILTER (WHERE jobs.status = 'pending')
    FROM job_service.nodes LEFT JOIN job_service.jobs ON jobs.node = nodes.id
    WHERE lease_until > clock_timestamp()
    GROUP BY nodes.id ORDER BY started_at
"""


class Found(NamedTuple):
    """A job as it is kept, the node that holds it, if any, and the jobs that it awaits."""

    job: Job
    node: object | None
    awaits: Sequence[str]


class Asked(NamedTuple):
    """The node that is to change a job; None if it has given the job back before it did."""

    node: object | None


class FoundExcerpt(NamedTuple):
    """How a payload begins, and what a pending job has to do with nodes, other jobs and its time.

    `run_at` is None of a job that is not pending.
    """

    id: str
    payload: str
    type: str
    run_at: datetime | None
    node: object | None
    awaits: Sequence[str]
    limit_key: str | None
    record: str | None  # of one that waits


class Waiting(NamedTuple):
    """How many jobs wait for others, how many for their time, and since when the oldest is due."""

    blocked: int = 0
    later: int = 0
    oldest_due: datetime | None = None


class Reader:
    """Asks the tables. All methods raise psycopg.Error."""

    def __init__(self, conninfo: str) -> None:
        self._conninfo = conninfo
        self._connection: Connection | None = None
        self._lock = trio.Lock()

    async def job(self, job_id: str) -> Found | None:
        """All that is kept of a job."""

        async def find(connection: Connection) -> Found | None:
            rows = await connection.named(_JOB, {"id": job_id})
            ends = {row[0]: row[5] for row in rows if row[5] is not None}
            texts = [row[:5] for row in rows]
            jobs = await jobs_of(connection, texts, ends=ends, shows_texts=True)
            if not jobs:
                return None
            (job,), (*_, node, cancel_reason, cancel_by, awaits) = jobs, rows[0]
            if cancel_reason is not None and job.cancel_reason is None:
                job.cancel_reason, job.cancel_by = cancel_reason, cancel_by
            return Found(job, node, awaits)

        return await self.do(find)

    async def ended(self, ids: Collection[str]) -> list[str]:
        """Which of these jobs do not wait or run any more."""
        rows = await self._rows(
            "SELECT id FROM unnest(%(ids)s::text[]) AS id EXCEPT SELECT id FROM job_service.jobs",
            {"ids": list(ids)},
        )
        return [job_id for (job_id,) in rows]

    async def excerpts(self, ids: Collection[str], chars: int) -> list[FoundExcerpt]:
        """The start of the payload of each of these jobs, and what the pending ones wait for."""
        rows = await self._rows(_EXCERPTS, {"ids": list(ids), "chars": chars})
        return [FoundExcerpt(*row) for row in rows]

    async def counts(self) -> dict[str, dict[Status, int]]:
        """How many jobs of each type have which status."""
        counts: dict[str, dict[Status, int]] = {}
        for job_type, status, jobs in await self._rows(
            """
            SELECT type, status, sum(jobs)::bigint FROM job_service.counts
            GROUP BY type, status HAVING sum(jobs) <> 0
            """
        ):
            of_type = counts.setdefault(job_type, dict.fromkeys(TRANSITIONS, 0))
            of_type[known_status(status)] += jobs
        return counts

    async def waiting(self, now: datetime) -> dict[str, Waiting]:
        """What the pending jobs of each type wait for."""
        return {row[0]: Waiting(*row[1:]) for row in await self._rows(_WAITING, {"now": now})}

    async def any_ready(self, types: Iterable[str], without: Iterable[str]) -> bool:
        """Whether any job of these types could be claimed but for limits, beside `without`.

        It goes by the clock of the server: by what this process knows of that, a job which others
        have just told of may be yet to come.
        """
        values: dict[str, object] = {"types": list(types), "without": list(without)}
        ((any_ready,),) = await self._rows(_ANY_READY, values)
        return bool(any_ready)

    async def usage(self, job_type: str, now: datetime) -> Sequence[tuple[Any, ...]]:
        """What is used of the limits of a type, for `Usages`."""
        return await self._rows(USAGE, {"types": [job_type], "now": now})

    async def nodes(self, asked: object) -> list[NodeView]:
        """The processes whose lease is not over; the one that is `asked` is marked."""
        return [
            NodeView(
                node=str(row[0]),
                host=row[1],
                pid=row[2],
                version=row[3],
                started_at=row[4],
                lease_seconds=round(row[5], 3),
                job_types=row[6],
                processing=row[7],
                waiting=row[8],
                is_asked=row[0] == asked,
            )
            for row in await self._rows(_NODES)
        ]

    async def can_run(self, job_type: str) -> bool:
        """Whether any process that is up has a handler for this type."""
        ((can_run,),) = await self._rows(
            """
            SELECT EXISTS (
                SELECT FROM job_service.nodes
                WHERE lease_until > clock_timestamp() AND %(type)s = ANY(job_types)
            )
            """,
            {"type": job_type},
        )
        return bool(can_run)

    async def asked(self, job_id: str) -> Asked | None:
        """Who is still to change this job; None if that is done, or is not to be done any more."""
        query = "SELECT node FROM job_service.jobs WHERE id = %(id)s AND edit IS NOT NULL"
        rows = await self._rows(query, {"id": job_id})
        return Asked(*rows[0]) if rows else None

    async def edits(self, ids: Collection[str]) -> dict[str, int]:
        """How often those of these jobs were changed that have not ended."""
        query = "SELECT id, record FROM job_service.jobs WHERE id = ANY(%(ids)s)"
        rows = await self._rows(query, {"ids": list(ids)})
        return edits_of(dict(rows))

    async def do(self, work: Callable[[Connection], Awaitable[T]]) -> T:
        """What this gives with the connection, which nobody else uses meanwhile."""
        async with self._lock:
            if self._connection is None:
                self._connection = await connect(self._conninfo)
            try:
                return await work(self._connection)
            except psycopg.OperationalError:
                await self._close()
                raise

    async def close(self) -> None:
        """Close the connection."""
        async with self._lock:
            await self._close()

    async def _close(self) -> None:
        connection, self._connection = self._connection, None
        if connection is not None:
            await connection.close()

    async def _rows(
        self, query: str, values: dict[str, object] | None = None
    ) -> list[tuple[Any, ...]]:
        async def ask(connection: Connection) -> list[tuple[Any, ...]]:
            return await connection.named(query, values or {})

        return await self.do(ask)
