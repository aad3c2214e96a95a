"""Finds the jobs of a page at the cost of what is on it, however many jobs are kept.

Of those that have ended, an index has the jobs of one type and one status in the order of their
ids. So a page is put together from a page of each such pair that there is, and one of the jobs that
have not ended. Another index has the jobs of one unique key or tag in that order.

What no index says, a part of an id or of an error, is asked of each job in turn. So that this takes
no longer than a moment, a page ends after so many looks, with the id of the last job looked at.
"""

from typing import Any, Final

from job_service.jobs.state.job_filter import JobFilter, Span, fold
from job_service.jobs.state.model import TERMINAL, Job, Status
from job_service.stores.labels import labels_wanted
from job_service.stores.postgres.connection import Connection
from job_service.stores.postgres.rows import is_storable, job_of, text_of

LOOKS_AT_IDS: Final = 20_000
LOOKS_AT_RECORDS: Final = 2_000

_UNFINISHED: Final = """
    SELECT id, record FROM job_service.jobs
    WHERE {within} {state} {rest} ORDER BY id {order} LIMIT %(limit)s
"""
_PAIRS: Final = """
    SELECT type, status, count(*) OVER () AS pairs FROM job_service.counts
    WHERE status = ANY(%(ended)s) {of_types} GROUP BY type, status HAVING sum(jobs) > 0
"""
_FINISHED: Final = f"""
    SELECT found.id, found.record
    FROM ({_PAIRS}) AS pair, LATERAL (
        SELECT id, record FROM job_service.finished
        WHERE type = pair.type AND status = pair.status AND {{within}} {{rest}}
        ORDER BY id {{order}} LIMIT %(limit)s
    ) AS found
    ORDER BY found.id {{order}} LIMIT %(limit)s
"""
# Each pair may be looked at as often. Behind the first one whose looks are over, others may go on.
_EDGE: Final = f"""
    SELECT {{first}}(edge) FROM (
        SELECT (
            SELECT id FROM job_service.jobs WHERE {{within}} {{state}}
            ORDER BY id {{order}} LIMIT 1 OFFSET %(looks)s - 1
        ) AS edge
        UNION ALL
        SELECT (
            SELECT id FROM job_service.finished
            WHERE type = pair.type AND status = pair.status AND {{within}}
            ORDER BY id {{order}} LIMIT 1 OFFSET greatest(%(looks)s / pair.pairs, 1) - 1
        )
        FROM ({_PAIRS}) AS pair
    ) AS edges
"""
_OF_LABEL: Final = """
    SELECT labels.id, job.record FROM job_service.labels AS labels, LATERAL (
        SELECT type, status, record FROM job_service.jobs AS jobs WHERE jobs.id = labels.id
        UNION ALL
        SELECT type, status, record FROM job_service.finished AS finished
        WHERE finished.id = labels.id
    ) AS job
    WHERE label = %(label)s AND {within} {state} {rest}
    ORDER BY labels.id {order} LIMIT %(limit)s
"""
_EDGE_OF_LABEL: Final = """
    SELECT id FROM job_service.labels
    WHERE label = %(label)s AND {within} ORDER BY id {order} LIMIT 1 OFFSET %(looks)s - 1
"""

_HAS_STATUS: Final = "AND status = ANY(%(statuses)s)"
_HAS_TYPE: Final = "AND type = ANY(%(types)s)"
_RUNS: Final = "AND node IS NOT NULL"  # by which an index has them
_HAS_OTHER_LABEL: Final = """
    AND EXISTS (
        SELECT FROM job_service.labels AS other
        WHERE other.label = %(other)s AND other.id = labels.id
    )
"""
_HAS_ID_PART: Final = "AND strpos(id, %(id_part)s) > 0"
# PostgreSQL takes any character in JSON but one. `#>>` would not do: beside an array that has less
# members, it finds no last one.
_RECORD: Final = r"replace(record, '\u0000', '\ufffd')::json"
_HAS_ERROR: Final = f"""
    AND strpos(
        lower(
            CASE WHEN {_RECORD} -> 'attempts' IS NULL THEN {_RECORD} ->> 'failure'
            ELSE {_RECORD} -> 'attempts' -> -1 ->> 'error' END COLLATE "C"
        ),
        %(error)s
    ) > 0
"""


