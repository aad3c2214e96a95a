"""What the database looks like, and how a connection to it is opened or refused."""

import os
import sqlite3
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Final
from urllib.parse import quote

from job_service.errors import StoreRefused

APPLICATION_ID: Final = 0x4A6F6253  # "JobS"

_BUSY_SECONDS: Final = 10.0  # someone may look at it with the sqlite3 shell
_JOURNAL_BYTES: Final = 64 * 1024 * 1024  # to which the write-ahead log is cut back


def _create(connection: sqlite3.Connection) -> None:
    connection.execute(f"PRAGMA application_id = {APPLICATION_ID}")
    for statement in _TABLES:
        connection.execute(statement)


_TABLES: Final = (
    """
    CREATE TABLE jobs (
        id TEXT PRIMARY KEY,
        type TEXT NOT NULL,
        status TEXT NOT NULL,
        priority INTEGER NOT NULL,
        created_at TEXT NOT NULL,
        run_at TEXT NOT NULL,
        finished_at TEXT,
        record TEXT NOT NULL,
        result TEXT
    ) STRICT, WITHOUT ROWID
    """,
    # Each list of jobs is a few ranges of this one, and so is the count of them.
    "CREATE INDEX jobs_by_status ON jobs (status, type, id)",
    # Those that may be deleted, the one that finished first at its beginning.
    "CREATE INDEX jobs_by_end ON jobs (finished_at, id) WHERE finished_at IS NOT NULL",
    # Apart, because SQLite writes a row anew when anything in it changes.
    "CREATE TABLE payloads (id TEXT PRIMARY KEY, payload TEXT NOT NULL) STRICT, WITHOUT ROWID",
    """
    CREATE TRIGGER payloads_go_with_jobs AFTER DELETE ON jobs BEGIN
        DELETE FROM payloads WHERE id = OLD.id;
    END
    """,
    """
    CREATE TABLE keys (
        key TEXT PRIMARY KEY, asked BLOB NOT NULL, until TEXT NOT NULL, jobs TEXT NOT NULL
    ) STRICT, WITHOUT ROWID
    """,
    "CREATE INDEX keys_by_age ON keys (until)",
    # How the jobs of keys have ended. No key that is younger than all keys were then tells of it.
    """
    CREATE TABLE keyed_ends (
        job_id TEXT PRIMARY KEY,
        status TEXT NOT NULL,
        finished_at TEXT NOT NULL,
        until TEXT NOT NULL
    ) STRICT, WITHOUT ROWID
    """,
    "CREATE INDEX keyed_ends_by_age ON keyed_ends (until)",
    "CREATE TABLE pauses (job_type TEXT PRIMARY KEY) STRICT, WITHOUT ROWID",
    """
    CREATE TABLE ticks (
        schedule TEXT PRIMARY KEY, at TEXT NOT NULL, job_id TEXT
    ) STRICT, WITHOUT ROWID
    """,
)

# Each takes a database from the version that is its place here to the next one.
_MIGRATIONS: Final[tuple[Callable[[sqlite3.Connection], None], ...]] = (_create,)

VERSION: Final = len(_MIGRATIONS)


def open_connection(path: Path, *, read_only: bool = False) -> sqlite3.Connection:
    """A connection to the database at `path`, for any one thread, in autocommit mode.

    If there is none, it is made, and one of an older version is brought up to date, unless it is
    only to be read. Raises StoreRefused if that can't be, or if the file is not for this program;
    then the file is as it was.
    """
    try:
        is_new = _is_new(path, read_only=read_only)
        if is_new and read_only:
            raise StoreRefused(f"there is no database at {path}")
        if not is_new:
            with closing(_connect(path, "ro")) as reader:
                _refuse_strangers(path, reader)
        return _open(path, read_only=read_only)
    except OSError as error:
        raise StoreRefused(f"can't use {path}: {error.strerror}") from None
    except sqlite3.DatabaseError as error:
        raise StoreRefused(explained(path, error)) from None


