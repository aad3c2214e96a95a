"""Writes a batch within a transaction, many rows by one statement.

Beside a busy loop the thread may wait for the interpreter whenever SQLite has given it up, which is
in each call. Measured there with 1,000 rows: one call for each row takes half as long again, from
the loop's time, too, and one call for all of them, as JSON, twice as long, because SQLite is slow
to take that apart. With 100 rows and fewer they are alike. With 5,000 rows, 64 by one statement
take twice as long as 512.
"""

import sqlite3
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from functools import cache
from itertools import chain
from typing import Any, Final, NamedTuple

from job_service.stores.sqlite.rows import Batch

_NOTHING: Final = Batch()
_ROWS_AT_ONCE: Final = tuple(2**n for n in range(9, -1, -1))  # so SQLite has each statement ready


class _Insert(NamedTuple):
    """A statement that inserts rows of so many columns, less what comes between the two parts."""

    columns: int
    start: str
    end: str


_JOBS: Final = _Insert(
    10,
    "INSERT INTO jobs VALUES",
    """
    ON CONFLICT DO UPDATE SET
        status = excluded.status,
        priority = excluded.priority,
        run_at = excluded.run_at,
        finished_at = excluded.finished_at,
        record = excluded.record,
        result = excluded.result,
        error = excluded.error
    """,
)
_PAYLOADS: Final = _Insert(2, "INSERT OR REPLACE INTO payloads VALUES", "")
_LABELS: Final = _Insert(2, "INSERT OR IGNORE INTO labels VALUES", "")
_KEYS: Final = _Insert(4, "INSERT OR REPLACE INTO keys VALUES", "")
# No key that is made later than this end tells of the job. If there is none at all, neither does
# any: the row is ignored, because it has no `until`.
_KEYED_ENDS: Final = _Insert(
    3, "INSERT OR IGNORE INTO keyed_ends SELECT *, (SELECT max(until) FROM keys) FROM (VALUES", ")"
)
_GROUPS: Final = _Insert(
    3,
    "INSERT INTO groups VALUES",
    "ON CONFLICT DO UPDATE SET ended_at = excluded.ended_at, standing = excluded.standing",
)
_GROUP_DEFINITIONS: Final = _Insert(
    2, "INSERT INTO group_definitions VALUES", "ON CONFLICT DO NOTHING"
)
_SCHEDULES: Final = _Insert(7, "INSERT OR REPLACE INTO schedules VALUES", "")


def write(connection: sqlite3.Connection, batch: Batch) -> None:
    """Write the whole batch, in the transaction that is under way."""
    if batch == _NOTHING:
        (version,) = connection.execute("PRAGMA user_version").fetchone()
        connection.execute(f"PRAGMA user_version = {version}")  # which it is already
    _insert(connection, _JOBS, batch.jobs)
    _insert(connection, _PAYLOADS, batch.payloads)
    _insert(connection, _LABELS, batch.labels)
    _insert(connection, _KEYS, batch.keys)
    _insert(connection, _KEYED_ENDS, batch.keyed_ends)
    _insert(connection, _SCHEDULES, batch.schedules)
    _insert(connection, _GROUPS, batch.groups)
    _insert(connection, _GROUP_DEFINITIONS, batch.group_definitions)
    for job_type, paused in batch.pauses:
        change = "INSERT OR IGNORE INTO pauses VALUES (?)"
        if not paused:
            change = "DELETE FROM pauses WHERE job_type = ?"
        connection.execute(change, [job_type])


@contextmanager
def transaction(connection: sqlite3.Connection) -> Iterator[None]:
    """Commit what is done in the block, or undo it if the block raises or it can't be kept."""
    connection.execute("BEGIN IMMEDIATE")
    try:
        yield
        connection.execute("COMMIT")
    finally:
        if connection.in_transaction:
            connection.execute("ROLLBACK")


def _insert(connection: sqlite3.Connection, insert: _Insert, rows: Sequence[Sequence[Any]]) -> None:
    start = 0
    for size in _ROWS_AT_ONCE:
        while len(rows) - start >= size:
            values = list(chain.from_iterable(rows[start : start + size]))
            connection.execute(_statement(insert, size), values)
            start += size


@cache
def _statement(insert: _Insert, rows: int) -> str:
    row = f"({', '.join('?' * insert.columns)})"
    return f"{insert.start} {', '.join([row] * rows)} {insert.end}"