class Listing:
    """One page of the jobs that are meant."""

    def __init__(
        self, wanted: JobFilter, *, after: str | None, limit: int, newest_first: bool
    ) -> None:
        self._wanted = wanted
        self._newest_first = newest_first
        self._span = wanted.span(after, newest_first=newest_first)
        self._labels = labels_wanted(wanted)
        self._ended = sorted(status for status in wanted.among or TERMINAL if status in TERMINAL)
        self._values: dict[str, object] = {
            "behind": self._span.behind,
            "before": self._span.before,
            "limit": limit,
            "looks": LOOKS_AT_RECORDS if wanted.error is not None else LOOKS_AT_IDS,
            "statuses": list(wanted.among),
            "ended": self._ended,
            "types": [name for name in wanted.types if "\0" not in name],
            "label": text_of(self._labels[0]) if self._labels else None,
            "other": text_of(self._labels[-1]) if self._labels else None,
            "id_part": fold(wanted.id_part or ""),
            "error": fold(wanted.error or "").replace("\0", "\ufffd"),
        }

    async def read(self, connection: Connection) -> tuple[list[Job], str | None]:
        """Up to `limit` jobs in order, without payloads and results.

        With them comes the id up to which they were looked for, or None if that is the end. Raises
        psycopg.Error.
        """
        wanted = self._wanted
        if wanted.is_empty or not is_storable(wanted.id_part or ""):
            return [], None
        if self._labels:
            query, query_edge = _OF_LABEL, _EDGE_OF_LABEL
        else:
            some = [_UNFINISHED] if set(wanted.among) - TERMINAL or not wanted.among else []
            some += [_FINISHED] if self._ended else []
            query = f"""
                SELECT id, record FROM ({" UNION ALL ".join(f"({each})" for each in some)}) AS jobs
                ORDER BY id {{order}} LIMIT %(limit)s
            """
            query_edge = _EDGE
        edge: str | None = None
        if self._rest:
            found = await self._rows(connection, query_edge, None)
            edge = found[0][0] if found else None
        rows = await self._rows(connection, query, edge)
        return [job_of(record, "", 0) for _, record in rows], edge

    async def _rows(
        self, connection: Connection, query: str, edge: str | None
    ) -> list[tuple[Any, ...]]:
        text = query.format(
            within=_within(self._span, edge, newest_first=self._newest_first),
            state=self._state,
            rest=self._rest_of_each,
            of_types=_HAS_TYPE if self._wanted.types else "",
            order="DESC" if self._newest_first else "ASC",
            first="max" if self._newest_first else "min",
        )
        cursor = await connection.execute(text.encode(), {**self._values, "edge": edge})
        return await cursor.fetchall()

    @property
    def _state(self) -> str:
        """What the status and the type must be, of jobs that have not ended or have a label."""
        statuses, types = self._wanted.among, self._wanted.types
        return " ".join(
            [
                *([_HAS_STATUS] if statuses else []),
                *([_RUNS] if statuses == _PROCESSING and not self._labels else []),
                *([_HAS_TYPE] if types else []),
            ]
        )

    @property
    def _rest_of_each(self) -> str:
        """What must be asked of each job in turn."""
        return " ".join(
            [
                *([_HAS_OTHER_LABEL] if len(self._labels) > 1 else []),
                *([_HAS_ID_PART] if self._wanted.id_part is not None else []),
                *([_HAS_ERROR] if self._wanted.error is not None else []),
            ]
        )

    @property
    def _rest(self) -> bool:
        """Whether jobs may be looked at in vain."""
        return bool(self._rest_of_each or (self._labels and self._state))


_PROCESSING: Final[tuple[Status, ...]] = ("processing",)


def _within(span: Span, edge: str | None, *, newest_first: bool) -> str:
    bounds = []
    if edge is not None and newest_first:
        bounds.append("id >= %(edge)s")
    elif span.behind is not None:
        bounds.append("id > %(behind)s")
    if edge is not None and not newest_first:
        bounds.append("id <= %(edge)s")
    elif span.before is not None:
        bounds.append("id < %(before)s")
    return " AND ".join(bounds) or "true"
