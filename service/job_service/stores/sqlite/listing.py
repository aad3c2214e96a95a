"""Finds the jobs of a page at the cost of what is on it, however many jobs are kept.

One index has the jobs of one status and one type in the order of their ids. A page of all jobs of a
status, or of a type, is therefore put together from a page of each such pair. Another index has the
jobs of one unique key, group or tag in that order.

What no index says, a part of an id or of an error, is asked of each job in turn. So that this takes
no longer than a moment, a page ends after so many looks, with the id of the last job looked at.
"""

import sqlite3
from collections.abc import Sequence
from typing import Any, Final, NamedTuple

import msgspec

from job_service.jobs.state.job_filter import JobFilter
from job_service.stores.labels import labels_wanted
from job_service.stores.unreadable import known_status

# Of each, a few milliseconds: nothing is committed meanwhile.
LOOKS_AT_IDS: Final = 20_000  # in an index
LOOKS_AT_ROWS: Final = 2_000
LOOKS_AT_ERRORS: Final = 500

_BEHIND_NONE: Final = ""
_BEFORE_NONE: Final = "\U0010ffff"  # comes after any id

_OF_ALL: Final = "SELECT id FROM jobs WHERE {within} ORDER BY id {order} LIMIT :limit"

_OF_PAIRS: Final = """
    SELECT found.value
    FROM
        json_each(:pairs) AS pair,
        json_each((
            SELECT json_group_array(id) FROM (
                SELECT id FROM jobs {index}
                WHERE
                    status = json_extract(pair.value, '$[0]')
                    AND type = json_extract(pair.value, '$[1]')
                    AND {within} {is_in_index} {rest}
                ORDER BY id {order} LIMIT :limit
            )
        )) AS found
    ORDER BY found.value {order} LIMIT :limit
"""
# Each pair may be looked at as often. Behind the first one whose looks are over, others may go on.
_EDGE_OF_PAIRS: Final = """
    SELECT {first}(edge) FROM (
        SELECT (
            SELECT id FROM jobs {index}
            WHERE
                status = json_extract(pair.value, '$[0]')
                AND type = json_extract(pair.value, '$[1]')
                AND {within} {is_in_index}
            ORDER BY id {order} LIMIT 1 OFFSET max(:looks / json_array_length(:pairs), 1) - 1
        ) AS edge
        FROM json_each(:pairs) AS pair
    )
"""
# CROSS has SQLite begin with the labels.
_OF_LABEL: Final = """
    SELECT id FROM labels CROSS JOIN jobs USING (id)
    WHERE label = :label AND {within} {rest}
    ORDER BY id {order} LIMIT :limit
"""
_EDGE_OF_LABEL: Final = """
    SELECT id FROM labels
    WHERE label = :label AND {within} ORDER BY id {order} LIMIT 1 OFFSET :looks - 1
"""

_HAS_STATUS: Final = "AND status IN (SELECT value FROM json_each(:statuses))"
_HAS_TYPE: Final = "AND type IN (SELECT value FROM json_each(:types))"
_HAS_OTHER_LABELS: Final = """
    AND (
        SELECT count(*) FROM labels AS other
        WHERE other.label IN (SELECT value FROM json_each(:others)) AND other.id = jobs.id
    ) = json_array_length(:others)
"""
_HAS_ID_PART: Final = "AND instr(id, :id_part) > 0"
_HAS_ERROR: Final = "AND instr(error, :error) > 0"
# Which has the jobs with any error in the same order, and what they are searched by.
_INDEX_OF_ERRORS: Final = "INDEXED BY jobs_by_error"
_IS_IN_INDEX: Final = "AND error IS NOT NULL"

# Each status, and each type of a status, is the next one after the last that was found, which takes
# one search.
_FOUND_STATUSES: Final = """
    WITH RECURSIVE statuses (status) AS (
        SELECT min(status) FROM jobs
        UNION ALL
        SELECT (SELECT min(status) FROM jobs WHERE status > statuses.status)
        FROM statuses WHERE statuses.status IS NOT NULL
    )
    SELECT status FROM statuses WHERE status IS NOT NULL
"""
_TYPES: Final = """
    WITH RECURSIVE types (type) AS (
        SELECT min(type) FROM jobs WHERE status = :status
        UNION ALL
        SELECT (SELECT min(type) FROM jobs WHERE status = :status AND type > types.type)
        FROM types WHERE types.type IS NOT NULL
    )
    SELECT type FROM types WHERE type IS NOT NULL
"""


