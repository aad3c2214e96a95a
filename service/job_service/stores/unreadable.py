"""Jobs whose records can't be read, and what a store knows of them without."""

from collections.abc import Sequence
from contextlib import suppress
from datetime import datetime
from typing import NamedTuple

import msgspec

from job_service.jobs.state.model import FIRST_PRIORITY, LAST_PRIORITY, TERMINAL, Status
from job_service.jobs.state.stand_in import StandIn
from job_service.stores.labels import described


class Columns(NamedTuple):
    """What a store keeps of a job beside its record."""

    id: str
    type: str
    status: Status
    priority: int
    created_at: datetime
    run_at: datetime
    finished_at: datetime | None
    payload: str = "null"
    result: str | None = None
    labels: Sequence[str] = ()


def why_unreadable(error: msgspec.DecodeError) -> str:
    """What is told of such a job, as the reason for which it waits."""
    return f"its record can't be read: {error}"


def stand_in(columns: Columns, why: str) -> StandIn:
    """What stands for a job whose record can't be read for this reason."""
    unique_key, group, tags = described(columns.labels)
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
        status=columns.status,
        result=_json(columns.result),
        finished_at=columns.finished_at,
        failure=why if columns.status in TERMINAL else None,
        why=why,
    )


def _json(text: str | None) -> bytes | None:
    """The text, if it is JSON. It may have been changed by hand, too."""
    if text is not None:
        with suppress(msgspec.DecodeError):
            msgspec.json.decode(text, type=msgspec.Raw)
            return text.encode()
    return None
