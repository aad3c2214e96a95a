"""What an operator can rely on to find in the log: each event, its level and its fields."""

import json
import re
import types
import typing
from datetime import datetime, tzinfo
from typing import Any

import pytest
from msgspec import UnsetType

from job_service.telemetry.events import (
    ConnectionRefused,
    Event,
    JobLogged,
    JobProgressed,
    JobRejected,
    JobsClaimed,
    JobsRecovered,
    JobsReleased,
    JobStarted,
    StoreCommitted,
    StoreFailed,
    utc_now,
)
from job_service.telemetry.log import Log
from tests.telemetry.sample import EVENT_KINDS, MOMENT, VALUES, name_of, own_fields, sample

# What DESIGN.md's table says of each event: its level, its fields, and those it may leave out.
VOCABULARY = {
    "service_started": ("info", "version pid url workers queue_capacity job_types store", ""),
    "service_draining": ("info", "reason jobs_pending jobs_in_progress grace_seconds", ""),
    "service_stopped": (
        "info",
        (
            "reason uptime_seconds jobs_created jobs_completed jobs_failed jobs_retried"
            " jobs_cancelled jobs_abandoned jobs_rejected wait_seconds_total run_seconds_total"
            " loop_stalls log_lines_dropped connections_refused jobs_snoozed jobs_deduplicated"
            " ticks_skipped jobs_claimed jobs_released store_commits store_errors"
            " store_seconds_total jobs_started"
        ),
        "error traceback",
    ),
    "worker_started": ("info", "worker_id", ""),
    "worker_stopped": ("info", "worker_id reason jobs_run", ""),
    "job_created": (
        "info",
        "job_id job_type",
        "run_at priority unique_key after after_count schedule retry_of group by",
    ),
    "job_edited": (
        "info",
        "job_id job_type",
        "run_at priority payload_bytes wait_seconds by",
    ),
    "job_duplicate": ("info", "job_id job_type unique_key", ""),
    "job_enqueued": ("info", "job_id job_type", "attempt"),
    "job_started": ("info", "job_id job_type worker_id attempt wait_seconds", ""),
    "job_completed": ("info", "job_id job_type worker_id attempt run_seconds", ""),
    "job_retried": (
        "warning",
        "job_id job_type worker_id attempt run_seconds error retry_in_seconds",
        "",
    ),
    "job_snoozed": ("info", "job_id job_type worker_id attempt run_seconds snooze_seconds", ""),
    "job_progressed": ("info", "job_id job_type worker_id attempt done", "total note"),
    "job_logged": ("info", "job_id job_type worker_id attempt message", "fields"),
    "job_failed": (
        "error",
        "job_id job_type error",
        "worker_id attempt run_seconds traceback",
    ),
    "job_cancelled": (
        "info",
        "job_id job_type reason",
        "worker_id attempt run_seconds wait_seconds error traceback by",
    ),
    "job_abandoned": (
        "error",
        "job_id job_type reason",
        "worker_id attempt run_seconds wait_seconds error traceback",
    ),
    "jobs_recovered": ("info", "jobs", ""),
    "job_rescued": ("warning", "job_id job_type attempt reason", "worker_id node"),
    "job_released": (
        "info",
        "job_id job_type worker_id attempt run_seconds reason",
        "error traceback",
    ),
    "job_lost": ("error", "job_id job_type worker_id attempt", ""),
    "job_misfit": ("warning", "job_id job_type error", ""),
    "hook_failed": ("error", "job_id job_type hook error", "traceback"),
    "thread_abandoned": ("warning", "job_id job_type worker_id attempt", ""),
    "thread_returned": ("info", "job_id job_type worker_id attempt abandoned_seconds", "error"),
    "job_rejected": ("info", "job_type reason", "jobs"),
    "group_created": ("info", "group_id jobs", "retry_of by"),
    "group_completed": ("info", "group_id jobs group_seconds", "callback_id"),
    "group_failed": (
        "error",
        "group_id jobs group_seconds jobs_failed jobs_cancelled",
        "callback_id",
    ),
    "group_cancelled": ("info", "group_id jobs group_seconds jobs_cancelled", "callback_id"),
    "schedule_skipped": ("warning", "schedule job_type reason", "ticks"),
    "schedule_paused": ("info", "schedule", "by"),
    "schedule_resumed": ("info", "schedule", "by"),
    "queue_full": ("warning", "queue_capacity", "queue_bytes"),
    "queue_freed": ("info", "jobs_rejected full_seconds", ""),
    "queue_paused": ("info", "", "job_type by"),
    "queue_resumed": ("info", "", "job_type by"),
    "store_backed_up": ("info", "path bytes", "by"),
    "rows_unreadable": ("error", "store table rows error", ""),
    "store_opening": ("info", "store jobs_read", ""),
    "store_opened": (
        "info",
        "store jobs_pending jobs_rescued jobs_finished open_seconds",
        "node",
    ),
    "jobs_claimed": ("info", "jobs", ""),
    "jobs_released": ("info", "jobs", "ready"),
    "store_committed": ("info", "commit_seconds", ""),
    "store_failed": ("info", "error", ""),
    "store_failing": ("error", "error", ""),
    "store_recovered": ("info", "failing_seconds", ""),
    "loop_stalled": ("warning", "stalled_seconds where", "loop over job_id job_type worker_id"),
    "certificate_reload_failed": ("warning", "error", ""),
    "certificate_reloaded": ("info", "certfile", ""),
    "token_reload_failed": ("warning", "error", ""),
    "tokens_reloaded": ("info", "token_file tokens", ""),
    "connection_failed": ("warning", "client error", ""),
    "connection_refused": ("info", "", ""),
    "request_failed": ("error", "method path error traceback", ""),
    "log_lines_dropped": ("error", "lines", ""),
    "log_reopen_failed": ("error", "path error", ""),
    "observer_detached": ("error", "observer error traceback", ""),
}