class FoundIds(NamedTuple):
    """The ids of some jobs, and the one up to which they were looked for; None if to the end."""

    ids: list[str]
    edge: str | None


def ids_of_page(
    connection: sqlite3.Connection,
    wanted: JobFilter,
    *,
    after: str | None,
    limit: int,
    newest_first: bool,
) -> FoundIds:
    """The ids of up to `limit` jobs that are meant, behind the id `after`, in order."""
    if wanted.is_empty:
        return FoundIds([], None)
    statuses = _statuses(connection, wanted)
    values, rest = _rest_of(wanted, statuses)
    span = wanted.span(after, newest_first=newest_first)
    values |= {
        "behind": span.behind or _BEHIND_NONE,
        "before": span.before or _BEFORE_NONE,
        "limit": limit,
        "looks": LOOKS_AT_IDS,
    }
    if wanted.error is not None:
        values["looks"] = LOOKS_AT_ERRORS
    elif "label" in values:
        values["looks"] = LOOKS_AT_ROWS
    if "label" in values:
        query, query_edge = _OF_LABEL, _EDGE_OF_LABEL
    elif rest or wanted.among or wanted.types:
        query, query_edge = _OF_PAIRS, _EDGE_OF_PAIRS
        values["pairs"] = _json(_pairs(connection, wanted, statuses))
    else:
        query, query_edge = _OF_ALL, ""

    def found_by(query: str, edge: str | None) -> list[str | None]:
        text = query.format(
            within=_within(edge, newest_first=newest_first),
            rest=rest,
            index="" if wanted.error is None else _INDEX_OF_ERRORS,
            is_in_index="" if wanted.error is None else _IS_IN_INDEX,
            order="DESC" if newest_first else "ASC",
            first="max" if newest_first else "min",
        )
        return [found for (found,) in connection.execute(text, {**values, "edge": edge})]

    edge = next(iter(found_by(query_edge, None)), None) if rest else None
    return FoundIds([job_id for job_id in found_by(query, edge) if job_id is not None], edge)


def _within(edge: str | None, *, newest_first: bool) -> str:
    if edge is None:
        return "id > :behind AND id < :before"
    return "id >= :edge AND id < :before" if newest_first else "id > :behind AND id <= :edge"


def _statuses(connection: sqlite3.Connection, wanted: JobFilter) -> list[str]:
    """The statuses of rows that are meant: those that this program does not know mean pending."""
    found = [status for (status,) in connection.execute(_FOUND_STATUSES).fetchall()]
    return [status for status in found if not wanted.among or known_status(status) in wanted.among]


def _rest_of(wanted: JobFilter, statuses: Sequence[str]) -> tuple[dict[str, Any], str]:
    """What must be asked of each job that the index gives, as values and a part of a query."""
    values, rest = dict[str, Any](), list[str]()
    if labels := labels_wanted(wanted):
        values |= {"label": labels[0], "others": _json(labels[1:])}
        rest += [_HAS_OTHER_LABELS] if len(labels) > 1 else []
        if wanted.among:
            values["statuses"] = _json(statuses)
            rest.append(_HAS_STATUS)
        if wanted.types:
            values["types"] = _json(wanted.types)
            rest.append(_HAS_TYPE)
    if wanted.id_part is not None:
        values["id_part"] = wanted.id_part
        rest.append(_HAS_ID_PART)
    if wanted.error is not None:
        values["error"] = wanted.error
        rest.append(_HAS_ERROR)
    return values, " ".join(rest)


def _pairs(
    connection: sqlite3.Connection, wanted: JobFilter, statuses: Sequence[str]
) -> list[tuple[str, str]]:
    """Each status with each type that such a job may have."""
    return [
        (status, job_type)
        for status in statuses
        for job_type in wanted.types or _types(connection, status)
    ]


def _types(connection: sqlite3.Connection, status: str) -> list[str]:
    return [name for (name,) in connection.execute(_TYPES, {"status": status}).fetchall()]


def _json(value: object) -> str:
    return msgspec.json.encode(value).decode()
