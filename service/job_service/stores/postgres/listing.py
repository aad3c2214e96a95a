"""Finds the jobs of a page at the cost of what is on it, however many jobs are kept.

Of those that have ended, an index has the jobs of one type and one status in the order of their
ids. So a page is put together from a page of each such pair that there is, and one of the jobs that
have not ended. Another index has the jobs of one unique key, group or tag in that order. All of
these have only the ids; the records are read of those that are on the page in the end.

What no index says, a part of an id or of an error, is asked of each job in turn. So that this takes
no longer than a moment, a page ends after so many looks, with the id of the last job looked at.
"""

from collections.abc import Sequence
from functools import partial
from typing import Any, Final

import trio

from job_service.jobs.state.job_filter import JobFilter
from job_service.jobs.state.model import TERMINAL, TRANSITIONS, Job, Status
from job_service.stores.labels import labels_wanted
from job_service.stores.postgres.connection import Connection
from job_service.stores.postgres.rows import text_of
from job_service.stores.postgres.unreadable import jobs_of

LOOKS_AT_IDS: Final = 20_000  # in an index
LOOKS_AT_ROWS: Final = 2_000
PAGE_SECONDS: Final = 2  # that the server may take for one of its queries; milliseconds are usual

_UNFINISHED: Final = """
    SELECT id FROM job_service.jobs
    WHERE {within} {state} {rest} ORDER BY id {order} LIMIT %(limit)s
"""
# Jobs that a process holds are few: OFFSET has the server find all of them by their nodes.
_HELD: Final = """
    SELECT id FROM (
        SELECT id, type, status, error FROM job_service.jobs
        WHERE node IS NOT NULL {of_types} OFFSET 0
    ) AS held
    WHERE {within} {state} {rest} ORDER BY id {order} LIMIT %(limit)s
"""
# Rows are compared as wholes, because of `type = …` the planner may still take the primary key, and
# look at all jobs for the few of a rare type.
_UNFINISHED_OF_TYPES: Final = f"""
    (
        SELECT found.id
        FROM unnest(%(types)s::text[]) AS wanted (type), LATERAL (
            SELECT id FROM job_service.jobs
            WHERE node IS NULL AND {{within_type}} {{state}} {{rest}}
            ORDER BY type {{order}}, id {{order}} LIMIT %(limit)s
        ) AS found
        ORDER BY found.id {{order}} LIMIT %(limit)s
    )
    UNION ALL
    ({_HELD})
"""
# A status that this program does not know stands for pending, in both tables.
_PAIRS: Final = """
    SELECT type, status, count(*) OVER () AS pairs FROM job_service.counts
    WHERE (status = ANY(%(ended)s) OR %(any_unknown)s AND status <> ALL(%(known)s)) {of_types}
    GROUP BY type, status HAVING sum(jobs) > 0
"""
_FINISHED: Final = f"""
    SELECT found.id
    FROM ({_PAIRS}) AS pair, LATERAL (
        SELECT id FROM job_service.finished
        WHERE {{within_pair}} {{rest}}
        ORDER BY type {{order}}, status {{order}}, id {{order}} LIMIT %(limit)s
    ) AS found
    ORDER BY found.id {{order}} LIMIT %(limit)s
"""
_EDGE_OF_UNFINISHED: Final = """
    SELECT (
        SELECT id FROM job_service.jobs WHERE {within}
        ORDER BY id {order} LIMIT 1 OFFSET %(looks)s - 1
    ) AS edge
"""
# Each pair may be looked at as often. Behind the first one whose looks are over, others may go on.
_EDGE_OF_FINISHED: Final = f"""
    SELECT (
        SELECT id FROM job_service.finished WHERE {{within_pair}}
        ORDER BY type {{order}}, status {{order}}, id {{order}}
        LIMIT 1 OFFSET greatest(%(looks)s / pair.pairs, 1) - 1
    ) AS edge
    FROM ({_PAIRS}) AS pair
"""
_OF_LABEL: Final = """
    SELECT labels.id FROM job_service.labels AS labels, LATERAL (
        SELECT type, status, error FROM job_service.jobs AS jobs WHERE jobs.id = labels.id
        UNION ALL
        SELECT type, status, error FROM job_service.finished AS finished
        WHERE finished.id = labels.id
    ) AS job
    WHERE label = %(label)s AND {within} {state} {rest}
    ORDER BY labels.id {order} LIMIT %(limit)s
"""
_EDGE_OF_LABEL: Final = """
    SELECT id FROM job_service.labels
    WHERE label = %(label)s AND {within} ORDER BY id {order} LIMIT 1 OFFSET %(looks)s - 1
"""

_PROCESSING: Final[tuple[Status, ...]] = ("processing",)

_HAS_STATUS: Final = """
    AND (status = ANY(%(statuses)s) OR %(any_unknown)s AND status <> ALL(%(known)s))
"""
_HAS_TYPE: Final = "AND type = ANY(%(types)s)"
_HAS_OTHER_LABELS: Final = """
    AND (
        SELECT count(*) FROM job_service.labels AS other
        WHERE other.label = ANY(%(others)s) AND other.id = labels.id
    ) = cardinality(%(others)s::text[])
"""
_HAS_ID_PART: Final = "AND strpos(id, %(id_part)s) > 0"
_HAS_ERROR: Final = "AND strpos(error, %(error)s) > 0"

_RECORDS: Final = """
    SELECT id, record, NULL FROM job_service.jobs WHERE id = ANY(%(ids)s)
    UNION ALL
    SELECT id, record, status FROM job_service.finished WHERE id = ANY(%(ids)s)
"""
# All queries of a page see the tables as they are in one moment.
_BEGINNING: Final = f"""
    SET TRANSACTION ISOLATION LEVEL REPEATABLE READ, READ ONLY;
    SET LOCAL statement_timeout = '{PAGE_SECONDS}s'
"""


