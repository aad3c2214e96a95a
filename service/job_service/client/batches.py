"""Submits any number of jobs, in portions that the service takes."""

from collections.abc import Iterable, Iterator
from typing import Any, Final, Required, cast

from msgspec import UNSET

from job_service.client.calls import Calls, new_key, submission_json
from job_service.client.exchange import Conversation
from job_service.errors import BatchTooLarge, JobServiceError
from job_service.jobs.queueing.options import JobOptions

# Fewer than the service takes at once: it has room for a small portion sooner than for a large one.
PORTION_JOBS: Final = 250
PORTION_BYTES: Final = 4 * 1024 * 1024


class Submission(JobOptions, total=False):
    """One job of many, as `POST /jobs` takes it: its type, its payload and its options."""

    type: Required[str]
    payload: Any


def submit_all(
    calls: Calls, submissions: Iterable[Submission], key: str | None
) -> Conversation[list[str]]:
    """`POST /jobs/batch`, again and again; gives the ids.

    If it fails, a note of the error says how many jobs are accepted. The same submissions with the
    same `key` are the same portions.
    """
    key = key or new_key()
    ids: list[str] = []
    try:
        for portion in _portions(submissions):
            yield from _submit(calls, portion, key, ids)
    except JobServiceError as error:
        error.add_note(f"the first {len(ids)} jobs are accepted")
        raise
    return ids


def _submit(calls: Calls, lines: list[bytes], key: str, ids: list[str]) -> Conversation[None]:
    """Submit a portion, and add its ids; if the queue can never hold it, the one half first."""
    try:
        ids += yield from calls.submit_portion(lines, f"{key}/{len(ids)}+{len(lines)}")
    except BatchTooLarge:
        if len(lines) == 1:
            raise
        half = len(lines) // 2
        yield from _submit(calls, lines[:half], key, ids)
        yield from _submit(calls, lines[half:], key, ids)


def _portions(submissions: Iterable[Submission]) -> Iterator[list[bytes]]:
    lines: list[bytes] = []
    size = 0
    for submission in submissions:
        line = line_of(submission)
        if lines and (len(lines) == PORTION_JOBS or size + len(line) > PORTION_BYTES):
            yield lines
            lines, size = [], 0
        lines.append(line)
        size += len(line) + 1
    if lines:
        yield lines


def line_of(submission: Submission) -> bytes:
    options = {**submission}
    job_type, payload = submission["type"], options.pop("payload", UNSET)
    del options["type"]
    return submission_json(job_type, payload, cast("JobOptions", options))
