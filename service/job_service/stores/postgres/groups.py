"""Groups in the database: they end in the transaction in which the last of their jobs does.

Who counts an end has a lock on the group until the commit. So of several processes that end its
last jobs at the same time, one sees that all have ended.
"""

from collections.abc import Iterable, Sequence
from datetime import UTC, datetime
from typing import Any, Final, NamedTuple

import msgspec

from job_service.jobs.state.clock import Clock
from job_service.jobs.state.group import Group, Standing, end_of
from job_service.jobs.state.model import Job
from job_service.stores.group_store import KeptGroup
from job_service.stores.labels import label_of_group
from job_service.stores.postgres.connection import Connection
from job_service.stores.postgres.elsewhere import Elsewhere
from job_service.stores.postgres.labelling import keep_labels
from job_service.stores.postgres.rows import insertion
from job_service.stores.postgres.transaction import Transaction
from job_service.stores.postgres.unreadable import only_readable
from job_service.telemetry.events import Event, JobsReleased

_COUNT: Final = """
    UPDATE job_service.groups AS groups SET
        completed = groups.completed + ended.completed,
        failed = groups.failed + ended.failed,
        cancelled = groups.cancelled + ended.cancelled
    FROM unnest(%s::text[], %s::int[], %s::int[], %s::int[])
        AS ended (id, completed, failed, cancelled)
    WHERE groups.id = ended.id
    RETURNING groups.completed, groups.failed, groups.cancelled, groups.id, groups.jobs, CASE
        WHEN groups.completed + groups.failed + groups.cancelled = groups.jobs THEN definition
    END
"""
_GROUP: Final = b"""
    SELECT id, groups.jobs, definition, completed, failed, cancelled, ended_at, callback_id, (
        SELECT count(*) FROM job_service.labels JOIN job_service.jobs AS jobs USING (id)
        WHERE label = %(label)s AND status = 'processing' AND ended_at IS NULL
    )
    FROM job_service.groups WHERE id = %(id)s
"""
_UNSUCCESSFUL: Final = b"""
    SELECT id, record, payload, 0
    FROM job_service.labels JOIN job_service.finished AS finished USING (id)
    WHERE label = %s AND status IN ('failed', 'cancelled') ORDER BY id
"""
_decode = msgspec.json.Decoder(Group).decode


class EndedGroups(NamedTuple):
    """What was told of the ends of groups, and whether any job that follows is ready."""

    told: Sequence[Event]
    any_ready: bool


async def keep_groups(tx: Transaction, groups: Iterable[Group]) -> None:
    """Keep new groups."""
    for group in groups:
        await tx.rows(
            "INSERT INTO job_service.groups (id, jobs, definition) VALUES (%s, %s, %s)",
            group.id,
            group.jobs,
            msgspec.json.encode(group).decode(),
        )


async def count_ends(tx: Transaction, jobs: Iterable[Job], clock: Clock) -> EndedGroups:
    """These jobs of groups have ended in this transaction, and with them perhaps their groups."""
    news = dict[str, Standing]()
    for job in jobs:
        group_id = job.group or ""
        news[group_id] = news.get(group_id, Standing()).after(job.status)
    told, followers = list[Event](), list[Job]()
    elsewhere = Elsewhere(clock)
    for standing, group in await _add(tx, news):
        if group is None:
            continue
        end = end_of(group, standing, clock)
        told.append(end.event)
        if end.callback is not None:
            elsewhere.apply(end.callback)
            followers.append(end.callback.job)
            told += elsewhere.take_told()
        await tx.rows(
            "UPDATE job_service.groups SET ended_at = %s, callback_id = %s WHERE id = %s",
            end.standing.ended_at,
            end.standing.callback_id,
            group.id,
        )
    if followers:
        await tx.do(insertion(followers))
        await keep_labels(tx, followers)
        told.append(JobsReleased(timestamp=tx.now, jobs=len(followers)))
    return EndedGroups(told, any(job.run_at <= tx.now for job in followers))


async def group_of(connection: Connection, group_id: str) -> KeptGroup | None:
    """The group, if it is kept. Raises psycopg.Error."""
    values = {"id": group_id, "label": label_of_group(group_id)}
    row = await (await connection.execute(_GROUP, values)).fetchone()
    if row is None:
        return None
    *definition, completed, failed, cancelled, ended_at, callback_id, processing = row
    standing = Standing(completed, failed, cancelled, ended_at, callback_id)
    return KeptGroup(_defined(*definition), standing, processing)


async def unsuccessful(connection: Connection, group_id: str) -> list[Job]:
    """Those jobs of a group that have ended and did not complete, and can be read.

    Raises psycopg.Error.
    """
    cursor = await connection.execute(_UNSUCCESSFUL, [label_of_group(group_id)])
    return only_readable(await cursor.fetchall())


def _defined(group_id: str, jobs: int, definition: str) -> Group:
    """The group of a row. If nobody can read what is to follow on its end, nothing will."""
    try:
        return _decode(definition)
    except msgspec.DecodeError:
        milliseconds = int(group_id[:8] + group_id[9:13], 16)  # RFC 9562
        return Group(group_id, datetime.fromtimestamp(milliseconds / 1_000, UTC), jobs)


async def _add(
    tx: Transaction, news: dict[str, Standing]
) -> Sequence[tuple[Standing, Group | None]]:
    """Add to how far these groups have come; what each is, if all of its jobs have ended."""
    ids = sorted(news)
    if len(ids) > 1:  # in one order, so that no two processes wait for each other
        await tx.rows(
            "SELECT id FROM job_service.groups WHERE id = ANY(%s) ORDER BY id FOR UPDATE", ids
        )
    ends = [news[group_id] for group_id in ids]
    rows: list[tuple[Any, ...]] = await tx.rows(
        _COUNT,
        ids,
        [each.completed for each in ends],
        [each.failed for each in ends],
        [each.cancelled for each in ends],
    )
    return [
        (Standing(*ended), None if definition is None else _defined(group_id, jobs, definition))
        for *ended, group_id, jobs, definition in rows
    ]
