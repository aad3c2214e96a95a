"""What every store does with the jobs that this process holds."""

import math
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import suppress
from typing import Final

import trio

from job_service.errors import NotPending, QueueFull, WaitsForJobs
from job_service.jobs.state.attempt_transitions import request_cancel
from job_service.jobs.state.capacity import Capacity
from job_service.jobs.state.changes import Change
from job_service.jobs.state.clock import Clock
from job_service.jobs.state.detail import (
    EXCERPT_CHARS,
    Cancellations,
    JobDetail,
    MadeReady,
    NodeView,
    QueueView,
    TypeQueue,
    detail_of,
    summarize,
)
from job_service.jobs.state.job_filter import JobFilter
from job_service.jobs.state.live_jobs import LiveJobs
from job_service.jobs.state.model import TERMINAL, Draft, Edit, Job, Status
from job_service.jobs.state.transitions import cancel, edit
from job_service.stores.admission import LiveAdmission
from job_service.stores.contract import BacklogView, Demand, Excerpt, Portion, Runner, TypeBacklog
from job_service.telemetry.events import Event

_IN_ONE_GO: Final = 100  # jobs that are changed before others have their turn
LOOKS: Final = 2_000  # at jobs, before others have their turn, too: a few milliseconds
_EXPLAINED_IN_ONE_GO = 20  # jobs: why one waits may take a look at a thousand others
_LOOKED_AT = 100  # jobs, for the oldest that is ready


