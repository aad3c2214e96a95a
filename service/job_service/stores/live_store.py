"""What every store does with the jobs that this process holds."""

from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence

import trio

from job_service.jobs.state.attempt_transitions import request_cancel
from job_service.jobs.state.changes import Change
from job_service.jobs.state.clock import Clock
from job_service.jobs.state.detail import Cancellations, JobDetail, NodeView, QueueView, detail_of
from job_service.jobs.state.job_filter import JobFilter
from job_service.jobs.state.live_jobs import LiveJobs
from job_service.jobs.state.model import Draft, Job, Status
from job_service.jobs.state.transitions import cancel
from job_service.stores.admission import LiveAdmission
from job_service.stores.contract import BacklogView, Demand, Runner
from job_service.telemetry.events import Event

_CANCELLED_IN_ONE_GO = 100


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
        self._admission = LiveAdmission(self._live, emit, clock)

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
        self, job_type: str, status: Status | None, reason: str, by: str | None
    ) -> Cancellations:
        """Call off jobs of a type, portion by portion; it begins without a checkpoint."""
        return await self._call_off_each(self._unfinished(job_type), status, reason, by)

    async def _call_off_each(
        self, jobs: Sequence[Job], status: Status | None, reason: str, by: str | None
    ) -> Cancellations:
        """Call off these jobs, the last one first, those that have a status or all of them."""
        cancelled = interrupted = 0
        # Those that wait first, and the newest of them first: none is to start because another was
        # interrupted, nor to fail because the one that it comes after was cancelled.
        for number, job in enumerate(reversed(jobs), 1):
            if job.status == "pending" and status != "processing":
                cancelled += 1
                self._call_off(job, reason, by)
            elif job.status == "processing" and status != "pending" and job.cancel_reason is None:
                interrupted += 1
                self._call_off(job, reason, by)
            if number % _CANCELLED_IN_ONE_GO == 0:
                await trio.lowlevel.checkpoint()
        return Cancellations(cancelled=cancelled, interrupted=interrupted)

    def _call_off(self, job: Job, reason: str, by: str | None) -> None:
        if job.status == "pending":
            self.apply(cancel(job, reason, self.clock, by))
        elif job.cancel_reason is None:
            self.apply(request_cancel(job, reason, by))

    def _unfinished(self, job_type: str) -> list[Job]:
        """The jobs of this type that run, and then those that wait, each the oldest first."""
        most = self.pending + self.processing
        in_order: tuple[Status, ...] = ("processing", "pending")
        return [
            job
            for status in in_order
            for job in self._jobs.page(
                JobFilter(statuses=(status,), types=(job_type,)), after=None, limit=most
            ).jobs
        ]

    def _detail(self, job: Job) -> JobDetail:
        waits = job.status == "pending"
        return detail_of(job, self._runner.why_it_waits(job) if waits else None)

    def _view(self) -> QueueView:
        backlog = self._runner.view()
        not_ready = backlog.later + self.blocked + backlog.unfit
        ready = self.pending - not_ready  # or on its way to a worker
        waited = 0.0
        if backlog.oldest_ready is not None:
            waited = max(0.0, self.clock.monotonic() - backlog.oldest_ready)
        return QueueView(
            paused=backlog.paused,
            paused_types=list(backlog.paused_types),
            capacity=self.capacity,
            pending=self.pending,
            ready=ready,
            later=backlog.later,
            blocked=self.blocked,
            unfit=backlog.unfit,
            processing=self.processing,
            oldest_ready_seconds=round(waited, 6) if ready else None,
            store=self.name,
            finished=self.finished,
        )


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
