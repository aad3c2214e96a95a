"""Opens the database, or refuses it and leaves it as it is."""

import os
import sqlite3
from contextlib import closing
from pathlib import Path
from typing import Final
from urllib.parse import quote

from job_service.errors import StoreRefused
from job_service.stores.sqlite.files_beside import require_file_or_nothing
from job_service.stores.sqlite.schema import (
    APPLICATION_ID,
    VERSION,
    migrate,
    number_of,
    version_of,
)

_OLDEST_SQLITE: Final = (3, 37)  # the first that has STRICT tables
_FIRST_BYTES: Final = b"SQLite format 3\0"
_HEAD_BYTES: Final = 100
_BESIDE: Final = ("-wal", "-shm", "-journal")  # what SQLite itself has beside a database
BUSY_SECONDS: Final = 10.0  # someone may look at it with the sqlite3 shell
_JOURNAL_BYTES: Final = 64 * 1024 * 1024  # to which the write-ahead log is cut back

# A larger one is not searched for damage at each start, which takes 3 seconds for this much.
_CHECKED_BYTES: Final = 1024 * 1024 * 1024


def open_connection(path: Path, *, read_only: bool = False) -> sqlite3.Connection:
    """A connection to the database at `path`, in autocommit mode, for this thread.

    If there is none, it is made, and one of an older version is brought up to date, unless it is
    only to be read. Raises StoreRefused if that can't be, or if the file is not for this program.
    """
    path = Path(os.path.realpath(path))
    try:
        if _is_new(path, read_only=read_only):
            if read_only:
                raise StoreRefused(f"there is no database at {path}")
        else:
            with closing(_connect(path, _to_read(path))) as reader:
                _examine(path, reader)
        return _connect(path, _to_read(path)) if read_only else _open(path)
    except OSError as error:
        raise StoreRefused(f"can't use {path}: {error.strerror}") from None
    except sqlite3.Error as error:
        raise StoreRefused(refusal(path, error)) from None


def refusal(path: Path, error: sqlite3.Error) -> str:
    """Why the database can't be used, and what to do about it, in one line."""
    match getattr(error, "sqlite_errorcode", 0) & 0xFF:
        case sqlite3.SQLITE_CORRUPT | sqlite3.SQLITE_NOTADB:
            return f"{path} is damaged ({error}): put a backup in its place"
        case sqlite3.SQLITE_READONLY | sqlite3.SQLITE_CANTOPEN | sqlite3.SQLITE_PERM:
            return f"can't write to {path} ({error}): allow it, in its directory, too"
        case sqlite3.SQLITE_BUSY | sqlite3.SQLITE_LOCKED:
            return f"another program uses {path} ({error}): end it first"
        case sqlite3.SQLITE_ERROR:
            return f"{path} has not the tables of its version ({error}): put a backup in its place"
    return f"can't use {path}: {error}"


def _is_new(path: Path, *, read_only: bool) -> bool:
    """Whether the database is still to be made. Raises StoreRefused if there is something else."""
    if sqlite3.sqlite_version_info < _OLDEST_SQLITE:
        raise StoreRefused(
            f"this Python has SQLite {sqlite3.sqlite_version}: take one that has 3.37 or later"
        )
    if not path.parent.is_dir():
        raise StoreRefused(f"there is no directory {path.parent}: make it first")
    for suffix in _BESIDE:
        require_file_or_nothing(Path(f"{path}{suffix}"))
    if not path.exists():
        return True
    if not path.is_file():
        raise StoreRefused(f"{path} is no file: name one, and it will be made")
    # SQLite would keep another write-ahead log for each name.
    if path.stat().st_nlink > 1:
        raise StoreRefused(f"{path} has several names (hard links): remove all but one")
    # SQLite itself would be content with a file that can only be read.
    with path.open("rb" if read_only else "r+b") as file:
        head = file.read(_HEAD_BYTES)
    if head and not head.startswith(_FIRST_BYTES):
        raise StoreRefused(f"{path} is no SQLite database: name another file")
    if head and len(head) < _HEAD_BYTES:
        raise StoreRefused(f"{path} is damaged (it ends too early): put a backup in its place")
    return not head


def _examine(path: Path, reader: sqlite3.Connection) -> None:
    """Raise StoreRefused if this program must not use the database."""
    application = number_of(reader, "application_id")
    version = version_of(reader)
    if application == version == number_of(reader, "schema_version") == 0:
        return  # it is empty: whoever was about to make it came no further
    if application != APPLICATION_ID:
        raise StoreRefused(f"{path} is another program's database: name another file")
    if version < 1:
        raise StoreRefused(
            f"{path} says that its version is {version}, and the first one was 1: "
            "put a backup in its place"
        )
    if version > VERSION:
        raise StoreRefused(
            f"{path} has version {version}, and this program knows {VERSION}: "
            "run the newer program that wrote it"
        )
    if path.stat().st_size <= _CHECKED_BYTES:
        (found,) = reader.execute("PRAGMA quick_check(1)").fetchone()
        if found != "ok":
            damage = " ".join(found.split())
            raise StoreRefused(f"{path} is damaged ({damage}): put a backup in its place")


def _open(path: Path) -> sqlite3.Connection:
    connection = _connect(path, "mode=rwc")
    try:
        (mode,) = connection.execute("PRAGMA journal_mode = WAL").fetchone()
        if mode != "wal":
            raise StoreRefused(f"SQLite can't keep a write-ahead log for {path}: use a local disk")
        connection.execute("PRAGMA synchronous = FULL")
        connection.execute("PRAGMA fullfsync = ON")  # without it, a Mac leaves it to the disk
        connection.execute(f"PRAGMA journal_size_limit = {_JOURNAL_BYTES}")
        migrate(connection)
    except BaseException:
        connection.close()
        raise
    return connection


def _to_read(path: Path) -> str:
    """How to open a database that is to stay as it is.

    A reader makes a write-ahead log and its index if there are none, and can't take them away. One
    who takes the file for immutable does not, and sees nothing of a log.
    """
    has_log = Path(f"{path}-wal").exists()
    return "mode=ro" if has_log else "mode=ro&immutable=1"


def _connect(path: Path, how: str) -> sqlite3.Connection:
    return sqlite3.connect(
        f"file:{quote(os.fspath(path))}?{how}",
        uri=True,
        timeout=BUSY_SECONDS,
        isolation_level=None,
    )
