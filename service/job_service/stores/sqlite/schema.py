"""What the database looks like, and how one of an older version is brought up to date."""

import sqlite3
from collections.abc import Callable
from typing import Final

from job_service.stores.sqlite.writing import transaction

APPLICATION_ID: Final = 0x4A6F6253  # "JobS"


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

# By which unique keys and tags jobs are found, also when they have ended.
_LABELS: Final = (
    """
    CREATE TABLE labels (
        label TEXT NOT NULL, id TEXT NOT NULL, PRIMARY KEY (label, id)
    ) STRICT, WITHOUT ROWID
    """,
    "CREATE INDEX labels_by_job ON labels (id)",
    """
    CREATE TRIGGER labels_go_with_jobs AFTER DELETE ON jobs BEGIN
        DELETE FROM labels WHERE id = OLD.id;
    END
    """,
    """
    INSERT INTO labels
    SELECT 'key:' || json_extract(record, '$.unique_key'), id FROM jobs
    WHERE json_extract(record, '$.unique_key') IS NOT NULL
    """,
)

# By what the last error of a job is searched. Jobs without one are not in the index, and the errors
# are in it themselves, so no record is read on the way.
_ERRORS: Final = (
    "ALTER TABLE jobs ADD COLUMN error TEXT",
    """
    UPDATE jobs SET error = replace(lower(substr(
        CASE WHEN json_type(record, '$.attempts') IS NULL THEN json_extract(record, '$.failure')
        ELSE json_extract(record, '$.attempts[#-1].error') END,
        1, 1000
    )), char(0), char(65533))
    WHERE status IN ('pending', 'failed', 'cancelled', 'abandoned')
    """,
    "CREATE INDEX jobs_by_error ON jobs (status, type, id, error) WHERE error IS NOT NULL",
)


# Apart, because SQLite writes a row anew when anything in it changes, and what a group is may be
# long, while its standing changes with each job that ends.
_GROUPS: Final = (
    """
    CREATE TABLE groups (
        id TEXT PRIMARY KEY, ended_at TEXT, standing TEXT NOT NULL
    ) STRICT, WITHOUT ROWID
    """,
    "CREATE INDEX groups_by_end ON groups (ended_at, id)",
    """
    CREATE TABLE group_definitions (
        id TEXT PRIMARY KEY, definition TEXT NOT NULL
    ) STRICT, WITHOUT ROWID
    """,
    """
    CREATE TRIGGER group_definitions_go_with_groups AFTER DELETE ON groups BEGIN
        DELETE FROM group_definitions WHERE id = OLD.id;
    END
    """,
)


# What operators have said of a schedule is kept beside when it ran. A job that was made before that
# was made by a tick.
_SCHEDULES: Final = (
    """
    CREATE TABLE schedules (
        schedule TEXT PRIMARY KEY,
        ticked_at TEXT,
        last_run_at TEXT,
        last_job_id TEXT,
        paused_since TEXT,
        paused_by TEXT,
        resumed_at TEXT
    ) STRICT, WITHOUT ROWID
    """,
    """
    INSERT INTO schedules (schedule, ticked_at, last_run_at, last_job_id)
    SELECT schedule, at, at, job_id FROM ticks
    """,
    "DROP TABLE ticks",
)


# To count them takes a start half a minute if there are millions.
_FINISHED_COUNTS: Final = """
    CREATE TABLE finished_counts (
        type TEXT NOT NULL, status TEXT NOT NULL, jobs INTEGER NOT NULL, PRIMARY KEY (type, status)
    ) STRICT, WITHOUT ROWID
"""


def _label(connection: sqlite3.Connection) -> None:
    for statement in _LABELS:
        connection.execute(statement)


def _keep_errors(connection: sqlite3.Connection) -> None:
    for statement in _ERRORS:
        connection.execute(statement)


def _group(connection: sqlite3.Connection) -> None:
    for statement in _GROUPS:
        connection.execute(statement)


def _keep_schedules(connection: sqlite3.Connection) -> None:
    for statement in _SCHEDULES:
        connection.execute(statement)


def _keep_counts(connection: sqlite3.Connection) -> None:
    connection.execute(_FINISHED_COUNTS)


# Each takes a database from the version that is its place here to the next one.
_MIGRATIONS: Final[tuple[Callable[[sqlite3.Connection], None], ...]] = (
    _create,
    _label,
    _keep_errors,
    _group,
    _keep_schedules,
    _keep_counts,
)

VERSION: Final = len(_MIGRATIONS)


def migrate(connection: sqlite3.Connection) -> None:
    """Bring the database to this version, in one transaction. A new one is of version 0.

    It writes the version in any case. So what can't be written to is found out now.
    """
    with transaction(connection):
        for migration in _MIGRATIONS[version_of(connection) :]:
            migration(connection)
        connection.execute(f"PRAGMA user_version = {VERSION}")


def version_of(connection: sqlite3.Connection) -> int:
    """The version of the database's schema."""
    return number_of(connection, "user_version")


def number_of(connection: sqlite3.Connection, pragma: str) -> int:
    """What a pragma says that says a number."""
    (number,) = connection.execute(f"PRAGMA {pragma}").fetchone()
    return int(number)