LOGGED = [kind for kind in EVENT_KINDS if kind.logged]

every_kind = pytest.mark.parametrize("kind", EVENT_KINDS, ids=name_of)
every_logged_kind = pytest.mark.parametrize("kind", LOGGED, ids=name_of)


def written(event: Event) -> list[dict[str, Any]]:
    """The lines that the log writes of an event, their keys in their order."""
    lines: list[bytes] = []
    Log(lines.append).observe(event)
    return [json.loads(line) for line in lines]


def as_json(field: str) -> Any:
    """The sample value of a field, as a line has it."""
    value = VALUES[field]
    return "2026-01-31T12:00:00.123456Z" if value is MOMENT else value


def test_the_service_says_what_the_table_says_and_nothing_else() -> None:
    """Every event of the table exists, and there is none that the table does not have."""
    assert sorted(map(name_of, EVENT_KINDS)) == sorted(VOCABULARY)


@every_kind
def test_an_event_has_the_level_and_fields_of_the_table(kind: type[Event]) -> None:
    """Each event's level, fields and optional fields are the table's, in its order."""
    level, required, optional = VOCABULARY[name_of(kind)]
    assert sample(kind).level == level
    assert [field.name for field in own_fields(kind) if field.required] == required.split()
    assert [field.name for field in own_fields(kind) if not field.required] == optional.split()


@every_logged_kind
def test_a_line_has_exactly_the_fields_that_apply(kind: type[Event]) -> None:
    """The standard keys come first, then what the event requires; the rest is absent, not null."""
    level, required, _ = VOCABULARY[name_of(kind)]
    (line,) = written(sample(kind))
    assert list(line) == ["timestamp", "level", "event", *required.split()]
    assert line == {
        "timestamp": as_json("timestamp"),
        "level": level,
        "event": name_of(kind),
        **{field: as_json(field) for field in required.split()},
    }


