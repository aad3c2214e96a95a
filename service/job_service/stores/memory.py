"""The store in memory: what it is told is done at once, and is gone with the process."""

import math
import time
from collections.abc import Callable, Mapping, Sequence

import trio
from msgspec import UNSET

from job_service.errors import AlreadyFinished, NotFinished, UnknownJob
from job_service.jobs.state.attempt_transitions import cut_short, request_cancel
from job_service.jobs.state.clock import Clock
from job_service.jobs.state.detail import (
    Cancellations,
    JobDetail,
    JobSummary,
    QueueView,
    detail_of,
    summarize,
)
from job_service.jobs.state.live_jobs import LiveJobs
from job_service.jobs.state.model import TERMINAL, Draft, IllegalTransition, Job, Status
from job_service.jobs.state.transitions import abandon, cancel
from job_service.jobs.state.weight import (
    DEFAULT_QUEUE_BYTES,
    DEFAULT_RETAIN_BYTES,
    submitted_bytes,
)
from job_service.stores.admission import Admission
from job_service.stores.contract import BacklogView, KeyedRequest, Runner
from job_service.telemetry.events import Event, QueuePaused, QueueResumed

GIVE_WAY_SECONDS = 0.002
_CANCELLED_IN_ONE_GO = 100


class MemoryStore:
    """Keeps up to `capacity` pending jobs and `retain` finished ones, within bounds in bytes.

    Finished jobs are forgotten when they are too many or too heavy, the oldest first. Meaning and
    errors of all methods are those of `job_service.stores.contract.Store`.
    """

    def __init__(
        self,
        emit: Callable[[Event], None],
        clock: Clock | None = None,
        *,
        capacity: int,
        retain: int,
        capacity_bytes: int = DEFAULT_QUEUE_BYTES,
        retain_bytes: int = DEFAULT_RETAIN_BYTES,
    ) -> None:
        self._emit = emit
        self.clock = clock or Clock()
        self.capacity = capacity
        self._runner: Runner = _Nobody()
        self._live = LiveJobs(
            emit,
            self.clock,
            self._runner,
            capacity=capacity,
            capacity_bytes=capacity_bytes,
            retain=retain,
            retain_bytes=retain_bytes,
        )
        self._jobs = self._live.index.jobs
        self._counts = self._live.index.counts
        self._admission = Admission(self._live, emit, self.clock)
        self._turn_is_due = -math.inf
        self.apply = self._live.apply  # spares each change a call

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

    def attach(self, runner: Runner) -> None:
        self._runner = self._live.runner = runner
        for job in self._live.unfinished():
            runner.recover(job)

    def close(self) -> None:
        self._admission.is_closed = True

    def leave_behind(self, reason_of: Callable[[Job], str]) -> None:
        for job in self._live.unfinished():
            reason = reason_of(job)
            try:
                self._abandon(job, reason)
            except IllegalTransition:
                # In another thread than the loop's, which turns again and has moved the job on.
                if job.status not in TERMINAL:
                    self._abandon(job, reason)

    async def settled(self) -> None:
        await trio.lowlevel.checkpoint()

    async def submit(
        self, drafts: Sequence[Draft], request: KeyedRequest | None = None
    ) -> Sequence[JobSummary]:
        # A turn of the loop costs more than a short job, because it wakes a worker and the log's
        # writer for that job alone. So not each submission waits for one. But each that would be
        # refused waits until all who could make room have had theirs.
        is_single, fits = len(drafts) == 1, self._live.capacity.fits
        size = sum(map(submitted_bytes, drafts))
        if is_single and fits(1, size) and time.monotonic() < self._turn_is_due:
            await trio.lowlevel.checkpoint_if_cancelled()
        else:
            await trio.lowlevel.checkpoint()
            if not fits(len(drafts), size):  # they may be behind us in this turn
                await trio.lowlevel.checkpoint()
            self._turn_is_due = time.monotonic() + GIVE_WAY_SECONDS
        admission = self._admission
        if request is not None:
            return admission.once(request, lambda: admission.accept_all(drafts))
        if is_single:
            return (admission.accept(drafts[0]),)
        return admission.accept_all(drafts)

    async def run_again(self, job_id: str, request: KeyedRequest | None = None) -> JobSummary:
        await trio.lowlevel.checkpoint_if_cancelled()
        try:
            if request is None:
                return self._run_again(job_id)
            return self._admission.once(request, lambda: [self._run_again(job_id)])[0]
        finally:
            await trio.lowlevel.cancel_shielded_checkpoint()

    async def cancel(self, job_id: str, reason: str) -> JobDetail:
        await trio.lowlevel.checkpoint_if_cancelled()
        try:
            job = self._find(job_id)
            if job.status in TERMINAL:
                raise AlreadyFinished(summarize(job))
            self._call_off(job, reason)
            return self._detail(job)
        finally:
            await trio.lowlevel.cancel_shielded_checkpoint()

    async def cancel_all(self, job_type: str, status: Status | None, reason: str) -> Cancellations:
        await trio.lowlevel.checkpoint_if_cancelled()
        cancelled = interrupted = 0
        # Those that wait first, and the newest of them first: none is to start because another was
        # interrupted, nor to fail because the one that it comes after was cancelled.
        for number, job in enumerate(reversed(self._unfinished(job_type)), 1):
            if job.status == "pending" and status != "processing":
                cancelled += 1
                self._call_off(job, reason)
            elif job.status == "processing" and status != "pending" and job.cancel_reason is None:
                interrupted += 1
                self._call_off(job, reason)
            if number % _CANCELLED_IN_ONE_GO == 0:
                await trio.lowlevel.checkpoint()
        await trio.lowlevel.cancel_shielded_checkpoint()
        return Cancellations(cancelled=cancelled, interrupted=interrupted)

    async def pause(self, job_type: str | None) -> QueueView:
        await trio.lowlevel.checkpoint()
        if self._runner.pause(job_type):
            self._emit(QueuePaused(timestamp=self.clock.now(), job_type=job_type or UNSET))
        return self._view()

    async def resume(self, job_type: str | None) -> QueueView:
        await trio.lowlevel.checkpoint()
        if self._runner.resume(job_type):
            self._emit(QueueResumed(timestamp=self.clock.now(), job_type=job_type or UNSET))
        return self._view()

    async def get(self, job_id: str) -> JobDetail:
        await trio.lowlevel.checkpoint()
        return self._detail(self._find(job_id))

    async def wait(self, job_id: str, seconds: float) -> JobDetail:
        await trio.lowlevel.checkpoint()
        job = self._find(job_id)
        with trio.move_on_after(seconds):
            await self._live.ending_of(job).wait()
        return self._detail(job)

    async def page(
        self,
        *,
        status: Status | None,
        job_type: str | None,
        after: str | None,
        limit: int,
        newest_first: bool,
    ) -> list[JobSummary]:
        await trio.lowlevel.checkpoint()
        jobs = self._jobs.page(
            status=status, job_type=job_type, after=after, limit=limit, newest_first=newest_first
        )
        return [summarize(job) for job in jobs]

    async def view(self) -> QueueView:
        await trio.lowlevel.checkpoint()
        return self._view()

    async def counts(self) -> Mapping[str, dict[Status, int]]:
        await trio.lowlevel.checkpoint()
        return self._jobs.count()

    def _view(self) -> QueueView:
        backlog = self._runner.view()
        ready = self.pending - backlog.later - self.blocked  # or on its way to a worker
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
            processing=self.processing,
            oldest_ready_seconds=round(waited, 6) if ready else None,
        )

    def _find(self, job_id: str) -> Job:
        job = self._jobs.get(job_id)
        if job is None:
            raise UnknownJob(f"there is no job {job_id}, or it is no longer kept")
        return job

    def _detail(self, job: Job) -> JobDetail:
        waits = job.status == "pending"
        return detail_of(job, self._runner.why_it_waits(job) if waits else None)

    def _abandon(self, job: Job, reason: str) -> None:
        if job.status == "pending":
            self.apply(abandon(job, reason, self.clock))
        else:
            self.apply(cut_short(job, job.attempts[-1], "abandoned", reason, self.clock))

    def _call_off(self, job: Job, reason: str) -> None:
        if job.status == "pending":
            self.apply(cancel(job, reason, self.clock))
        elif job.cancel_reason is None:
            self.apply(request_cancel(job, reason))

    def _run_again(self, job_id: str) -> JobSummary:
        job = self._find(job_id)
        if job.status not in TERMINAL:
            raise NotFinished(summarize(job))
        return self._admission.accept(
            Draft(
                job.type,
                job.payload,
                job.max_retries,
                job.priority,
                unique_key=job.unique_key,
                retry_of=job.id,
            )
        )

    def _unfinished(self, job_type: str) -> list[Job]:
        """The jobs of this type that run, and then those that wait, each the oldest first."""
        most = self.pending + self.processing
        return [
            job
            for status in ("processing", "pending")
            for job in self._jobs.page(status=status, job_type=job_type, after=None, limit=most)
        ]


class _Nobody:
    """The runner until there is one: jobs wait for it."""

    def add(self, *_: object) -> None:
        pass

    def attempt_ended(self, *_: object) -> None:
        pass

    def discard(self, *_: object) -> None:
        pass

    def recover(self, *_: object) -> None:
        pass

    def pause(self, *_: object) -> bool:
        return False

    def resume(self, *_: object) -> bool:
        return False

    def why_it_waits(self, *_: object) -> str:
        return "the service has not started yet"

    def view(self) -> BacklogView:
        return BacklogView()
