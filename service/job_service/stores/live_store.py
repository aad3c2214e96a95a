"""What every store does to the jobs that this process holds, one or many."""

import math
from abc import abstractmethod
from collections.abc import Callable, Collection, Sequence
from contextlib import suppress
from typing import Final

import trio

from job_service.errors import (
    AlreadyFinished,
    JobChanged,
    NotPending,
    QueueFull,
    UnreadableJob,
    WaitsForJobs,
)
from job_service.jobs.state.attempt_transitions import request_cancel
from job_service.jobs.state.capacity import Capacity
from job_service.jobs.state.changes import Change
from job_service.jobs.state.clock import Clock
from job_service.jobs.state.detail import summarize
from job_service.jobs.state.job_filter import JobFilter
from job_service.jobs.state.model import TERMINAL, Draft, Edit, Job
from job_service.jobs.state.stand_in import StandIn, require_readable
from job_service.jobs.state.transitions import cancel, edit
from job_service.jobs.state.views import Cancellations, MadeReady, NodeView
from job_service.stores.contract import Portion
from job_service.stores.live_admission import LiveAdmission
from job_service.stores.live_reads import LiveReads
from job_service.telemetry.events import Event

_IN_ONE_GO: Final = 100  # jobs that are changed before others have their turn
LOOKS: Final = 2_000  # at jobs, before others have their turn, too: a few milliseconds


class LiveStore(LiveReads):
    """The base of stores. Meaning and errors of its methods are those of `contract.Store`."""

    def __init__(
        self,
        emit: Callable[[Event], None],
        clock: Clock,
        *,
        capacity: int,
        capacity_bytes: int,
        retain: float,
        retain_bytes: float,
    ) -> None:
        super().__init__(
            emit,
            clock,
            capacity=capacity,
            capacity_bytes=capacity_bytes,
            retain=retain,
            retain_bytes=retain_bytes,
        )
        self._admission = LiveAdmission(self._live, emit, clock, self._put_off)

    @abstractmethod
    def apply(self, change: Change) -> None: ...

    def note_demand(self) -> None:
        pass

    async def nodes(self) -> Sequence[NodeView]:
        await trio.lowlevel.checkpoint()
        return ()

    def close(self) -> None:
        self._admission.is_closed = True

    async def _call_off_all(
        self, wanted: JobFilter, reason: str, by: str | None, portion: Portion
    ) -> Cancellations:
        """Call off what is meant and has not ended; it begins without a checkpoint."""
        cancelled = interrupted = 0

        def call_off(job: Job) -> None:
            nonlocal cancelled, interrupted
            is_interrupted = job.status == "processing" and job.cancel_reason is not None
            if job.status not in TERMINAL and not is_interrupted:
                cancelled += job.status == "pending"
                interrupted += job.status == "processing"
                self._call_off(job, reason, by)

        # Those of a portion that wait first: none is to start because another was interrupted. And
        # the newest first: none is to fail because the one that it comes after was cancelled.
        rest = await self._sweep(wanted, portion, call_off)
        return Cancellations(cancelled=cancelled, interrupted=interrupted, next=rest)

    async def _run_now_all(self, wanted: JobFilter, by: str | None, portion: Portion) -> MadeReady:
        """Let what is meant wait no longer for its time; it begins without a checkpoint."""
        made_ready = 0

        def run_now(job: Job) -> None:
            nonlocal made_ready
            made_ready += self._runs_now(job, by)

        rest = await self._sweep(wanted, portion, run_now)
        return MadeReady(made_ready=made_ready, next=rest)

    def _runs_now(self, job: Job, by: str | None) -> bool:
        """Let a job wait no longer for its time, if it does."""
        edits = job.edits
        with suppress(NotPending, WaitsForJobs, UnreadableJob):
            self._edit(job, Edit(run_now=True, by=by))
        return job.edits > edits

    async def _sweep(
        self, wanted: JobFilter, portion: Portion, act: Callable[[Job], None]
    ) -> str | None:
        """Do this to each job here that is meant; where to go on if there may be more of them."""
        after, left = portion.after, math.inf if portion.limit is None else portion.limit
        while left > 0:
            size = int(min(left, _IN_ONE_GO))
            found = self._jobs.page(wanted, after=after, limit=size, newest_first=True, looks=LOOKS)
            for job in sorted(found.jobs, key=_runs):
                act(job)
            after, left = found.edge, left - len(found.jobs)
            if after is None:
                return None
            await self._end_portion()
        return after

    async def _end_portion(self) -> None:
        """Let others have their turn before the next portion of many jobs."""
        await trio.lowlevel.checkpoint()

    def _cancel(
        self, job: Job, reason: str, by: str | None, expected: Collection[str] | None
    ) -> None:
        """Raises AlreadyFinished or JobChanged."""
        if job.status in TERMINAL:
            raise AlreadyFinished(summarize(job))
        require_version(job, expected)
        self._call_off(job, reason, by)

    def _call_off(self, job: Job, reason: str, by: str | None) -> None:
        if job.status == "pending":
            self.apply(cancel(job, reason, self.clock, by))
        elif job.cancel_reason is None:
            self.apply(request_cancel(job, reason, by))

    def _edit(self, job: Job, wanted: Edit) -> None:
        """Raises NotPending, JobChanged, UnreadableJob, WaitsForJobs or QueueFull."""
        require_version(job, wanted.expected)
        if job.status != "pending":
            raise NotPending(summarize(job))
        require_readable(job)
        if wanted.run_now and job.awaits is not None:
            raise WaitsForJobs(summarize(job))
        if wanted.run_now and job.ready_monotonic is not None:
            return
        require_room(self._live.capacity, job, wanted)
        change = edit(job, wanted, self.clock)
        if change.is_moved and job.awaits is None and not self._take_back(job):
            raise NotPending(summarize(job))
        self.apply(change)

    def _put_off(self, job: Job, wanted: Edit) -> bool:
        """Change a job that waits, in the act that is under way; whether that is in time."""
        if job.status != "pending" or isinstance(job, StandIn):
            return False
        if job.awaits is None and not self._take_back(job):
            return False
        self._live.apply(edit(job, wanted, self.clock))
        return True

    def _take_back(self, job: Job) -> bool:
        return self._runner.take_back(job)