def version_of(connection: sqlite3.Connection) -> int:
    """The version of the database's schema; 0 if it has none yet."""
    return _number(connection, "user_version")


def _is_new(path: Path, *, read_only: bool) -> bool:
    """Whether the database is still to be made. Raises StoreRefused if it can't be one.

    Raises OSError if it can't be opened, to be written to unless it is only to be read: SQLite
    would open it for reading then, and say so only when it is to write.
    """
    if path.is_dir():
        raise StoreRefused(f"{path} is a directory: name a file in it")
    if not path.parent.is_dir():
        raise StoreRefused(f"there is no directory {path.parent}: make it first")
    if not path.exists():
        return True
    if path.stat().st_nlink > 1:
        raise StoreRefused(
            f"{path} has more than one name (hard links), which SQLite can't bear: keep one of them"
        )
    with path.open("rb" if read_only else "r+b") as file:
        start = file.read(16)
    if start and start != b"SQLite format 3\0":
        raise StoreRefused(f"{path} is not an SQLite database: take another file")
    return not start


def _refuse_strangers(path: Path, reader: sqlite3.Connection) -> None:
    if _number(reader, "application_id") != APPLICATION_ID:
        if _number(reader, "application_id") or _number(reader, "schema_version"):
            raise StoreRefused(f"{path} is another program's database: take another file")
        return  # whoever was to create it came no further
    if (version := version_of(reader)) > VERSION:
        raise StoreRefused(
            f"{path} is of schema version {version}, and this program knows {VERSION}: "
            "run the newer program that wrote it"
        )


def _open(path: Path, *, read_only: bool) -> sqlite3.Connection:
    connection = _connect(path, "ro" if read_only else "rwc")
    try:
        if not read_only:
            connection.execute("PRAGMA journal_mode = WAL")
            connection.execute("PRAGMA synchronous = FULL")
            connection.execute(f"PRAGMA journal_size_limit = {_JOURNAL_BYTES}")
            _migrate(connection)
    except BaseException:
        connection.close()
        raise
    return connection


def _migrate(connection: sqlite3.Connection) -> None:
    """Bring the database up to date, in one transaction. It must be writable anyway."""
    connection.execute("BEGIN IMMEDIATE")
    try:
        if (version := version_of(connection)) < VERSION:
            for migration in _MIGRATIONS[version:]:
                migration(connection)
            connection.execute(f"PRAGMA user_version = {VERSION}")
        connection.execute("COMMIT")
    except BaseException:
        if connection.in_transaction:
            connection.execute("ROLLBACK")
        raise


def _connect(path: Path, mode: str) -> sqlite3.Connection:
    return sqlite3.connect(
        f"file:{quote(os.path.realpath(path))}?mode={mode}",
        uri=True,
        timeout=_BUSY_SECONDS,
        isolation_level=None,
        check_same_thread=False,
    )


def _number(connection: sqlite3.Connection, pragma: str) -> int:
    (number,) = connection.execute(f"PRAGMA {pragma}").fetchone()
    return int(number)


def explained(path: Path, error: sqlite3.DatabaseError) -> str:
    """What is to be done about an error of SQLite's, in one line."""
    match error.sqlite_errorcode & 0xFF:
        case sqlite3.SQLITE_CORRUPT | sqlite3.SQLITE_NOTADB:
            return f"{path} is damaged ({error}): put a backup in its place"
        case sqlite3.SQLITE_READONLY | sqlite3.SQLITE_CANTOPEN | sqlite3.SQLITE_PERM:
            return f"{path} can't be written to ({error}): see to its directory's permissions, too"
        case sqlite3.SQLITE_BUSY | sqlite3.SQLITE_LOCKED:
            return f"{path} is in use by another program ({error}): stop that first"
    return f"can't use {path}: {error}"
