"""Every kind of event there is, and samples of them to test with."""

import importlib
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any, TypeVar

from msgspec import NODEFAULT, Raw
from msgspec.structs import FieldInfo, fields

from job_service.telemetry.events import Event

Kind = TypeVar("Kind", bound=Event)

MOMENT = datetime(2026, 1, 31, 12, 0, 0, 123456, UTC)

# A plausible value for each field that any event has, by its name.
VALUES: dict[str, Any] = {
    "ticks": 15,
    "timestamp": MOMENT,
    "abandoned_seconds": 20.5,
    "after": ["job-0"],
    "after_count": 11,
    "attempt": 2,
    "by": "alice",
    "bytes": 1_048_576,
    "callback_id": "job-2",
    "certfile": "/etc/ssl/jobs.pem",
    "commit_seconds": 0.0625,
    "client": "127.0.0.1:50000",
    "done": 3,
    "error": "ValueError: no",
    "failing_seconds": 12.5,
    "fields": Raw(b'{"size":3}'),
    "full_seconds": 1.5,
    "grace_seconds": 30.0,
    "group": "group-1",
    "group_id": "group-1",
    "group_seconds": 90.5,
    "hook": "page",
    "job_id": "job-1",
    "job_type": "echo",
    "job_types": ["echo", "fail"],
    "jobs_abandoned": 1,
    "jobs_cancelled": 2,
    "jobs_completed": 3,
    "jobs_created": 13,
    "jobs_deduplicated": 14,
    "jobs_failed": 4,
    "jobs_in_progress": 5,
    "jobs_pending": 6,
    "jobs_rejected": 7,
    "jobs_retried": 8,
    "jobs_run": 9,
    "jobs_snoozed": 14,
    "jobs_started": 20,
    "lines": 12,
    "jobs_claimed": 15,
    "jobs_finished": 16,
    "jobs": 3,
    "jobs_read": 17,
    "table": "keys",
    "rows": 3,
    "jobs_released": 18,
    "jobs_rescued": 19,
    "connections_refused": 13,
    "log_lines_dropped": 10,
    "loop": "asyncio",
    "loop_stalls": 11,
    "message": "email_sent",
    "method": "GET",
    "node": "a-node",
    "note": "page 3",
    "observer": "Feed.observe",
    "open_seconds": 2.5,
    "over": True,
    "path": "/jobs",
    "pid": 4711,
    "payload_bytes": 20,
    "priority": 5,
    "queue_bytes": 1_048_576,
    "queue_capacity": 100,
    "reason": "drained",
    "retry_in_seconds": 4.0,
    "retry_of": "job-0",
    "run_at": MOMENT,
    "run_seconds": 0.25,
    "run_seconds_total": 8.5,
    "schedule": "nightly",
    "snooze_seconds": 60.0,
    "stalled_seconds": 0.75,
    "store": "sqlite:/srv/jobs.db",
    "store_commits": 20,
    "store_errors": 21,
    "store_seconds_total": 10.5,
    "ticks_skipped": 14,
    "token_file": "/etc/shop/tokens",
    "tokens": 3,
    "total": 4,
    "traceback": "Traceback (most recent call last):\nValueError: no\n",
    "unique_key": "user-42",
    "uptime_seconds": 60.5,
    "url": "http://127.0.0.1:8080",
    "version": "0.1.0",
    "wait_seconds": 0.125,
    "wait_seconds_total": 9.5,
    "where": "demo.py:7 in busy",
    "worker_id": "worker-1",
    "workers": 10,
}


def sample(kind: type[Kind], **given: Any) -> Kind:
    """An event of this kind with all the fields it requires, and those given."""
    required = {field.name: VALUES[field.name] for field in fields(kind) if field.required}
    return kind(**(required | given))


def own_fields(kind: type[Event]) -> list[FieldInfo]:
    """What a kind of event tells besides what all of them do, in its order."""
    shared = Event.__struct_fields__
    return [field for field in fields(kind) if field.name not in shared]


def name_of(kind: type[Event]) -> str:
    """The `event` of its line."""
    return str(_event_field(kind).default)


def _event_field(kind: type[Event]) -> FieldInfo:
    return next(field for field in fields(kind) if field.name == "event")


def _descendants(kind: type[Event]) -> Iterator[type[Event]]:
    for child in kind.__subclasses__():
        yield child
        yield from _descendants(child)


def _find_kinds() -> list[type[Event]]:
    importlib.import_module("job_service.serving")  # and with it all modules that could declare one
    return [
        kind
        for kind in _descendants(Event)
        if kind.__module__.startswith("job_service.")
        and _event_field(kind).default is not NODEFAULT
    ]


EVENT_KINDS = _find_kinds()