def _runs(job: Job) -> bool:
    return job.status == "processing"


def draft_like(job: Job, by: str | None) -> Draft:
    """What to submit to run a finished job again, if somebody of this name asks for it."""
    return Draft(
        job.type,
        job.payload,
        job.max_retries,
        job.priority,
        unique_key=job.unique_key,
        retry_of=job.id,
        scheduled_for=job.scheduled_for,
        limit_key=job.limit_key,
        tags=job.tags,
        by=by,
    )


def require_version(job: Job, expected: Collection[str] | None) -> None:
    """Raise JobChanged if the job has none of these versions, and has not ended."""
    if expected is not None and job.status not in TERMINAL and job.version not in expected:
        raise JobChanged(summarize(job))


def require_room(capacity: Capacity, job: Job, wanted: Edit) -> None:
    """Raise QueueFull if there is no room for what its payload grows by."""
    more = 0 if wanted.payload is None else len(wanted.payload) - len(job.payload)
    free = max(0, capacity.room_bytes)
    if more > free:
        raise QueueFull(
            f"the queue is full: {free} of {capacity.limit_bytes} bytes are free, not {more}"
        )


def no_such_group(group_id: str) -> str:
    """What to say of a group that is asked for in vain."""
    return f"there is no group {group_id[:100]}, or it is no longer kept"


def no_such_job(job_id: str) -> str:
    """What to say of a job that is asked for in vain."""
    return f"there is no job {job_id}, or it is no longer kept"
