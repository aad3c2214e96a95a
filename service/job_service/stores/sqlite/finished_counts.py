"""Keeps how many jobs have ended, by type and status, because to count millions takes long.

The numbers change in the transaction that changes the jobs. If it is not known whether one was
kept, and if there are no numbers yet, as in a file of an older version, the jobs are counted.
"""

import sqlite3
from collections.abc import Iterable
from typing import Final

from job_service.stores.sqlite.rows import FinishedCount
from job_service.stores.unreadable import known_status

# An index has all of it, so no job is read.
COUNTED: Final = """
    SELECT type, status, count(*) AS jobs FROM jobs
    WHERE status IN ('completed', 'failed', 'cancelled', 'abandoned') GROUP BY status, type
"""


def count(connection: sqlite3.Connection) -> None:
    """Count all jobs that have ended, in the transaction that is under way."""
    connection.execute("DELETE FROM finished_counts")
    connection.execute(f"INSERT INTO finished_counts {COUNTED}")


def forget(connection: sqlite3.Connection) -> None:
    """Let whoever needs the numbers count anew, in the transaction that is under way."""
    connection.execute("DELETE FROM finished_counts")


def add(connection: sqlite3.Connection, ended: Iterable[FinishedCount]) -> None:
    """So many more have ended, in the transaction that is under way."""
    for each in ended:
        connection.execute(
            "INSERT INTO finished_counts VALUES (?, ?, ?)"
            " ON CONFLICT DO UPDATE SET jobs = jobs + excluded.jobs",
            each,
        )


def take_off(connection: sqlite3.Connection, deleted: Iterable[FinishedCount]) -> None:
    """So many are kept no more, in the transaction that is under way."""
    for job_type, status, jobs in deleted:
        connection.execute(
            "UPDATE finished_counts SET jobs = jobs - ? WHERE (type, status) = (?, ?)",
            [jobs, job_type, status],
        )


def kept(connection: sqlite3.Connection) -> list[FinishedCount]:
    """The numbers; none at all if the jobs are still to be counted."""
    rows = connection.execute("SELECT type, status, jobs FROM finished_counts")
    return [FinishedCount(name, known_status(status), jobs) for name, status, jobs in rows]
