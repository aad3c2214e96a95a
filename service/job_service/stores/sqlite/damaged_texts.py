"""Reads rows of jobs whatever is in their long texts, which somebody may have damaged.

SQLite's module gives a text only if it is UTF-8, and else raises for the whole query. So records,
payloads and results are read as bytes. A text that was no UTF-8 can't be encoded any more: whoever
reads it finds out.
"""

from typing import Any, Final

from job_service.stores.sqlite.rows import BesideRecord, JobRow, KeptJob

_COLUMNS: Final = "id, type, status, priority, created_at, run_at, finished_at"
_TEXTS: Final = "CAST(payload AS BLOB), CAST(result AS BLOB)"

LISTED: Final = f"SELECT {_COLUMNS}, CAST(record AS BLOB) FROM jobs WHERE id IN"
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


def listed(row: tuple[Any, ...]) -> JobRow:
    """A row of `LISTED`."""
    *columns, record = row
    return JobRow._make((*columns, _text(record), None, None))


def whole(row: tuple[Any, ...]) -> KeptJob:
    """A row of `WHOLE`."""
    job_id, status, *texts = row
    return KeptJob._make((job_id, status, *map(_text, texts)))


def beside_record(row: tuple[Any, ...]) -> BesideRecord:
    """A row of `BESIDE_RECORDS`."""
    *columns, payload, result, labels = row
    return BesideRecord._make((*columns, _text(payload), _text(result), labels))


def payload_start(row: tuple[str, bytes]) -> tuple[str, str]:
    """A row of `PAYLOAD_STARTS`, to be shown."""
    job_id, text = row
    return job_id, text.decode(errors="replace")


def _text(column: bytes | None) -> str | None:
    return None if column is None else column.decode(errors="surrogateescape")
