"""Copies a database while it is in use, and finds out whether it is sound."""

import os
import sqlite3
from collections.abc import Callable, Iterable
from contextlib import closing
from pathlib import Path
from typing import Final, get_args

from job_service.errors import BackupRefused
from job_service.jobs.state.model import TERMINAL, Status
from job_service.stores.sqlite.connection import BUSY_SECONDS
from job_service.stores.sqlite.finished_counts import COUNTED
from job_service.stores.sqlite.schema import VERSION, version_of

STEP_PAGES: Final = 1_000  # of a copy, 4 MiB: commits wait for one step at most
_SHOWN: Final = 100  # problems of one kind
_TIME: Final = "____-__-__T__:__:__.______Z".replace("_", "[0-9]")


def backup(connection: sqlite3.Connection, destination: Path, meanwhile: Callable[[], None]) -> int:
    """Copy the database to a new file, which is whole or not there, and give its size in bytes.

    It is copied in steps, and `meanwhile` is called between them. What that writes with this
    connection is in the copy, too: it is the database as it is at the last step.

    Raises BackupRefused if there is such a file already, or it can't be made.
    """
    part = Path(f"{destination}-part")  # which an interrupted backup may have left
    try:
        _require_none(destination)
        try:
            part.write_bytes(b"")
            with closing(sqlite3.connect(part)) as copy:
                connection.backup(copy, pages=STEP_PAGES, progress=lambda *_: meanwhile())
            _sync(part)
            _require_none(destination)
            part.rename(destination)
            _sync(destination.parent)
        finally:
            part.unlink(missing_ok=True)
        return destination.stat().st_size
    except (OSError, sqlite3.Error) as error:
        why = error.strerror if isinstance(error, OSError) else error
        raise BackupRefused(f"can't make {destination}: {why}") from None


def checkpoint(connection: sqlite3.Connection) -> None:
    """Move what is in the write-ahead log into the database, and make the log empty.

    If somebody else reads the database, as `job-service check` does, the rest is left for the next
    time: commits would have to wait for them, too.
    """
    connection.execute("PRAGMA busy_timeout = 0")
    try:
        connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    finally:
        connection.execute(f"PRAGMA busy_timeout = {BUSY_SECONDS * 1_000:.0f}")


def check(connection: sqlite3.Connection) -> list[str]:
    """What is wrong with the database, a line for each thing. It looks at all that is kept."""
    lines = [line for (line,) in connection.execute("PRAGMA integrity_check") if line != "ok"]
    checks = _CHECKS if version_of(connection) < VERSION else (*_CHECKS, *_CHECKS_OF_THIS_VERSION)
    for query, problem in checks:
        found = connection.execute(f"{query} LIMIT {_SHOWN + 1}").fetchall()
        lines += [problem.format(*row) for row in found[:_SHOWN]]
        if len(found) > _SHOWN:
            lines.append("there are more of this kind")
    return lines


def _quoted(statuses: Iterable[str]) -> str:
    return ", ".join(f"'{status}'" for status in statuses)


_CHECKS: Final = (
    (
        "SELECT id FROM jobs WHERE id NOT IN (SELECT id FROM payloads)",
        "job {} has no payload",
    ),
    (
        "SELECT id FROM payloads WHERE id NOT IN (SELECT id FROM jobs)",
        "there is a payload of job {}, which is not kept",
    ),
    (
        f"SELECT id, status FROM jobs WHERE status NOT IN ({_quoted(get_args(Status))})",
        "job {} has the unknown status {}",
    ),
    (
        f"""
        SELECT id, status, ifnull(finished_at, 'no time') FROM jobs
        WHERE (status IN ({_quoted(TERMINAL)})) <> (finished_at IS NOT NULL)
        """,
        "job {} is {}, but the time of its end is {}",
    ),
    *(
        (
            f"SELECT id, {column} FROM jobs WHERE {column} NOT GLOB '{_TIME}'",
            f"job {{}} has a {column} that is no time: {{}}",
        )
        for column in ("created_at", "run_at", "finished_at")
    ),
)

_CHECKS_OF_THIS_VERSION: Final = (
    (
        f"""
        SELECT type, status, sum(kept), sum(counted) FROM (
            SELECT type, status, jobs AS kept, 0 AS counted FROM ({COUNTED})
            UNION ALL SELECT type, status, 0, jobs FROM finished_counts
        )
        WHERE EXISTS (SELECT 1 FROM finished_counts) -- else they are still to be counted
        GROUP BY type, status HAVING sum(kept) <> sum(counted)
        """,
        "of the jobs of type {} that are {}, {:,} are kept and {:,} counted",
    ),
)


def _require_none(file: Path) -> None:
    if os.path.lexists(file):
        raise BackupRefused(f"{file} is there already: name a new file")


def _sync(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
