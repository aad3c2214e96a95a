"""Copies a database while it is in use, and finds out whether it is sound."""

import os
import sqlite3
from collections.abc import Iterable
from pathlib import Path
from typing import Final, get_args

from job_service.errors import StoreRefused
from job_service.jobs.state.model import TERMINAL, Status

_SHOWN: Final = 100  # problems of one kind
_TIME: Final = "____-__-__T__:__:__.______Z".replace("_", "[0-9]")


def backup(connection: sqlite3.Connection, destination: Path) -> None:
    """Copy the database as it is now to a new file, which is whole or not there.

    Raises StoreRefused if there is such a file already, or it can't be made.
    """
    part = Path(f"{destination}-part")  # which an interrupted backup may have left
    try:
        _require_none(destination)
        try:
            part.write_bytes(b"")
            connection.execute("VACUUM INTO ?", [os.fspath(part)])
            _sync(part)
            _require_none(destination)
            part.rename(destination)
            _sync(destination.parent)
        finally:
            part.unlink(missing_ok=True)
    except (OSError, sqlite3.Error) as error:
        why = error.strerror if isinstance(error, OSError) else error
        raise StoreRefused(f"can't make {destination}: {why}") from None


def check(connection: sqlite3.Connection) -> list[str]:
    """What is wrong with the database, a line for each thing. It looks at all that is kept."""
    lines = [line for (line,) in connection.execute("PRAGMA integrity_check") if line != "ok"]
    for query, problem in _CHECKS:
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


def _require_none(file: Path) -> None:
    if os.path.lexists(file):
        raise StoreRefused(f"{file} is there already: name a new file")


def _sync(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
