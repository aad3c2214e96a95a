"""Reads rows whatever is in their texts, which somebody may have damaged.

SQLite's module gives a text only if it is UTF-8, and else raises for the whole query. So all long
texts are read as bytes, and all of rows that are no jobs. A text that was no UTF-8 can't be encoded
any more: whoever reads it finds out. What is shown as it is has marks in place of such bytes.
"""

from typing import Any, Final

from job_service.stores.sqlite.rows import (
    BesideRecord,
    JobRow,
    KeptGroup,
    KeyedEnd,
    KeyRow,
    Schedule,
)

_COLUMNS: Final = "id, type, status, priority, created_at, run_at, finished_at"
_TEXTS: Final = "CAST(payload AS BLOB), CAST(result AS BLOB)"

LISTED: Final = f"SELECT {_COLUMNS}, CAST(record AS BLOB) FROM jobs WHERE id IN"
# The columns of a `KeptJob`.
WHOLE: Final = f"""
    SELECT id, status, CAST(record AS BLOB), {_TEXTS}
    FROM jobs LEFT JOIN payloads USING (id) WHERE id IN
"""
BESIDE_RECORDS: Final = f"""
    SELECT {_COLUMNS}, {_TEXTS},
        (SELECT json_group_array(label) FROM labels WHERE labels.id = jobs.id)
    FROM jobs LEFT JOIN payloads USING (id) WHERE id IN
"""
PAYLOAD_STARTS: Final = """
    SELECT id, CAST(substr(payload, 1, ?) AS BLOB) FROM payloads WHERE id IN
"""

KEYS: Final = """
    SELECT CAST(key AS BLOB), asked, CAST(until AS BLOB), CAST(jobs AS BLOB) FROM keys
    WHERE until > ? ORDER BY until
"""
KEYED_ENDS: Final = """
    SELECT CAST(job_id AS BLOB), CAST(status AS BLOB), CAST(finished_at AS BLOB) FROM keyed_ends
    WHERE until > ?
"""
PAUSES: Final = "SELECT CAST(job_type AS BLOB) FROM pauses"
_OF_SCHEDULES: Final = ", ".join(f"CAST({column} AS BLOB)" for column in Schedule._fields)
SCHEDULES: Final = f"SELECT {_OF_SCHEDULES} FROM schedules"
GROUPS: Final = """
    SELECT CAST(definition AS BLOB), CAST(standing AS BLOB)
    FROM groups JOIN group_definitions USING (id) WHERE
"""


def listed(row: tuple[Any, ...]) -> JobRow:
    """A row of `LISTED`."""
    *columns, record = row
    return JobRow._make((*columns, _text(record), None, None))


def beside_record(row: tuple[Any, ...]) -> BesideRecord:
    """A row of `BESIDE_RECORDS`."""
    *columns, payload, result, labels = row
    return BesideRecord._make((*columns, _text_if_any(payload), _text_if_any(result), labels))


def key(row: tuple[bytes, bytes, bytes, bytes]) -> KeyRow:
    """A row of `KEYS`."""
    name, asked, until, jobs = row
    return KeyRow(_text(name), asked, _text(until), _text(jobs))


def keyed_end(row: tuple[bytes, bytes, bytes]) -> KeyedEnd:
    """A row of `KEYED_ENDS`."""
    return KeyedEnd._make(map(_text, row))


def pause(row: tuple[bytes]) -> str:
    """A row of `PAUSES`."""
    return _shown(row[0])


def schedule(row: tuple[bytes | None, ...]) -> Schedule:
    """A row of `SCHEDULES`."""
    return Schedule._make(None if column is None else _shown(column) for column in row)


def group(row: tuple[bytes, bytes]) -> KeptGroup:
    """A row of `GROUPS`."""
    return KeptGroup._make(map(_text, row))


def payload_start(row: tuple[str, bytes]) -> tuple[str, str]:
    """A row of `PAYLOAD_STARTS`, to be shown."""
    job_id, text = row
    return job_id, _shown(text)


def _text(column: bytes) -> str:
    return column.decode(errors="surrogateescape")


def _shown(column: bytes) -> str:
    return column.decode(errors="replace")


def _text_if_any(column: bytes | None) -> str | None:
    return None if column is None else _text(column)