class LiveStore(ABC):
    """The base of stores. Meaning and errors of its methods are those of `contract.Store`.

    `emit` is told all that happens to the live jobs, and so is the runner.
    """

    name: str  # as it is shown

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
        self.clock = clock
        self.capacity = capacity
        self._runner: Runner = Nobody()
        self._live = LiveJobs(
            emit,
            clock,
            self._runner,
            capacity=capacity,
            capacity_bytes=capacity_bytes,
            retain=retain,
            retain_bytes=retain_bytes,
        )
        self._jobs = self._live.index.jobs
        self._counts = self._live.index.counts
        self._admission = LiveAdmission(self._live, emit, clock, self._put_off)

    @property
    def why_idle(self) -> str | None:
        return None  # what is ready is handed to whoever is free

    @property
    def pending(self) -> int:
        return self._counts["pending"]

    @property
    def blocked(self) -> int:
        return self._live.dependencies.waiting

    @property
    def processing(self) -> int:
        return self._counts["processing"]

    @property
    def weight(self) -> int:
        return self._live.index.weight

    @property
    def finished(self) -> int | None:
        """How many jobs are kept that have ended, if that is worth telling."""
        return None

    @abstractmethod
    def apply(self, change: Change) -> None: ...

    def note_demand(self) -> None:  # noqa: B027 - nothing to do if all jobs have come to the runner
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
            if job.status not in TERMINAL and job.cancel_reason is None:
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
        with suppress(NotPending, WaitsForJobs):
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

    def _call_off(self, job: Job, reason: str, by: str | None) -> None:
        if job.status == "pending":
            self.apply(cancel(job, reason, self.clock, by))
        elif job.cancel_reason is None:
            self.apply(request_cancel(job, reason, by))

    def _edit(self, job: Job, wanted: Edit) -> None:
        """Raises NotPending, WaitsForJobs or QueueFull."""
        if job.status != "pending":
            raise NotPending(summarize(job))
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
        if job.status != "pending" or (job.awaits is None and not self._take_back(job)):
            return False
        self._live.apply(edit(job, wanted, self.clock))
        return True

    def _take_back(self, job: Job) -> bool:
        return self._runner.take_back(job)

    def _detail(self, job: Job) -> JobDetail:
        waits = job.status == "pending"
        return detail_of(job, self._runner.why_it_waits(job) if waits else None)

    def _excerpt(self, job: Job) -> Excerpt:
        start = job.payload[: 4 * EXCERPT_CHARS].decode(errors="ignore")[:EXCERPT_CHARS]
        waits = job.status == "pending"
        return Excerpt(start, self._runner.why_it_waits(job) if waits else None)

    async def _excerpts_of_live(self, ids: Sequence[str]) -> dict[str, Excerpt]:
        """Of those of these jobs that this process holds."""
        found = dict[str, Excerpt]()
        for number, job_id in enumerate(ids):
            if number % _EXPLAINED_IN_ONE_GO == 0:
                await trio.lowlevel.checkpoint()
            if (job := self._jobs.get(job_id)) is not None:
                found[job_id] = self._excerpt(job)
        return found

    def _count_by_type(self) -> Mapping[str, Mapping[Status, int]]:
        """How many jobs of each type wait and run."""
        return self._jobs.count(("pending", "processing"))

    def _view(self) -> QueueView:
        backlog, counts = self._runner.view(), self._count_by_type()
        pending = sum(of_type["pending"] for of_type in counts.values())
        not_ready = backlog.later + self.blocked + backlog.unfit
        ready = max(0, pending - not_ready)  # or on its way to a worker
        types = [
            self._view_of_type(name, of_type, backlog.types.get(name, TypeBacklog()))
            for name, of_type in sorted(counts.items())
            if of_type["pending"] or of_type["processing"]
        ]
        return QueueView(
            paused=backlog.paused,
            paused_types=list(backlog.paused_types),
            capacity=self.capacity,
            pending=pending,
            ready=ready,
            later=backlog.later,
            blocked=self.blocked,
            unfit=backlog.unfit,
            processing=sum(of_type["processing"] for of_type in counts.values()),
            oldest_ready_seconds=oldest_of(types),
            store=self.name,
            finished=self.finished,
            types=types,
        )

    def _view_of_type(
        self, name: str, counts: Mapping[Status, int], backlog: TypeBacklog
    ) -> TypeQueue:
        blocked = self._live.dependencies.by_type[name]
        ready = max(0, counts["pending"] - backlog.not_ready - blocked)
        oldest = backlog.oldest_ready
        if ready and oldest is None:  # so many come before it that they were not looked at
            wanted = JobFilter(statuses=("pending",), types=(name,))
            first = self._jobs.page(wanted, after=None, limit=_LOOKED_AT).jobs
            since = [job.ready_monotonic for job in first if job.ready_monotonic is not None]
            oldest = min(since, default=None)
        return TypeQueue(
            type=name,
            pending=counts["pending"],
            ready=ready,
            processing=counts["processing"],
            oldest_ready_seconds=self._seconds_since(oldest) if ready else None,
            seconds_to_empty=seconds_to_empty(ready, backlog.starts_per_second),
        )

    def _seconds_since(self, moment: float | None) -> float | None:
        """How long ago this moment of the monotonic clock is."""
        if moment is None:
            return None
        return round(max(0.0, self.clock.monotonic() - moment), 6)


def seconds_to_empty(ready: int, starts_per_second: float) -> float | None:
    """How long it takes to start so many jobs; None if none starts."""
    if ready == 0:
        return 0.0
    return round(ready / starts_per_second, 3) if starts_per_second > 0 else None


def oldest_of(types: Iterable[TypeQueue]) -> float | None:
    """How long the oldest of all ready jobs has been ready; None if none is."""
    return max((each.oldest_ready_seconds or 0.0 for each in types if each.ready), default=None)


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


class Nobody:
    """The runner until there is one: jobs wait for it."""

    def add(self, *_: object) -> None:
        pass

    def attempt_ended(self, *_: object) -> None:
        pass

    def discard(self, *_: object) -> None:
        pass

    def recover(self, *_: object) -> None:
        pass

    def take_back(self, *_: object) -> bool:
        return True

    def hold(self, *_: object) -> None:
        pass

    def pause(self, *_: object) -> bool:
        return False

    def resume(self, *_: object) -> bool:
        return False

    def why_it_waits(self, *_: object) -> str:
        return "the service has not started yet"

    def demand(self) -> Demand:
        return Demand()

    def view(self) -> BacklogView:
        return BacklogView()
