"""Refuses options of a submission that are not as declared, or that contradict each other."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any

import msgspec
from msgspec import UNSET

from job_service.errors import InvalidOption
from job_service.jobs.queueing.constraints import must_be
from job_service.jobs.queueing.options import (
    OPTIONS,
    After,
    DebounceSeconds,
    DelaySeconds,
    JobOptions,
    LimitKey,
    MaxRetries,
    Priority,
    RunAt,
    Tags,
    UniqueKey,
)
from job_service.jobs.queueing.words import check_name, check_unicode
from job_service.jobs.registration.retry import LONGEST_WAIT_SECONDS
from job_service.jobs.state.model import Draft


class _DraftOptions(msgspec.Struct, gc=False):
    """The options as a draft has them, with those of its type for what was left out."""

    max_retries: MaxRetries[int]
    priority: Priority[int]
    delay_seconds: DelaySeconds | None
    run_at: RunAt | None
    unique_key: UniqueKey | None
    debounce_seconds: DebounceSeconds | None
    after: After
    tags: Tags
    limit_key: LimitKey | None


def check_options(options: JobOptions, now: datetime) -> None:
    """Raise InvalidOption if one of them is not what its annotation says, or two contradict."""
    for name, value in options.items():
        if name not in OPTIONS:
            raise InvalidOption(f"there is no option {name}")
        _check(name, value, OPTIONS[name])
    if options.get("debounce_seconds") is not None:
        _check_debouncing(
            options.get("unique_key"), options.get("delay_seconds"), options.get("run_at")
        )
    _check_beyond_types(
        options.get("delay_seconds"),
        options.get("run_at"),
        options.get("unique_key"),
        options.get("after") or (),
        options.get("tags") or (),
        now,
    )


def check_edit(
    run_at: datetime | None, priority: int | None, payload: object, now: datetime
) -> None:
    """Raise InvalidOption if nothing is to be changed of a job, or it can't be changed so."""
    if run_at is None and priority is None and payload is UNSET:
        raise InvalidOption("nothing is to be changed: give run_at, priority or payload")
    check_options(JobOptions(run_at=run_at, priority=priority), now)


def check_delay(seconds: float) -> None:
    """Raise InvalidOption if no job can be delayed for so long."""
    _check("delay_seconds", seconds, DelaySeconds)


def check_draft(draft: Draft, now: datetime) -> None:
    """Raise InvalidOption if a part of the draft can't be kept, or two options contradict."""
    # All in one call, because each on its own takes msgspec ten times as long.
    try:
        msgspec.convert(draft, _DraftOptions, from_attributes=True)
    except msgspec.ValidationError:
        for name, annotation in _DraftOptions.__annotations__.items():
            _check(name, getattr(draft, name), annotation)
        raise
    if draft.limit_key is not None:
        check_unicode("limit_key", draft.limit_key)
    check_name("type", draft.type)
    for name in ("by", "retry_of", "schedule", "group", "callback_of"):
        if (said := getattr(draft, name)) is not None:
            check_name(name, said)
    if not _is_utf8(draft.payload):
        raise InvalidOption("payload must be JSON text, as bytes in UTF-8")
    if draft.debounce_seconds is not None:
        _check_debouncing(draft.unique_key, draft.delay_seconds, draft.run_at)
    _check_beyond_types(
        draft.delay_seconds, draft.run_at, draft.unique_key, draft.after, draft.tags, now
    )


def _check(name: str, value: object, annotation: Any) -> None:
    try:
        msgspec.convert(value, annotation)
    except msgspec.ValidationError as error:
        raise InvalidOption(f"{name} must be {must_be(annotation)}") from error


def _check_debouncing(
    unique_key: str | None, delay_seconds: float | None, run_at: datetime | None
) -> None:
    if unique_key is None:
        raise InvalidOption("debounce_seconds needs a unique_key")
    if delay_seconds is not None or run_at is not None:
        raise InvalidOption("debounce_seconds can't be used with delay_seconds or run_at")


def _check_beyond_types(
    delay_seconds: float | None,
    run_at: datetime | None,
    unique_key: str | None,
    after: Sequence[str],
    tags: Sequence[str],
    now: datetime,
) -> None:
    if unique_key is not None:
        check_unicode("unique_key", unique_key)
    for job_id in after:
        check_unicode("after", job_id)
    for tag in tags:
        check_unicode("tags", tag)
    if run_at is None:
        return
    if delay_seconds is not None:
        raise InvalidOption("delay_seconds and run_at can't be used together")
    if (run_at - now).total_seconds() > LONGEST_WAIT_SECONDS:
        raise InvalidOption("run_at must be within the next 10 years")


def _is_utf8(text: object) -> bool:
    try:
        return isinstance(text, bytes) and bool(text.decode())
    except UnicodeDecodeError:
        return False
