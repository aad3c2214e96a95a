"""Writes a batch by one statement, into a view that has no rows, with a trigger that spreads it.

SQLite gives up the interpreter in each call, and beside a busy loop the thread may wait long until
it has it back. A statement in autocommit mode is a transaction of its own: it begins, writes
whatever there is and commits in a single call. That takes more of the processor than many
statements with a value for each `?`, but none of it is the loop's.
"""

import sqlite3
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from itertools import zip_longest
from typing import Final, TypeVar

import msgspec

from job_service.stores.sqlite.rows import Batch

Row = TypeVar("Row")

_PORTION_CHARS: Final = 8 * 1024 * 1024  # of one statement, because SQLite copies it

_WRITE: Final = "INSERT INTO temp.batch VALUES (?, ?, ?, ?, ?, ?)"

_VIEW: Final = """
    CREATE TEMP VIEW batch (jobs, payloads, keys, keyed_ends, pauses, ticks)
    AS SELECT NULL, NULL, NULL, NULL, NULL, NULL
"""

# `WHERE true` tells SQLite that what follows is no join's ON.
_TRIGGER: Final = """
    CREATE TEMP TRIGGER spread INSTEAD OF INSERT ON batch BEGIN
        INSERT INTO jobs
        SELECT
            value ->> 0, value ->> 1, value ->> 2, value ->> 3, value ->> 4, value ->> 5,
            value ->> 6, value ->> 7, value ->> 8
        FROM json_each(NEW.jobs) WHERE true
        ON CONFLICT DO UPDATE SET
            status = excluded.status,
            run_at = excluded.run_at,
            finished_at = excluded.finished_at,
            record = excluded.record,
            result = excluded.result;

        INSERT INTO payloads
        SELECT value ->> 0, value ->> 1 FROM json_each(NEW.payloads) WHERE true
        ON CONFLICT DO NOTHING;

        INSERT INTO keys
        SELECT value ->> 0, value ->> 1, value ->> 2, value ->> 3
        FROM json_each(NEW.keys) WHERE true
        ON CONFLICT DO UPDATE SET
            asked = excluded.asked, until = excluded.until, jobs = excluded.jobs;

        INSERT INTO keyed_ends
        SELECT value ->> 0, value ->> 1, value ->> 2, (SELECT max(until) FROM keys)
        FROM json_each(NEW.keyed_ends) WHERE EXISTS (SELECT 1 FROM keys)
        ON CONFLICT DO NOTHING;

        DELETE FROM pauses WHERE job_type IN (SELECT value ->> 0 FROM json_each(NEW.pauses));
        INSERT INTO pauses
        SELECT value ->> 0 FROM json_each(NEW.pauses) WHERE value ->> 1;

        INSERT INTO ticks
        SELECT value ->> 0, value ->> 1, value ->> 2 FROM json_each(NEW.ticks) WHERE true
        ON CONFLICT DO UPDATE SET at = excluded.at, job_id = excluded.job_id;
    END
"""


def prepare(connection: sqlite3.Connection) -> None:
    """Make what `write` needs, for as long as the connection lasts."""
    connection.execute(_VIEW)
    connection.execute(_TRIGGER)


def write(connection: sqlite3.Connection, batch: Batch) -> None:
    """Keep the whole batch, or nothing if it raises sqlite3.Error."""
    first, *more = _portions(batch)
    if not more:
        connection.execute(_WRITE, first)
        return
    with transaction(connection):
        for portion in (first, *more):
            connection.execute(_WRITE, portion)


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


def _portions(batch: Batch) -> Iterator[Sequence[str]]:
    """The values of each statement that the batch takes: one, unless it is very large."""
    jobs = _sliced(batch.jobs, lambda job: len(job.record) + len(job.result or ""))
    payloads = _sliced(batch.payloads, lambda pair: len(pair[1]))
    small = [_text(rows) for rows in (batch.keys, batch.keyed_ends, batch.pauses, batch.ticks)]
    for some_jobs, some_payloads in zip_longest(jobs, payloads, fillvalue=()):
        yield (_text(some_jobs), _text(some_payloads), *small)
        small = ["[]"] * len(small)


def _sliced(rows: Sequence[Row], size_of: Callable[[Row], int]) -> Iterator[Sequence[Row]]:
    """The rows in slices of bounded size, at least one."""
    start = size = 0
    for place, row in enumerate(rows):
        size += size_of(row)
        if size > _PORTION_CHARS and place > start:
            yield rows[start:place]
            start, size = place, size_of(row)
    yield rows[start:]


def _text(rows: object) -> str:
    return _encode(rows).decode()


_encode = msgspec.json.Encoder().encode
