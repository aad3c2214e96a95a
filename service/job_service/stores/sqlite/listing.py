"""Finds the jobs of a page at the cost of what is on it, however many jobs are kept.

The index has the jobs of one status and one type in the order of their ids. A page of all jobs of a
status, or of a type, is therefore put together from a page of each such pair.
"""

import sqlite3
from typing import Final, get_args

import msgspec

from job_service.jobs.state.model import Status

_STATUSES: Final[tuple[Status, ...]] = get_args(Status)
_OLDEST: Final = ""
_NEWEST: Final = "\U0010ffff"  # comes after any id

_OF_ALL: Final = "SELECT id FROM jobs WHERE id {sign} :after ORDER BY id {order} LIMIT :limit"

_OF_PAIRS: Final = """
    SELECT found.value
    FROM
        json_each(:pairs) AS pair,
        json_each((
            SELECT json_group_array(id) FROM (
                SELECT id FROM jobs
                WHERE
                    status = json_extract(pair.value, '$[0]')
                    AND type = json_extract(pair.value, '$[1]')
                    AND id {sign} :after
                ORDER BY id {order} LIMIT :limit
            )
        )) AS found
    ORDER BY found.value {order} LIMIT :limit
"""

# Each type is the next one after the last that was found, which takes one search.
_TYPES: Final = """
    WITH RECURSIVE types (type) AS (
        SELECT min(type) FROM jobs WHERE status = :status
        UNION ALL
        SELECT (SELECT min(type) FROM jobs WHERE status = :status AND type > types.type)
        FROM types WHERE types.type IS NOT NULL
    )
    SELECT type FROM types WHERE type IS NOT NULL
"""


def ids_of_page(
    connection: sqlite3.Connection,
    *,
    status: Status | None,
    job_type: str | None,
    after: str | None,
    limit: int,
    newest_first: bool,
) -> list[str]:
    """The ids of up to `limit` jobs of this status and type behind the id `after`, in order."""
    sign, order, start = ("<", "DESC", _NEWEST) if newest_first else (">", "ASC", _OLDEST)
    values: dict[str, str | int] = {"after": after or start, "limit": limit}
    query = _OF_ALL
    if status is not None or job_type is not None:
        query = _OF_PAIRS
        statuses = _STATUSES if status is None else (status,)
        values["pairs"] = msgspec.json.encode(
            [
                (each, name)
                for each in statuses
                for name in (_types(connection, each) if job_type is None else (job_type,))
            ]
        ).decode()
    found = connection.execute(query.format(sign=sign, order=order), values)
    return [job_id for (job_id,) in found.fetchall()]


def _types(connection: sqlite3.Connection, status: Status) -> list[str]:
    return [name for (name,) in connection.execute(_TYPES, {"status": status}).fetchall()]
