"""What a group of jobs is, how far it has come, and what follows when the last of them has ended.

A group ends once. Whoever runs its jobs again makes a new group of them.
"""

from collections.abc import Sequence
from datetime import datetime
from typing import Final, Literal, NamedTuple

import msgspec
import uuid_utils
from msgspec import UNSET, structs

from job_service.jobs.state.changes import Creation
from job_service.jobs.state.clock import Clock
from job_service.jobs.state.model import Draft, Status
from job_service.jobs.state.transitions import create
from job_service.telemetry.events import (
    GroupCancelled,
    GroupCompleted,
    GroupCreated,
    GroupEndEvent,
    GroupFailed,
)

GroupStatus = Literal["running", "completed", "failed", "cancelled"]

MAX_ENDED_GROUPS: Final = 10_000  # that are kept


class Group(msgspec.Struct, frozen=True, omit_defaults=True):
    """A group as it was submitted: how many jobs it has, and the jobs that may follow on its end.

    `retry_of` is the group whose jobs it runs again. `by` is the name of who submitted it, or runs
    those again.
    """

    id: str
    created_at: datetime
    jobs: int
    on_complete: Draft | None = None
    on_failure: Draft | None = None
    retry_of: str | None = None
    by: str | None = None

    @property
    def weight(self) -> int:
        """Bytes of memory that the payloads of its callbacks take."""
        return sum(len(each.payload) for each in (self.on_complete, self.on_failure) if each)


class Standing(msgspec.Struct, frozen=True, omit_defaults=True):
    """How many jobs of a group have ended, and how. `callback_id` is the job that has followed."""

    completed: int = 0
    failed: int = 0
    cancelled: int = 0
    ended_at: datetime | None = None
    callback_id: str | None = None

    @property
    def ended(self) -> int:
        """How many jobs have ended."""
        return self.completed + self.failed + self.cancelled

    @property
    def status(self) -> GroupStatus:
        """`running` until all jobs have ended."""
        if self.ended_at is None:
            return "running"
        if self.failed:
            return "failed"
        return "cancelled" if self.cancelled else "completed"

    def after(self, status: Status) -> "Standing":
        """As it is when one more job has ended like this."""
        match status:
            case "completed":
                return structs.replace(self, completed=self.completed + 1)
            case "failed":
                return structs.replace(self, failed=self.failed + 1)
            case "cancelled":
                return structs.replace(self, cancelled=self.cancelled + 1)
        return self  # the end of the service is no end of the group


class GroupView(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """A group, and how far it has come. All times are in UTC.

    It is `running` until all of its `jobs` have ended. Then it is `completed` if all of them have
    completed, `failed` if any has failed, and else `cancelled`. `progress` is the share of its jobs
    that have ended, from 0 to 1. `callback_id` is the job that has followed on its end: its
    `on_complete` if it is completed, and else its `on_failure`. `retry_of` is the group whose jobs
    it runs again. `replayed` says that an earlier request with the same idempotency key has made
    the group.
    """

    id: str
    status: GroupStatus
    created_at: datetime
    ended_at: datetime | None = None
    jobs: int
    pending: int
    processing: int
    completed: int
    failed: int
    cancelled: int
    progress: float
    callback_id: str | None = None
    retry_of: str | None = None
    replayed: bool = False


class GroupEnd(NamedTuple):
    """What the end of a group is: its last standing, the event, and the job that follows."""

    standing: Standing
    event: GroupEndEvent
    callback: Creation | None


def new_group(
    jobs: int,
    clock: Clock,
    on_complete: Draft | None = None,
    on_failure: Draft | None = None,
    *,
    retry_of: str | None = None,
    by: str | None = None,
) -> Group:
    """A group of this many jobs; its id sorts before theirs.

    `by` is the name of who submits it, and so the jobs that may follow on its end.
    """
    group_id = str(uuid_utils.uuid7())
    return Group(
        group_id,
        clock.now(),
        jobs,
        on_complete and structs.replace(on_complete, callback_of=group_id, by=by),
        on_failure and structs.replace(on_failure, callback_of=group_id, by=by),
        retry_of,
        by,
    )


def members(group: Group, drafts: Sequence[Draft]) -> list[Draft]:
    """These drafts, as those of jobs of the group."""
    return [structs.replace(draft, group=group.id, by=group.by) for draft in drafts]


def creation_of(group: Group) -> GroupCreated:
    """What tells that the group was accepted."""
    return GroupCreated(
        timestamp=group.created_at,
        group_id=group.id,
        jobs=group.jobs,
        retry_of=group.retry_of or UNSET,
        by=group.by or UNSET,
    )


def end_of(group: Group, standing: Standing, clock: Clock) -> GroupEnd:
    """What follows on the end of the last of its jobs."""
    now = clock.now()
    ended = structs.replace(standing, ended_at=now)
    draft = group.on_complete if ended.status == "completed" else group.on_failure
    callback = None if draft is None else create(draft, clock)
    if callback is not None:
        ended = structs.replace(ended, callback_id=callback.job.id)
    return GroupEnd(ended, _event(group, ended, now), callback)


def view_of(group: Group, standing: Standing, processing: int) -> GroupView:
    """The group as it is now, while this many of its jobs run."""
    return GroupView(
        id=group.id,
        status=standing.status,
        created_at=group.created_at,
        ended_at=standing.ended_at,
        jobs=group.jobs,
        pending=group.jobs - standing.ended - processing,
        processing=processing,
        completed=standing.completed,
        failed=standing.failed,
        cancelled=standing.cancelled,
        progress=round(standing.ended / group.jobs, 4),
        callback_id=standing.callback_id,
        retry_of=group.retry_of,
    )


def _event(group: Group, standing: Standing, now: datetime) -> GroupEndEvent:
    seconds = round((now - group.created_at).total_seconds(), 6)
    callback_id = standing.callback_id or UNSET
    match standing.status:
        case "failed":
            return GroupFailed(
                timestamp=now,
                group_id=group.id,
                jobs=group.jobs,
                group_seconds=seconds,
                jobs_failed=standing.failed,
                jobs_cancelled=standing.cancelled,
                callback_id=callback_id,
            )
        case "cancelled":
            return GroupCancelled(
                timestamp=now,
                group_id=group.id,
                jobs=group.jobs,
                group_seconds=seconds,
                jobs_cancelled=standing.cancelled,
                callback_id=callback_id,
            )
    return GroupCompleted(
        timestamp=now,
        group_id=group.id,
        jobs=group.jobs,
        group_seconds=seconds,
        callback_id=callback_id,
    )
