"""What may be asked for with a submission, beside its type and payload."""

from collections.abc import Sequence
from datetime import datetime
from typing import Final, TypedDict

import msgspec

from job_service.errors import InvalidOption
from job_service.jobs.registration.retry import LONGEST_WAIT_SECONDS, MAX_RETRIES_LIMIT
from job_service.jobs.state.model import FIRST_PRIORITY, LAST_PRIORITY

MAX_UNIQUE_KEY_CHARS: Final = 255
MAX_PREDECESSORS: Final = 1_000


class JobOptions(TypedDict, total=False):
    """All of it may be left out, or be None, which is the same.

    `max_retries` takes the place of the job type's own. `priority` is from 0 (first) to 9; 5 is
    what jobs have. The job starts `delay_seconds` after it is accepted or at `run_at`, an aware
    datetime; at once where that has passed. While a job with a `unique_key`, up to 255
    characters, has not ended, there is no other of its type with that key. The job starts when
    those whose ids are in `after` have completed, and fails when one of them has ended otherwise.
    """

    max_retries: int | None
    priority: int | None
    delay_seconds: float | None
    run_at: datetime | None
    unique_key: str | None
    after: Sequence[str] | None


def check_options(options: JobOptions, now: datetime) -> None:
    """Raise InvalidOption where a value is out of its range."""
    _check_kinds(options)
    _require_range("max_retries", options.get("max_retries"), 0, MAX_RETRIES_LIMIT)
    _require_range("priority", options.get("priority"), FIRST_PRIORITY, LAST_PRIORITY)
    _require_range("delay_seconds", options.get("delay_seconds"), 0, LONGEST_WAIT_SECONDS)
    run_at = options.get("run_at")
    if run_at is not None:
        if options.get("delay_seconds") is not None:
            raise InvalidOption("delay_seconds and run_at exclude each other")
        if run_at.utcoffset() is None:
            raise InvalidOption("run_at must have an offset, such as Z")
        if (run_at - now).total_seconds() > LONGEST_WAIT_SECONDS:
            raise InvalidOption("run_at must be within the next 10 years")
    unique_key = options.get("unique_key")
    if unique_key is not None and not 1 <= len(unique_key) <= MAX_UNIQUE_KEY_CHARS:
        raise InvalidOption(f"unique_key must have 1 to {MAX_UNIQUE_KEY_CHARS} characters")
    if len(options.get("after") or ()) > MAX_PREDECESSORS:
        raise InvalidOption(f"after may name {MAX_PREDECESSORS} jobs at most")


def _check_kinds(options: JobOptions) -> None:
    """Raise InvalidOption where a value is of another kind than its annotation says."""
    try:
        msgspec.convert(options, JobOptions)
    except msgspec.ValidationError as error:
        raise InvalidOption(str(error)) from error
    unknown = options.keys() - JobOptions.__optional_keys__
    if unknown:
        raise InvalidOption(f"there is no option {', '.join(sorted(unknown))}")


def _require_range(name: str, value: float | None, low: float, high: float) -> None:
    if value is not None and not low <= value <= high:
        raise InvalidOption(f"{name} must be between {low} and {high}")