class Listing:
    """One page of the jobs that are meant."""

    def __init__(
        self, wanted: JobFilter, *, after: str | None, limit: int, newest_first: bool
    ) -> None:
        self._wanted = wanted
        self._newest_first = newest_first
        span = wanted.span(after, newest_first=newest_first)
        self._labels = labels_wanted(wanted)
        self._ended = sorted(status for status in wanted.among or TERMINAL if status in TERMINAL)
        self._any_unknown = not wanted.among or "pending" in wanted.among
        self._values: dict[str, object] = {
            "behind": span.behind or "",
            "before": span.before or "~",  # comes after any id
            "limit": limit,
            "looks": LOOKS_AT_IDS,
            "statuses": list(wanted.among),
            "ended": self._ended,
            "known": list(TRANSITIONS),
            "any_unknown": self._any_unknown,
            "types": [name for name in wanted.types if "\0" not in name],
            "label": text_of(self._labels[0]) if self._labels else None,
            "others": [text_of(label) for label in self._labels[1:]],
            "id_part": wanted.id_part,
            "error": wanted.error,
        }
        if wanted.error is not None or self._labels:
            self._values["looks"] = LOOKS_AT_ROWS

    async def read(self, connection: Connection) -> tuple[list[Job], str | None]:
        """Up to `limit` jobs in order, without payloads and results.

        With them comes the id up to which they were looked for, or None if that is the end. Raises
        psycopg.Error: QueryCanceled if the server takes too long.
        """
        if self._wanted.is_empty:
            return [], None
        await connection.begin(_BEGINNING)
        try:
            return await self._read(connection)
        finally:
            with trio.CancelScope(shield=True):
                await connection.execute("ROLLBACK")

    async def _read(self, connection: Connection) -> tuple[list[Job], str | None]:
        edge: str | None = None
        if self._may_look_in_vain:
            found = await self._rows(connection, self._query_of_edge, None)
            edge = found[0][0] if found else None
        ids = [job_id for (job_id,) in await self._rows(connection, self._query, edge)]
        if not ids:
            return [], edge
        kept = {row[0]: row for row in await connection.named(_RECORDS, {"ids": ids})}
        ends = {each: status for each, _, status in kept.values() if status is not None}
        rows = [(each, kept[each][1], "", 0) for each in ids]
        return await jobs_of(connection, rows, ends=ends), edge

    @property
    def _query(self) -> str:
        if self._labels:
            return _OF_LABEL
        of_unfinished = _UNFINISHED_OF_TYPES if self._wanted.types else _UNFINISHED
        if self._wanted.among == _PROCESSING:
            of_unfinished = _HELD
        some = [
            *([of_unfinished] if self._has_unfinished else []),
            *([_FINISHED] if self._ended or self._any_unknown else []),
        ]
        return f"""
            SELECT id FROM ({" UNION ALL ".join(f"({each})" for each in some)}) AS jobs
            ORDER BY id {{order}} LIMIT %(limit)s
        """

    @property
    def _query_of_edge(self) -> str:
        if self._labels:
            return _EDGE_OF_LABEL
        some = [
            *([_EDGE_OF_UNFINISHED] if self._has_unfinished else []),
            *([_EDGE_OF_FINISHED] if self._ended or self._any_unknown else []),
        ]
        return f"SELECT {{first}}(edge) FROM ({' UNION ALL '.join(some)}) AS edges"

    async def _rows(
        self, connection: Connection, query: str, edge: str | None
    ) -> list[tuple[Any, ...]]:
        within = partial(_within, at_edge=edge is not None, newest_first=self._newest_first)
        text = query.format(
            within=within((), ""),
            within_type=within(("type",), "wanted"),
            within_pair=within(("type", "status"), "pair"),
            state=self._state,
            of_types=_HAS_TYPE if self._wanted.types else "",
            rest=self._rest,
            order="DESC" if self._newest_first else "ASC",
            first="max" if self._newest_first else "min",
        )
        return await connection.named(text, {**self._values, "edge": edge})

    @property
    def _has_unfinished(self) -> bool:
        return not self._wanted.among or not TERMINAL.issuperset(self._wanted.among)

    @property
    def _state(self) -> str:
        """What the status and the type must be, as far as nothing else sees to that."""
        return " ".join(
            [
                *([_HAS_STATUS] if self._wanted.among else []),
                *([_HAS_TYPE] if self._wanted.types else []),
            ]
        )

    @property
    def _rest(self) -> str:
        """What must be asked of each job in turn."""
        return " ".join(
            [
                *([_HAS_OTHER_LABELS] if len(self._labels) > 1 else []),
                *([_HAS_ID_PART] if self._wanted.id_part is not None else []),
                *([_HAS_ERROR] if self._wanted.error is not None else []),
            ]
        )

    @property
    def _may_look_in_vain(self) -> bool:
        return bool(self._rest or (self._labels and self._state))


def _within(columns: Sequence[str], table: str, *, at_edge: bool, newest_first: bool) -> str:
    """The bounds of ids, among the rows that have these columns as a row of the table has them."""
    row = ", ".join([*columns, "id"])
    same = "".join(f"{table}.{column}, " for column in columns)
    lowest, highest = f"> ({same}%(behind)s)", f"< ({same}%(before)s)"
    if at_edge and newest_first:
        lowest = f">= ({same}%(edge)s)"
    elif at_edge:
        highest = f"<= ({same}%(edge)s)"
    return f"({row}) {lowest} AND ({row}) {highest}"