@every_logged_kind
def test_optional_fields_are_in_the_line_where_they_apply(kind: type[Event]) -> None:
    """With all that it can tell, an event's line has all fields of the table, in its order."""
    _, required, optional = VOCABULARY[name_of(kind)]
    (line,) = written(sample(kind, **{field: VALUES[field] for field in optional.split()}))
    names = [field.name for field in own_fields(kind)]
    assert sorted(names) == sorted([*required.split(), *optional.split()])
    assert list(line) == ["timestamp", "level", "event", *names]
    assert [line[name] for name in names] == [as_json(name) for name in names]


@every_kind
def test_durations_end_in_seconds_and_nothing_can_be_null(kind: type[Event]) -> None:
    """Fractions are durations and are named so, counts are whole, and no field takes None."""
    hints = typing.get_type_hints(kind)
    for field in own_fields(kind):
        choices = {hints[field.name]}
        if isinstance(hints[field.name], types.UnionType):
            choices = set(typing.get_args(hints[field.name])) - {UnsetType}
        assert types.NoneType not in choices, field.name
        if field.name not in ("done", "total"):  # in the handler's own unit
            assert (float in choices) == ("_seconds" in field.name), field.name


@every_kind
def test_an_event_is_named_after_what_it_is(kind: type[Event]) -> None:
    """The name in the log is the name in the code, in snake case."""
    assert name_of(kind) == re.sub(r"(?<!^)(?=[A-Z])", "_", kind.__name__).lower()


@every_kind
def test_an_event_cannot_be_changed(kind: type[Event]) -> None:
    """No observer can change an event for the next one."""
    event = sample(kind)
    for field in kind.__struct_fields__:
        with pytest.raises(AttributeError, match="immutable"):
            setattr(event, field, getattr(event, field))


def test_rejections_are_not_logged() -> None:
    """A flood of rejections leaves no line: they are counted, and so is what happens as often."""
    assert written(sample(JobRejected)) == []
    assert {kind for kind in EVENT_KINDS if kind.streamed and not kind.logged} == {
        JobLogged,
        JobProgressed,
        JobRejected,
        ConnectionRefused,
    }


def test_what_happens_at_each_commit_is_only_counted() -> None:
    """Nobody wants to hear of each, in the log or elsewhere, nor of each job of a start."""
    only_counted = [kind for kind in EVENT_KINDS if not kind.streamed]
    assert {*only_counted} == {
        JobsRecovered,
        JobsClaimed,
        JobsReleased,
        JobsClaimed,
        JobsReleased,
        StoreCommitted,
        StoreFailed,
    }
    assert not any(kind.logged for kind in only_counted)


class Clock:
    """Stands in for `datetime` where the present moment is read."""

    def __init__(self, microsecond: int) -> None:
        self._microsecond = microsecond

    def now(self, zone: tzinfo | None = None) -> datetime:
        """Noon, on some day, in the time zone asked for."""
        return datetime(2026, 1, 31, 12, 0, 0, self._microsecond, zone)


@pytest.mark.parametrize(
    ("microsecond", "written_fraction"),
    [(0, "000001"), (1, "000001"), (500_000, "500000"), (999_999, "999999")],
)
def test_timestamps_always_have_the_same_width(
    monkeypatch: pytest.MonkeyPatch, microsecond: int, written_fraction: str
) -> None:
    """ISO 8601 in UTC with six digits and a Z, even on a full second, in both kinds of line."""
    monkeypatch.setattr("job_service.telemetry.events.datetime", Clock(microsecond))
    lines: list[bytes] = []
    log = Log(lines.append)
    log.observe(sample(JobStarted, timestamp=utc_now()))
    log.logger.info("email_sent")
    assert [json.loads(line)["timestamp"] for line in lines] == [
        f"2026-01-31T12:00:00.{written_fraction}Z"
    ] * 2


def test_the_present_moment_is_the_present_moment() -> None:
    """A timestamp lies between the moments before and after it was taken, in UTC."""
    before = datetime.now().astimezone()
    moment = utc_now()
    after = datetime.now().astimezone()
    assert before.replace(microsecond=0) <= moment <= after.replace(microsecond=999_999)
    assert moment.tzname() == "UTC"
