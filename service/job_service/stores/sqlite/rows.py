"""What is written to the file and read from it, as plain values.

Times are texts in ISO 8601, in UTC, with six digits of a second and a Z. So they sort as texts.
"""

from typing import NamedTuple

import msgspec

from job_service.jobs.state.model import Status


class JobRow(NamedTuple):
    """A job without its payload. `record` is JSON text of all that has no column of its own.

    `finished_at` is None until the job has ended. `error` is what its last error is searched by;
    it is only written. Lists of jobs come without `result`.
    """

    id: str
    type: str
    status: Status
    priority: int
    created_at: str
    run_at: str
    finished_at: str | None
    record: str
    result: str | None
    error: str | None = None


class KeptJob(NamedTuple):
    """All of a job, as it is read back. `payload` is None if it is lost.

    The texts are as they are in the file, where somebody may have damaged them.
    """

    id: str
    status: str
    record: bytes
    payload: bytes | None
    result: bytes | None


class BesideRecord(NamedTuple):
    """What is kept of a job beside its record. `labels` is a list of them as JSON text."""

    id: str
    type: str
    status: str
    priority: int
    created_at: str
    run_at: str
    finished_at: str | None
    payload: str | None
    result: str | None
    labels: str


class KeyRow(NamedTuple):
    """An idempotency key, remembered until a time.

    `asked` is a digest of what was asked with it, and `jobs` the first answer as JSON text.
    """

    key: str
    asked: bytes
    until: str
    jobs: str


class KeyedEnd(NamedTuple):
    """How a job has ended that an idempotency key tells of, even when the job is kept no more."""

    job_id: str
    status: Status
    finished_at: str


class Schedule(NamedTuple):
    """What is kept of a schedule; the moments are those of a `ScheduleState`."""

    schedule: str
    ticked_at: str | None
    last_run_at: str | None
    last_job_id: str | None
    paused_since: str | None
    paused_by: str | None
    resumed_at: str | None


class GroupRow(NamedTuple):
    """How far a group has come, as JSON text. `ended_at` is None until it has ended."""

    id: str
    ended_at: str | None
    standing: str


class KeptGroup(NamedTuple):
    """All of a group, as it is read back."""

    definition: str
    standing: str


class FinishedCount(NamedTuple):
    """How many jobs of a type have ended with a status, or were deleted after that."""

    type: str
    status: Status
    jobs: int


class Batch(msgspec.Struct):
    """What one transaction keeps: jobs that are new or have changed, and what came with them.

    `payloads` are pairs of a job's id and its payload, and `labels` pairs of a label and the id of
    a job that has it: both are given once, with the new job. `pauses` are pairs of a job type, ""
    for the whole queue, and whether it is paused now. `group_definitions` are pairs of the id of a
    new group and what it is. `ended` counts those of the jobs that had not ended in the last batch
    that they were in, and have now.
    """

    jobs: list[JobRow] = []
    payloads: list[tuple[str, str]] = []
    keys: list[KeyRow] = []
    keyed_ends: list[KeyedEnd] = []
    pauses: list[tuple[str, bool]] = []
    schedules: list[Schedule] = []
    ended: list[FinishedCount] = []
    labels: list[tuple[str, str]] = []
    groups: list[GroupRow] = []
    group_definitions: list[tuple[str, str]] = []


class RememberedKeys(NamedTuple):
    """The keys that are remembered, the oldest first, and how their jobs have ended, by id."""

    keys: list[KeyRow]
    ends: dict[str, KeyedEnd]
