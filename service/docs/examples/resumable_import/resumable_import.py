"""Imports a large file into a database, tells how far it is, and goes on where it stopped."""

import csv
import os
import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager
from itertools import islice
from pathlib import Path

import msgspec
import trio

from job_service import JobContext, Registry, Retry

registry = Registry()

DATABASE = os.environ.get("SHOP_DATABASE", "shop.db")
ROWS_IN_ONE_GO = 1_000

TABLES = """
    CREATE TABLE IF NOT EXISTS customers (email TEXT PRIMARY KEY, name TEXT NOT NULL);
    CREATE TABLE IF NOT EXISTS imports (job_id TEXT PRIMARY KEY, rows_done INTEGER NOT NULL);
"""


class Import(msgspec.Struct, forbid_unknown_fields=True):
    path: str


class Imported(msgspec.Struct):
    rows: int
    went_on_after: int


@registry.job("import_customers", retry=Retry(max_retries=20, base_seconds=1), concurrency=1)
def import_customers(source: Import, job: JobContext) -> Imported:
    path = Path(source.path)
    with path.open(newline="") as file:
        total = sum(1 for _ in csv.DictReader(file))
    with path.open(newline="") as file, open_database() as database:
        # The job keeps its id in each attempt, even if the service has crashed in between.
        done = started_after = rows_done(database, job.id)
        rows = islice(csv.DictReader(file), done, None)
        while portion := list(islice(rows, ROWS_IN_ONE_GO)):
            trio.from_thread.check_cancelled()  # a thread that was let go must not write any more
            done = keep(database, job.id, portion, done)
            job.progress(done, total, f"up to {portion[-1]['email']}")
    return Imported(done, started_after)


def keep(database: sqlite3.Connection, job_id: str, rows: list[dict[str, str]], done: int) -> int:
    """Add rows, and how far the import is, in one transaction: both are kept, or none is."""
    with database:
        database.executemany(
            "INSERT INTO customers VALUES (:email, :name)"
            " ON CONFLICT (email) DO UPDATE SET name = excluded.name",
            rows,
        )
        database.execute(
            "INSERT INTO imports VALUES (?, ?)"
            " ON CONFLICT (job_id) DO UPDATE SET rows_done = excluded.rows_done",
            (job_id, done + len(rows)),
        )
    return done + len(rows)


def rows_done(database: sqlite3.Connection, job_id: str) -> int:
    found = database.execute("SELECT rows_done FROM imports WHERE job_id = ?", (job_id,)).fetchone()
    return found[0] if found else 0


@contextmanager
def open_database() -> Iterator[sqlite3.Connection]:
    with closing(sqlite3.connect(DATABASE, timeout=30)) as database:
        database.executescript(TABLES)
        yield database
