"""Jobs whose rows can't be read, and what a store knows of them without their records.

A row can be read if its record can, and says of its id and its status what the row does. Somebody
may have changed either by hand.
"""

from collections.abc import Sequence
from contextlib import suppress
from datetime import UTC, datetime
from typing import Final, NamedTuple

import msgspec

from job_service.jobs.state.model import (
    FIRST_PRIORITY,
    LAST_PRIORITY,
    TERMINAL,
    TRANSITIONS,
    Status,
)
from job_service.jobs.state.stand_in import StandIn
from job_service.stores.labels import described
from job_service.stores.record import JobRecord, decode

UNKNOWN_TIME: Final = datetime(1970, 1, 1, tzinfo=UTC)  # stands for one that can't be read

_STATUSES: Final[dict[str, Status]] = {status: status for status in TRANSITIONS}


class Columns(NamedTuple):
    """What a store keeps of a job beside its record."""

    id: str
    type: str
    status: str
    priority: int
    created_at: datetime
    run_at: datetime
    finished_at: datetime | None
    payload: str | None = None
    result: str | None = None
    labels: Sequence[str] = ()


def record_in_row(text: str, job_id: str, status: str | None) -> JobRecord:
    """The record of the job of this id and status; None if the status is not known.

    Raises ValueError if it can't be read, or if it is not that of this job.
    """
    record = decode(text)
    if record.id != job_id:
        raise ValueError(f"it is that of job {record.id}")
    # One that could not be read when its process died waits, and its record was left as it was.
    waits_unread = status == "pending" and record.status == "processing"
    if status is not None and record.status != status and not waits_unread:
        raise ValueError(f"it says that the job is {record.status}, and its row {status}")
    return record


def require_json(text: bytes) -> None:
    """Raise ValueError if this payload or result can't be part of an answer in JSON."""
    text.decode()
    msgspec.json.decode(text, type=msgspec.Raw)


def why_unreadable(error: ValueError) -> str:
    """What is told of such a job, as the reason for which it waits."""
    if isinstance(error, UnicodeError):
        return "its record can't be read: it is no UTF-8"
    return f"its record can't be read: {error}"


def known_status(status: str) -> Status:
    """The status of a row. A job whose status this program does not know waits."""
    return _STATUSES.get(status, "pending")


def require_known_status(status: str) -> None:
    """Raise ValueError if this program does not know the status of a row."""
    if status not in _STATUSES:
        raise ValueError(f"its row has the unknown status {status}")


def time_of(text: str) -> datetime:
    """The time that a text tells, or `UNKNOWN_TIME`."""
    with suppress(ValueError):
        moment = datetime.fromisoformat(text)
        if moment.tzinfo is not None:
            return moment
    return UNKNOWN_TIME


def stand_in(columns: Columns, why: str) -> StandIn:
    """What stands for a job whose record can't be read for this reason."""
    unique_key, group, tags = described(columns.labels)
    status = known_status(columns.status)
    return StandIn(
        id=columns.id,
        type=columns.type,
        payload=_json(columns.payload) or b"null",
        max_retries=0,
        created_at=columns.created_at,
        run_at=columns.run_at,
        priority=min(max(columns.priority, FIRST_PRIORITY), LAST_PRIORITY),
        unique_key=unique_key,
        tags=tags,
        group=group,
        status=status,
        result=_json(columns.result),
        finished_at=columns.finished_at if status in TERMINAL else None,
        failure=why if status in TERMINAL else None,
        why=why,
    )


def _json(text: str | None) -> bytes | None:
    """The text, if it is JSON. It may have been changed by hand, too."""
    if text is not None:
        with suppress(ValueError):
            encoded = text.encode()
            require_json(encoded)
            return encoded
    return None
