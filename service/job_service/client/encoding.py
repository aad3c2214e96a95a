"""Writes what a caller gives as requests have it: JSON bodies, headers and numbers."""

import math
import uuid
from datetime import datetime
from typing import Any, Required, cast

import msgspec
from msgspec import UNSET

from job_service.errors import InvalidOption
from job_service.jobs.queueing.options import JobOptions
from job_service.jobs.registration.job_type import encode_payload


class Submission(JobOptions, total=False):
    """One job of many, as `POST /jobs` takes it: its type, its payload and its options."""

    type: Required[str]
    payload: Any


def line_of(submission: Submission) -> bytes:
    """One job of many, as JSON in one line. Raises InvalidPayload or InvalidOption."""
    options = {**submission}
    job_type, payload = submission["type"], options.pop("payload", UNSET)
    del options["type"]
    return submission_json(job_type, payload, cast("JobOptions", options))


def submission_json(job_type: str, payload: object, options: JobOptions) -> bytes:
    """A submission as the API takes it. Raises InvalidPayload or InvalidOption."""
    fields: dict[str, object] = {"type": job_type}
    if payload is not UNSET:
        fields["payload"] = msgspec.Raw(encode_payload(payload))
    return _fields_json(fields | dict(options))


def edit_json(run_at: datetime | None, priority: int | None, payload: object) -> bytes:
    """A change of a job as the API takes it. Raises InvalidPayload or InvalidOption."""
    fields: dict[str, object] = {"run_at": run_at, "priority": priority}
    if payload is not UNSET:
        fields["payload"] = msgspec.Raw(encode_payload(payload))
    return _fields_json(fields)


def _fields_json(given: dict[str, object]) -> bytes:
    fields = {name: value for name, value in given.items() if value is not None}
    for name, value in fields.items():
        if isinstance(value, float) and not math.isfinite(value):  # which JSON has as null
            raise InvalidOption(f"{name} must be a number, not {value}")
    try:
        return msgspec.json.encode(fields)
    except (TypeError, UnicodeEncodeError) as error:
        raise InvalidOption(f"an option can't be written as JSON: {error}") from error


def header_value(text: str, what: str) -> str:
    """The text, to be sent in a header. Raises InvalidOption if none can have it."""
    if not (text.isascii() and text.isprintable() and text == text.strip()):
        raise InvalidOption(f"{what} must be visible ASCII characters, not {text!a}")
    return text


def number_text(seconds: float) -> str:
    """The seconds to wait, as a query has them. Raises InvalidOption if they are no number."""
    if math.isnan(seconds):
        raise InvalidOption("the seconds to wait must be a number")
    return f"{seconds:.3f}"


def new_key() -> str:
    """An idempotency key that nobody else has."""
    return str(uuid.uuid4())
